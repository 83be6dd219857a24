//! What delegators and transcoders do. Source: `spec/livepeer.md`, section 1.6.

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::{Effect, Round},
    refusal::Refusal,
    stake::Status,
};

use super::{Delegator, Milestone, Rates};

/// The whole of the rates: percent.
const PERCENT: u64 = 100;

impl Milestone {
    /// Registers a transcoder, or registers it again, which forgets that it called reward.
    pub(super) fn register(
        &mut self,
        id: AccountId,
        block_reward_cut: u64,
        fee_share: u64,
        price_per_segment: Amount,
    ) -> Result<(), Refusal> {
        if let Some(rate) = [block_reward_cut, fee_share].into_iter().find(|rate| *rate > PERCENT) {
            return Err(Refusal::RateTooHigh { rate, max: PERCENT });
        }
        let transcoder = self.transcoder_mut(id);
        transcoder.known = true;
        transcoder.registered = true;
        transcoder.delegator_withdraw_round = 0;
        transcoder.reward_round = 0;
        transcoder.reward_cycle = 0;
        transcoder.pending = Rates { block_reward_cut, fee_share, price_per_segment };
        self.effects.push(Effect::RatesSet { transcoder: self.name(id) });
        Ok(())
    }

    /// Bonds more, and points the whole bond at `to`.
    pub(super) fn bond(
        &mut self,
        id: AccountId,
        to: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        self.claim(id, round)?;
        if !self.transcoder(to).registered {
            return Err(Refusal::NotRegistered(self.name(to)));
        }
        if !amount.is_zero() {
            self.pay(id, self.protocol, amount)?;
        }
        let moved = if to == id {
            let bonded = self.transcoder(id).bonded.plus(amount)?;
            self.transcoder_mut(id).bonded = bonded;
            amount
        } else {
            self.delegate(id, to, amount, round)?
        };
        if self.total_stake(to).is_some() { self.increase(to, moved) } else { self.add(to, moved) }
    }

    /// Starts the end of the whole bond.
    pub(super) fn unbond(&mut self, id: AccountId, round: Round) -> Result<(), Refusal> {
        self.claim(id, round)?;
        if self.status(id, round)? != Status::Bonded {
            return Err(Refusal::NotBonded(self.name(id)));
        }
        let end = self.end_of_unbonding(round)?;
        let delegator = self.delegator_mut(id);
        delegator.withdraw_round = end;
        let (bonded, transcoder) = (delegator.bonded, delegator.transcoder);
        match transcoder {
            Some(transcoder) => self.decrease(transcoder, bonded),
            None => Err(Refusal::NotADelegator(self.name(id))),
        }
    }

    /// Pays out the whole bond, without what it earned since the last claim.
    pub(super) fn withdraw(&mut self, id: AccountId, round: Round) -> Result<(), Refusal> {
        if self.status(id, round)? != Status::Unbonding {
            return Err(Refusal::NotUnbonding(self.name(id)));
        }
        if !self.period_over(id, round) {
            return Err(Refusal::PeriodNotOver);
        }
        let (needed, has) = (self.delegator(id).bonded, self.state.token.balances[self.protocol]);
        if has < needed {
            return Err(Refusal::ProtocolCannotPay { has, needed });
        }
        self.pay(self.protocol, id, needed)?;
        *self.delegator_mut(id) = Delegator::default();
        Ok(())
    }

    /// Stops being a transcoder. Its own bond is gone for ever.
    pub(super) fn resign(&mut self, id: AccountId, round: Round) -> Result<(), Refusal> {
        if !self.transcoder(id).registered {
            return Err(Refusal::NotRegistered(self.name(id)));
        }
        let end = self.end_of_unbonding(round)?;
        let transcoder = self.transcoder_mut(id);
        transcoder.registered = false;
        transcoder.delegator_withdraw_round = end;
        transcoder.bonded = Amount::ZERO;
        self.leave_pools(id)
    }

