//! `alive demo`: a recording through the whole system on this machine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use alive_avalon::devnet as avalon;
use alive_core::{
    AccountName, ChainView, Configure, Link, Op, Settings, StreamId,
    backend::{Broadcaster as _, SharedStreamStore},
};
use alive_db::sea::KeyPair;
use alive_hive::devnet::{DevAccount, DevnetConfig, DevnetServer, serve};
use alive_node::{Node, NodeConfig, PlaylistConfig, RunningNode, SharedChunkCache, SqliteStore};
use alive_playlist::ListSettings;
use alive_streamer::{Backends, Session, SessionConfig, Totals};
use anyhow::{Context as _, bail, ensure};
use tokio_util::sync::CancellationToken;

use crate::{
    asked_to_stop,
    attested::Attested,
    chain::{Chain, Kind, SigningKey},
    configure::twins,
    key::random_key,
    live::LivePeer,
    node, output, progress,
    readback::{self, Watched},
    recorder::Recording,
    storage::{self, StorageArgs},
    verify,
};

/// Time between blocks at normal speed.
const BLOCK_INTERVAL: Duration = Duration::from_secs(3);
/// Time between pushes at normal speed. Of six segments of ten seconds it makes two direct pushes and two chunks, and no
/// push falls near the closing of a segment.
const PUSH_INTERVAL: Duration = Duration::from_secs(18);
/// How long everything after the recording may take, besides the blocks that it waits for.
const PATIENCE: Duration = Duration::from_mins(1);
/// Blocks that everything after the recording waits for at most: a push on its way, the last ones, the end, with room.
const BLOCKS_AFTER: u32 = 20;

/// Plays a recording into a folder the way a recorder does, publishes it over a development chain, indexes it, serves it, and
/// reads every byte back over HTTP. Fails unless every segment comes back as it was recorded, and in order.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive demo --recording my-recording --speed 5 --serve --port 3010"
)]
pub(crate) struct Args {
    /// Folder with a playlist and its segments; without it a minute of test pattern that comes with the program.
    #[arg(long, env = "ALIVE_RECORDING", value_name = "DIR")]
    recording: Option<PathBuf>,
    /// How many times faster than real time; block time and push interval shrink along.
    #[arg(long, env = "ALIVE_SPEED", default_value_t = 10.0, value_name = "N")]
    speed: f64,
    /// The chain: `hive`, `avalon`, or `both` for one stream on two chains.
    #[arg(long, env = "ALIVE_DEMO_NETWORK", default_value = "hive", value_name = "NETWORK")]
    network: Networks,
    /// Keep serving the stream after the summary, until stopped.
    #[arg(long, env = "ALIVE_DEMO_SERVE")]
    serve: bool,
    /// Port of the HTTP server on the loopback interface; 0 takes any free one.
    #[arg(long, env = "ALIVE_PORT", default_value_t = 0, value_name = "P")]
    port: u16,
    #[command(flatten)]
    storage: StorageArgs,
}

/// Which chains the demo plays on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Networks {
    Avalon,
    Both,
    Hive,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    ensure!((0.1..=1000.0).contains(&args.speed), "--speed must be between 0.1 and 1000");
    let recording = match &args.recording {
        None => Recording::bundled()?,
        Some(folder) => Recording::from_folder(folder)?,
    };
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let stage = Stage::build(folder.path(), &args).await?;
    output::line(format_args!(
        "recording: {} segments, {:.1} s, played at {} times real time",
        recording.segments().len(),
        recording.duration().as_secs_f64(),
        args.speed
    ));
    output::line(format_args!("playlist: {}", stage.playlist_url()));

    let outcome = perform(&stage, recording, &args).await;
    if outcome.is_ok() && args.serve {
        let stop = asked_to_stop();
        output::line(format_args!("serving {} until stopped", stage.playlist_url()));
        stop.await;
    }
    stage.strike().await;
    outcome
}

/// A development chain and what publishes on it.
struct Played {
    devnet: Devnet,
    chain: Chain,
    id: StreamId,
    backends: Backends,
}

/// A development chain of one family.
enum Devnet {
    Avalon(avalon::DevnetServer),
    Hive(DevnetServer),
}

impl Devnet {
    async fn shutdown(self) {
        match self {
            Self::Avalon(server) => server.shutdown().await,
            Self::Hive(server) => server.shutdown().await,
        }
    }
}

