//! How a node is set up: [`NodeConfig`], and what it stands on: [`Backends`].

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    time::Duration,
};

use alive_core::{
    Network,
    backend::{
        SharedAccountKeys, SharedBlockSource, SharedLiveCache, SharedStorage, SharedStreamStore,
    },
};
use alive_storage::SharedContentReader;

use crate::{
    indexer::Indexer, pages::PagesConfig, playlists::PlaylistConfig, presence::PresenceConfig,
    resolver::ResolverConfig, store::SharedChunkCache,
};

/// How a node works. The default is what we would run ourselves, reachable from the same machine only.
///
/// ```
/// use alive_node::NodeConfig;
/// let config = NodeConfig::default().address(([127, 0, 0, 1], 0).into());
/// assert_eq!(config.network, alive_core::Network::hive());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Where it listens. Port 0 is any free one.
    pub address: SocketAddr,
    /// The network that the routes speak for.
    pub network: Network,
    /// How lists are made and kept.
    pub playlists: PlaylistConfig,
    /// How chunks are fetched.
    pub resolver: ResolverConfig,
    /// How it looks for the segments of lists in the content that it serves itself. It does not when it serves none, or
    /// when [`PlaylistConfig::list`] sends players to another gateway.
    pub presence: PresenceConfig,
    /// Which pages there are, and where the player on them finds segments.
    pub pages: PagesConfig,
    /// How many blocks are committed at once.
    pub page: usize,
    /// How many pushes of streams an indexer keeps in memory.
    pub index_memory: usize,
    /// What clients may do.
    pub limits: ServerLimits,
    /// Where else `/metrics` is answered, to whoever asks; at [`address`](Self::address) it is to the machine itself and
    /// to trusted proxies only.
    pub metrics_address: Option<SocketAddr>,
}

impl NodeConfig {
    /// Where the original server listens, and this one by default.
    pub const DEFAULT_PORT: u16 = 3010;

    /// Sets where it listens.
    #[must_use]
    pub fn address(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// Sets the network that the routes speak for.
    #[must_use]
    pub fn network(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// Sets how lists are made and kept.
    #[must_use]
    pub fn playlists(self, playlists: PlaylistConfig) -> Self {
        Self { playlists, ..self }
    }

    /// Sets how chunks are fetched.
    #[must_use]
    pub fn resolver(self, resolver: ResolverConfig) -> Self {
        Self { resolver, ..self }
    }

    /// Sets how it looks for the segments of lists.
    #[must_use]
    pub fn presence(self, presence: PresenceConfig) -> Self {
        Self { presence, ..self }
    }

    /// Sets which pages there are.
    #[must_use]
    pub fn pages(self, pages: PagesConfig) -> Self {
        Self { pages, ..self }
    }

    /// Sets how many blocks are committed at once, at least one.
    #[must_use]
    pub fn page(self, page: usize) -> Self {
        Self { page: page.max(1), ..self }
    }

    /// Sets how many pushes of streams an indexer keeps in memory.
    #[must_use]
    pub fn index_memory(self, index_memory: usize) -> Self {
        Self { index_memory, ..self }
    }

    /// Sets what clients may do.
    #[must_use]
    pub fn limits(self, limits: ServerLimits) -> Self {
        Self { limits, ..self }
    }

    /// Sets where else `/metrics` is answered.
    #[must_use]
    pub fn metrics_address(self, metrics_address: Option<SocketAddr>) -> Self {
        Self { metrics_address, ..self }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, Self::DEFAULT_PORT).into(),
            network: Network::hive(),
            playlists: PlaylistConfig::default(),
            resolver: ResolverConfig::default(),
            presence: PresenceConfig::default(),
            pages: PagesConfig::default(),
            page: Indexer::DEFAULT_PAGE,
            index_memory: Indexer::DEFAULT_MEMORY,
            limits: ServerLimits::default(),
            metrics_address: None,
        }
    }
}

/// What clients of the HTTP server may do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// How many connections are open at once; more wait to be taken.
    pub connections: usize,
    /// How many connections an address may have open; more are closed at once. An address is an IPv4 address or the /64 of
    /// an IPv6 address; those of the machine itself and of trusted proxies have no such limit.
    pub connections_per_address: usize,
    /// How often an address may ask; `None` is without limit. Who asks more often gets status 429.
    pub rate: Option<Rate>,
    /// Addresses of proxies that are believed when they say in `X-Forwarded-For` for whom they ask. Those of the machine
    /// itself always are.
    pub trusted_proxies: Vec<IpAddr>,
    /// How many bytes the head of a request may have, at least 8192.
    pub head_bytes: usize,
    /// How long the head of a request may take to arrive, and a connection may be idle between two.
    pub head_timeout: Duration,
    /// How long an answer may take to begin.
    pub request_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// How long answers may go on after the node was told to stop.
    pub shutdown_grace: Duration,
}

impl ServerLimits {
    /// Least bytes of [`head_bytes`](Self::head_bytes).
    pub const MIN_HEAD_BYTES: usize = 8192;

    /// Sets how many connections are open at once, at least one.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// Sets how many connections an address may have open, at least one.
    #[must_use]
    pub fn connections_per_address(self, connections_per_address: usize) -> Self {
        Self { connections_per_address: connections_per_address.max(1), ..self }
    }

    /// Sets how often an address may ask.
    #[must_use]
    pub fn rate(self, rate: Option<Rate>) -> Self {
        Self { rate, ..self }
    }

    /// Sets which proxies are believed.
    #[must_use]
    pub fn trusted_proxies(self, trusted_proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { trusted_proxies: trusted_proxies.into_iter().collect(), ..self }
    }

