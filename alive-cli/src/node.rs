//! `alive node`: an indexer and its HTTP server.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use alive_core::{
    GatewayUrl,
    backend::{SharedStorage, SharedStreamStore},
    memory::MemoryStreamStore,
};
use alive_node::{
    Backends, ChatConfig, Node, NodeConfig, PagesConfig, PlaylistConfig, Rate, RunningNode,
    ServerLimits, SharedContentReader,
};
use alive_playlist::ListSettings;
use alive_storage::{DiskStorage, GatewayOptions, GatewayStorage};
use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::{
    asked_to_stop,
    chain::ChainArgs,
    chat_page,
    haf::HafArgs,
    index::IndexArgs,
    live::LiveArgs,
    node_faces::{Behind, FaceArgs},
    output,
};

/// Follows a chain, fetches and checks the chunks of every stream, and serves playlists at /stream/AUTHOR/LINK.m3u8.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive node --hive-node https://api.example.org --content https://ipfs.example"
)]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(
        long,
        env = "ALIVE_NODE_LISTEN",
        default_value = "127.0.0.1:3010",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// Folder for the index and the block store.
    #[arg(long, env = "ALIVE_NODE_DATA", default_value = "alive-node-data", value_name = "FOLDER")]
    data: PathBuf,
    /// Gateway to read chunks from, every byte checked; of several, parted by commas, the next one is asked when one fails or
    /// is slow. Without it chunks come from the node's own block store.
    #[arg(long, env = "ALIVE_CONTENT", value_delimiter = ',', value_name = "URL")]
    content: Vec<GatewayUrl>,
    /// Gateway that playlists send players to; by default where the content comes from.
    #[arg(long, env = "ALIVE_GATEWAY", value_name = "URL")]
    gateway: Option<GatewayUrl>,
    /// The first block to read.
    #[arg(long, env = "ALIVE_FROM_BLOCK", default_value_t = 1, value_name = "BLOCK")]
    from_block: u32,
    /// Seconds that playlists announce at least as the longest segment.
    #[arg(long, env = "ALIVE_TARGET_SECONDS", default_value = "12", value_name = "SECONDS")]
    target_seconds: NonZeroU32,
    /// Seconds that a live playlist waits for a chunk that cannot be had.
    #[arg(long, env = "ALIVE_PATIENCE", default_value_t = 60, value_name = "SECONDS")]
    patience: u64,
    #[command(flatten)]
    index: IndexArgs,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    faces: FaceArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    pages: PageArgs,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    haf: HafArgs,
}

/// What people see who open the node in a browser.
#[derive(Debug, clap::Args)]
struct PageArgs {
    /// Have no pages: no player at /watch/NETWORK/AUTHOR/LINK, no list of streams at /.
    #[arg(long, env = "ALIVE_NO_PAGES")]
    no_pages: bool,
    /// Have no chat beside the player. There is one where the node takes part in AliveDB (--live-peer, --live-listen).
    #[arg(long, env = "ALIVE_NO_CHAT")]
    no_chat: bool,
    /// How many chats are followed at once for those who look at them.
    #[arg(long, env = "ALIVE_CHATS", default_value_t = ChatConfig::default().chats, value_name = "COUNT")]
    chats: usize,
    /// Gateway that the player asks for segments which it gets nowhere else. May be given several times.
    #[arg(
        long = "page-gateway",
        env = "ALIVE_PAGE_GATEWAY",
        value_delimiter = ',',
        value_name = "URL"
    )]
    page_gateways: Vec<GatewayUrl>,
    /// API of Hive that visitors of a chat may choose to be told the keys of accounts by, instead of by this node. May be given
    /// several times.
    #[arg(long, env = "ALIVE_CHAT_KEYS_FROM", value_delimiter = ',', value_name = "URL")]
    chat_keys_from: Vec<GatewayUrl>,
    /// Address under which people reach the node, for links to share; that which a browser asked for, unless given.
    #[arg(long, env = "ALIVE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<GatewayUrl>,
}

impl PageArgs {
    /// How chats are shown, if they are to be.
    fn chat(&self) -> Option<ChatConfig> {
        let is_shown = !self.no_pages && !self.no_chat;
        is_shown.then(|| ChatConfig::default().chats(self.chats))
    }

    fn config(self) -> PagesConfig {
        let pages = PagesConfig::default().enabled(!self.no_pages);
        let pages = self.page_gateways.into_iter().fold(pages, PagesConfig::gateway);
        let pages = self.chat_keys_from.into_iter().fold(pages, PagesConfig::chat_keys_from);
        self.public_url.into_iter().fold(pages, PagesConfig::public_url)
    }
}

