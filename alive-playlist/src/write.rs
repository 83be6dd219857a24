//! Writing the model: the tags of `spec/hls.md`, section 3, in the order given there, lines ending in LF.
//!
//! The same model gives the same bytes everywhere: integers only, no floats, no maps without order.

use std::sync::Arc;

use crate::{
    decimal::{push_seconds, push_u64},
    model::{
        ByteRange, Key, KeySet, Map, MediaHeader, MediaPart, MediaPlaylist, MediaSegment,
        MultivariantPlaylist, OpenSegment, ServerControl, Variant,
    },
    parts::RenditionReport,
    time::ProgramDateTime,
};

impl MediaPlaylist<'_> {
    /// The list's text. What the model holds reads back as the same model.
    ///
    /// The version is written as it stands; see [`lowest_version`](Self::lowest_version) for a list made by hand.
    pub fn to_bytes(&self) -> Vec<u8> {
        const ROOM_PER_SEGMENT: usize = 32;
        let uris: usize = self.segments().iter().map(|s| s.uri.as_str().len()).sum();
        let mut out = Vec::with_capacity(256 + uris + self.segments().len() * ROOM_PER_SEGMENT);
        push_header(&mut out, self.header());
        let start = InForce::default();
        let last = self.segments().iter().fold(start, |in_force, segment| {
            push_segment(&mut out, segment, &in_force);
            InForce { map: segment.map.as_ref(), keys: Some(&segment.keys) }
        });
        if let Some(open) = self.open() {
            push_open(&mut out, open, &last);
        }
        if self.header().ended {
            out.extend_from_slice(ENDLIST);
        }
        out
    }
}

/// The last line of a list to which nothing will be added.
pub(crate) const ENDLIST: &[u8] = b"#EXT-X-ENDLIST\n";

/// What earlier tags have set for the segments behind them.
#[derive(Default)]
struct InForce<'s, 'a> {
    map: Option<&'s Arc<Map<'a>>>,
    keys: Option<&'s KeySet<'a>>,
}

