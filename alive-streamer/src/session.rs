//! A streamer's session: [`Session`], the shell around core's publisher.

mod error;
mod files;
mod parts;
mod run;
mod steps;
#[cfg(test)]
mod tests;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alive_core::{
    ChainView, Publisher, StreamId,
    backend::{Broadcaster, SharedBroadcaster, SharedLiveCache, SharedStorage},
};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use self::error::SessionError;
use self::{files::Files, run::Running};
use crate::{
    config::SessionConfig,
    folder::Folder,
    journal::{Contents, Journal},
    progress::{Progress, Totals},
    watch::Watcher,
};

/// How many events a listener may be behind before it loses the oldest. A segment makes six; a listener that is behind by
/// more than a hundred segments shows the past.
const PROGRESS_CAPACITY: usize = 1024;

/// Where a session publishes to.
///
/// ```
/// use alive_core::{Network, Timestamp, memory::{MemoryChain, MemoryLiveCache, MemoryStorage}};
/// use alive_core::backend::{SharedBroadcaster, SharedLiveCache, SharedStorage};
/// use alive_streamer::Backends;
///
/// let chain = MemoryChain::instant(Network::hive(), || Timestamp::EPOCH);
/// let backends = Backends::new(
///     SharedStorage::new(MemoryStorage::default()),
///     SharedBroadcaster::new(chain.broadcaster("alice".parse()?)),
/// );
/// let with_live_cache = backends.live(SharedLiveCache::new(MemoryLiveCache::default()));
/// # Ok::<(), alive_core::AccountNameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backends {
    storage: SharedStorage,
    broadcaster: SharedBroadcaster,
    live: Option<SharedLiveCache>,
}

impl Backends {
    /// Content goes to `storage`, operations to `broadcaster`.
    pub fn new(storage: SharedStorage, broadcaster: SharedBroadcaster) -> Self {
        Self { storage, broadcaster, live: None }
    }

    /// Segments are also shared on `live` before the chain has them.
    #[must_use]
    pub fn live(self, live: SharedLiveCache) -> Self {
        Self { live: Some(live), ..self }
    }
}

/// Watches a recorder's folder and publishes what it records.
///
/// However it ends, nothing is lost or published twice when a session with the same journal is run again: when
/// [`run`](Self::run) returns an error, when its future is dropped, when the process is killed.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    backends: Backends,
    journal: SharedJournal,
    publisher: Publisher,
    files: Files,
    watcher: Box<Watcher>,
    waker: Arc<Notify>,
    progress: broadcast::Sender<Progress>,
}

impl Session {
    /// Opens the journal and goes on where it ends. `chain` is what the chain, or an indexer, says of the stream now; without
    /// it, the journal is all there is to go by, and a stream that somebody else has pushed to must not be gone on with.
    ///
    /// Call [`run`](Self::run) soon: the time to the first push counts from here.
    ///
    /// # Errors
    /// The broadcaster signs for another account or network, or the journal cannot be used.
    pub async fn open(
        config: SessionConfig,
        backends: Backends,
        chain: Option<ChainView>,
    ) -> Result<Self, SessionError> {
        let signer = (backends.broadcaster.network(), backends.broadcaster.account());
        if signer != (&config.stream.network, &config.stream.account) {
            let signer = format!("{}/{}", signer.0, signer.1);
            return Err(SessionError::OtherAccount { stream: config.stream.into(), signer });
        }
        let (path, stream) = (config.journal.clone(), config.stream.clone());
        let (journal, contents) = blocking(move || Journal::open(&path, &stream)).await??;
        Self::resume(config, backends, chain.as_ref(), journal, contents)
    }

    fn resume(
        config: SessionConfig,
        backends: Backends,
        chain: Option<&ChainView>,
        journal: Journal,
        contents: Contents,
    ) -> Result<Self, SessionError> {
        let (files, taken) = Files::from_journal(&config, &contents.entries)?;
        let engine = match taken.last() {
            Some(_) => Folder::resume(config.accept_old, &taken, contents.finished),
            None => Folder::new(config.accept_old),
        };
        let now = Instant::now().into_std();
        let seed = config.seed.unwrap_or_else(|| RandomState::new().hash_one(now));
        let settings = config.publisher(backends.live.is_some());
        let entries = contents.entries;
        let publisher = Publisher::resume(&config.stream, settings, entries, chain, now, seed)?;
        let waker = Arc::new(Notify::new());
        let wanted = config.parts && backends.live.is_some();
        let (folder, last) = (config.folder.clone(), taken.last().cloned());
        let watcher =
            Watcher::new(folder, engine, last, config.max_segment_bytes, Arc::clone(&waker));
        let watcher = Box::new(watcher.with_parts(wanted));
        let journal = SharedJournal(Arc::new(Mutex::new(journal)));
        let (progress, _) = broadcast::channel(PROGRESS_CAPACITY);
        Ok(Self { config, backends, journal, publisher, files, watcher, waker, progress })
    }

    /// The stream.
    pub fn stream(&self) -> &StreamId {
        &self.config.stream
    }

    /// How many segments of sessions before this one are not on the chain yet.
    pub fn backlog(&self) -> usize {
        self.publisher.backlog()
    }

    /// What happens, from now on. A listener that is too slow loses the oldest events and is told how many.
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Publishes until the recorder closes its list (see [`SessionConfig::keep_watching`]) or `stop` is cancelled. Then takes
    /// what is complete in the folder, and returns once everything is on the chain.
    ///
    /// Dropping the future stops at once and leaves the rest to the journal. Failures that may pass are retried for ever.
    ///
    /// # Errors
    /// What no retry will help against, and [`SessionError::Deadline`] when stopping takes too long. The journal keeps what
    /// was not published.
    pub async fn run(self, stop: CancellationToken) -> Result<Totals, SessionError> {
        Running::new(self).run(stop).await
    }
}

/// A journal that blocking tasks take turns with.
#[derive(Clone, Debug)]
struct SharedJournal(Arc<Mutex<Journal>>);

impl SharedJournal {
    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs work that blocks where it does not hold others up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(work).await.map_err(SessionError::Task)
}
