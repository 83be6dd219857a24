//! Players and the parts of segments that are still being recorded: who knows parts plays them, who does not is not
//! disturbed.

use std::{fs, path::Path, time::Duration};

use alive_core::{
    ContentId, Quality, Renditions, Segment, SegmentDuration, Timestamp,
    backend::{LiveCache as _, LivePart, Storage as _},
};
use alive_node::NodeConfig;
use alive_playlist::MediaPlaylist;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use super::{Player, announce, begin, behind_a_gateway, ffmpeg, finish, gstreamer, mpv, recorded};
use crate::{
    driver::Browser,
    stage::{Stage, push_fragment, short_parts},
    support::{config, configure, end, stream_id},
};

const WATCH: &str = "/watch/hive/alice/s";
/// Half-second parts of a segment.
const PARTS: usize = 4;

/// A recording as its streamer announces it.
struct Recording {
    folder: TempDir,
    section: ContentId,
    /// Each segment and its parts.
    segments: Vec<(Segment, Vec<LivePart>)>,
}

impl Recording {
    /// Records, and stores segments and parts.
    async fn new(stage: &Stage, seconds: u32, size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        short_parts(folder.path(), seconds, size);
        let section = stage.section(folder.path()).await;
        let text = fs::read(folder.path().join("stream.m3u8")).unwrap();
        let list = MediaPlaylist::read(&text).unwrap();
        let mut segments = Vec::<(Segment, Vec<LivePart>)>::new();
        for (number, files) in list.segments().chunks(PARTS).enumerate() {
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            let after = segments.last().map(|(before, _)| before.content);
            for (index, file) in files.iter().enumerate() {
                let bytes = read(folder.path(), file.uri.as_str());
                whole.extend_from_slice(&bytes);
                let content = stage.content.put(bytes.into()).await.unwrap();
                let millis = file.duration.as_micros().div_ceil(1000);
                let micros = u32::try_from(millis * 1000).unwrap();
                parts.extend(after.map(|after| LivePart {
                    number: number.try_into().unwrap(),
                    index: index.try_into().unwrap(),
                    after,
                    duration: SegmentDuration::from_micros(micros).unwrap(),
                    content,
                    quality: Quality::Src,
                    section: Some(section),
                    independent: index % 2 == 0,
                    at: Timestamp::EPOCH,
                }));
            }
            let content = stage.content.put(whole.into()).await.unwrap();
            let micros: u64 = files.iter().map(|file| file.duration.as_micros()).sum();
            let length = format!("{:.3}", Duration::from_micros(micros).as_secs_f64());
            segments.push((Segment::new(content, length.parse().unwrap()), parts));
        }
        Self { folder, section, segments }
    }

    /// Pushes of some of its segments to the chain.
    fn pushes(&self, range: std::ops::Range<usize>) -> Vec<String> {
        let push =
            |number: usize| push_fragment(number, &self.segments[number].0, &self.section, false);
        range.map(push).collect()
    }

