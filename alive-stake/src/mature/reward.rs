//! Rounds, rewards and fees. Source: `spec/livepeer.md`, section 2.5.

use std::sync::Arc;

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::{Effect, Round},
    elect::{RoundSet, SetEntry},
    params::{FACTOR_WHOLE, INFLATION_WHOLE, RATE_WHOLE},
    refusal::Refusal,
};

use super::{Earnings, Globals, Mature, claim::or_whole};

impl Mature {
    /// Begins a round: what was gathered for the next one now counts, and inflation moves towards its target.
    pub(super) fn initialize_round(&mut self, round: Round) -> Result<(), Refusal> {
        let globals = self.state.globals;
        if globals.last_initialized_round >= round {
            return Err(Refusal::RoundInitialized(round));
        }
        let inflation = self.next_inflation(globals.next_total_stake)?;
        let supply = self.state.token.supply;
        let mintable = supply.share(inflation.into(), INFLATION_WHOLE.into())?;
        *self.globals_mut() = Globals {
            last_initialized_round: round,
            current_total_stake: globals.next_total_stake,
            inflation,
            mintable,
            minted: Amount::ZERO,
            treasury_rate: globals.next_treasury_rate,
            ..globals
        };
        let set = self.take_set(round);
        let old = std::mem::replace(&mut self.state.round_set, Arc::new(set));
        self.log.push(super::Change::RoundSet(old));
        self.effects.push(Effect::RoundInitialized { round });
        Ok(())
    }

    /// Mints an active transcoder's part of the round's tokens and shares it with its delegators.
    pub(super) fn reward(&mut self, id: AccountId, round: Round) -> Result<(), Refusal> {
        let transcoder = *self.transcoder(id);
        if !self.active(id, round) {
            return Err(Refusal::NotActive(self.name(id)));
        }
        if transcoder.last_reward_round == round {
            return Err(Refusal::AlreadyRewarded { round });
        }
        let previous = self.earnings(id, transcoder.last_reward_round).factors.reward;
        let total_stake = self.sync_earnings(id, round).total_stake;
        self.stop_treasury_at_ceiling();
        let globals = self.state.globals;
        let minted = self.mint_reward(total_stake)?;
        let treasury_part = minted.share(globals.treasury_rate, FACTOR_WHOLE)?;
        if !treasury_part.is_zero() {
            self.pay(self.minter, self.treasury, treasury_part)?;
        }
        let rewards = minted.minus(treasury_part)?;
        let commission = rewards.share(transcoder.reward_cut.into(), RATE_WHOLE.into())?;
        let shared = rewards.minus(commission)?;
        let own = transcoder.cumulative_rewards;
        let own_share = shared.part(own, total_stake, FACTOR_WHOLE)?;
        let previous = or_whole(previous);
        let factor = previous.plus(previous.part(shared, total_stake, FACTOR_WHOLE)?)?;
        self.earnings_mut(id, round).factors.reward = factor;
        let cumulative = own.plus(own_share)?.plus(commission)?;
        let transcoder = self.transcoder_mut(id);
        transcoder.active_cumulative_rewards = own;
        transcoder.cumulative_rewards = cumulative;
        transcoder.last_reward_round = round;
        self.effects.push(Effect::Rewarded { transcoder: self.name(id), minted });
        self.increase(id, rewards, round)
    }

    /// Shares fees that a transcoder earned with its delegators.
    pub(super) fn share_fees(
        &mut self,
        id: AccountId,
        amount: Amount,
        round: Round,
    ) -> Result<(), Refusal> {
        if !self.registered(id) {
            return Err(Refusal::NotRegistered(self.name(id)));
        }
        let transcoder = *self.transcoder(id);
        let before = round.checked_sub(1).ok_or(ArithmeticError::Underflow)?;
        let mut previous = self.latest_factors(id, before);
        let (earnings, own) = if round > transcoder.last_reward_round {
            (self.sync_earnings(id, round), transcoder.cumulative_rewards)
        } else {
            (self.earnings(id, round), transcoder.active_cumulative_rewards)
        };
        if previous.reward.is_zero() && transcoder.last_reward_round == round {
            previous.reward = self.factor_before_reward(&earnings)?;
        }
        let shared = amount.share(earnings.fee_share.into(), RATE_WHOLE.into())?;
        let own_share = shared.part(own, earnings.total_stake, FACTOR_WHOLE)?;
        let kept = amount.minus(shared)?;
        let fees = transcoder.cumulative_fees.plus(own_share)?.plus(kept)?;
        let so_far = earnings.factors.fee;
        let so_far = if so_far.is_zero() { previous.fee } else { so_far };
        let per_stake =
            or_whole(previous.reward).part(shared, earnings.total_stake, FACTOR_WHOLE)?;
        self.earnings_mut(id, round).factors.fee = so_far.plus(per_stake)?;
        let transcoder = self.transcoder_mut(id);
        transcoder.cumulative_fees = fees;
        transcoder.last_fee_round = round;
        self.effects.push(Effect::FeesShared { transcoder: self.name(id), amount });
        Ok(())
    }

