//! The task that runs the engine. It decides nothing.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Weak},
};

use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

#[cfg(any(feature = "client", feature = "relay"))]
use super::outbox::{Late, Outbox};
use super::{Shared, backlog::Room};
#[cfg(any(feature = "client", feature = "relay"))]
use crate::gun::{Incoming, LinkId, Side};
use crate::{
    gun::{
        Checked, Counters, Effect, Hub, HubConfig, NodeDelta, Origin, Outcome, PutError, Query,
        Stored, Ticket, WallClock, WatchId,
    },
    json::Text,
};

/// Commands taken before their effects are carried out.
const AT_ONCE: usize = 64;

/// A change, and who has brought it.
pub(super) type Brought = (Arc<NodeDelta>, Origin);

/// What the engine is told.
#[derive(Debug)]
pub(super) enum Command {
    #[cfg(any(feature = "client", feature = "relay"))]
    Connect {
        link: LinkId,
        side: Side,
        origin: Origin,
        outbox: Arc<Outbox>,
    },
    #[cfg(any(feature = "client", feature = "relay"))]
    Disconnect {
        link: LinkId,
    },
    Get {
        query: Query,
        done: oneshot::Sender<Option<NodeDelta>>,
    },
    #[cfg(any(feature = "client", feature = "relay"))]
    Messages {
        link: LinkId,
        messages: Vec<Incoming>,
        room: Room,
    },
    Put {
        delta: Checked,
        done: oneshot::Sender<Result<Stored, PutError>>,
        room: Room,
    },
    #[cfg(feature = "client")]
    Upstreams,
    Watch {
        soul: Text,
        changes: broadcast::Sender<Brought>,
    },
}

/// Who waits for the end of a call.
#[derive(Debug)]
enum Caller {
    Get(oneshot::Sender<Option<NodeDelta>>),
    Put(oneshot::Sender<Result<Stored, PutError>>),
}

#[derive(Debug)]
pub(super) struct Actor {
    hub: Hub,
    commands: mpsc::Receiver<Command>,
    cancel: CancellationToken,
    wall: WallClock,
    shared: Weak<Shared>,
    callers: HashMap<Ticket, Caller>,
    watches: HashMap<WatchId, broadcast::Sender<Brought>>,
    #[cfg(any(feature = "client", feature = "relay"))]
    outboxes: HashMap<LinkId, Arc<Outbox>>,
    #[cfg(any(feature = "client", feature = "relay"))]
    late: Late,
    #[cfg(feature = "disk")]
    disk: Option<super::disk_thread::DiskLink>,
    #[cfg(feature = "client")]
    upstreams: usize,
    next_id: u64,
}

impl Actor {
    pub(super) fn new(
        config: HubConfig,
        shared: &Arc<Shared>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let counters: Arc<Counters> = Arc::clone(&shared.counters);
        Self {
            hub: Hub::new(config, counters, shared.wall.now()),
            commands,
            cancel: shared.cancel.clone(),
            wall: shared.wall.clone(),
            shared: Arc::downgrade(shared),
            callers: HashMap::new(),
            watches: HashMap::new(),
            #[cfg(any(feature = "client", feature = "relay"))]
            outboxes: HashMap::new(),
            #[cfg(any(feature = "client", feature = "relay"))]
            late: Late::new(shared.links.gather),
            #[cfg(feature = "disk")]
            disk: None,
            #[cfg(feature = "client")]
            upstreams: 0,
            next_id: 0,
        }
    }

    /// Keeps the graph on disk.
    #[cfg(feature = "disk")]
    pub(super) fn with_disk(
        mut self,
        disk: crate::gun::DiskGraph,
        shared: &Arc<Shared>,
    ) -> Result<Self, crate::gun::DiskError> {
        let deferred = disk.deferred()?;
        self.hub.use_disk();
        self.hub.restore_deferred(deferred, self.wall.now());
        // What became due meanwhile is there before anybody asks.
        self.hub.handle_timeout(self.wall.now());
        self.disk = Some(super::disk_thread::start(disk, &shared.tasks));
        Ok(self)
    }

