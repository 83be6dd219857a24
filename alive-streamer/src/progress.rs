//! What a session tells of itself while it runs: [`Progress`].

use std::{error::Error, sync::Arc, time::Duration};

use alive_core::{SegmentDuration, SegmentNumber, Seq, Stage, Step};
use alive_playlist::{ReadError, probe::ProbeError};

/// The cause of a warning. Shared, since every listener gets it.
pub type WarningCause = Arc<dyn Error + Send + Sync>;

/// Something that happened, for people to see. Nothing depends on anybody listening.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The end of the stream is in a block.
    Ended {
        /// The transaction, as its chain writes it.
        transaction: Box<str>,
        /// The block.
        block: u64,
    },
    /// Everything is published. The last event.
    Finished(Totals),
    /// A segment was found and is in the journal.
    Found(Found),
    /// A part of the segment that is being recorded is on the live cache.
    Part {
        /// The number that the segment will have in the stream.
        number: SegmentNumber,
        /// The place of the part in the segment.
        index: u8,
    },
    /// A push is in a block.
    Pushed {
        /// Its sequence number.
        seq: Seq,
        /// The transaction, as its chain writes it.
        transaction: Box<str>,
        /// The block.
        block: u64,
    },
    /// A segment has come to this stage.
    Stage {
        /// The segment.
        number: SegmentNumber,
        /// The stage.
        stage: Stage,
    },
    /// No more segments are taken; those that were are being brought to the chain.
    Stopping,
    /// The session waits for the recorder.
    Waiting(Waiting),
    /// Something that a person should know of. The session goes on.
    Warning(Warning),
}

/// A segment that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its number in the stream.
    pub number: SegmentNumber,
    /// The name of its file.
    pub name: Box<str>,
    /// Its bytes.
    pub size: u64,
    /// How long it plays.
    pub duration: SegmentDuration,
    /// Whether something breaks before it.
    pub discontinuity: bool,
    /// Its codecs as playlists name them; `None` when they are not known.
    pub codecs: Option<Box<str>>,
    /// Whether players can start with it; `None` when that is not known.
    pub starts_with_key_frame: Option<bool>,
}

/// What a session waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// There are segments, but no list that says in what order.
    List,
    /// There is an old recording, which is not taken unless asked for; a new one is awaited.
    NewRecording {
        /// The list of the old one.
        old: Box<str>,
    },
    /// There is nothing.
    Recording,
    /// The recorder's next segment.
    Segment,
}

/// What a session did, from its start to its end. What one before it had done, and this one found in the journal, does not
/// count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Segments taken from the recorder.
    pub segments: u64,
    /// Segments lost before they were stored.
    pub lost: u64,
    /// Bytes of segments stored.
    pub bytes: u64,
    /// Parts of segments shared before those were whole.
    pub parts: u64,
    /// Chunks stored.
    pub chunks: u64,
    /// Operations put on the chain.
    pub operations: u64,
}

/// Something that a person should know of.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A segment has no bytes. It is left out.
    #[error("{name} is empty")]
    Empty {
        /// The file.
        name: Box<str>,
    },
    /// The folder cannot be read.
    #[error("the recorder's folder cannot be read")]
    Folder {
        /// Why.
        source: WarningCause,
    },
    /// The recorder says that it lost a segment.
    #[error("the recorder lists {name} as missing")]
    Gap {
        /// The file.
        name: Box<str>,
    },
    /// What the recorder says of a segment's length is not what was measured.
    #[error(
        "{name} lasts {measured:?} by its time stamps and {listed:?} by its list; {taken} s taken"
    )]
    Length {
        /// The file.
        name: Box<str>,
        /// What the recorder says.
        listed: Duration,
        /// What was measured.
        measured: Duration,
        /// What is published.
        taken: SegmentDuration,
    },
    /// A list cannot be read. It is tried again.
    #[error("the list {list} cannot be read")]
    List {
        /// The list.
        list: Box<str>,
        /// Why.
        #[source]
        reason: ReadError,
    },
    /// The file of a segment was gone or overwritten before it could be stored.
    #[error("{name} was deleted or overwritten before it was stored")]
    Lost {
        /// The segment.
        number: SegmentNumber,
        /// Its file.
        name: Box<str>,
    },
    /// A segment is listed, but its file is gone, or holds another segment.
    #[error(
        "{name} is listed, but the file is gone or was overwritten; is the recorder told to delete segments?"
    )]
    Missing {
        /// The file.
        name: Box<str>,
    },
    /// Segments left the recorder's list before they were seen, and their files are gone.
    #[error("{count} segments from number {first} on were deleted before they were seen")]
    Missed {
        /// The first one, by the recorder's count.
        first: u64,
        /// How many.
        count: u64,
    },
    /// Nothing says how long a segment is, or it is too long or too short to be published. It is left out.
    #[error("{name} is not between 0 and 100 seconds long")]
    NoLength {
        /// The file.
        name: Box<str>,
    },
    /// A part of the segment that is being recorded cannot be shared. Viewers with a low delay wait until the segment is
    /// whole. Told once a segment.
    #[error("a part of a segment cannot be shared before the segment is whole")]
    Part {
        /// Why.
        source: WarningCause,
    },
    /// A file that is no longer needed cannot be deleted.
    #[error("{name} cannot be deleted")]
    Purge {
        /// The file.
        name: Box<str>,
        /// Why.
        source: WarningCause,
    },
    /// The recorder was started again. The next segment is behind a discontinuity.
    #[error("the recorder was started again and writes {list}")]
    Restarted {
        /// Its list.
        list: Box<str>,
    },
    /// A step failed. It is tried again.
    #[error("a step failed and is tried again: {step:?}")]
    Retrying {
        /// The step.
        step: Step,
        /// Why it failed.
        source: WarningCause,
    },
    /// A segment is larger than is taken. It is left out.
    #[error("{name} has {size} bytes, {limit} are the most that is taken")]
    TooLarge {
        /// The file.
        name: Box<str>,
        /// Its bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A segment cannot be measured. It is published by what the recorder says of it.
    #[error("{name} cannot be measured")]
    Unmeasured {
        /// The file.
        name: Box<str>,
        /// Why.
        #[source]
        reason: ProbeError,
    },
    /// What is on the chain could still be taken back by a fork, and it cannot be found out whether it was.
    #[error("it is not known whether what was published stays on the chain")]
    Unsettled {
        /// Why.
        source: WarningCause,
    },
}
