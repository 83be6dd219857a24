//! Real players on what the node serves: ffmpeg and ffprobe, while the stream is live and after its end.

use std::{path::Path, process::Command};

use crate::support::{Running, alive, has, playlist, sample};

/// Decodes everything and counts the pictures.
pub(crate) fn frames(input: &str) -> u64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .args(if input.starts_with("http") { &["-live_start_index", "0"][..] } else { &[] })
        .arg(input)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().unwrap().trim().trim_end_matches(',').parse().unwrap()
}

fn duration(input: &str) -> f64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", input])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn demo(recording: &Path, speed: &str) -> (Running, String) {
    let recording = recording.to_str().unwrap();
    let args = ["demo", "--recording", recording, "--speed", speed, "--serve"];
    let mut demo = Running::start(alive(&args));
    let url = demo.line("playlist: ");
    (demo, url)
}

fn list_of(recording: &Path) -> String {
    recording.join("stream.m3u8").to_str().unwrap().to_owned()
}

async fn wait_for_a_segment(url: &str) {
    while playlist(url).await.is_none_or(|(uris, _)| uris.is_empty()) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A recording with segments of one second, so that a player reloads the live list many times.
fn short_segments(folder: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=15"])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-t", "12"])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-g", "15", "-keyint_min", "15"])
        .args(["-sc_threshold", "0", "-c:a", "aac", "-ac", "1", "-f", "hls", "-hls_time", "1"])
        .args(["-hls_list_size", "0", "-hls_playlist_type", "event"])
        .arg(folder.join("stream.m3u8"))
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_shows_every_frame_of_a_live_stream() {
    if !has("ffprobe", "a live stream in a player") {
        return;
    }
    let recording = tempfile::tempdir().unwrap();
    short_segments(recording.path());
    let (mut demo, url) = demo(recording.path(), "1");
    wait_for_a_segment(&url).await;
    let (_, ended) = playlist(&url).await.unwrap();
    assert!(!ended, "the player must begin while the stream is live");
    let live = {
        let url = url.clone();
        tokio::task::spawn_blocking(move || frames(&url)).await.unwrap()
    };
    let recorded = frames(&list_of(recording.path()));
    assert_eq!(live, recorded);
    demo.line("serving ");
    assert_eq!(frames(&url), recorded);
}

#[test]
fn the_bundled_recording_plays_whole_after_its_end() {
    if !has("ffprobe", "the bundled recording in a player") {
        return;
    }
    let (mut demo, url) = demo(&sample("ts-6x10s"), "20");
    demo.line("serving ");
    assert_eq!(frames(&url), frames(&list_of(&sample("ts-6x10s"))));
    assert!((duration(&url) - 60.0).abs() < 0.01);
}

#[test]
fn a_resumed_recording_plays_to_its_full_length() {
    if !has("ffprobe", "the resumed recording in a player") {
        return;
    }
    let (mut demo, url) = demo(&sample("resumed"), "20");
    demo.line("serving ");
    assert_eq!(frames(&url), frames(&list_of(&sample("resumed"))));
    assert!((duration(&url) - 57.0).abs() < 0.01);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i", &url, "-map", "0", "-f", "null", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
