//! Questions: what peers and the own process ask us, and what we ask others for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Instant,
};

use crate::{
    gun::{Checked, Dedup, Delta, NodeDelta, Part, Query, Refused},
    json::Text,
};

use super::{Effect, Hub, LinkId, Now, Outcome, Side, Ticket, Timer, job::Task, print};

/// A long node is answered in parts of about so many characters, as GUN does.
const CHUNK: usize = 8_000;
/// How many of the peers that we serve are asked for what is not here.
const ASKED_PEERS: usize = 3;
/// Beyond so many souls that we have asked dialled peers for, those that nobody needs any more are forgotten.
const MANY_WANTS: usize = 10_000;

/// What was asked of others.
#[derive(Debug, Default)]
pub(super) struct Asks {
    pending: BTreeMap<Query, Ask>,
    ids: HashMap<Text, (Query, LinkId)>,
    /// What the dialled peers were asked for, and so tell us of.
    wants: HashMap<Text, HashSet<Part>>,
    /// What nobody had lately.
    tried: Dedup,
}

/// A question that others have not all answered yet.
#[derive(Debug)]
struct Ask {
    askers: Vec<Asker>,
    /// Ids of our gets that are not answered.
    open: HashSet<Text>,
    deadline: Instant,
}

/// Who has asked.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    Link { link: LinkId, re: Text, hash: Option<i32> },
    Own(Ticket),
}

impl Asks {
    /// Whether dialled peers were asked for any of a node.
    pub(super) fn wants(&self, soul: &Text) -> bool {
        self.wants.contains_key(soul)
    }

    /// What was asked of a node and is not answered.
    fn pending_of(&self, soul: &Text) -> impl Iterator<Item = &Query> {
        let first = Query { soul: soul.clone(), part: Part::All };
        let soul = soul.clone();
        self.pending.range(first..).map(|(query, _)| query).take_while(move |q| q.soul == soul)
    }

    fn covers(&self, query: &Query) -> bool {
        let parts = self.wants.get(&query.soul);
        parts.is_some_and(|parts| parts.contains(&Part::All) || parts.contains(&query.part))
    }
}

impl Hub {
    /// Asks for a part of a node: here, and of the dialled peers unless they tell us of it anyway. Ends with
    /// [`Outcome::Got`].
    pub fn get(&mut self, ticket: Ticket, query: Query, now: Now) {
        self.start(Task::Get { asker: Asker::Own(ticket), query }, now);
    }

    pub(super) fn handle_get(
        &mut self,
        link: LinkId,
        id: Option<Text>,
        query: Option<Query>,
        hash: Option<i32>,
        now: Now,
    ) {
        let re = id.unwrap_or_else(|| self.ids.next());
        let asker = Asker::Link { link, re, hash };
        let Some(query) = query else { return self.answer_nothing(&asker) };
        self.subscribe(link, &query);
        self.start(Task::Get { asker, query }, now);
    }

    pub(super) fn handle_reply(
        &mut self,
        link: LinkId,
        re: &Text,
        delta: Result<Checked, Refused>,
        more: bool,
        now: Now,
    ) {
        let asked = self.asks.ids.get(re).filter(|(_, asked)| *asked == link);
        let query = asked.map(|(query, _)| query.clone());
        if query.is_none() && !self.is_dialled(link) {
            self.counters.unasked(1);
            return;
        }
        let Ok(delta) = delta else {
            if let Some(query) = query.filter(|_| !more) {
                self.settle(&query, Some(re), now);
            }
            return;
        };
        let delta = self.drop_unasked(link, delta, query.as_ref().map(|query| &query.soul));
        self.start(Task::Reply { link, query, delta, more }, now);
    }

    pub(super) fn handle_not_found(&mut self, link: LinkId, re: &Text, now: Now) {
        let asked = self.asks.ids.get(re).filter(|(_, asked)| *asked == link);
        if let Some((query, _)) = asked.cloned() {
            self.settle(&query, Some(re), now);
        }
    }

    pub(super) fn run_get(&mut self, asker: Asker, query: &Query, now: Now) {
        self.counters.gets(1);
        let is_found = self.graph.select(&query.soul, &query.part, now.at).is_some();
        match &asker {
            Asker::Link { link, .. } if is_found => {
                let link = *link;
                self.answer(&asker, query, now);
                self.want(query, Some(link), now);
            }
            Asker::Own(_) if is_found && self.is_told_of(query) => self.answer(&asker, query, now),
            _ => self.ask(asker, query, is_found, now),
        }
    }

    /// Lets the dialled peers tell us of a part of a node.
    pub(super) fn want(&mut self, query: &Query, except: Option<LinkId>, now: Now) {
        if self.upstreams == 0 || self.asks.covers(query) {
            return;
        }
        self.asks.wants.entry(query.soul.clone()).or_default().insert(query.part.clone());
        for link in self.dialled(except) {
            self.send_get(link, query, now);
        }
    }

