//! `alive configure` and `alive end`: single operations on a stream.

use alive_core::{
    AccountName, Configure, End, GatewayUrl, Link, LiveKey, LiveLayer, Op, StorageKind, StreamId,
    Twins,
    backend::{Broadcaster as _, SharedBroadcaster},
};
use anyhow::{Context as _, ensure};

use crate::{
    chain::{Chain, ChainArgs},
    output,
    secret::KeyArgs,
};

/// Creates a stream, or changes its settings: what is given overwrites, what is not stays. On several networks it is one
/// stream: on each it names the others, which makes nodes show them as one.
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
    /// The streamer's public key on the live layer. One in 64 begins with a hyphen.
    #[arg(long = "pub", env = "ALIVE_PUB", value_name = "KEY", allow_hyphen_values = true)]
    live_key: Option<LiveKey>,
    /// Where the content lives; counts only when the stream is created.
    #[arg(long, env = "ALIVE_STORAGE", default_value = "ipfs", value_parser = ["ipfs", "skynet"])]
    storage: String,
    /// Names of the stream on further networks, parted by commas, such as `avalon/alice/launch`; nothing takes earlier ones
    /// back. The networks of this command need not be given.
    #[arg(long, env = "ALIVE_ALSO", value_name = "NETWORK/AUTHOR/LINK")]
    also: Option<Twins>,
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
    let chains = args.stream.chain.chains()?;
    let ids: Vec<_> = chains.iter().map(|chain| args.stream.id(chain)).collect();
    let configure = Configure {
        storage: if args.storage == "skynet" { StorageKind::Skynet } else { StorageKind::Ipfs },
        l2: args.l2.map(|_| LiveLayer::GunDb),
        live_key: args.live_key,
        gateway: args.gw,
        ..Configure::new(args.stream.link.clone())
    };
    let mut ops = Vec::new();
    for id in &ids {
        let also = twins(id, &ids, args.also.as_ref())?;
        ops.push(Op::Configure(Configure { also, ..configure.clone() }));
    }
    broadcast(args.stream, ops).await
}

/// The names that a stream gets for the other networks: those of the same command, and those that were given. `None`
/// leaves what was there.
pub(crate) fn twins(
    id: &StreamId,
    ids: &[StreamId],
    given: Option<&Twins>,
) -> anyhow::Result<Option<Twins>> {
    let others = ids.iter().filter(|other| *other != id);
    let further = given.into_iter().flat_map(Twins::iter).filter(|other| !ids.contains(other));
    let twins = Twins::new(others.chain(further).cloned()).context("--also")?;
    Ok((given.is_some() || !twins.is_empty()).then_some(twins))
}

pub(crate) async fn run_end(args: EndArgs) -> anyhow::Result<()> {
    let networks = args.stream.chain.chains()?.len();
    let op = Op::End(End { link: args.stream.link.clone() });
    broadcast(args.stream, vec![op; networks]).await
}

/// One operation on each chain; one that fails does not keep the others from it.
async fn broadcast(stream: StreamArgs, ops: Vec<Op>) -> anyhow::Result<()> {
    let mut broadcasters = Vec::new();
    for (chain, op) in stream.chain.chains()?.into_iter().zip(ops) {
        let broadcaster = chain.broadcaster(stream.account.clone(), chain.key(&stream.key)?);
        broadcasters.push((broadcaster.with_context(|| chain.network().to_string())?, op));
    }
    // Beside each other: a chain that is down keeps one waiting for minutes.
    let mut running = tokio::task::JoinSet::new();
    for (broadcaster, op) in broadcasters {
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
