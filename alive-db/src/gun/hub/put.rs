//! Values that come in, and where they go.

use crate::{
    gun::{Checked, Delta, Merge, NodeDelta, Origin, Refused},
    json::Text,
};

use super::{
    Batch, Effect, Hub, LinkId, Now, PutError, Side, Ticket, Timer, Write, job::Task, print,
    unacked::Pending,
};

/// Who has put values.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Another peer, and who else has them by its word.
    Link(LinkId, Vec<Text>),
    /// The own process.
    Own(Ticket),
}

/// Who waits for the disk.
#[derive(Debug)]
pub(super) enum Waiter {
    Ack { link: LinkId, re: Text },
    Own(Ticket),
}

/// What merging a delta has changed.
#[derive(Debug, Default)]
struct Changes {
    /// Values that hold now.
    accepted: Vec<NodeDelta>,
    /// Values that hold now or later: what others have to know.
    news: Vec<NodeDelta>,
    writes: Vec<Write>,
}

impl Hub {
    /// Puts values of the own process; ends with [`Outcome::Put`](super::Outcome::Put).
    pub fn put(&mut self, ticket: Ticket, delta: Checked, now: Now) {
        self.start(Task::Put { source: Source::Own(ticket), id: None, delta }, now);
    }

    /// Takes what the disk says of a batch.
    pub fn handle_stored(&mut self, batch: u64, is_stored: bool) {
        if !is_stored {
            self.counters.disk_errors(1);
        }
        let Batch { waiters, bytes } = self.stores.waiting.remove(&batch).unwrap_or_default();
        self.stores.bytes -= bytes;
        for waiter in waiters {
            self.finish_store(waiter, is_stored);
        }
    }

    pub(super) fn handle_put(
        &mut self,
        link: LinkId,
        id: Option<Text>,
        sent_to: &[Text],
        delta: Result<Checked, Refused>,
        now: Now,
    ) {
        self.counters.puts(1);
        let source = Source::Link(link, sent_to.to_vec());
        match delta {
            Ok(delta) => {
                let delta = self.drop_unasked(link, delta, None);
                self.start(Task::Put { source, id, delta }, now);
            }
            Err(refused) => self.refuse_put(&source, id.as_ref(), refused.reason),
        }
    }

    pub(super) fn run_put(&mut self, source: Source, id: Option<Text>, delta: &Checked, now: Now) {
        let origin = self.origin(&source);
        if let Err(full) = self.graph.check_room(delta.as_delta(), origin) {
            self.counters.quota_refused(1);
            let reason = match full {
                crate::gun::Full::Node => "Node is full.",
                crate::gun::Full::Origin => "Quota exceeded.",
            };
            return self.refuse_put(&source, id.as_ref(), reason);
        }
        let changes = self.merge_all(delta.as_delta(), origin, now);
        let is_whole = changes.news == delta.as_delta().nodes;
        let waiter = match &source {
            Source::Link(link, sent_to) => {
                // Under its own id, a put that comes back by another way is known before it is checked.
                let id = id.clone().filter(|_| is_whole).unwrap_or_else(|| self.ids.next());
                self.tell_audience(&id, &changes.news, Some(*link), sent_to, &[]);
                if !changes.news.is_empty() {
                    let news = Delta { nodes: changes.news };
                    self.tell_upstreams(&id, &news, Some(*link), sent_to, None, now);
                }
                None
            }
            Source::Own(ticket) => {
                let id = self.ids.next();
                self.tell_audience(&id, &changes.news, None, &[], &[]);
                let needs_ack = self.upstreams > 0;
                self.unacked
                    .own
                    .insert(*ticket, Pending { is_stored: false, needs_ack, is_late: false });
                // Even what is not new here may be new there.
                self.tell_upstreams(&id, delta.as_delta(), None, &[], Some(*ticket), now);
                Some(Waiter::Own(*ticket))
            }
        };
        self.notify(&changes.accepted, origin);
        self.settle_found(&changes.accepted, now);
        let ack = match (source, id) {
            (Source::Link(link, _), Some(re)) => Some(Waiter::Ack { link, re }),
            _ => None,
        };
        self.store(changes.writes, waiter.or(ack));
        self.counters.evicted(self.graph.evict());
    }

