//! `alive chat`: the chat of a stream, joined, archived and replayed.

use std::{sync::Arc, time::Duration};

use alive_chat::{
    Account, ChatSession, Family, Networks, Rate, RoomConfig, SessionBackends, SessionConfig,
    SharedBlacklist, SharedChatTransport, StreamChat,
};
use alive_core::{AccountName, LiveKey, LiveLayer, Network, StreamId, backend::BackendError};
use alive_db::{
    chat::ChatDb,
    gun::{Peer, PeerConfig},
    sea::{KeyPair, UserSpace},
};
use alive_hive::{GraphenePlain, is_account_name, rpc};
use anyhow::{Context as _, bail};

use crate::{
    chain::{Chain, ChainArgs},
    chat_archive, chat_networks, chat_replay, chat_room, output,
};

/// Speaks and listens in the chat of a stream. Every message is verified here, whoever brought it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Writes the chat to a file that anybody can verify, stores it and names it on the chain.
    Archive(Box<chat_archive::ArchiveArgs>),
    /// Joins the chat in this terminal, or in a script.
    Join(Box<chat_room::JoinArgs>),
    /// Prints an archived chat, found by the chain alone, every signature checked.
    Replay(Box<chat_replay::ReplayArgs>),
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Archive(args) => chat_archive::archive(*args).await,
        Command::Join(args) => chat_room::join(*args).await,
        Command::Replay(args) => chat_replay::replay(*args).await,
    }
}

/// Which chat, and how to get there.
#[derive(Debug, clap::Args)]
pub(crate) struct ChatArgs {
    /// The stream.
    #[arg(value_name = "NETWORK/AUTHOR/LINK")]
    pub(crate) stream: StreamId,
    /// AliveDB peer that has the chat, such as that of a node or of `alive db`. May be given several times.
    #[arg(
        long = "live-peer",
        env = "ALIVE_LIVE_PEER",
        value_delimiter = ',',
        value_name = "URL",
        required = true
    )]
    live_peers: Vec<String>,
    /// The streamer's AliveDB key, in whose space approvals and bans are. By default the chain or the node tells it.
    #[arg(long = "pub", env = "ALIVE_PUB", value_name = "KEY")]
    live_key: Option<LiveKey>,
    /// Node that tells the streamer's AliveDB key.
    #[arg(long, env = "ALIVE_API", value_name = "URL")]
    api: Option<String>,
    /// The first block to read for that key, where no node is asked.
    #[arg(long, env = "ALIVE_FROM_BLOCK", default_value_t = 1, value_name = "BLOCK")]
    from_block: u32,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
}

/// A chat that is followed.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) session: ChatSession,
    pub(crate) streamer_key: LiveKey,
    peer: Peer,
}

impl Connected {
    pub(crate) async fn stop(self) {
        self.session.stop().await;
        self.peer.stop().await;
    }
}

/// A chat that can be read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) chat: StreamChat,
    pub(crate) chains: Vec<Chain>,
    pub(crate) streamer_key: LiveKey,
    pub(crate) peer: Peer,
    /// Where it is carried.
    pub(crate) transport: ChatDb<Peer>,
}

impl ChatArgs {
    /// Connects to those who have the chat.
    pub(crate) async fn open(&self, config: PeerConfig) -> anyhow::Result<Opened> {
        let chains = self.chain.chains()?;
        let networks = networks(&chains)?;
        let chat = StreamChat::new(networks.clone(), self.stream.clone())?;
        let streamer_key = self.streamer_key(&chains).await?;
        let streamer = streamer_key.as_str().parse();
        let streamer = streamer.with_context(|| format!("AliveDB key {streamer_key}"))?;
        let peer = Peer::start(config, UserSpace::default())?;
        for url in &self.live_peers {
            peer.dial(url).await.context("--live-peer")?;
        }
        if !is_connected(&peer).await {
            output::warning("no AliveDB peer answers yet; trying again and again");
        }
        let transport = ChatDb::new(Arc::new(peer.clone()), networks).with_streamer(streamer);
        Ok(Opened { chat, chains, streamer_key, peer, transport })
    }