/// What clients of the node may do.
#[derive(Debug, clap::Args)]
struct LimitArgs {
    /// Where else /metrics is answered, to whoever asks; at the node's own address only the machine itself gets it.
    #[arg(long, env = "ALIVE_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// How many connections may be open at once; more wait. Set it above the number of viewers that are expected.
    #[arg(long, env = "ALIVE_CONNECTIONS", default_value_t = 4096, value_name = "COUNT")]
    connections: usize,
    /// How many connections an address may have open; more are closed.
    #[arg(
        long,
        env = "ALIVE_CONNECTIONS_PER_ADDRESS",
        default_value_t = 512,
        value_name = "COUNT"
    )]
    connections_per_address: usize,
    /// How many requests an address may make in a second, in the long run; 0 is without limit.
    #[arg(long, env = "ALIVE_RATE", default_value_t = Rate::default().per_second.get(), value_name = "COUNT")]
    rate: u32,
    /// How many requests an address may make at once.
    #[arg(long, env = "ALIVE_BURST", default_value_t = Rate::default().burst, value_name = "COUNT")]
    burst: NonZeroU32,
    /// Address of a proxy that is believed when it says in X-Forwarded-For for whom it asks; one on the same machine always
    /// is. Several are parted by commas.
    #[arg(long, env = "ALIVE_TRUSTED_PROXY", value_delimiter = ',', value_name = "ADDRESS")]
    trusted_proxy: Vec<IpAddr>,
    /// Seconds that an answer may take to begin.
    #[arg(long, env = "ALIVE_REQUEST_TIMEOUT", default_value_t = 30, value_name = "SECONDS")]
    request_timeout: u64,
    /// Seconds that answers may go on after the node was told to stop.
    #[arg(long, env = "ALIVE_SHUTDOWN_GRACE", default_value_t = 10, value_name = "SECONDS")]
    shutdown_grace: u64,
}

impl LimitArgs {
    fn limits(&self) -> ServerLimits {
        let rate = NonZeroU32::new(self.rate);
        ServerLimits::default()
            .connections(self.connections)
            .connections_per_address(self.connections_per_address)
            .rate(rate.map(|per_second| Rate { per_second, burst: self.burst }))
            .trusted_proxies(self.trusted_proxy.iter().copied())
            .request_timeout(Duration::from_secs(self.request_timeout))
            .shutdown_grace(Duration::from_secs(self.shutdown_grace))
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.data).with_context(|| args.data.display().to_string())?;
    let index = args.index.open(&args.data).await?;
    let chains = args.chain.chains()?;
    let primary = chains.first().context("no network")?.network().clone();
    let sources = args.haf.block_sources(&chains, args.from_block)?;
    let graph = args.data.join("live.redb");
    let live = if args.faces.need_live() {
        args.live.start_peer(Some(&graph)).await.map(Some)
    } else {
        args.live.start(Some(&graph)).await
    };
    let live = live.context("live layer")?;
    let followed = live.as_ref().map(|live| live.reader(index.store()));
    let rooms = match live.as_ref().zip(args.pages.chat()) {
        Some((live, config)) => chat_page::rooms(live, &chains, index.store(), config)?,
        None => None,
    };
    let mut store = None;
    let mut backends = match &args.content[..] {
        gateways @ [_, ..] => {
            let gateways =
                GatewayStorage::of(gateways.iter().cloned(), &GatewayOptions::default())?;
            index.backends(SharedStorage::new(gateways), sources)
        }
        [] => {
            let content = DiskStorage::open_dir(args.data.join("store"))
                .with_context(|| format!("block store in {}", args.data.display()))?;
            store = Some(content.clone());
            index
                .backends(SharedStorage::new(content.clone()), sources)
                .content(SharedContentReader::new(content))
        }
    };

    let mut list = ListSettings::default().target_seconds(args.target_seconds);
    if let Some(gateway) = args.gateway.or(args.content.into_iter().next()) {
        list = list.gateway(gateway);
    }
    let playlists =
        PlaylistConfig::default().list(list).patience(Duration::from_secs(args.patience));
    let config = NodeConfig::default()
        .address(args.listen)
        .network(primary)
        .playlists(playlists)
        .pages(args.pages.config())
        .limits(args.limits.limits())
        .metrics_address(args.limits.metrics_listen);
    if let Some(followed) = followed {
        backends = backends.live(followed);
    }
    if let Some(rooms) = rooms {
        backends = backends.chat(rooms);
    }
    let node = Node::start(config, backends).await?;
    let stop = asked_to_stop();
    output::line(format_args!("listening on {}", url(&node)));
    if let Some(address) = node.metrics_address() {
        output::line(format_args!("metrics on http://{address}/metrics"));
    }
    let cancel = CancellationToken::new();
    let behind = Behind { chains: &chains, data: &args.data, live: live.as_ref(), store };
    let faces = args.faces.start(behind, &cancel).await?;
    stop.await;
    cancel.cancel();
    node.shutdown().await;
    faces.ended().await?;
    if let Some(live) = live {
        live.stop().await;
    }
    Ok(())
}

/// A server for the content of a store alone: it indexes nothing.
pub(crate) async fn serve_content(
    address: SocketAddr,
    storage: SharedStorage,
    content: SharedContentReader,
) -> anyhow::Result<RunningNode> {
    let nothing = SharedStreamStore::new(MemoryStreamStore::default());
    let backends = Backends::new(nothing, storage).content(content);
    Ok(Node::start(NodeConfig::default().address(address), backends).await?)
}

/// The node's address for clients.
pub(crate) fn url(node: &RunningNode) -> String {
    format!("http://{}", node.address())
}
