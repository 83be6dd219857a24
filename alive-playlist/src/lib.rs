#![doc = include_str!("../README.md")]

mod assemble;
#[cfg(feature = "testing")]
pub mod conformance;
mod decimal;
#[doc(hidden)]
pub mod fuzzing;
mod halive;
mod line_text;
mod live;
#[cfg(feature = "m3u8-rs")]
mod m3u8;
mod model;
mod outline;
mod parts;
mod portion;
pub mod probe;
mod read;
mod recorder;
mod reload;
mod rendition;
mod time;
mod write;

pub use assemble::{Extension, ListEntry, ListSettings, assemble, assemble_portion};
pub use halive::{HaliveItem, HaliveTail, halive_playlist};
pub use line_text::{FrameRate, LineTextError, Quoted, Title, Uri, Word};
pub use live::{EndedPlaylist, LivePlaylist, Pieces};
#[cfg(feature = "m3u8-rs")]
pub use m3u8::{ConversionError, ConversionProblem};
pub use model::{
    ByteRange, Key, KeyError, KeySet, KeySetError, Map, MediaHeader, MediaPart, MediaPlaylist,
    MediaSegment, ModelError, MultivariantPlaylist, OpenSegment, Playlist, PlaylistType,
    Resolution, ServerControl, Variant,
};
pub use parts::{ListPart, RenditionReport};
pub use portion::{Portion, Window, WindowError};
pub use read::{AttributeProblem, MAX_LINE_BYTES, MAX_LIST_BYTES, Problem, ReadError};
pub use recorder::{
    Progress, RecordedMap, RecordedPart, RecordedSegment, Recording, Restart, Unsupported,
};
pub use reload::{ListEnd, Readiness, ReloadError, ReloadRequest};
pub use rendition::{RenditionMeter, multivariant};
pub use time::{MediaDuration, MediaDurationError, ProgramDateTime};
