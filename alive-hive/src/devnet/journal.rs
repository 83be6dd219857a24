//! State that is undone block by block: [`Journal`].

use std::{borrow::Borrow, collections::BTreeMap, ops::RangeBounds};

/// A map, and what each changed entry was before, so that reversible blocks and refused transactions can be undone.
///
/// Blocks must come in ascending order. What is kept for undoing grows with the changes since the last irreversible
/// block.
#[derive(Debug)]
pub(super) struct Journal<K, V> {
    now: BTreeMap<K, V>,
    before: Vec<Before<K, V>>,
}

/// An entry before a block changed it, `None` if the block made it.
#[derive(Debug)]
struct Before<K, V> {
    block: u32,
    key: K,
    value: Option<V>,
}

/// A moment to go back to; good until the next undoing or settling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl<K: Ord + Clone, V> Journal<K, V> {
    /// Makes an entry that exists from the start, whatever is undone.
    pub(super) fn add_first(&mut self, key: K, value: V) {
        self.now.insert(key, value);
    }

    pub(super) fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.now.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    /// The entries of a range of keys, in order.
    pub(super) fn range<Q: Ord + ?Sized>(
        &self,
        range: impl RangeBounds<Q>,
    ) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.now.range(range)
    }

    pub(super) fn len(&self) -> usize {
        self.now.len()
    }

    /// Makes or changes an entry in a block.
    pub(super) fn set(&mut self, block: u32, key: K, value: V) {
        let before = self.now.insert(key.clone(), value);
        self.before.push(Before { block, key, value: before });
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.before.len())
    }

    /// Undoes everything since the mark.
    pub(super) fn undo_to(&mut self, mark: Mark) {
        while self.before.len() > mark.0 {
            self.undo_last();
        }
    }

    /// Undoes what blocks after this number changed.
    pub(super) fn undo_after(&mut self, block: u32) {
        while self.before.last().is_some_and(|last| last.block > block) {
            self.undo_last();
        }
    }

    /// Forgets how to undo blocks up to this number.
    pub(super) fn settle(&mut self, block: u32) {
        let settled = self.before.partition_point(|before| before.block <= block);
        self.before.drain(..settled);
    }

    fn undo_last(&mut self) {
        let Some(Before { key, value, .. }) = self.before.pop() else { return };
        match value {
            Some(value) => self.now.insert(key, value),
            None => self.now.remove(&key),
        };
    }
}

impl<K, V> Default for Journal<K, V> {
    fn default() -> Self {
        Self { now: BTreeMap::new(), before: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_settled_stays() {
        let mut journal = Journal::default();
        journal.set(1, "alice", 1);
        journal.set(2, "alice", 2);
        journal.settle(1);
        journal.undo_after(0);
        assert_eq!(journal.find("alice"), Some(&1));
    }

    #[test]
    fn a_mark_undoes_a_part_of_a_block() {
        let mut journal = Journal::default();
        journal.set(1, "alice", 1);
        let mark = journal.mark();
        journal.set(1, "alice", 2);
        journal.set(1, "bob", 3);
        journal.undo_to(mark);
        assert_eq!(journal.iter().collect::<Vec<_>>(), [(&"alice", &1)]);
    }

    proptest! {
        #[test]
        fn undoing_gives_back_what_was_after_each_block(
            blocks in prop::collection::vec(prop::collection::vec((0..6_u8, any::<u8>()), 0..8), 1..8),
            to: prop::sample::Index,
        ) {
            let mut journal = Journal::default();
            let mut states = vec![BTreeMap::new()];
            for (changes, block) in blocks.iter().zip(1..) {
                for (key, value) in changes {
                    journal.set(block, *key, *value);
                }
                states.push(journal.now.clone());
            }
            let to = to.index(states.len());
            journal.undo_after(u32::try_from(to).unwrap());
            prop_assert_eq!(&journal.now, &states[to]);
            journal.undo_after(0);
            prop_assert!(journal.now.is_empty() && journal.before.is_empty());
        }
    }
}
