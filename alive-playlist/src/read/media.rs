//! The tags of a media list and the segments that they describe.

use std::sync::Arc;

use alive_core::Excerpt;

use super::{
    attributes::{Attributes, form},
    error::{AttributeProblem, Problem},
    integer, set_once,
};
use crate::{
    line_text::{Quoted, Title, Uri, Word},
    model::{
        ByteRange, Key, KeySet, Map, MediaHeader, MediaPart, MediaPlaylist, MediaSegment,
        OpenSegment, PlaylistType, ServerControl,
    },
    time::{MediaDuration, MediaDurationError, ProgramDateTime},
};

const BYTERANGE: &str = "EXT-X-BYTERANGE";
const DISCONTINUITY: &str = "EXT-X-DISCONTINUITY";
const DISCONTINUITY_SEQUENCE: &str = "EXT-X-DISCONTINUITY-SEQUENCE";
const KEY: &str = "EXT-X-KEY";
const MAP: &str = "EXT-X-MAP";
const MEDIA_SEQUENCE: &str = "EXT-X-MEDIA-SEQUENCE";
const PART: &str = "EXT-X-PART";
const PART_INF: &str = "EXT-X-PART-INF";
const PLAYLIST_TYPE: &str = "EXT-X-PLAYLIST-TYPE";
const SKIP: &str = "EXT-X-SKIP";
const TARGET_DURATION: &str = "EXT-X-TARGETDURATION";

/// Whether a tag makes the list a media list, `#EXTINF` aside. Source: `spec/hls.md`, sections 3 and 12.
pub(super) fn is_tag(name: &str) -> bool {
    matches!(
        name.strip_prefix("#EXT-X-").unwrap_or(name),
        "BITRATE"
            | "BYTERANGE"
            | "DISCONTINUITY"
            | "DISCONTINUITY-SEQUENCE"
            | "ENDLIST"
            | "GAP"
            | "I-FRAMES-ONLY"
            | "KEY"
            | "MAP"
            | "MEDIA-SEQUENCE"
            | "PART"
            | "PART-INF"
            | "PLAYLIST-TYPE"
            | "PRELOAD-HINT"
            | "PROGRAM-DATE-TIME"
            | "RENDITION-REPORT"
            | "SERVER-CONTROL"
            | "SKIP"
            | "TARGETDURATION"
            | "#EXTINF"
    )
}

/// Collects a media list.
pub(super) struct MediaReader<'a> {
    /// What is known of it; the numbers are filled in at the end.
    header: MediaHeader,
    target_duration: Option<u64>,
    media_sequence: Option<u64>,
    discontinuity_sequence: Option<u64>,
    saw_playlist_type: bool,
    saw_discontinuity: bool,
    saw_skip: bool,
    /// Of all segments.
    part_count: usize,
    map: Option<Arc<Map<'a>>>,
    keys: KeySet<'a>,
    next: Next<'a>,
    segments: Vec<MediaSegment<'a>>,
}

/// What the tags since the last URI line say of the next.
#[derive(Default)]
struct Next<'a> {
    duration: Option<MediaDuration>,
    title: Option<Title<'a>>,
    discontinuity: bool,
    gap: bool,
    program_date_time: Option<ProgramDateTime>,
    byte_range: Option<RangeText>,
    parts: Vec<MediaPart<'a>>,
}

/// A byte range as written: the offset may depend on the segment before.
#[derive(Clone, Copy)]
struct RangeText {
    length: u64,
    offset: Option<u64>,
}

impl<'a> MediaReader<'a> {
    /// A reader with room for the segments that a text of this length most likely holds, never more than may be read.
    pub(super) fn with_room_for(text_len: usize) -> Self {
        const USUAL_BYTES_PER_SEGMENT: usize = 80;
        let count = (text_len / USUAL_BYTES_PER_SEGMENT).min(MediaPlaylist::MAX_SEGMENTS);
        Self {
            header: MediaHeader::new(0),
            target_duration: None,
            media_sequence: None,
            discontinuity_sequence: None,
            saw_playlist_type: false,
            saw_discontinuity: false,
            saw_skip: false,
            part_count: 0,
            map: None,
            keys: KeySet::default(),
            next: Next::default(),
            segments: Vec::with_capacity(count),
        }
    }