    /// Announces some parts of a segment, as often as a recorder has them.
    async fn announce_parts(&self, stage: &Stage, number: usize, range: std::ops::Range<usize>) {
        for part in &self.segments[number].1[range] {
            stage.bench.live.push_part(&stream_id(), *part).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn announce(&self, stage: &Stage, number: usize) {
        let mut renditions = Renditions::default();
        renditions.insert_section(Quality::Src, self.section);
        announce(stage, self.segments[number].0, renditions).await;
    }
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

/// Lists for segments of two seconds.
fn short() -> NodeConfig {
    let mut config = config();
    config.playlists.list = config.playlists.list.target_seconds(2.try_into().unwrap());
    config
}

/// The addresses that a page has asked for.
fn asked(browser: &mut Browser) -> Vec<String> {
    let asked = browser.evaluate("performance.getEntriesByType('resource').map((r) => r.name)");
    let text = |name: &Value| name.as_str().unwrap().to_owned();
    asked.as_array().unwrap().iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium, npm and ffmpeg"]
async fn a_browser_plays_parts_before_their_segment_is_whole_and_checks_each() {
    let mut stage = Stage::with(short()).await;
    let recording = Recording::new(&stage, 16, "320x180").await;
    assert_eq!(recording.segments.len(), 8);
    stage.bench.block(&[vec![configure()], recording.pushes(0..3)].concat()).await;
    stage.bench.list_until("/stream/alice/s", |list| list.listed().len() == 3).await;
    let mut browser = Browser::start();
    browser.act(
        "before",
        serde_json::json!({
            "script": "performance.setResourceTimingBufferSize(5000)"
        }),
    );
    browser.open(&stage.url(WATCH));
    browser.until_played(1);
    for number in 3..6 {
        recording.announce_parts(&stage, number, 0..PARTS).await;
        recording.announce(&stage, number).await;
    }
    // Three parts of a segment that does not become whole for now: the player goes on into them.
    recording.announce_parts(&stage, 6, 0..3).await;
    let whole: f64 =
        recording.segments[..6].iter().map(|(s, _)| s.duration.as_duration().as_secs_f64()).sum();
    browser.until(&format!("document.getElementById('video').currentTime > {}", whole + 0.5));
    let asked = asked(&mut browser);
    let of_parts = asked.iter().filter(|url| {
        let parts = recording.segments.iter().flat_map(|(_, parts)| parts);
        parts.into_iter().any(|part| url.contains(part.content.as_str()))
    });
    assert!(of_parts.count() >= 3, "{asked:?}");
    let waits = asked.iter().filter(|url| url.contains("_HLS_part=")).count();
    assert!(waits >= PARTS, "{asked:?}");
    let last = recording.segments[6].0.content;
    assert!(!asked.iter().any(|url| url.contains(last.as_str())), "it is not there yet");
    browser.until_text("proof-checked", " parts, ");
    assert!(browser.text("badge").starts_with("Verified"), "{}", browser.text("badge"));
    browser.screenshot("parts");

    // The segment becomes whole, the stream ends, and the recording is the same as ever.
    recording.announce_parts(&stage, 6, 3..PARTS).await;
    recording.announce(&stage, 6).await;
    recording.announce_parts(&stage, 7, 0..PARTS).await;
    recording.announce(&stage, 7).await;
    stage.bench.block(&[recording.pushes(3..8), vec![end()]].concat()).await;
    browser.until_text("state", "Recording");
    browser.until("document.getElementById('video').ended");
    let length = browser.evaluate("document.getElementById('video').duration");
    assert!((length.as_f64().unwrap() - 16.0).abs() < 0.5, "{length}");
    assert!(browser.text("badge").starts_with("Verified"), "{}", browser.text("badge"));
    browser.saw_only("status of 503", &[stage.bench.node.address().to_string()]);
}

#[rstest]
#[case::ffmpeg(ffmpeg)]
#[case::mpv(mpv)]
#[case::gstreamer(gstreamer)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mpv, GStreamer and ffmpeg"]
async fn who_knows_no_parts_shows_every_frame_of_the_segments(#[case] player: Player) {
    let (mut stage, gateway) = behind_a_gateway(2).await;
    let recording = Recording::new(&stage, 12, "320x180").await;
    stage.bench.block(&[vec![configure()], recording.pushes(0..3)].concat()).await;
    stage.bench.list_until("/stream/alice/s", |list| list.listed().len() == 3).await;
    let playing = begin(player, stage.url("/stream/alice/s.m3u8"), &gateway).await;
    for number in 3..recording.segments.len() {
        recording.announce_parts(&stage, number, 0..PARTS).await;
        let list = stage.bench.get("/stream/alice/s.m3u8").await;
        assert!(list.text().contains("#EXT-X-PART:"), "{}", list.text());
        recording.announce(&stage, number).await;
    }
    let last = recording.pushes(3..recording.segments.len());
    assert_eq!(finish(&mut stage, last, playing).await, recorded(recording.folder.path()));
}