    /// Forgets a soul that nobody has asked for any more.
    pub(super) fn forget_want(&mut self, soul: &Text) {
        if !self.is_needed(soul) {
            self.asks.wants.remove(soul);
        }
    }

    /// Asks a peer that was just dialled for all that is needed.
    pub(super) fn ask_again(&mut self, link: LinkId, now: Now) {
        // What was wanted once and is needed no more is forgotten with the connection that told of it.
        let mut queries: BTreeSet<Query> = self.watches.souls().map(Query::node).collect();
        queries.extend(self.links.values().flat_map(|link| link.queries.iter().cloned()));
        queries.extend(self.asks.pending.keys().cloned());
        self.asks.wants.clear();
        for query in queries {
            let parts = self.asks.wants.entry(query.soul.clone()).or_default();
            parts.insert(query.part.clone());
            let id = self.send_get(link, &query, now);
            if let Some(ask) = self.asks.pending.get_mut(&query) {
                ask.open.insert(id.clone());
                self.asks.ids.insert(id, (query, link));
            }
        }
    }

    /// The links that wait for an answer.
    pub(super) fn askers(&self, query: &Query) -> Vec<LinkId> {
        let ask = self.asks.pending.get(query);
        let askers = ask.into_iter().flat_map(|ask| &ask.askers);
        let links = askers.filter_map(|asker| match asker {
            Asker::Link { link, .. } => Some(*link),
            Asker::Own(_) => None,
        });
        links.collect()
    }

    /// One of those asked has answered. If it had something, or was the last, the askers are answered.
    pub(super) fn settle(&mut self, query: &Query, empty: Option<&Text>, now: Now) {
        let Some(ask) = self.asks.pending.get_mut(query) else { return };
        if let Some(id) = empty {
            ask.open.remove(id);
            self.asks.ids.remove(id);
            if !ask.open.is_empty() {
                return;
            }
        }
        self.finish_ask(query, now);
    }

    /// Values have come by another way: who waits for them need wait no longer.
    pub(super) fn settle_found(&mut self, nodes: &[NodeDelta], now: Now) {
        for node in nodes {
            let has = |query: &&Query| node.entries.iter().any(|(key, ..)| query.part.has(key));
            let found: Vec<_> = self.asks.pending_of(&node.soul).filter(has).cloned().collect();
            for query in found {
                self.finish_ask(&query, now);
            }
        }
    }

    /// A peer has gone and will not answer.
    pub(super) fn settle_link(&mut self, link: LinkId, now: Now) {
        let of_link = self.asks.ids.iter().filter(|(_, (_, asked))| *asked == link);
        let open: Vec<_> = of_link.map(|(id, (query, _))| (id.clone(), query.clone())).collect();
        // A dialled peer is dialled again: until the deadline it may still answer.
        let will_return = self.upstreams > 0;
        for (id, query) in open {
            self.asks.ids.remove(&id);
            let Some(ask) = self.asks.pending.get_mut(&query) else { continue };
            ask.open.remove(&id);
            if ask.open.is_empty() && !will_return {
                self.finish_ask(&query, now);
            }
        }
    }

    /// Nobody has answered in time.
    pub(super) fn give_up(&mut self, query: &Query, now: Now) {
        if self.asks.pending.get(query).is_some_and(|ask| ask.deadline <= now.at) {
            self.finish_ask(query, now);
        }
    }

    pub(super) fn answer_nothing(&mut self, asker: &Asker) {
        match asker {
            Asker::Link { link, re, .. } => {
                self.counters.not_found(1);
                let text = print::not_found(&self.ids.next(), re);
                self.send(*link, text);
            }
            Asker::Own(ticket) => self
                .effects
                .push_back(Effect::Resolve { ticket: *ticket, outcome: Outcome::Got(None) }),
        }
    }

    fn subscribe(&mut self, link: LinkId, query: &Query) {
        let Some(known) = self.links.get_mut(&link) else { return };
        // A relay that we dial is told of everything anyway.
        if known.side == Side::Dialled {
            return;
        }
        if known.queries.len() >= self.config.subscriptions {
            self.counters.subscriptions_refused(1);
        } else if self.audiences.add(query, link) {
            known.queries.push(query.clone());
        }
    }

    fn is_needed(&self, soul: &Text) -> bool {
        self.audiences.has(soul) || self.watches.has(soul)
    }

    /// Whether what we have of it is as new as anybody's.
    fn is_told_of(&self, query: &Query) -> bool {
        self.upstreams == 0 || self.asks.covers(query) && !self.asks.pending.contains_key(query)
    }

