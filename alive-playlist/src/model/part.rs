//! Parts of segments, which players with little patience fetch before the segment is whole: [`MediaPart`],
//! [`OpenSegment`].

use std::sync::Arc;

use super::{
    key::KeySet,
    media::{ByteRange, Map},
};
use crate::{
    line_text::Quoted,
    time::{MediaDuration, ProgramDateTime},
};

/// A part of a segment: `EXT-X-PART`. What is in force for its segment is in force for it.
/// Source: `spec/hls.md`, section 7.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaPart<'a> {
    /// Where it is, as written.
    pub uri: Quoted<'a>,
    /// How long it plays.
    pub duration: MediaDuration,
    /// Whether it starts with a key frame.
    pub independent: bool,
    /// Whether it is known but cannot be had.
    pub gap: bool,
    /// Which part of the resource it is; the offset is resolved.
    pub byte_range: Option<ByteRange>,
}

impl<'a> MediaPart<'a> {
    /// A part that is nothing but a resource and a duration.
    pub fn new(uri: Quoted<'a>, duration: MediaDuration) -> Self {
        Self { uri, duration, independent: false, gap: false, byte_range: None }
    }

    /// The same part, holding its own text.
    #[must_use]
    pub fn into_owned(self) -> MediaPart<'static> {
        MediaPart {
            uri: self.uri.into_owned(),
            duration: self.duration,
            independent: self.independent,
            gap: self.gap,
            byte_range: self.byte_range,
        }
    }
}

/// The segment behind the last one of a list: of it there are only parts so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSegment<'a> {
    /// Its parts so far, at least one.
    pub parts: Vec<MediaPart<'a>>,
    /// Whether something breaks before it.
    pub discontinuity: bool,
    /// When it was captured, if a tag says so.
    pub program_date_time: Option<ProgramDateTime>,
    /// The initialisation section in force.
    pub map: Option<Arc<Map<'a>>>,
    /// The keys in force.
    pub keys: KeySet<'a>,
}

impl<'a> OpenSegment<'a> {
    /// A segment of which there are these parts, and of which nothing else is known.
    pub fn new(parts: Vec<MediaPart<'a>>) -> Self {
        Self {
            parts,
            discontinuity: false,
            program_date_time: None,
            map: None,
            keys: KeySet::default(),
        }
    }
}
