//! A peer of a GUN network, without I/O: [`Hub`].
//!
//! Client and relay are one engine: a link is either accepted or dialled. What is put goes to every dialled link and to
//! every link that has asked for it; what is asked for and not there is asked of the dialled links.

mod ask;
mod audience;
mod config;
mod defer;
mod effect;
mod job;
mod links;
mod print;
mod put;
mod unacked;
mod watch;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::json::Text;

use self::{
    ask::Asks, audience::Audiences, defer::Deferred, job::Jobs, links::Link, print::Ids,
    unacked::Unacked, watch::Watches,
};
use super::{
    Counters, Graph, Query,
    intake::{Incoming, Kind},
};

pub(crate) use self::print::peer_id;
pub use self::{
    config::HubConfig,
    effect::{Effect, LinkId, Outcome, PutError, Side, Stored, Ticket, WatchId, Write},
};

/// How often expired and unused values are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// The moment of a call, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The clock of timeouts, which never goes back.
    pub at: Instant,
    /// The clock of states: milliseconds since 1970.
    pub millis: f64,
}

/// The engine of a peer: takes what came over links and from the own process, says what is to be done.
///
/// Call [`poll_effect`](Self::poll_effect) until it gives `None` after every other call, and
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    counters: Arc<Counters>,
    graph: Graph,
    links: HashMap<LinkId, Link>,
    /// How many peers are dialled, connected or not.
    upstreams: usize,
    audiences: Audiences,
    watches: Watches,
    asks: Asks,
    deferred: Deferred,
    unacked: Unacked,
    jobs: Jobs,
    ids: Ids,
    stores: Stores,
    timers: BTreeMap<(Instant, u64), Timer>,
    next_timer: u64,
    effects: VecDeque<Effect>,
}

/// Batches that the disk has not confirmed yet, and who waits for them.
#[derive(Debug, Default)]
struct Stores {
    next: u64,
    waiting: BTreeMap<u64, Batch>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Batch {
    waiters: Vec<put::Waiter>,
    bytes: usize,
}

#[derive(Debug)]
enum Timer {
    /// A question has not been answered.
    Ask(Query),
    /// A value from the future may be due.
    Deferred,
    /// A put has not been acknowledged.
    NoAck(Text),
    Sweep,
}

impl Hub {
    /// A peer without links.
    pub fn new(config: HubConfig, counters: Arc<Counters>, now: Now) -> Self {
        let mut hub = Self {
            graph: Graph::new(config.graph.clone()),
            ids: Ids::new(config.seed),
            links: HashMap::new(),
            upstreams: 0,
            audiences: Audiences::default(),
            watches: Watches::default(),
            asks: Asks::default(),
            deferred: Deferred::default(),
            unacked: Unacked::default(),
            jobs: Jobs::default(),
            stores: Stores::default(),
            timers: BTreeMap::new(),
            next_timer: 0,
            effects: VecDeque::new(),
            config,
            counters,
        };
        hub.set_timer(now.at + SWEEP, Timer::Sweep);
        hub
    }

    /// Keeps the graph on disk from now on.
    pub fn use_disk(&mut self) {
        self.config.has_disk = true;
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now.at
        {
            match entry.remove() {
                Timer::Ask(query) => self.give_up(&query, now),
                Timer::Deferred => self.apply_deferred(now),
                Timer::NoAck(id) => self.no_ack(&id),
                Timer::Sweep => {
                    self.sweep(now);
                    self.set_timer(now.at + SWEEP, Timer::Sweep);
                }
            }
        }
    }

    /// Takes a message of a link.
    pub fn handle_message(&mut self, link: LinkId, message: Incoming, now: Now) {
        if !self.links.contains_key(&link) {
            return;
        }
        let Incoming { id, sent_to, kind } = message;
        match kind {
            Kind::Ack { re, err } => self.handle_ack(link, &re, err),
            Kind::Dam(dam) => self.handle_dam(link, id.as_ref(), dam),
            Kind::Get { query, hash } => self.handle_get(link, id, query, hash, now),
            Kind::NotFound { re } => self.handle_not_found(link, &re, now),
            Kind::Put(delta) => self.handle_put(link, id, &sent_to, delta, now),
            Kind::Reply { re, delta, more } => self.handle_reply(link, &re, delta, more, now),
        }
    }

    /// How many nodes are in memory, and their estimated bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.graph.len(), self.graph.bytes())
    }

    /// How many links there are.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    fn sweep(&mut self, now: Now) {
        let pruned = self.graph.prune(now.millis);
        self.counters.expired(pruned.keys.len());
        let keys = pruned.keys.into_iter().map(|(soul, key)| Write::Remove { soul, key });
        let nodes = pruned.nodes.into_iter().map(|soul| Write::RemoveNode { soul });
        let writes: Vec<_> = keys.chain(nodes).collect();
        self.store(writes, None);
        self.counters.evicted(self.graph.forget_unused(now.at));
    }

    fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.insert((at, self.next_timer), timer);
        self.next_timer += 1;
    }
}

#[cfg(test)]
mod tests;