/// Starts a development chain of a family with this account.
async fn raise(
    network: Networks,
    account: &AccountName,
    block_interval: Duration,
    folder: &Path,
) -> anyhow::Result<(Devnet, Chain, SigningKey)> {
    let key = random_key()?;
    if network == Networks::Avalon {
        let key = alive_avalon::PrivateKey::from_bytes(&key.to_bytes())?;
        let config = avalon::DevnetConfig::default()
            .account(avalon::DevAccount::new(account.as_str(), key.public_key()))
            .block_interval(block_interval)
            .folder(folder.join("avalon-chain"));
        let server = avalon::serve(config).await?;
        let chain = Chain::devnet(Kind::Avalon, server.url(), block_interval);
        return Ok((Devnet::Avalon(server), chain, SigningKey::Avalon(key)));
    }
    let config = DevnetConfig::default()
        .account(DevAccount::with_key(account.as_str(), key.public_key())?)
        .block_interval(block_interval)
        .folder(folder.join("chain"));
    let kind = Kind::Hive(config.network.clone());
    let server = serve(config).await?;
    let chain = Chain::devnet(kind, server.url(), block_interval);
    Ok((Devnet::Hive(server), chain, SigningKey::Hive(key)))
}

/// Everything that runs while the demo plays.
struct Stage {
    folder: PathBuf,
    /// The chains; the node's routes speak for the first.
    played: Vec<Played>,
    node: RunningNode,
    /// The streamer's and the node's, which the streamer's dials.
    live_peers: [LivePeer; 2],
    storage: storage::Ready,
    push_interval: Duration,
    /// How long everything after the recording may take.
    patience: Duration,
}

impl Stage {
    async fn build(folder: &Path, args: &Args) -> anyhow::Result<Self> {
        let account: AccountName = "alice".parse()?;
        let link: Link = "demo".parse()?;
        let block_interval = BLOCK_INTERVAL.div_f64(args.speed);
        let networks = match args.network {
            Networks::Both => vec![Networks::Hive, Networks::Avalon],
            one => vec![one],
        };
        let storage = args.storage.open(&folder.join("store")).await?;
        let live_peers = [LivePeer::in_memory().await?, LivePeer::in_memory().await?];
        let [streamer, follower] = &live_peers;
        streamer.dial(&follower.listen(([127, 0, 0, 1], 0).into()).await?).await?;
        let live = streamer.writer(Arc::new(KeyPair::generate()?));
        let index = SqliteStore::open(folder.join("index.sqlite"))?;
        let streams = SharedStreamStore::new(index.clone());
        let mut backends = alive_node::Backends::new(streams.clone(), storage.get.clone())
            .chunks(SharedChunkCache::new(index))
            .live(follower.reader(streams));
        if let Some(content) = &storage.content {
            backends = backends.content(content.clone());
        }
        let mut list = ListSettings::default();
        if let Some(gateway) = &storage.gateway {
            list = list.gateway(gateway.clone());
        }
        let mut config = NodeConfig::default()
            .address(([127, 0, 0, 1], args.port).into())
            .playlists(PlaylistConfig::default().list(list));
        let mut raised = Vec::new();
        for network in networks {
            raised.push(raise(network, &account, block_interval, folder).await?);
        }
        let id =
            |chain: &Chain| StreamId::new(chain.network().clone(), account.clone(), link.clone());
        let ids: Vec<_> = raised.iter().map(|(_, chain, _)| id(chain)).collect();
        let mut played: Vec<Played> = Vec::new();
        for (devnet, chain, key) in raised {
            backends = backends.source(chain.block_source(1)?);
            if played.is_empty() {
                config = config.network(chain.network().clone());
            }
            let broadcaster = chain.broadcaster(account.clone(), key)?;
            let id = id(&chain);
            let configure = Configure {
                also: twins(&id, &ids, None)?,
                storage: storage.kind,
                ..live.configure(link.clone())?
            };
            let configured = broadcaster.broadcast(&Op::Configure(configure)).await;
            configured.with_context(|| format!("configuring the stream on {}", chain.network()))?;
            let backends = Backends::new(storage.put.clone(), broadcaster).live(live.cache.clone());
            played.push(Played { devnet, chain, id, backends });
        }
        let node = Node::start(config, backends).await?;
        let recorder = folder.join("recording");
        std::fs::create_dir(&recorder)?;
        let push_interval = PUSH_INTERVAL.div_f64(args.speed);
        let patience = PATIENCE + BLOCKS_AFTER * block_interval;
        let folder = folder.to_owned();
        Ok(Self { folder, played, node, live_peers, storage, push_interval, patience })
    }

    /// What publishes on one chain.
    async fn session(&self, played: &Played) -> anyhow::Result<Session> {
        let journal = self.folder.join(format!("{}.journal", played.id.network));
        let config = SessionConfig::new(played.id.clone(), self.folder.join("recording"), journal)
            .interval(self.push_interval)
            .poll_interval(Duration::from_millis(20))
            .flush_timeout(Some(self.patience))
            .end_stream(true);
        let view = Some(ChainView::default());
        Ok(Session::open(config, played.backends.clone(), view).await?)
    }

