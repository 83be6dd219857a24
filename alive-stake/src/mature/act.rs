//! What delegators and transcoders do with their bonds. Source: `spec/livepeer.md`, section 2.5.

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::{Effect, Round},
    params::RATE_WHOLE,
    refusal::Refusal,
};

use super::{Delegator, Lock, Mature, stake::next_round};

impl Mature {
    /// Bonds tokens of `payer` as the bond of `owner`, and points all of it at `to`.
    pub(super) fn bond(
        &mut self,
        payer: AccountId,
        owner: AccountId,
        to: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        self.claim(owner, round)?;
        let Delegator { bonded, delegate, .. } = *self.delegator(owner);
        let mut moved = amount;
        if bonded.is_zero() {
            self.delegator_mut(owner).start_round = next_round(round)?;
        } else if let Some(old) = delegate.filter(|old| *old != to) {
            if self.registered(owner) {
                return Err(Refusal::RegisteredCannotMove(self.name(owner)));
            }
            self.delegator_mut(owner).start_round = next_round(round)?;
            moved = amount.plus(bonded)?;
            self.decrease(old, bonded, round)?;
        }
        self.ensure_factors(to, round);
        if moved.is_zero() {
            return Err(Refusal::ZeroAmount);
        }
        let bonded = bonded.plus(amount)?;
        let delegator = self.delegator_mut(owner);
        delegator.delegate = Some(to);
        delegator.bonded = bonded;
        self.increase(to, moved, round)?;
        if amount.is_zero() {
            return Ok(());
        }
        self.pay(payer, self.minter, amount)
    }

    /// Bonds for somebody else, who must not lose anything by it.
    pub(super) fn bond_for(
        &mut self,
        payer: AccountId,
        owner: AccountId,
        to: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        if payer != owner {
            self.allow_claim_by_others(owner, round)?;
            let delegator = self.delegator(owner);
            if delegator.bonded.is_zero() {
                if to == owner {
                    return Err(Refusal::SelfBondByOther(self.name(owner)));
                }
            } else if delegator.delegate != Some(to) {
                return Err(Refusal::DelegateNotTheirs(self.name(owner)));
            }
        }
        self.bond(payer, owner, to, amount, round)
    }

