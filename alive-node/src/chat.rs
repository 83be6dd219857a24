//! Chats that visitors of the pages take part in: [`ChatRooms`].
//!
//! A chat is followed while somebody looks at it: one [`ChatSession`] for all visitors of a stream, which verifies every
//! message once, and a [`Board`](board::Board) that holds the last ones as they are sent. What a visitor says is signed in
//! his browser. It is looked at here before it goes to the others, the cheap checks first.

mod board;
mod config;
mod counts;
mod door;
mod followed;
mod senders;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alive_chat::{Networks, SessionBackends, SharedBlacklist, SharedChatTransport, StreamChat};
use alive_core::{
    LiveKey, LiveLayer, StreamId, StreamInfo,
    backend::{AccountKeys as _, SharedAccountKeys},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::followed::Followed;
pub use self::{config::ChatConfig, door::fuzz_request};
pub(crate) use self::{
    counts::ChatCounts,
    door::{ChatAccount, Door, NetworkForm, Turned},
    followed::Visit,
    senders::Senders,
};

/// The chats that a node shows to visitors. A clone is a handle to the same ones.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use alive_chat::{Family, MemoryChat, Networks, SharedChatTransport, system_clock};
/// use alive_core::{Network, backend::SharedAccountKeys, memory::MemoryAccountKeys};
/// use alive_node::{ChatConfig, ChatRooms};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// let networks = Networks::new([Family::new(Network::hive(), GraphenePlain, is_account_name)])?;
/// let transport = SharedChatTransport::new(MemoryChat::new(system_clock));
/// let keys = SharedAccountKeys::new(MemoryAccountKeys::new(Network::hive()));
/// let rooms = ChatRooms::new(networks, transport, [keys], ChatConfig::default());
/// assert_eq!(rooms.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChatRooms(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    networks: Networks,
    backends: SessionBackends,
    keys: Vec<SharedAccountKeys>,
    config: ChatConfig,
    counts: ChatCounts,
    rooms: Mutex<HashMap<StreamId, Arc<Followed>>>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

/// As many chats as the node may follow are being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AllTaken;

impl ChatRooms {
    /// Chats that this transport carries. Only accounts of networks whose keys can be asked for take part; bring keys that
    /// are remembered, such as [`CachedAccountKeys`](alive_core::CachedAccountKeys).
    pub fn new(
        networks: Networks,
        transport: SharedChatTransport,
        keys: impl IntoIterator<Item = SharedAccountKeys>,
        config: ChatConfig,
    ) -> Self {
        let keys: Vec<_> = keys.into_iter().collect();
        let backends = SessionBackends::new(transport);
        let backends = keys.iter().cloned().fold(backends, SessionBackends::keys);
        let counts = ChatCounts::default();
        let told = counts.clone();
        let backends = backends.outcomes(move |outcome| told.outcome(outcome));
        Self::with(networks, backends, keys, config, counts)
    }

    /// Honours the blacklists that streamers of Hive follow.
    #[must_use]
    pub fn blacklist(self, blacklist: SharedBlacklist) -> Self {
        let Shared { networks, backends, keys, config, counts, .. } = &*self.0;
        let backends = backends.clone().blacklist(blacklist);
        Self::with(networks.clone(), backends, keys.clone(), config.clone(), counts.clone())
    }

    fn with(
        networks: Networks,
        backends: SessionBackends,
        keys: Vec<SharedAccountKeys>,
        config: ChatConfig,
        counts: ChatCounts,
    ) -> Self {
        let (rooms, cancel, tasks) =
            (Mutex::default(), CancellationToken::new(), TaskTracker::new());
        Self(Arc::new(Shared { networks, backends, keys, config, counts, rooms, cancel, tasks }))
    }

    /// How many chats are followed now.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// What is counted of them.
    pub(crate) fn counts(&self) -> &ChatCounts {
        &self.0.counts
    }

    /// Ends all chats and waits for their ends.
    pub(crate) async fn stop(&self) {
        self.0.cancel.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.lock().clear();
    }

    /// Whether a stream has a chat: its streamer has named his AliveDB key, and accounts of its network can chat.
    pub(crate) fn key_of<'i>(&self, id: &StreamId, info: &'i StreamInfo) -> Option<&'i LiveKey> {
        let settings = &info.settings;
        let is_here = settings.live_layer() == Some(LiveLayer::GunDb);
        let key = settings.live_key.as_ref().filter(|_| is_here)?;
        self.chat_of(id).map(|_| key)
    }

    /// The networks whose accounts can take part, as pages need to know them.
    pub(crate) fn networks(&self) -> impl Iterator<Item = NetworkForm<'_>> {
        let known = |network: &_| self.0.keys.iter().any(|keys| keys.network() == network);
        let networks = self.0.networks.iter().filter(move |family| known(family.network()));
        networks.map(|family| NetworkForm {
            name: family.network().as_str(),
            recovery_id: family.has_recovery_id(),
        })
    }

    /// What visitors may send.
    pub(crate) fn senders(&self) -> Senders {
        Senders::new(self.0.config.rate)
    }

    /// Looks at a chat. It is followed while somebody does, and some time longer.
    pub(crate) fn visit(&self, id: &StreamId, key: &LiveKey) -> Result<Visit, AllTaken> {
        let mut rooms = self.lock();
        if self.0.cancel.is_cancelled() {
            return Err(AllTaken);
        }
        if let Some(followed) = rooms.get(id) {
            if followed.is_of(key) {
                return Ok(Visit::begin(followed));
            }
            // The streamer has named another key: who listens comes again, to the new one.
            if let Some(followed) = rooms.remove(id) {
                followed.end();
            }
        }
        if rooms.len() >= self.0.config.chats {
            let longest = rooms.iter().filter_map(|(id, room)| Some((room.idle_since()?, id)));
            let longest = longest.min_by_key(|(since, _)| *since).map(|(_, id)| id.clone());
            let left = longest.and_then(|id| rooms.remove(&id)).ok_or(AllTaken)?;
            left.end();
        }
        let chat = self.chat_of(id).ok_or(AllTaken)?;
        let cancel = self.0.cancel.child_token();
        let Shared { backends, config, counts, .. } = &*self.0;
        let followed = Followed::start(chat, key.clone(), backends, config, counts.clone(), cancel);
        let counted = counts.room();
        rooms.insert(id.clone(), Arc::clone(&followed));
        let (rooms, id) = (Arc::downgrade(&self.0), id.clone());
        let told = Arc::clone(&followed);
        self.0.tasks.spawn(async move {
            Arc::clone(&told)
                .run(|| {
                    let Some(shared) = rooms.upgrade() else { return true };
                    shared.leave(&id, &told)
                })
                .await;
            if let Some(shared) = rooms.upgrade() {
                shared.forget(&id, &told);
            }
            drop(counted);
        });
        Ok(Visit::begin(&followed))
    }

    /// Who is let in, and by which keys he is known.
    pub(crate) fn door(&self) -> Door<'_> {
        Door { networks: &self.0.networks, keys: &self.0.keys }
    }

    fn chat_of(&self, id: &StreamId) -> Option<StreamChat> {
        StreamChat::new(self.0.networks.clone(), id.clone()).ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<Followed>>> {
        self.0.lock()
    }
}

impl Shared {
    /// Locks for a moment, never across an await. What is behind it is whole after any panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<Followed>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a chat up if nobody has looked at it for long; whether it is given up. Visits begin under the same lock, so
    /// nobody is left with a chat that has ended.
    fn leave(&self, id: &StreamId, followed: &Arc<Followed>) -> bool {
        let mut rooms = self.lock();
        let is_idle =
            followed.idle_since().is_some_and(|since| since.elapsed() >= self.config.idle);
        if is_idle && rooms.get(id).is_some_and(|held| Arc::ptr_eq(held, followed)) {
            rooms.remove(id);
        }
        is_idle
    }

    /// A chat has ended by itself.
    fn forget(&self, id: &StreamId, followed: &Arc<Followed>) {
        let mut rooms = self.lock();
        if rooms.get(id).is_some_and(|held| Arc::ptr_eq(held, followed)) {
            rooms.remove(id);
        }
    }
}

#[cfg(test)]
mod tests;