    fn ask(&mut self, asker: Asker, query: &Query, is_found: bool, now: Now) {
        if let Some(ask) = self.asks.pending.get_mut(query) {
            return ask.askers.push(asker);
        }
        let except = match &asker {
            Asker::Link { link, .. } => Some(*link),
            Asker::Own(_) => None,
        };
        let mut asked = self.dialled(except);
        let is_told_of = self.asks.covers(query);
        if self.upstreams > 0 {
            self.asks.wants.entry(query.soul.clone()).or_default().insert(query.part.clone());
            self.forget_many_wants();
        }
        let may_return = matches!(asker, Asker::Own(_)) && self.upstreams > 0;
        let mut deadline = now.at + self.config.ask_timeout;
        if asked.is_empty() && !may_return {
            deadline = now.at + self.config.ask_clients_timeout;
            let others = self.audiences.of(&query.soul).filter(|link| Some(*link) != except);
            asked = others.take(ASKED_PEERS).collect();
        }
        // What all were asked for a moment ago, and should have told us of since, they need not be asked again yet.
        let is_new = self.asks.tried.is_due(&query.soul, now.at);
        if (asked.is_empty() && !may_return) || (!is_found && is_told_of && !is_new) {
            return self.answer(&asker, query, now);
        }
        let mut open = HashSet::new();
        for link in asked {
            let id = self.send_get(link, query, now);
            open.insert(id.clone());
            self.asks.ids.insert(id, (query.clone(), link));
        }
        let ask = Ask { askers: vec![asker], open, deadline };
        self.asks.pending.insert(query.clone(), ask);
        self.set_timer(deadline, Timer::Ask(query.clone()));
    }

    fn finish_ask(&mut self, query: &Query, now: Now) {
        let Some(ask) = self.asks.pending.remove(query) else { return };
        for id in &ask.open {
            self.asks.ids.remove(id);
        }
        for asker in &ask.askers {
            self.answer(asker, query, now);
        }
    }

    /// Answers with what is here.
    fn answer(&mut self, asker: &Asker, query: &Query, now: Now) {
        let Some(node) = self.graph.select(&query.soul, &query.part, now.at) else {
            return self.answer_nothing(asker);
        };
        match asker {
            Asker::Link { link, re, hash } => self.reply(*link, re, *hash, node),
            Asker::Own(ticket) => self
                .effects
                .push_back(Effect::Resolve { ticket: *ticket, outcome: Outcome::Got(Some(node)) }),
        }
    }

    fn reply(&mut self, link: LinkId, re: &Text, hash: Option<i32>, node: NodeDelta) {
        let mut chunks = split(node).into_iter().peekable();
        let mut id = self.ids.next();
        while let Some(chunk) = chunks.next() {
            let next = self.ids.next();
            let more = chunks.peek().is_some();
            // The asker has the very same.
            if hash.is_some() && !more && hash == Some(chunk.hash()) {
                return;
            }
            let text = print::reply(&id, re, &chunk, more.then_some(&next));
            self.send(link, text);
            id = next;
        }
    }

    fn send_get(&mut self, link: LinkId, query: &Query, now: Now) -> Text {
        let id = self.ids.next();
        // Of one key the other can tell by the hash whether we have the same.
        let hash = match query.part {
            Part::Key(_) => self
                .graph
                .select(&query.soul, &query.part, now.at)
                .map(|node| Delta { nodes: vec![node] }.hash()),
            _ => None,
        };
        let text = print::get(&id, query, hash);
        self.send(link, text);
        id
    }

    fn send(&mut self, link: LinkId, text: std::sync::Arc<str>) {
        if self.links.contains_key(&link) {
            self.counters.delivered(1);
            self.effects.push_back(Effect::Send { links: vec![link], text });
        }
    }

    fn forget_many_wants(&mut self) {
        if self.asks.wants.len() > MANY_WANTS {
            let mut wants = std::mem::take(&mut self.asks.wants);
            wants.retain(|soul, _| self.is_needed(soul));
            self.asks.wants = wants;
        }
    }
}

/// Cuts a node into parts that each fit a frame of common size.
fn split(node: NodeDelta) -> Vec<Delta> {
    let mut chunks: Vec<NodeDelta> = Vec::new();
    let mut room = 0;
    for entry in node.entries {
        // The key stands twice, with its state.
        let size = 2 * entry.0.len() + entry.1.weight() + 30;
        match chunks.last_mut() {
            Some(last) if size <= room => last.entries.push(entry),
            _ => {
                room = CHUNK;
                chunks.push(NodeDelta { soul: node.soul.clone(), entries: vec![entry] });
            }
        }
        room = room.saturating_sub(size);
    }
    chunks.into_iter().map(|node| Delta { nodes: vec![node] }).collect()
}
