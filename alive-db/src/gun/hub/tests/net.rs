//! Hubs on wires of a test: every message is printed, carried and read as over a socket.

use std::collections::{BTreeSet, HashMap};

use super::*;
use crate::{
    gun::{
        Anyone, Delta, DropReason, Intake, IntakeLimits, LinkIntake, NodeDelta, Origin, State,
        Value,
    },
    json::Json,
};

/// The clock of states at the start.
pub(super) const EPOCH: f64 = 1e12;

#[derive(Debug)]
pub(super) struct Net {
    pub(super) peers: Vec<Node>,
    /// The other end of each link.
    wires: HashMap<(usize, LinkId), (usize, LinkId)>,
    pub(super) flying: VecDeque<(usize, LinkId, Arc<str>)>,
    next_link: u64,
    start: Instant,
    pub(super) now: Now,
    pub(super) closed: Vec<(usize, LinkId, DropReason)>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) hub: Hub,
    intake: Intake,
    pub(super) counters: Arc<Counters>,
    pub(super) outcomes: HashMap<Ticket, Outcome>,
    pub(super) changes: Vec<(WatchId, NodeDelta)>,
    /// Who has brought them.
    pub(super) origins: Vec<Origin>,
    /// A disk that says nothing until it is told to.
    pub(super) stores: Vec<(u64, Vec<Write>)>,
    pub(super) loads: Vec<Text>,
}

impl Net {
    pub(super) fn new(peers: usize) -> Self {
        Self::with(peers, |config| config)
    }

    pub(super) fn with(peers: usize, set: impl Fn(HubConfig) -> HubConfig) -> Self {
        let start = Instant::now();
        let now = Now { at: start, millis: EPOCH };
        let node = |n: usize| {
            let counters = Arc::new(Counters::default());
            let config = set(HubConfig::new(format!("peer{n:05}"), n as u64));
            Node {
                hub: Hub::new(config, Arc::clone(&counters), now),
                intake: Intake::new(
                    IntakeLimits::default().rate(1_000_000, 1_000_000),
                    Arc::new(Anyone),
                    Arc::clone(&counters),
                ),
                counters,
                outcomes: HashMap::new(),
                changes: Vec::new(),
                origins: Vec::new(),
                stores: Vec::new(),
                loads: Vec::new(),
            }
        };
        Self {
            peers: (0..peers).map(node).collect(),
            wires: HashMap::new(),
            flying: VecDeque::new(),
            next_link: 0,
            start,
            now,
            closed: Vec::new(),
        }
    }

    /// Lets a peer dial another; gives the ends of the link.
    pub(super) fn dial(&mut self, from: usize, to: usize) -> (LinkId, LinkId) {
        let (near, far) = (LinkId(self.next_link), LinkId(self.next_link + 1));
        self.next_link += 2;
        self.wires.insert((from, near), (to, far));
        self.wires.insert((to, far), (from, near));
        let upstreams = self.peers[from].hub.upstreams + 1;
        self.peers[from].hub.set_upstreams(upstreams);
        self.peers[to].hub.handle_connect(far, Side::Accepted, Origin(7), self.now);
        self.peers[from].hub.handle_connect(near, Side::Dialled, Origin::OWN, self.now);
        self.collect();
        (near, far)
    }

    /// Breaks a link: what flies on it is lost.
    pub(super) fn cut(&mut self, peer: usize, link: LinkId) {
        let Some((other, far)) = self.wires.remove(&(peer, link)) else { return };
        self.wires.remove(&(other, far));
        let ends = [(peer, link), (other, far)];
        self.flying.retain(|(to, link, _)| !ends.contains(&(*to, *link)));
        for (peer, link) in ends {
            let upstreams = self.peers[peer].hub.upstreams;
            if self.peers[peer].hub.is_dialled(link) {
                // Dialled again later, so it still counts as one that will be there.
                self.peers[peer].hub.set_upstreams(upstreams);
            }
            self.peers[peer].hub.handle_disconnect(link, self.now);
        }
        self.collect();
    }

