//! Small ledgers with short names.

use alive_core::AccountName;
use alive_stake::{
    Amount, Call, Effect, MatureDelegator, MatureParams, MatureState, MatureTranscoder,
    MilestoneDelegator, MilestoneParams, MilestoneState, MilestoneTranscoder, Params, Refusal,
    Rules, Stake, State,
};

pub(crate) fn name(name: &str) -> AccountName {
    name.parse().unwrap()
}

pub(crate) fn n(n: u128) -> Amount {
    Amount::new(n)
}

pub(crate) fn bond(amount: u128, to: &str) -> Call {
    Call::Bond { amount: n(amount), to: name(to) }
}

pub(crate) fn unbond(amount: u128) -> Call {
    Call::Unbond { amount: Some(n(amount)) }
}

pub(crate) fn terms(reward_cut: u64) -> Call {
    Call::Transcoder { reward_cut, fee_share: 0, price: None }
}

/// A ledger whose calls are expected to be accepted, unless it is said otherwise.
#[derive(Clone)]
pub(crate) struct World(pub(crate) Stake);

impl World {
    /// Rounds of 20 blocks, a pool of two, everybody has 10,000; a tenth of the supply is new in each round.
    pub(crate) fn mature() -> Self {
        Self::mature_with(|_| {})
    }

    pub(crate) fn mature_with(change: impl FnOnce(&mut MatureParams)) -> Self {
        let mut rules = MatureParams::default();
        rules.num_active = 2;
        rules.round_length = 20.try_into().unwrap();
        rules.unbonding_period = 2;
        rules.inflation = 100_000_000;
        rules.inflation_change = 0;
        rules.treasury_reward_cut_rate = Amount::ZERO;
        change(&mut rules);
        Self::of(Rules::Mature(rules))
    }

    /// Rounds of 50 blocks with two cycles, pools of two, everybody has 10,000.
    pub(crate) fn milestone() -> Self {
        Self::milestone_with(|_| {})
    }

    pub(crate) fn milestone_with(change: impl FnOnce(&mut MilestoneParams)) -> Self {
        let mut rules = MilestoneParams::default();
        (rules.n, rules.candidate_size) = (2, 2);
        change(&mut rules);
        Self::of(Rules::Milestone2017(rules))
    }

    fn of(rules: Rules) -> Self {
        let names = ["a1", "a2", "a3", "a4", "a5", "a6", "a7"];
        let params = names.into_iter().fold(Params::new(rules), |params, account| {
            params.with_balance(name(account), n(10_000))
        });
        Self(Stake::new(params).unwrap())
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "calls are made in place")]
    pub(crate) fn ok(&mut self, block: u64, from: &str, call: Call) -> Vec<Effect> {
        let outcome = self.0.apply(block, &name(from), &call);
        outcome.unwrap_or_else(|refusal| panic!("{from} {call:?}: {refusal}"))
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "calls are made in place")]
    pub(crate) fn no(&mut self, block: u64, from: &str, call: Call) -> Refusal {
        let outcome = self.0.apply(block, &name(from), &call);
        outcome.expect_err("it is to be refused")
    }

    pub(crate) fn begin(&mut self, block: u64) {
        self.ok(block, "a7", Call::InitializeRound);
    }

    pub(crate) fn state_2017(&self) -> MilestoneState {
        match self.0.state() {
            State::Milestone2017(state) => *state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn delegator_2017(&self, account: &str) -> MilestoneDelegator {
        self.state_2017().delegators[&name(account)].clone()
    }

    pub(crate) fn transcoder_2017(&self, account: &str) -> MilestoneTranscoder {
        self.state_2017().transcoders[&name(account)].clone()
    }

    pub(crate) fn state(&self) -> MatureState {
        match self.0.state() {
            State::Mature(state) => *state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn delegator(&self, account: &str) -> MatureDelegator {
        self.state().delegators[&name(account)].clone()
    }

    pub(crate) fn transcoder(&self, account: &str) -> MatureTranscoder {
        self.state().transcoders[&name(account)].clone()
    }

    pub(crate) fn pool(&self) -> Vec<(String, Amount)> {
        let pool = self.0.active_pool().into_iter();
        pool.map(|entry| (entry.account.to_string(), entry.stake)).collect()
    }

    pub(crate) fn stake_of(&self, account: &str) -> Option<Amount> {
        self.pool().into_iter().find(|(name, _)| name == account).map(|(_, stake)| stake)
    }
}
