//! Puts that no dialled peer has acknowledged yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::json::Text;

use super::{Effect, Hub, LinkId, Outcome, PutError, Stored, Ticket};

/// Puts until their acknowledgement, oldest first; they are sent again to a peer that connects.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    puts: BTreeMap<u64, (Text, Arc<str>, Option<Ticket>)>,
    by_id: HashMap<Text, u64>,
    bytes: usize,
    next: u64,
    /// Calls of the own process that have not ended.
    pub(super) own: HashMap<Ticket, Pending>,
}

/// What a put of the own process still waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) is_stored: bool,
    pub(super) needs_ack: bool,
    /// Nobody acknowledges it in time: it is over once it is stored here.
    pub(super) is_late: bool,
}

impl Unacked {
    /// Keeps a put.
    fn keep(&mut self, id: Text, text: &Arc<str>, ticket: Option<Ticket>) {
        self.bytes += text.len();
        self.by_id.insert(id.clone(), self.next);
        self.puts.insert(self.next, (id, Arc::clone(text), ticket));
        self.next += 1;
    }

    /// Forgets a put; gives its place, its length, and the call that waits for it.
    fn remove(&mut self, id: &Text) -> Option<(u64, usize, Option<Ticket>)> {
        let at = self.by_id.remove(id)?;
        let (_, text, ticket) = self.puts.remove(&at)?;
        self.bytes -= text.len();
        Some((at, text.len(), ticket))
    }
}

/// How far a dialled peer that has connected was sent what was kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resend {
    next: u64,
    /// Bytes that were sent and not acknowledged.
    in_flight: usize,
}

/// So many bytes of what was kept are on their way at once: much less than what may wait to be sent to one peer, lest it
/// be taken for a slow one.
const RESEND_WINDOW: usize = 512 << 10;

impl Hub {
    /// Keeps a put until its acknowledgement. If there are too many, the oldest are no longer sent again.
    pub(super) fn keep_unacked(&mut self, id: Text, text: &Arc<str>, ticket: Option<Ticket>) {
        self.unacked.keep(id, text, ticket);
        while self.unacked.puts.len() > self.config.unacked
            || self.unacked.bytes > self.config.unacked_bytes
        {
            let Some((_, (oldest, _, _))) = self.unacked.puts.first_key_value() else { break };
            let oldest = oldest.clone();
            // Its timer would not find it any more.
            let Some((at, len, ticket)) = self.unacked.remove(&oldest) else { break };
            if let Some(ticket) = ticket {
                self.resolve_put(ticket, Err(PutError::NoAck));
            }
            for link in self.dialled(None) {
                self.arrived(link, at, len);
            }
        }
    }

    pub(super) fn handle_ack(&mut self, link: LinkId, re: &Text, err: Option<String>) {
        self.counters.acks(1);
        // Only a peer that was sent the put may speak of it; those that we serve get copies under other rules.
        if !self.is_dialled(link) {
            return;
        }
        let known = self.unacked.remove(re);
        if let Some((at, len, _)) = known {
            for link in self.dialled(None) {
                self.arrived(link, at, len);
            }
        }
        match (known.and_then(|(_, _, ticket)| ticket), err) {
            (Some(ticket), None) => {
                if let Some(pending) = self.unacked.own.get_mut(&ticket) {
                    pending.needs_ack = false;
                    if pending.is_stored {
                        self.resolve_put(ticket, Ok(Stored { elsewhere: true }));
                    }
                }
            }
            (Some(ticket), Some(err)) => {
                self.resolve_put(ticket, Err(PutError::RefusedThere(err)));
            }
            (None, Some(err)) => tracing::debug!(err, "a dialled peer refuses a put"),
            (None, None) => {}
        }
    }

    /// Nobody has acknowledged a put in time. It stays to be sent again.
    pub(super) fn no_ack(&mut self, id: &Text) {
        let put = self.unacked.by_id.get(id).and_then(|at| self.unacked.puts.get_mut(at));
        let Some(ticket) = put.and_then(|(_, _, ticket)| ticket.take()) else { return };
        match self.unacked.own.get_mut(&ticket) {
            // The disk has the last word: who is told of this may rely on what is here.
            Some(pending) if !pending.is_stored => pending.is_late = true,
            _ => self.resolve_put(ticket, Err(PutError::NoAck)),
        }
    }

    pub(super) fn own_stored(&mut self, ticket: Ticket) {
        let Some(pending) = self.unacked.own.get_mut(&ticket) else { return };
        pending.is_stored = true;
        if pending.is_late {
            self.resolve_put(ticket, Err(PutError::NoAck));
        } else if !pending.needs_ack {
            let elsewhere = self.upstreams > 0;
            self.resolve_put(ticket, Ok(Stored { elsewhere }));
        }
    }

    pub(super) fn resolve_put(&mut self, ticket: Ticket, result: Result<Stored, PutError>) {
        self.unacked.own.remove(&ticket);
        self.effects.push_back(Effect::Resolve { ticket, outcome: Outcome::Put(result) });
    }

    /// Sends a peer that was just dialled what nobody has acknowledged: a part at once, the rest as its acknowledgements
    /// come.
    pub(super) fn resend_unacked(&mut self, link: LinkId) {
        if let Some(known) = self.links.get_mut(&link) {
            known.resend = Some(Resend::default());
        }
        self.resend_more(link);
    }

    fn resend_more(&mut self, link: LinkId) {
        let Some(known) = self.links.get_mut(&link) else { return };
        let Some(resend) = &mut known.resend else { return };
        while resend.in_flight < RESEND_WINDOW {
            let Some((at, (_, text, _))) = self.unacked.puts.range(resend.next..).next() else {
                // What is put from now on is sent at once.
                known.resend = None;
                return;
            };
            resend.next = at + 1;
            resend.in_flight += text.len();
            self.effects.push_back(Effect::Send { links: vec![link], text: Arc::clone(text) });
        }
    }

    /// A put is no longer kept: there is room for the next.
    fn arrived(&mut self, link: LinkId, at: u64, len: usize) {
        let resend = self.links.get_mut(&link).and_then(|link| link.resend.as_mut());
        if let Some(resend) = resend.filter(|resend| at < resend.next) {
            resend.in_flight = resend.in_flight.saturating_sub(len);
            self.resend_more(link);
        }
    }
}
