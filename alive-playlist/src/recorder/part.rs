//! A part of a segment in a recorder's list: [`RecordedPart`].

use std::sync::Arc;

use alive_core::{SegmentDuration, SegmentDurationError};

use super::{RecordedMap, Unsupported, file_name};
use crate::{
    model::{ByteRange, MediaPart},
    time::MediaDuration,
};

/// A part of a segment in a recorder's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what a list says of a part are four answers")]
#[non_exhaustive]
pub struct RecordedPart {
    /// The number in the recorder's list of the segment that it is a part of, listed or not.
    pub number: u64,
    /// Its place among the parts of that segment, from 0.
    pub index: usize,
    /// Its name, as written.
    pub uri: Box<str>,
    /// What the recorder says of its length.
    pub duration: MediaDuration,
    /// Whether it starts with a key frame.
    pub independent: bool,
    /// Whether the recorder announces a break before its segment.
    pub discontinuity: bool,
    /// Whether the recorder says that it cannot be had.
    pub gap: bool,
    /// Which part of the file it is, or `None` for the whole. The file may be that of the segment, still growing.
    pub byte_range: Option<ByteRange>,
    /// Its initialisation section, which fragments of MP4 need.
    pub map: Option<Arc<RecordedMap>>,
    /// Whether it is encrypted: nobody who watches the stream has the key.
    pub encrypted: bool,
}

impl RecordedPart {
    /// The parts of one segment, of which this one says what they have in common.
    pub(super) fn with_each<'p>(
        &'p self,
        parts: &'p [MediaPart<'_>],
    ) -> impl Iterator<Item = Self> + 'p {
        parts.iter().enumerate().map(|(index, part)| Self {
            index,
            uri: part.uri.as_str().into(),
            duration: part.duration,
            independent: part.independent,
            gap: part.gap,
            byte_range: part.byte_range,
            ..self.clone()
        })
    }

    /// The name of its file in the list's own folder, see [`RecordedSegment::file_name`](super::RecordedSegment::file_name).
    pub fn file_name(&self) -> Option<&str> {
        file_name(&self.uri)
    }

    /// Its length as the protocol has it.
    ///
    /// # Errors
    /// It is zero, or 100 seconds and more.
    pub fn segment_duration(&self) -> Result<SegmentDuration, SegmentDurationError> {
        self.duration.try_into()
    }

    /// Why this part cannot be published, if so; the first reason found. It may be a range of a file.
    pub fn unsupported(&self) -> Option<Unsupported> {
        match () {
            () if self.encrypted => Some(Unsupported::Encrypted),
            () if self.gap => Some(Unsupported::Gap),
            () if self.map.as_ref().is_some_and(|map| map.file_name().is_none()) => {
                Some(Unsupported::Map)
            }
            () if self.file_name().is_none() => Some(Unsupported::Name),
            () => None,
        }
    }
}
