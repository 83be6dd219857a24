//! State that is undone block by block: [`Journal`].

use std::{borrow::Borrow, collections::BTreeMap};

/// A map, and what each changed entry was before, so that blocks can be undone. Blocks must come in ascending order.
#[derive(Debug)]
pub(super) struct Journal<K, V> {
    now: BTreeMap<K, V>,
    before: Vec<Before<K, V>>,
}

/// An entry before a block changed it, `None` if the block made it.
#[derive(Debug)]
struct Before<K, V> {
    block: u64,
    key: K,
    value: Option<V>,
}

impl<K, V> Default for Journal<K, V> {
    fn default() -> Self {
        Self { now: BTreeMap::new(), before: Vec::new() }
    }
}

impl<K: Ord + Clone, V> Journal<K, V> {
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.now.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    pub(super) fn set(&mut self, block: u64, key: K, value: V) {
        let before = self.now.insert(key.clone(), value);
        self.before.push(Before { block, key, value: before });
    }

    /// Makes everything as it was after that block.
    pub(super) fn undo_after(&mut self, block: u64) {
        while let Some(before) = self.before.pop_if(|before| before.block > block) {
            match before.value {
                Some(value) => drop(self.now.insert(before.key, value)),
                None => drop(self.now.remove(&before.key)),
            }
        }
    }

    /// Forgets how to undo that block and all before it.
    pub(super) fn settle(&mut self, block: u64) {
        let kept = self.before.iter().position(|before| before.block > block);
        self.before.drain(..kept.unwrap_or(self.before.len()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn undoing_gives_back_what_was_after_each_block(
            blocks in prop::collection::vec(prop::collection::vec((0..6_u8, any::<u8>()), 0..8), 1..8),
            to: prop::sample::Index,
            settled: prop::sample::Index,
        ) {
            let mut journal = Journal::default();
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
        }
    }
}