    /// A client that is no hub: gives the link over which it talks with a peer.
    pub(super) fn client(&mut self, peer: usize) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.peers[peer].hub.handle_connect(link, Side::Accepted, Origin(100 + link.0), self.now);
        self.collect();
        self.sent(peer, link);
        link
    }

    /// Lets a client say something.
    pub(super) fn say(&mut self, peer: usize, link: LinkId, text: &str) {
        self.deliver(peer, link, text);
        self.settle();
    }

    /// What a client was sent since it was last looked at.
    pub(super) fn sent(&mut self, peer: usize, link: LinkId) -> Vec<serde_json::Value> {
        let (mine, others) =
            self.flying.drain(..).partition(|(to, at, _)| *to == peer && *at == link);
        self.flying = others;
        let mine: VecDeque<(usize, LinkId, Arc<str>)> = mine;
        mine.iter().map(|(_, _, text)| serde_json::from_str(text).unwrap()).collect()
    }

    pub(super) fn put(
        &mut self,
        peer: usize,
        soul: &str,
        key: &str,
        value: &str,
        ago: f64,
    ) -> Ticket {
        let ticket = Ticket(self.next_link);
        self.next_link += 1;
        let state = State::new(self.now.millis - ago).unwrap();
        let delta = Delta::of(soul, key, value.into(), state);
        let node = &mut self.peers[peer];
        let delta = node.intake.check(delta, self.now.millis).unwrap();
        node.hub.put(ticket, delta, self.now);
        self.collect();
        ticket
    }

    pub(super) fn get(&mut self, peer: usize, query: Query) -> Ticket {
        let ticket = Ticket(self.next_link);
        self.next_link += 1;
        self.peers[peer].hub.get(ticket, query, self.now);
        self.collect();
        ticket
    }

    pub(super) fn outcome(&self, peer: usize, ticket: Ticket) -> Option<&Outcome> {
        self.peers[peer].outcomes.get(&ticket)
    }

    /// The texts of a node's keys in one peer's memory.
    pub(super) fn texts(&mut self, peer: usize, soul: &str) -> Vec<(String, String)> {
        let node =
            self.peers[peer].hub.graph.select(&soul.into(), &crate::gun::Part::All, self.now.at);
        let entries = node.map(|node| node.entries).unwrap_or_default();
        let text = |value: &Value| match value {
            Value::Text(text) => text.to_string(),
            other => format!("{other:?}"),
        };
        entries.iter().map(|(key, value, _)| (key.to_string(), text(value))).collect()
    }

    /// Carries messages until none flies between hubs.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            self.collect();
            let between =
                |(to, link, _): &(usize, LinkId, Arc<str>)| self.wires.contains_key(&(*to, *link));
            let Some(at) = self.flying.iter().position(between) else { return };
            self.carry(at);
        }
        panic!("the network does not come to rest");
    }

    /// Carries the message at a place of the queue.
    pub(super) fn carry(&mut self, at: usize) {
        let Some((to, link, text)) = self.flying.remove(at) else { return };
        self.deliver(to, link, &text);
        self.collect();
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, millis: u32) {
        let end = self.now.at + Duration::from_millis(millis.into());
        loop {
            let next = self.peers.iter().filter_map(|peer| peer.hub.poll_timeout()).min();
            let at = next.unwrap_or(end).min(end).max(self.now.at);
            let passed = at.duration_since(self.start).as_secs_f64() * 1000.0;
            self.now = Now { at, millis: EPOCH + passed };
            for peer in &mut self.peers {
                peer.hub.handle_timeout(self.now);
            }
            self.settle();
            if at == end {
                return;
            }
        }
    }

    fn deliver(&mut self, to: usize, link: LinkId, text: &str) {
        let node = &mut self.peers[to];
        let mut budget = LinkIntake::new(node.intake.limits(), self.now.at);
        let taken = node.intake.take(&mut budget, text, self.now.at, self.now.millis);
        for message in taken.messages {
            node.hub.handle_message(link, message, self.now);
        }
    }

    pub(super) fn collect(&mut self) {
        let mut ends = BTreeSet::new();
        for (n, node) in self.peers.iter_mut().enumerate() {
            while let Some(effect) = node.hub.poll_effect() {
                match effect {
                    Effect::Close { link, reason } => {
                        self.closed.push((n, link, reason));
                        ends.insert((n, link));
                    }
                    Effect::Load { soul } => node.loads.push(soul),
                    Effect::Notify { watch, change, origin } => {
                        node.changes.extend(watch.iter().map(|w| (*w, (*change).clone())));
                        node.origins.push(origin);
                    }
                    Effect::Resolve { ticket, outcome } => {
                        assert!(node.outcomes.insert(ticket, outcome).is_none(), "ended twice");
                    }
                    Effect::Send { links, text } | Effect::Tell { links, text } => {
                        Json::parse(&text).expect("what is sent is JSON");
                        for link in links {
                            let to = self.wires.get(&(n, link)).copied().unwrap_or((n, link));
                            self.flying.push_back((to.0, to.1, Arc::clone(&text)));
                        }
                    }
                    Effect::Store { batch, writes } => node.stores.push((batch, writes)),
                }
            }
        }
        for (peer, link) in ends {
            self.cut(peer, link);
        }
    }
}
