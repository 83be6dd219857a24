//! From the content id of a chunk to its segments: [`Resolver`].
//!
//! Chunks are fetched when the index learns of them, not when a viewer asks: a request only ever looks at what is known.
//! Each id is fetched once at a time. A good chunk is kept on disk and in memory, a refused one is remembered, and one
//! that cannot be had is tried again after a growing wait, because it may turn up.

mod wanted;

use std::{collections::HashMap, sync::Arc, time::Duration};

use alive_core::{
    Chunk, ChunkContent, ChunkError, ContentId, Segment,
    backend::{SharedStorage, Storage as _, StorageError},
};
use bytes::Bytes;
use tokio::{
    sync::{Notify, broadcast},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    explain::Explained,
    store::{ChunkCache as _, SharedChunkCache},
};
pub use wanted::Urgency;
use wanted::Wanted;

/// How a [`Resolver`] works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolverConfig {
    /// How long one fetch may take.
    pub fetch_timeout: Duration,
    /// How many fetches run beside each other.
    pub fetches: usize,
    /// Memory for chunks that were read, in bytes.
    pub memory_bytes: u64,
    /// The wait after a first failure; it doubles with every further one.
    pub first_wait: Duration,
    /// About the longest wait.
    pub longest_wait: Duration,
    /// How many chunks may be waited for. When there are more, those that failed most are given up until somebody wants
    /// them again.
    pub max_wanted: usize,
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self {
            fetch_timeout: Duration::from_secs(20),
            fetches: 16,
            memory_bytes: 64 << 20,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(5),
            max_wanted: 16_384,
        }
    }
}

impl ResolverConfig {
    /// Sets how long one fetch may take.
    #[must_use]
    pub fn fetch_timeout(self, fetch_timeout: Duration) -> Self {
        Self { fetch_timeout, ..self }
    }

    /// Sets how many fetches run beside each other, at least one.
    #[must_use]
    pub fn fetches(self, fetches: usize) -> Self {
        Self { fetches: fetches.max(1), ..self }
    }

    /// Sets the memory for chunks that were read, in bytes.
    #[must_use]
    pub fn memory_bytes(self, memory_bytes: u64) -> Self {
        Self { memory_bytes, ..self }
    }

    /// Sets the first and about the longest wait between two tries.
    #[must_use]
    pub fn waits(self, first_wait: Duration, longest_wait: Duration) -> Self {
        Self { first_wait, longest_wait, ..self }
    }

    /// Sets how many chunks may be waited for, at least one.
    #[must_use]
    pub fn max_wanted(self, max_wanted: usize) -> Self {
        Self { max_wanted: max_wanted.max(1), ..self }
    }
}

/// What is known of a chunk, and why no more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkState {
    /// It could not be had yet.
    Missing {
        /// How often it was tried.
        attempts: u32,
        /// Why the last try failed; `None` before it.
        reason: Option<Arc<str>>,
    },
    /// It was read.
    Ready,
    /// It is no chunk, or none that this node takes, and never will be.
    Refused(Arc<str>),
    /// Nothing: nobody wants it, or it is on disk and not in memory.
    Unknown,
}

/// Fetches and reads chunks. A clone is another handle on the same one; somebody must [`run`](Self::run) it.
///
/// ```
/// use alive_core::{backend::{SharedStorage, Storage}, memory::MemoryStorage};
/// use alive_node::{ChunkState, Resolver, ResolverConfig, Urgency};
/// use tokio_util::sync::CancellationToken;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let storage = SharedStorage::new(MemoryStorage::default());
/// let id = storage.put("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH,4.0".into()).await?;
///
/// let resolver = Resolver::new(storage, None, ResolverConfig::default());
/// let cancel = CancellationToken::new();
/// let running = tokio::spawn(resolver.clone().run(cancel.clone()));
/// let mut settled = resolver.settled();
/// resolver.want([id], Urgency::Viewer);
/// settled.recv().await?;
/// assert_eq!(resolver.state(&id), ChunkState::Ready);
/// cancel.cancel();
/// running.await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Resolver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    storage: SharedStorage,
    kept: Option<SharedChunkCache>,
    config: ResolverConfig,
    /// By canonical id.
    read: moka::sync::Cache<ContentId, Read>,
    wanted: Wanted,
    /// Somebody wants a chunk.
    wake: Notify,
    /// Chunks whose first or last try is over.
    settled: broadcast::Sender<ContentId>,
}

