//! People who chat, and a streamer who rules, on a transport in memory.

use alive_chat::{
    ApprovalPolicy, ChatSession, ChatTransport as _, Delivery, Entry, Family, Item, MemoryChat,
    Message, Networks, Peer, Rule, SessionBackends, SessionConfig, SharedChatTransport, StreamChat,
    system_clock,
};
use alive_core::{
    LiveKey, Network, StreamId,
    backend::{
        AccountAuthority, Authority, PublicKeyBytes, SharedAccountKeys, SignatureScheme as _,
    },
    memory::MemoryAccountKeys,
};
use alive_hive::{
    GraphenePlain, PrivateKey, RecoverableSignature, Role, SignAlgorithm, is_account_name,
};
use alive_node::{ChatConfig, ChatRooms};
use serde_json::{Value, json};

/// The streamer's AliveDB key.
const STREAMER: &str = "streamers.key";

/// A chain with accounts, a transport, and the streamer's space on it.
#[derive(Clone)]
pub(crate) struct Chatters {
    pub(crate) transport: MemoryChat,
    pub(crate) keys: MemoryAccountKeys,
    pub(crate) networks: Networks,
    pub(crate) id: StreamId,
}

impl Chatters {
    /// Alice, who streams, bob and carol.
    pub(crate) fn new(id: StreamId) -> Self {
        let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
        let networks = Networks::new([hive]).unwrap();
        let transport = MemoryChat::new(system_clock);
        let chatters =
            Self { transport, keys: MemoryAccountKeys::new(Network::hive()), networks, id };
        for name in ["alice", "bob", "carol"] {
            chatters.add(name);
        }
        chatters
    }

    /// Creates an account with keys that follow from its name.
    pub(crate) fn add(&self, name: &str) {
        let role = |role| {
            let key = PublicKeyBytes::from(key(name, role).public_key());
            Authority { threshold: 1, keys: vec![(key, 1)], accounts: Vec::new() }
        };
        let authority = AccountAuthority {
            posting: role(Role::Posting),
            active: role(Role::Active),
            owner: role(Role::Owner),
        };
        self.keys.set(name.parse().unwrap(), authority);
    }

    /// The chats as a node shows them.
    pub(crate) fn rooms(&self, config: ChatConfig) -> ChatRooms {
        let transport = SharedChatTransport::new(self.transport.clone());
        let keys = SharedAccountKeys::new(self.keys.clone());
        ChatRooms::new(self.networks.clone(), transport, [keys], config)
    }

    /// The streamer's side: it answers requests.
    pub(crate) fn desk(&self) -> ChatSession {
        let transport = self.transport.as_user(Peer(1), Some(streamer_key()));
        let backends = SessionBackends::new(SharedChatTransport::new(transport))
            .keys(SharedAccountKeys::new(self.keys.clone()));
        let config =
            SessionConfig::default().author(streamer_key()).approval(ApprovalPolicy::Automatic);
        ChatSession::start(self.chat(), streamer_key(), backends, config)
    }

    pub(crate) fn chat(&self) -> StreamChat {
        StreamChat::new(self.networks.clone(), self.id.clone()).unwrap()
    }

    /// The streamer says 1 or 0 about an account.
    pub(crate) async fn rule_on(&self, name: &str, value: f64) {
        let account = self.networks.account("hive", name).unwrap();
        self.rule(Rule::Participant(account), value).await;
    }

    /// The streamer says something.
    pub(crate) async fn rule(&self, rule: Rule, value: f64) {
        let entry = Entry { author: streamer_key(), rule, value, state: system_clock() };
        let transport = self.transport.as_user(Peer(1), Some(streamer_key()));
        transport.publish(&self.id, Item::Entry(entry)).await.unwrap();
    }

    /// A message as a browser sends it.
    pub(crate) fn message(&self, name: &str, text: &str) -> Value {
        self.message_by(name, name, text, system_clock().as_ms())
    }

    /// A message in the name of one that another signed.
    pub(crate) fn message_by(&self, signer: &str, name: &str, text: &str, time: f64) -> Value {
        let account = self.networks.account("hive", name).unwrap();
        let time = alive_chat::Moment::from_ms(time).unwrap();
        let signature = sign(signer, &self.chat().message_text(&account, time, text));
        json!({ "u": name, "n": "hive", "s": signature, "t": time.as_ms(), "m": text })
    }

    /// A request as a browser sends it.
    pub(crate) fn request_by(&self, signer: &str, name: &str) -> Value {
        let (account, time) = (self.networks.account("hive", name).unwrap(), system_clock());
        let signature = sign(signer, &self.chat().request_text(&account, time));
        json!({ "u": name, "n": "hive", "s": signature, "t": time.as_ms() })
    }

    /// Says something past the node, as any peer of AliveDB can.
    pub(crate) async fn publish(&self, message: &Value) {
        let message = Message::from_json(&self.networks, &message.to_string()).unwrap();
        self.transport.publish(&self.id, Item::Message(message)).await.unwrap();
    }

    /// All that was ever given to the transport.
    pub(crate) async fn carried(&self) -> Vec<Item> {
        let page = self.transport.history(&self.id, None, 10_000).await.unwrap();
        page.items.into_iter().map(|Delivery { item, .. }| item).collect()
    }
}

/// The payload that names the streamer's AliveDB key on the chain.
pub(crate) fn configure_chat() -> String {
    format!(r#"{{"op":2,"link":"s","l2":"gundb","pub":"{STREAMER}"}}"#)
}

pub(crate) fn streamer_key() -> LiveKey {
    STREAMER.parse().unwrap()
}

/// A key that follows from the name.
pub(crate) fn key(name: &str, role: Role) -> PrivateKey {
    PrivateKey::from_password(name, role, name).unwrap()
}

fn sign(name: &str, text: &str) -> String {
    let digest = GraphenePlain.digest(text.as_bytes());
    let key = key(name, Role::Posting);
    RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive).to_string()
}
