//! `alive configure` and `alive end`: single operations on a stream.

use alive_core::{
    AccountName, Configure, End, GatewayUrl, Link, LiveKey, LiveLayer, Op, StorageKind, StreamId,
    backend::{Broadcaster as _, SharedBroadcaster},
};
use anyhow::{Context as _, ensure};

use crate::{
    chain::{Chain, ChainArgs},
    output,
    secret::KeyArgs,
};

/// Creates a stream, or changes its settings: what is given overwrites, what is not stays.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive configure --account alice --link launch --gw https://ipfs.example"
)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: StreamArgs,
    /// Gateway that the streamer recommends.
    #[arg(long, env = "ALIVE_GATEWAY", value_name = "URL")]
    gw: Option<GatewayUrl>,
    /// Live layer to listen on.
    #[arg(long, env = "ALIVE_L2", value_parser = ["gundb"])]
    l2: Option<String>,
    /// The streamer's public key on the live layer.
    #[arg(long = "pub", env = "ALIVE_PUB", value_name = "KEY")]
    live_key: Option<LiveKey>,
    /// Where the content lives; counts only when the stream is created.
    #[arg(long, env = "ALIVE_STORAGE", default_value = "ipfs", value_parser = ["ipfs", "skynet"])]
    storage: String,
}

/// Ends a stream: nothing can be pushed any more, and its archive is complete.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive end --account alice --link launch")]
pub(crate) struct EndArgs {
    #[command(flatten)]
    stream: StreamArgs,
}

/// Whose stream, and the key to sign with.
#[derive(Debug, clap::Args)]
pub(crate) struct StreamArgs {
    /// The account that streams.
    #[arg(long, env = "ALIVE_ACCOUNT")]
    pub(crate) account: AccountName,
    /// The stream's link.
    #[arg(long, env = "ALIVE_LINK")]
    pub(crate) link: Link,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

impl StreamArgs {
    /// The stream's name on a chain.
    pub(crate) fn id(&self, chain: &Chain) -> StreamId {
        StreamId::new(chain.network().clone(), self.account.clone(), self.link.clone())
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let op = Op::Configure(Configure {
        storage: if args.storage == "skynet" { StorageKind::Skynet } else { StorageKind::Ipfs },
        l2: args.l2.map(|_| LiveLayer::GunDb),
        live_key: args.live_key,
        gateway: args.gw,
        ..Configure::new(args.stream.link.clone())
    });
    broadcast(args.stream, op).await
}

pub(crate) async fn run_end(args: EndArgs) -> anyhow::Result<()> {
    let op = Op::End(End { link: args.stream.link.clone() });
    broadcast(args.stream, op).await
}

/// On each chain; one that fails does not keep the others from it.
async fn broadcast(stream: StreamArgs, op: Op) -> anyhow::Result<()> {
    let mut broadcasters = Vec::new();
    for chain in stream.chain.chains()? {
        let broadcaster = chain.broadcaster(stream.account.clone(), chain.key(&stream.key)?);
        broadcasters.push(broadcaster.with_context(|| chain.network().to_string())?);
    }
    // Beside each other: a chain that is down keeps one waiting for minutes.
    let mut running = tokio::task::JoinSet::new();
    for broadcaster in broadcasters {
        let op = op.clone();
        running.spawn(async move {
            let outcome = settled(&broadcaster, &op).await;
            outcome.map_err(|error| format!("{}: {error:#}", broadcaster.network()))
        });
    }
    let outcomes = running.join_all().await;
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// Broadcasts on one chain and waits until it cannot be taken back.
async fn settled(broadcaster: &SharedBroadcaster, op: &Op) -> anyhow::Result<()> {
    let receipt = broadcaster.broadcast(op).await?;
    output::line(format_args!("in block {} as {}", receipt.block, receipt.transaction));
    broadcaster.settle().await?;
    Ok(())
}
