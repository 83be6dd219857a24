//! The media playlist: [`MediaPlaylist`], its header and its segments.

use std::{fmt, sync::Arc};

use super::{
    control::ServerControl,
    key::KeySet,
    part::{MediaPart, OpenSegment},
};
use crate::{
    line_text::{Quoted, Title, Uri},
    time::{MediaDuration, ProgramDateTime},
};

/// Whether a list may still change: `EXT-X-PLAYLIST-TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlaylistType {
    /// Segments are only appended.
    Event,
    /// Nothing changes.
    Vod,
}

impl PlaylistType {
    /// The tag's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "EVENT",
            Self::Vod => "VOD",
        }
    }
}

/// What a media list says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaHeader {
    /// `EXT-X-VERSION`; absent means 1.
    pub version: Option<u64>,
    /// `EXT-X-TARGETDURATION`, in seconds.
    pub target_duration: u64,
    /// Number of the first segment.
    pub media_sequence: u64,
    /// Discontinuities that have left the list.
    pub discontinuity_sequence: u64,
    /// `None` for a list that may lose segments at the front.
    pub playlist_type: Option<PlaylistType>,
    /// Whether nothing will be added: `EXT-X-ENDLIST`.
    pub ended: bool,
    /// Whether every segment starts with a key frame.
    pub independent_segments: bool,
    /// Whether the list holds single key frames for trick play instead of segments.
    pub i_frames_only: bool,
    /// What the server offers to who reloads the list.
    pub server_control: ServerControl,
    /// How long a part plays at most: `EXT-X-PART-INF`. A list with parts has it.
    pub part_target: Option<MediaDuration>,
    /// How many segments at the front are left out because the reader has them: `EXT-X-SKIP`. They count for the numbers
    /// of those behind them.
    pub skipped_segments: u64,
}

impl MediaHeader {
    /// A header with nothing but a target duration, in seconds.
    pub fn new(target_duration: u64) -> Self {
        Self {
            version: None,
            target_duration,
            media_sequence: 0,
            discontinuity_sequence: 0,
            playlist_type: None,
            ended: false,
            independent_segments: false,
            i_frames_only: false,
            server_control: ServerControl::default(),
            part_target: None,
            skipped_segments: 0,
        }
    }
}

/// A list of segments.
///
/// ```
/// use alive_playlist::{MediaHeader, MediaPlaylist, MediaSegment, Uri};
/// let mut list = MediaPlaylist::new(MediaHeader { version: Some(3), ..MediaHeader::new(10) });
/// list.push(MediaSegment::new(Uri::new("stream0.ts")?, "9.967".parse()?))?;
/// let text = list.to_string();
/// assert!(text.ends_with("#EXTINF:9.967000,\nstream0.ts\n"));
/// assert_eq!(MediaPlaylist::read(text.as_bytes())?, list);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlaylist<'a> {
    header: MediaHeader,
    segments: Vec<MediaSegment<'a>>,
    open: Option<OpenSegment<'a>>,
}

impl<'a> MediaPlaylist<'a> {
    /// Most segments in one list. Source: `spec/hls.md`, section 12, R14.
    pub const MAX_SEGMENTS: usize = 200_000;

    /// Most parts of segments in one list: thrice what a day of segments with ten parts each would need, if a list kept
    /// the parts of old segments.
    pub const MAX_PARTS: usize = 262_144;

    /// A list without segments.
    pub fn new(header: MediaHeader) -> Self {
        Self { header, segments: Vec::new(), open: None }
    }

    /// Takes what the reader has checked as it went.
    pub(crate) fn as_read(
        header: MediaHeader,
        segments: Vec<MediaSegment<'a>>,
        open: Option<OpenSegment<'a>>,
    ) -> Self {
        Self { header, segments, open }
    }

    /// What the list says of itself.
    pub fn header(&self) -> &MediaHeader {
        &self.header
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> &[MediaSegment<'a>] {
        &self.segments
    }

    /// The segment behind the last one, if there are parts of it already.
    pub fn open(&self) -> Option<&OpenSegment<'a>> {
        self.open.as_ref()
    }

