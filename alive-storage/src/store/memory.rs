//! Blocks in memory: [`MemoryStore`].

use std::{
    collections::{BTreeSet, HashMap},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;

use super::{BlockBatch, BlockStore, StoreError, digest_of};
use crate::{
    block::{Block, NewBlock},
    cid::{Cid, Multihash},
};

/// A block store in memory, for tests and for programs that keep nothing.
///
/// ```
/// use alive_storage::{Block, BlockStore, MemoryStore, cid};
/// let store = MemoryStore::default();
/// let id = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")?;
/// store.put(&Block::check(*id.hash(), "hello world".into())?)?;
/// assert_eq!(store.get(id.hash())?.unwrap().data(), "hello world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    blocks: HashMap<[u8; 32], Bytes>,
    pins: BTreeSet<Cid>,
}

impl MemoryStore {
    /// How many blocks it has.
    pub fn len(&self) -> usize {
        self.read().blocks.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets a block; `true` if it was here.
    pub fn remove(&self, hash: &Multihash) -> bool {
        digest_of(hash).is_ok_and(|digest| self.write().blocks.remove(&digest).is_some())
    }

    // Nothing panics while it holds the lock, and every change is one insertion: poison says nothing.
    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockStore for MemoryStore {
    type Batch<'a> = MemoryBatch<'a>;

    fn batch(&self) -> Result<MemoryBatch<'_>, StoreError> {
        Ok(MemoryBatch { store: self, blocks: HashMap::new() })
    }

    fn get(&self, hash: &Multihash) -> Result<Option<Block>, StoreError> {
        let Ok(digest) = digest_of(hash) else { return Ok(None) };
        let data = self.read().blocks.get(&digest).cloned();
        data.map(|data| {
            Block::check(*hash, data).map_err(|error| StoreError::Corrupt(error.into()))
        })
        .transpose()
    }

    fn has(&self, hash: &Multihash) -> Result<bool, StoreError> {
        Ok(digest_of(hash).is_ok_and(|digest| self.read().blocks.contains_key(&digest)))
    }

    fn pin(&self, root: &Cid) -> Result<(), StoreError> {
        self.write().pins.insert(*root);
        Ok(())
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        Ok(self.write().pins.remove(root))
    }

    fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        Ok(self.read().pins.iter().copied().collect())
    }

    fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError> {
        Ok(self.read().pins.contains(root))
    }
}

/// A batch for a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryBatch<'a> {
    store: &'a MemoryStore,
    blocks: HashMap<[u8; 32], Bytes>,
}

impl BlockBatch for MemoryBatch<'_> {
    fn add(&mut self, block: &NewBlock<'_>) -> Result<(), StoreError> {
        let digest = digest_of(block.cid().hash())?;
        self.blocks.entry(digest).or_insert_with(|| block.to_bytes());
        Ok(())
    }

    fn commit(self) -> Result<(), StoreError> {
        self.store.write().blocks.extend(self.blocks);
        Ok(())
    }
}
