//! Chat over AliveDB, under the paths of the original: [`ChatDb`].
//!
//! | what | where | who may write |
//! |---|---|---|
//! | messages | list `alivedb_chat/NET/STREAMER/LINK`, linking to one node per message | anyone |
//! | requests | `alivedb_chat_request/NET/STREAMER/LINK/UNET/USER` | anyone |
//! | rules | `~PUB/NET/STREAMER/LINK/participants/UNET` and the others of [`Rule`](alive_chat::Rule) | the user PUB |
//!
//! Nobody can be kept from overwriting what is public. So a message counts by its signature, for the list that leads to it,
//! and readers keep what they have seen. Source: `spec/alivedb.md`, section 8.

mod follow;
mod participants;
mod read;
mod write;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use alive_chat::{
    ChatEvents, ChatTransport, Delivery, Entry, HistoryPage, Item, Moment, Networks, StreamChat,
};
use alive_core::{
    LiveKey, LiveLayer, StreamId,
    backend::{BackendError, SharedStreamStore, StreamStore as _},
};
use futures_util::{StreamExt as _, future, stream};

use crate::{
    database::{Database, DatabaseError},
    gun::{Delta, State},
    json::Text,
    sea::{KeyPair, PublicKey, SignError, UserSpace},
};

#[cfg(feature = "rest")]
pub use self::participants::ChatParticipants;

use self::read::ItemLink;

/// Chats in a GUN graph, as the original lays them out. A clone is a handle to the same.
///
/// Messages and requests lie in the open; rules lie in the spaces of the streamer and of those whom he has appointed. Whose
/// space that is says [`with_streamer`](Self::with_streamer) or the chain ([`with_store`](Self::with_store)); without
/// either no rules are read. Only the [user](Self::with_user) of this handle can publish entries, and only the streamer's
/// own handle reads requests, for nobody else decides about them.
///
/// What comes while one follows a chat says who has brought the link to it: all connections from one address are one peer,
/// each relay that was dialled is one. What this process writes and what was held before is by peer 0. A relay brings what
/// all others write, so give rooms that read through one a [`peer_rate`](alive_chat::RoomConfig::peer_rate) for all of them.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use std::sync::Arc;
/// use alive_chat::{ChatTransport, Family, Item, Message, Networks};
/// use alive_db::{chat::ChatDb, gun::{Peer, PeerConfig}, sea::UserSpace};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// let peer = Peer::start(PeerConfig::default(), UserSpace::default())?;
/// let chat = ChatDb::new(Arc::new(peer.clone()), networks.clone());
/// let stream = "hive/techcoderx/live-1".parse()?;
/// let json = r#"{"u":"alice","n":"hive","s":"1f","t":1795219380221,"m":"hello"}"#;
/// chat.publish(&stream, Item::Message(Message::from_json(&networks, json)?)).await?;
/// // Rules come first, then requests, then messages.
/// let (mut items, mut from) = (Vec::new(), None);
/// loop {
///     let page = chat.history(&stream, from, 10).await?;
///     items.extend(page.items);
///     from = page.next;
///     if from.is_none() {
///         break;
///     }
/// }
/// assert_eq!(items.len(), 1);
/// peer.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ChatDb<D> {
    shared: Arc<Shared<D>>,
}

struct Shared<D> {
    database: Arc<D>,
    networks: Networks,
    user: Option<Arc<KeyPair>>,
    streamers: Streamers,
    rules: UserSpace,
    /// The upper nodes that lead to a chat, written once: who walks the path from its root finds it.
    led_to: Mutex<HashSet<String>>,
}

/// Whose space holds a stream's rules.
#[derive(Clone, Debug)]
enum Streamers {
    Chain(SharedStreamStore),
    Known(PublicKey),
    Nobody,
}

