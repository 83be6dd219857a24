//! `alive configure` and `alive end`: single operations on a stream.

use alive_core::{
    AccountName, Configure, End, GatewayUrl, Link, LiveKey, LiveLayer, Op, StorageKind, StreamId,
    backend::Broadcaster as _,
};

use crate::{chain::ChainArgs, output, secret::KeyArgs};

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
    /// The stream's name.
    pub(crate) fn id(&self) -> StreamId {
        StreamId::new(self.chain.network().clone(), self.account.clone(), self.link.clone())
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

async fn broadcast(stream: StreamArgs, op: Op) -> anyhow::Result<()> {
    let broadcaster = stream.chain.broadcaster(stream.account, stream.key.read()?)?;
    let receipt = broadcaster.broadcast(&op).await?;
    output::line(format_args!("in block {} as {}", receipt.block, receipt.transaction));
    broadcaster.settle().await?;
    Ok(())
}
