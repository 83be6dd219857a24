//! A slow model that knows the state from the effects alone.

use std::collections::BTreeMap;

use alive_core::AccountName;

use crate::{
    amount::Amount,
    call::Effect,
    params::{Params, Rules},
    stake::{Ranked, Stake, State},
};

/// Balances, stakes, locks and the pool, from what the effects tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Follower {
    mature: bool,
    genesis: Amount,
    minted: Amount,
    balances: BTreeMap<AccountName, Amount>,
    stakes: BTreeMap<AccountName, Amount>,
    locks: BTreeMap<(AccountName, u64), Amount>,
    /// When each member of the pool last came to its place: later is before others of the same stake.
    places: BTreeMap<AccountName, u64>,
    clock: u64,
}

impl Follower {
    pub(super) fn new(params: &Params) -> Self {
        let genesis = params.genesis.values().fold(Amount::ZERO, |sum, amount| add(sum, *amount));
        let balances = params.genesis.clone();
        Self {
            mature: matches!(params.rules(), Rules::Mature(_)),
            genesis,
            balances,
            ..Self::default()
        }
    }

    pub(super) fn follow(&mut self, effect: &Effect) {
        self.clock += 1;
        match effect {
            Effect::Minted { to, amount } => {
                self.minted = add(self.minted, *amount);
                self.credit(to, *amount);
            }
            Effect::Transferred { from, to, amount } => {
                let has = self.balances.entry(from.clone()).or_default();
                let left = has.minus(*amount);
                assert!(left.is_ok(), "{from} sent {amount} of {has}");
                *has = left.unwrap_or_default();
                self.credit(to, *amount);
            }
            Effect::StakeChanged { transcoder, stake } => {
                self.stakes.insert(transcoder.clone(), *stake);
                if let Some(place) = self.places.get_mut(transcoder) {
                    *place = self.clock;
                }
            }
            Effect::Joined { transcoder, stake } => {
                self.stakes.insert(transcoder.clone(), *stake);
                let old = self.places.insert(transcoder.clone(), self.clock);
                assert_eq!(old, None, "{transcoder} joined twice");
            }
            Effect::Left { transcoder } => {
                let place = self.places.remove(transcoder);
                assert!(place.is_some(), "{transcoder} left without being there");
            }
            Effect::LockOpened { owner, lock, amount, .. } => {
                let old = self.locks.insert((owner.clone(), *lock), *amount);
                assert_eq!(old, None, "lock {lock} of {owner} was there");
            }
            Effect::LockClosed { owner, lock } => {
                assert!(self.locks.remove(&(owner.clone(), *lock)).is_some());
            }
            _ => {}
        }
    }

    /// Everything the ledger says is what the effects told.
    pub(super) fn agrees_with(&self, stake: &Stake) {
        assert_eq!(stake.supply(), add(self.genesis, self.minted), "supply is conserved");
        let pool = stake.active_pool();
        let state = stake.state();
        let balances = match &state {
            State::Mature(state) => &state.balances,
            State::Milestone2017(state) => &state.balances,
        };
        let sum = balances.values().fold(Amount::ZERO, |sum, amount| add(sum, *amount));
        assert_eq!(sum, stake.supply(), "balances are the supply");
        for (account, balance) in balances {
            let followed = self.balances.get(account).copied().unwrap_or_default();
            assert_eq!(*balance, followed, "balance of {account}");
        }
        let mut members: Vec<_> = pool.iter().map(|entry| &entry.account).collect();
        if let State::Mature(state) = &state {
            assert!(self.mature);
            assert_eq!(pool, self.sorted_pool());
            let mut locks = 0;
            for (account, delegator) in &state.delegators {
                let stake = self.stakes.get(account).copied().unwrap_or_default();
                assert_eq!(delegator.delegated_amount, stake, "stake of {account}");
                for lock in &delegator.locks {
                    locks += 1;
                    let followed = self.locks.get(&(account.clone(), lock.id));
                    assert_eq!(followed, Some(&lock.amount));
                }
            }
            assert_eq!(locks, self.locks.len());
        }
        if let State::Milestone2017(state) = &state {
            for entry in state.active_pool.iter().chain(&state.candidate_pool) {
                assert_eq!(self.stakes.get(&entry.account), Some(&entry.stake));
            }
            let candidates = state.candidate_pool.iter().map(|entry| &entry.account);
            let mut both: Vec<_> = members.iter().copied().chain(candidates).collect();
            both.sort();
            both.dedup();
            assert_eq!(both.len(), state.active_pool.len() + state.candidate_pool.len());
        }
        members.sort();
        assert!(members.into_iter().eq(self.places.keys()), "members of the pool");
    }

    /// The pool by sorting everybody: largest stake first, latest come first among equals.
    fn sorted_pool(&self) -> Vec<Ranked> {
        let member = |(account, place): (&AccountName, &u64)| {
            let stake = self.stakes.get(account).copied().unwrap_or_default();
            (stake, *place, account.clone())
        };
        let mut members: Vec<_> = self.places.iter().map(member).collect();
        members.sort_by_key(|member| std::cmp::Reverse((member.0, member.1)));
        members.into_iter().map(|(stake, _, account)| Ranked { account, stake }).collect()
    }

    fn credit(&mut self, to: &AccountName, amount: Amount) {
        let has = self.balances.entry(to.clone()).or_default();
        *has = add(*has, amount);
    }
}

fn add(a: Amount, b: Amount) -> Amount {
    let sum = a.plus(b);
    assert!(sum.is_ok(), "{a} + {b}");
    sum.unwrap_or_default()
}
