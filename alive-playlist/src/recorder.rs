//! What a recorder has written so far, and what changed since the last look. No files here, only their text.
//!
//! OBS and ffmpeg rewrite one list over and over: appended to, or as a window that moves. A recorder that was started
//! again begins at number 0 and overwrites its old files, so the same name may mean other content.
//! Source: `spec/hls.md`, section 10.

mod part;

use std::sync::Arc;

use alive_core::{SegmentDuration, SegmentDurationError};

use crate::{
    model::{ByteRange, Map, MediaPlaylist, MediaSegment},
    read::ReadError,
    time::{MediaDuration, ProgramDateTime},
};

pub use part::RecordedPart;

/// The list of a recorder at one moment.
///
/// ```
/// use alive_playlist::Recording;
/// let head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.000000,\nstream0.ts\n";
/// let before = Recording::read(head.as_bytes())?;
/// let now = Recording::read(format!("{head}#EXTINF:7.000000,\nstream1.ts\n#EXT-X-ENDLIST\n").as_bytes())?;
///
/// let progress = now.since(&before);
/// let new: Vec<_> = progress.new.iter().filter_map(|segment| segment.file_name()).collect();
/// assert_eq!(new, ["stream1.ts"]);
/// assert!(progress.restarted.is_none() && now.ended());
/// # Ok::<(), alive_playlist::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    media_sequence: u64,
    ended: bool,
    may_be_cut: bool,
    i_frames_only: bool,
    target_seconds: u64,
    segments: Vec<RecordedSegment>,
    parts: Vec<RecordedPart>,
}

impl Recording {
    /// Reads the text of a recorder's media playlist.
    ///
    /// # Errors
    /// It is no media playlist by the strict rules; see [`Problem`](crate::Problem). Of a text that was caught
    /// half-written, only what is whole is taken.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let may_be_cut = !bytes.ends_with(b"\n");
        let whole = if may_be_cut { without_cut_part(bytes) } else { bytes };
        Ok(Self { may_be_cut, ..Self::from_list(&MediaPlaylist::read(whole)?) })
    }

    /// Takes what concerns a recording from a list.
    pub fn from_list(list: &MediaPlaylist<'_>) -> Self {
        let mut map: Option<Arc<RecordedMap>> = None;
        // One copy for all segments that share it.
        let mut shared = |named: Option<&Map<'_>>| {
            let named = named.map(RecordedMap::new);
            if map.as_deref() != named.as_ref() {
                map = named.map(Arc::from);
            }
            map.clone()
        };
        let segments = list.numbered().map(|(number, segment)| {
            RecordedSegment::new(number, segment, shared(segment.map.as_deref()))
        });
        let mut recording = Self {
            segments: segments.collect(),
            parts: Vec::new(),
            // No recorder leaves segments out; what was left out is not in the folder's list.
            media_sequence: list
                .header()
                .media_sequence
                .saturating_add(list.header().skipped_segments),
            ended: list.header().ended,
            may_be_cut: false,
            i_frames_only: list.header().i_frames_only,
            target_seconds: list.header().target_duration,
        };
        if let Some(open) = list.open() {
            let whole = RecordedPart {
                number: recording.end(),
                map: shared(open.map.as_deref()),
                encrypted: !open.keys.is_empty(),
                discontinuity: open.discontinuity,
                ..RecordedPart::default()
            };
            recording.parts = whole.with_each(&open.parts).collect();
        }
        recording
    }

    /// The segments listed, oldest first. A segment is complete once it is listed.
    pub fn segments(&self) -> &[RecordedSegment] {
        &self.segments
    }

    /// The parts that are listed of the segment behind the last whole one, in their order; none if the recorder delivers
    /// no parts. A part is complete once it is listed. Those of whole segments are in [`RecordedSegment::parts`]: the last
    /// part of a segment is often listed together with it.
    ///
    /// ```
    /// use alive_playlist::Recording;
    /// let now = Recording::read(b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=1\n\
    ///     #EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4.0,\ns7.m4s\n\
    ///     #EXT-X-PART:DURATION=1.0,URI=\"s8.m4s\",BYTERANGE=\"100@0\",INDEPENDENT=YES\n\
    ///     #EXT-X-PART:DURATION=0.9,URI=\"s8.m4s\",BYTERANGE=\"80\"\n")?;
    /// let [first, second] = now.parts() else { panic!("two parts") };
    /// assert_eq!((first.number, first.index, first.independent), (8, 0, true));
    /// assert_eq!((second.number, second.index), (8, 1));
    /// assert_eq!(second.byte_range.map(|range| (range.offset(), range.length())), Some((100, 80)));
    /// # Ok::<(), alive_playlist::ReadError>(())
    /// ```
    pub fn parts(&self) -> &[RecordedPart] {
        &self.parts
    }

    /// Number of the first segment listed.
    pub fn media_sequence(&self) -> u64 {
        self.media_sequence
    }

    /// Whether the recorder has closed the list. With `append_list` a later run may open it again.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether the text had no final line end. ffmpeg always writes one, so a list that seems to have shrunk was more
    /// likely read while it was being written: read it again before acting on a restart.
    pub fn may_be_cut(&self) -> bool {
        self.may_be_cut
    }

    /// The target duration announced, in seconds.
    pub fn target_seconds(&self) -> u64 {
        self.target_seconds
    }

    /// Whether the list holds single key frames for trick play, which are no segments to publish.
    pub fn i_frames_only(&self) -> bool {
        self.i_frames_only
    }

    /// What this list says that `before` did not.
    pub fn since<'a>(&'a self, before: &Self) -> Progress<'a> {
        if let Some(restart) = self.restart_since(before) {
            return Progress { new: &self.segments, missed: 0, restarted: Some(restart) };
        }
        let seen = usize::try_from(before.end().saturating_sub(self.media_sequence));
        let new = seen.ok().and_then(|seen| self.segments.get(seen..)).unwrap_or_default();
        let missed = self.media_sequence.saturating_sub(before.end());
        Progress { new, missed, restarted: None }
    }

    /// The number that the segment after the last one listed would have.
    fn end(&self) -> u64 {
        self.media_sequence.saturating_add(u64::try_from(self.segments.len()).unwrap_or(u64::MAX))
    }

    fn restart_since(&self, before: &Self) -> Option<Restart> {
        if before.segments.is_empty() {
            return None;
        }
        if self.media_sequence < before.media_sequence {
            return Some(Restart::WentBack);
        }
        if self.end() < before.end() {
            return Some(Restart::Shrank);
        }
        let left = usize::try_from(self.media_sequence - before.media_sequence).ok()?;
        let kept = before.segments.get(left..)?;
        let same = kept.iter().zip(&self.segments).all(|(old, new)| old.is_same_as(new));
        (!same).then_some(Restart::Differs)
    }
}

