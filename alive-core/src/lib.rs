#![doc = include_str!("../README.md")]

mod account;
pub mod backend;
#[cfg(feature = "cache")]
mod cached_keys;
mod chunk;
#[cfg(feature = "testing")]
pub mod conformance;
mod content;
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
mod index;
pub mod memory;
mod merged;
mod merged_timeline;
mod number;
mod op;
pub mod publish;
mod quality;
mod sections;
mod segment;
mod stream;
mod stream_id;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod time;
pub mod timeline;
mod twins;

pub use account::{AccountName, AccountNameError, Network, NetworkError};
#[cfg(feature = "cache")]
pub use cached_keys::{CachedAccountKeys, KeyCacheConfig};
pub use chunk::{Chunk, ChunkError, ChunkWriter};
pub use content::{CODEC_DAG_PB, CODEC_RAW, ContentId, ContentIdError, HASH_SHA2_256, StorageKind};
pub use gateway::{GatewayUrl, GatewayUrlError};
pub use index::{Applied, BlockChanges, Change, Index, OutOfOrder, PushChange, StreamKey};
pub use merged::MergedList;
pub use merged_timeline::MergedTimeline;
pub use op::{
    Configure, DEFAULT_CUSTOM_JSON_ID, End, Field, LiveKey, LiveKeyError, LiveLayer, Op, OpError,
    Push, Seq, SeqError, SignedOp,
};
pub use publish::{
    Bundle, ChainView, Effect, JournalEntry, JournalError, PublishError, Publisher,
    PublisherConfig, Recorded, SegmentNumber, Stage, Step,
};
pub use quality::{Quality, QualityError, Renditions};
pub use sections::Sections;
pub use segment::{Flags, FlagsError, Segment, SegmentDuration, SegmentDurationError};
pub use stream::{Pushed, Refusal, Settings, Stream, StreamInfo};
pub use stream_id::{Link, LinkError, StreamId, StreamIdError};
pub use text::Excerpt;
pub use time::{Timestamp, TimestampError};
pub use timeline::{ChunkContent, Listed, Timeline};
pub use twins::{Twins, TwinsError};

/// The example of the workspace's README must compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WorkspaceReadme;
