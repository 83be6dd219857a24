//! Players that others wrote, without a browser: every frame of every segment, in order, from the first to the last.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use alive_core::{
    Quality, Renditions, Segment, Timestamp,
    backend::{LiveCache as _, LiveSegment},
};
use rstest::rstest;
use tokio::task::JoinHandle;

use crate::{
    stage::{
        OtherGateway, Stage, of_fragments, push, push_fragment, renditions, sample,
        short_fragments, short_segments,
    },
    support::{config, configure, end, stream_id},
};

// It needs the players below.
#[path = "parts.rs"]
mod parts;

/// Shows a list to its end, and tells how many frames that were.
type Player = fn(url: &str) -> usize;

/// mpv, which reads lists with the libraries of ffmpeg.
fn mpv(url: &str) -> usize {
    let frames = tempfile::tempdir().unwrap();
    let folder = format!("--vo-image-outdir={}", frames.path().display());
    let output = Command::new("timeout")
        .args(["120", "mpv", "--no-config", "--no-ytdl", "--no-terminal", "--vo=image", &folder])
        .args(["--vo-image-format=jpg", "--vf=scale=64:36", "--framedrop=no", "--untimed"])
        .args(["--ao=null", "--ao-null-untimed=yes", "--demuxer-lavf-o=live_start_index=0", url])
        .output()
        .unwrap();
    succeeded("mpv", url, &output);
    fs::read_dir(frames.path()).unwrap().count()
}

/// `GStreamer`, whose reader of lists is its own. Its elements are put together here: the launcher of its ready-made player
/// pauses whenever a queue is short, beside a fast sink at every moment, and now and then never goes on.
fn gstreamer(url: &str) -> usize {
    let output = Command::new("timeout")
        .args(["120", "gst-launch-1.0", "-v", "souphttpsrc", &format!("location={url}")])
        // As many kbit/s as every rendition needs: one of them from the first to the last.
        .args(["!", "hlsdemux", "connection-speed=100000", "!", "decodebin", "name=decoded"])
        .args(["decoded.", "!", "videoconvert"])
        .args(["!", "fakesink", "name=seen", "silent=false", "sync=false"])
        .args(["decoded.", "!", "audioconvert", "!", "fakesink", "sync=false"])
        .output()
        .unwrap();
    succeeded("GStreamer", url, &output);
    let told = String::from_utf8_lossy(&output.stdout);
    told.lines().filter(|line| line.contains("seen: last-message = chain")).count()
}

fn succeeded(player: &str, url: &str, output: &Output) {
    let told = [&output.stdout, &output.stderr].map(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().filter(|line| !line.contains("last-message")).collect::<Vec<_>>().join("\n")
    });
    assert!(output.status.success(), "{player} {url}: {}\n{}", output.status, told.join("\n"));
}