    /// Adds rewards to the bond. Those of the present round are added again by the next claim.
    fn claim(&mut self, id: AccountId, round: Round) -> Result<(), Refusal> {
        let before = *self.delegator(id);
        let rewards = if before.initialized { self.rewards(id, round)? } else { Amount::ZERO };
        let bonded = before.bonded.plus(rewards)?;
        let delegator = self.delegator_mut(id);
        delegator.bonded = bonded;
        delegator.last_state_transition_round = round;
        if !rewards.is_zero() {
            let (delegator, fees) = (self.name(id), Amount::ZERO);
            self.effects.push(Effect::Claimed { delegator, rewards, fees });
        }
        Ok(())
    }

    /// What a delegator's bond earned since the last claim, the present round included. Rounds without rewards have no
    /// entry, so that only those with rewards are walked over.
    pub(super) fn rewards(&self, id: AccountId, round: Round) -> Result<Amount, ArithmeticError> {
        let delegator = self.delegator(id);
        let Some(transcoder) = delegator.transcoder else { return Ok(Amount::ZERO) };
        let rounds = (transcoder, delegator.last_state_transition_round)..=(transcoder, round);
        if rounds.is_empty() {
            return Ok(Amount::ZERO);
        }
        let pools = self.state.reward_pools.range(rounds).map(|(_, pool)| pool);
        let pools = pools.filter(|pool| !pool.tokens.is_zero());
        pools
            .map(|pool| pool.tokens.share(delegator.bonded, pool.stake))
            .try_fold(Amount::ZERO, |sum, rewards| sum.plus(rewards?))
    }

    /// Where a delegator stands.
    pub(super) fn status(&self, id: AccountId, round: Round) -> Result<Status, Refusal> {
        let delegator = self.delegator(id);
        if !delegator.initialized {
            return Err(Refusal::NotADelegator(self.name(id)));
        }
        if delegator.withdraw_round > 0 || self.transcoder_end(delegator) > 0 {
            return Ok(Status::Unbonding);
        }
        Ok(if delegator.round_start > round { Status::Pending } else { Status::Bonded })
    }

    pub(super) fn period_over(&self, id: AccountId, round: Round) -> bool {
        let delegator = self.delegator(id);
        let end = match delegator.withdraw_round {
            0 => self.transcoder_end(delegator),
            end => end,
        };
        end > 0 && round >= end
    }

    /// Points a delegator, not a transcoder's own bond, at `to`; gives the stake that moves there.
    fn delegate(
        &mut self,
        id: AccountId,
        to: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<Amount, Refusal> {
        let Delegator { bonded, transcoder: present, .. } = *self.delegator(id);
        let mut round_start = self.delegator(id).round_start;
        let next = round.checked_add(1).ok_or(ArithmeticError::Overflow)?;
        if present.is_none_or(|present| !self.transcoder(present).registered) {
            round_start = next;
        }
        let mut moved = amount;
        if let Some(old) = present.filter(|old| *old != to) {
            round_start = next;
            self.decrease(old, bonded)?;
            moved = amount.plus(bonded)?;
        }
        let bonded = bonded.plus(amount)?;
        let delegator = self.delegator_mut(id);
        delegator.initialized = true;
        delegator.transcoder = Some(to);
        delegator.round_start = round_start;
        delegator.bonded = bonded;
        delegator.withdraw_round = 0;
        Ok(moved)
    }

    fn end_of_unbonding(&self, round: Round) -> Result<Round, ArithmeticError> {
        round.checked_add(self.params.unbonding_period).ok_or(ArithmeticError::Overflow)
    }

    /// When the delegators of a delegator's transcoder may leave because it resigned; 0 when it did not.
    fn transcoder_end(&self, delegator: &Delegator) -> Round {
        let transcoder = delegator.transcoder;
        transcoder.map_or(0, |transcoder| self.transcoder(transcoder).delegator_withdraw_round)
    }
}