    pub(super) fn take_extinf(&mut self, value: &'a str) -> Result<(), Problem> {
        let (time, title) = value.split_once(',').unwrap_or((value, ""));
        self.next.duration = Some(duration(time)?);
        self.next.title = (!title.is_empty()).then(|| Title::as_read(title));
        Ok(())
    }

    /// Takes a tag that [`is_tag`] knows.
    pub(super) fn take_tag(&mut self, name: &str, value: &'a str) -> Result<(), Problem> {
        match name.strip_prefix("#EXT-X-").unwrap_or(name) {
            "BYTERANGE" => self.next.byte_range = Some(range_text(BYTERANGE, value)?),
            "DISCONTINUITY" => {
                self.expect_no_part(DISCONTINUITY)?;
                self.next.discontinuity = true;
                self.saw_discontinuity = true;
            }
            "DISCONTINUITY-SEQUENCE" => return self.take_discontinuity_sequence(value),
            "ENDLIST" => self.header.ended = true,
            "GAP" => self.next.gap = true,
            "I-FRAMES-ONLY" => self.header.i_frames_only = true,
            "KEY" => return self.take_key(value),
            "MAP" => {
                self.expect_no_part(MAP)?;
                self.map = Some(Arc::new(map(value)?));
            }
            "MEDIA-SEQUENCE" => return self.take_media_sequence(value),
            "PART" => return self.take_part(value),
            "PART-INF" => return self.take_part_inf(value),
            "PLAYLIST-TYPE" => return self.take_playlist_type(value),
            "PROGRAM-DATE-TIME" => self.next.program_date_time = ProgramDateTime::parse(value),
            "SERVER-CONTROL" => self.header.server_control = server_control(value),
            "SKIP" => return self.take_skip(value),
            "TARGETDURATION" => {
                return set_once(&mut self.target_duration, TARGET_DURATION, value);
            }
            // An EXTINF without a colon has no duration.
            "#EXTINF" => return self.take_extinf(value),
            _ => {}
        }
        Ok(())
    }

    fn take_media_sequence(&mut self, value: &str) -> Result<(), Problem> {
        if !self.segments.is_empty() {
            return Err(Problem::Late(MEDIA_SEQUENCE));
        }
        set_once(&mut self.media_sequence, MEDIA_SEQUENCE, value)
    }

    fn take_discontinuity_sequence(&mut self, value: &str) -> Result<(), Problem> {
        if self.saw_discontinuity || !self.segments.is_empty() {
            return Err(Problem::Late(DISCONTINUITY_SEQUENCE));
        }
        set_once(&mut self.discontinuity_sequence, DISCONTINUITY_SEQUENCE, value)
    }

    fn take_skip(&mut self, value: &str) -> Result<(), Problem> {
        if !self.segments.is_empty() {
            return Err(Problem::Late(SKIP));
        }
        if std::mem::replace(&mut self.saw_skip, true) {
            return Err(Problem::Twice(SKIP));
        }
        let broken = |problem| Problem::attribute(SKIP, problem);
        let attributes = Attributes::parse(value).map_err(broken)?;
        let count = attributes.plain("SKIPPED-SEGMENTS").map_err(broken)?;
        let count = count.ok_or_else(|| broken(AttributeProblem::Missing("SKIPPED-SEGMENTS")))?;
        self.header.skipped_segments = integer("SKIPPED-SEGMENTS", count)?;
        Ok(())
    }

    fn take_playlist_type(&mut self, value: &str) -> Result<(), Problem> {
        if std::mem::replace(&mut self.saw_playlist_type, true) {
            return Err(Problem::Twice(PLAYLIST_TYPE));
        }
        self.header.playlist_type = match value {
            "EVENT" => Some(PlaylistType::Event),
            "VOD" => Some(PlaylistType::Vod),
            _ => None,
        };
        Ok(())
    }

    fn take_part_inf(&mut self, value: &str) -> Result<(), Problem> {
        let broken = |problem| Problem::attribute(PART_INF, problem);
        let attributes = Attributes::parse(value).map_err(broken)?;
        let target = attributes.plain("PART-TARGET").map_err(broken)?;
        let target = target.ok_or_else(|| broken(AttributeProblem::Missing("PART-TARGET")))?;
        match self.header.part_target.replace(duration(target)?) {
            None => Ok(()),
            Some(_) => Err(Problem::Twice(PART_INF)),
        }
    }