/// The frames of a recording, counted by ffprobe in the recorder's own list.
fn recorded(folder: &Path) -> usize {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(folder.join("stream.m3u8"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().unwrap().trim().trim_end_matches(',').parse().unwrap()
}

async fn play(player: Player, url: String) -> usize {
    tokio::task::spawn_blocking(move || player(&url)).await.unwrap()
}

/// A stage whose lists have a target duration, and segments at a gateway that tells whether somebody plays them.
async fn behind_a_gateway(target_seconds: u32) -> (Stage, OtherGateway) {
    let content = alive_storage::MemoryStorage::default();
    let gateway = OtherGateway::honest(&content).await;
    let mut config = config();
    config.playlists.list = config
        .playlists
        .list
        .target_seconds(target_seconds.try_into().unwrap())
        .gateway(gateway.url().parse().unwrap());
    (Stage::over(config, content, None).await, gateway)
}

/// Starts a player, and waits until it asks for segments.
async fn begin(player: Player, url: String, gateway: &OtherGateway) -> JoinHandle<usize> {
    let playing = tokio::spawn(play(player, url));
    while gateway.asked() == 0 && !playing.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    playing
}

/// Announces a segment over the live layer.
async fn announce(stage: &Stage, segment: Segment, renditions: Renditions) {
    let at = Timestamp::from_unix_secs(1_700_000_000);
    let live = LiveSegment { segment, renditions, at };
    stage.bench.live.push(&stream_id(), live).await.unwrap();
}

/// Ends the stream with its last pushes, and tells how many frames the player has shown, which may not have ended before.
async fn finish(stage: &mut Stage, pushes: Vec<String>, playing: JoinHandle<usize>) -> usize {
    assert!(!playing.is_finished(), "the player gave up before the stream had ended");
    stage.bench.block(&pushes).await;
    stage.bench.block(&[end()]).await;
    playing.await.unwrap()
}

#[rstest]
#[case::mpv(mpv)]
#[case::gstreamer(gstreamer)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mpv, GStreamer and ffmpeg"]
async fn a_recording_is_shown_whole(#[case] player: Player) {
    let mut stage = Stage::with(config()).await;
    stage.publish(&[("src", sample("ts-6x10s"))]).await;
    let frames = recorded(&sample("ts-6x10s"));
    for path in ["/stream/alice/s.m3u8", "/stream/alice/s/master.m3u8"] {
        assert_eq!(play(player, stage.url(path)).await, frames, "{path}");
    }
}

#[rstest]
#[case::mpv(mpv)]
#[case::gstreamer(gstreamer)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mpv, GStreamer and ffmpeg"]
async fn a_recording_of_several_renditions_is_shown_whole(#[case] player: Player) {
    let mut stage = Stage::with(config()).await;
    stage.publish(&renditions()).await;
    let frames = recorded(&sample("abr-3/src"));
    let lists = ["/stream/alice/s/master.m3u8", "/stream/alice/s.m3u8?quality=240"];
    for path in lists {
        assert_eq!(play(player, stage.url(path)).await, frames, "{path}");
    }
}

#[rstest]
#[case::mpv(mpv, "/stream/alice/s.m3u8")]
#[case::mpv_renditions(mpv, "/stream/alice/s/master.m3u8")]
#[case::gstreamer(gstreamer, "/stream/alice/s.m3u8")]
#[case::gstreamer_renditions(gstreamer, "/stream/alice/s/master.m3u8")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mpv, GStreamer and ffmpeg"]
async fn a_live_stream_is_shown_to_its_end(#[case] player: Player, #[case] path: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    short_segments(folder.path(), 8);
    let (mut stage, gateway) = behind_a_gateway(1).await;
    let segments = stage.record(folder.path()).await;
    let low = segments.clone();
    let renditions = [("src", segments), ("240", low)];
    let mut payloads = vec![configure()];
    // Fewer than players keep distance from the live edge, so that all of them begin with the first.
    payloads.extend((0..3).map(|number| push(number, &renditions)));
    stage.bench.block(&payloads).await;
    stage.bench.list_until("/stream/alice/s", |list| list.listed().len() == 3).await;

    let playing = begin(player, stage.url(path), &gateway).await;
    // The rest comes over the live layer first, a segment at a time, as a recorder closes them.
    for segment in &renditions[0].1[3..] {
        let mut low = Renditions::default();
        low.insert(Quality::P240, segment.content);
        announce(&stage, *segment, low).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let last: Vec<_> = (3..8).map(|number| push(number, &renditions)).collect();
    assert_eq!(finish(&mut stage, last, playing).await, recorded(folder.path()));
}

/// ffmpeg itself, which decodes everything and counts.
fn ffmpeg(url: &str) -> usize {
    let output = Command::new("timeout")
        .args(["120", "ffprobe", "-v", "error", "-live_start_index", "0", "-select_streams", "v:0"])
        .args(["-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", url])
        .output()
        .unwrap();
    succeeded("ffprobe", url, &output);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().unwrap().trim().trim_end_matches(',').parse().unwrap()
}

#[rstest]
#[case::ffmpeg(ffmpeg)]
#[case::mpv(mpv)]
#[case::gstreamer(gstreamer)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mpv, GStreamer and ffmpeg"]
async fn fragments_are_shown_whole_live_and_as_an_archive(#[case] player: Player) {
    let folder = tempfile::tempdir().unwrap();
    short_fragments(folder.path(), 8, "320x180");
    let (mut stage, gateway) = behind_a_gateway(1).await;
    let segments = stage.record(folder.path()).await;
    let section = stage.section(folder.path()).await;
    let pushes = |from: usize, to: usize| -> Vec<_> {
        (from..to).map(|n| push_fragment(n, &segments[n], &section, false)).collect()
    };
    let payloads = [vec![configure()], pushes(0, 3)].concat();
    stage.bench.block(&payloads).await;
    stage.bench.list_until("/stream/alice/s", |list| list.listed().len() == 3).await;

    let playing = begin(player, stage.url("/stream/alice/s.m3u8"), &gateway).await;
    for segment in &segments[3..] {
        let mut renditions = Renditions::default();
        renditions.insert_section(Quality::Src, section);
        announce(&stage, *segment, renditions).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let frames = recorded(folder.path());
    assert_eq!(finish(&mut stage, pushes(3, segments.len()), playing).await, frames);
    assert_eq!(play(player, stage.url("/stream/alice/s.m3u8")).await, frames);
}

#[rstest]
#[case::ffmpeg(ffmpeg)]
#[case::mpv(mpv)]
#[case::gstreamer(gstreamer)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mpv, GStreamer and ffmpeg"]
async fn renditions_of_fragments_are_shown_whole(#[case] player: Player) {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut stage = Stage::with(config()).await;
    let mut renditions = Vec::new();
    for ((name, size), folder) in [("src", "640x360"), ("240", "426x240")].iter().zip(&folders) {
        short_fragments(folder.path(), 6, size);
        let segments = stage.record(folder.path()).await;
        renditions.push((*name, segments, stage.section(folder.path()).await));
    }
    stage.bench.block(&of_fragments(&renditions)).await;
    stage.bench.list_until("/stream/alice/s", crate::support::Answer::ended).await;
    let frames = recorded(folders[0].path());
    for path in ["/stream/alice/s/master.m3u8", "/stream/alice/s.m3u8?quality=240"] {
        assert_eq!(play(player, stage.url(path)).await, frames, "{path}");
    }
}