    pub(super) async fn run(mut self) {
        let cancel = self.cancel.clone();
        loop {
            self.perform_all();
            let timeout = self.poll_timeout();
            tokio::select! {
                () = cancel.cancelled() => break,
                command = self.commands.recv() => {
                    // No handle is left, so nobody can ask for anything more.
                    let Some(command) = command else { break };
                    self.handle(command);
                    for _ in 1..AT_ONCE {
                        let Ok(command) = self.commands.try_recv() else { break };
                        self.handle(command);
                    }
                }
                done = Self::disk_done(#[cfg(feature = "disk")] &mut self.disk) => {
                    self.handle_disk(done);
                }
                () = async { sleep_until(timeout.unwrap_or_else(Instant::now)).await }, if timeout.is_some() => {
                    self.handle_timeout();
                }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let timeout = self.hub.poll_timeout().map(Instant::from_std);
        #[cfg(any(feature = "client", feature = "relay"))]
        let timeout = timeout.into_iter().chain(self.late.due()).min();
        timeout
    }

    fn handle_timeout(&mut self) {
        #[cfg(any(feature = "client", feature = "relay"))]
        self.late.handle_timeout(Instant::now());
        self.hub.handle_timeout(self.wall.now());
    }

    fn handle(&mut self, command: Command) {
        let now = self.wall.now();
        match command {
            #[cfg(any(feature = "client", feature = "relay"))]
            Command::Connect { link, side, origin, outbox } => {
                self.outboxes.insert(link, outbox);
                self.hub.handle_connect(link, side, origin, now);
            }
            #[cfg(any(feature = "client", feature = "relay"))]
            Command::Disconnect { link } => {
                self.outboxes.remove(&link);
                self.hub.handle_disconnect(link, now);
            }
            Command::Get { query, done } => {
                let ticket = Ticket(self.next_id());
                self.callers.insert(ticket, Caller::Get(done));
                self.hub.get(ticket, query, now);
            }
            #[cfg(any(feature = "client", feature = "relay"))]
            Command::Messages { link, messages, room: _taken } => {
                for message in messages {
                    self.hub.handle_message(link, message, now);
                }
            }
            Command::Put { delta, done, room: _taken } => {
                let ticket = Ticket(self.next_id());
                self.callers.insert(ticket, Caller::Put(done));
                self.hub.put(ticket, delta, now);
            }
            #[cfg(feature = "client")]
            Command::Upstreams => {
                self.upstreams += 1;
                self.hub.set_upstreams(self.upstreams);
            }
            Command::Watch { soul, changes } => {
                self.forget_dropped();
                let watch = WatchId(self.next_id());
                self.watches.insert(watch, changes);
                self.hub.watch(watch, soul, now);
            }
        }
    }

    fn perform_all(&mut self) {
        while let Some(effect) = self.hub.poll_effect() {
            self.perform(effect);
        }
        if let Some(shared) = self.shared.upgrade() {
            let (nodes, bytes) = self.hub.size();
            let relaxed = std::sync::atomic::Ordering::Relaxed;
            shared.size.links.store(self.hub.links(), relaxed);
            shared.size.nodes.store(nodes, relaxed);
            shared.size.bytes.store(bytes, relaxed);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            #[cfg(any(feature = "client", feature = "relay"))]
            Effect::Close { link, reason } => {
                if let Some(outbox) = self.outboxes.get(&link) {
                    outbox.close(reason);
                }
            }
            #[cfg(any(feature = "client", feature = "relay"))]
            Effect::Send { links, text } => {
                for link in links {
                    if let Some(outbox) = self.outboxes.get(&link) {
                        outbox.push(&text);
                    }
                }
            }
            #[cfg(any(feature = "client", feature = "relay"))]
            Effect::Tell { links, text } => self.late.tell(
                links.iter().filter_map(|link| self.outboxes.get(link)),
                &text,
                Instant::now(),
            ),
            #[cfg(not(any(feature = "client", feature = "relay")))]
            Effect::Close { .. } | Effect::Send { .. } | Effect::Tell { .. } => {}
            Effect::Notify { watch, change, origin } => {
                for watch in watch {
                    let gone = match self.watches.entry(watch) {
                        Entry::Occupied(changes) => {
                            let gone = changes.get().send((Arc::clone(&change), origin)).is_err();
                            if gone {
                                changes.remove();
                            }
                            gone
                        }
                        Entry::Vacant(_) => true,
                    };
                    if gone {
                        self.hub.unwatch(watch);
                    }
                }
            }
            Effect::Resolve { ticket, outcome } => {
                // A caller that is gone wants no answer.
                match (self.callers.remove(&ticket), outcome) {
                    (Some(Caller::Get(done)), Outcome::Got(node)) => drop(done.send(node)),
                    (Some(Caller::Put(done)), Outcome::Put(result)) => drop(done.send(result)),
                    _ => {}
                }
            }
            #[cfg(feature = "disk")]
            Effect::Load { soul } => {
                if let Some(disk) = &self.disk {
                    disk.load(soul);
                }
            }
            #[cfg(feature = "disk")]
            Effect::Store { batch, writes } => {
                if let Some(disk) = &self.disk {
                    disk.store(batch, writes);
                }
            }
            #[cfg(not(feature = "disk"))]
            Effect::Load { .. } | Effect::Store { .. } => {}
        }
    }

    /// Subscribers are noticed to be gone when there is news for them, and here for nodes that have none.
    fn forget_dropped(&mut self) {
        let gone: Vec<_> = self.watches.extract_if(|_, c| c.receiver_count() == 0).collect();
        for (watch, _) in gone {
            self.hub.unwatch(watch);
        }
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    #[cfg(feature = "disk")]
    async fn disk_done(
        disk: &mut Option<super::disk_thread::DiskLink>,
    ) -> super::disk_thread::Done {
        match disk {
            Some(disk) => disk.done().await,
            None => std::future::pending().await,
        }
    }

    #[cfg(feature = "disk")]
    fn handle_disk(&mut self, done: super::disk_thread::Done) {
        use super::disk_thread::Done;
        match done {
            Done::Loaded(node, _room) => self.hub.handle_loaded(node, self.wall.now()),
            Done::Stored { batches, is_stored } => {
                for batch in batches {
                    self.hub.handle_stored(batch, is_stored);
                }
            }
        }
    }

    #[cfg(not(feature = "disk"))]
    async fn disk_done() -> std::convert::Infallible {
        std::future::pending().await
    }

    #[cfg(not(feature = "disk"))]
    #[expect(clippy::unused_self, reason = "without a disk it says nothing")]
    fn handle_disk(&mut self, done: std::convert::Infallible) {
        match done {}
    }
}