    /// Sets how many bytes the head of a request may have.
    #[must_use]
    pub fn head_bytes(self, head_bytes: usize) -> Self {
        Self { head_bytes: head_bytes.max(Self::MIN_HEAD_BYTES), ..self }
    }

    /// Sets how long the head of a request may take.
    #[must_use]
    pub fn head_timeout(self, head_timeout: Duration) -> Self {
        Self { head_timeout, ..self }
    }

    /// Sets how long an answer may take to begin.
    #[must_use]
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Sets how long a client may take nothing of an answer.
    #[must_use]
    pub fn write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    /// Sets how long answers may go on after the node was told to stop.
    #[must_use]
    pub fn shutdown_grace(self, shutdown_grace: Duration) -> Self {
        Self { shutdown_grace, ..self }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            rate: Some(Rate::default()),
            trusted_proxies: Vec::new(),
            head_bytes: 16 << 10,
            head_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// How often something may happen.
///
/// The default is 200 times a second, 2000 at once: a viewer asks about once a second, and an address may hide a household,
/// a company, or a whole provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How often in a second, in the long run.
    pub per_second: NonZeroU32,
    /// How often at once.
    pub burst: NonZeroU32,
}

impl Default for Rate {
    fn default() -> Self {
        const PER_SECOND: NonZeroU32 = NonZeroU32::new(200).unwrap();
        const BURST: NonZeroU32 = NonZeroU32::new(2000).unwrap();
        Self { per_second: PER_SECOND, burst: BURST }
    }
}

/// What a node stands on.
///
/// ```
/// use alive_core::{Network, backend::*, memory::*};
/// use alive_node::Backends;
/// let chain = MemoryChain::new(Network::hive());
/// let backends = Backends::new(
///     SharedStreamStore::new(MemoryStreamStore::default()),
///     SharedStorage::new(MemoryStorage::default()),
/// )
/// .source(SharedBlockSource::new(chain))
/// .live(SharedLiveCache::new(MemoryLiveCache::default()));
/// assert_eq!(backends.sources.len(), 1);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Backends {
    /// Where the index is kept.
    pub store: SharedStreamStore,
    /// Where chunks come from.
    pub storage: SharedStorage,
    /// The chains to follow, one source each. Without any, another process has to keep the store up to date.
    pub sources: Vec<SharedBlockSource>,
    /// Where segments come from before the chain has them.
    pub live: Option<SharedLiveCache>,
    /// Which accounts exist besides those that ever signed an operation of this protocol.
    pub accounts: Option<SharedAccountKeys>,
    /// The chats beside the player. Without it there are none.
    #[cfg(feature = "chat")]
    pub chat: Option<crate::chat::ChatRooms>,
    /// The content to serve under `/ipfs/`. Archives show as gaps what it lacks, see [`NodeConfig::presence`].
    pub content: Option<SharedContentReader>,
    /// Where chunks that were read are kept.
    pub chunks: Option<SharedChunkCache>,
    /// The database that is shared with other nodes: of all of them, one indexes each network, and all hear of it.
    #[cfg(feature = "postgres")]
    pub cluster: Option<crate::store::PostgresStore>,
    /// Who decides which renditions of other accounts are shown. Without it, the streamer's own are.
    #[cfg(feature = "stake")]
    pub renditions: Option<crate::renditions::RenditionDesk>,
}

impl Backends {
    /// The two that a node cannot do without.
    pub fn new(store: SharedStreamStore, storage: SharedStorage) -> Self {
        Self {
            store,
            storage,
            sources: Vec::new(),
            live: None,
            accounts: None,
            #[cfg(feature = "chat")]
            chat: None,
            content: None,
            chunks: None,
            #[cfg(feature = "postgres")]
            cluster: None,
            #[cfg(feature = "stake")]
            renditions: None,
        }
    }

    /// A node that shares its index with others. Of those that follow a chain, one at a time does; a node without a
    /// [`source`](Self::source) reads only.
    #[cfg(feature = "postgres")]
    pub fn in_cluster(store: crate::store::PostgresStore, storage: SharedStorage) -> Self {
        let shared = SharedStreamStore::new(store.clone());
        Self { cluster: Some(store), ..Self::new(shared, storage) }
    }

    /// Adds a chain to follow.
    #[must_use]
    pub fn source(mut self, source: SharedBlockSource) -> Self {
        self.sources.push(source);
        self
    }

    /// Sets where segments come from before the chain has them.
    #[must_use]
    pub fn live(self, live: SharedLiveCache) -> Self {
        Self { live: Some(live), ..self }
    }

    /// Sets who knows which accounts exist.
    #[must_use]
    pub fn accounts(self, accounts: SharedAccountKeys) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// Sets the chats beside the player.
    #[cfg(feature = "chat")]
    #[must_use]
    pub fn chat(self, chat: crate::chat::ChatRooms) -> Self {
        Self { chat: Some(chat), ..self }
    }

    /// Sets the content to serve.
    #[must_use]
    pub fn content(self, content: SharedContentReader) -> Self {
        Self { content: Some(content), ..self }
    }

    /// Sets where chunks that were read are kept.
    #[must_use]
    pub fn chunks(self, chunks: SharedChunkCache) -> Self {
        Self { chunks: Some(chunks), ..self }
    }

    /// Sets who decides which renditions of other accounts are shown.
    #[cfg(feature = "stake")]
    #[must_use]
    pub fn renditions(self, renditions: crate::renditions::RenditionDesk) -> Self {
        Self { renditions: Some(renditions), ..self }
    }
}
