//! What a store on disk takes, what of it is in use, and since when: [`Usage`].

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Uses that are written along with a change, at most: they wait, they are not lost.
const USES_A_CHANGE: usize = 1024;

/// Room, numbers and uses of a store, in memory.
#[derive(Debug)]
pub(super) struct Usage {
    next: AtomicU64,
    /// Whether nothing could be evicted, and nothing has changed since that could change that.
    futile: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of packs and of blocks in the index.
    used: u64,
    /// Bytes that batches may still write.
    reserved: u64,
    /// Numbers that open batches rely on, and how many do.
    claims: HashMap<u64, u32>,
    /// A clock that counts uses, when each number was used last, and which of that is not in the index.
    clock: u64,
    uses: HashMap<u64, u64>,
    dirty: HashSet<u64>,
}

impl Usage {
    pub(super) fn new(next: u64, used: u64, uses: HashMap<u64, u64>) -> Self {
        let clock = uses.values().copied().max().unwrap_or(0);
        let state = State { used, clock, uses, ..State::default() };
        Self { next: next.into(), futile: false.into(), state: Mutex::new(state) }
    }

    /// A number that no put and no pack has or had.
    pub(super) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Bytes of packs and of blocks in the index.
    pub(super) fn used(&self) -> u64 {
        self.state().used
    }

    /// Those, and the bytes that batches may still write.
    pub(super) fn occupied(&self) -> u64 {
        let state = self.state();
        state.used.saturating_add(state.reserved)
    }

    pub(super) fn change(&self, more: u64, less: u64) {
        let mut state = self.state();
        state.used = state.used.saturating_add(more).saturating_sub(less);
    }

    /// Notes that something of a number has been used.
    pub(super) fn touch(&self, number: u64) {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        state.uses.insert(number, now);
        state.dirty.insert(number);
    }

    /// Notes that what had one number has another now.
    pub(super) fn replace(&self, old: u64, new: u64) {
        let mut state = self.state();
        if let Some(at) = state.uses.remove(&old) {
            state.uses.insert(new, at);
        }
        state.dirty.remove(&old);
    }

    pub(super) fn forget(&self, number: u64) {
        let mut state = self.state();
        state.uses.remove(&number);
        state.dirty.remove(&number);
    }

    /// When a number was used last.
    pub(super) fn last_use(&self, number: u64) -> u64 {
        self.state().uses.get(&number).copied().unwrap_or(0)
    }

    /// Takes uses that are to be written.
    pub(super) fn take_uses(&self) -> Vec<(u64, u64)> {
        let mut state = self.state();
        let taken: Vec<u64> = state.dirty.iter().copied().take(USES_A_CHANGE).collect();
        let at = |number: u64| (number, state.uses.get(&number).copied().unwrap_or(0));
        let uses = taken.iter().map(|number| at(*number)).collect();
        for number in taken {
            state.dirty.remove(&number);
        }
        uses
    }

    pub(super) fn is_claimed(&self, number: u64) -> bool {
        self.state().claims.contains_key(&number)
    }

    pub(super) fn is_futile(&self) -> bool {
        self.futile.load(Ordering::Relaxed)
    }

    pub(super) fn set_futile(&self, futile: bool) {
        self.futile.store(futile, Ordering::Relaxed);
    }

    // Nothing panics while it holds the lock: poison says nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an open batch relies on: numbers that are not evicted, and room. Given up when it is dropped.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    usage: &'a Usage,
    numbers: HashSet<u64>,
    bytes: u64,
}

impl<'a> Claim<'a> {
    pub(super) fn new(usage: &'a Usage) -> Self {
        Self { usage, numbers: HashSet::new(), bytes: 0 }
    }

    /// Relies on a number.
    pub(super) fn add(&mut self, number: u64) {
        if self.numbers.insert(number) {
            *self.usage.state().claims.entry(number).or_insert(0) += 1;
        }
    }

    /// Takes room for so many bytes, if there is within a limit.
    pub(super) fn reserve(&mut self, bytes: u64, limit: Option<u64>) -> bool {
        let mut state = self.usage.state();
        let after = state.used.saturating_add(state.reserved).saturating_add(bytes);
        if limit.is_some_and(|limit| after > limit) {
            return false;
        }
        state.reserved = state.reserved.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        true
    }

    /// Turns the room that was taken into what was written in fact.
    pub(super) fn spend(&mut self, bytes: u64) {
        let mut state = self.usage.state();
        state.reserved = state.reserved.saturating_sub(self.bytes);
        state.used = state.used.saturating_add(bytes);
        self.bytes = 0;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.usage.state();
        state.reserved = state.reserved.saturating_sub(self.bytes);
        for number in &self.numbers {
            if let Some(count) = state.claims.get_mut(number) {
                *count -= 1;
                if *count == 0 {
                    state.claims.remove(number);
                }
            }
        }
        drop(state);
        self.usage.set_futile(false);
    }
}