/// A chunk that was fetched.
#[derive(Clone, Debug)]
enum Read {
    Good(Arc<Chunk>),
    Refused(Arc<str>),
}

impl Read {
    fn bytes(&self) -> u32 {
        const AROUND: usize = 256;
        let bytes = match self {
            Self::Good(chunk) => size_of_val::<[Segment]>(chunk.segments()),
            Self::Refused(why) => why.len(),
        };
        u32::try_from(bytes + AROUND).unwrap_or(u32::MAX)
    }

    fn content(&self) -> ChunkContent {
        match self {
            Self::Good(chunk) => ChunkContent::Ready(Arc::clone(chunk)),
            Self::Refused(_) => ChunkContent::Refused,
        }
    }
}

impl Resolver {
    /// How many settled chunks wait for a slow listener.
    const SETTLED: usize = 4096;

    /// Fetches through `storage`, and keeps what it read in `kept`.
    pub fn new(
        storage: SharedStorage,
        kept: Option<SharedChunkCache>,
        config: ResolverConfig,
    ) -> Self {
        let read = moka::sync::Cache::builder()
            .weigher(|_: &ContentId, read: &Read| read.bytes())
            .max_capacity(config.memory_bytes)
            // The default policy may turn away what is new, and somebody waits for exactly that.
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        let wanted = Wanted::new(&config, Instant::now());
        let (settled, _) = broadcast::channel(Self::SETTLED);
        Self(Arc::new(Shared { storage, kept, config, read, wanted, wake: Notify::new(), settled }))
    }

    /// Asks that these chunks be fetched, those of viewers first. What is known or on its way is left alone.
    pub fn want(&self, ids: impl IntoIterator<Item = ContentId>, urgency: Urgency) {
        let shared = &*self.0;
        let ids = ids.into_iter().map(|id| id.canonical());
        let mut some = false;
        for id in ids.filter(|id| !shared.read.contains_key(id)) {
            some |= shared.wanted.add(id, urgency);
        }
        if some {
            shared.wake.notify_one();
        }
    }

    /// What is known of these chunks without fetching, by canonical id: in memory or on disk. What is not known is not in
    /// the answer.
    pub async fn known(&self, ids: &[ContentId]) -> HashMap<ContentId, ChunkContent> {
        let shared = &*self.0;
        let mut known = HashMap::with_capacity(ids.len());
        let mut ask = Vec::new();
        for id in ids.iter().map(ContentId::canonical) {
            match shared.read.get(&id) {
                Some(read) => drop(known.insert(id, read.content())),
                None => ask.push(id),
            }
        }
        for (id, read) in self.0.kept(&ask).await {
            known.insert(id, read.content());
            shared.read.insert(id, read);
        }
        known
    }

    /// What is known of one chunk, in memory.
    pub fn state(&self, id: &ContentId) -> ChunkState {
        let id = id.canonical();
        match self.0.read.get(&id) {
            Some(Read::Good(_)) => ChunkState::Ready,
            Some(Read::Refused(why)) => ChunkState::Refused(why),
            None => self.0.wanted.state(&id).unwrap_or(ChunkState::Unknown),
        }
    }

    /// The canonical ids of chunks when their first try is over, and when they are read or refused.
    pub fn settled(&self) -> broadcast::Receiver<ContentId> {
        self.0.settled.subscribe()
    }

