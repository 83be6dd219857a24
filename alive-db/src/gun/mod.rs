//! GUN: graph, conflict resolution, wire protocol, peers.
//!
//! Source: `spec/alivedb.md`.

mod admission;
mod clock;
mod counters;
mod dedup;
mod delta;
#[cfg(feature = "disk")]
mod disk;
#[doc(hidden)]
pub mod fuzzing;
mod graph;
mod ham;
mod hub;
mod intake;
mod message;
mod peer;
mod query;
mod value;

pub use admission::{Admission, Admitted, Anyone, Put, Refused, expiry_ms, is_expired};
pub use clock::{StateClock, WallClock};
pub use counters::{Counters, Counts};
pub use dedup::Dedup;
pub use delta::{Checked, Delta, DeltaError, KeyReason, NodeDelta, NodeReason, hash};
#[cfg(feature = "disk")]
pub use disk::{DiskError, DiskGraph};
pub use graph::{Full, Graph, GraphLimits, Origin, Pruned};
pub use ham::{MAX_AHEAD_MS, Merge, merge};
pub use hub::{
    Effect, Hub, HubConfig, LinkId, Now, Outcome, PutError, Side, Stored, Ticket, WatchId, Write,
};
pub use intake::{DropReason, Incoming, Intake, IntakeLimits, LinkIntake, Taken};
pub use message::{Body, Dam, FrameError, Get, Message, read_frame};
#[cfg(feature = "client")]
pub use peer::UrlError;
pub use peer::{Change, Holdings, LinkLimits, Peer, PeerConfig, StartError, Subscription};
#[cfg(feature = "relay")]
pub use peer::{Relay, RelayLimits};
pub use query::{Lex, MAX_LEX_BYTES, Part, Query};
pub use value::{Number, State, Value, ValueError};
