//! What a recorder has written so far, and what changed since the last look. No files here, only their text.
//!
//! OBS and ffmpeg rewrite one list over and over: appended to, or as a window that moves. A recorder that was started
//! again begins at number 0 and overwrites its old files, so the same name may mean other content.
//! Source: `spec/hls.md`, section 10.

use std::sync::Arc;

use alive_core::{SegmentDuration, SegmentDurationError};

use crate::{
    model::{ByteRange, Map, MediaPart, MediaPlaylist, MediaSegment},
    read::ReadError,
    time::{MediaDuration, ProgramDateTime},
};

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
    fn with_each<'p>(&'p self, parts: &'p [MediaPart<'_>]) -> impl Iterator<Item = Self> + 'p {
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

    /// The name of its file in the list's own folder, see [`RecordedSegment::file_name`].
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
mod tests {
    use rstest::rstest;

    use super::*;

    /// A list of segments `(name, seconds)` from a number on.
    fn list(first: u64, segments: &[(&str, &str)], tail: &str) -> Recording {
        let head = format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        let line = |(name, seconds): &(&str, &str)| format!("#EXTINF:{seconds},\n{name}\n");
        let body: String = segments.iter().map(line).collect();
        Recording::read((head + &body + tail).as_bytes()).unwrap()
    }

    fn numbers(progress: Progress<'_>) -> Vec<u64> {
        progress.new.iter().map(|segment| segment.number).collect()
    }

    const A: (&str, &str) = ("a.ts", "10");
    const B: (&str, &str) = ("b.ts", "10");
    const C: (&str, &str) = ("c.ts", "9.5");
    const D: (&str, &str) = ("d.ts", "10");

    #[test]
    fn a_list_that_grows_gives_what_was_added() {
        let (before, now) = (list(0, &[A], ""), list(0, &[A, B, C], "#EXT-X-ENDLIST\n"));
        assert_eq!(numbers(now.since(&before)), [1, 2]);
        assert!(now.ended() && now.since(&before).restarted.is_none());
        assert_eq!(numbers(now.since(&now)), [0_u64; 0]);
    }

    #[test]
    fn the_first_look_gives_everything() {
        let nothing = list(0, &[], "");
        assert_eq!(numbers(list(5, &[A, B], "").since(&nothing)), [5, 6]);
    }

    #[test]
    fn a_window_that_moves_gives_what_is_behind_the_last_seen() {
        let now = list(2, &[C, D], "");
        let progress = now.since(&list(1, &[B, C], ""));
        assert_eq!((numbers(progress), progress.missed, progress.restarted), (vec![3], 0, None));
    }

    #[test]
    fn a_window_that_moved_too_far_tells_how_many_were_missed() {
        let now = list(6, &[C, D], "");
        let progress = now.since(&list(1, &[A, B], ""));
        assert_eq!((numbers(progress), progress.missed, progress.restarted), (vec![6, 7], 3, None));
    }

    #[rstest]
    #[case(list(3, &[A, B], ""), list(0, &[A], ""), Restart::WentBack)]
    #[case(list(0, &[A, B], ""), list(0, &[A], ""), Restart::Shrank)]
    #[case(list(0, &[A, B], ""), list(0, &[], ""), Restart::Shrank)]
    #[case(list(0, &[A, B], ""), list(0, &[A, C], ""), Restart::Differs)]
    #[case(list(0, &[A, B], ""), list(0, &[A, ("b.ts", "10.5"), C], ""), Restart::Differs)]
    #[case(list(0, &[A, B], ""), list(1, &[D, C], ""), Restart::Differs)]
    fn another_run_shows(
        #[case] before: Recording,
        #[case] now: Recording,
        #[case] restart: Restart,
    ) {
        let progress = now.since(&before);
        assert_eq!(progress.restarted, Some(restart));
        assert_eq!(progress.new, now.segments());
    }

    #[test]
    fn a_date_tells_runs_apart_that_look_alike() {
        let dated = |ms: u32| {
            let date = format!("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:03:36.{ms:03}+0000\n");
            list(0, &[], &format!("{date}#EXTINF:10,\na.ts\n"))
        };
        assert_eq!(dated(584).since(&dated(583)).restarted, None);
        let later =
            list(0, &[], "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:05:00Z\n#EXTINF:10,\na.ts\n");
        assert_eq!(later.since(&dated(583)).restarted, Some(Restart::Differs));
    }

    #[test]
    fn a_run_that_appends_goes_on() {
        let before = list(0, &[A, B], "#EXT-X-ENDLIST\n");
        let now = list(0, &[A, B], "#EXT-X-DISCONTINUITY\n#EXTINF:10,\nc.ts\n");
        let progress = now.since(&before);
        assert_eq!((numbers(progress), progress.restarted), (vec![2], None));
        assert!(progress.new[0].discontinuity && !now.ended());
    }

    #[rstest]
    #[case("stream0.ts", Some("stream0.ts"))]
    #[case("2026-11-21 20:00:00 0.ts", Some("2026-11-21 20:00:00 0.ts"))]
    #[case("..ts", Some("..ts"))]
    #[case("..", None)]
    #[case("../x.ts", None)]
    #[case("sub/x.ts", None)]
    #[case("/etc/passwd", None)]
    #[case("C:x.ts", None)]
    #[case("..\\x.ts", None)]
    #[case("http://host/x.ts", None)]
    #[case("file:x.ts", None)]
    fn only_a_file_beside_the_list_has_a_name(#[case] uri: &str, #[case] name: Option<&str>) {
        assert_eq!(list(0, &[(uri, "1")], "").segments()[0].file_name(), name);
    }