/// What a recorder has done between two looks at its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The segments that are new, oldest first. After a restart that is the whole list.
    pub new: &'a [RecordedSegment],
    /// Segments that came and left the list between the looks. Their files may still be there, their lengths are lost.
    pub missed: u64,
    /// Why this is another run of the recorder and not the one seen before: the first new segment then follows a
    /// discontinuity, and known names may hold other content.
    pub restarted: Option<Restart>,
}

/// How a restart of the recorder showed.
///
/// A new run that has listed the same names with the same lengths again, and as many of them, does not show in the list
/// unless it carries dates; watch the files' times and sizes, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// A number that was listed before has another name, length, range or date now.
    Differs,
    /// The list ends before where it ended.
    Shrank,
    /// The list begins before where it began.
    WentBack,
}

/// A segment in a recorder's list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedSegment {
    /// Its number in the recorder's list.
    pub number: u64,
    /// Its name, as written.
    pub uri: Box<str>,
    /// What the recorder says of its length.
    pub duration: MediaDuration,
    /// Whether the recorder announces a break before it.
    pub discontinuity: bool,
    /// Whether the recorder says that it cannot be had.
    pub gap: bool,
    /// When it was captured.
    pub program_date_time: Option<ProgramDateTime>,
    /// Which part of the file it is (`single_file`), or `None` for the whole.
    pub byte_range: Option<ByteRange>,
    /// Its initialisation section, which fragments of MP4 need.
    pub map: Option<Arc<RecordedMap>>,
    /// Whether it is encrypted: nobody who watches the stream has the key.
    pub encrypted: bool,
    /// Its parts, as long as the recorder lists them.
    pub parts: Box<[RecordedPart]>,
}

