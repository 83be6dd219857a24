//! Random models with everything that they can hold.

use std::{ops::Range, sync::Arc};

use alive_playlist::{
    ByteRange, FrameRate, Key, KeySet, Map, MediaDuration, MediaHeader, MediaPart, MediaPlaylist,
    MediaSegment, MultivariantPlaylist, OpenSegment, PlaylistType, ProgramDateTime, Quoted,
    Resolution, ServerControl, Title, Uri, Variant, Word,
};
use proptest::{collection::vec, option, prelude::*};

/// Text with any printable characters, as it may stand behind a comma.
fn printable(length: Range<usize>) -> impl Strategy<Value = String> {
    let shown = |c: char| if c.is_control() { '·' } else { c };
    vec(any::<char>().prop_map(shown), length).prop_map(|chars| chars.into_iter().collect())
}

fn quoted() -> impl Strategy<Value = Quoted<'static>> {
    printable(0..12).prop_map(|text| Quoted::new(text.replace('"', "'")).unwrap())
}

fn word() -> impl Strategy<Value = Word<'static>> {
    "[A-Z0-9a-zé-]{1,8}".prop_map(|text| Word::new(text).unwrap())
}

fn uri() -> impl Strategy<Value = Uri<'static>> {
    printable(1..20).prop_filter_map("a URI", |text| Uri::new(text).ok())
}

fn byte_range() -> impl Strategy<Value = ByteRange> {
    let fit = |(offset, length): (u64, u64)| ByteRange::new(offset, length & !offset).unwrap();
    any::<(u64, u64)>().prop_map(fit)
}

fn key() -> impl Strategy<Value = Key<'static>> {
    let format = option::of(prop_oneof!["identity", "a", "b"]);
    (word(), quoted(), option::of(word()), format, option::of(quoted())).prop_filter_map(
        "NONE is no key",
        |(method, uri, iv, format, versions)| {
            let format = format.map(|format| Quoted::new(format).unwrap());
            let key = Key::new(method, uri).ok()?.with_iv(iv).with_format(format);
            Some(key.with_format_versions(versions))
        },
    )
}

fn key_set() -> impl Strategy<Value = KeySet<'static>> {
    vec(key(), 0..3).prop_map(|keys| {
        keys.into_iter().fold(KeySet::default(), |set, key| set.with(key).unwrap())
    })
}

prop_compose! {
    fn map()(uri in quoted(), byte_range in option::of(byte_range())) -> Arc<Map<'static>> {
        Arc::new(Map::new(uri).with_byte_range(byte_range))
    }
}

prop_compose! {
    fn part()(
        uri in quoted(),
        micros in 0..=MediaDuration::MAX_MICROS,
        (independent, gap) in any::<(bool, bool)>(),
        byte_range in option::of(byte_range()),
    ) -> MediaPart<'static> {
        let mut part = MediaPart::new(uri, MediaDuration::from_micros(micros).unwrap());
        part.independent = independent;
        part.gap = gap;
        part.byte_range = byte_range;
        part
    }
}

prop_compose! {
    fn media_segment()(
        uri in uri(),
        micros in 0..=MediaDuration::MAX_MICROS,
        title in option::of(printable(1..9)),
        (discontinuity, gap) in any::<(bool, bool)>(),
        time in option::of(-62_167_219_200_000_i64..=253_402_300_799_999),
        byte_range in option::of(byte_range()),
        map in option::weighted(0.2, map()),
        keys in key_set(),
        parts in prop_oneof![2 => Just(Vec::new()), 1 => vec(part(), 0..4)],
    ) -> MediaSegment<'static> {
        let mut segment = MediaSegment::new(uri, MediaDuration::from_micros(micros).unwrap());
        segment.title = title.and_then(|title| Title::new(title).ok());
        segment.discontinuity = discontinuity;
        segment.gap = gap;
        segment.program_date_time = time.and_then(ProgramDateTime::from_unix_ms);
        segment.byte_range = byte_range;
        segment.map = map;
        segment.keys = keys;
        segment.parts = parts;
        segment
    }
}

