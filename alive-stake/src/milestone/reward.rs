//! Rounds and rewards. Source: `spec/livepeer.md`, section 1.6.

use crate::{
    accounts::AccountId,
    amount::{Amount, ArithmeticError},
    call::{Effect, Round},
    refusal::Refusal,
};

use super::{Change, Milestone, RewardPool, heap::Entry};

/// Seconds in a year, as the contract counts them.
const YEAR_SECONDS: u64 = 31_536_000;

impl Milestone {
    /// Begins a round: the active heap's array becomes the round's set.
    pub(super) fn initialize_round(&mut self, round: Round) {
        if self.state.last_initialized_round == round {
            self.effects.push(Effect::AlreadyInitialized);
            return;
        }
        self.log.push(Change::LastInitialized(self.state.last_initialized_round));
        self.state.last_initialized_round = round;
        let set = self.state.active.entries().to_vec();
        let old = std::mem::take(&mut self.state.round_set);
        for (position, entry) in set.iter().enumerate() {
            // In this order, one after the other: a transcoder that moved to a lower place loses its flag to the one
            // that comes after it.
            if let Some(old) = old.get(position) {
                self.transcoder_mut(old.id).in_round_set = false;
            }
            let transcoder = self.transcoder_mut(entry.id);
            transcoder.in_round_set = true;
            transcoder.position = position;
            transcoder.rates = transcoder.pending;
        }
        self.log.push(Change::RoundSet(old));
        self.state.round_set = set;
        self.effects.push(Effect::RoundInitialized { round });
    }

    /// Mints a transcoder's reward, in its window of a cycle.
    pub(super) fn reward(&mut self, id: AccountId, block: u64) -> Result<(), Refusal> {
        let round = self.round(block);
        let transcoder = *self.transcoder(id);
        if !transcoder.in_round_set {
            return Err(Refusal::NotInRoundSet(self.name(id)));
        }
        let cycle = self.cycle_in_window(block, transcoder.position)?;
        if transcoder.reward_round == round && transcoder.reward_cycle == cycle {
            return Err(Refusal::AlreadyRewarded { round });
        }
        let minted = self.minted_per_reward()?;
        let own = minted.share(transcoder.rates.block_reward_cut.into(), Amount::from(100_u64))?;
        self.fill_reward_pool(id, round, cycle, minted.minus(own)?)?;
        let bonded = transcoder.bonded.plus(own)?;
        let record = self.transcoder_mut(id);
        record.reward_round = round;
        record.reward_cycle = cycle;
        record.bonded = bonded;
        self.mint(self.protocol, minted)?;
        self.effects.push(Effect::Rewarded { transcoder: self.name(id), minted });
        self.increase(id, minted)
    }

    /// What one call of reward mints, however many transcoders there are.
    pub(super) fn minted_per_reward(&self) -> Result<Amount, ArithmeticError> {
        let params = &self.params;
        let yearly = Amount::from(params.yearly_inflation_pct);
        let yearly = params.initial_token_supply.share(yearly, Amount::from(100_u64))?;
        let blocks = YEAR_SECONDS.checked_div(params.block_time);
        let rounds = blocks.ok_or(ArithmeticError::DivisionByZero)? / params.round_length;
        let cycles = Amount::from(rounds).times(params.cycles_per_round.into())?;
        yearly.over(cycles.times(params.n.into())?)
    }

    /// The present cycle, if the block lies in the window of that position.
    fn cycle_in_window(&self, block: u64, position: usize) -> Result<u64, Refusal> {
        let (length, n) = (self.params.round_length.get(), self.params.n);
        let windows =
            self.params.cycles_per_round.checked_mul(n).ok_or(ArithmeticError::Overflow)?;
        let window = length.checked_div(windows).ok_or(ArithmeticError::DivisionByZero)?;
        if window == 0 {
            return Err(Refusal::WindowZero);
        }
        // A window times n is at most the length of a round, and the rest is at most the block's number.
        let (start, cycle_length) = (block - block % length, window * n);
        let cycle = (block - start) / cycle_length;
        let position = u64::try_from(position).map_err(|_| ArithmeticError::Overflow)?;
        let offset = position.checked_mul(window).ok_or(ArithmeticError::Overflow)?;
        let from = (start + cycle * cycle_length).checked_add(offset);
        let from = from.ok_or(ArithmeticError::Overflow)?;
        let end = from.checked_add(window).ok_or(ArithmeticError::Overflow)?;
        if (from..end).contains(&block) {
            return Ok(cycle);
        }
        Err(Refusal::OutsideRewardWindow { block, from, end })
    }

    /// Adds to what the delegators share in this round; the first reward fixes the stake they share it by.
    fn fill_reward_pool(
        &mut self,
        id: AccountId,
        round: Round,
        cycle: u64,
        tokens: Amount,
    ) -> Result<(), Refusal> {
        let key = (id, round);
        let old = self.state.reward_pools.get(&key).copied();
        let RewardPool { tokens: before, mut stake } = old.unwrap_or_default();
        if cycle == 0 || stake.is_zero() {
            let entry: Option<&Entry> = self.state.round_set.get(self.transcoder(id).position);
            stake = entry.ok_or_else(|| Refusal::NotInRoundSet(self.name(id)))?.stake;
        }
        let tokens = before.plus(tokens)?;
        self.log.push(Change::RewardPool(key, old));
        self.state.reward_pools.insert(key, RewardPool { tokens, stake });
        Ok(())
    }
}
