//! The lists of the sample recordings, as the recorder wrote them.
#![cfg(test)]

use std::{fs, path::PathBuf};

use alive_playlist::{Playlist, Recording};
use rstest::rstest;

fn sample(path: &str) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media"));
    fs::read(folder.join(path)).unwrap()
}

#[rstest]
#[case("ts-6x10s", 60_000_000, &[])]
#[case("abr-3/src", 60_000_000, &[])]
#[case("fmp4", 30_000_000, &[])]
#[case("resumed", 57_000_000, &[0, 3])]
fn every_segment_is_a_file_of_the_right_length(
    #[case] folder: &str,
    #[case] micros: u64,
    #[case] breaks: &[u64],
) {
    let recording = Recording::read(&sample(&format!("{folder}/stream.m3u8"))).unwrap();
    assert!(recording.ended() && !recording.may_be_cut());
    assert_eq!(recording.segments().iter().map(|s| s.duration.as_micros()).sum::<u64>(), micros);
    let broken = recording.segments().iter().filter(|s| s.discontinuity).map(|s| s.number);
    assert_eq!(broken.collect::<Vec<_>>(), breaks);
    for segment in recording.segments() {
        let name = segment.file_name().unwrap();
        assert!(!sample(&format!("{folder}/{name}")).is_empty());
        assert_eq!(segment.unsupported(), None);
        let section = segment.map.as_ref().map(|map| map.file_name().unwrap());
        assert_eq!(section, (folder == "fmp4").then_some("init.mp4"));
    }
}

#[test]
fn a_recording_found_line_by_line_gives_each_segment_once() {
    let text = sample("resumed/stream.m3u8");
    let ends: Vec<_> = (0..text.len()).filter(|&at| text[at] == b'\n').collect();
    let mut before: Option<Recording> = None;
    let mut seen = Vec::new();
    for end in ends {
        // The first lines are no list yet: the recorder's next try is.
        let Ok(now) = Recording::read(&text[..=end]) else { continue };
        let nothing = Recording::read(b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n").unwrap();
        let progress = now.since(before.as_ref().unwrap_or(&nothing));
        assert_eq!((progress.restarted, progress.missed), (None, 0));
        seen.extend(progress.new.iter().map(|segment| segment.uri.clone()));
        before = Some(now);
    }
    let names: Vec<_> = (0..6).map(|n| format!("stream{n}.ts").into_boxed_str()).collect();
    assert_eq!(seen, names);
}

#[test]
fn a_list_of_renditions_is_no_recording() {
    let text = sample("abr-3/master.m3u8");
    assert!(
        matches!(Playlist::read(&text), Ok(Playlist::Multivariant(list)) if list.variants.len() == 3)
    );
    assert!(Recording::read(&text).is_err());
}
