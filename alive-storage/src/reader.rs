//! Content that is served to others: [`ContentReader`].

mod look;

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use alive_core::{ContentId, backend::StorageError};
use bytes::Bytes;

use crate::{block::Block, cid::Cid, storage::BlockStorage, store::BlockStore};

/// How much is read at once: a leaf of the profiles that this project writes, so that each is read and checked once.
pub(crate) const PIECE: u64 = 256 << 10;
/// What errors of a reader without blocks call it.
const BACKEND: &str = "content reader";

/// Reads content piece by piece, every byte checked against its id.
///
/// Every [`BlockStorage`] is one.
pub trait ContentReader: Debug + Send + Sync {
    /// How many bytes the content has. It may still turn out corrupt or incomplete when it is read.
    ///
    /// # Errors
    /// It is not here, it is no file, or the backend failed.
    fn size(&self, id: &ContentId) -> impl Future<Output = Result<u64, StorageError>> + Send;

    /// At most `len` bytes from `offset`, fewer only at the end.
    ///
    /// # Errors
    /// As [`size`](Self::size), or the bytes are not those that the id names.
    fn read(
        &self,
        id: &ContentId,
        offset: u64,
        len: usize,
    ) -> impl Future<Output = Result<Bytes, StorageError>> + Send;

    /// Whether the content is here, as far as that can be told quickly: this is asked for every segment of every list that
    /// is watched. Content that was found corrupt is not here until it is stored again.
    ///
    /// Unless a backend knows better, this is asking for the [`size`](Self::size).
    ///
    /// # Errors
    /// As [`size`](Self::size).
    fn check(&self, id: &ContentId) -> impl Future<Output = Result<(), StorageError>> + Send {
        async { self.size(id).await.map(drop) }
    }

    /// One block, or `None` if it is not here.
    ///
    /// # Errors
    /// The block is corrupt, the backend failed, or, unless a backend knows better, it keeps no blocks
    /// ([`StorageError::Refused`]).
    fn block(&self, cid: &Cid) -> impl Future<Output = Result<Option<Block>, StorageError>> + Send {
        let _ = cid;
        async {
            Err(StorageError::Refused { backend: BACKEND, source: "it keeps no blocks".into() })
        }
    }
}

impl<S: BlockStore + 'static> ContentReader for BlockStorage<S> {
    async fn size(&self, id: &ContentId) -> Result<u64, StorageError> {
        self.open(id).await
    }

    async fn read(&self, id: &ContentId, offset: u64, len: usize) -> Result<Bytes, StorageError> {
        self.read_range(id, offset, len).await
    }

    /// Reads the root and looks its children up.
    async fn check(&self, id: &ContentId) -> Result<(), StorageError> {
        look::look(self.clone(), *id).await
    }

    async fn block(&self, cid: &Cid) -> Result<Option<Block>, StorageError> {
        self.read_block(cid).await
    }
}

/// Any [`ContentReader`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedContentReader(Arc<dyn Erased>);

impl SharedContentReader {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl ContentReader + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl ContentReader for SharedContentReader {
    async fn size(&self, id: &ContentId) -> Result<u64, StorageError> {
        self.0.size_boxed(id).await
    }

    async fn read(&self, id: &ContentId, offset: u64, len: usize) -> Result<Bytes, StorageError> {
        self.0.read_boxed(id, offset, len).await
    }

    async fn check(&self, id: &ContentId) -> Result<(), StorageError> {
        self.0.check_boxed(id).await
    }

    async fn block(&self, cid: &Cid) -> Result<Option<Block>, StorageError> {
        self.0.block_boxed(cid).await
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn size_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, u64>;
    fn read_boxed<'a>(&'a self, id: &'a ContentId, offset: u64, len: usize) -> Boxed<'a, Bytes>;
    fn check_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, ()>;
    fn block_boxed<'a>(&'a self, cid: &'a Cid) -> Boxed<'a, Option<Block>>;
}

impl<R: ContentReader> Erased for R {
    fn size_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, u64> {
        Box::pin(self.size(id))
    }

    fn read_boxed<'a>(&'a self, id: &'a ContentId, offset: u64, len: usize) -> Boxed<'a, Bytes> {
        Box::pin(self.read(id, offset, len))
    }

    fn check_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, ()> {
        Box::pin(self.check(id))
    }

    fn block_boxed<'a>(&'a self, cid: &'a Cid) -> Boxed<'a, Option<Block>> {
        Box::pin(self.block(cid))
    }
}
