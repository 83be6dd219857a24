//! What a hub asks for: [`Effect`].

use std::sync::Arc;

use crate::{
    gun::{DropReason, NodeDelta, Origin, Refused, State, Value, graph::entry_bytes},
    json::Text,
};

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A call of the own process that waits for an [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A subscription of the own process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(pub u64);

/// Who has made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two ends")]
pub enum Side {
    /// The other peer: we serve it.
    Accepted,
    /// We: it is a relay that serves us.
    Dialled,
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must know them all")]
pub enum Effect {
    /// Closes a connection; the hub has forgotten it.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        reason: DropReason,
    },
    /// Reads a node from the disk and hands it to [`Hub::handle_loaded`](super::Hub::handle_loaded), after all writes
    /// asked for before.
    Load {
        /// The node.
        soul: Text,
    },
    /// Tells the own process of values.
    Notify {
        /// Who has subscribed.
        watch: Vec<WatchId>,
        /// The values that have changed.
        change: Arc<NodeDelta>,
        /// Who has brought them; [`Origin::OWN`] where they were held before.
        origin: Origin,
    },
    /// Ends a call of the own process.
    Resolve {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Outcome,
    },
    /// Sends a message.
    Send {
        /// To whom.
        links: Vec<LinkId>,
        /// Its JSON text.
        text: Arc<str>,
    },
    /// Writes to the disk, and says so to [`Hub::handle_stored`](super::Hub::handle_stored) when it is safe.
    Store {
        /// Which batch.
        batch: u64,
        /// What, in this order.
        writes: Vec<Write>,
    },
    /// Sends a message to those who have asked for what it says. It may wait a moment for more of it, other than
    /// [`Send`](Self::Send), for which somebody waits.
    Tell {
        /// To whom.
        links: Vec<LinkId>,
        /// Its JSON text.
        text: Arc<str>,
    },
}

/// A change on the disk.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a disk must know them all")]
pub enum Write {
    /// Keeps a value until its state is reached.
    Defer {
        /// The node.
        soul: Text,
        /// The key.
        key: Text,
        /// The value.
        value: Value,
        /// Its state.
        state: State,
    },
    /// Sets a value.
    Put {
        /// The node.
        soul: Text,
        /// The key.
        key: Text,
        /// The value.
        value: Value,
        /// Its state.
        state: State,
    },
    /// Removes a value.
    Remove {
        /// The node.
        soul: Text,
        /// The key.
        key: Text,
    },
    /// Removes a node.
    RemoveNode {
        /// The node.
        soul: Text,
    },
    /// Forgets a value that was kept until its state.
    Undefer {
        /// The node.
        soul: Text,
        /// The key.
        key: Text,
        /// Its state.
        state: State,
    },
}

impl Write {
    /// The node that it changes.
    pub fn soul(&self) -> &Text {
        match self {
            Self::Defer { soul, .. }
            | Self::Put { soul, .. }
            | Self::Remove { soul, .. }
            | Self::RemoveNode { soul }
            | Self::Undefer { soul, .. } => soul,
        }
    }

    /// Estimated memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Defer { soul, key, value, .. } | Self::Put { soul, key, value, .. } => {
                soul.len() + entry_bytes(key, value)
            }
            Self::Remove { soul, key } | Self::Undefer { soul, key, .. } => {
                soul.len() + entry_bytes(key, &Value::Null)
            }
            Self::RemoveNode { soul } => soul.len() + entry_bytes(soul, &Value::Null),
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two calls")]
pub enum Outcome {
    /// What was asked for, if it is there.
    Got(Option<NodeDelta>),
    /// Whether values were stored.
    Put(Result<Stored, PutError>),
}

/// Where values were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Whether another peer has acknowledged them; always so if any is dialled.
    pub elsewhere: bool,
}

/// Why values were not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// Too much waits for our disk; later there may be room.
    #[error("too much waits for the disk")]
    Busy,
    /// Our disk did not take them.
    #[error("the disk did not take the values")]
    Disk,
    /// No dialled peer has acknowledged them in time. They are here, and are sent again when one connects.
    #[error("no peer has acknowledged the values in time")]
    NoAck,
    /// The peer has stopped.
    #[error("the peer has stopped")]
    Stopped,
    /// A limit or the admission forbids them.
    #[error("the values are refused: {0}")]
    Refused(#[from] Refused),
    /// The other peer has refused them.
    #[error("the other peer has refused the values: {0}")]
    RefusedThere(String),
}
