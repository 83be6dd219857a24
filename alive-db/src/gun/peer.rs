//! A running peer: [`Peer`].

mod actor;
mod backlog;
#[cfg(any(feature = "client", feature = "relay"))]
mod connection;
#[cfg(feature = "client")]
mod dial;
#[cfg(feature = "disk")]
mod disk_thread;
#[cfg(any(feature = "client", feature = "relay"))]
mod outbox;
#[cfg(feature = "relay")]
mod relay;
#[cfg(feature = "tls")]
mod tls;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

#[cfg(any(feature = "client", feature = "relay"))]
use std::sync::atomic::AtomicU64;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::json::Text;

use self::{
    actor::{Actor, Brought, Command},
    backlog::Backlog,
};
#[cfg(feature = "disk")]
use super::DiskGraph;
use super::{
    Admission, Counters, Counts, Delta, GraphLimits, HubConfig, Intake, IntakeLimits, NodeDelta,
    Origin, PutError, Query, Refused, State, StateClock, Stored, WallClock, hub::peer_id,
};

#[cfg(feature = "client")]
pub use self::dial::UrlError;
#[cfg(feature = "relay")]
pub use self::relay::{Relay, RelayLimits};

/// Messages that wait for the engine, a frame each. A connection that finds it full reads on when there is room.
const COMMANDS: usize = 1024;
/// Changes that a slow subscriber of the own process may fall behind before it loses the oldest.
const CHANGES: usize = 1024;

/// Settings of a [`Peer`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PeerConfig {
    /// By which states are taken for past or future.
    pub clock: WallClock,
    /// What the graph in memory may hold.
    pub graph: GraphLimits,
    /// How much may come in.
    pub intake: IntakeLimits,
    /// How connections are kept.
    pub links: LinkLimits,
    /// The graph on disk, if it shall outlive the process.
    #[cfg(feature = "disk")]
    pub disk: Option<DiskGraph>,
    /// Certificates of authorities that relays dialled over TLS may have theirs from, beside those that the system
    /// trusts. In DER.
    #[cfg(feature = "tls")]
    pub roots: Vec<Vec<u8>>,
}

impl PeerConfig {
    /// Sets [`clock`](Self::clock).
    #[must_use]
    pub fn clock(self, clock: WallClock) -> Self {
        Self { clock, ..self }
    }

    /// Sets [`graph`](Self::graph).
    #[must_use]
    pub fn graph(self, graph: GraphLimits) -> Self {
        Self { graph, ..self }
    }

    /// Sets [`intake`](Self::intake).
    #[must_use]
    pub fn intake(self, intake: IntakeLimits) -> Self {
        Self { intake, ..self }
    }

    /// Sets [`links`](Self::links).
    #[must_use]
    pub fn links(self, links: LinkLimits) -> Self {
        Self { links, ..self }
    }

    /// Sets [`disk`](Self::disk).
    #[cfg(feature = "disk")]
    #[must_use]
    pub fn disk(self, disk: DiskGraph) -> Self {
        Self { disk: Some(disk), ..self }
    }

    /// Sets [`roots`](Self::roots).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn roots(self, roots: Vec<Vec<u8>>) -> Self {
        Self { roots, ..self }
    }
}

/// How connections are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkLimits {
    /// How much may wait to be sent to one peer, in bytes; a peer that lets more pile up is dropped. 4 MiB.
    pub queue_bytes: usize,
    /// How often a peer is sent a heartbeat. 20 s, as GUN's.
    pub heartbeat: Duration,
    /// A peer that is silent for so long is dropped. 90 s.
    pub silence: Duration,
    /// How often one link may ask for something, each soul or key counting once. 1000.
    pub subscriptions: usize,
    /// How long what a peer has asked for may wait for more of it, so that it goes in one frame, once the peer has got ten
    /// frames more than one in every such time. Answers and acknowledgements never wait. 25 ms; GUN waits 9 ms always.
    pub gather: Duration,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self {
            queue_bytes: 4 << 20,
            heartbeat: Duration::from_secs(20),
            silence: Duration::from_secs(90),
            subscriptions: 1000,
            gather: Duration::from_millis(25),
        }
    }
}

