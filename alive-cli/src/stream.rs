//! `alive stream`: publishing what a recorder writes.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alive_avalon::rpc::ResumeError;
use alive_core::{
    ChainView, Network, Seq, StreamId,
    backend::{Broadcaster as _, SharedBroadcaster, SharedLiveCache, SharedStorage, SourceError},
};
use alive_hive::cost::StreamPlan;
use alive_streamer::{Backends, Session, SessionConfig, Totals};
use anyhow::{Context as _, bail, ensure};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    asked_to_stop,
    chain::Chain,
    configure::StreamArgs,
    cost,
    finished::Finished,
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
#[expect(clippy::struct_excessive_bools, reason = "they are five flags of a command line")]
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
    /// Do not share parts of the segment that is being recorded, even if the recorder lists them; they double the upload.
    #[arg(long, env = "ALIVE_NO_PARTS")]
    no_parts: bool,
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

impl Args {
    fn broadcaster(&self, chain: &Chain) -> anyhow::Result<SharedBroadcaster> {
        chain.broadcaster(self.stream.account.clone(), chain.key(&self.stream.key)?)
    }
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
    // What no waiting will help against is told before any file is made.
    for chain in &chains {
        let broadcaster = args.broadcaster(chain);
        broadcaster.with_context(|| chain.network().to_string())?;
    }
    let plan = match &chains[..] {
        [one] => {
            let plan = Plan::of(&args, one, &chains).await?;
            warn_of_cost(&args, one, &chains).await?;
            Some(plan)
        }
        _ => None,
    };
    let storage = args.storage.open(&args.data.join("store")).await;
    let storage = storage.with_context(|| format!("storage of {}", args.data.display()))?;
    let live = args.live.start(&args.data).await.context("live layer")?;
    let (peer, writer) = live.unzip();
    let outcome = publish(args, chains, plan, &storage, writer).await;
    if let Some(peer) = peer {
        peer.stop().await;
    }
    storage.shutdown().await;
    outcome
}

/// Publishes on each chain what the recorder writes. `plan` is that of the only one.
async fn publish(
    args: Args,
    chains: Vec<Chain>,
    plan: Option<Plan>,
    storage: &Ready,
    live: Option<Writer>,
) -> anyhow::Result<()> {
    let plan = match plan {
        Some(plan) => Some(plan.shared(&args, live.as_ref()).await?),
        None => None,
    };
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
    let (canceller, asked) = (stop.clone(), asked_to_stop());
    let watch = tokio::spawn(async move {
        asked.await;
        canceller.cancel();
    });
    let (put, keep_serving) = (storage.put.clone(), args.keep_serving);
    let outcome = match plan {
        Some(plan) => run_one(plan.open(put).await?, &stop).await,
        None => run_all(args, chains, put, live, &stop).await,
    };
    if keep_serving && !stop.is_cancelled() {
        stop.cancelled().await;
    }
    watch.abort();
    if let Some(gateway) = gateway {
        gateway.shutdown().await;
    }
    outcome
}

/// Publishes on several chains beside each other: one that fails does not stop the others, and one that cannot be reached
/// at the start joins when it can. The first that begins is shown.
async fn run_all(
    args: Args,
    chains: Vec<Chain>,
    storage: SharedStorage,
    live: Option<Writer>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let start = Start {
        old: Finished::in_folder(&args.folder),
        shown: AtomicBool::new(false),
        args,
        chains,
        storage,
        live,
        stop: stop.clone(),
    };
    let start = Arc::new(start);
    let mut running = JoinSet::new();
    for at in 0..start.chains.len() {
        let start = Arc::clone(&start);
        running.spawn(async move { start.run(at).await });
    }
    let outcomes = running.join_all().await;
    let failed: Vec<_> =
        outcomes.into_iter().flatten().map(|network| network.to_string()).collect();
    ensure!(
        failed.is_empty(),
        "publishing failed on {}; run it again to go on there",
        failed.join(", ")
    );
    Ok(())
}

/// What the sessions of several chains are begun with.
struct Start {
    args: Args,
    chains: Vec<Chain>,
    storage: SharedStorage,
    /// Where segments go at once, if there is a live layer.
    live: Option<Writer>,
    stop: CancellationToken,
    /// Recordings that were finished before any session began.
    old: Finished,
    /// Whether a session is shown.
    shown: AtomicBool,
}

impl Start {
    /// Publishes on one chain to the end; gives its network if that failed.
    async fn run(&self, at: usize) -> Option<Network> {
        let chain = self.chains.get(at)?;
        let network = chain.network();
        match self.publish_on(chain).await {
            Ok(Some(totals)) => output::line(format_args!("{network}: {}", published(&totals))),
            Ok(None) => output::line(format_args!("{network}: stopped before it could be reached")),
            Err(error) => {
                output::line(format_args!("{network}: FAILED {error:#}"));
                return Some(network.clone());
            }
        }
        None
    }