impl<D: Database> ChatDb<D> {
    /// Most items of one page of history. Our own limit.
    pub const MAX_PAGE: usize = 1000;
    /// Most messages of a chat that are read; of more, the newest. Our own limit: a relay's node is full before.
    pub const MAX_MESSAGES: usize = 100_000;

    /// Chats of accounts of these networks in this graph.
    pub fn new(database: Arc<D>, networks: Networks) -> Self {
        Self::of(database, networks, None, Streamers::Nobody)
    }

    /// Publishes entries into the space of these keys.
    #[must_use]
    pub fn with_user(self, keys: Arc<KeyPair>) -> Self {
        let Shared { database, networks, streamers, .. } = &*self.shared;
        Self::of(Arc::clone(database), networks.clone(), Some(keys), streamers.clone())
    }

    /// Reads the rules of every stream from this space: for a handle that serves one stream.
    #[must_use]
    pub fn with_streamer(self, streamer: PublicKey) -> Self {
        let Shared { database, networks, user, .. } = &*self.shared;
        let streamers = Streamers::Known(streamer);
        Self::of(Arc::clone(database), networks.clone(), user.clone(), streamers)
    }

    /// Reads the rules of each stream from the space of the key that its `configure` names on the chain.
    #[must_use]
    pub fn with_store(self, store: SharedStreamStore) -> Self {
        let Shared { database, networks, user, .. } = &*self.shared;
        let streamers = Streamers::Chain(store);
        Self::of(Arc::clone(database), networks.clone(), user.clone(), streamers)
    }

    fn of(
        database: Arc<D>,
        networks: Networks,
        user: Option<Arc<KeyPair>>,
        streamers: Streamers,
    ) -> Self {
        let (rules, led_to) = (UserSpace::default(), Mutex::default());
        Self { shared: Arc::new(Shared { database, networks, user, streamers, rules, led_to }) }
    }
}

impl<D> Clone for ChatDb<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<D: fmt::Debug> fmt::Debug for ChatDb<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut this = f.debug_struct("ChatDb");
        this.field("database", &self.shared.database).field("streamers", &self.shared.streamers);
        this.field("user", &self.shared.user.as_ref().map(|keys| keys.public()));
        this.finish_non_exhaustive()
    }
}

impl<D: Database> ChatTransport for ChatDb<D> {
    /// A message or a request gets the state of this moment by this process's clock.
    async fn publish(&self, stream: &StreamId, item: Item) -> Result<(), BackendError> {
        let chat = self.shared.chat(stream)?;
        match item {
            Item::Entry(entry) => self.shared.publish_entry(&chat, &entry).await,
            Item::Message(message) => {
                let mut random = [0; write::RANDOM_LEN];
                getrandom::fill(&mut random).map_err(|error| unavailable(error.into()))?;
                let state = self.shared.database.next_state();
                let delta = write::message(&chat, &message, random, state);
                let root = (write::MESSAGES_ROOT, &*chat.messages_soul());
                let (led, put) =
                    future::join(self.shared.lead_to(root), self.shared.put(delta)).await;
                led.and(put)
            }
            Item::Request(request) => {
                // The leaf first and alone: who follows the link to it finds it, and the original looks at the first node of
                // a put only.
                let leaf = write::request(&chat, &request, self.shared.database.next_state());
                self.shared.put(leaf).await?;
                let soul = chat.request_soul(request.account());
                let link = write::last_link(&soul, self.shared.database.next_state());
                let list = soul.rsplit_once('/').map_or("", |(list, _)| list);
                let root = (write::REQUESTS_ROOT, list);
                let (led, put) =
                    future::join(self.shared.lead_to(root), self.shared.put(link)).await;
                led.and(put)
            }
            _ => Err(refused("this kind of item is not known here")),
        }
    }

