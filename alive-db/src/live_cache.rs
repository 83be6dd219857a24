//! AliveDB as core's live cache: [`AliveDb`].

mod parts;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use alive_core::{
    LiveLayer, StreamId, Timestamp,
    backend::{
        HeldParts, LiveCache, LiveCacheError, LivePart, LiveParts, LiveSegment, LiveSegments,
        SharedStreamStore, StreamStore as _,
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

use self::parts::PartFollower;
use crate::{
    database::{Changes, Database, DatabaseError, system_millis},
    gun::{Delta, NodeDelta, Put, State, Value},
    json::Text,
    schema::{Item, ItemLink, NewItem, PartSpace, StreamSpace},
    sea::{KeyError, KeyPair, PublicKey, SignError, UserSpace},
};

/// Live segments in a GUN graph, in the space of each stream's streamer.
///
/// A [writer](Self::writer) pushes into the space of its own keys and reads from it. A [reader](Self::reader) follows
/// other streamers: the key that a stream's `configure` names on the chain decides whose space counts, and a stream
/// without one has no segments here. A subscription is to the space of its time: who follows a stream subscribes anew when
/// its key changes. Segments are there for ten minutes, parts of the segment that is being recorded for two.
pub struct AliveDb<D> {
    shared: Arc<Shared<D>>,
}

struct Shared<D> {
    database: Arc<D>,
    streamers: Streamers,
    rules: UserSpace,
    clock: Box<dyn Fn() -> f64 + Send + Sync>,
}

/// Whose space a stream is in.
enum Streamers {
    /// Nobody says.
    Asked,
    Chain(SharedStreamStore),
    Own {
        keys: Arc<KeyPair>,
    },
}

impl<D: Database> AliveDb<D> {
    /// How long a segment may come after its link. Source: `spec/alivedb.md`, section 6.
    const WAIT: Duration = Duration::from_secs(2);
    /// How many segments are fetched at once.
    const FETCHES: usize = 16;
    /// How many segments a subscriber may lag behind.
    const LAG: usize = 1024;

    /// Pushes into the space of these keys, and lists from it.
    pub fn writer(database: Arc<D>, keys: Arc<KeyPair>) -> Self {
        Self::new(database, Streamers::Own { keys })
    }

    /// Follows the streams that this store knows.
    pub fn reader(database: Arc<D>, store: SharedStreamStore) -> Self {
        Self::new(database, Streamers::Chain(store))
    }

    /// Reads the [items](Self::items) of whoever is asked for. As a live cache it knows no stream.
    pub fn anonymous(database: Arc<D>) -> Self {
        Self::new(database, Streamers::Asked)
    }

    /// Takes another clock than the system's, in milliseconds since 1970. It must agree with the database's.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        let old = &self.shared;
        let streamers = match &old.streamers {
            Streamers::Asked => Streamers::Asked,
            Streamers::Chain(store) => Streamers::Chain(store.clone()),
            Streamers::Own { keys } => Streamers::Own { keys: Arc::clone(keys) },
        };
        let mut shared = Shared::new(Arc::clone(&old.database), streamers);
        shared.clock = Box::new(clock);
        Self { shared: Arc::new(shared) }
    }

    fn new(database: Arc<D>, streamers: Streamers) -> Self {
        Self { shared: Arc::new(Shared::new(database, streamers)) }
    }

    /// Adds a segment that a client has sent; `NewItem` may be less strict than a playlist.
    ///
    /// # Errors
    /// [`PushError`].
    pub async fn push_item(&self, stream: &StreamId, item: &NewItem) -> Result<(), PushError> {
        let delta = self.shared.sign(stream, item)?;
        Ok(self.shared.database.put(delta).await?)
    }

    /// The segments of a streamer's list as clients of the original get them, oldest first.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`].
    pub async fn items(
        &self,
        streamer: &PublicKey,
        stream: &StreamId,
        since_ms: f64,
    ) -> Result<Vec<Item>, DatabaseError> {
        let space = StreamSpace::new(streamer, stream);
        let items = self.shared.list(&space, since_ms).await?;
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }
}

impl<D: Database> Shared<D> {
    fn new(database: Arc<D>, streamers: Streamers) -> Self {
        let clock = Box::new(system_millis);
        Self { database, streamers, rules: UserSpace::default(), clock }
    }

    /// The keys to write with.
    fn keys(&self) -> Result<&KeyPair, PushError> {
        match &self.streamers {
            Streamers::Own { keys } => Ok(keys),
            Streamers::Asked | Streamers::Chain(_) => Err(PushError::ReadOnly),
        }
    }

    fn sign(&self, stream: &StreamId, item: &NewItem) -> Result<Delta, PushError> {
        let keys = self.keys()?;
        let mut random = [0; StreamSpace::RANDOM_LEN];
        getrandom::fill(&mut random).map_err(|_| PushError::Sign(KeyError::Library.into()))?;
        let state = self.database.next_state();
        Ok(StreamSpace::new(keys.public(), stream).push(keys, item, random, state)?)
    }

