//! Conversions between our types and those of the crate `m3u8-rs`.
#![cfg(test)]

mod model;

use alive_playlist::{
    ConversionProblem, FrameRate, KeySet, MediaPlaylist, ModelError, MultivariantPlaylist,
    Playlist, ServerControl, Variant,
};
use model::{media_playlist, multivariant_playlist};
use proptest::prelude::*;
use rstest::rstest;

/// Takes out what their types cannot hold.
fn without_losses(list: &MediaPlaylist<'static>) -> MediaPlaylist<'static> {
    let mut header = list.header().clone();
    header.version = header.version.filter(|&version| usize::try_from(version).is_ok());
    // Left-out segments only count for the number of the first one there, and offers are lost.
    header.media_sequence += std::mem::take(&mut header.skipped_segments);
    header.server_control = ServerControl::default();
    header.part_target = None;
    let mut kept = MediaPlaylist::new(header);
    for segment in list.segments() {
        let mut segment = segment.clone();
        // One key per segment, and no way to tell a set from the key that changed.
        segment.keys = KeySet::default();
        segment.parts = Vec::new();
        kept.push(segment).unwrap();
    }
    kept
}

proptest! {
    #[test]
    fn media_lists_go_there_and_back(list in media_playlist()) {
        let list = without_losses(&list);
        let theirs = m3u8_rs::MediaPlaylist::from(&list);
        let back = MediaPlaylist::try_from(&theirs).unwrap();
        prop_assert_eq!(back.header(), list.header());
        prop_assert_eq!(back.segments().len(), list.segments().len());
        for (back, list) in back.segments().iter().zip(list.segments()) {
            let (a, b) = (back.duration.as_duration(), list.duration.as_duration());
            prop_assert!(a.abs_diff(b).as_secs_f32() <= b.as_secs_f32() * f32::EPSILON + 1e-6);
            let mut back = back.clone();
            back.duration = list.duration;
            prop_assert_eq!(&back, list);
        }
    }

    #[test]
    fn renditions_go_there_and_back(list in multivariant_playlist()) {
        let theirs = m3u8_rs::MasterPlaylist::from(&list);
        let back = MultivariantPlaylist::try_from(&theirs).unwrap();
        for (back, list) in back.variants.iter().zip(&list.variants) {
            let rate = |v: &Variant<'_>| v.frame_rate.as_ref().map_or(0.0, FrameRate::to_f64);
            prop_assert!((rate(back) - rate(list)).abs() <= 5.1e-4);
            let mut back = back.clone();
            back.frame_rate.clone_from(&list.frame_rate);
            prop_assert_eq!(&back, list);
        }
    }
}

#[test]
fn a_key_stays_in_force_until_it_is_ended() {
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\",IV=0x1\n\
        #EXTINF:1,\na\n#EXTINF:1,\nb\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:1,\nc\n";
    let ours = MediaPlaylist::read(text.as_bytes()).unwrap();
    let theirs = m3u8_rs::MediaPlaylist::from(&ours);
    let keys: Vec<_> = theirs.segments.iter().map(|segment| segment.key.is_some()).collect();
    assert_eq!(keys, [true, false, true]);
    assert_eq!(MediaPlaylist::try_from(&theirs), Ok(ours));
}

/// A list of theirs with one segment.
fn theirs(change: impl FnOnce(&mut m3u8_rs::MediaSegment)) -> m3u8_rs::MediaPlaylist {
    let mut segment =
        m3u8_rs::MediaSegment { uri: "a.ts".into(), duration: 1.0, ..Default::default() };
    change(&mut segment);
    m3u8_rs::MediaPlaylist { segments: vec![segment], ..Default::default() }
}

#[rstest]
#[case(theirs(|s| s.duration = -1.0))]
#[case(theirs(|s| s.duration = f32::INFINITY))]
#[case(theirs(|s| s.duration = f32::NAN))]
#[case(theirs(|s| s.duration = 86_401.0))]
#[case(theirs(|s| s.uri = "a\nb".into()))]
#[case(theirs(|s| s.uri = String::new()))]
#[case(theirs(|s| s.title = Some("a\nb".into())))]
#[case(theirs(|s| s.byte_range = Some(m3u8_rs::ByteRange { length: 1, offset: None })))]
#[case(theirs(|s| s.map = Some(m3u8_rs::Map { uri: "\"".into(), ..Default::default() })))]
fn what_their_parser_lets_through_is_refused(#[case] list: m3u8_rs::MediaPlaylist) {
    assert_eq!(MediaPlaylist::try_from(&list).unwrap_err().index(), 0);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let mut list = theirs(|_| ());
    list.media_sequence = u64::MAX;
    list.segments.push(list.segments[0].clone());
    let error = MediaPlaylist::try_from(&list).unwrap_err();
    assert_eq!(error.index(), 1);
    assert_eq!(error.problem(), &ConversionProblem::Order(ModelError::Sequence));
}

#[test]
fn what_they_parse_converts_to_what_we_read() {
    let text =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/fmp4/stream.m3u8"));
    let (_, theirs) = m3u8_rs::parse_media_playlist(text).unwrap();
    assert_eq!(
        MediaPlaylist::try_from(&theirs),
        MediaPlaylist::read(text).map_err(|e| panic!("{e}"))
    );
    let text =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/abr-3/master.m3u8"));
    let (_, theirs) = m3u8_rs::parse_master_playlist(text).unwrap();
    let ours = MultivariantPlaylist::try_from(&theirs).unwrap();
    assert_eq!(Playlist::read(text), Ok(Playlist::Multivariant(ours)));
}