impl LinkLimits {
    /// Sets [`queue_bytes`](Self::queue_bytes).
    #[must_use]
    pub fn queue_bytes(self, queue_bytes: usize) -> Self {
        Self { queue_bytes, ..self }
    }

    /// Sets [`heartbeat`](Self::heartbeat).
    #[must_use]
    pub fn heartbeat(self, heartbeat: Duration) -> Self {
        Self { heartbeat, ..self }
    }

    /// Sets [`silence`](Self::silence).
    #[must_use]
    pub fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Sets [`gather`](Self::gather).
    #[must_use]
    pub fn gather(self, gather: Duration) -> Self {
        Self { gather, ..self }
    }
}

/// A peer of a GUN network: a graph that it shares with those that it dials and those that dial it. Copies are handles of
/// the same peer.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use alive_db::gun::{Anyone, Delta, Peer, PeerConfig, Query};
/// let peer = Peer::start(PeerConfig::default(), Anyone)?;
/// let mut changes = peer.subscribe("room").await;
/// peer.put(Delta::of("room", "name", "attic".into(), peer.next_state())).await?;
/// assert_eq!(changes.next().await.ok_or("stopped")?.entries[0].1, "attic".into());
/// assert!(peer.get(Query::key("room", "name")).await.is_some());
/// peer.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Peer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    backlog: Backlog,
    wall: WallClock,
    intake: Arc<Intake>,
    counters: Arc<Counters>,
    #[cfg(any(feature = "client", feature = "relay"))]
    links: LinkLimits,
    #[cfg(any(feature = "client", feature = "relay"))]
    next_id: AtomicU64,
    clock: Mutex<StateClock>,
    size: Size,
    #[cfg(feature = "tls")]
    roots: Arc<Vec<Vec<u8>>>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    pid: Text,
}

