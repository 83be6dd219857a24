//! The pool of `mature`: one list, largest stake first, the newest first among equals.

use crate::{accounts::AccountId, amount::Amount};

/// A transcoder with its stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: AccountId,
    pub(crate) stake: Amount,
}

/// Transcoders by stake. The capacity is looked at by who inserts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pool(Vec<Entry>);

/// One step of a change of the pool, for the way back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PoolChange {
    Inserted(usize),
    Removed(usize, Entry),
}

impl Pool {
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The entry with the least stake, of equals the oldest.
    pub(crate) fn last(&self) -> Option<Entry> {
        self.0.last().copied()
    }

    /// Whether `id`, whose stake is `stake`, is in the pool. Equal stakes are walked over, others are not.
    pub(crate) fn contains(&self, id: AccountId, stake: Amount) -> bool {
        self.position(id, stake).is_some()
    }

    /// Puts an entry before the first whose stake is not larger.
    pub(crate) fn insert(&mut self, entry: Entry, mut log: impl FnMut(PoolChange)) {
        let at = self.0.partition_point(|other| other.stake > entry.stake);
        log(PoolChange::Inserted(at));
        self.0.insert(at, entry);
    }

    /// Takes an entry out; whether it was there.
    pub(crate) fn remove(
        &mut self,
        id: AccountId,
        stake: Amount,
        mut log: impl FnMut(PoolChange),
    ) -> bool {
        let Some(at) = self.position(id, stake) else { return false };
        let entry = self.0.remove(at);
        log(PoolChange::Removed(at, entry));
        true
    }

    pub(crate) fn revert(&mut self, change: PoolChange) {
        match change {
            PoolChange::Inserted(at) => drop(self.0.remove(at)),
            PoolChange::Removed(at, entry) => self.0.insert(at, entry),
        }
    }

    fn position(&self, id: AccountId, stake: Amount) -> Option<usize> {
        let start = self.0.partition_point(|other| other.stake > stake);
        let equals = self.0.iter().skip(start).take_while(|other| other.stake == stake);
        equals.zip(start..).find(|(other, _)| other.id == id).map(|(_, at)| at)
    }
}