    /// The segments with their sequence numbers.
    pub fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &MediaSegment<'a>)> {
        let first = self.header.media_sequence.saturating_add(self.header.skipped_segments);
        self.segments.iter().enumerate().map(move |(at, segment)| {
            // `push` and the reader refuse a list whose last number does not fit.
            (first.saturating_add(u64::try_from(at).unwrap_or(u64::MAX)), segment)
        })
    }

    /// Appends a segment.
    ///
    /// # Errors
    /// The list is full, its numbers are used up, or the segment has no initialisation section while the one before it
    /// has: no tag can say that.
    ///
    /// Parts that stood behind the last segment are those of this one, or of none: they are forgotten.
    pub fn push(&mut self, segment: MediaSegment<'a>) -> Result<(), ModelError> {
        if self.segments.len() >= Self::MAX_SEGMENTS {
            return Err(ModelError::Full);
        }
        if self.next_number().is_none() {
            return Err(ModelError::Sequence);
        }
        self.check_map(segment.map.is_some())?;
        self.segments.push(segment);
        self.open = None;
        Ok(())
    }

    /// Says which parts there are of the segment behind the last one; without any there is no such segment.
    ///
    /// # Errors
    /// As [`push`](Self::push), but that a full list may have one.
    pub fn set_open(&mut self, open: OpenSegment<'a>) -> Result<(), ModelError> {
        if self.next_number().is_none() {
            return Err(ModelError::Sequence);
        }
        self.check_map(open.map.is_some())?;
        self.open = Some(open).filter(|open| !open.parts.is_empty());
        Ok(())
    }

    fn check_map(&self, has_map: bool) -> Result<(), ModelError> {
        let before = self.segments.last().is_some_and(|before| before.map.is_some());
        if before && !has_map { Err(ModelError::Map) } else { Ok(()) }
    }

    /// The number of the segment behind the last one.
    fn next_number(&self) -> Option<u64> {
        let count = u64::try_from(self.segments.len()).unwrap_or(u64::MAX);
        let number = self.header.media_sequence.checked_add(self.header.skipped_segments);
        number.and_then(|number| number.checked_add(count))
    }

    /// Says that nothing will be added.
    pub fn end(&mut self) {
        self.header.ended = true;
    }

    /// The lowest version that the text of this list needs. Source: `spec/hls.md`, section 4.
    ///
    /// Never below 3: durations are written with a fraction.
    pub fn lowest_version(&self) -> u64 {
        if self.header.skipped_segments != 0 {
            return 9;
        }
        let list = match (self.header.i_frames_only, self.header.independent_segments) {
            (_, true) => 6,
            (true, false) => 4,
            (false, false) => 3,
        };
        let open = self.open.as_ref().map(|open| if open.map.is_some() { 6 } else { 3 });
        self.segments.iter().map(MediaSegment::lowest_version).chain(open).fold(list, u64::max)
    }

    /// The same list, holding its own texts. Segments that shared a map or keys still do.
    #[must_use]
    pub fn into_owned(self) -> MediaPlaylist<'static> {
        let mut owner = Owner::default();
        let segments = self.segments.into_iter().map(|segment| owner.own(segment)).collect();
        let open = self.open.map(|open| owner.own_open(open));
        MediaPlaylist { header: self.header, segments, open }
    }
}

impl fmt::Display for MediaPlaylist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_bytes()).map_err(|_| fmt::Error)?)
    }
}

/// Why a segment does not fit behind the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The list has as many segments as one may have.
    #[error("a list holds at most {max} segments", max = MediaPlaylist::MAX_SEGMENTS)]
    Full,
    /// An initialisation section stays in force till the next one.
    #[error("a segment without an initialisation section cannot follow one that has it")]
    Map,
    /// Its number would pass 2^64-1.
    #[error("the segment's sequence number would pass 2^64-1")]
    Sequence,
}

