//! The stake behind a transcoder: joining the pool, growing, shrinking, leaving. Source: `spec/livepeer.md`, section 2.3.

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::{Effect, Round},
    refusal::Refusal,
};

use super::Mature;

impl Mature {
    /// More stake points at `id`, which may bring it into the pool.
    pub(super) fn increase(
        &mut self,
        id: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        let old = self.delegator(id).delegated;
        let new = old.plus(amount)?;
        if self.registered(id) {
            if self.remove_from_pool(id, old) {
                let next = self.state.globals.next_total_stake.plus(amount)?;
                self.globals_mut().next_total_stake = next;
                self.rekey(id, old, new, round)?;
            } else {
                self.join(id, new, next_round(round)?)?;
            }
        }
        self.set_delegated(id, new);
        Ok(())
    }

    /// Less stake points at `id`. No outsider takes its place: outsiders come by their own calls.
    pub(super) fn decrease(
        &mut self,
        id: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        let old = self.delegator(id).delegated;
        let new = old.minus(amount)?;
        if self.remove_from_pool(id, old) {
            let next = self.state.globals.next_total_stake.minus(amount)?;
            self.globals_mut().next_total_stake = next;
            self.rekey(id, old, new, round)?;
        }
        self.set_delegated(id, new);
        Ok(())
    }

    /// Brings `id` with its whole stake into the pool, if there is room or the last one has less.
    pub(super) fn join(
        &mut self,
        id: AccountId,
        stake: Amount,
        from: Round,
    ) -> Result<(), Refusal> {
        if self.delegator(id).bonded < self.params.min_self_bond {
            return Ok(());
        }
        let mut next = self.state.globals.next_total_stake;
        if self.is_full() {
            let last = self.state.pool.last();
            if stake <= last.map_or(Amount::ZERO, |last| last.stake) {
                return Ok(());
            }
            // A pool for nobody is full and has no last one.
            let last = last.ok_or(Refusal::PoolsFull)?;
            next = next.minus(last.stake)?;
            self.remove_from_pool(last.id, last.stake);
            self.transcoder_mut(last.id).deactivation_round = from;
            self.effects.push(Effect::Left { transcoder: self.name(last.id) });
        }
        if stake.is_zero() {
            return Err(Refusal::ZeroAmount);
        }
        self.insert_in_pool(id, stake);
        self.globals_mut().next_total_stake = next.plus(stake)?;
        let transcoder = self.transcoder_mut(id);
        transcoder.last_active_stake_update_round = from;
        transcoder.activation_round = from;
        transcoder.deactivation_round = Round::MAX;
        self.earnings_mut(id, from).total_stake = stake;
        self.effects.push(Effect::Joined { transcoder: self.name(id), stake });
        Ok(())
    }

    /// Takes `id` out of the pool, if it is there. It stays active for the rest of the round.
    pub(super) fn leave(&mut self, id: AccountId, round: Round) -> Result<(), Refusal> {
        let stake = self.delegator(id).delegated;
        if self.remove_from_pool(id, stake) {
            let next = self.state.globals.next_total_stake.minus(stake)?;
            self.globals_mut().next_total_stake = next;
            self.transcoder_mut(id).deactivation_round = next_round(round)?;
            self.effects.push(Effect::Left { transcoder: self.name(id) });
        }
        Ok(())
    }

    /// Puts `id`, just taken out of the pool, back at its new place, and writes down what counts in which round.
    fn rekey(
        &mut self,
        id: AccountId,
        old: Amount,
        new: Amount,
        round: Round,
    ) -> Result<(), ArithmeticError> {
        if new.is_zero() {
            self.effects.push(Effect::Left { transcoder: self.name(id) });
        } else {
            self.insert_in_pool(id, new);
        }
        if self.transcoder(id).last_active_stake_update_round < round {
            self.earnings_mut(id, round).total_stake = old;
        }
        let next = next_round(round)?;
        self.earnings_mut(id, next).total_stake = new;
        self.transcoder_mut(id).last_active_stake_update_round = next;
        Ok(())
    }

    fn set_delegated(&mut self, id: AccountId, stake: Amount) {
        self.delegator_mut(id).delegated = stake;
        self.effects.push(Effect::StakeChanged { transcoder: self.name(id), stake });
    }

    fn is_full(&self) -> bool {
        u64::try_from(self.state.pool.entries().len())
            .is_ok_and(|len| len >= self.params.num_active)
    }
}

/// The round after this one.
pub(super) fn next_round(round: Round) -> Result<Round, ArithmeticError> {
    round.checked_add(1).ok_or(ArithmeticError::Overflow)
}
