//! The lists that are being watched, ready to be served: [`Playlists`].
//!
//! Each watched stream and quality has a keeper, a task that renews the list's bytes when something happens: a block
//! changed the stream, a chunk was read, a segment came over the live cache, patience ran out. A request only looks at
//! what is ready. Lists that nobody asked for lately make room for others.

mod checker;
mod config;
mod gzip;
mod health;
mod held;
mod keeper;
mod parts;
mod playlist;
mod segments;
mod text;
mod twins;
mod view;
mod watched;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_core::{
    ContentId, Quality, StreamId, Twins,
    backend::{SharedLiveCache, SharedStreamStore, StoreError},
};
use moka::future::Cache;
use tokio::sync::{
    Notify, OwnedSemaphorePermit, Semaphore, broadcast, broadcast::error::RecvError, watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    event::NodeEvent,
    presence::{Absence, Found, Presence},
    resolver::Resolver,
};
pub use config::PlaylistConfig;
pub use health::{Health, HoleReason, PushHealth, SectionHealth, SegmentHealth, SeqRange};
use keeper::Keeper;
pub use playlist::Playlist;
use text::Form;
pub use text::ListText;
pub(crate) use text::etag;
pub(crate) use twins::Told;
use view::View;
pub use watched::Watched;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaylistError {
    /// The stream was never pushed in this quality.
    #[error("the stream has no quality {0}")]
    NoQuality(Quality),
    /// There is no such stream.
    #[error("there is no stream {0}")]
    NoStream(StreamId),
    /// There was no room to make the list in, or it was dropped again and again while somebody waited for its next segment:
    /// there are too many others.
    #[error("too many lists are asked for")]
    Overloaded,
    /// The store failed.
    #[error("the stream store failed")]
    Store(#[from] StoreError),
    /// The list did not get the segment that was waited for.
    #[error("no such segment came within {0:?}")]
    TimedOut(Duration),
    /// A segment was waited for that no list has soon.
    #[error("a segment is asked for that is too far behind the end of the list")]
    TooFar,
}

/// Lists that are kept ready. A clone is another handle on the same ones.
#[derive(Clone, Debug)]
pub struct Playlists(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: SharedStreamStore,
    live: Option<SharedLiveCache>,
    resolver: Resolver,
    presence: Option<Presence>,
    config: PlaylistConfig,
    clock: Clock,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    forms: Cache<Form, Arc<ListText>>,
    /// Forms that are made beside each other.
    renders: Arc<Semaphore>,
    /// Lists that are made beside each other.
    making: Arc<Semaphore>,
    /// Counts requests, to know which list nobody asked for longest.
    requests: AtomicU64,
    /// Whether any list was ever of a stream that has names on other networks.
    has_twins: AtomicBool,
    cancel: CancellationToken,
    keepers: TaskTracker,
}

/// Which list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    stream: StreamId,
    quality: Quality,
    /// Without what only the live cache has.
    chain_only: bool,
}

/// A list and its keeper.
#[derive(Debug)]
struct Entry {
    view: Arc<Mutex<View>>,
    ready: watch::Receiver<Option<Arc<Playlist>>>,
    signals: Arc<Signals>,
    /// The number of the request that asked for it last.
    asked: AtomicU64,
    cancel: CancellationToken,
}

impl Entry {
    /// The list as soon as there is one. `None` if the keeper ends first: the stream was undone, or the list had to make
    /// room.
    async fn first(&self) -> Option<Arc<Playlist>> {
        if let Some(playlist) = &*self.ready.borrow() {
            return Some(Arc::clone(playlist));
        }
        let mut ready = self.ready.clone();
        ready.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn is_being_made(&self) -> bool {
        self.ready.borrow().is_none()
    }

    /// Whether a request is under way that holds it: most of them wait for a segment.
    fn is_waited_for(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }
}

/// How a keeper is told that something happened.
#[derive(Debug, Default)]
struct Signals {
    /// The stream changed.
    stream: Notify,
    /// A chunk that it lacked was settled.
    chunk: Notify,
    /// Something else is known of its segments.
    segments: Notify,
    /// There is something to look for: told to the checker.
    look: Notify,
    /// Canonical ids of the chunks that it lacks.
    missing: Mutex<HashSet<ContentId>>,
    /// The names that the stream has on other networks, as it says: what changes there may concern the list.
    twins: Mutex<Twins>,
    /// About how many bytes the list takes.
    bytes: AtomicUsize,
}

impl Playlists {
    /// How often a list may be dropped while somebody waits for it.
    const TRIES: usize = 3;
    /// How many forms are made beside each other; each keeps a core busy.
    const RENDERS: usize = 4;
    /// How long a request waits while as many lists are being made as there may be.
    const ROOM_WAIT: Duration = Duration::from_secs(10);

