//! Which blocks of an archive are kept: [`Sieve`], an engine without I/O.

use std::collections::HashSet;

use crate::{
    block::Block,
    cid::{self, Cid, Multihash},
    fetch::children,
};

/// Keeps the blocks of one file, as long as each comes after a parent of it; others are not worth the memory, for they may
/// belong to nothing.
#[derive(Debug)]
pub(crate) struct Sieve {
    kept: Vec<Block>,
    seen: HashSet<Multihash>,
    wanted: HashSet<Multihash>,
    /// Those of the wanted that may have children.
    nodes: HashSet<Multihash>,
}

impl Sieve {
    /// Starts with the root.
    pub(crate) fn new(root: &Cid, block: Block) -> Self {
        let mut sieve = Self {
            kept: Vec::new(),
            seen: HashSet::new(),
            wanted: HashSet::from([*block.hash()]),
            nodes: HashSet::new(),
        };
        if root.codec() == cid::DAG_PB {
            sieve.nodes.insert(*block.hash());
        }
        sieve.offer(block);
        sieve
    }

    /// How many blocks are wanted now.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// Takes a block; whether it belongs to the file, or came before.
    pub(crate) fn offer(&mut self, block: Block) -> bool {
        if self.seen.contains(block.hash()) {
            return true;
        }
        if !self.wanted.remove(block.hash()) {
            return false;
        }
        self.seen.insert(*block.hash());
        if self.nodes.remove(block.hash()) {
            for child in children(&block) {
                if self.seen.contains(child.hash()) {
                    continue;
                }
                self.wanted.insert(*child.hash());
                if child.codec() == cid::DAG_PB {
                    self.nodes.insert(*child.hash());
                }
            }
        }
        self.kept.push(block);
        true
    }

    /// What was kept, the root first.
    pub(crate) fn into_blocks(self) -> Vec<Block> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fuzzing::{put, put_node},
        store::{BlockStore as _, MemoryStore},
    };

    #[test]
    fn children_are_kept_after_their_parents_and_strangers_never() {
        let store = MemoryStore::default();
        let get = |cid: &Cid| store.get(cid.hash()).unwrap().unwrap();
        let leaves = [b"a", b"b", b"c"].map(|data| put(&store, data, cid::RAW).unwrap());
        let stranger = put(&store, b"x", cid::RAW).unwrap();
        let inner = put_node(&store, b"", &[(leaves[0], 1), (leaves[1], 1)]).unwrap();
        let root = put_node(&store, b"", &[(inner, 2), (leaves[2], 1)]).unwrap();
        let mut sieve = Sieve::new(&root, get(&root));
        assert_eq!(sieve.wanted(), 2);
        assert!(!sieve.offer(get(&leaves[0])), "before its parent");
        assert!(!sieve.offer(get(&stranger)));
        assert!(sieve.offer(get(&leaves[2])));
        assert!(sieve.offer(get(&inner)));
        assert!(sieve.offer(get(&leaves[0])));
        assert!(sieve.offer(get(&leaves[0])), "twice");
        assert_eq!(sieve.wanted(), 1);
        let kept: Vec<_> = sieve.into_blocks().iter().map(|block| *block.hash()).collect();
        assert_eq!(kept, [root, leaves[2], inner, leaves[0]].map(|cid| *cid.hash()));
    }

    #[test]
    fn a_raw_root_has_no_children_whatever_its_bytes_are() {
        let store = MemoryStore::default();
        let leaf = put(&store, b"a", cid::RAW).unwrap();
        let node = put_node(&store, b"", &[(leaf, 1)]).unwrap();
        let block = store.get(node.hash()).unwrap().unwrap();
        let raw = Cid::new_v1(cid::RAW, *node.hash());
        assert_eq!(Sieve::new(&raw, block).wanted(), 0);
    }
}