    /// `None` if it was stopped before it began.
    async fn publish_on(&self, chain: &Chain) -> anyhow::Result<Option<Totals>> {
        let begun = self.stop.run_until_cancelled(self.begin(chain)).await;
        let Some(session) = begun.transpose()? else { return Ok(None) };
        let is_shown = !self.shown.swap(true, Ordering::Relaxed);
        let shown = is_shown.then(|| tokio::spawn(progress::show(session.progress())));
        let outcome = session.run(self.stop.clone()).await;
        if let Some(shown) = shown {
            shown.await?;
        }
        Ok(Some(outcome?))
    }

    /// Tries until the chain can be reached.
    async fn begin(&self, chain: &Chain) -> anyhow::Result<Session> {
        let mut wait = FIRST_WAIT;
        let mut is_late = false;
        let plan = loop {
            match Plan::of(&self.args, chain, &self.chains).await {
                Ok(plan) => break plan,
                Err(error) if may_pass(&error) => output::warning(format_args!(
                    "{} cannot be reached, trying again in {} s: {error:#}",
                    chain.network(),
                    wait.as_secs()
                )),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            is_late = true;
        };
        warn_of_cost(&self.args, chain, &self.chains).await?;
        // Meanwhile the others have begun with what was recorded since the start; so does this one.
        let accept =
            self.args.accept_old || is_late && Finished::in_folder(&self.args.folder) != self.old;
        let plan = plan.accept_old(accept).shared(&self.args, self.live.as_ref()).await?;
        plan.open(self.storage.clone()).await
    }
}

/// The wait before a chain is tried again that could not be reached at the start; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Whether waiting may help against an error.
fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        if let Some(error) = cause.downcast_ref::<SourceError>() {
            return error.is_transient();
        }
        if let Some(error) = cause.downcast_ref::<alive_avalon::rpc::RpcError>() {
            return error.is_transient();
        }
        if let Some(ResumeError::Rpc(error)) = cause.downcast_ref() {
            return error.is_transient();
        }
        cause.downcast_ref::<reqwest::Error>().is_some_and(|error| {
            error.is_connect()
                || error.is_timeout()
                || error.status().is_some_and(|status| status.is_server_error())
        })
    })
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
        let broadcaster = args.broadcaster(chain)?;
        let journal = args.data.join(format!("{}.{}.{}.journal", id.network, id.account, id.link));
        let (view, live_key) = match chain.kept_view(&id.account, &id.link, &key).await? {
            Some((view, key)) => {
                (Some(view), Configured::Key(key.as_ref().map(ToString::to_string)))
            }
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
            .parts(!args.no_parts)
            .purge(args.purge);
        Ok(Self { config, broadcaster, view, live_key, live: None })
    }

    /// Whether a recording that was finished before is taken.
    fn accept_old(self, accept: bool) -> Self {
        Self { config: self.config.accept_old(accept), ..self }
    }

    /// Makes segments go to the live layer, too, and the stream tell where they are there.
    async fn shared(self, args: &Args, live: Option<&Writer>) -> anyhow::Result<Self> {
        let Some(writer) = live else { return Ok(self) };
        let network = &self.config.stream.network;
        let op = args.live.operation(writer, &args.stream.link, &self.live_key);
        if let Some(op) = op.with_context(|| network.to_string())? {
            let receipt = self.broadcaster.broadcast(&op).await;
            let receipt =
                receipt.with_context(|| format!("{network}: the key of the live layer"))?;
            output::line(format_args!("live key in block {} of {network}", receipt.block));
        }
        Ok(Self { live: Some(writer.cache.clone()), ..self })
    }

    async fn open(self, storage: SharedStorage) -> anyhow::Result<Session> {
        let mut backends = Backends::new(storage, self.broadcaster);
        if let Some(live) = self.live {
            backends = backends.live(live);
        }
        Ok(Session::open(self.config, backends, self.view).await?)
    }
}

/// Runs the only session to its end and shows it.
async fn run_one(session: Session, stop: &CancellationToken) -> anyhow::Result<()> {
    let shown = tokio::spawn(progress::show(session.progress()));
    let totals = session.run(stop.clone()).await?;
    output::line(published(&totals));
    shown.await?;
    Ok(())
}

fn published(totals: &Totals) -> String {
    format!(
        "published {} segments, {}, in {} chunks and {} operations; {} lost",
        totals.segments,
        output::bytes(totals.bytes),
        totals.chunks,
        totals.operations,
        totals.lost
    )
}

/// Says before the stream starts that its account cannot pay for it.
async fn warn_of_cost(args: &Args, chain: &Chain, chains: &[Chain]) -> anyhow::Result<()> {
    let StreamArgs { account, link, .. } = &args.stream;
    let hours = Duration::try_from_secs_f64(args.planned_hours * 3600.0);
    let length = hours.context("--planned-hours")?;
    if length.is_zero() {
        return Ok(());
    }
    let interval = seconds(args.interval).context("--interval")?;
    let plan = StreamPlan::new(account.clone(), link.clone(), length).interval(interval);
    if let Some(warning) = cost::warning(chain, plan).await {
        let on = if let [_] = chains { "" } else { &format!(" on {}", chain.network()) };
        output::warning(format_args!("{account} cannot pay for the stream{on}: {warning}"));
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