    fn take_part(&mut self, value: &'a str) -> Result<(), Problem> {
        if self.part_count >= MediaPlaylist::MAX_PARTS {
            return Err(Problem::Parts);
        }
        let part = self.part(value)?;
        self.part_count += 1;
        self.next.parts.push(part);
        Ok(())
    }

    fn part(&self, value: &'a str) -> Result<MediaPart<'a>, Problem> {
        let broken = |problem| Problem::attribute(PART, problem);
        let attributes = Attributes::parse(value).map_err(broken)?;
        let uri = attributes.quoted("URI").map_err(broken)?;
        let uri = uri.ok_or_else(|| broken(AttributeProblem::Missing("URI")))?;
        let time = attributes.plain("DURATION").map_err(broken)?;
        let time = time.ok_or_else(|| broken(AttributeProblem::Missing("DURATION")))?;
        let says_yes = |name| Ok(attributes.plain(name).map_err(broken)? == Some("YES"));
        let byte_range = match attributes.quoted("BYTERANGE").map_err(broken)? {
            None => None,
            Some(range) => Some(self.resolve_part(range, uri)?),
        };
        let mut part = MediaPart::new(Quoted::as_read(uri), duration(time)?);
        part.independent = says_yes("INDEPENDENT")?;
        part.gap = says_yes("GAP")?;
        part.byte_range = byte_range;
        Ok(part)
    }

    /// Without an offset, a range continues that of the part directly before, if it is of the same resource.
    fn resolve_part(&self, range: &str, uri: &str) -> Result<ByteRange, Problem> {
        let RangeText { length, offset } = range_text("BYTERANGE of EXT-X-PART", range)?;
        let listed = || self.segments.last().and_then(|segment| segment.parts.last());
        let before = self.next.parts.last().or_else(listed);
        let before = before.filter(|before| before.uri.as_str() == uri);
        let offset = offset.or_else(|| Some(before?.byte_range?.end()));
        let offset = offset.ok_or(Problem::ByteRangeOffset)?;
        ByteRange::new(offset, length).ok_or(Problem::ByteRangeEnd)
    }

    /// What holds for a segment holds for its parts, and so must be known before them.
    fn expect_no_part(&self, tag: &'static str) -> Result<(), Problem> {
        if self.next.parts.is_empty() { Ok(()) } else { Err(Problem::BehindPart(tag)) }
    }

    fn take_key(&mut self, value: &'a str) -> Result<(), Problem> {
        self.expect_no_part(KEY)?;
        self.keys = match key(value).map_err(|problem| Problem::attribute(KEY, problem))? {
            None => KeySet::default(),
            Some(key) => self.keys.with(key).map_err(Problem::Keys)?,
        };
        Ok(())
    }

    /// A URI line closes the segment that the tags before it opened.
    pub(super) fn take_uri(&mut self, uri: &'a str) -> Result<(), Problem> {
        let next = std::mem::take(&mut self.next);
        let Some(duration) = next.duration else {
            return Err(Problem::UriWithoutExtinf(Excerpt::of(uri)));
        };
        if self.segments.len() >= MediaPlaylist::MAX_SEGMENTS {
            return Err(Problem::Segments);
        }
        let byte_range = match next.byte_range {
            None => None,
            Some(range) => Some(self.resolve(range, uri)?),
        };
        self.segments.push(MediaSegment {
            uri: Uri::as_read(uri),
            duration,
            title: next.title,
            discontinuity: next.discontinuity,
            gap: next.gap,
            program_date_time: next.program_date_time,
            byte_range,
            map: self.map.clone(),
            keys: self.keys.clone(),
            parts: next.parts,
        });
        Ok(())
    }

    /// R13: without an offset, a range continues that of the segment directly before, if it is of the same resource.
    fn resolve(&self, range: RangeText, uri: &str) -> Result<ByteRange, Problem> {
        let before = self.segments.last().filter(|segment| segment.uri.as_str() == uri);
        let offset = range.offset.or_else(|| Some(before?.byte_range?.end()));
        let offset = offset.ok_or(Problem::ByteRangeOffset)?;
        ByteRange::new(offset, range.length).ok_or(Problem::ByteRangeEnd)
    }

    /// Drops what a half-written end announced and checks what concerns the whole list.
    pub(super) fn finish(self) -> Result<WholeList<'a>, Problem> {
        if self.part_count > 0 && self.header.part_target.is_none() {
            return Err(Problem::PartsWithoutTarget);
        }
        let target_duration = self.target_duration.ok_or(Problem::NoTargetDuration)?;
        let media_sequence = self.media_sequence.unwrap_or(0);
        let is_open = !self.next.parts.is_empty();
        let count = self.segments.len() + usize::from(is_open);
        let after_first = u64::try_from(count.saturating_sub(1)).unwrap_or(u64::MAX);
        let number = media_sequence.checked_add(self.header.skipped_segments);
        if number.and_then(|number| number.checked_add(after_first)).is_none() {
            return Err(Problem::SequenceEnd);
        }
        let header = MediaHeader {
            target_duration,
            media_sequence,
            discontinuity_sequence: self.discontinuity_sequence.unwrap_or(0),
            ..self.header
        };
        let Next { parts, discontinuity, program_date_time, .. } = self.next;
        let (map, keys) = (self.map, self.keys);
        let open = OpenSegment { parts, discontinuity, program_date_time, map, keys };
        Ok((header, self.segments, is_open.then_some(open)))
    }
}

