//! `alive node`: an indexer and its HTTP server.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use alive_core::{
    GatewayUrl,
    backend::{SharedStorage, SharedStreamStore},
    memory::MemoryStreamStore,
};
use alive_node::{Backends, Node, NodeConfig, PlaylistConfig, RunningNode, SharedContentReader};
use alive_playlist::ListSettings;
use alive_storage::{DiskStorage, GatewayOptions, GatewayStorage};
use anyhow::Context as _;

use crate::{
    asked_to_stop, chain::ChainArgs, haf::HafArgs, index::IndexArgs, live::LiveArgs, output,
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
    chain: ChainArgs,
    #[command(flatten)]
    haf: HafArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.data).with_context(|| args.data.display().to_string())?;
    let index = args.index.open(&args.data).await?;
    let chains = args.chain.chains()?;
    let primary = chains.first().context("no network")?.network().clone();
    let sources = args.haf.block_sources(&chains, args.from_block)?;
    let live = args.live.start(Some(&args.data.join("live.redb"))).await.context("live layer")?;
    let followed = live.as_ref().map(|live| live.reader(index.store()));
    let mut backends = match &args.content[..] {
        gateways @ [_, ..] => {
            let gateways =
                GatewayStorage::of(gateways.iter().cloned(), &GatewayOptions::default())?;
            index.backends(SharedStorage::new(gateways), sources)
        }
        [] => {
            let content = DiskStorage::open_dir(args.data.join("store"))
                .with_context(|| format!("block store in {}", args.data.display()))?;
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
    let config = NodeConfig::default().address(args.listen).network(primary).playlists(playlists);
    if let Some(followed) = followed {
        backends = backends.live(followed);
    }
    let node = Node::start(config, backends).await?;
    output::line(format_args!("listening on {}", url(&node)));
    asked_to_stop().await;
    node.shutdown().await;
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
