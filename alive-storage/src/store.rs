//! Where blocks are kept: the [`BlockStore`] trait, a store in memory and a store on disk.

mod disk;
mod memory;

use std::{fmt::Debug, io};

pub use self::{
    disk::{CheckReport, DiskBatch, DiskStore, Evicted, MAX_LISTED},
    memory::{MemoryBatch, MemoryStore},
};
use crate::{
    block::{Block, BlockError, NewBlock},
    cid::{Cid, Multihash},
};

/// Keeps blocks under their multihash. Calls block; async code makes them on a blocking thread.
///
/// Many threads may read while others write.
pub trait BlockStore: Debug + Send + Sync {
    /// Blocks on their way in.
    type Batch<'a>: BlockBatch
    where
        Self: 'a;

    /// Starts a batch.
    ///
    /// # Errors
    /// The store cannot be used.
    fn batch(&self) -> Result<Self::Batch<'_>, StoreError>;

    /// The block of a hash, or `None` if it is not here.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is kept is not the block any more; putting the block again heals that. Else as
    /// [`batch`](Self::batch).
    fn get(&self, hash: &Multihash) -> Result<Option<Block>, StoreError>;

    /// Whether the block is here, without reading it. A block found corrupt is not here until it is put again.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    fn has(&self, hash: &Multihash) -> Result<bool, StoreError>;

    /// Asks that everything below this root be kept. Pinning twice is no error; whether it is here is not looked at.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    fn pin(&self, root: &Cid) -> Result<(), StoreError>;

    /// Takes a pin back; `false` if there was none.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    fn unpin(&self, root: &Cid) -> Result<bool, StoreError>;

    /// Whether this root is pinned.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError>;

    /// All pinned roots.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    fn pins(&self) -> Result<Vec<Cid>, StoreError>;

    /// Says that everything below this root is stored elsewhere, too: it need no longer be kept for that reason. Storing it
    /// again takes that back. A store that never evicts need not remember it.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    fn mark_elsewhere(&self, root: &Cid) -> Result<(), StoreError> {
        let _ = root;
        Ok(())
    }

    /// Stores one block, durably.
    ///
    /// # Errors
    /// As [`BlockBatch::add`] and [`BlockBatch::commit`].
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        let mut batch = self.batch()?;
        batch.add(&block.into())?;
        batch.commit()
    }
}

/// Blocks that are stored together, so that a whole file costs few syncs.
///
/// No block is visible in part at any moment, also not after a crash. A batch that is dropped leaves nothing behind but,
/// if it was very large, some of its first blocks.
pub trait BlockBatch {
    /// Adds a block. A block that the store has, whole, is not written again.
    ///
    /// # Errors
    /// The store cannot be written, or the block's hash is not SHA2-256.
    fn add(&mut self, block: &NewBlock<'_>) -> Result<(), StoreError>;

    /// Returns when all blocks are durable and visible. The last block that was added is the root of the others, as an import
    /// gives them: what lies below it is kept until it is [marked as stored elsewhere](BlockStore::mark_elsewhere).
    ///
    /// # Errors
    /// The store cannot be written; none of the blocks may be counted on.
    fn commit(self) -> Result<(), StoreError>;

    /// As [`commit`](Self::commit), for several trees at once: what lies below these roots is kept until each of them is
    /// marked as stored elsewhere. All their blocks have been added before.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn commit_roots(self, roots: &[Cid]) -> Result<(), StoreError>
    where
        Self: Sized,
    {
        // A store that never evicts keeps all, whatever the roots.
        let _ = roots;
        self.commit()
    }

    /// As [`commit`](Self::commit), for what is stored elsewhere already: a store with a size limit may evict it at once.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn commit_cached(self) -> Result<(), StoreError>
    where
        Self: Sized,
    {
        self.commit()
    }
}

/// Why a block store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What is kept under a hash is not the block any more.
    #[error("stored block is corrupt")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The index of the store failed.
    #[error("index of the block store failed")]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system does not let the store use its files.
    #[error("{what} is not permitted")]
    Denied {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The disk is full, or a quota used up. The store goes on when there is room.
    #[error("{what} failed, there is no room on the disk")]
    DiskFull {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The store has reached its limit, and all that it has is pinned or stored nowhere else yet.
    #[error("block store is full: {limit} bytes, and nothing may be evicted")]
    Full {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A file of the store could not be read or written.
    #[error("{what} failed")]
    Io {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("block store is in use by another process")]
    Locked,
    /// The store was written by a later version, or is none.
    #[error("block store is of format {0}, this program knows format {known}", known = disk::FORMAT)]
    Format(u64),
    /// Such a block is not stored: its hash is not SHA2-256.
    #[error("block cannot be stored")]
    Refused(#[source] BlockError),
}

/// SHA2-256 digest of a hash that can be stored.
fn digest_of(hash: &Multihash) -> Result<[u8; 32], StoreError> {
    let (code, len) = (hash.code(), hash.size());
    let digest = if code == crate::cid::SHA2_256 { hash.digest().try_into().ok() } else { None };
    digest.ok_or(StoreError::Refused(BlockError::Hash { code, len }))
}