    /// Fetches what is wanted, until it is cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        cancel.run_until_cancelled_owned(self.run_for_ever()).await;
    }

    async fn run_for_ever(self) {
        let shared = &self.0;
        // Whoever ran this before may have been stopped in the middle of fetches.
        shared.wanted.release_all();
        let mut fetches = JoinSet::new();
        let mut ids = HashMap::new();
        loop {
            while fetches.len() < shared.config.fetches
                && let Some(id) = shared.wanted.take_due(Instant::now())
            {
                let task = fetches.spawn(fetch(Arc::clone(shared), id));
                ids.insert(task.id(), id);
            }
            let due = shared.wanted.next_due().filter(|_| fetches.len() < shared.config.fetches);
            tokio::select! {
                Some(done) = fetches.join_next_with_id() => {
                    let (task, result) = taken_apart(done);
                    if let Some(id) = ids.remove(&task) {
                        shared.settle(id, result);
                    }
                }
                () = sleep_until(due) => {}
                () = shared.wake.notified() => {}
            }
        }
    }
}

impl Shared {
    fn settle(&self, id: ContentId, result: Result<Read, Arc<str>>) {
        match result {
            Ok(read) => {
                let refused = matches!(read, Read::Refused(_));
                tracing::debug!(%id, refused, monotonic_counter.chunks_read = 1_u64, "chunk read");
                self.read.insert(id, read);
                self.wanted.remove(&id);
            }
            Err(why) => {
                tracing::debug!(
                    %id, %why, monotonic_counter.chunk_failures = 1_u64, "chunk cannot be had"
                );
                if self.wanted.failed(&id, why, Instant::now()) > 1 {
                    return;
                }
            }
        }
        // Nobody needs to listen.
        let _ = self.settled.send(id);
    }

    /// What was kept of these chunks. A cache that fails has nothing.
    async fn kept(&self, ids: &[ContentId]) -> Vec<(ContentId, Read)> {
        let Some(kept) = self.kept.as_ref().filter(|_| !ids.is_empty()) else { return Vec::new() };
        let held = kept.load(ids).await.unwrap_or_else(|error| {
            tracing::warn!(error = %Explained(&error), "chunk cache failed");
            Vec::new()
        });
        let read = |bytes: Bytes| Chunk::decode(&bytes).ok().map(|chunk| Read::Good(chunk.into()));
        let held = ids.iter().zip(held);
        held.filter_map(|(id, bytes)| Some((*id, read(bytes?)?))).collect()
    }

    async fn fetch(&self, id: &ContentId) -> Result<Read, FetchError> {
        if let Some((_, read)) = self.kept(&[*id]).await.pop() {
            return Ok(read);
        }
        let limit = self.config.fetch_timeout;
        let get = self.storage.get(id, Chunk::MAX_BYTES);
        let bytes =
            tokio::time::timeout(limit, get).await.map_err(|_| FetchError::Late(limit))??;
        // A storage that ignores the limit is not trusted with it.
        let chunk = Chunk::decode(&bytes)?;
        if let Some(kept) = &self.kept
            && let Err(error) = kept.keep(id, bytes).await
        {
            tracing::warn!(error = %Explained(&error), "chunk cache failed");
        }
        Ok(Read::Good(chunk.into()))
    }
}

/// Fetches a chunk; the error is worth another try, a refusal is not.
async fn fetch(shared: Arc<Shared>, id: ContentId) -> Result<Read, Arc<str>> {
    match shared.fetch(&id).await {
        Ok(read) => Ok(read),
        Err(error) if error.is_transient() => Err(Explained(&error).to_string().into()),
        Err(error) => Ok(Read::Refused(Explained(&error).to_string().into())),
    }
}

fn taken_apart(
    done: Result<(Id, Result<Read, Arc<str>>), JoinError>,
) -> (Id, Result<Read, Arc<str>>) {
    match done {
        Ok((task, result)) => (task, result),
        // A backend's panic is its own; the chunk is tried again.
        Err(error) => (error.id(), Err(error.to_string().into())),
    }
}

/// Sleeps for ever without a time.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Why a chunk was not read.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("not a chunk")]
    Chunk(#[from] ChunkError),
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl FetchError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Chunk(_) => false,
            Self::Late(_) => true,
            Self::Storage(error) => error.is_transient(),
        }
    }
}

#[cfg(test)]
mod tests;
