//! Claiming: what a delegator earned since its last claim, from two factors, however many rounds lie between.
//! Source: `spec/livepeer.md`, section 2.4.

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::{Effect, Round},
    params::FACTOR_WHOLE,
    refusal::Refusal,
};

use super::{Delegator, Factors, Mature};

/// A bond and fees with all that was earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) stake: Amount,
    pub(super) fees: Amount,
}

impl Mature {
    /// Adds what was earned to the bond and the fees, once a round.
    pub(super) fn claim(&mut self, id: AccountId, round: Round) -> Result<(), Refusal> {
        let before = *self.delegator(id);
        if before.last_claim_round == round {
            return Ok(());
        }
        let Some(delegate) = before.delegate else {
            self.delegator_mut(id).last_claim_round = round;
            return Ok(());
        };
        let pending = self.pending(id, round)?;
        self.ensure_factors(delegate, round);
        if delegate == id {
            let transcoder = self.transcoder_mut(id);
            transcoder.cumulative_rewards = Amount::ZERO;
            transcoder.cumulative_fees = Amount::ZERO;
        }
        let delegator = self.delegator_mut(id);
        delegator.bonded = pending.stake;
        delegator.fees = pending.fees;
        delegator.last_claim_round = round;
        // Factors never shrink; were they to, there would be nothing to report, and nothing to refuse.
        let rewards = pending.stake.minus(before.bonded).unwrap_or_default();
        let fees = pending.fees.minus(before.fees).unwrap_or_default();
        if !(rewards.is_zero() && fees.is_zero()) {
            self.effects.push(Effect::Claimed { delegator: self.name(id), rewards, fees });
        }
        Ok(())
    }

    /// The bond and the fees as a claim in this round would make them.
    pub(super) fn pending(&self, id: AccountId, round: Round) -> Result<Pending, ArithmeticError> {
        let Delegator { bonded, fees, delegate, last_claim_round, .. } = *self.delegator(id);
        let mut pending = Pending { stake: bonded, fees };
        let Some(delegate) = delegate else { return Ok(pending) };
        if last_claim_round < round {
            let start = self.earnings(delegate, last_claim_round).factors;
            let end = self.latest_factors(delegate, round);
            let start_reward = or_whole(start.reward);
            let earned_fees = bonded.part(end.fee.minus(start.fee)?, start_reward, FACTOR_WHOLE)?;
            pending.fees = fees.plus(earned_fees)?;
            pending.stake = bonded.part(or_whole(end.reward), start_reward, FACTOR_WHOLE)?;
        }
        if delegate == id {
            let transcoder = self.transcoder(id);
            pending.stake = pending.stake.plus(transcoder.cumulative_rewards)?;
            pending.fees = pending.fees.plus(transcoder.cumulative_fees)?;
        }
        Ok(pending)
    }

    /// Whether a claim now takes nothing away: it does while the active delegate has yet to call reward in this round.
    /// Source: `spec/livepeer.md`, section 2.6.
    pub(crate) fn safe_to_claim(&self, id: AccountId, round: Round) -> bool {
        let delegator = self.delegator(id);
        if delegator.last_claim_round == round || delegator.bonded.is_zero() {
            return true;
        }
        delegator.delegate.is_none_or(|delegate| {
            !self.active(delegate, round) || self.transcoder(delegate).last_reward_round == round
        })
    }

    /// The factors at a round, or the last ones before it.
    pub(super) fn latest_factors(&self, id: AccountId, round: Round) -> Factors {
        let transcoder = self.transcoder(id);
        let mut factors = self.earnings(id, round).factors;
        if factors.reward.is_zero() && transcoder.last_reward_round < round {
            factors.reward = self.earnings(id, transcoder.last_reward_round).factors.reward;
        }
        if factors.fee.is_zero() && transcoder.last_fee_round < round {
            factors.fee = self.earnings(id, transcoder.last_fee_round).factors.fee;
        }
        factors
    }

    /// Writes the last factors down at this round, where a later claim will look for them.
    pub(super) fn ensure_factors(&mut self, id: AccountId, round: Round) {
        let (has, latest) = (self.earnings(id, round).factors, self.latest_factors(id, round));
        if has != latest {
            self.earnings_mut(id, round).factors = latest;
        }
    }
}

/// A reward factor that was not set is 1.
pub(super) fn or_whole(factor: Amount) -> Amount {
    if factor.is_zero() { FACTOR_WHOLE } else { factor }
}
