//! The streamer's side of a chat beside an AliveDB server: [`ChatListener`].

use std::sync::Arc;

use alive_chat::{
    ApprovalPolicy, ChatSession, Networks, RoomConfig, SessionBackends, SessionConfig,
    SharedBlacklist, SharedChatTransport, StreamChat, conformance::Chains as _,
};
use alive_core::{
    LiveKey, Network, StreamId,
    backend::{AccountKeys as _, BackendError, PublicKeyBytes, SharedAccountKeys},
};
use alive_db::{
    chat::{ChatDb, ChatParticipants},
    gun::Peer,
    rest::{Participants, ParticipantsKeys},
    sea::KeyPair,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{chat::networks_and, chat_networks::ChatChains};

/// Follows a chat in the name of whoever is logged in at an AliveDB server, as the original's `chat_listener` does: good
/// requests for access are approved, and the participants are told with their keys.
#[derive(Clone, Debug)]
pub(crate) struct ChatListener {
    chat: StreamChat,
    peer: Peer,
    keys: Vec<SharedAccountKeys>,
    blacklist: Option<SharedBlacklist>,
    logins: watch::Receiver<Option<Arc<KeyPair>>>,
}

impl ChatListener {
    /// Messages that are held: none is shown here.
    const HISTORY: usize = 1;

    /// A listener to the chat of a stream. `logins` tells whose user it works for.
    ///
    /// # Errors
    /// The stream's network has no chats.
    pub(crate) fn new(
        peer: &Peer,
        stream: StreamId,
        keys: Vec<SharedAccountKeys>,
        blacklist: Option<SharedBlacklist>,
        logins: watch::Receiver<Option<Arc<KeyPair>>>,
    ) -> anyhow::Result<Self> {
        let networks = networks_and(keys.iter().map(SharedAccountKeys::network))?;
        let chat = StreamChat::new(networks, stream)?;
        Ok(Self { chat, peer: peer.clone(), keys, blacklist, logins })
    }

    /// Works for one user after the other, until it is cancelled.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut follows: Option<(Arc<KeyPair>, ChatSession)> = None;
        loop {
            let user = self.logins.borrow_and_update().clone();
            let is_known = follows.as_ref().map(|(keys, _)| keys.public())
                == user.as_ref().map(|k| k.public());
            if !is_known {
                if let Some((_, session)) = follows.take() {
                    session.stop().await;
                }
                follows = user.and_then(|keys| Some((Arc::clone(&keys), self.follow(keys)?)));
            }
            match cancel.run_until_cancelled(self.logins.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => break,
            }
        }
        if let Some((_, session)) = follows {
            session.stop().await;
        }
    }

    /// Answers requests in the name of a user.
    fn follow(&self, keys: Arc<KeyPair>) -> Option<ChatSession> {
        let author: LiveKey = keys.public().to_string().parse().ok()?;
        tracing::info!(chat = %self.chat.id(), user = %author, "follows the chat");
        let transport = SharedChatTransport::new(self.transport(&keys).with_user(keys));
        let backends = SessionBackends::new(transport);
        let backends = self.keys.iter().cloned().fold(backends, SessionBackends::keys);
        let backends = self.blacklist.iter().cloned().fold(backends, SessionBackends::blacklist);
        let config = SessionConfig::default();
        let room: RoomConfig = config.room.clone().history(Self::HISTORY);
        let config = config.room(room).author(author.clone()).approval(ApprovalPolicy::Automatic);
        Some(ChatSession::start(self.chat.clone(), author, backends, config))
    }

    fn transport(&self, keys: &KeyPair) -> ChatDb<Peer> {
        let networks: Networks = self.chat.networks().clone();
        ChatDb::new(Arc::new(self.peer.clone()), networks).with_streamer(keys.public().clone())
    }
}

impl Participants for ChatListener {
    async fn keys(&self) -> Result<ParticipantsKeys, BackendError> {
        let Some(user) = self.logins.borrow().clone() else {
            return Ok(ParticipantsKeys::new());
        };
        let (chat, stream) = (self.transport(&user), self.chat.id().clone());
        ChatParticipants::new(chat, stream, self.keys.clone(), write_key).keys().await
    }
}

/// The text of a key as its network writes it; that of Hive where nobody knows how.
fn write_key(network: &Network, key: &PublicKeyBytes) -> String {
    let known = ChatChains::write_key(network.as_str(), key);
    known.or_else(|| ChatChains::write_key(Network::hive().as_str(), key)).unwrap_or_default()
}
