//! The golden vectors of this crate: kinds `playlist.halive`, `playlist.media` and `playlist.parse`.

use alive_core::{
    Flags, Segment, SegmentDuration,
    conformance::{Kind, judge},
};
use serde_json::{Value, json};

use crate::{
    assemble::{ListSettings, assemble},
    halive::{HaliveItem, HaliveTail, halive_playlist},
    line_text::{FrameRate, Quoted, Title},
    live::LivePlaylist,
    model::{
        ByteRange, MediaPlaylist, MediaSegment, MultivariantPlaylist, Playlist, PlaylistType,
        Variant,
    },
    time::ProgramDateTime,
};

/// The kinds of vectors that this crate knows.
pub const KINDS: &[Kind] = &[
    Kind { name: "playlist.halive", check: check_halive },
    Kind { name: "playlist.media", check: check_media },
    Kind { name: "playlist.parse", check: check_parse },
];

/// How far two durations may be apart, in seconds. Source: `spec/hls.md`, section 14.
const TOLERANCE: f64 = 1e-6;

type Checked<T> = Result<T, String>;

fn check_halive(input: &Value, want: &Value) -> Checked<()> {
    judge(halive(input).map(|text| json!({ "text": text })), want)
}

fn halive(input: &Value) -> Checked<String> {
    let items: Vec<_> = array(input, "items")?.iter().map(halive_item).collect::<Checked<_>>()?;
    let tail = input.get("tail").unwrap_or(&Value::Null);
    let ended = boolean(input, "ended")?;
    Ok(halive_playlist(text(input, "gateway")?, ended, items, HaliveTail::from_answer(tail)))
}

fn halive_item(item: &Value) -> Checked<HaliveItem<'_>> {
    match item.get("len") {
        None | Some(Value::Null) => {
            Ok(HaliveItem::Chunk(item.get("chunk").and_then(Value::as_str)))
        }
        Some(len) => {
            Ok(HaliveItem::Segment { content: text(item, "src")?, duration: duration(len)? })
        }
    }
}

fn check_media(input: &Value, want: &Value) -> Checked<()> {
    judge(media(input).map(|got| close_durations(got, want)), want)
}

/// Writes the list both ways, reads it back and reports what it says.
fn media(input: &Value) -> Checked<Value> {
    let segments: Vec<_> =
        array(input, "segments")?.iter().map(media_segment).collect::<Checked<_>>()?;
    let target = input.get("target").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let target = target.and_then(|n| n.try_into().ok()).ok_or("target is no number of seconds")?;
    let gateway = text(input, "gateway")?.parse().map_err(|e| format!("gateway: {e}"))?;
    let settings = ListSettings::default().gateway(gateway).target_seconds(target);
    let ended = boolean(input, "ended")?;

    let bytes = assemble(&segments, ended, &settings);
    let mut live = LivePlaylist::new(&settings);
    live.extend(&segments);
    let grown = if ended { live.end().into_bytes() } else { live.as_bytes().to_vec() };
    if grown != bytes {
        return Err("the list grown segment by segment is another one".to_owned());
    }
    report_media(&MediaPlaylist::read(&bytes).map_err(|e| e.to_string())?)
}

fn media_segment(input: &Value) -> Checked<Segment> {
    let content = text(input, "cid")?.parse().map_err(|e| format!("cid: {e}"))?;
    let duration = duration(input.get("len").unwrap_or(&Value::Null))?;
    let flag = |name| input.get(name).and_then(Value::as_bool).unwrap_or(false);
    let flags = Flags::new(flag("discontinuity"), flag("gap"));
    Ok(Segment::new(content, duration).with_flags(flags))
}

/// What the vectors compare: URIs up to the query, which must name the file by its number.
fn report_media(list: &MediaPlaylist<'_>) -> Checked<Value> {
    let segments = list.numbered().map(|(number, segment)| {
        let uri = segment.uri.as_str();
        let (path, query) = uri.split_once('?').ok_or_else(|| format!("{uri} has no query"))?;
        if query != format!("filename={number}.ts") {
            return Err(format!("{uri} does not name segment {number}"));
        }
        let duration = seconds(segment);
        Ok(json!({ "uri": path, "duration": duration, "discontinuity": segment.discontinuity }))
    });
    let header = list.header();
    Ok(json!({
        "version": header.version,
        "target_duration": header.target_duration,
        "media_sequence": header.media_sequence,
        "playlist_type": header.playlist_type.map(PlaylistType::as_str),
        "endlist": header.ended,
        "segments": segments.collect::<Checked<Vec<_>>>()?,
    }))
}

