//! Random timelines of streams, and ways to list them.

use alive_core::{ContentId, Flags, Segment, SegmentDuration};
use alive_playlist::{Extension, ListSettings};
use proptest::prelude::*;

pub(crate) const CIDS: [&str; 3] = [
    "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
    "bafkreignnzkzjnlkbntdha6dh2lbhnewesplw537qfhgdtmuz3u3qkgtv4",
    "AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q",
];

/// A segment of a stream.
pub(crate) fn segment() -> impl Strategy<Value = Segment> {
    let duration = 1..SegmentDuration::LIMIT_MICROS;
    (0..CIDS.len(), duration, any::<(bool, bool)>()).prop_map(|(id, micros, (gap, broken))| {
        let id: ContentId = CIDS[id].parse().unwrap();
        Segment::new(id, SegmentDuration::from_micros(micros).unwrap())
            .with_flags(Flags::new(broken, gap))
    })
}

/// How a list is made.
pub(crate) fn settings() -> impl Strategy<Value = ListSettings> {
    let gateways =
        [None, Some("https://gw.example"), Some("http://[::1]:8080/a/"), Some("http://x//")];
    let extensions = [Extension::M4s, Extension::Mp4, Extension::Ts];
    (0..gateways.len(), 1_u32..200, 0..extensions.len()).prop_map(move |(at, target, extension)| {
        let settings = ListSettings::default()
            .target_seconds(target.try_into().unwrap())
            .extension(extensions[extension]);
        match gateways[at] {
            None => settings,
            Some(gateway) => settings.gateway(gateway.parse().unwrap()),
        }
    })
}
