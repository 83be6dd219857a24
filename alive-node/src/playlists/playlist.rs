//! A list as it is served: [`Playlist`].

use std::sync::Arc;

use alive_core::Seq;
use alive_playlist::ListEnd;

use super::text::ListText;

/// A list as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Playlist {
    /// The whole list.
    pub text: Arc<ListText>,
    /// What a player that has a recent list of a live stream is given instead, when that is less.
    pub delta: Option<Arc<ListText>>,
    /// Whether the stream has ended, so that the list will only change if something is repaired.
    pub ended: bool,
    /// The target duration announced, in seconds.
    pub target_seconds: u32,
    /// How many segments it lists.
    pub segments: usize,
    /// How far it is, with the parts that it shows.
    pub end: ListEnd,
    /// The push that a live list waits for.
    pub waiting: Option<Seq>,
    /// How many pushes the list lacks.
    pub passed: usize,
    /// Whether the chain has pushes above one that it lacks.
    pub gap: bool,
    /// How many of its segments this node does not have, has corrupt, or cannot have played because that holds for the
    /// initialisation section that they need.
    pub missing: usize,
    /// Whether the node has yet to look for some of its segments or their sections.
    pub unchecked: bool,
}

impl Playlist {
    /// Whether both are of the same segments of a live stream.
    pub(super) fn differs_in_parts_only(&self, other: &Self) -> bool {
        let of_other = Self {
            text: Arc::clone(&other.text),
            delta: other.delta.clone(),
            end: other.end,
            ..self.clone()
        };
        !self.ended && self.end.next == other.end.next && of_other == *other
    }
}