/// One segment of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaSegment<'a> {
    /// Where it is, as written.
    pub uri: Uri<'a>,
    /// How long it plays.
    pub duration: MediaDuration,
    /// Its title.
    pub title: Option<Title<'a>>,
    /// Whether something breaks before it.
    pub discontinuity: bool,
    /// Whether it is known but cannot be had.
    pub gap: bool,
    /// When it was captured, if a tag says so at this very segment.
    pub program_date_time: Option<ProgramDateTime>,
    /// Which part of the resource it is; the offset is resolved.
    pub byte_range: Option<ByteRange>,
    /// The initialisation section in force.
    pub map: Option<Arc<Map<'a>>>,
    /// The keys in force.
    pub keys: KeySet<'a>,
    /// Its parts, if they are listed (still).
    pub parts: Vec<MediaPart<'a>>,
}

impl<'a> MediaSegment<'a> {
    /// A segment that is nothing but a resource and a duration.
    pub fn new(uri: Uri<'a>, duration: MediaDuration) -> Self {
        Self {
            uri,
            duration,
            title: None,
            discontinuity: false,
            gap: false,
            program_date_time: None,
            byte_range: None,
            map: None,
            keys: KeySet::default(),
            parts: Vec::new(),
        }
    }

    fn lowest_version(&self) -> u64 {
        let key_formats = self.keys.iter().any(|k| k.format().or(k.format_versions()).is_some());
        match () {
            () if self.gap => 8,
            () if self.map.is_some() => 6,
            () if key_formats => 5,
            () if self.byte_range.is_some() => 4,
            () => 3,
        }
    }
}

/// A part of a resource; its end fits in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    offset: u64,
    length: u64,
}

impl ByteRange {
    /// `length` bytes from `offset` on; `None` when the end would pass 2^64-1.
    pub fn new(offset: u64, length: u64) -> Option<Self> {
        offset.checked_add(length).map(|_| Self { offset, length })
    }

    /// Where it starts.
    pub fn offset(self) -> u64 {
        self.offset
    }

    /// How many bytes it has.
    pub fn length(self) -> u64 {
        self.length
    }

    /// The first byte behind it.
    pub fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// An initialisation section: `EXT-X-MAP`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Map<'a> {
    /// Where it is, as written.
    pub uri: Quoted<'a>,
    /// Which part of the resource it is.
    pub byte_range: Option<ByteRange>,
}

impl<'a> Map<'a> {
    /// A whole resource.
    pub fn new(uri: Quoted<'a>) -> Self {
        Self { uri, byte_range: None }
    }

    /// Only this part of it.
    #[must_use]
    pub fn with_byte_range(self, byte_range: Option<ByteRange>) -> Self {
        Self { byte_range, ..self }
    }
}

/// Turns borrowed segments into owned ones, each shared part once.
#[derive(Default)]
struct Owner<'a> {
    map: Option<(Arc<Map<'a>>, Arc<Map<'static>>)>,
    keys: (KeySet<'a>, KeySet<'static>),
}

