//! `alive stream`: publishing what a recorder writes.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use alive_core::{
    ChainView, Seq, StreamId,
    backend::{Broadcaster as _, SharedBroadcaster, SharedLiveCache, SharedStorage},
};
use alive_hive::cost::StreamPlan;
use alive_streamer::{Backends, Session, SessionConfig};
use anyhow::{Context as _, bail, ensure};
use tokio_util::sync::CancellationToken;

use crate::{
    asked_to_stop,
    chain::Chain,
    configure::StreamArgs,
    cost,
    live::{Configured, StreamerArgs, Writer},
    node, output, progress,
    storage::{Ready, StorageArgs},
};

/// Watches a recorder's folder, stores every complete segment, and signs what it stored onto the chain. A segment is
/// complete when the recorder lists it or has begun the next one. Ctrl-C publishes what is left and stops.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive stream --account alice --link launch --folder recording --api http://127.0.0.1:3010"
)]
#[expect(clippy::struct_excessive_bools, reason = "they are four flags of a command line")]
pub(crate) struct Args {
    #[command(flatten)]
    stream: StreamArgs,
    /// Folder that the recorder writes into.
    #[arg(long, env = "ALIVE_FOLDER", value_name = "FOLDER")]
    folder: PathBuf,
    /// Folder for the block store and the journal of each stream.
    #[arg(
        long,
        env = "ALIVE_STREAMER_DATA",
        default_value = "alive-streamer-data",
        value_name = "FOLDER"
    )]
    data: PathBuf,
    /// Node that tells how far the stream is, so that a stream begun elsewhere goes on behind its last push.
    #[arg(long, env = "ALIVE_API", value_name = "URL")]
    api: Option<String>,
    /// Read how far the stream is from the chain itself, from this block on, instead of asking a node.
    #[arg(long, env = "ALIVE_FROM_BLOCK", value_name = "BLOCK", conflicts_with = "api")]
    from_block: Option<u32>,
    /// Seconds between pushes, 0 to 300; 0 pushes every segment at once.
    #[arg(long, env = "ALIVE_INTERVAL", default_value_t = 60.0, value_name = "SECONDS")]
    interval: f64,
    /// Hours that the stream is meant to last, for a warning before it starts that its account cannot pay for it; 0 asks
    /// nobody.
    #[arg(long, env = "ALIVE_PLANNED_HOURS", default_value_t = 1.0, value_name = "HOURS")]
    planned_hours: f64,
    /// End the stream on the chain once the recorder has closed its playlist.
    #[arg(long, env = "ALIVE_END")]
    end: bool,
    /// Take a recording that was finished before the program started, too.
    #[arg(long, env = "ALIVE_ACCEPT_OLD")]
    accept_old: bool,
    /// Delete each segment's file once it is stored.
    #[arg(long, env = "ALIVE_PURGE")]
    purge: bool,
    /// Serve the store's content under /ipfs/ at this address, so that nodes and players can fetch it.
    #[arg(long, env = "ALIVE_SERVE", value_name = "ADDRESS")]
    serve: Option<SocketAddr>,
    /// Keep serving after everything is published, until stopped.
    #[arg(long, env = "ALIVE_KEEP_SERVING", requires = "serve")]
    keep_serving: bool,
    #[command(flatten)]
    live: StreamerArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    args.storage.check_lasting()?;
    if args.serve.is_some() {
        ensure!(args.storage.is_embedded(), "--serve is for --storage embedded");
    }
    let chains = args.stream.chain.chains()?;
    ensure!(
        !args.purge || chains.len() == 1,
        "--purge with several networks would delete files that one of them still needs"
    );
    let mut plans = Vec::new();
    for chain in &chains {
        let plan = Plan::of(&args, chain, &chains).await;
        plans.push(plan.with_context(|| chain.network().to_string())?);
    }
    warn_of_cost(&args, &chains).await?;
    let storage = args.storage.open(&args.data.join("store")).await;
    let storage = storage.with_context(|| format!("storage of {}", args.data.display()))?;
    let live = args.live.start(&args.data).await.context("live layer")?;
    let outcome = match &live {
        None => publish(&args, plans, &storage).await,
        Some((_, writer)) => match share(&args, plans, writer).await {
            Ok(plans) => publish(&args, plans, &storage).await,
            Err(error) => Err(error),
        },
    };
    if let Some((peer, _)) = live {
        peer.stop().await;
    }
    storage.shutdown().await;
    outcome
}

