//! Chunks that were fetched and read once: [`ChunkCache`].

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use alive_core::{ContentId, backend::StoreError};
use bytes::Bytes;

/// Keeps the bytes of good chunks, so that a restarted node need not fetch them again. What it loses is fetched again.
///
/// Only bytes that were checked against their id and read as a chunk are given to it.
pub trait ChunkCache: Debug + Send + Sync {
    /// What it has of these chunks, in their order.
    ///
    /// # Errors
    /// The backend failed.
    fn load(
        &self,
        ids: &[ContentId],
    ) -> impl Future<Output = Result<Vec<Option<Bytes>>, StoreError>> + Send;

    /// Keeps a chunk. Keeping it again is no error.
    ///
    /// # Errors
    /// The backend failed.
    fn keep(
        &self,
        id: &ContentId,
        csv: Bytes,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Any [`ChunkCache`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedChunkCache(Arc<dyn Erased>);

impl SharedChunkCache {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl ChunkCache + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl ChunkCache for SharedChunkCache {
    async fn load(&self, ids: &[ContentId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.0.load_boxed(ids).await
    }

    async fn keep(&self, id: &ContentId, csv: Bytes) -> Result<(), StoreError> {
        self.0.keep_boxed(id, csv).await
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn load_boxed<'a>(&'a self, ids: &'a [ContentId]) -> Boxed<'a, Vec<Option<Bytes>>>;
    fn keep_boxed<'a>(&'a self, id: &'a ContentId, csv: Bytes) -> Boxed<'a, ()>;
}

impl<C: ChunkCache> Erased for C {
    fn load_boxed<'a>(&'a self, ids: &'a [ContentId]) -> Boxed<'a, Vec<Option<Bytes>>> {
        Box::pin(self.load(ids))
    }

    fn keep_boxed<'a>(&'a self, id: &'a ContentId, csv: Bytes) -> Boxed<'a, ()> {
        Box::pin(self.keep(id, csv))
    }
}