prop_compose! {
    fn server_control()(
        can_block_reload: bool,
        times in vec(option::of(0..=MediaDuration::MAX_MICROS), 3),
    ) -> ServerControl {
        let time = |at: usize| times[at].map(|micros| MediaDuration::from_micros(micros).unwrap());
        let mut control = ServerControl::default();
        control.can_block_reload = can_block_reload;
        control.can_skip_until = time(0);
        control.hold_back = time(1);
        control.part_hold_back = time(2);
        control
    }
}

prop_compose! {
    fn header()(
        version in option::of(any::<u64>()),
        target_duration: u64,
        media_sequence in prop_oneof![Just(0), 0_u64..9, any::<u64>().prop_map(|n| n >> 1)],
        discontinuity_sequence in prop_oneof![Just(0), any::<u64>()],
        playlist_type in prop_oneof![Just(None), Just(Some(PlaylistType::Event)), Just(Some(PlaylistType::Vod))],
        (ended, independent_segments, i_frames_only) in any::<(bool, bool, bool)>(),
        server_control in server_control(),
        part_target in 0..=MediaDuration::MAX_MICROS,
        skipped_segments in prop_oneof![3 => Just(0), 1 => any::<u64>().prop_map(|n| n >> 2)],
    ) -> MediaHeader {
        MediaHeader {
            version,
            target_duration,
            media_sequence,
            discontinuity_sequence,
            playlist_type,
            ended,
            independent_segments,
            i_frames_only,
            server_control,
            part_target: MediaDuration::from_micros(part_target).ok(),
            skipped_segments,
        }
    }
}

/// A media playlist with everything that the model can hold.
pub(crate) fn media_playlist() -> impl Strategy<Value = MediaPlaylist<'static>> {
    let segments = vec((media_segment(), any::<bool>()), 0..12);
    (header(), segments, media_segment()).prop_map(|(header, segments, open)| {
        let mut list = MediaPlaylist::new(header);
        for (mut segment, same_keys) in segments {
            let before = list.segments().last();
            segment.map = segment.map.or_else(|| before?.map.clone());
            if let Some(before) = before.filter(|_| same_keys) {
                segment.keys = before.keys.clone();
            }
            list.push(segment).unwrap();
        }
        let before = list.segments().last();
        let mut behind = OpenSegment::new(open.parts);
        behind.discontinuity = open.discontinuity;
        behind.program_date_time = open.program_date_time;
        behind.map = open.map.or_else(|| before?.map.clone());
        behind.keys = open.keys;
        list.set_open(behind).unwrap();
        list
    })
}

prop_compose! {
    fn variant()(
        uri in uri(),
        bandwidth: u64,
        average in option::of(any::<u64>()),
        codecs in option::of(quoted()),
        size in option::of(any::<(u64, u64)>()),
        rate in option::of("[0-9]{1,3}(\\.[0-9]{1,4})?"),
    ) -> Variant<'static> {
        let mut variant = Variant::new(uri, bandwidth);
        variant.average_bandwidth = average;
        variant.codecs = codecs;
        variant.resolution = size.map(|(width, height)| Resolution { width, height });
        variant.frame_rate = rate.map(|rate| FrameRate::new(rate).unwrap());
        variant
    }
}

/// A multivariant playlist with at least one rendition.
pub(crate) fn multivariant_playlist() -> impl Strategy<Value = MultivariantPlaylist<'static>> {
    (option::of(any::<u64>()), any::<bool>(), vec(variant(), 1..5)).prop_map(
        |(version, independent_segments, variants)| {
            let mut list = MultivariantPlaylist::default();
            list.version = version;
            list.independent_segments = independent_segments;
            list.variants = variants;
            list
        },
    )
}