/// Makes segments go to the live layer, too, and the streams tell where they are there.
async fn share(args: &Args, plans: Vec<Plan>, writer: &Writer) -> anyhow::Result<Vec<Plan>> {
    // First what could be refused, then what changes something.
    let mut ops = Vec::new();
    for plan in &plans {
        let op = args.live.operation(writer, &args.stream.link, &plan.live_key);
        ops.push(op.with_context(|| plan.config.stream.network.to_string())?);
    }
    for (plan, op) in plans.iter().zip(ops) {
        let Some(op) = op else { continue };
        let network = &plan.config.stream.network;
        let receipt = plan.broadcaster.broadcast(&op).await;
        let receipt = receipt.with_context(|| format!("{network}: the key of the live layer"))?;
        output::line(format_args!("live key in block {} of {network}", receipt.block));
    }
    let share = |plan| Plan { live: Some(writer.cache.clone()), ..plan };
    Ok(plans.into_iter().map(share).collect())
}

/// Publishes on each chain what the recorder writes.
async fn publish(args: &Args, plans: Vec<Plan>, storage: &Ready) -> anyhow::Result<()> {
    let mut sessions = Vec::new();
    for plan in plans {
        let network = plan.config.stream.network.clone();
        let session = plan.open(storage.put.clone()).await;
        sessions.push(session.with_context(|| network.to_string())?);
    }
    let gateway = match (args.serve, &storage.content) {
        (None, _) | (_, None) => None,
        (Some(address), Some(content)) => {
            let (get, content) = (storage.get.clone(), content.clone());
            let gateway = node::serve_content(address, get, content).await?;
            output::line(format_args!("content at {}/ipfs/", node::url(&gateway)));
            Some(gateway)
        }
    };
    let stop = CancellationToken::new();
    let canceller = stop.clone();
    let watch = tokio::spawn(async move {
        asked_to_stop().await;
        canceller.cancel();
    });
    let outcome = run_all(sessions, &stop).await;
    if args.keep_serving && !stop.is_cancelled() {
        stop.cancelled().await;
    }
    watch.abort();
    if let Some(gateway) = gateway {
        gateway.shutdown().await;
    }
    outcome
}

/// The session that will publish on one chain: each has its own journal, sequence numbers and retries, and all share the
/// store, where the same content is kept once.
struct Plan {
    config: SessionConfig,
    broadcaster: SharedBroadcaster,
    view: Option<ChainView>,
    /// The key of the live layer that the stream is configured with.
    live_key: Configured,
    live: Option<SharedLiveCache>,
}

impl Plan {
    /// Finds out all that could keep the session from starting, before any file is made.
    async fn of(args: &Args, chain: &Chain, chains: &[Chain]) -> anyhow::Result<Self> {
        let stream = &args.stream;
        let id = stream.id(chain);
        let key = chain.key(&stream.key)?;
        let broadcaster = chain.broadcaster(stream.account.clone(), key.clone())?;
        let journal = args.data.join(format!("{}.{}.{}.journal", id.network, id.account, id.link));
        let (view, live_key) = match chain.kept_view(&id.account, &id.link, &key).await? {
            Some(view) => (Some(view), Configured::Unknown),
            // A node speaks for the first network only.
            None => {
                let first = chains.first().map(Chain::network);
                let is_first = first == Some(chain.network());
                chain_view(args, chain, &id, is_first, journal.exists()).await?
            }
        };
        let config = SessionConfig::new(id, &args.folder, &journal)
            .interval(seconds(args.interval).context("--interval")?)
            .end_stream(args.end)
            .accept_old(args.accept_old)
            .purge(args.purge);
        Ok(Self { config, broadcaster, view, live_key, live: None })
    }

    async fn open(self, storage: SharedStorage) -> anyhow::Result<Session> {
        let mut backends = Backends::new(storage, self.broadcaster);
        if let Some(live) = self.live {
            backends = backends.live(live);
        }
        Ok(Session::open(self.config, backends, self.view).await?)
    }
}