/// A list's header, its segments, and the one behind them.
type WholeList<'a> = (MediaHeader, Vec<MediaSegment<'a>>, Option<OpenSegment<'a>>);

/// R6: seconds as plain decimal text.
fn duration(text: &str) -> Result<MediaDuration, Problem> {
    text.parse().map_err(|error| match error {
        MediaDurationError::Range => Problem::DurationRange(Excerpt::of(text)),
        MediaDurationError::Form => Problem::Duration(Excerpt::of(text)),
    })
}

/// `length[@offset]`.
fn range_text(what: &'static str, value: &str) -> Result<RangeText, Problem> {
    let (length, offset) = match value.split_once('@') {
        None => (value, None),
        Some((length, offset)) => (length, Some(integer(what, offset)?)),
    };
    Ok(RangeText { length: integer(what, length)?, offset })
}

/// What cannot be read is not offered: nobody needs it to play.
fn server_control(value: &str) -> ServerControl {
    let Ok(attributes) = Attributes::parse(value) else { return ServerControl::default() };
    let plain = |name| attributes.plain(name).ok().flatten();
    let time = |name| plain(name).and_then(|text| text.parse().ok());
    ServerControl {
        can_block_reload: plain("CAN-BLOCK-RELOAD") == Some("YES"),
        can_skip_until: time("CAN-SKIP-UNTIL"),
        hold_back: time("HOLD-BACK"),
        part_hold_back: time("PART-HOLD-BACK"),
    }
}

fn map(value: &str) -> Result<Map<'_>, Problem> {
    let broken = |problem| Problem::attribute(MAP, problem);
    let attributes = Attributes::parse(value).map_err(broken)?;
    let uri = attributes.quoted("URI").map_err(broken)?;
    let uri = uri.ok_or_else(|| broken(AttributeProblem::Missing("URI")))?;
    let byte_range = match attributes.find("BYTERANGE") {
        None => None,
        Some(range) => {
            let RangeText { length, offset } = range_text("BYTERANGE of EXT-X-MAP", range.text())?;
            // No segment stands before a section that it could continue.
            let offset = offset.ok_or(Problem::ByteRangeOffset)?;
            Some(ByteRange::new(offset, length).ok_or(Problem::ByteRangeEnd)?)
        }
    };
    Ok(Map::new(Quoted::as_read(uri)).with_byte_range(byte_range))
}

/// A key, or `None` where encryption ends.
fn key(value: &str) -> Result<Option<Key<'_>>, AttributeProblem> {
    let attributes = Attributes::parse(value)?;
    attributes.require("METHOD")?;
    let method = attributes.plain("METHOD")?.unwrap_or_default();
    let uri = attributes.quoted("URI")?;
    if method == Key::NONE {
        return Ok(None);
    }
    let uri = uri.ok_or(AttributeProblem::Missing("URI"))?;
    let quoted = |name| Some(Quoted::as_read(attributes.find(name)?.text()));
    let key = Key::new(Word::as_read(method), Quoted::as_read(uri))
        .map_err(|_| form("METHOD", method, "a method"))?
        .with_iv(attributes.plain("IV")?.map(Word::as_read))
        .with_format(quoted("KEYFORMAT"))
        .with_format_versions(quoted("KEYFORMATVERSIONS"));
    Ok(Some(key))
}
