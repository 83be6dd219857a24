//! Remembering content in memory: [`Cached`].

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
};
use bytes::Bytes;
use moka::sync::Cache;

/// Remembers what it read and stored, up to a number of bytes; what is used seldom is forgotten first.
///
/// Content never changes under its id, so nothing gets old. What is pinned or absent is not remembered.
///
/// ```
/// use alive_core::{backend::Storage, memory::MemoryStorage};
/// use alive_storage::adapters::Cached;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let far = MemoryStorage::default();
/// let storage = Cached::new(far.clone(), 64 << 20);
/// let id = storage.put("hello".into()).await?;
/// assert!(far.remove(&id));
/// assert_eq!(storage.get(&id, 10).await?, "hello");
/// # Ok::<(), alive_core::backend::StorageError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cached<S> {
    inner: S,
    pub(super) content: Cache<ContentId, Bytes>,
}

/// Bytes that an entry costs beside its content.
const ENTRY: usize = 256;

impl<S> Cached<S> {
    /// Remembers at most `bytes` bytes of content of `inner`.
    pub fn new(inner: S, bytes: u64) -> Self {
        let weigh = |_: &ContentId, data: &Bytes| {
            u32::try_from(data.len().saturating_add(ENTRY)).unwrap_or(u32::MAX)
        };
        let content = Cache::builder().max_capacity(bytes).weigher(weigh).build();
        Self { inner, content }
    }

    /// What it remembers content of.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn keep(&self, id: &ContentId, data: &Bytes) {
        // A copy of its own: the given bytes may be a small window on a large buffer.
        self.content.insert(id.canonical(), Bytes::copy_from_slice(data));
    }
}

impl<S: Storage> Storage for Cached<S> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let id = self.inner.put(data.clone()).await?;
        self.keep(&id, &data);
        Ok(id)
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        if let Some(data) = self.content.get(&id.canonical()) {
            return if data.len() > limit {
                Err(StorageError::TooLarge { id: *id, limit })
            } else {
                Ok(data)
            };
        }
        let data = self.inner.get(id, limit).await?;
        self.keep(id, &data);
        Ok(data)
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        if self.content.contains_key(&id.canonical()) {
            return Ok(true);
        }
        self.inner.has(id).await
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        self.inner.pin(id).await
    }
}