    /// Takes a part of the bond into a new lock and gives the lock's id.
    pub(super) fn unbond(
        &mut self,
        id: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<u64, Refusal> {
        self.claim(id, round)?;
        let Delegator { bonded, delegate, start_round, next_lock_id, .. } = *self.delegator(id);
        let delegate = delegate.filter(|_| !bonded.is_zero() && start_round <= round);
        let delegate = delegate.ok_or_else(|| Refusal::NotBonded(self.name(id)))?;
        if amount.is_zero() {
            return Err(Refusal::ZeroAmount);
        }
        let left = bonded.minus(amount);
        let left = left.map_err(|_| Refusal::MoreThanBonded { bonded, amount })?;
        let due = round.checked_add(self.params.unbonding_period);
        let withdraw_round = due.ok_or(ArithmeticError::Overflow)?;
        let next_id = next_lock_id.checked_add(1).ok_or(ArithmeticError::Overflow)?;
        self.open_lock(id, next_lock_id, Lock { amount, withdraw_round });
        let delegator = self.delegator_mut(id);
        delegator.bonded = left;
        delegator.next_lock_id = next_id;
        if left.is_zero() {
            delegator.delegate = None;
            delegator.start_round = 0;
            self.leave(id, round)?;
        } else if delegate == id && left < self.params.min_self_bond {
            self.leave(id, round)?;
        }
        self.decrease(delegate, amount, round)?;
        Ok(next_lock_id)
    }

    /// Bonds a lock's tokens again.
    pub(super) fn rebond(&mut self, id: AccountId, lock: u64, round: Round) -> Result<(), Refusal> {
        self.claim(id, round)?;
        if self.delegator(id).bonded.is_zero() {
            return Err(Refusal::NotBonded(self.name(id)));
        }
        self.rebond_lock(id, lock, round)
    }

    /// Bonds a lock's tokens again, when nothing else is bonded.
    pub(super) fn rebond_from_unbonded(
        &mut self,
        id: AccountId,
        to: AccountId,
        lock: u64,
        round: Round,
    ) -> Result<(), Refusal> {
        self.claim(id, round)?;
        if !self.delegator(id).bonded.is_zero() {
            return Err(Refusal::NotUnbonded(self.name(id)));
        }
        self.ensure_factors(to, round);
        let delegator = self.delegator_mut(id);
        delegator.start_round = next_round(round)?;
        delegator.delegate = Some(to);
        self.rebond_lock(id, lock, round)
    }

    /// Gives a part of one's bond to another account: out of the one into a lock, over, and into the other.
    pub(super) fn transfer_bond(
        &mut self,
        sender: AccountId,
        receiver: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        if receiver != sender {
            self.allow_claim_by_others(receiver, round)?;
        }
        self.claim(sender, round)?;
        let former_delegate = self.delegator(sender).delegate;
        let lock = self.unbond(sender, amount, round)?;
        let value = self.close_lock(sender, lock)?;
        let lock = self.delegator(receiver).next_lock_id;
        let next_id = lock.checked_add(1).ok_or(ArithmeticError::Overflow)?;
        self.delegator_mut(receiver).next_lock_id = next_id;
        self.open_lock(receiver, lock, value);
        self.claim(receiver, round)?;
        let Delegator { delegate, bonded, .. } = *self.delegator(receiver);
        if bonded.is_zero() {
            let delegator = self.delegator_mut(receiver);
            delegator.start_round = next_round(round)?;
            if delegate.is_none() {
                delegator.delegate = former_delegate;
                if former_delegate == Some(receiver) {
                    return Err(Refusal::SelfBondByOther(self.name(receiver)));
                }
            }
        }
        self.rebond_lock(receiver, lock, round)
    }

    /// Pays out a lock that is due.
    pub(super) fn withdraw_stake(
        &mut self,
        id: AccountId,
        lock: u64,
        round: Round,
    ) -> Result<(), Refusal> {
        let Lock { amount, withdraw_round: due } = self.close_lock(id, lock)?;
        if due > round {
            return Err(Refusal::LockNotDue { lock, due });
        }
        self.pay(self.minter, id, amount)
    }

    /// Takes collected fees. Who pays them out is not part of this ledger.
    pub(super) fn withdraw_fees(
        &mut self,
        id: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        self.claim(id, round)?;
        let has = self.delegator(id).fees;
        let left = has.minus(amount);
        let left = left.map_err(|_| Refusal::InsufficientFees { has, needed: amount })?;
        self.delegator_mut(id).fees = left;
        self.effects.push(Effect::FeesWithdrawn { delegator: self.name(id), amount });
        Ok(())
    }

    /// Sets a transcoder's terms, and lets it try to get into the pool.
    pub(super) fn set_rates(
        &mut self,
        id: AccountId,
        reward_cut: u64,
        fee_share: u64,
        price: Option<Amount>,
        block: u64,
    ) -> Result<(), Refusal> {
        let round = self.round(block);
        if self.round_locked(block) {
            return Err(Refusal::RatesLocked);
        }
        if let Some(rate) = [reward_cut, fee_share].into_iter().find(|rate| *rate > RATE_WHOLE) {
            return Err(Refusal::RateTooHigh { rate, max: RATE_WHOLE });
        }
        if !self.registered(id) {
            return Err(Refusal::NotRegistered(self.name(id)));
        }
        if self.active(id, round) && self.transcoder(id).last_reward_round != round {
            return Err(Refusal::RewardNotCalled(self.name(id)));
        }
        let next = next_round(round)?;
        let transcoder = self.transcoder_mut(id);
        transcoder.reward_cut = reward_cut;
        transcoder.fee_share = fee_share;
        if let Some(new) = price {
            transcoder.price.old = transcoder.price.at(round);
            transcoder.price.new = new;
            transcoder.price.since = next;
        }
        self.effects.push(Effect::RatesSet { transcoder: self.name(id) });
        if self.in_pool(id) {
            return Ok(());
        }
        self.join(id, self.delegator(id).delegated, next)
    }

    /// Whether the block lies in the part of its round in which rates cannot change.
    pub(super) fn round_locked(&self, block: u64) -> bool {
        let length = self.params.round_length.get();
        let locked = u128::from(length) * u128::from(self.params.round_lock_amount);
        let locked = locked / u128::from(RATE_WHOLE);
        u128::from(block % length) + locked >= u128::from(length)
    }

    /// A claim by others would take the round's reward from an account whose delegate has yet to call for it.
    fn allow_claim_by_others(&self, id: AccountId, round: Round) -> Result<(), Refusal> {
        let Delegator { bonded, delegate, last_claim_round, .. } = *self.delegator(id);
        let delegate = delegate.filter(|_| !bonded.is_zero() && last_claim_round != round);
        match delegate.filter(|delegate| self.active(*delegate, round)) {
            Some(delegate) if self.transcoder(delegate).last_reward_round != round => {
                Err(Refusal::ClaimNotAllowed(self.name(id)))
            }
            _ => Ok(()),
        }
    }

    fn rebond_lock(&mut self, id: AccountId, lock: u64, round: Round) -> Result<(), Refusal> {
        let Lock { amount, .. } = self.close_lock(id, lock)?;
        let Delegator { bonded, delegate, .. } = *self.delegator(id);
        let delegate = delegate.ok_or_else(|| Refusal::NotBonded(self.name(id)))?;
        self.delegator_mut(id).bonded = bonded.plus(amount)?;
        self.increase(delegate, amount, round)
    }
}