    /// The rules first, those who are appointed before what they say; then requests, if this is the streamer's handle; then
    /// messages by the time of their links.
    async fn history(
        &self,
        stream: &StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage, BackendError> {
        let chat = self.shared.chat(stream)?;
        let streamer = self.shared.streamer(stream).await?;
        let limit = limit.clamp(1, Self::MAX_PAGE);
        let place = Place::from_cursor(from.unwrap_or_default());
        let (mut items, rest) = match place.section {
            Section::Rules => {
                let rules = match &streamer {
                    Some(streamer) => self.shared.all_rules(&chat, streamer).await?,
                    None => Vec::new(),
                };
                page(rules, place.index, limit)
            }
            Section::Requests => {
                let links = if self.shared.decides(streamer.as_ref()) {
                    self.shared.request_links(&chat).await?
                } else {
                    Vec::new()
                };
                let (links, rest) = page(links, place.index, limit);
                (self.shared.fetch(links, |link| self.shared.request(&chat, link)).await?, rest)
            }
            Section::Messages => {
                let links = self.shared.message_links(&chat).await?;
                let (links, rest) = page(links, place.index, limit);
                (self.shared.fetch(links, |link| self.shared.message(link)).await?, rest)
            }
        };
        items.truncate(limit);
        let next = match (rest, place.section.next()) {
            (true, _) => Some(Place { index: place.index.saturating_add(limit), ..place }),
            (false, Some(section)) => Some(Place { section, index: 0 }),
            (false, None) => None,
        };
        Ok(HistoryPage { items, next: next.map(Place::cursor) })
    }

    /// Rules come with what is held of them already. A message is told once all of it is here, two seconds after its link at
    /// most.
    async fn subscribe(&self, stream: &StreamId) -> Result<ChatEvents, BackendError> {
        let chat = self.shared.chat(stream)?;
        let streamer = self.shared.streamer(stream).await?;
        follow::subscribe(Arc::clone(&self.shared), chat, streamer).await
    }
}

impl<D: Database> Shared<D> {
    fn chat(&self, stream: &StreamId) -> Result<StreamChat, BackendError> {
        StreamChat::new(self.networks.clone(), stream.clone())
            .map_err(|error| BackendError::Refused { backend: BACKEND, source: error.into() })
    }

    /// Whose space the rules of a stream are in.
    async fn streamer(&self, stream: &StreamId) -> Result<Option<PublicKey>, BackendError> {
        match &self.streamers {
            Streamers::Nobody => Ok(None),
            Streamers::Known(streamer) => Ok(Some(streamer.clone())),
            Streamers::Chain(store) => {
                let known = store.stream(stream).await;
                let known = known.map_err(|error| unavailable(error.into()))?;
                let settings = known.map(|known| known.info.settings);
                let settings = settings.filter(|s| s.live_layer() == Some(LiveLayer::GunDb));
                Ok(settings.and_then(|settings| settings.live_key.as_ref()?.as_str().parse().ok()))
            }
        }
    }

    /// Whether this handle's user is the one who decides about requests.
    fn decides(&self, streamer: Option<&PublicKey>) -> bool {
        self.user.as_ref().is_some_and(|user| Some(user.public()) == streamer)
    }

    async fn publish_entry(&self, chat: &StreamChat, entry: &Entry) -> Result<(), BackendError> {
        let user = self.user.as_ref().filter(|user| is_key(&entry.author, user.public()));
        let user = user.ok_or_else(|| refused("the entry is by another user"))?;
        // Later than all that this process wrote, even within a millisecond.
        let own = self.database.next_state();
        let wanted = State::new(entry.state.as_ms()).unwrap_or(own);
        let delta = write::entry(chat, user, entry, own.max(wanted));
        self.put(delta.map_err(|error| not_signed(&error))?).await
    }