/// What the engine held lately.
#[derive(Debug, Default)]
struct Size {
    links: AtomicUsize,
    nodes: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a peer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holdings {
    /// Connections.
    pub links: usize,
    /// Nodes in memory.
    pub nodes: usize,
    /// Their estimated size, in bytes.
    pub bytes: usize,
}

/// Why a peer does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The graph on disk cannot be read.
    #[cfg(feature = "disk")]
    #[error("reading the graph on disk")]
    Disk(#[from] super::DiskError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

impl Peer {
    /// Starts a peer on the current tokio runtime. It runs until [`stop`](Self::stop), or until nobody has a handle.
    ///
    /// # Errors
    /// The graph on disk cannot be read, or the system gives no random bytes.
    pub fn start(
        config: PeerConfig,
        admission: impl Admission + 'static,
    ) -> Result<Self, StartError> {
        let [pid_seed, seed] = random()?;
        let pid = peer_id(pid_seed);
        let counters = Arc::new(Counters::default());
        let backlog = Backlog::new(config.intake.waiting_bytes);
        let intake = Intake::new(config.intake, Arc::new(admission), Arc::clone(&counters));
        let mut hub = HubConfig::new(pid.clone(), seed).graph(config.graph);
        hub = hub.subscriptions(config.links.subscriptions);
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let shared = Arc::new(Shared {
            commands,
            backlog,
            wall: config.clock,
            intake: Arc::new(intake),
            counters: Arc::clone(&counters),
            #[cfg(any(feature = "client", feature = "relay"))]
            links: config.links,
            #[cfg(any(feature = "client", feature = "relay"))]
            next_id: AtomicU64::new(1),
            clock: Mutex::default(),
            size: Size::default(),
            #[cfg(feature = "tls")]
            roots: Arc::new(config.roots),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            pid,
        });
        let actor = Actor::new(hub, &shared, receiver);
        #[cfg(feature = "disk")]
        let actor = match config.disk {
            Some(disk) => actor.with_disk(disk, &shared)?,
            None => actor,
        };
        shared.tasks.spawn(actor.run());
        Ok(Self { shared })
    }

    /// Puts values. Returns when they are stored here, on disk if there is one, and one of the dialled peers, if there are
    /// any, has acknowledged them.
    ///
    /// # Errors
    /// See [`PutError`]. After [`PutError::NoAck`] they are here all the same and are sent again when a dialled peer connects.
    pub async fn put(&self, delta: Delta) -> Result<Stored, PutError> {
        let intake = &self.shared.intake;
        if delta.nodes.iter().any(NodeDelta::is_malformed) {
            return Err(Refused { reason: "Invalid data." }.into());
        }
        let delta = intake.check(delta, self.shared.wall.now().millis)?;
        let bytes = delta.as_delta().bytes();
        let room = self.shared.backlog.enter(bytes, &self.shared.counters).await;
        let (done, result) = oneshot::channel();
        self.send(Command::Put { delta, done, room }).await;
        result.await.unwrap_or(Err(PutError::Stopped))
    }

    /// Asks for a part of a node, here and of the dialled peers; `None` if nobody has it, or nobody answers within 2 s.
    pub async fn get(&self, query: Query) -> Option<NodeDelta> {
        let (done, result) = oneshot::channel();
        self.send(Command::Get { query, done }).await;
        result.await.ok().flatten()
    }

    /// Subscribes to a node: what is there comes first, then every change, as it is merged.
    pub async fn subscribe(&self, soul: impl Into<Text>) -> Subscription {
        let (changes, receiver) = broadcast::channel(CHANGES);
        self.send(Command::Watch { soul: soul.into(), changes }).await;
        Subscription { receiver, lost: 0 }
    }

    /// A state for values written now: later than every one before.
    pub fn next_state(&self) -> State {
        // Nothing panics while it holds the lock.
        let mut clock = self.shared.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.next(self.shared.wall.millis().floor())
    }

    /// Our id among peers.
    pub fn pid(&self) -> &Text {
        &self.shared.pid
    }

    /// What has been done and refused so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// What it holds.
    pub fn holdings(&self) -> Holdings {
        let size = &self.shared.size;
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Holdings { links: read(&size.links), nodes: read(&size.nodes), bytes: read(&size.bytes) }
    }

    /// Ends all connections and subscriptions, waits for the disk, and returns when nothing runs any more.
    pub async fn stop(&self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    async fn send(&self, command: Command) {
        // When it has stopped, the caller sees so by his answer.
        let _stopped = self.shared.commands.send(command).await;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The tasks of the peer itself hold no handle.
        if Arc::strong_count(&self.shared) == 1 {
            self.shared.cancel.cancel();
        }
    }
}

/// Values of a node as they were merged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "who brings a graph of his own makes them")]
pub struct Change {
    /// The values.
    pub node: Arc<NodeDelta>,
    /// Who has brought them; [`Origin::OWN`] where they were held before the subscription.
    pub origin: Origin,
    /// How many changes before this one were lost, because the subscriber fell behind.
    pub lost: u64,
}

/// Changes of a node, until it is dropped or the peer stops.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Brought>,
    lost: u64,
}

impl Subscription {
    /// The next change; `None` when the peer has stopped. A subscriber that falls 1024 changes behind loses the oldest;
    /// [`Peer::get`] has what they have led to.
    pub async fn next(&mut self) -> Option<Arc<NodeDelta>> {
        Some(self.next_change().await?.node)
    }

    /// The next change with who has brought it, and what was lost before it.
    pub async fn next_change(&mut self) -> Option<Change> {
        let mut lost = 0;
        loop {
            match self.receiver.recv().await {
                Ok((node, origin)) => return Some(Change { node, origin, lost }),
                Err(broadcast::error::RecvError::Lagged(more)) => {
                    lost += more;
                    self.lost += more;
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// How many changes were lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

fn random() -> Result<[u64; 2], StartError> {
    let random = || getrandom::u64().map_err(|error| StartError::Random(error.to_string()));
    Ok([random()?, random()?])
}
