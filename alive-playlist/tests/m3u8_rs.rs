//! What we write, read by the crate `m3u8-rs`.
#![cfg(test)]

mod timeline;

use alive_playlist::assemble;
use m3u8_rs::{MediaPlaylistType, parse_media_playlist};
use proptest::{collection::vec, prelude::*};
use timeline::{segment, settings};

proptest! {
    #[test]
    fn every_list_that_we_write_reads_the_same_there(
        segments in vec(segment(), 0..40),
        settings in settings(),
        ended: bool,
    ) {
        let text = assemble(&segments, ended, &settings);
        let (rest, theirs) = parse_media_playlist(&text).unwrap();
        prop_assert!(rest.is_empty());
        let ours = alive_playlist::MediaPlaylist::read(&text).unwrap();
        prop_assert_eq!(theirs.media_sequence, ours.header().media_sequence);
        prop_assert_eq!(theirs.target_duration, ours.header().target_duration);
        prop_assert_eq!(theirs.end_list, ended);
        let kind = if ended { MediaPlaylistType::Vod } else { MediaPlaylistType::Event };
        prop_assert_eq!(theirs.playlist_type, Some(kind));
        prop_assert_eq!(theirs.segments.len(), segments.len());
        for (theirs, ours) in theirs.segments.iter().zip(ours.segments()) {
            prop_assert_eq!(&*theirs.uri, ours.uri.as_str());
            let duration = ours.duration.as_duration().as_secs_f32();
            prop_assert!((theirs.duration - duration).abs() < 1e-3);
            prop_assert_eq!(theirs.discontinuity, ours.discontinuity);
            let gap = theirs.unknown_tags.iter().any(|tag| tag.tag == "X-GAP");
            prop_assert_eq!(gap, ours.gap);
        }
    }
}