    /// Writes the nodes that lead from the root to a soul, unless this handle has done so.
    async fn lead_to(&self, (root, soul): (&str, &str)) -> Result<(), BackendError> {
        if self.led().contains(soul) {
            return Ok(());
        }
        let path = write::links(root, soul, self.database.next_state());
        match self.put(path).await {
            // A node that is full leads nobody further, but who knows the whole name still gets there.
            Ok(()) | Err(BackendError::Refused { .. }) => {
                let mut led = self.led();
                if led.len() >= MAX_LED {
                    led.clear();
                }
                led.insert(soul.to_owned());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn led(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // Nothing panics while it holds the lock.
        self.led_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn put(&self, delta: Delta) -> Result<(), BackendError> {
        self.database.put(delta).await.map_err(failed)
    }

    /// Reads what links lead to, some at a time, in their order; what is not there is left out.
    async fn fetch<F: Future<Output = Result<Option<Delivery>, DatabaseError>>>(
        &self,
        links: Vec<ItemLink>,
        read: impl Fn(ItemLink) -> F,
    ) -> Result<Vec<Delivery>, BackendError> {
        let read: Vec<_> = stream::iter(links).map(read).buffered(FETCHES).collect().await;
        read.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>().map_err(failed)
    }
}

/// How many items are fetched at once.
const FETCHES: usize = 64;
/// How many paths are remembered as written.
const MAX_LED: usize = 10_000;
/// What errors call this backend.
const BACKEND: &str = "AliveDB";

fn is_key(key: &LiveKey, public: &PublicKey) -> bool {
    key.as_str() == public.to_string()
}

fn moment(state: State) -> Moment {
    Moment::from_ms(state.millis()).unwrap_or(Moment::EPOCH)
}

fn failed(error: DatabaseError) -> BackendError {
    match error {
        DatabaseError::Refused(_) => {
            BackendError::Refused { backend: BACKEND, source: error.into() }
        }
        DatabaseError::Unavailable(_) => unavailable(error.into()),
    }
}

fn not_signed(error: &SignError) -> BackendError {
    BackendError::Refused { backend: BACKEND, source: error.clone().into() }
}

fn refused(why: &'static str) -> BackendError {
    BackendError::Refused { backend: BACKEND, source: why.into() }
}

fn unavailable(source: Box<dyn std::error::Error + Send + Sync>) -> BackendError {
    BackendError::Unavailable { backend: BACKEND, source }
}

/// A part of a list, and whether there is more.
fn page<T>(all: Vec<T>, from: usize, limit: usize) -> (Vec<T>, bool) {
    let rest = all.len() > from.saturating_add(limit);
    (all.into_iter().skip(from).take(limit).collect(), rest)
}

/// Where a page of history begins.
#[derive(Clone, Copy, Debug)]
struct Place {
    section: Section,
    index: usize,
}

#[derive(Clone, Copy, Debug)]
enum Section {
    Rules,
    Requests,
    Messages,
}

impl Section {
    fn next(self) -> Option<Self> {
        match self {
            Self::Rules => Some(Self::Requests),
            Self::Requests => Some(Self::Messages),
            Self::Messages => None,
        }
    }
}

impl Place {
    /// The section in the uppermost byte, the index in the others.
    const SECTION_SHIFT: u32 = 56;

    fn from_cursor(cursor: u64) -> Self {
        let section = match cursor >> Self::SECTION_SHIFT {
            0 => Section::Rules,
            1 => Section::Requests,
            _ => Section::Messages,
        };
        let index = cursor & ((1 << Self::SECTION_SHIFT) - 1);
        Self { section, index: usize::try_from(index).unwrap_or(usize::MAX) }
    }

    fn cursor(self) -> u64 {
        let section = match self.section {
            Section::Rules => 0_u64,
            Section::Requests => 1,
            Section::Messages => 2,
        };
        let index = u64::try_from(self.index).unwrap_or(u64::MAX);
        section << Self::SECTION_SHIFT | index.min((1 << Self::SECTION_SHIFT) - 1)
    }
}

/// The text of a soul for `Text`.
fn text(soul: &str) -> Text {
    soul.into()
}
