//! What goes into a publisher and what it asks for: [`Recorded`], [`Effect`] and their parts.

use crate::{
    content::ContentId,
    op::{Op, Seq},
    segment::{Segment, SegmentDuration, SegmentDurationError},
};

#[cfg(doc)]
use super::Publisher;
use super::{JournalEntry, SegmentNumber};

/// A recorded segment, complete on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// How the shell finds it again after a restart, such as its file's name and size; opaque to the publisher.
    pub source: Box<str>,
    /// How long it plays; rounded to milliseconds, the precision of chunks.
    pub duration: SegmentDuration,
    /// Whether something breaks before it.
    pub discontinuity: bool,
}

/// A step that can fail and is then tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "a shell must be able to do every step")]
pub enum Step {
    /// Sharing a segment on the live cache.
    Announce(SegmentNumber),
    /// Putting a push on the chain.
    Broadcast(Seq),
    /// Putting the end of the stream on the chain.
    End,
    /// Storing a segment.
    Store(SegmentNumber),
    /// Storing a chunk.
    StoreChunk(Seq),
}

/// What a [`Publisher`] asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must be able to carry out every effect")]
pub enum Effect {
    /// Share a segment on the live cache, with the initialisation section that it needs if it needs one, then call
    /// [`Publisher::handle_announced`].
    Announce(SegmentNumber, Segment, Option<ContentId>),
    /// Put an operation on the chain, then call [`Publisher::handle_broadcast`] for a push and
    /// [`Publisher::handle_ended`] for an end.
    Broadcast(Op),
    /// Everything is done; unless the stream is full, [`Publisher::backlog`] is empty.
    Finished,
    /// Append this to the journal and make it durable before going on.
    Journal(JournalEntry),
    /// A segment has come to this stage; for people to see.
    Progress(SegmentNumber, Stage),
    /// A segment is stored and journalled: its file is no longer needed.
    Release(SegmentNumber),
    /// Store a segment's bytes, then call [`Publisher::handle_stored`]; those of its initialisation section before them if
    /// it has one, and [`Publisher::handle_stored_with`] then.
    Store(SegmentNumber),
    /// Store a chunk's text, then call [`Publisher::handle_chunk_stored`].
    StoreChunk(Seq, String),
}

/// How far a segment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the stages of the protocol, in their order")]
pub enum Stage {
    /// It is being stored.
    Storing,
    /// It is stored.
    Stored,
    /// It is on the live cache.
    Cached,
    /// It is in a push on its way to the chain.
    Bundling,
    /// It is in a block.
    OnChain,
}

/// Why a segment cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Its length rounds out of range.
    #[error(transparent)]
    Duration(#[from] SegmentDurationError),
    /// The session is ending and takes no more.
    #[error("the session is ending")]
    Ending,
    /// The stream has used all its sequence numbers; go on under another link.
    #[error("the stream is full: push {max} was the last one", max = Seq::MAX)]
    Full,
}