    /// Makes lists from what the store and the resolver know, and from the live cache if there is one. With `presence`
    /// they tell which of their segments are not here.
    pub fn new(
        store: SharedStreamStore,
        resolver: Resolver,
        live: Option<SharedLiveCache>,
        presence: Option<Presence>,
        config: PlaylistConfig,
    ) -> Self {
        // This server understands them.
        let list = config.list.clone().directives(true);
        let config = config.list(list);
        Self(Arc::new(Shared {
            forms: text::forms(config.max_form_bytes),
            renders: Arc::new(Semaphore::new(Self::RENDERS)),
            making: Arc::new(Semaphore::new(config.max_lists.clamp(1, Semaphore::MAX_PERMITS))),
            store,
            live,
            resolver,
            presence,
            config,
            clock: Clock::start(),
            entries: Mutex::default(),
            requests: AtomicU64::new(0),
            has_twins: AtomicBool::new(false),
            cancel: CancellationToken::new(),
            keepers: TaskTracker::new(),
        }))
    }

    /// The list of a stream in one quality. `chain_only` leaves out what only the live cache has.
    ///
    /// # Errors
    /// There is no such stream or quality, or the store failed.
    pub async fn get(
        &self,
        stream: &StreamId,
        quality: Quality,
        chain_only: bool,
    ) -> Result<Watched, PlaylistError> {
        let chain_only = chain_only || self.0.live.is_none();
        let key = Key { stream: stream.clone(), quality, chain_only };
        for _ in 0..Self::TRIES {
            let entry = match self.0.find(&key) {
                Some(entry) => entry,
                None => self.0.create(&key).await?,
            };
            if let Some(playlist) = entry.first().await {
                return Ok(Watched { playlist, entry, lists: self.clone(), key });
            }
        }
        Err(PlaylistError::Overloaded)
    }

    /// Who is to be told when a segment cannot be served.
    pub(crate) fn presence(&self) -> Option<Presence> {
        self.0.presence.clone()
    }

    /// Resolves when no list is kept any more, because the node stops.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.cancel.clone().cancelled_owned()
    }

    /// How many lists are ready or being made now.
    pub fn count(&self) -> usize {
        self.0.entries().len()
    }

    /// Keeps the lists up to date with what the indexer and the resolver tell, until it is cancelled. Lists that are
    /// asked for before it runs wait for nothing but their chunks; after it has ended there are none.
    pub async fn run(
        self,
        mut events: broadcast::Receiver<NodeEvent>,
        mut settled: broadcast::Receiver<ContentId>,
        cancel: CancellationToken,
    ) {
        let mut reports = self.0.presence.as_ref().map(Presence::reports);
        // Without an indexer chunks and live segments go on.
        let mut indexed = true;
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                event = events.recv(), if indexed => match event {
                    Ok(NodeEvent::StreamChanged(id)) => self.0.stream_changed(&id),
                    Ok(NodeEvent::Missed(_)) | Err(RecvError::Lagged(_)) => self.0.wake_all(),
                    Ok(_) => {}
                    Err(RecvError::Closed) => indexed = false,
                },
                chunk = settled.recv() => match chunk {
                    Ok(id) => self.0.chunk_settled(&id),
                    Err(RecvError::Lagged(_)) => self.0.wake_all(),
                    Err(RecvError::Closed) => break,
                },
                Some((id, absence)) = next_report(&mut reports) => self.0.segment_absent(&id, absence),
            }
        }
        self.0.cancel.cancel();
        self.0.keepers.close();
        self.0.keepers.wait().await;
    }
}