fn check_parse(input: &Value, want: &Value) -> Checked<()> {
    let bytes = parse_input(input)?;
    let got = Playlist::read(&bytes).map(|list| close_durations(report_list(&list), want));
    judge(got, want)
}

fn parse_input(input: &Value) -> Checked<Vec<u8>> {
    if let Some(text) = input.get("text").and_then(Value::as_str) {
        return Ok(text.as_bytes().to_vec());
    }
    if let Some(hex) = input.get("bytes_hex").and_then(Value::as_str) {
        return unhex(hex).ok_or_else(|| "bytes_hex is not hexadecimal".to_owned());
    }
    let mut bytes = Vec::new();
    for part in array(input, "parts")? {
        let text = part.get(0).and_then(Value::as_str).ok_or("a part has no text")?;
        let count = part.get(1).and_then(Value::as_u64).ok_or("a part has no count")?;
        let count = usize::try_from(count).map_err(|e| e.to_string())?;
        bytes.extend_from_slice(text.repeat(count).as_bytes());
    }
    Ok(bytes)
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Source: `spec/hls.md`, section 14.
fn report_list(list: &Playlist<'_>) -> Value {
    match list {
        Playlist::Media(list) => report_full(list),
        Playlist::Multivariant(MultivariantPlaylist { variants, .. }) => {
            let variants: Vec<_> = variants.iter().map(report_variant).collect();
            json!({ "kind": "master", "variants": variants })
        }
    }
}

fn report_full(list: &MediaPlaylist<'_>) -> Value {
    let header = list.header();
    json!({
        "kind": "media",
        "version": header.version,
        "target_duration": header.target_duration,
        "media_sequence": header.media_sequence,
        "discontinuity_sequence": header.discontinuity_sequence,
        "playlist_type": header.playlist_type.map(PlaylistType::as_str),
        "endlist": header.ended,
        "segments": list.segments().iter().map(report_segment).collect::<Vec<_>>(),
    })
}

fn report_segment(segment: &MediaSegment<'_>) -> Value {
    let range = |range: ByteRange| json!({ "offset": range.offset(), "length": range.length() });
    json!({
        "uri": segment.uri.as_str(),
        "duration": seconds(segment),
        "title": segment.title.as_ref().map(Title::as_str),
        "discontinuity": segment.discontinuity,
        "gap": segment.gap,
        "program_date_time_ms": segment.program_date_time.map(ProgramDateTime::as_unix_ms),
        "byterange": segment.byte_range.map(range),
        "map": segment.map.as_ref().map(|map| map.uri.as_str()),
    })
}

fn report_variant(variant: &Variant<'_>) -> Value {
    json!({
        "uri": variant.uri.as_str(),
        "bandwidth": variant.bandwidth,
        "average_bandwidth": variant.average_bandwidth,
        "codecs": variant.codecs.as_ref().map(Quoted::as_str),
        "resolution": variant.resolution.map(|size| [size.width, size.height]),
        "frame_rate": variant.frame_rate.as_ref().map(FrameRate::to_f64),
    })
}

fn seconds(segment: &MediaSegment<'_>) -> f64 {
    segment.duration.as_duration().as_secs_f64()
}

/// Gives durations that are within the tolerance the wanted value, so that an exact comparison can follow.
fn close_durations(mut got: Value, want: &Value) -> Value {
    let (got_segments, want_segments) = (got.get_mut("segments"), want.get("segments"));
    let (Some(Value::Array(got_segments)), Some(Value::Array(want_segments))) =
        (got_segments, want_segments)
    else {
        return got;
    };
    for (got, want) in got_segments.iter_mut().zip(want_segments) {
        let (Some(got), Some(want)) = (got.get_mut("duration"), want.get("duration")) else {
            continue;
        };
        let apart = got.as_f64().zip(want.as_f64()).map(|(got, want)| (got - want).abs());
        if apart.is_some_and(|apart| apart <= TOLERANCE) {
            *got = want.clone();
        }
    }
    got
}

/// The text of a JSON number, as the protocol reads it.
fn duration(len: &Value) -> Checked<SegmentDuration> {
    SegmentDuration::from_json_number(&len.to_string(), 6).map_err(|e| format!("len {len}: {e}"))
}

fn text<'v>(input: &'v Value, name: &str) -> Checked<&'v str> {
    input.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name} is no text"))
}

fn boolean(input: &Value, name: &str) -> Checked<bool> {
    input.get(name).and_then(Value::as_bool).ok_or_else(|| format!("{name} is no boolean"))
}

fn array<'v>(input: &'v Value, name: &str) -> Checked<&'v [Value]> {
    let array = input.get(name).and_then(Value::as_array);
    array.map(Vec::as_slice).ok_or_else(|| format!("{name} is no array"))
}