    /// Whose space a stream is in; `None` if the chain knows neither the stream nor a key that is one.
    async fn streamer(&self, stream: &StreamId) -> Result<Option<PublicKey>, LiveCacheError> {
        let store = match &self.streamers {
            Streamers::Asked => return Ok(None),
            Streamers::Own { keys, .. } => return Ok(Some(keys.public().clone())),
            Streamers::Chain(store) => store,
        };
        let known = store.stream(stream).await.map_err(|error| unavailable(error.into()))?;
        Ok(known.and_then(|known| {
            let settings = known.info.settings;
            if settings.live_layer() != Some(LiveLayer::GunDb) {
                return None;
            }
            settings.live_key.as_ref()?.as_str().parse().ok()
        }))
    }

    /// Where the segments of a stream are.
    async fn space(&self, stream: &StreamId) -> Result<Option<StreamSpace>, LiveCacheError> {
        let streamer = self.streamer(stream).await?;
        Ok(streamer.map(|streamer| StreamSpace::new(&streamer, stream)))
    }

    async fn push_part(&self, stream: &StreamId, part: &LivePart) -> Result<(), PushError> {
        let keys = self.keys()?;
        let space = PartSpace::new(keys.public(), stream);
        Ok(self.database.put(space.push(keys, part, self.database.next_state())?).await?)
    }

    /// The segments of a list and the links to them, oldest first. What is not there or no segment is left out.
    async fn list(
        &self,
        space: &StreamSpace,
        since_ms: f64,
    ) -> Result<Vec<(ItemLink, Item)>, DatabaseError> {
        let Some(list) = self.database.node(space.list_soul()).await? else {
            return Ok(Vec::new());
        };
        let links = self.links(space, &list, since_ms);
        let fetched: Vec<_> = stream::iter(links)
            .map(|link| async {
                let node = self.database.node(&link.soul).await?;
                Ok(node.and_then(|node| self.read(&node)).map(|item| (link, item)))
            })
            .buffered(AliveDb::<D>::FETCHES)
            .collect()
            .await;
        fetched.into_iter().filter_map(Result::transpose).collect()
    }

    fn links(&self, space: &StreamSpace, list: &NodeDelta, since_ms: f64) -> Vec<ItemLink> {
        space.links(list, (self.clock)(), since_ms, |put| self.open(put))
    }

    fn read(&self, node: &NodeDelta) -> Option<Item> {
        Item::read(node, |put| self.open(put))
    }

    /// All that is in the database has been verified when it came in.
    fn open(&self, put: Put<'_>) -> Option<Value> {
        (put.state.millis() <= (self.clock)()).then(|| self.rules.plain(put)).flatten()
    }

    /// The node of a link, as soon as it is a whole segment: its message may arrive after the list's.
    async fn arriving(&self, link: &ItemLink) -> Option<Item> {
        let mut changes = self.database.watch(&link.soul).await.ok()?;
        let look = async || {
            let node = self.database.node(&link.soul).await.ok().flatten();
            node.and_then(|node| self.read(&node))
        };
        let item = async {
            loop {
                if let Some(item) = look().await {
                    return Some(item);
                }
                changes.next().await?;
            }
        };
        tokio::time::timeout(AliveDb::<D>::WAIT, item).await.ok().flatten()
    }
}

impl<D> Clone for AliveDb<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<D: fmt::Debug> fmt::Debug for AliveDb<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streamers: &dyn fmt::Debug = match &self.shared.streamers {
            Streamers::Asked => &"those asked for",
            Streamers::Chain(store) => store,
            Streamers::Own { keys, .. } => keys.public(),
        };
        let mut this = f.debug_struct("AliveDb");
        this.field("database", &self.shared.database).field("streamers", streamers);
        this.finish_non_exhaustive()
    }
}

impl<D: Database> LiveCache for AliveDb<D> {
    /// The time of the segment is that of the push, by this process's clock.
    async fn push(&self, stream: &StreamId, segment: LiveSegment) -> Result<(), LiveCacheError> {
        self.push_item(stream, &NewItem::from(&segment)).await.map_err(not_pushed)
    }