    /// Each chain must attest every segment that came back.
    async fn check_chains(&self, expected: usize) -> anyhow::Result<()> {
        let mut attested = Attested::default();
        for played in &self.played {
            let index = played.chain.index(1, |_, _| {}).await?;
            let (account, link) = (&played.id.account, &played.id.link);
            let stream = index.stream(account, link).context("a chain lacks the stream")?;
            let segments = verify::segments(stream, &self.storage.get).await?;
            ensure!(stream.info().ended, "{} says that the stream goes on", played.id.network);
            ensure!(
                segments.len() == expected,
                "{} attests {} of {expected} segments",
                played.id.network,
                segments.len()
            );
            let settings = Settings::clone(&stream.info().settings);
            attested.add(played.id.clone(), settings, &segments);
        }
        ensure!(attested.report() == 0, "the chains tell two streams");
        Ok(())
    }

    fn playlist_url(&self) -> String {
        let stream =
            self.played.first().map(|played| format!("{}/{}", played.id.account, played.id.link));
        format!("{}/stream/{}.m3u8", node::url(&self.node), stream.unwrap_or_default())
    }

    async fn strike(self) {
        self.node.shutdown().await;
        for peer in self.live_peers {
            peer.stop().await;
        }
        for played in self.played {
            played.devnet.shutdown().await;
        }
        self.storage.shutdown().await;
    }
}

/// Plays, publishes, watches the playlist grow, and reads everything back.
async fn perform(stage: &Stage, recording: Recording, args: &Args) -> anyhow::Result<()> {
    let recorder = stage.folder.join("recording");
    let stop = CancellationToken::new();
    let mut sessions = Vec::new();
    for played in &stage.played {
        sessions.push(stage.session(played).await?);
    }
    let shown = sessions.first().map(|first| tokio::spawn(progress::show(first.progress())));
    let mut publishing = tokio::spawn(all_of(sessions, stop.clone()));

    let recording = Arc::new(recording);
    let watching = tokio::spawn(readback::watch(stage.playlist_url(), recording.segments().len()));
    let started = Instant::now();
    let mut closed = Vec::new();
    tokio::select! {
        biased;
        played = recording.play(&recorder, args.speed, |_, at| closed.push(at)) => played?,
        // What cannot be published is told at once, not when the recording is over.
        early = &mut publishing => {
            early??;
            bail!("publishing came to an end before the recording did");
        }
    }

    let totals = tokio::time::timeout(stage.patience, publishing).await;
    let totals = totals.context("publishing did not come to an end")???;
    if let Some(shown) = shown {
        shown.await?;
    }
    let watched = tokio::time::timeout(stage.patience, watching).await;
    let watched = watched.context("the playlist did not come to an end")???;
    let back = readback::read_all(&stage.playlist_url()).await?;
    compare(&recording, &back)?;
    stage.check_chains(back.len()).await?;
    output::line("");
    output::line(format_args!(
        "segments     {} recorded, {} back, byte for byte and in order",
        recording.segments().len(),
        back.len()
    ));
    summary(&totals, &closed, &watched, started.elapsed());
    let [_, follower] = &stage.live_peers;
    output::line(format_args!("live layer   {} segments over the wire", follower.puts()));
    Ok(())
}

/// Runs the sessions beside each other and gives the totals of the first.
async fn all_of(sessions: Vec<Session>, stop: CancellationToken) -> anyhow::Result<Totals> {
    let running: Vec<_> =
        sessions.into_iter().map(|session| tokio::spawn(session.run(stop.clone()))).collect();
    let mut first = None;
    for session in running {
        let totals = session.await??;
        first = first.or(Some(totals));
    }
    first.context("nothing to publish on")
}

/// Every segment must be back as it was recorded, and in order.
fn compare(recording: &Recording, back: &[bytes::Bytes]) -> anyhow::Result<()> {
    let recorded = recording.segments();
    for (at, (recorded, back)) in recorded.iter().zip(back).enumerate() {
        if recorded.data != *back {
            bail!("segment {at} came back with other bytes");
        }
    }
    ensure!(
        recorded.len() == back.len(),
        "{} segments were recorded and {} came back",
        recorded.len(),
        back.len()
    );
    Ok(())
}

fn summary(totals: &Totals, closed: &[Instant], watched: &Watched, elapsed: Duration) {
    let latencies = closed
        .iter()
        .zip(&watched.seen)
        .map(|(closed, seen)| seen.saturating_duration_since(*closed));
    let mut latencies: Vec<_> = latencies.collect();
    latencies.sort();
    let median = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
    let longest = latencies.last().copied().unwrap_or_default();
    output::line(format_args!("chunks       {}", totals.chunks));
    output::line(format_args!(
        "operations   {} on the chain, besides the configure",
        totals.operations
    ));
    output::line(format_args!("bytes        {}", output::bytes(totals.bytes)));
    output::line(format_args!(
        "to playlist  {median:.0?} median, {longest:.0?} longest, from a segment's closing to its listing"
    ));
    output::line(format_args!("elapsed      {:.1} s", elapsed.as_secs_f64()));
}
