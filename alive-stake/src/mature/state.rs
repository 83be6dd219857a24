//! Read-outs of `mature`: every number of the state, and what follows from it.

use std::collections::BTreeMap;

use alive_core::AccountName;
use serde::Serialize;

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::Round,
    stake::{Holdings, Ranked, Status},
};

use super::{Delegator, Mature, Transcoder};

/// The whole state of a ledger under `mature`, at the block of the last action. Its JSON is the form of the vectors.
/// Source: `spec/livepeer.md`, section 6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MatureState {
    /// The block of the last action.
    pub block: u64,
    /// Its round.
    pub round: Round,
    /// The last round that was initialised.
    pub last_initialized_round: Round,
    /// Whether rates are locked at this block.
    pub round_locked: bool,
    /// Accounts of which anything is known as delegators.
    pub delegators: BTreeMap<AccountName, MatureDelegator>,
    /// Accounts that are registered or ever were in the pool.
    pub transcoders: BTreeMap<AccountName, MatureTranscoder>,
    /// Tokens of every account, those of the protocol and the treasury too.
    pub balances: BTreeMap<AccountName, Amount>,
    /// All tokens.
    pub total_supply: Amount,
    /// The pool, largest stake first.
    pub active_pool: Vec<Ranked>,
    /// The stake that this round's rewards are shared by.
    pub current_round_total_active_stake: Amount,
    /// The stake in the pool.
    pub next_round_total_active_stake: Amount,
    /// The treasury's part of new tokens in this round, of 10^27.
    pub treasury_reward_cut_rate: Amount,
    /// The same from the next round on.
    pub next_round_treasury_reward_cut_rate: Amount,
    /// New tokens of this round as a part of the supply, of 10^9.
    #[serde(serialize_with = "as_text")]
    pub inflation: u64,
    /// New tokens of this round, at most.
    pub current_mintable_tokens: Amount,
    /// New tokens of this round so far.
    pub current_minted_tokens: Amount,
}

/// What is known of a delegator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MatureDelegator {
    /// Its bond at the last claim.
    pub bonded_amount: Amount,
    /// Its fees at the last claim.
    pub fees: Amount,
    /// Whom it bonds to.
    pub delegate: Option<AccountName>,
    /// The whole stake that points at it.
    pub delegated_amount: Amount,
    /// The first round in which its bond counts.
    pub start_round: Round,
    /// The round of the last claim.
    pub last_claim_round: Round,
    /// The id of its next lock.
    pub next_lock_id: u64,
    /// Its locks by id.
    pub locks: Vec<MatureLock>,
    /// Whether it is bonded.
    pub status: Status,
    /// Its bond with all that was earned; `None` when that has no result.
    pub pending_stake: Option<Amount>,
    /// Its fees with all that was earned; `None` when that has no result.
    pub pending_fees: Option<Amount>,
}

/// Tokens on their way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MatureLock {
    /// The lock's id, of its owner's locks.
    pub id: u64,
    /// How many tokens.
    pub amount: Amount,
    /// The first round in which they can be withdrawn.
    pub withdraw_round: Round,
}

/// What is known of a transcoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MatureTranscoder {
    /// Whether it is bonded to itself.
    pub registered: bool,
    /// Whether it is active in this round.
    pub active: bool,
    /// Its part of rewards, of 1,000,000.
    #[serde(serialize_with = "as_text")]
    pub reward_cut: u64,
    /// Its delegators' part of fees, of 1,000,000.
    #[serde(serialize_with = "as_text")]
    pub fee_share: u64,
    /// The last round in which it called reward.
    pub last_reward_round: Round,
    /// The last round in which it earned fees.
    pub last_fee_round: Round,
    /// The round from which its latest stake counts.
    pub last_active_stake_update_round: Round,
    /// The first round in which it is or was active.
    pub activation_round: Round,
    /// The round in which it is no more active; `Round::MAX`, written `max`, when no end is in sight.
    #[serde(serialize_with = "round_or_max")]
    pub deactivation_round: Round,
    /// Its own earnings that share in this round's fees.
    pub active_cumulative_rewards: Amount,
    /// Its own earnings that it did not claim yet.
    pub cumulative_rewards: Amount,
    /// Its own fees that it did not claim yet.
    pub cumulative_fees: Amount,
    /// Its earnings pool of this round.
    pub earnings_pool_this_round: MatureEarnings,
    /// Its earnings pool of the next round.
    pub earnings_pool_next_round: MatureEarnings,
    /// Its price per segment in this round's elections. Not written when it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub price: Amount,
}

/// A transcoder's earnings pool in one round; factors of 0 are not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MatureEarnings {
    /// The stake by which earnings are shared.
    pub total_stake: Amount,
    /// The transcoder's part of rewards, of 1,000,000.
    #[serde(serialize_with = "as_text")]
    pub reward_cut: u64,
    /// The delegators' part of fees, of 1,000,000.
    #[serde(serialize_with = "as_text")]
    pub fee_share: u64,
    /// By how much a bond has grown since the beginning, of 10^27.
    pub cumulative_reward_factor: Amount,
    /// The fees that one unit of the first bond has earned, of 10^27.
    pub cumulative_fee_factor: Amount,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn as_text<S: serde::Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn round_or_max<S: serde::Serializer>(value: &Round, to: S) -> Result<S::Ok, S::Error> {
    if *value == Round::MAX { to.serialize_str("max") } else { to.collect_str(value) }
}

fn is_zero(amount: &Amount) -> bool {
    amount.is_zero()
}

