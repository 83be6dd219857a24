//! What a publisher writes down before it acts on it: [`JournalEntry`].

use serde::{Deserialize, Serialize};

use crate::{content::ContentId, op::Seq, segment::SegmentDuration, stream_id::StreamId};

/// Number of a segment within a stream's journal, in the order of recording, from 0.
pub type SegmentNumber = u64;

/// One line of a journal. A journal is a list of them, in order; a torn last one does not count.
///
/// ```
/// use alive_core::JournalEntry;
/// let entry = JournalEntry::Lost { number: 7 };
/// let line = serde_json::to_string(&entry)?;
/// assert_eq!(line, r#"{"event":"lost","number":7}"#);
/// assert_eq!(serde_json::from_str::<JournalEntry>(&line)?, entry);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "replaying a journal must know every entry")]
pub enum JournalEntry {
    /// A push was made; it may be on the chain from now on.
    Bundled(Bundle),
    /// A push is in a block.
    Confirmed {
        /// The push.
        seq: Seq,
    },
    /// The end of the stream is in a block.
    Ended,
    /// A segment was lost before it could be stored.
    Lost {
        /// The segment.
        number: SegmentNumber,
    },
    /// A recorded segment was taken.
    Segment {
        /// Its number.
        number: SegmentNumber,
        /// How the shell finds it again.
        source: Box<str>,
        /// How long it plays.
        duration: SegmentDuration,
        /// Whether something breaks before it.
        discontinuity: bool,
    },
    /// The journal belongs to this stream. The first entry.
    Stream {
        /// The stream.
        id: StreamId,
    },
    /// A segment is stored.
    Stored {
        /// The segment.
        number: SegmentNumber,
        /// Where.
        content: ContentId,
        /// The initialisation section that it needs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        section: Option<ContentId>,
    },
}

/// The segments of one push and what it says of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The push.
    pub seq: Seq,
    /// Its first segment.
    pub first: SegmentNumber,
    /// Its last segment.
    pub last: SegmentNumber,
    /// The chunk, or the segment when there is a length.
    pub src: ContentId,
    /// The segment's length; absent for a chunk.
    pub len: Option<SegmentDuration>,
    /// Whether a discontinuity stands before the segment.
    pub discontinuity: bool,
    /// The initialisation section of its segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<ContentId>,
}
