//! What holds for all lists: round trips, one text for one timeline, no panic on any bytes.
#![cfg(test)]

mod model;
mod timeline;

use alive_core::Segment;
use alive_playlist::{
    ListSettings, LivePlaylist, MediaPlaylist, MultivariantPlaylist, Playlist, PlaylistType,
    Recording, assemble, fuzzing,
};
use model::{media_playlist, multivariant_playlist};
use proptest::{collection::vec, prelude::*, sample::Index};
use timeline::{segment, settings};

/// A line that starts as a tag we read and goes on as a value of any of them.
const TAG_LINE: &str = "(#EXT(INF|-X-(VERSION|KEY|MAP|GAP|BYTERANGE|STREAM-INF|MEDIA-SEQUENCE\
    |ENDLIST|DISCONTINUITY|PART|PART-INF)):?)?(METHOD=NONE|METHOD=A,URI=\"k\"|URI=\"i\"|BANDWIDTH=[0-9]{1,4}\
    |DURATION=1,URI=\"[pq]\"(,BYTERANGE=\"[0-9](@0)?\")?|PART-TARGET=1\
    |[0-9]{0,4}|[a-z,@.=\" ]{0,6})";

/// One change to a text: a byte replaced, removed, inserted, or a line doubled.
fn mutate(text: &mut Vec<u8>, (kind, at, byte): (u8, Index, u8)) {
    if text.is_empty() {
        return;
    }
    let at = at.index(text.len());
    match kind % 4 {
        0 => text[at] = byte,
        1 => drop(text.remove(at)),
        2 => text.insert(at, byte),
        _ => {
            let start = text[..at].iter().rposition(|&b| b == b'\n').map_or(0, |n| n + 1);
            let end =
                text[at..].iter().position(|&b| b == b'\n').map_or(text.len(), |n| at + n + 1);
            let line = text[start..end].to_vec();
            text.splice(start..start, line);
        }
    }
}

/// What the list of a timeline must say, told in the simplest way.
fn assert_says(
    list: &MediaPlaylist<'_>,
    segments: &[Segment],
    settings: &ListSettings,
    ended: bool,
) {
    let header = list.header();
    let longest = segments.iter().map(|s| u64::from(s.duration.as_micros())).max().unwrap_or(0);
    let target = longest.div_ceil(1_000_000).max(settings.target_seconds.get().into());
    assert_eq!(header.target_duration, target);
    assert_eq!(header.version, Some(list.lowest_version()));
    assert_eq!((header.media_sequence, header.ended), (0, ended));
    let kind = if ended { "VOD" } else { "EVENT" };
    assert_eq!(header.playlist_type.map(PlaylistType::as_str), Some(kind));
    assert_eq!(list.segments().len(), segments.len());
    for ((number, got), want) in list.numbered().zip(segments) {
        assert_eq!(got.duration, want.duration.into());
        assert_eq!((got.discontinuity, got.gap), (want.flags.discontinuity(), want.flags.gap()));
        let base = settings.gateway.as_ref().map_or("", |gateway| gateway.base());
        let path = if want.content.to_cid().is_some() { "/ipfs/" } else { "/" };
        let (id, extension) = (want.content, settings.extension.as_str());
        assert_eq!(got.uri.as_str(), format!("{base}{path}{id}?filename={number}.{extension}"));
    }
}