/// Everything before the first segment.
pub(crate) fn push_header(out: &mut Vec<u8>, header: &MediaHeader) {
    out.extend_from_slice(b"#EXTM3U\n");
    if let Some(version) = header.version {
        push_number(out, b"#EXT-X-VERSION:", version);
    }
    if header.independent_segments {
        out.extend_from_slice(b"#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    push_number(out, b"#EXT-X-TARGETDURATION:", header.target_duration);
    push_control(out, header.server_control);
    if let Some(target) = header.part_target {
        out.extend_from_slice(b"#EXT-X-PART-INF:PART-TARGET=");
        push_seconds(out, target.as_micros());
        out.push(b'\n');
    }
    push_number(out, b"#EXT-X-MEDIA-SEQUENCE:", header.media_sequence);
    if header.discontinuity_sequence != 0 {
        push_number(out, b"#EXT-X-DISCONTINUITY-SEQUENCE:", header.discontinuity_sequence);
    }
    if let Some(playlist_type) = header.playlist_type {
        push_line(out, b"#EXT-X-PLAYLIST-TYPE:", playlist_type.as_str());
    }
    if header.i_frames_only {
        out.extend_from_slice(b"#EXT-X-I-FRAMES-ONLY\n");
    }
    if header.skipped_segments != 0 {
        push_number(out, b"#EXT-X-SKIP:SKIPPED-SEGMENTS=", header.skipped_segments);
    }
}

/// Writes what the server offers, if it offers anything.
fn push_control(out: &mut Vec<u8>, control: ServerControl) {
    if control == ServerControl::default() {
        return;
    }
    let mut separator: &[u8] = b"#EXT-X-SERVER-CONTROL:";
    if control.can_block_reload {
        out.extend_from_slice(separator);
        out.extend_from_slice(b"CAN-BLOCK-RELOAD=YES");
        separator = b",";
    }
    let times: [(&[u8], _); 3] = [
        (b"CAN-SKIP-UNTIL=", control.can_skip_until),
        (b"HOLD-BACK=", control.hold_back),
        (b"PART-HOLD-BACK=", control.part_hold_back),
    ];
    for (name, time) in times {
        let Some(time) = time else { continue };
        out.extend_from_slice(std::mem::replace(&mut separator, b","));
        out.extend_from_slice(name);
        push_seconds(out, time.as_micros());
    }
    out.push(b'\n');
}

fn push_segment(out: &mut Vec<u8>, segment: &MediaSegment<'_>, before: &InForce<'_, '_>) {
    let now = InForce { map: segment.map.as_ref(), keys: Some(&segment.keys) };
    push_start(out, segment.discontinuity, &now, before);
    push_date(out, segment.program_date_time);
    if segment.gap {
        out.extend_from_slice(b"#EXT-X-GAP\n");
    }
    push_parts(out, &segment.parts);
    out.extend_from_slice(b"#EXTINF:");
    push_seconds(out, segment.duration.as_micros());
    push_line(out, b",", segment.title.as_ref().map_or("", |title| title.as_str()));
    if let Some(range) = segment.byte_range {
        out.extend_from_slice(b"#EXT-X-BYTERANGE:");
        push_range(out, range);
        out.push(b'\n');
    }
    push_line(out, b"", segment.uri.as_str());
}

/// Writes what there is of the segment behind the last one.
fn push_open(out: &mut Vec<u8>, open: &OpenSegment<'_>, before: &InForce<'_, '_>) {
    let now = InForce { map: open.map.as_ref(), keys: Some(&open.keys) };
    push_start(out, open.discontinuity, &now, before);
    push_date(out, open.program_date_time);
    push_parts(out, &open.parts);
}

/// Writes what changes where a segment starts.
fn push_start(
    out: &mut Vec<u8>,
    discontinuity: bool,
    now: &InForce<'_, '_>,
    before: &InForce<'_, '_>,
) {
    if discontinuity {
        out.extend_from_slice(b"#EXT-X-DISCONTINUITY\n");
    }
    let none = KeySet::default();
    push_keys(out, now.keys.unwrap_or(&none), before.keys.unwrap_or(&none));
    if let Some(map) = now.map
        && !before.map.is_some_and(|before| Arc::ptr_eq(before, map) || before == map)
    {
        push_map(out, map);
    }
}

fn push_date(out: &mut Vec<u8>, time: Option<ProgramDateTime>) {
    let Some(time) = time else { return };
    out.extend_from_slice(b"#EXT-X-PROGRAM-DATE-TIME:");
    time.push_to(out);
    out.push(b'\n');
}

fn push_parts(out: &mut Vec<u8>, parts: &[MediaPart<'_>]) {
    for part in parts {
        push_part_start(out, part.duration.as_micros());
        push_quoted(out, b"", part.uri.as_str());
        if part.independent {
            out.extend_from_slice(INDEPENDENT);
        }
        if let Some(range) = part.byte_range {
            out.extend_from_slice(b",BYTERANGE=\"");
            push_range(out, range);
            out.push(b'"');
        }
        if part.gap {
            out.extend_from_slice(b",GAP=YES");
        }
        out.push(b'\n');
    }
}

/// Begins the line of a part, up to the opening quote of its URI.
pub(crate) fn push_part_start(out: &mut Vec<u8>, micros: u64) {
    out.extend_from_slice(b"#EXT-X-PART:DURATION=");
    push_seconds(out, micros);
    out.extend_from_slice(b",URI=\"");
}

/// What the line of a part says that starts with a key frame.
pub(crate) const INDEPENDENT: &[u8] = b",INDEPENDENT=YES";

/// Writes how far the list of another rendition is.
pub(crate) fn push_report(out: &mut Vec<u8>, report: &RenditionReport) {
    push_quoted(out, b"#EXT-X-RENDITION-REPORT:URI=\"", report.uri.as_str());
    out.extend_from_slice(b",LAST-MSN=");
    push_u64(out, report.last_msn);
    if let Some(part) = report.last_part {
        out.extend_from_slice(b",LAST-PART=");
        push_u64(out, part);
    }
    out.push(b'\n');
}

/// Writes the keys that changed, or ends encryption first when a key must be forgotten.
fn push_keys(out: &mut Vec<u8>, keys: &KeySet<'_>, before: &KeySet<'_>) {
    if keys.is_same(before) {
        return;
    }
    let changes = keys.changes_since(before).unwrap_or_else(|| {
        push_line(out, b"#EXT-X-KEY:METHOD=", Key::NONE);
        keys.iter().collect()
    });
    for key in changes {
        push_key(out, key);
    }
}

fn push_key(out: &mut Vec<u8>, key: &Key<'_>) {
    out.extend_from_slice(b"#EXT-X-KEY:METHOD=");
    out.extend_from_slice(key.method().as_str().as_bytes());
    push_quoted(out, b",URI=\"", key.uri().as_str());
    if let Some(iv) = key.iv() {
        out.extend_from_slice(b",IV=");
        out.extend_from_slice(iv.as_str().as_bytes());
    }
    if let Some(format) = key.format() {
        push_quoted(out, b",KEYFORMAT=\"", format.as_str());
    }
    if let Some(versions) = key.format_versions() {
        push_quoted(out, b",KEYFORMATVERSIONS=\"", versions.as_str());
    }
    out.push(b'\n');
}

fn push_map(out: &mut Vec<u8>, map: &Map<'_>) {
    push_quoted(out, b"#EXT-X-MAP:URI=\"", map.uri.as_str());
    if let Some(range) = map.byte_range {
        out.extend_from_slice(b",BYTERANGE=\"");
        push_range(out, range);
        out.push(b'"');
    }
    out.push(b'\n');
}

fn push_range(out: &mut Vec<u8>, range: ByteRange) {
    push_u64(out, range.length());
    out.push(b'@');
    push_u64(out, range.offset());
}

impl MultivariantPlaylist<'_> {
    /// The list's text. What the model holds reads back as the same model, if it has a variant: a list without any is
    /// not known as a multivariant one.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = b"#EXTM3U\n".to_vec();
        if let Some(version) = self.version {
            push_number(&mut out, b"#EXT-X-VERSION:", version);
        }
        if self.independent_segments {
            out.extend_from_slice(b"#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        for variant in &self.variants {
            push_variant(&mut out, variant);
        }
        out
    }
}

fn push_variant(out: &mut Vec<u8>, variant: &Variant<'_>) {
    out.extend_from_slice(b"#EXT-X-STREAM-INF:BANDWIDTH=");
    push_u64(out, variant.bandwidth);
    if let Some(average) = variant.average_bandwidth {
        out.extend_from_slice(b",AVERAGE-BANDWIDTH=");
        push_u64(out, average);
    }
    if let Some(codecs) = &variant.codecs {
        push_quoted(out, b",CODECS=\"", codecs.as_str());
    }
    if let Some(resolution) = variant.resolution {
        out.extend_from_slice(b",RESOLUTION=");
        push_u64(out, resolution.width);
        out.push(b'x');
        push_u64(out, resolution.height);
    }
    if let Some(rate) = &variant.frame_rate {
        out.extend_from_slice(b",FRAME-RATE=");
        out.extend_from_slice(rate.as_str().as_bytes());
    }
    out.push(b'\n');
    push_line(out, b"", variant.uri.as_str());
}

fn push_number(out: &mut Vec<u8>, tag: &[u8], value: u64) {
    out.extend_from_slice(tag);
    push_u64(out, value);
    out.push(b'\n');
}

fn push_line(out: &mut Vec<u8>, start: &[u8], text: &str) {
    out.extend_from_slice(start);
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

fn push_quoted(out: &mut Vec<u8>, start: &[u8], text: &str) {
    out.extend_from_slice(start);
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use crate::model::Playlist;

    /// Reads a list and writes it again.
    fn rewritten(text: &str) -> String {
        Playlist::read(text.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn tags_come_in_the_order_of_the_specification() {
        let text = "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:10\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=60.000000,HOLD-BACK=30.000000\n\
            #EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n#EXT-X-PLAYLIST-TYPE:VOD\n\
            #EXT-X-SKIP:SKIPPED-SEGMENTS=3\n\
            #EXT-X-DISCONTINUITY\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1F,KEYFORMAT=\"f\",KEYFORMATVERSIONS=\"1\"\n\
            #EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"100@5\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:03:36.583Z\n#EXT-X-GAP\n#EXTINF:9.967000,Title, long\n\
            #EXT-X-BYTERANGE:1000@200\na.m4s\n#EXTINF:10.000000,\nb.m4s\n#EXT-X-ENDLIST\n";
        assert_eq!(rewritten(text), text);
    }

    #[test]
    fn parts_stand_before_their_segment_and_behind_the_last() {
        let text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3.000000\n\
            #EXT-X-PART-INF:PART-TARGET=1.000000\n#EXT-X-MEDIA-SEQUENCE:0\n\
            #EXT-X-MAP:URI=\"i\"\n#EXTINF:4.000000,\na\n\
            #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"j\"\n\
            #EXT-X-PART:DURATION=1.000000,URI=\"b0\",INDEPENDENT=YES,BYTERANGE=\"7@0\"\n\
            #EXT-X-PART:DURATION=0.500000,URI=\"b1\",GAP=YES\n#EXTINF:1.500000,\nb\n\
            #EXT-X-DISCONTINUITY\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-MAP:URI=\"k\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:03:36.583Z\n\
            #EXT-X-PART:DURATION=1.000000,URI=\"c0\"\n";
        assert_eq!(rewritten(text), text);
    }

    #[test]
    fn a_map_is_written_again_only_when_another_takes_its_place() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n\
            #EXT-X-MAP:URI=\"i\"\n#EXTINF:1.000000,\na\n#EXT-X-MAP:URI=\"j\"\n#EXTINF:1.000000,\nb\n";
        assert_eq!(rewritten(text), text);
        let repeated = text.replace("\nb\n", "\nb\n#EXT-X-MAP:URI=\"j\"\n#EXTINF:1.000000,\nc\n");
        let once = text.replace("\nb\n", "\nb\n#EXTINF:1.000000,\nc\n");
        assert_eq!(rewritten(&repeated), once);
    }

    #[test]
    fn keys_that_no_longer_apply_are_ended() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-KEY:METHOD=X,URI=\"m\",KEYFORMAT=\"f\"\n#EXTINF:1.000000,\na\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"l\"\n#EXTINF:1.000000,\nb\n\
            #EXT-X-KEY:METHOD=NONE\n#EXT-X-KEY:METHOD=X,URI=\"m\",KEYFORMAT=\"f\"\n#EXTINF:1.000000,\nc\n\
            #EXT-X-KEY:METHOD=NONE\n#EXTINF:1.000000,\nd\n";
        assert_eq!(rewritten(text), text);
    }

    #[test]
    fn renditions_keep_every_attribute_of_the_model() {
        let text = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2227464,AVERAGE-BANDWIDTH=2218327,CODECS=\"avc1.640020,mp4a.40.2\",\
            RESOLUTION=960x540,FRAME-RATE=60.000\nv5/prog.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=300000\nlow.m3u8\n";
        assert_eq!(rewritten(text), text);
    }
}