    #[rstest]
    #[case("", None)]
    #[case("#EXT-X-GAP\n", Some(Unsupported::Gap))]
    #[case("#EXT-X-BYTERANGE:1@0\n", Some(Unsupported::ByteRange))]
    #[case("#EXT-X-MAP:URI=\"init.mp4\"\n", None)]
    #[case("#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"9@0\"\n", Some(Unsupported::Map))]
    #[case("#EXT-X-MAP:URI=\"../init.mp4\"\n", Some(Unsupported::Map))]
    #[case("#EXT-X-MAP:URI=\"http://h/init.mp4\"\n", Some(Unsupported::Map))]
    #[case("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n", Some(Unsupported::Encrypted))]
    fn what_cannot_be_published_says_why(#[case] tag: &str, #[case] why: Option<Unsupported>) {
        let list = list(0, &[], &format!("{tag}#EXTINF:1,\na.ts\n"));
        assert_eq!(list.segments()[0].unsupported(), why);
    }

    /// Segment 5 and what is listed behind it.
    fn with_parts(tail: &str) -> Recording {
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-PART-INF:PART-TARGET=1\n";
        let text = format!("{head}#EXT-X-MEDIA-SEQUENCE:5\n#EXTINF:10,\na.ts\n{tail}");
        Recording::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn parts_behind_the_last_segment_belong_to_the_next_one() {
        assert_eq!(with_parts("").parts(), []);
        let tail = "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i\"\n\
            #EXT-X-PART:DURATION=1,URI=\"p0\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"p1\"\n";
        let now = with_parts(tail);
        let told: Vec<_> =
            now.parts().iter().map(|p| (p.number, p.index, p.independent, p.file_name())).collect();
        assert_eq!(told, [(6, 0, true, Some("p0")), (6, 1, false, Some("p1"))]);
        for part in now.parts() {
            assert_eq!(part.map.as_ref().and_then(|map| map.file_name()), Some("i"));
            assert!(part.discontinuity && part.unsupported().is_none());
        }
        assert_eq!(now.parts()[1].segment_duration(), "0.5".parse());
        // The segment that they become has them, and nothing is behind it.
        let whole = with_parts(&format!("{tail}#EXTINF:1.5,\nb.ts\n"));
        assert_eq!((whole.parts(), &*whole.segments()[1].parts), (&[][..], now.parts()));
        assert_eq!(numbers(whole.since(&now)), [6]);
        // That old parts leave the list is no restart.
        let later = with_parts("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:1.5,\nb.ts\n");
        assert_eq!((numbers(later.since(&whole)), later.since(&whole).restarted), (vec![], None));
    }

    #[test]
    fn a_list_may_have_parts_before_it_has_a_segment() {
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-PART-INF:PART-TARGET=1\n";
        let text = format!("{head}#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-PART:DURATION=1,URI=\"p\"\n");
        let now = Recording::read(text.as_bytes()).unwrap();
        assert_eq!((now.segments().len(), now.parts()[0].number), (0, 3));
    }

    #[test]
    fn a_part_that_ends_in_the_middle_of_its_line_is_not_there_yet() {
        let line = "#EXT-X-PART:DURATION=1,URI=\"g.ts\",BYTERANGE=\"5@0\"\n";
        let second = "#EXT-X-PART:DURATION=1,URI=\"g.ts\",BYTERANGE=\"7\"\n";
        for cut in 0..second.len() {
            let now = with_parts(&format!("{line}{}", &second[..cut]));
            // Before its name is whole the cut line is a comment or no tag that is known.
            assert_eq!(now.parts().len(), 1, "{:?}", &second[..cut]);
            assert_eq!(now.may_be_cut(), cut > 0);
        }
        let now = with_parts(&format!("{line}{second}"));
        assert_eq!(now.parts()[1].byte_range, ByteRange::new(5, 7));
    }

    #[rstest]
    #[case("", "p", None)]
    #[case("", "../p", Some(Unsupported::Name))]
    #[case("", "http://h/p", Some(Unsupported::Name))]
    #[case("", "p\",GAP=YES,X=\"", Some(Unsupported::Gap))]
    #[case("", "p\",BYTERANGE=\"5@1", None)]
    #[case("#EXT-X-MAP:URI=\"../i\"\n", "p", Some(Unsupported::Map))]
    #[case("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n", "p", Some(Unsupported::Encrypted))]
    fn a_part_that_cannot_be_published_says_why(
        #[case] tag: &str,
        #[case] uri: &str,
        #[case] why: Option<Unsupported>,
    ) {
        let now = with_parts(&format!("{tag}#EXT-X-PART:DURATION=1,URI=\"{uri}\"\n"));
        assert_eq!(now.parts()[0].unsupported(), why);
    }

    #[test]
    fn a_text_without_its_last_line_end_may_be_cut() {
        assert!(!list(0, &[A], "").may_be_cut());
        assert!(list(0, &[A], "#EXTINF:10,").may_be_cut());
    }
}