    pub(super) fn run_reply(
        &mut self,
        link: LinkId,
        query: Option<crate::gun::Query>,
        delta: &Checked,
        more: bool,
        now: Now,
    ) {
        let origin = self.origin(&Source::Link(link, Vec::new()));
        if self.graph.check_room(delta.as_delta(), origin).is_ok() {
            let changes = self.merge_all(delta.as_delta(), origin, now);
            let id = self.ids.next();
            let askers = query.as_ref().map(|query| self.askers(query)).unwrap_or_default();
            self.tell_audience(&id, &changes.news, Some(link), &[], &askers);
            self.notify(&changes.accepted, origin);
            self.store(changes.writes, None);
        } else {
            self.counters.quota_refused(1);
        }
        if let Some(query) = query.filter(|_| !more) {
            self.settle(&query, None, now);
        }
        self.counters.evicted(self.graph.evict());
    }

    /// Ends a put that may not be.
    pub(super) fn refuse_put(&mut self, source: &Source, id: Option<&Text>, reason: &'static str) {
        match (source, id) {
            (Source::Link(link, _), Some(re)) => self.send_ack(*link, re, Err(reason)),
            (Source::Link(..), None) => {}
            (Source::Own(ticket), _) => {
                self.resolve_put(*ticket, Err(PutError::Refused(Refused { reason })));
            }
        }
    }

    /// Leaves out of a dialled peer's message what was not asked for.
    pub(super) fn drop_unasked(
        &self,
        link: LinkId,
        mut delta: Checked,
        answers: Option<&Text>,
    ) -> Checked {
        let side = self.links.get(&link).map(|link| link.side);
        let before = delta.as_delta().nodes.len();
        match side {
            Some(Side::Dialled) => {
                delta.retain(|node| self.asks.wants(&node.soul) || answers == Some(&node.soul));
            }
            _ if answers.is_some() => delta.retain(|node| answers == Some(&node.soul)),
            _ => {}
        }
        self.counters.unasked(before - delta.as_delta().nodes.len());
        delta
    }

    fn merge_all(&mut self, delta: &Delta, origin: Origin, now: Now) -> Changes {
        let mut changes = Changes::default();
        for NodeDelta { soul, entries } in &delta.nodes {
            let (mut accepted, mut news) = (Vec::new(), Vec::new());
            for (key, value, state) in entries {
                let entry = || (key.clone(), value.clone(), *state);
                let (write_soul, write_key) = (soul.clone(), key.clone());
                let merged = self.graph.merge(soul, key, value, *state, origin, now.at, now.millis);
                match merged {
                    Merge::Accept => {
                        accepted.push(entry());
                        news.push(entry());
                        changes.writes.push(Write::Put {
                            soul: write_soul,
                            key: write_key,
                            value: value.clone(),
                            state: *state,
                        });
                    }
                    Merge::Defer => {
                        if self.defer(soul, key, value, *state, origin, now) {
                            news.push(entry());
                            changes.writes.push(Write::Defer {
                                soul: write_soul,
                                key: write_key,
                                value: value.clone(),
                                state: *state,
                            });
                        }
                    }
                    Merge::Ignore => self.counters.stale(1),
                }
            }
            let node = |entries| NodeDelta { soul: soul.clone(), entries };
            if !news.is_empty() {
                changes.news.push(node(news));
            }
            if !accepted.is_empty() {
                changes.accepted.push(node(accepted));
            }
        }
        changes
    }

    /// Sends values to all who have asked for them.
    pub(super) fn tell_audience(
        &mut self,
        id: &Text,
        nodes: &[NodeDelta],
        source: Option<LinkId>,
        sent_to: &[Text],
        except: &[LinkId],
    ) {
        if nodes.is_empty() {
            return;
        }
        let all: usize = nodes.iter().map(|node| node.entries.len()).sum();
        let has_it = |link: LinkId| {
            let pid = || self.links.get(&link).and_then(|link| link.pid.as_ref());
            let named = || pid().is_some_and(|pid| sent_to.contains(pid));
            Some(link) == source || except.contains(&link) || (!sent_to.is_empty() && named())
        };
        for (places, links) in self.audiences.split(nodes, has_it) {
            if links.is_empty() {
                continue;
            }
            let text = if places.len() == all {
                print::put(id, &Delta { nodes: nodes.to_vec() })
            } else {
                print::put(&self.ids.next(), &pick(nodes, &places))
            };
            self.counters.delivered(links.len());
            self.effects.push_back(Effect::Tell { links, text });
        }
    }

