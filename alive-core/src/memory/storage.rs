//! [`MemoryStorage`]: content by its hash, up to a number of bytes.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use cid::Cid;
use multihash::Multihash;
use sha2::{Digest as _, Sha256};

use crate::{
    backend::{Cause, Storage, StorageError},
    content::{CODEC_RAW, ContentId, HASH_SHA2_256},
};

use super::{Count, Why, lock};

const BACKEND: &str = "memory storage";

/// Keeps content in memory under its real id: a `CIDv1` of the raw codec over SHA2-256.
///
/// Everything put is kept until it is [removed](Self::remove); when it is full it refuses. Pinning changes nothing.
///
/// ```
/// use alive_core::{backend::Storage, memory::MemoryStorage};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = MemoryStorage::default();
/// let id = storage.put("hello".into()).await?;
/// assert_eq!(id.as_str(), "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq");
/// assert_eq!(storage.get(&id, 5).await?, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStorage(Arc<Shared>);

struct Shared {
    capacity: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    content: HashMap<ContentId, Bytes>,
    bytes: usize,
}

impl MemoryStorage {
    /// How many bytes it keeps by default: 256 MiB, a quarter of an hour of 2 Mbit/s video.
    pub const DEFAULT_CAPACITY: usize = 256 << 20;

    /// Keeps at most `bytes` bytes of content.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Arc::new(Shared { capacity: bytes, held: Mutex::default() }))
    }

    /// Forgets content; whether it was here.
    pub fn remove(&self, id: &ContentId) -> bool {
        let mut held = lock(&self.0.held);
        let removed = held.content.remove(&id.canonical());
        held.bytes -= removed.as_ref().map_or(0, Bytes::len);
        removed.is_some()
    }

    /// How many bytes of content it holds.
    pub fn bytes(&self) -> usize {
        lock(&self.0.held).bytes
    }

    /// Puts other bytes under an id, as a broken disk would; what reads it finds it corrupt. Does nothing when the
    /// content is not here.
    #[cfg(feature = "testing")]
    pub fn corrupt(&self, id: &ContentId, bytes: Bytes) {
        let mut held = lock(&self.0.held);
        let Some(slot) = held.content.get_mut(&id.canonical()) else { return };
        let new = bytes.len();
        let old = std::mem::replace(slot, bytes).len();
        held.bytes = held.bytes - old + new;
    }

    fn id_of(data: &[u8]) -> Result<ContentId, StorageError> {
        let refused = |source: Cause| StorageError::Refused { backend: BACKEND, source };
        let hash = Multihash::wrap(HASH_SHA2_256, &Sha256::digest(data));
        let hash = hash.map_err(|e| refused(e.into()))?;
        ContentId::from_cid(&Cid::new_v1(CODEC_RAW, hash)).map_err(|e| refused(e.into()))
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = lock(&self.0.held);
        f.debug_struct("MemoryStorage")
            .field("capacity", &self.0.capacity)
            .field("bytes", &held.bytes)
            .field("content", &Count(held.content.len()))
            .finish()
    }
}

impl Storage for MemoryStorage {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let id = Self::id_of(&data)?;
        let mut held = lock(&self.0.held);
        let replaced = held.content.get(&id).map_or(0, Bytes::len);
        let rest = held.bytes - replaced;
        if data.len() > self.0.capacity.saturating_sub(rest) {
            let why = Why::Full { held: rest, capacity: self.0.capacity, more: data.len() };
            return Err(StorageError::Refused { backend: BACKEND, source: why.into() });
        }
        held.bytes = rest + data.len();
        // A copy of its own: the given bytes may be a small window on a large buffer.
        held.content.insert(id, Bytes::copy_from_slice(&data));
        Ok(id)
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let data = lock(&self.0.held).content.get(&id.canonical()).cloned();
        let data = data.ok_or(StorageError::NotFound(*id))?;
        if data.len() > limit {
            return Err(StorageError::TooLarge { id: *id, limit });
        }
        if Self::id_of(&data)? == id.canonical() {
            Ok(data)
        } else {
            Err(StorageError::Corrupt { id: *id, source: Why::Hash.into() })
        }
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        Ok(lock(&self.0.held).content.contains_key(&id.canonical()))
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        if self.has(id).await? { Ok(()) } else { Err(StorageError::NotFound(*id)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_what_does_not_fit_and_takes_it_after_a_removal() {
        let storage = MemoryStorage::with_capacity(10);
        let first = storage.put("12345678".into()).await.unwrap();
        let full = storage.put("abc".into()).await.unwrap_err();
        assert!(!full.is_transient());
        storage.put("12345678".into()).await.unwrap();
        assert_eq!(storage.bytes(), 8);
        assert!(storage.remove(&first));
        assert!(!storage.remove(&first));
        storage.put("abc".into()).await.unwrap();
        assert_eq!(storage.bytes(), 3);
    }

    #[tokio::test]
    async fn any_text_of_an_id_finds_the_content() {
        let storage = MemoryStorage::default();
        let id = storage.put("hello".into()).await.unwrap();
        let base58 = bs58::encode(id.to_cid().unwrap().to_bytes()).into_string();
        let other: ContentId = format!("z{base58}").parse().unwrap();
        assert_ne!(other, id);
        assert_eq!(storage.get(&other, 99).await.unwrap(), "hello");
    }
}