impl Mature {
    pub(crate) fn read_out(&self, block: u64) -> MatureState {
        let (round, state) = (self.round(block), &self.state);
        let globals = state.globals;
        let mut delegators = BTreeMap::new();
        let mut transcoders = BTreeMap::new();
        let mut balances = BTreeMap::new();
        for (id, name) in state.accounts.iter() {
            balances.insert(name.clone(), state.token.balances[id]);
            if *self.delegator(id) != Delegator::default() {
                delegators.insert(name.clone(), self.read_delegator(id, round));
            }
            if self.registered(id) || self.transcoder(id).activation_round > 0 {
                transcoders.insert(name.clone(), self.read_transcoder(id, round));
            }
        }
        MatureState {
            block,
            round,
            last_initialized_round: globals.last_initialized_round,
            round_locked: self.round_locked(block),
            delegators,
            transcoders,
            balances,
            total_supply: state.token.supply,
            active_pool: self.active_pool(),
            current_round_total_active_stake: globals.current_total_stake,
            next_round_total_active_stake: globals.next_total_stake,
            treasury_reward_cut_rate: globals.treasury_rate,
            next_round_treasury_reward_cut_rate: globals.next_treasury_rate,
            inflation: globals.inflation,
            current_mintable_tokens: globals.mintable,
            current_minted_tokens: globals.minted,
        }
    }

    pub(crate) fn active_pool(&self) -> Vec<Ranked> {
        let entries = self.state.pool.entries().iter();
        entries.map(|entry| Ranked { account: self.name(entry.id), stake: entry.stake }).collect()
    }

    /// Registered transcoders that are not in the pool, largest stake first, by name among equals.
    pub(crate) fn candidates(&self) -> Vec<Ranked> {
        let outside = self.state.accounts.iter();
        let outside = outside.filter(|(id, _)| self.registered(*id) && !self.in_pool(*id));
        let mut outside: Vec<_> = outside
            .map(|(id, name)| Ranked { account: name.clone(), stake: self.delegator(id).delegated })
            .collect();
        outside.sort_by(|a, b| b.stake.cmp(&a.stake).then_with(|| a.account.cmp(&b.account)));
        outside
    }

    /// What the contract holds, and what it would owe if everybody took everything.
    pub(crate) fn holdings(&self, block: u64) -> Result<Holdings, ArithmeticError> {
        let round = self.round(block);
        let mut owed = Amount::ZERO;
        for (id, _) in self.state.accounts.iter() {
            owed = owed.plus(self.pending(id, round)?.stake)?;
            for lock in self.state.locks.get(&id).into_iter().flat_map(|locks| locks.values()) {
                owed = owed.plus(lock.amount)?;
            }
        }
        Ok(Holdings { held: self.state.token.balances[self.minter], owed })
    }

    pub(crate) fn is_safe_to_claim(&self, name: &AccountName, block: u64) -> bool {
        let id = self.state.accounts.find(name);
        id.is_none_or(|id| self.safe_to_claim(id, self.round(block)))
    }

    pub(crate) fn find_delegator(&self, name: &AccountName, block: u64) -> Option<MatureDelegator> {
        let id = self.state.accounts.find(name)?;
        let known = *self.delegator(id) != Delegator::default();
        known.then(|| self.read_delegator(id, self.round(block)))
    }

    fn read_delegator(&self, id: AccountId, round: Round) -> MatureDelegator {
        let delegator = *self.delegator(id);
        let pending = self.pending(id, round).ok();
        let locks = self.state.locks.get(&id).into_iter().flatten();
        let locks = locks.map(|(id, lock)| MatureLock {
            id: *id,
            amount: lock.amount,
            withdraw_round: lock.withdraw_round,
        });
        let status = match delegator.bonded.is_zero() {
            true => Status::Unbonded,
            false if delegator.start_round > round => Status::Pending,
            false => Status::Bonded,
        };
        MatureDelegator {
            bonded_amount: delegator.bonded,
            fees: delegator.fees,
            delegate: delegator.delegate.map(|delegate| self.name(delegate)),
            delegated_amount: delegator.delegated,
            start_round: delegator.start_round,
            last_claim_round: delegator.last_claim_round,
            next_lock_id: delegator.next_lock_id,
            locks: locks.collect(),
            status,
            pending_stake: pending.map(|pending| pending.stake),
            pending_fees: pending.map(|pending| pending.fees),
        }
    }

    fn read_transcoder(&self, id: AccountId, round: Round) -> MatureTranscoder {
        let Transcoder {
            last_reward_round,
            reward_cut,
            fee_share,
            last_active_stake_update_round,
            activation_round,
            deactivation_round,
            active_cumulative_rewards,
            cumulative_rewards,
            cumulative_fees,
            last_fee_round,
            price,
        } = *self.transcoder(id);
        MatureTranscoder {
            registered: self.registered(id),
            active: self.active(id, round),
            reward_cut,
            fee_share,
            last_reward_round,
            last_fee_round,
            last_active_stake_update_round,
            activation_round,
            deactivation_round,
            active_cumulative_rewards,
            cumulative_rewards,
            cumulative_fees,
            earnings_pool_this_round: self.read_earnings(id, round),
            earnings_pool_next_round: self.read_earnings(id, round.saturating_add(1)),
            price: price.at(round),
        }
    }

    fn read_earnings(&self, id: AccountId, round: Round) -> MatureEarnings {
        let earnings = self.earnings(id, round);
        MatureEarnings {
            total_stake: earnings.total_stake,
            reward_cut: earnings.reward_cut,
            fee_share: earnings.fee_share,
            cumulative_reward_factor: earnings.factors.reward,
            cumulative_fee_factor: earnings.factors.fee,
        }
    }
}