    /// Inflation of the round that begins with so much stake.
    fn next_inflation(&self, stake: Amount) -> Result<u64, ArithmeticError> {
        let (supply, change) = (self.state.token.supply, self.params.inflation_change);
        let bonding_rate = if supply.is_zero() {
            Amount::ZERO
        } else {
            stake.times(INFLATION_WHOLE.into())?.over(supply)?
        };
        let inflation = self.state.globals.inflation;
        match bonding_rate.cmp(&self.params.target_bonding_rate.into()) {
            std::cmp::Ordering::Less => {
                inflation.checked_add(change).ok_or(ArithmeticError::Overflow)
            }
            std::cmp::Ordering::Equal => Ok(inflation),
            std::cmp::Ordering::Greater => Ok(inflation.saturating_sub(change)),
        }
    }

    /// The round's set: the pool cannot change between the last round's end and the beginning of this one.
    fn take_set(&self, round: Round) -> RoundSet {
        let entries = self.state.pool.entries().iter().map(|entry| {
            let price = self.transcoder(entry.id).price.at(round);
            SetEntry::new(self.name(entry.id), entry.stake, price)
        });
        RoundSet::new(round, entries.collect())
    }

    /// Brings a transcoder's earnings pool of this round up to its present terms and the stake that counts.
    fn sync_earnings(&mut self, id: AccountId, round: Round) -> Earnings {
        let transcoder = *self.transcoder(id);
        let updated = transcoder.last_active_stake_update_round;
        let stake = (updated < round).then(|| self.earnings(id, updated).total_stake);
        let earnings = self.earnings_mut(id, round);
        earnings.reward_cut = transcoder.reward_cut;
        earnings.fee_share = transcoder.fee_share;
        earnings.total_stake = stake.unwrap_or(earnings.total_stake);
        *earnings
    }

    fn stop_treasury_at_ceiling(&mut self) {
        let ceiling = self.params.treasury_balance_ceiling;
        let full = !ceiling.is_zero() && self.state.token.balances[self.treasury] >= ceiling;
        if full && !self.state.globals.next_treasury_rate.is_zero() {
            self.globals_mut().next_treasury_rate = Amount::ZERO;
        }
    }

    /// Mints the part of the round's tokens that a stake stands for.
    fn mint_reward(&mut self, stake: Amount) -> Result<Amount, Refusal> {
        let Globals { mintable, minted, current_total_stake, .. } = self.state.globals;
        let amount = mintable.part(stake, current_total_stake, INFLATION_WHOLE.into())?;
        let minted = minted.plus(amount)?;
        if minted > mintable {
            return Err(Refusal::MintLimit);
        }
        self.globals_mut().minted = minted;
        self.mint(self.minter, amount)?;
        Ok(amount)
    }

    /// What the reward factor was before this round's reward, when none was written down because earlier rewards were
    /// missed.
    fn factor_before_reward(&self, earnings: &Earnings) -> Result<Amount, ArithmeticError> {
        let Globals { mintable, minted, current_total_stake, treasury_rate, .. } =
            self.state.globals;
        let stake = earnings.total_stake;
        let rewards = mintable.plus(minted)?.part(stake, current_total_stake, FACTOR_WHOLE)?;
        let rewards = rewards.minus(rewards.share(treasury_rate, FACTOR_WHOLE)?)?;
        let cut = rewards.share(earnings.reward_cut.into(), RATE_WHOLE.into())?;
        let rewards = rewards.minus(cut)?;
        earnings.factors.reward.part(stake, rewards.plus(stake)?, FACTOR_WHOLE)
    }
}