impl RecordedSegment {
    fn new(number: u64, segment: &MediaSegment<'_>, map: Option<Arc<RecordedMap>>) -> Self {
        let whole = RecordedPart {
            number,
            map: map.clone(),
            encrypted: !segment.keys.is_empty(),
            discontinuity: segment.discontinuity,
            ..RecordedPart::default()
        };
        Self {
            number,
            uri: segment.uri.as_str().into(),
            duration: segment.duration,
            discontinuity: segment.discontinuity,
            gap: segment.gap,
            program_date_time: segment.program_date_time,
            byte_range: segment.byte_range,
            map,
            encrypted: !segment.keys.is_empty(),
            parts: whole.with_each(&segment.parts).collect(),
        }
    }

    /// The name of its file in the list's own folder.
    ///
    /// `None` when it is anything else: an address, a path with folders, a name that leads out of the folder. Names are
    /// not decoded, as recorders write them unescaped.
    pub fn file_name(&self) -> Option<&str> {
        file_name(&self.uri)
    }

    /// Its length as one of a stream's segments.
    ///
    /// # Errors
    /// It is zero, or 100 seconds and more: the protocol has no such segments.
    pub fn segment_duration(&self) -> Result<SegmentDuration, SegmentDurationError> {
        self.duration.try_into()
    }

    /// Why this segment cannot be published, if so; the first reason found. It must be a file of its own, and so must its
    /// initialisation section if it has one.
    pub fn unsupported(&self) -> Option<Unsupported> {
        match () {
            () if self.encrypted => Some(Unsupported::Encrypted),
            () if self.gap => Some(Unsupported::Gap),
            () if self.byte_range.is_some() => Some(Unsupported::ByteRange),
            () if self.map.as_ref().is_some_and(|map| map.file_name().is_none()) => {
                Some(Unsupported::Map)
            }
            () if self.file_name().is_none() => Some(Unsupported::Name),
            () => None,
        }
    }

    /// Whether both are what one run of a recorder would list under one number.
    ///
    /// The flag for a discontinuity is left out: a run that appends may drop it from what it found. Dates may differ by
    /// what rounding gives when a window moves on.
    fn is_same_as(&self, other: &Self) -> bool {
        const ROUNDING_MS: u64 = 1000;
        let dates = self.program_date_time.zip(other.program_date_time);
        let apart = dates.map_or(0, |(a, b)| a.as_unix_ms().abs_diff(b.as_unix_ms()));
        self.uri == other.uri
            && self.duration == other.duration
            && self.byte_range == other.byte_range
            && self.map == other.map
            && apart <= ROUNDING_MS
    }
}

/// The initialisation section of recorded segments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedMap {
    /// Its name, as written.
    pub uri: Box<str>,
    /// Which part of the file it is, or `None` for the whole.
    pub byte_range: Option<ByteRange>,
}

impl RecordedMap {
    fn new(map: &Map<'_>) -> Self {
        Self { uri: map.uri.as_str().into(), byte_range: map.byte_range }
    }

    /// The name of its file in the list's own folder; `None` when it is anything else than a whole file there, see
    /// [`RecordedSegment::file_name`].
    pub fn file_name(&self) -> Option<&str> {
        file_name(&self.uri).filter(|_| self.byte_range.is_none())
    }
}

/// A text without its last line if that is a part which ends in the middle: cut behind its URI it would read as a part
/// that is the whole file.
fn without_cut_part(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let (before, last) = bytes.split_at(start);
    let is_part = last == b"#EXT-X-PART" || last.starts_with(b"#EXT-X-PART:");
    if is_part { before } else { bytes }
}

/// A name of a file beside the list, and nothing else.
fn file_name(name: &str) -> Option<&str> {
    let is_plain = !name.contains(['/', '\\']) && !matches!(name, "" | "." | "..");
    // `C:name` is a path on Windows, `x:name` an address; ffmpeg writes neither for a file of its own.
    let has_scheme = name.split_once(':').is_some_and(|(scheme, _)| {
        let mut chars = scheme.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    (is_plain && !has_scheme).then_some(name)
}

/// What keeps a recorded segment from being published as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// It is a part of a larger file.
    #[error("the segment is a part of a larger file; turn off the recorder's single_file")]
    ByteRange,
    /// It is encrypted.
    #[error("the segment is encrypted; turn off encryption in the recorder")]
    Encrypted,
    /// The recorder lost it.
    #[error("the recorder lists the segment as missing")]
    Gap,
    /// It needs an initialisation section that is no file beside its list.
    #[error("the initialisation section is not a file of its own in the folder of the list")]
    Map,
    /// It is no file beside the list.
    #[error("the segment is not a file in the folder of its list")]
    Name,
}

#[cfg(test)]
mod tests;
