//! State that is undone block by block: [`Journal`].

use std::{borrow::Borrow, collections::BTreeMap, ops::RangeBounds};

/// A map, and what each changed entry was before, so that reversible blocks and refused transactions can be undone.
///
/// Blocks, whose numbers are of type `B`, must come in ascending order. What is kept for undoing grows with the changes since
/// the last irreversible block.
///
/// ```
/// let mut funds = alive_devnet::Journal::<&str, u32>::default();
/// funds.set(1, "alice", 5);
/// funds.set(2, "alice", 3);
/// funds.undo_after(1);
/// assert_eq!(funds.get("alice"), Some(&5));
/// ```
#[derive(Debug)]
pub struct Journal<K, V, B = u64> {
    now: BTreeMap<K, V>,
    before: Vec<Before<K, V, B>>,
}

/// An entry before a block changed it, `None` if the block made it.
#[derive(Debug)]
struct Before<K, V, B> {
    block: B,
    key: K,
    value: Option<V>,
}

/// A moment to go back to; good until the next undoing or settling.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl<K: Ord + Clone, V, B: Ord + Copy> Journal<K, V, B> {
    /// Makes an entry that exists from the start, whatever is undone.
    pub fn add_first(&mut self, key: K, value: V) {
        self.now.insert(key, value);
    }

    /// An entry.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.now.get(key)
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    /// The entries of a range of keys, in order.
    pub fn range<Q: Ord + ?Sized>(
        &self,
        range: impl RangeBounds<Q>,
    ) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.now.range(range)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.now.len()
    }

    /// Makes or changes an entry in a block.
    pub fn set(&mut self, block: B, key: K, value: V) {
        let before = self.now.insert(key.clone(), value);
        self.before.push(Before { block, key, value: before });
    }

    /// This moment, to go back to.
    pub fn mark(&self) -> Mark {
        Mark(self.before.len())
    }

    /// Undoes everything since the mark.
    pub fn undo_to(&mut self, mark: Mark) {
        while self.before.len() > mark.0 {
            self.undo_last();
        }
    }

    /// Undoes what blocks after this number changed.
    pub fn undo_after(&mut self, block: B) {
        while self.before.last().is_some_and(|last| last.block > block) {
            self.undo_last();
        }
    }

    /// Forgets how to undo blocks up to this number.
    pub fn settle(&mut self, block: B) {
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

impl<K, V, B> Default for Journal<K, V, B> {
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
        let mut journal = Journal::<_, _>::default();
        journal.set(1, "alice", 1);
        journal.set(2, "alice", 2);
        journal.settle(1);
        journal.undo_after(0);
        assert_eq!(journal.get("alice"), Some(&1));
    }

    #[test]
    fn a_mark_undoes_a_part_of_a_block() {
        let mut journal = Journal::<_, _>::default();
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
            settled: prop::sample::Index,
        ) {
            let mut journal = Journal::<_, _>::default();
            let mut states = vec![BTreeMap::new()];
            for (changes, block) in blocks.iter().zip(1..) {
                for (key, value) in changes {
                    journal.set(block, *key, *value);
                }
                states.push(journal.now.clone());
            }
            let settled = settled.index(states.len());
            journal.settle(settled as u64);
            let to = to.index(states.len());
            journal.undo_after(to as u64);
            prop_assert_eq!(&journal.now, &states[to.max(settled)]);
            journal.undo_after(0);
            prop_assert_eq!(&journal.now, &states[settled]);
            prop_assert!(journal.before.is_empty());
        }
    }
}
