//! GUN: graph, conflict resolution, wire protocol, peers.
//!
//! Source: `spec/alivedb.md`.

mod admission;
mod dedup;
mod delta;
mod ham;
mod message;
mod value;

pub use admission::{Admission, Admitted, Anyone, Put, Refused, expiry_ms, is_expired};
pub use dedup::Dedup;
pub use delta::{Checked, Delta, DeltaError, KeyReason, NodeDelta, NodeReason, hash};
pub use ham::{MAX_AHEAD_MS, Merge, merge};
pub use message::{Body, Dam, FrameError, Get, Message, read_frame};
pub use value::{Number, State, Value, ValueError};
