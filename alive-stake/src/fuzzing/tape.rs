//! Bytes read as parameters and actions, so that a fuzzer or a property can steer them.
#![expect(clippy::indexing_slicing, reason = "into lists of a length that the index is below")]

use std::num::NonZeroU64;

use alive_core::AccountName;

use crate::{
    amount::Amount,
    call::Call,
    params::{FACTOR_WHOLE, MatureParams, MilestoneParams, Params, RATE_WHOLE, Rules, TOKEN},
    stake::{DelegatorView, Stake},
};

/// Bytes that are used up by what is made of them.
#[derive(Debug)]
pub(super) struct Tape<'a> {
    left: std::slice::Iter<'a, u8>,
    mature: bool,
    round_length: u64,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    Act { block: u64, from: AccountName, call: Call },
    Undo { block: u64 },
}

/// How many accounts there are, without those of the protocol.
const ACCOUNTS: u8 = 6;

impl<'a> Tape<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { left: data.iter(), mature: true, round_length: 1 }
    }

    pub(super) fn mature_params(&mut self) -> Params {
        let rates = [Amount::ZERO, Amount::new(100_000_000_000_000_000_000_000_000), FACTOR_WHOLE];
        let rules = MatureParams {
            num_active: [1, 2, 3, 2, 3, 4, 2, 0][self.below(8)],
            round_length: self.length(&[1, 5, 8, 20]),
            round_lock_amount: [0, 100_000, 300_000, 1_000_000][self.below(4)],
            unbonding_period: self.number(4),
            inflation: [0, 218_500, 137_000_000, 1_000_000_000][self.below(4)],
            inflation_change: [0, 500, 70_000_000][self.below(3)],
            target_bonding_rate: [0, 10_000, 500_000_000][self.below(3)],
            treasury_reward_cut_rate: rates[self.below(3)],
            treasury_balance_ceiling: [Amount::ZERO, TOKEN, Amount::new(7)][self.below(3)],
            min_self_bond: Amount::new([0, 0, 0, 50][self.below(4)]),
            ..MatureParams::default()
        };
        self.finish(Rules::Mature(rules))
    }

    pub(super) fn milestone_params(&mut self) -> Params {
        self.mature = false;
        let rules = MilestoneParams {
            n: [1, 2, 3, 2, 3, 4, 2, 0][self.below(8)],
            candidate_size: self.number(4),
            round_length: self.length(&[2, 12, 24, 50]),
            cycles_per_round: [1, 2, 1, 0][self.below(4)],
            unbonding_period: self.number(3),
            block_time: [1, 1, 17, 0][self.below(4)],
            yearly_inflation_pct: [26, 100, 0][self.below(3)],
            ..MilestoneParams::default()
        };
        self.finish(Rules::Milestone2017(rules))
    }

    /// `None` when the bytes are used up.
    pub(super) fn step(&mut self, stake: &Stake) -> Option<Step> {
        let kind = self.byte()?;
        let last = stake.block();
        if kind >= 250 {
            return Some(Step::Undo { block: last.saturating_sub(self.number(30)) });
        }
        let block = match kind % 16 {
            0..10 => last,
            10..13 => last + 1,
            13 => last + self.round_length / 2,
            // The first block of the next round, and some rounds later.
            14 => (last / self.round_length + 1) * self.round_length,
            _ if kind > 230 => last.saturating_sub(1),
            _ => last + self.round_length * (1 + self.number(3)),
        };
        // Nothing works in a round that was not begun: mostly begin it.
        if block / self.round_length > last / self.round_length && self.number(8) > 0 {
            return Some(Step::Act { block, from: self.account(), call: Call::InitializeRound });
        }
        let from = self.account();
        let call =
            if self.mature { self.mature_call(&from, stake) } else { self.milestone_call(&from) };
        // Fees come from the payment module, mostly.
        let from = match call {
            Call::Fees { .. } if self.number(8) > 0 => name("broker"),
            _ if self.number(64) == 0 => name(if self.mature { "minter" } else { "protocol" }),
            _ => from,
        };
        Some(Step::Act { block, from, call })
    }

    fn mature_call(&mut self, from: &AccountName, stake: &Stake) -> Call {
        match self.below(28) {
            0..5 => Call::Bond { amount: self.amount(), to: self.delegate(from) },
            5 | 6 => {
                let (amount, owner) = (self.amount(), self.account());
                let to = self.delegate(&owner);
                Call::BondFor { amount, owner, to }
            }
            7 => Call::ClaimEarnings,
            8 | 9 => Call::Fees { transcoder: self.account(), amount: self.amount() },
            10 => Call::InitializeRound,
            11 | 12 => Call::Rebond { lock: self.lock(from, stake) },
            13 => Call::RebondFromUnbonded { to: self.account(), lock: self.lock(from, stake) },
            14..18 => Call::Reward,
            18 | 19 => Call::Transcoder {
                reward_cut: self.number(5) * RATE_WHOLE / 4 + self.number(64) / 63,
                fee_share: self.number(5) * RATE_WHOLE / 4,
                price: (self.number(2) == 0).then(|| self.amount()),
            },
            20 => Call::Transfer { to: self.account(), amount: self.amount() },
            21 | 22 => Call::TransferBond { receiver: self.account(), amount: self.amount() },
            23 | 24 => Call::Unbond { amount: self.part_of_bond(from, stake) },
            25 => Call::WithdrawFees { amount: self.amount() },
            26 => Call::WithdrawStake { lock: self.lock(from, stake) },
            _ => {
                if self.number(8) == 0 {
                    Call::Withdraw
                } else {
                    Call::WithdrawStake { lock: 0 }
                }
            }
        }
    }

    fn milestone_call(&mut self, from: &AccountName) -> Call {
        match self.below(20) {
            0..6 => Call::Bond { amount: self.amount(), to: self.delegate(from) },
            6 => Call::InitializeRound,
            7 => Call::ResignAsTranscoder,
            8..13 => Call::Reward,
            13..16 => Call::Transcoder {
                reward_cut: [0, 1, 50, 100, 100, 10, 5, 101][self.below(8)],
                fee_share: self.number(100),
                price: Some(self.amount()),
            },
            16 => Call::Transfer { to: self.account(), amount: self.amount() },
            17 | 18 => Call::Unbond { amount: None },
            _ if self.number(32) == 0 => Call::ClaimEarnings,
            _ => Call::Withdraw,
        }
    }

    /// All of the bond, half of the time.
    fn part_of_bond(&mut self, from: &AccountName, stake: &Stake) -> Option<Amount> {
        match (self.number(32), stake.delegator(from)) {
            (0, _) => None,
            (1..16, Some(DelegatorView::Mature(delegator))) => delegator.pending_stake,
            _ => Some(self.amount()),
        }
    }

    /// A lock that the account has, mostly.
    fn lock(&mut self, from: &AccountName, stake: &Stake) -> u64 {
        let any = self.number(4);
        match stake.delegator(from) {
            Some(DelegatorView::Mature(delegator)) if any > 0 => {
                delegator.locks.last().map_or(any, |lock| lock.id)
            }
            _ => any,
        }
    }

    fn finish(&mut self, rules: Rules) -> Params {
        self.round_length = match &rules {
            Rules::Mature(rules) => rules.round_length.get(),
            Rules::Milestone2017(rules) => rules.round_length.get(),
        };
        let genesis = [Amount::new(1000), TOKEN, Amount::new(3)];
        let params = Params::new(rules).deployed_at(self.number(3) * 7);
        // One account is not among them: it is met later.
        (0..ACCOUNTS - 1).fold(params, |params, account| {
            let amount = genesis[self.below(3)];
            params.with_balance(name(&format!("a{account}")), amount)
        })
    }

    /// Oneself, half of the time.
    fn delegate(&mut self, from: &AccountName) -> AccountName {
        if self.number(2) == 0 { from.clone() } else { self.account() }
    }

    fn account(&mut self) -> AccountName {
        let account = self.number(ACCOUNTS);
        name(&format!("a{account}"))
    }

    fn amount(&mut self) -> Amount {
        let byte = self.byte().unwrap_or(0);
        let many =
            TOKEN.times(Amount::from(u64::from(byte))).and_then(|n| n.over(Amount::new(999)));
        match byte {
            0..8 => Amount::ZERO,
            8..200 => Amount::from(u64::from(byte - 7)),
            200..254 => many.unwrap_or_default(),
            254 => Amount::new(1 << 100),
            255 => Amount::MAX,
        }
    }

    fn length(&mut self, lengths: &[u64; 4]) -> NonZeroU64 {
        NonZeroU64::new(lengths[self.below(4)]).unwrap_or(NonZeroU64::MIN)
    }

    fn byte(&mut self) -> Option<u8> {
        self.left.next().copied()
    }

    /// A number from 0 to `below` - 1; 0 when there is nothing left.
    fn below(&mut self, below: u8) -> usize {
        usize::from(self.byte().unwrap_or(0) % below)
    }

    fn number(&mut self, below: u8) -> u64 {
        u64::from(self.byte().unwrap_or(0) % below)
    }
}

#[expect(clippy::expect_used, reason = "the names are written here, each within the limits")]
fn name(name: &str) -> AccountName {
    name.parse().expect("between 1 and 256 bytes")
}
