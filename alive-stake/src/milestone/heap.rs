//! The binary heaps of 2017, whose array order shows: it fixes the reward windows.
//! Source: `spec/livepeer.md`, section 1.4.

use crate::{accounts::AccountId, amount::Amount};

/// A transcoder with its stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: AccountId,
    pub(crate) stake: Amount,
}

/// What stands at the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    LargestFirst,
    SmallestFirst,
}

/// A heap of limited size. Deleting from its middle can break it, and that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heap {
    order: Order,
    capacity: u64,
    entries: Vec<Entry>,
}

/// One step of a change of a heap's array, for the way back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeapChange {
    Popped(Entry),
    Pushed,
    Set(usize, Entry),
}

impl Heap {
    pub(super) fn new(order: Order, capacity: u64) -> Self {
        Self { order, capacity, entries: Vec::new() }
    }

    /// The array.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn root(&self) -> Option<Entry> {
        self.entries.first().copied()
    }

    pub(super) fn is_full(&self) -> bool {
        u64::try_from(self.entries.len()).is_ok_and(|len| len >= self.capacity)
    }

    /// Where a transcoder stands. The heaps are small, and there is no order to search by.
    pub(super) fn position(&self, id: AccountId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    pub(super) fn stake(&self, id: AccountId) -> Option<Amount> {
        self.entries.iter().find(|entry| entry.id == id).map(|entry| entry.stake)
    }

    /// Appends an entry and sifts it up. That there is room, the caller has looked.
    pub(super) fn insert(&mut self, entry: Entry, log: &mut impl FnMut(HeapChange)) {
        log(HeapChange::Pushed);
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1, log);
    }

    /// Moves the last entry to `at` and sifts it down only: the heap may be none afterwards.
    pub(super) fn remove(&mut self, at: usize, log: &mut impl FnMut(HeapChange)) {
        let Some(last) = self.entries.pop() else { return };
        log(HeapChange::Popped(last));
        if at < self.entries.len() {
            self.set(at, last, log);
            self.sift_down(at, log);
        }
    }

    /// Gives the entry at `at` another stake.
    pub(super) fn change(&mut self, at: usize, stake: Amount, log: &mut impl FnMut(HeapChange)) {
        let Some(entry) = self.entries.get(at).copied() else { return };
        self.set(at, Entry { stake, ..entry }, log);
        let grows = stake > entry.stake;
        if grows == (self.order == Order::SmallestFirst) {
            self.sift_down(at, log);
        } else {
            self.sift_up(at, log);
        }
    }

    pub(super) fn revert(&mut self, change: HeapChange) {
        match change {
            HeapChange::Popped(entry) => self.entries.push(entry),
            HeapChange::Pushed => drop(self.entries.pop()),
            HeapChange::Set(at, entry) => {
                if let Some(place) = self.entries.get_mut(at) {
                    *place = entry;
                }
            }
        }
    }

    fn sift_up(&mut self, mut at: usize, log: &mut impl FnMut(HeapChange)) {
        while at > 0 && self.before(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2, log);
            at = (at - 1) / 2;
        }
    }

    fn sift_down(&mut self, mut at: usize, log: &mut impl FnMut(HeapChange)) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if self.before(right, left) { right } else { left };
            if !self.before(child, at) {
                return;
            }
            self.swap(child, at, log);
            at = child;
        }
    }

    /// Whether the entry at `a` must stand above that at `b`; never among equals, nor outside of the array.
    fn before(&self, a: usize, b: usize) -> bool {
        let (Some(a), Some(b)) = (self.entries.get(a), self.entries.get(b)) else { return false };
        match self.order {
            Order::LargestFirst => a.stake > b.stake,
            Order::SmallestFirst => a.stake < b.stake,
        }
    }

    fn swap(&mut self, a: usize, b: usize, log: &mut impl FnMut(HeapChange)) {
        let (Some(at_a), Some(at_b)) = (self.entries.get(a).copied(), self.entries.get(b).copied())
        else {
            return;
        };
        self.set(a, at_b, log);
        self.set(b, at_a, log);
    }

    fn set(&mut self, at: usize, entry: Entry, log: &mut impl FnMut(HeapChange)) {
        if let Some(place) = self.entries.get_mut(at) {
            log(HeapChange::Set(at, *place));
            *place = entry;
        }
    }
}