proptest! {
    #[test]
    fn a_timeline_reads_back_as_it_was(
        segments in vec(segment(), 0..40),
        settings in settings(),
        ended: bool,
    ) {
        let text = assemble(&segments, ended, &settings);
        assert_says(&MediaPlaylist::read(&text).unwrap(), &segments, &settings, ended);
    }

    #[test]
    fn a_grown_list_equals_one_made_from_nothing_at_every_length(
        segments in vec(segment(), 0..20),
        settings in settings(),
    ) {
        let mut list = LivePlaylist::new(&settings);
        for (count, segment) in segments.iter().enumerate() {
            prop_assert_eq!(list.as_bytes(), assemble(&segments[..count], false, &settings));
            list = if count % 3 == 0 { list.clone() } else { list };
            list.push(segment);
        }
        prop_assert_eq!(list.as_bytes(), assemble(&segments, false, &settings));
        let pieces = list.pieces();
        prop_assert_eq!((pieces.to_bytes(), &*pieces.tail), (list.as_bytes().to_vec(), &[][..]));
        prop_assert_eq!(list.to_bytes(), list.as_bytes());
        let mut at_once = LivePlaylist::new(&settings);
        prop_assert_eq!(at_once.pieces().lines, b"");
        at_once.extend(&segments);
        prop_assert_eq!(at_once.as_bytes(), list.as_bytes());
        let ended = list.end();
        prop_assert_eq!(ended.as_bytes(), assemble(&segments, true, &settings));
        prop_assert_eq!(ended.clone().into_bytes(), ended.as_bytes());
    }

    #[test]
    fn what_was_listed_stays_listed(segments in vec(segment(), 1..20), settings in settings()) {
        let body = |text: &[u8]| {
            let text = String::from_utf8(text.to_vec()).unwrap();
            text.lines().skip(5).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut list = LivePlaylist::new(&settings);
        for segment in &segments {
            let (before, target) = (body(list.as_bytes()), list.target_seconds());
            list.push(segment);
            prop_assert!(body(list.as_bytes()).starts_with(&before));
            prop_assert!(list.target_seconds() >= target);
        }
    }

    #[test]
    fn media_models_survive_writing(list in media_playlist()) {
        let text = list.to_bytes();
        prop_assert_eq!(MediaPlaylist::read(&text).map_err(|e| e.to_string()), Ok(list));
    }

    #[test]
    fn multivariant_models_survive_writing(list in multivariant_playlist()) {
        let text = list.to_bytes();
        prop_assert_eq!(MultivariantPlaylist::read(&text).map_err(|e| e.to_string()), Ok(list));
    }

    #[test]
    fn line_ends_of_either_kind_read_the_same(list in media_playlist()) {
        let text = list.to_string();
        let crlf = text.replace('\n', "\r\n");
        prop_assert_eq!(Playlist::read(crlf.as_bytes()), Playlist::read(text.as_bytes()));
    }

    #[test]
    fn any_prefix_is_read_or_refused(list in media_playlist(), cut: Index) {
        let text = list.to_bytes();
        let prefix = &text[..cut.index(text.len() + 1)];
        fuzzing::read_playlist(prefix);
        // A whole line more never takes a segment away, or a part.
        if let (Ok(part), Ok(whole)) = (Recording::read(prefix), Recording::read(&text)) {
            prop_assert!(part.segments().len() <= whole.segments().len());
            let parts = |list: &Recording| {
                let listed: usize = list.segments().iter().map(|segment| segment.parts.len()).sum();
                listed + list.parts().len()
            };
            prop_assert!(parts(&part) <= parts(&whole));
        }
    }

    #[test]
    fn any_change_is_read_or_refused(
        list in media_playlist(),
        changes in vec(any::<(u8, Index, u8)>(), 1..6),
    ) {
        let mut text = list.to_bytes();
        for change in changes {
            mutate(&mut text, change);
        }
        fuzzing::read_playlist(&text);
        let mut both = list.to_bytes();
        both.extend_from_slice(&text);
        fuzzing::compare_recordings(&both);
    }

    #[test]
    fn any_change_to_renditions_is_read_or_refused(
        list in multivariant_playlist(),
        changes in vec(any::<(u8, Index, u8)>(), 1..6),
    ) {
        let mut text = list.to_bytes();
        for change in changes {
            mutate(&mut text, change);
        }
        fuzzing::read_playlist(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        fuzzing::read_playlist(&bytes);
        fuzzing::read_playlist(&[b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n", &*bytes].concat());
        fuzzing::compare_recordings(&bytes);
    }

    #[test]
    fn any_lines_of_known_tags_are_read_or_refused(lines in vec(TAG_LINE, 0..12)) {
        let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n{}\n", lines.join("\n"));
        fuzzing::read_playlist(text.as_bytes());
        let text = format!("#EXTM3U\n{}\n", lines.join("\n"));
        fuzzing::read_playlist(text.as_bytes());
    }

    #[test]
    fn the_part_of_a_recording_that_was_not_seen_is_new(
        count in 0_usize..12,
        seen in 0_usize..12,
        gone in 0_usize..12,
    ) {
        let seen = seen.min(count);
        let line = |n: usize| format!("#EXTINF:10.000000,\nstream{n}.ts\n");
        let list = |first: usize, end: usize| {
            let head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:";
            let body: String = (first..end).map(line).collect();
            Recording::read(format!("{head}{first}\n{body}").as_bytes()).unwrap()
        };
        let gone = gone.min(count);
        let (before, now) = (list(0, seen), list(gone, count));
        let progress = now.since(&before);
        let numbers = progress.new.iter().map(|s| usize::try_from(s.number).unwrap());
        let numbers: Vec<_> = numbers.collect();
        prop_assert_eq!(progress.restarted, None);
        prop_assert_eq!(numbers, (seen.max(gone)..count).collect::<Vec<_>>());
        prop_assert_eq!(usize::try_from(progress.missed).unwrap(), gone.saturating_sub(seen));
    }
}