    /// Sends values to all peers that we have dialled, and keeps them until one has acknowledged them.
    fn tell_upstreams(
        &mut self,
        id: &Text,
        delta: &Delta,
        source: Option<LinkId>,
        sent_to: &[Text],
        ticket: Option<Ticket>,
        now: Now,
    ) {
        if self.upstreams == 0 || delta.is_empty() {
            return;
        }
        let mut links = self.dialled(source);
        links.retain(|link| {
            let pid = self.links.get(link).and_then(|link| link.pid.as_ref());
            pid.is_none_or(|pid| !sent_to.contains(pid))
        });
        let is_elsewhere = source.is_some_and(|source| {
            self.links.get(&source).is_some_and(|link| link.side == Side::Dialled)
        });
        let text = print::put(id, delta);
        if !is_elsewhere {
            self.keep_unacked(id.clone(), &text, ticket);
            self.set_timer(now.at + self.config.ack_timeout, Timer::NoAck(id.clone()));
        }
        if !links.is_empty() {
            self.counters.delivered(links.len());
            self.effects.push_back(Effect::Send { links, text });
        }
    }

    /// Writes to the disk, if there is one, and then tells who waits for it.
    pub(super) fn store(&mut self, writes: Vec<Write>, waiter: Option<Waiter>) {
        let is_idle = writes.is_empty() && self.stores.waiting.is_empty();
        if !self.config.has_disk || is_idle {
            if let Some(waiter) = waiter {
                self.finish_store(waiter, true);
            }
            return;
        }
        if writes.is_empty() {
            // The same value may still be on its way to the disk, in a batch before.
            if let Some(mut last) = self.stores.waiting.last_entry() {
                last.get_mut().waiters.extend(waiter);
            }
            return;
        }
        let batch = self.stores.next;
        self.stores.next += 1;
        let bytes = writes.iter().map(Write::bytes).sum();
        self.stores.bytes += bytes;
        self.stores.waiting.insert(batch, Batch { waiters: waiter.into_iter().collect(), bytes });
        self.effects.push_back(Effect::Store { batch, writes });
    }

    fn finish_store(&mut self, waiter: Waiter, is_stored: bool) {
        match waiter {
            Waiter::Ack { link, re } => {
                let result = is_stored.then_some(self.config.has_disk).ok_or("Disk error.");
                self.send_ack(link, &re, result);
            }
            Waiter::Own(ticket) if is_stored => self.own_stored(ticket),
            Waiter::Own(ticket) => self.resolve_put(ticket, Err(PutError::Disk)),
        }
    }

    fn send_ack(&mut self, link: LinkId, re: &Text, result: Result<bool, &str>) {
        if self.links.contains_key(&link) {
            let text = print::ack(&self.ids.next(), re, result);
            self.effects.push_back(Effect::Send { links: vec![link], text });
        }
    }

    fn origin(&self, source: &Source) -> Origin {
        match source {
            Source::Link(link, _) => self.links.get(link).map_or(Origin::OWN, |link| link.origin),
            Source::Own(_) => Origin::OWN,
        }
    }
}

/// The values at some places.
fn pick(nodes: &[NodeDelta], places: &[usize]) -> Delta {
    let mut place = 0;
    let mut picked = Vec::new();
    for node in nodes {
        let mut entries = Vec::new();
        for entry in &node.entries {
            if places.binary_search(&place).is_ok() {
                entries.push(entry.clone());
            }
            place += 1;
        }
        if !entries.is_empty() {
            picked.push(NodeDelta { soul: node.soul.clone(), entries });
        }
    }
    Delta { nodes: picked }
}
