//! What is counted of all chats together: [`ChatCounts`].

use alive_chat::{Outcome, Refusal};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::door::Turned;

/// Counts of all chats of a node. A clone is another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChatCounts {
    rooms: Gauge,
    listeners: Gauge,
    dropped: Counter,
    accepted: Counter,
    refused: Family<Reason, Counter>,
}

/// Why something does not count, and how it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    way: &'static str,
    reason: &'static str,
}

/// Something that is there until this is dropped.
#[derive(Debug)]
pub(super) struct Present(Gauge);

impl ChatCounts {
    /// Posted to this node.
    const PAGE: &'static str = "page";
    /// Brought by AliveDB.
    const TRANSPORT: &'static str = "alivedb";

    /// Lets a node tell these counts.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("chat_rooms", "Chats followed for visitors", self.rooms.clone());
        let text = "Visitors who listen to the events of a chat";
        registry.register("chat_listeners", text, self.listeners.clone());
        let text = "Listeners who were too slow and have to come again";
        registry.register("chat_listeners_dropped", text, self.dropped.clone());
        let text = "Messages of followed chats that passed all checks";
        registry.register("chat_messages_accepted", text, self.accepted.clone());
        let text = "Messages and requests that do not count, by how they came and why";
        registry.register("chat_refused", text, self.refused.clone());
    }

    /// Counts a chat that is followed.
    pub(super) fn room(&self) -> Present {
        Present::begin(&self.rooms)
    }

    /// Counts a visitor who listens.
    pub(super) fn listener(&self) -> Present {
        Present::begin(&self.listeners)
    }

    /// Counts a listener who was too slow.
    pub(super) fn dropped(&self) {
        self.dropped.inc();
    }

    /// Counts what became of a message that AliveDB brought.
    pub(super) fn outcome(&self, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Accepted => {
                self.accepted.inc();
            }
            // It is read again because something may have been lost: nobody has sent it twice.
            Outcome::Refused(Refusal::Duplicate) => {}
            Outcome::Refused(why) => self.refused(Self::TRANSPORT, why.name()),
            _ => {}
        }
    }

    /// Counts something that was posted and does not count.
    pub(crate) fn turned(&self, why: &Turned) {
        self.refused(Self::PAGE, why.name());
    }

    /// Counts something that was posted and not even looked at.
    pub(crate) fn unread(&self, reason: &'static str) {
        self.refused(Self::PAGE, reason);
    }

    fn refused(&self, way: &'static str, reason: &'static str) {
        self.refused.get_or_create(&Reason { way, reason }).inc();
    }
}

impl Present {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}
