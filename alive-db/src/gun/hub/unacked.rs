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
    /// Keeps a put. If there are too many, the oldest is no longer sent again.
    pub(super) fn keep(&mut self, id: Text, text: &Arc<str>, ticket: Option<Ticket>, most: usize) {
        if self.puts.len() >= most
            && let Some((_, (id, _, _))) = self.puts.pop_first()
        {
            self.by_id.remove(&id);
        }
        self.by_id.insert(id.clone(), self.next);
        self.puts.insert(self.next, (id, Arc::clone(text), ticket));
        self.next += 1;
    }

    /// Forgets a put; gives the call that waits for it.
    fn remove(&mut self, id: &Text) -> Option<Ticket> {
        let at = self.by_id.remove(id)?;
        self.puts.remove(&at)?.2
    }
}

impl Hub {
    pub(super) fn handle_ack(&mut self, link: LinkId, re: &Text, err: Option<String>) {
        self.counters.acks(1);
        // Only a peer that was sent the put may speak of it; those that we serve get copies under other rules.
        if !self.is_dialled(link) {
            return;
        }
        match (self.unacked.remove(re), err) {
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

    pub(super) fn resend_unacked(&mut self, link: LinkId) {
        for (_, text, _) in self.unacked.puts.values() {
            let text = Arc::clone(text);
            self.effects.push_back(Effect::Send { links: vec![link], text });
        }
    }
}