/// Runs each session to its end: one that fails does not stop the others. The first one is shown.
pub(crate) async fn run_all(
    sessions: Vec<Session>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let is_one = sessions.len() == 1;
    let shown = sessions.first().map(|first| tokio::spawn(progress::show(first.progress())));
    let mut running = tokio::task::JoinSet::new();
    for session in sessions {
        let (network, stop) = (session.stream().network.clone(), stop.clone());
        running.spawn(async move { (network, session.run(stop).await) });
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (network, totals) = ended?;
        match totals {
            Ok(totals) => {
                let on = if is_one { String::new() } else { format!("{network}: ") };
                output::line(format_args!(
                    "{on}published {} segments, {}, in {} chunks and {} operations; {} lost",
                    totals.segments,
                    output::bytes(totals.bytes),
                    totals.chunks,
                    totals.operations,
                    totals.lost
                ));
            }
            Err(error) if is_one => return Err(error.into()),
            Err(error) => {
                output::line(format_args!("{network}: FAILED {}", output::causes(&error)));
                failed.push(network.to_string());
            }
        }
    }
    if let Some(shown) = shown {
        shown.await?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("publishing failed on {}; run it again to go on there", failed.join(", "))
}

/// Says before the stream starts that its account cannot pay for it.
async fn warn_of_cost(args: &Args, chains: &[Chain]) -> anyhow::Result<()> {
    let StreamArgs { account, link, .. } = &args.stream;
    let hours = Duration::try_from_secs_f64(args.planned_hours * 3600.0);
    let length = hours.context("--planned-hours")?;
    if length.is_zero() {
        return Ok(());
    }
    let interval = seconds(args.interval).context("--interval")?;
    let plan = StreamPlan::new(account.clone(), link.clone(), length).interval(interval);
    for chain in chains {
        if let Some(warning) = cost::warning(chain, plan.clone()).await {
            let on = if let [_] = chains { "" } else { &format!(" on {}", chain.network()) };
            output::warning(format_args!("{account} cannot pay for the stream{on}: {warning}"));
        }
    }
    Ok(())
}

/// Seconds from the command line as a duration of a publisher's range.
pub(crate) fn seconds(value: f64) -> anyhow::Result<Duration> {
    let duration = Duration::try_from_secs_f64(value)?;
    if duration > alive_core::PublisherConfig::MAX_INTERVAL {
        bail!(
            "{value} is more than {} seconds",
            alive_core::PublisherConfig::MAX_INTERVAL.as_secs()
        );
    }
    Ok(duration)
}

/// How far the stream is and which key of the live layer it has, from a node or from the chain. A journal alone will do for
/// going on with one's own stream.
async fn chain_view(
    args: &Args,
    chain: &Chain,
    id: &StreamId,
    is_first: bool,
    has_journal: bool,
) -> anyhow::Result<(Option<ChainView>, Configured)> {
    let (view, live_key) = match (args.api.as_ref().filter(|_| is_first), args.from_block) {
        (Some(api), _) => from_node(api, id).await.with_context(|| format!("node {api}"))?,
        (None, Some(block)) => from_chain(chain, id, block).await?,
        (None, None) if has_journal => return Ok((None, Configured::Unknown)),
        (None, None) => bail!("give --api or --from-block, to find out how far the stream is"),
    };
    Ok((Some(view), live_key))
}

async fn from_chain(
    chain: &Chain,
    id: &StreamId,
    from_block: u32,
) -> anyhow::Result<(ChainView, Configured)> {
    let index = chain.index(from_block, |_, _| {}).await?;
    let stream = index.stream(&id.account, &id.link);
    let stream =
        stream.with_context(|| format!("{id} is not configured; see `alive configure`"))?;
    let changes = index.reversible().flat_map(|block| &block.changes);
    let ours =
        changes.filter(|change| change.key.account == id.account && change.key.link == id.link);
    let view = ChainView {
        finalized: stream.info().finalized,
        pushes: stream.pushes().map(|(seq, pushed)| (seq, pushed.src)).collect(),
        reversible: ours.filter_map(|change| Some(change.push.as_ref()?.seq)).collect(),
    };
    let live_key = stream.info().settings.live_key.as_ref().map(ToString::to_string);
    Ok((view, Configured::Key(live_key)))
}

/// Asks a node by the routes that every node of this protocol has.
async fn from_node(api: &str, id: &StreamId) -> anyhow::Result<(ChainView, Configured)> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
    let ask = async |route: &str| -> anyhow::Result<serde_json::Value> {
        let url = format!("{}/{route}", api.trim_end_matches('/'));
        let query = [("stream_author", id.account.as_str()), ("stream_link", id.link.as_str())];
        let answer = client.get(url).query(&query).send().await?.error_for_status()?;
        let answer: serde_json::Value = answer.json().await?;
        if let Some(error) = answer.get("error") {
            bail!("{error}; see `alive configure`");
        }
        Ok(answer)
    };
    let info = ask("get_stream_info").await?;
    let finalized = match info.get("chunk_finalized") {
        None => bail!("the answer has no chunk_finalized"),
        Some(serde_json::Value::Null) => None,
        Some(number) => Some(seq(number)?),
    };
    let chunks = ask("get_stream_chunks").await?;
    let chunks = chunks.get("chunks").and_then(serde_json::Value::as_array);
    let mut view = ChainView { finalized, ..ChainView::default() };
    for chunk in chunks.context("the answer has no chunks")? {
        let number = seq(chunk.get("seq").context("a chunk has no seq")?)?;
        let src = chunk.get("src_hash").and_then(serde_json::Value::as_str);
        view.pushes.insert(number, src.context("a chunk has no src_hash")?.parse()?);
    }
    let live_key = info.get("l2_pub").and_then(serde_json::Value::as_str).map(str::to_owned);
    Ok((view, Configured::Key(live_key)))
}

fn seq(number: &serde_json::Value) -> anyhow::Result<Seq> {
    let seq = number.as_u64().and_then(Seq::new);
    seq.with_context(|| format!("{number} is no sequence number"))
}