    /// Follows the chat; `keys` are those of the streamer or of a moderator, if there are any.
    pub(crate) async fn connect(
        &self,
        keys: Option<Arc<KeyPair>>,
        history: usize,
        configure: impl FnOnce(SessionConfig, bool) -> SessionConfig,
    ) -> anyhow::Result<Connected> {
        let Opened { chat, chains, streamer_key, peer, mut transport } =
            self.open(PeerConfig::default()).await?;
        let room = RoomConfig::default().history(history).peer_rate(PEER_RATE);
        let mut config = SessionConfig::default().room(room);
        if let Some(keys) = keys {
            let author: LiveKey = keys.public().to_string().parse()?;
            let is_streamer = author == streamer_key;
            transport = transport.with_user(keys);
            config = configure(config.author(author), is_streamer);
        }
        let mut backends = SessionBackends::new(SharedChatTransport::new(transport));
        for chain in &chains {
            backends = backends.keys(chain.account_keys()?);
            if chain.network() == &self.stream.network && !chain.is_avalon() {
                backends = backends.blacklist(SharedBlacklist::new(Blacklists::of(chain)?));
            }
        }
        let session = ChatSession::start(chat, streamer_key.clone(), backends, config);
        Ok(Connected { session, streamer_key, peer })
    }

    /// The key that the stream's `configure` names.
    async fn streamer_key(&self, chains: &[Chain]) -> anyhow::Result<LiveKey> {
        if let Some(key) = &self.live_key {
            return Ok(key.clone());
        }
        let id = &self.stream;
        let key = match &self.api {
            Some(api) => from_node(api, id).await.with_context(|| format!("node {api}"))?,
            None => {
                let index = home(chains, id)?.index(self.from_block, |_, _| {}).await?;
                let stream = index.stream(&id.account, &id.link);
                let settings = &stream.with_context(|| format!("{id} is not configured"))?.info();
                let settings = &settings.settings;
                let is_here = settings.live_layer() == Some(LiveLayer::GunDb);
                settings.live_key.clone().filter(|_| is_here)
            }
        };
        key.with_context(|| format!("{id} names no AliveDB key; give --pub"))
    }
}

/// Waits a little for the first peer, so that what it has is read at once.
async fn is_connected(peer: &Peer) -> bool {
    let connected = async {
        while peer.holdings().links == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), connected).await.is_ok()
}

/// All peers together: the wire does not tell them apart.
const PEER_RATE: Rate = Rate::new(8000.0, 8000.0);

/// The chain of a stream's network.
pub(crate) fn home<'c>(chains: &'c [Chain], id: &StreamId) -> anyhow::Result<&'c Chain> {
    let found = chains.iter().find(|chain| chain.network() == &id.network);
    found.with_context(|| format!("give --network for {}, the stream's network", id.network))
}

/// The networks of every chat and those that were given.
pub(crate) fn networks(chains: &[Chain]) -> anyhow::Result<Networks> {
    networks_and(chains.iter().map(Chain::network))
}

/// The networks of every chat and these.
pub(crate) fn networks_and<'n>(
    given: impl Iterator<Item = &'n Network>,
) -> anyhow::Result<Networks> {
    let known = chat_networks::networks();
    let others = given.filter(|network| known.get(network.as_str()).is_none());
    let others: Vec<_> = others
        .map(|network| Family::new(network.clone(), GraphenePlain, is_account_name))
        .collect();
    Ok(Networks::new(known.iter().cloned().chain(others))?)
}

/// An account, of the stream's network unless it says another.
pub(crate) fn account(chat: &StreamChat, text: &str) -> anyhow::Result<Account> {
    let own = chat.id().network.as_str();
    let (network, name) = text.split_once('/').unwrap_or((own, text));
    Ok(chat.networks().account(network, name.trim_start_matches('@'))?)
}

/// Hive's decentralised blacklists, as nodes tell them.
#[derive(Debug)]
pub(crate) struct Blacklists(pub(crate) rpc::RpcClient);

impl Blacklists {
    /// Those that streamers of this chain follow.
    pub(crate) fn of(chain: &Chain) -> anyhow::Result<Self> {
        Ok(Self(chain.hive_client()?))
    }
}

impl alive_chat::Blacklist for Blacklists {
    async fn names(&self, streamer: &AccountName) -> Result<Vec<AccountName>, BackendError> {
        rpc::blacklisted(&self.0, streamer).await.map_err(|error| BackendError::Unavailable {
            backend: "hive node",
            source: error.into(),
        })
    }
}

/// Asks a node by a route that every node of this protocol has.
async fn from_node(api: &str, id: &StreamId) -> anyhow::Result<Option<LiveKey>> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
    let url = format!("{}/get_stream_info", api.trim_end_matches('/'));
    let query = [("stream_author", id.account.as_str()), ("stream_link", id.link.as_str())];
    let answer = client.get(url).query(&query).send().await?.error_for_status()?;
    let answer: serde_json::Value = answer.json().await?;
    if let Some(error) = answer.get("error") {
        bail!("{error}");
    }
    let key = answer.get("l2_pub").and_then(serde_json::Value::as_str);
    Ok(key.map(str::parse).transpose()?)
}