    async fn list(
        &self,
        stream: &StreamId,
        since: Timestamp,
    ) -> Result<Vec<LiveSegment>, LiveCacheError> {
        let Some(space) = self.shared.space(stream).await? else { return Ok(Vec::new()) };
        // All of it: what was pushed twice counts as pushed the first time.
        let items = self.shared.list(&space, 0.0).await;
        let items = items.map_err(|error| unavailable(error.into()))?;
        let mut known = HashSet::new();
        let segments = items.iter().filter_map(|(link, item)| item.to_segment(link.state));
        let once = segments.filter(|held| known.insert(held.segment.content));
        Ok(once.filter(|held| held.at >= since).collect())
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<LiveSegments, LiveCacheError> {
        let Some(space) = self.shared.space(stream).await? else {
            // Nothing will come. A configure may name a key later: whoever follows the stream hears of that, as of
            // another key than before, and subscribes anew.
            return Ok(Box::pin(stream::pending()));
        };
        let failed = |error: DatabaseError| unavailable(error.into());
        let database = &self.shared.database;
        // First watch, then look: nothing is lost between the two.
        let changes = database.watch(space.list_soul()).await.map_err(failed)?;
        let held = database.node(space.list_soul()).await.map_err(failed)?;
        let mut seen = Seen::default();
        for (key, _, state) in held.into_iter().flat_map(|held| held.entries) {
            seen.is_new(key, state, 0.0);
        }
        let (out, segments) = broadcast::channel(Self::LAG);
        let follower = Follower { shared: Arc::clone(&self.shared), space, seen, out };
        let task = AbortOnDropHandle::new(tokio::spawn(follower.run(changes)));
        Ok(subscription(segments, task))
    }

    /// As a segment: signed by the streamer, at the time of the push.
    async fn push_part(&self, stream: &StreamId, part: LivePart) -> Result<(), LiveCacheError> {
        self.shared.push_part(stream, &part).await.map_err(not_pushed)
    }

    async fn subscribe_parts(&self, stream: &StreamId) -> Result<LiveParts, LiveCacheError> {
        let Some(streamer) = self.shared.streamer(stream).await? else {
            return Ok(Box::pin(stream::pending()));
        };
        let space = PartSpace::new(&streamer, stream);
        let changes = self.shared.database.watch(space.soul()).await;
        let changes = changes.map_err(|error| unavailable(error.into()))?;
        let (out, parts) = broadcast::channel(HeldParts::MAX);
        let follower = PartFollower::new(Arc::clone(&self.shared), space, out);
        Ok(subscription(parts, AbortOnDropHandle::new(tokio::spawn(follower.run(changes)))))
    }
}

/// What a task tells, for as long as somebody listens.
fn subscription<T: Clone + Send + 'static>(
    told: broadcast::Receiver<T>,
    task: AbortOnDropHandle<()>,
) -> Pin<Box<dyn Stream<Item = T> + Send>> {
    Box::pin(stream::unfold((told, task), async |(mut told, task)| {
        loop {
            match told.recv().await {
                Ok(item) => return Some((item, (told, task))),
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    tracing::debug!(lost, "a subscriber lags behind");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }))
}

/// What errors call this backend.
const BACKEND: &str = "AliveDB";

fn unavailable(source: Box<dyn std::error::Error + Send + Sync>) -> LiveCacheError {
    LiveCacheError::Unavailable { backend: BACKEND, source }
}

/// Why a segment or part was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The database did not take it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There are no keys to sign with.
    #[error("this process reads only, it has no keys of a streamer")]
    ReadOnly,
    /// It could not be signed.
    #[error("the segment cannot be signed")]
    Sign(#[from] SignError),
}

fn not_pushed(error: PushError) -> LiveCacheError {
    match error {
        PushError::Database(DatabaseError::Unavailable(_)) => unavailable(error.into()),
        _ => LiveCacheError::Refused { backend: BACKEND, source: error.into() },
    }
}

/// Tells the segments of one list as they come.
struct Follower<D> {
    shared: Arc<Shared<D>>,
    space: StreamSpace,
    seen: Seen,
    out: broadcast::Sender<LiveSegment>,
}

impl<D: Database> Follower<D> {
    async fn run(mut self, mut changes: Changes) {
        while let Some(change) = changes.next().await {
            let now_ms = (self.shared.clock)();
            for link in self.shared.links(&self.space, &change.node, f64::NEG_INFINITY) {
                if !self.seen.is_new(link.key.clone(), link.state, now_ms) {
                    continue;
                }
                // In order, one after the other: players need the next one first.
                let item = self.shared.arriving(&link).await;
                let Some(segment) = item.and_then(|item| item.to_segment(link.state)) else {
                    tracing::debug!(soul = %link.soul, "a link leads to no segment");
                    continue;
                };
                if self.out.send(segment).is_err() {
                    return;
                }
            }
        }
    }
}

/// The links that have been told, as long as the list keeps them.
#[derive(Debug, Default)]
struct Seen(HashMap<Text, State>);

impl Seen {
    /// Notes a link; whether it was not there before, or is written anew since.
    fn is_new(&mut self, key: Text, state: State, now_ms: f64) -> bool {
        if self.0.len() >= 2 * StreamSpace::MAX_ITEMS {
            self.0.retain(|_, state| now_ms - state.millis() < StreamSpace::EXPIRY_MS);
        }
        if self.0.len() >= 4 * StreamSpace::MAX_ITEMS {
            self.0.clear();
        }
        self.0.insert(key, state).is_none_or(|before| before < state)
    }
}
