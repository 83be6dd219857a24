//! The active pool and the candidates, and how transcoders move between them.
//! Source: `spec/livepeer.md`, section 1.5.

use crate::{accounts::AccountId, amount::Amount, call::Effect, refusal::Refusal};

use super::{
    Change, Milestone, Which,
    heap::{Entry, Heap},
};

impl Milestone {
    /// Puts a transcoder that is in neither pool into one of them.
    pub(super) fn add(&mut self, id: AccountId, stake: Amount) -> Result<(), Refusal> {
        if !self.state.active.is_full() {
            self.insert(Which::Active, id, stake)?;
            self.report_stake(id, stake);
            return Ok(());
        }
        let smallest = self.state.active.root().ok_or(Refusal::PoolsFull)?;
        if stake > smallest.stake {
            self.remove(Which::Active, smallest.id)?;
            self.insert(Which::Active, id, stake)?;
            match self.state.candidates.root() {
                None => self.insert(Which::Candidates, smallest.id, smallest.stake)?,
                // The best candidate is dropped, room or not.
                Some(largest) if smallest.stake >= largest.stake => {
                    self.remove(Which::Candidates, largest.id)?;
                    self.insert(Which::Candidates, smallest.id, smallest.stake)?;
                }
                Some(_) => {}
            }
        } else {
            self.insert(Which::Candidates, id, stake)?;
        }
        self.report_stake(id, stake);
        Ok(())
    }

    /// Raises a transcoder's stake, which may bring a candidate into the active pool.
    pub(super) fn increase(&mut self, id: AccountId, amount: Amount) -> Result<(), Refusal> {
        if let Some(stake) = self.state.active.stake(id) {
            let stake = stake.plus(amount)?;
            self.change(Which::Active, id, stake);
            self.report_stake(id, stake);
            return Ok(());
        }
        let stake = self.state.candidates.stake(id);
        let stake = stake.ok_or_else(|| Refusal::NotInAnyPool(self.name(id)))?.plus(amount)?;
        self.change(Which::Candidates, id, stake);
        self.report_stake(id, stake);
        let is_root = self.state.candidates.root().is_some_and(|root| root.id == id);
        if is_root {
            let smallest = self.state.active.root().ok_or(Refusal::PoolsFull)?;
            if stake > smallest.stake {
                self.remove(Which::Active, smallest.id)?;
                self.insert(Which::Active, id, stake)?;
                self.remove(Which::Candidates, id)?;
                self.insert(Which::Candidates, smallest.id, smallest.stake)?;
            }
        }
        Ok(())
    }

    /// Lowers a transcoder's stake, which may send it to the candidates.
    pub(super) fn decrease(&mut self, id: AccountId, amount: Amount) -> Result<(), Refusal> {
        if let Some(stake) = self.state.active.stake(id) {
            let stake = stake.minus(amount)?;
            self.change(Which::Active, id, stake);
            self.report_stake(id, stake);
            let is_root = self.state.active.root().is_some_and(|root| root.id == id);
            if let Some(largest) = self.state.candidates.root()
                && is_root
                && stake < largest.stake
            {
                self.remove(Which::Active, id)?;
                self.insert(Which::Active, largest.id, largest.stake)?;
                self.remove(Which::Candidates, largest.id)?;
                self.insert(Which::Candidates, id, stake)?;
            }
            return Ok(());
        }
        let stake = self.state.candidates.stake(id);
        let stake = stake.ok_or_else(|| Refusal::NotInAnyPool(self.name(id)))?.minus(amount)?;
        self.change(Which::Candidates, id, stake);
        self.report_stake(id, stake);
        Ok(())
    }

    /// Takes a transcoder out of its pool; the best candidate takes the place of an active one.
    pub(super) fn leave_pools(&mut self, id: AccountId) -> Result<(), Refusal> {
        if self.state.active.position(id).is_none() {
            return self.remove(Which::Candidates, id);
        }
        self.remove(Which::Active, id)?;
        if let Some(best) = self.state.candidates.root() {
            self.remove(Which::Candidates, best.id)?;
            self.insert(Which::Active, best.id, best.stake)?;
        }
        Ok(())
    }

    /// A transcoder's stake in whichever pool it is.
    pub(super) fn total_stake(&self, id: AccountId) -> Option<Amount> {
        self.state.active.stake(id).or_else(|| self.state.candidates.stake(id))
    }

    fn insert(&mut self, which: Which, id: AccountId, stake: Amount) -> Result<(), Refusal> {
        let (heap, log) = heap_and_log(which, &mut self.state, &mut self.log);
        if heap.is_full() {
            return Err(Refusal::PoolsFull);
        }
        heap.insert(Entry { id, stake }, &mut |change| log.push(Change::Heap(which, change)));
        if which == Which::Active {
            self.effects.push(Effect::Joined { transcoder: self.name(id), stake });
        }
        Ok(())
    }

    fn remove(&mut self, which: Which, id: AccountId) -> Result<(), Refusal> {
        let (heap, log) = heap_and_log(which, &mut self.state, &mut self.log);
        let Some(at) = heap.position(id) else {
            return Err(Refusal::NotInAnyPool(self.name(id)));
        };
        heap.remove(at, &mut |change| log.push(Change::Heap(which, change)));
        if which == Which::Active {
            self.effects.push(Effect::Left { transcoder: self.name(id) });
        }
        Ok(())
    }

    fn change(&mut self, which: Which, id: AccountId, stake: Amount) {
        let (heap, log) = heap_and_log(which, &mut self.state, &mut self.log);
        if let Some(at) = heap.position(id) {
            heap.change(at, stake, &mut |change| log.push(Change::Heap(which, change)));
        }
    }

    fn report_stake(&mut self, id: AccountId, stake: Amount) {
        self.effects.push(Effect::StakeChanged { transcoder: self.name(id), stake });
    }
}

fn heap_and_log<'a>(
    which: Which,
    state: &'a mut super::State,
    log: &'a mut Vec<Change>,
) -> (&'a mut Heap, &'a mut Vec<Change>) {
    let heap = match which {
        Which::Active => &mut state.active,
        Which::Candidates => &mut state.candidates,
    };
    (heap, log)
}