impl Shared {
    /// A list that is kept; from now on it is the one asked for last.
    fn find(&self, key: &Key) -> Option<Arc<Entry>> {
        let mut entries = self.entries();
        let entry = entries.get(key)?;
        // A keeper that panicked has left its list behind.
        if entry.ready.has_changed().is_err() {
            entries.remove(key);
            return None;
        }
        entry.asked.store(self.requests.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(Arc::clone(entry))
    }

    async fn create(self: &Arc<Self>, key: &Key) -> Result<Arc<Entry>, PlaylistError> {
        let room = Arc::clone(&self.making).acquire_owned();
        let room = tokio::time::timeout(Playlists::ROOM_WAIT, room).await;
        let Ok(Ok(room)) = room else { return Err(PlaylistError::Overloaded) };
        // Others may have waited for the same one.
        if let Some(entry) = self.find(key) {
            return Ok(entry);
        }
        let signals = Arc::<Signals>::default();
        let told = self.read(&key.stream, &signals).await?;
        let told = told.ok_or_else(|| PlaylistError::NoStream(key.stream.clone()))?;
        let quality = key.quality;
        if quality != Quality::Src && !told.has(quality) {
            return Err(PlaylistError::NoQuality(quality));
        }
        let (entry, keeper) = self.entry(key, told, signals, room);
        let entry = match self.entries().entry(key.clone()) {
            // Somebody was faster.
            std::collections::hash_map::Entry::Occupied(other) => {
                return Ok(Arc::clone(other.get()));
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                Arc::clone(place.insert(entry.into()))
            }
        };
        let cancel = entry.cancel.clone();
        self.keepers.spawn(async move { cancel.run_until_cancelled(keeper.run()).await });
        self.make_room(key);
        Ok(entry)
    }

    /// Reads a stream and what is one with it. Changes of any of them will wake who has these signals.
    async fn read(&self, id: &StreamId, signals: &Signals) -> Result<Option<Told>, StoreError> {
        let expect = |twins: &Twins| {
            if !twins.is_empty() {
                self.has_twins.store(true, Ordering::Release);
            }
            lock(&signals.twins).clone_from(twins);
        };
        Told::read(&self.store, id, expect).await
    }

    fn entry(
        self: &Arc<Self>,
        key: &Key,
        told: Told,
        signals: Arc<Signals>,
        room: OwnedSemaphorePermit,
    ) -> (Entry, Keeper) {
        let config = &self.config;
        let network = key.stream.network.clone();
        let (patience, list) = (config.patience, config.list.clone());
        let mut view = View::new(network, told.stream, key.quality, patience, list);
        view.set_twins(told.twins);
        let view = if self.presence.is_some() { view.checked() } else { view };
        let view = Arc::new(Mutex::new(view));
        let (publish, ready) = watch::channel(None);
        let keeper = Keeper::new(
            Arc::clone(self),
            key.clone(),
            Arc::clone(&view),
            Arc::clone(&signals),
            publish,
            room,
        );
        let asked = self.requests.fetch_add(1, Ordering::Relaxed).into();
        let cancel = self.cancel.child_token();
        (Entry { view, ready, signals, asked, cancel }, keeper)
    }

    /// Drops the lists that nobody asked for longest, but never `keep`, nor those that are being made. Those that somebody
    /// waits for stay as long as there are no more than twice as many as there may be: else who waits would have them made
    /// again and again.
    fn make_room(&self, keep: &Key) {
        let mut entries = self.entries();
        let bytes = |entry: &Arc<Entry>| entry.signals.bytes.load(Ordering::Relaxed);
        let mut total: usize = entries.values().map(bytes).sum();
        let PlaylistConfig { max_lists, max_bytes, .. } = self.config;
        while entries.len() > max_lists || total > max_bytes {
            let is_over = entries.len() > max_lists.saturating_mul(2) || total > max_bytes;
            let others = entries.iter().filter(|(key, list)| *key != keep && !list.is_being_made());
            let others = others.map(|(key, entry)| (entry.is_waited_for(), key, entry));
            let Some(key) = others
                .filter(|(waited_for, ..)| is_over || !waited_for)
                .min_by_key(|(waited_for, _, entry)| {
                    (*waited_for, entry.asked.load(Ordering::Relaxed))
                })
                .map(|(_, key, _)| key.clone())
            else {
                return;
            };
            if let Some(entry) = entries.remove(&key) {
                total = total.saturating_sub(bytes(&entry));
                entry.cancel.cancel();
            }
        }
    }

    /// Forgets a list whose stream is gone.
    fn forget(&self, key: &Key) {
        self.entries().remove(key);
    }

    fn stream_changed(&self, id: &StreamId) {
        let entries = self.entries();
        for quality in [Quality::Src].into_iter().chain(Quality::TRANSCODED) {
            for chain_only in [false, true] {
                let key = Key { stream: id.clone(), quality, chain_only };
                if let Some(entry) = entries.get(&key) {
                    entry.signals.stream.notify_one();
                }
            }
        }
        if self.has_twins.load(Ordering::Acquire) {
            let named = entries.values().filter(|entry| lock(&entry.signals.twins).name(id));
            named.for_each(|entry| entry.signals.stream.notify_one());
        }
    }

    fn chunk_settled(&self, id: &ContentId) {
        for entry in self.entries().values() {
            if lock(&entry.signals.missing).contains(id) {
                entry.signals.chunk.notify_one();
            }
        }
    }

    /// A segment could not be served: the lists that hold it know that from now on.
    fn segment_absent(&self, id: &ContentId, absence: Absence) {
        let lists: Vec<_> = {
            let entries = self.entries();
            let list = |entry: &Arc<Entry>| (Arc::clone(&entry.view), Arc::clone(&entry.signals));
            entries.values().map(list).collect()
        };
        for (view, signals) in lists {
            if lock(&view).settle(id, Found::Absent(absence)) {
                signals.segments.notify_one();
                signals.look.notify_one();
            }
        }
    }

    /// Some news were missed: everybody looks.
    fn wake_all(&self) {
        for entry in self.entries().values() {
            entry.signals.stream.notify_one();
            entry.signals.chunk.notify_one();
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Arc<Entry>>> {
        lock(&self.entries)
    }
}

/// What was noticed while serving content; waits for ever without anybody who notices.
async fn next_report(
    reports: &mut Option<broadcast::Receiver<(ContentId, Absence)>>,
) -> Option<(ContentId, Absence)> {
    match reports {
        // Those that were lost come again when somebody asks for the segment again.
        Some(reports) => reports.recv().await.ok(),
        None => std::future::pending().await,
    }
}

/// Locks for a moment, never across an await. A panic elsewhere leaves whole values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
