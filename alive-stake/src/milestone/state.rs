//! Read-outs of `milestone-2017`: every number of the state, and what follows from it.

use std::collections::BTreeMap;

use alive_core::AccountName;
use serde::Serialize;

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::Round,
    stake::{Holdings, Ranked, Status},
};

use super::{Milestone, heap::Entry};

/// The whole state of a ledger under `milestone-2017`, at the block of the last action. Its JSON is the form of the
/// vectors. Source: `spec/livepeer.md`, section 6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MilestoneState {
    /// The block of the last action.
    pub block: u64,
    /// Its round.
    pub round: Round,
    /// The last round that was initialised.
    pub last_initialized_round: Round,
    /// All delegators.
    pub delegators: BTreeMap<AccountName, MilestoneDelegator>,
    /// Accounts that ever registered as transcoders.
    pub transcoders: BTreeMap<AccountName, MilestoneTranscoder>,
    /// Tokens of every account, those of the protocol too.
    pub balances: BTreeMap<AccountName, Amount>,
    /// All tokens.
    pub total_supply: Amount,
    /// The active pool, in the order of the heap.
    pub active_pool: Vec<Ranked>,
    /// The candidates, in the order of the heap.
    pub candidate_pool: Vec<Ranked>,
    /// The set of the last round that was initialised; the order fixes the reward windows.
    pub round_set: Vec<Ranked>,
    /// What one call of reward mints; `None` when the parameters give no number.
    pub minted_per_reward: Option<Amount>,
}

/// What is known of a delegator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MilestoneDelegator {
    /// Its bond at the last claim.
    pub bonded_amount: Amount,
    /// Whom it bonds to.
    pub transcoder: Option<AccountName>,
    /// The first round in which its bond counts.
    pub round_start: Round,
    /// The round in which it can withdraw; 0 when it is not unbonding.
    pub withdraw_round: Round,
    /// The round of the last claim.
    pub last_state_transition_round: Round,
    /// Where it stands.
    pub status: Status,
    /// Its bond with what it earned; `None` when that has no result.
    pub stake_with_rewards: Option<Amount>,
    /// Whether it, or its resigned transcoder's delegators, can withdraw.
    pub unbonding_period_over: bool,
}

/// What is known of a transcoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MilestoneTranscoder {
    /// Whether it is one now.
    pub registered: bool,
    /// Its own bond, with its part of rewards.
    pub bonded_amount: Amount,
    /// The round in which its delegators can withdraw because it resigned; 0 when it did not.
    pub delegator_withdraw_round: Round,
    /// The last round in which it called reward.
    pub reward_round: Round,
    /// The cycle of that call.
    pub reward_cycle: u64,
    /// Its part of rewards, in percent.
    pub block_reward_cut: u64,
    /// Its delegators' part of fees, in percent.
    pub fee_share: u64,
    /// Its price.
    pub price_per_segment: Amount,
    /// Its part of rewards from the next round in which it is active.
    pub pending_block_reward_cut: u64,
    /// Its delegators' part of fees from then on.
    pub pending_fee_share: u64,
    /// Its price from then on.
    pub pending_price_per_segment: Amount,
    /// Its stake in whichever pool; `None` when it is in none.
    pub total_stake: Option<Amount>,
    /// Whether it is marked as one of the round's set.
    pub reward_flag: bool,
}

impl Milestone {
    pub(crate) fn read_out(&self, block: u64) -> MilestoneState {
        let (round, state) = (self.round(block), &self.state);
        let mut delegators = BTreeMap::new();
        let mut transcoders = BTreeMap::new();
        let mut balances = BTreeMap::new();
        for (id, name) in state.accounts.iter() {
            balances.insert(name.clone(), state.token.balances[id]);
            if let Some(delegator) = self.read_delegator(id, round) {
                delegators.insert(name.clone(), delegator);
            }
            if self.transcoder(id).known {
                transcoders.insert(name.clone(), self.read_transcoder(id));
            }
        }
        MilestoneState {
            block,
            round,
            last_initialized_round: state.last_initialized_round,
            delegators,
            transcoders,
            balances,
            total_supply: state.token.supply,
            active_pool: self.active_pool(),
            candidate_pool: self.candidates(),
            round_set: self.ranked(&state.round_set),
            minted_per_reward: self.minted_per_reward().ok(),
        }
    }

    pub(crate) fn active_pool(&self) -> Vec<Ranked> {
        self.ranked(self.state.active.entries())
    }

    pub(crate) fn candidates(&self) -> Vec<Ranked> {
        self.ranked(self.state.candidates.entries())
    }

    pub(crate) fn find_delegator(
        &self,
        name: &AccountName,
        block: u64,
    ) -> Option<MilestoneDelegator> {
        self.read_delegator(self.state.accounts.find(name)?, self.round(block))
    }

    /// What the contract holds, and what it would owe if all delegators took everything. Transcoders' own bonds cannot
    /// leave and are not counted.
    pub(crate) fn holdings(&self, block: u64) -> Result<Holdings, ArithmeticError> {
        let round = self.round(block);
        let mut owed = Amount::ZERO;
        for (id, _) in self.state.accounts.iter() {
            if self.delegator(id).initialized {
                let earned = self.rewards(id, round)?;
                owed = owed.plus(self.delegator(id).bonded.plus(earned)?)?;
            }
        }
        Ok(Holdings { held: self.state.token.balances[self.protocol], owed })
    }

    fn ranked(&self, entries: &[Entry]) -> Vec<Ranked> {
        let entries = entries.iter();
        entries.map(|entry| Ranked { account: self.name(entry.id), stake: entry.stake }).collect()
    }

    fn read_delegator(&self, id: AccountId, round: Round) -> Option<MilestoneDelegator> {
        let status = self.status(id, round).ok()?;
        let delegator = self.delegator(id);
        let with_rewards = self.rewards(id, round).and_then(|more| delegator.bonded.plus(more));
        Some(MilestoneDelegator {
            bonded_amount: delegator.bonded,
            transcoder: delegator.transcoder.map(|transcoder| self.name(transcoder)),
            round_start: delegator.round_start,
            withdraw_round: delegator.withdraw_round,
            last_state_transition_round: delegator.last_state_transition_round,
            status,
            stake_with_rewards: with_rewards.ok(),
            unbonding_period_over: self.period_over(id, round),
        })
    }

    fn read_transcoder(&self, id: AccountId) -> MilestoneTranscoder {
        let transcoder = *self.transcoder(id);
        let (rates, pending) = (transcoder.rates, transcoder.pending);
        MilestoneTranscoder {
            registered: transcoder.registered,
            bonded_amount: transcoder.bonded,
            delegator_withdraw_round: transcoder.delegator_withdraw_round,
            reward_round: transcoder.reward_round,
            reward_cycle: transcoder.reward_cycle,
            block_reward_cut: rates.block_reward_cut,
            fee_share: rates.fee_share,
            price_per_segment: rates.price_per_segment,
            pending_block_reward_cut: pending.block_reward_cut,
            pending_fee_share: pending.fee_share,
            pending_price_per_segment: pending.price_per_segment,
            total_stake: self.total_stake(id),
            reward_flag: transcoder.in_round_set,
        }
    }
}