impl<'a> Owner<'a> {
    fn own(&mut self, segment: MediaSegment<'a>) -> MediaSegment<'static> {
        MediaSegment {
            uri: segment.uri.into_owned(),
            duration: segment.duration,
            title: segment.title.map(Title::into_owned),
            discontinuity: segment.discontinuity,
            gap: segment.gap,
            program_date_time: segment.program_date_time,
            byte_range: segment.byte_range,
            map: segment.map.map(|map| self.own_map(map)),
            keys: self.own_keys(segment.keys),
            parts: segment.parts.into_iter().map(MediaPart::into_owned).collect(),
        }
    }

    fn own_open(&mut self, open: OpenSegment<'a>) -> OpenSegment<'static> {
        OpenSegment {
            parts: open.parts.into_iter().map(MediaPart::into_owned).collect(),
            discontinuity: open.discontinuity,
            program_date_time: open.program_date_time,
            map: open.map.map(|map| self.own_map(map)),
            keys: self.own_keys(open.keys),
        }
    }

    fn own_map(&mut self, map: Arc<Map<'a>>) -> Arc<Map<'static>> {
        if let Some((borrowed, owned)) = &self.map
            && Arc::ptr_eq(borrowed, &map)
        {
            return Arc::clone(owned);
        }
        let uri = map.uri.clone().into_owned();
        let owned = Arc::new(Map { uri, byte_range: map.byte_range });
        self.map = Some((map, Arc::clone(&owned)));
        owned
    }

    fn own_keys(&mut self, keys: KeySet<'a>) -> KeySet<'static> {
        if !self.keys.0.is_same(&keys) {
            self.keys = (keys.clone(), keys.into_owned());
        }
        self.keys.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> MediaSegment<'static> {
        MediaSegment::new(Uri::new("a.ts").unwrap(), MediaDuration::default())
    }

    #[test]
    fn numbers_do_not_pass_the_last_one() {
        let mut list =
            MediaPlaylist::new(MediaHeader { media_sequence: u64::MAX, ..MediaHeader::new(1) });
        assert_eq!(list.push(segment()), Ok(()));
        assert_eq!(list.push(segment()), Err(ModelError::Sequence));
        assert_eq!(list.numbered().next_back().map(|(number, _)| number), Some(u64::MAX));
    }

    #[test]
    fn a_list_has_a_limit() {
        let mut list = MediaPlaylist::new(MediaHeader::new(1));
        for _ in 0..MediaPlaylist::MAX_SEGMENTS {
            list.push(segment()).unwrap();
        }
        assert_eq!(list.push(segment()), Err(ModelError::Full));
    }

    #[test]
    fn a_map_cannot_be_taken_back() {
        let mut list = MediaPlaylist::new(MediaHeader::new(1));
        let map = Arc::new(Map::new(Quoted::new("init.mp4").unwrap()));
        list.push(MediaSegment { map: Some(map), ..segment() }).unwrap();
        assert_eq!(list.push(segment()), Err(ModelError::Map));
    }

    #[test]
    fn an_open_segment_is_one_that_could_follow() {
        let part = || MediaPart::new(Quoted::new("p").unwrap(), MediaDuration::default());
        let open = || OpenSegment::new(vec![part()]);
        let mut list =
            MediaPlaylist::new(MediaHeader { media_sequence: u64::MAX, ..MediaHeader::new(1) });
        list.set_open(OpenSegment::new(Vec::new())).unwrap();
        assert_eq!(list.open(), None);
        list.set_open(open()).unwrap();
        assert_eq!(list.open(), Some(&open()));
        list.push(segment()).unwrap();
        assert_eq!(list.open(), None);
        assert_eq!(list.set_open(open()), Err(ModelError::Sequence));
        let mut list = MediaPlaylist::new(MediaHeader::new(1));
        let map = Arc::new(Map::new(Quoted::new("init.mp4").unwrap()));
        list.push(MediaSegment { map: Some(Arc::clone(&map)), ..segment() }).unwrap();
        assert_eq!(list.set_open(open()), Err(ModelError::Map));
        list.set_open(OpenSegment { map: Some(map), ..open() }).unwrap();
    }

    #[test]
    fn the_version_follows_from_what_is_listed() {
        let mut list = MediaPlaylist::new(MediaHeader::new(1));
        assert_eq!(list.lowest_version(), 3);
        let byte_range = ByteRange::new(0, 5);
        list.push(MediaSegment { byte_range, ..segment() }).unwrap();
        assert_eq!(list.lowest_version(), 4);
        let map = Arc::new(Map::new(Quoted::new("init.mp4").unwrap()));
        list.push(MediaSegment { map: Some(Arc::clone(&map)), ..segment() }).unwrap();
        assert_eq!(list.lowest_version(), 6);
        list.push(MediaSegment { map: Some(map), gap: true, ..segment() }).unwrap();
        assert_eq!(list.lowest_version(), 8);
    }

    #[test]
    fn owned_segments_share_what_borrowed_ones_shared() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:1,\na\n#EXTINF:1,\nb\n";
        let list = MediaPlaylist::read(text.as_bytes()).unwrap();
        let owned = list.clone().into_owned();
        assert_eq!(owned, list);
        let maps: Vec<_> = owned.segments().iter().filter_map(|s| s.map.as_ref()).collect();
        assert!(Arc::ptr_eq(maps[0], maps[1]));
    }
}
