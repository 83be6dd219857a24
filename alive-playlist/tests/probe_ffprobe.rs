//! The probe beside `ffprobe`, where it is installed.
#![cfg(test)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use alive_playlist::probe::{AudioFamily, CodecId, InitProbe, VideoFamily, agrees, probe_ts};
use serde_json::Value;

fn media() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "vectors", "media"].iter().collect()
}

/// Says so and gives `false` when `program` is missing. Written past the capture of the test
/// harness: a check that does not run must be seen.
fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("-version").output().is_ok();
    if !found {
        let line =
            format!("SKIPPED: {program} is not installed, the probe was not compared with it");
        writeln!(std::io::stderr(), "{line}").unwrap();
    }
    found
}

fn ffprobe(file: &Path, select: &str) -> Value {
    let args = ["-v", "error", "-of", "json", "-count_packets", "-select_streams", select];
    let entries = "stream=codec_name,profile,level,width,height,sample_rate,channels,\
                   nb_read_packets:packet=pts,dts,flags";
    let output = Command::new("ffprobe")
        .args(args)
        .args(["-show_entries", entries, "-show_packets"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn segments() -> Vec<PathBuf> {
    let folders = ["ts-6x10s", "abr-3/src", "abr-3/480p", "abr-3/240p", "resumed"];
    let segments: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| (0..6).map(move |n| media().join(folder).join(format!("stream{n}.ts"))))
        .collect();
    assert_eq!(segments.len(), 30);
    segments
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_u64().unwrap(),
    }
}

#[test]
fn video_is_what_ffprobe_says() {
    if !installed("ffprobe") {
        return;
    }
    for file in segments() {
        let theirs = ffprobe(&file, "v:0");
        let (stream, packets) = (&theirs["streams"][0], theirs["packets"].as_array().unwrap());
        let ours = probe_ts(&std::fs::read(&file).unwrap()).unwrap();
        let video = ours.video.as_ref().unwrap();
        let name = file.display();
        assert_eq!(stream["codec_name"], "h264", "{name}");
        assert_eq!(stream["profile"], "Main", "{name}");
        let Some(CodecId::Avc { profile: 77, level, .. }) = video.codec else {
            panic!("{name}: {:?}", video.codec)
        };
        assert_eq!(u64::from(level), number(&stream["level"]), "{name}");
        let size = video.resolution.unwrap();
        assert_eq!(u64::from(size.width), number(&stream["width"]), "{name}");
        assert_eq!(u64::from(size.height), number(&stream["height"]), "{name}");
        assert_eq!(video.frames, number(&stream["nb_read_packets"]), "{name}");
        assert_eq!(ours.first_pts.as_ticks(), number(&packets[0]["pts"]), "{name}");
        assert_eq!(ours.first_dts.as_ticks(), number(&packets[0]["dts"]), "{name}");
        let last = packets.last().unwrap();
        assert_eq!(ours.last_dts.as_ticks(), number(&last["dts"]), "{name}");
        let key = packets[0]["flags"].as_str().unwrap().starts_with('K');
        assert_eq!(ours.starts_with_key_frame, key, "{name}");
    }
}

#[test]
fn audio_is_what_ffprobe_says() {
    if !installed("ffprobe") {
        return;
    }
    for file in segments() {
        let theirs = ffprobe(&file, "a:0");
        let stream = &theirs["streams"][0];
        let audio = probe_ts(&std::fs::read(&file).unwrap()).unwrap().audio.unwrap();
        let name = file.display();
        assert_eq!(stream["codec_name"], "aac", "{name}");
        assert_eq!(stream["profile"], "LC", "{name}");
        assert_eq!(u64::from(audio.sample_rate.unwrap()), number(&stream["sample_rate"]), "{name}");
        assert_eq!(u64::from(audio.channels.unwrap()), number(&stream["channels"]), "{name}");
        assert_eq!(audio.frames, number(&stream["nb_read_packets"]), "{name}");
    }
}

/// Encodes two seconds with these settings; `None` when this build of ffmpeg cannot.
fn encode(name: &str, settings: &[&str]) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new("ffmpeg")
        .args(["-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=362x202:rate=25"])
        .args(["-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "2"])
        .args(settings)
        .args(["-f", "mpegts"])
        .arg(&file)
        .output()
        .unwrap();
    if output.status.success() {
        return Some(file);
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    writeln!(std::io::stderr(), "SKIPPED: ffmpeg does not make {name}: {reason}").unwrap();
    None
}

#[test]
fn other_encodings_are_what_ffprobe_says() {
    if !(installed("ffprobe") && installed("ffmpeg")) {
        return;
    }
    let x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-ac", "2"];
    for (name, extra) in [
        ("high.ts", &["-profile:v", "high", "-pix_fmt", "yuv420p"][..]),
        ("high422.ts", &["-profile:v", "high422", "-pix_fmt", "yuv422p"]),
        ("high444.ts", &["-profile:v", "high444", "-pix_fmt", "yuv444p", "-qp", "1"]),
        ("interlaced.ts", &["-flags", "+ilme+ildct", "-vf", "scale=364:204"]),
        ("slices.ts", &["-slices", "4", "-bf", "3"]),
        ("small-pes.ts", &["-muxdelay", "0", "-pes_payload_size", "200"]),
    ] {
        let settings = [&x264[..], extra].concat();
        let Some(file) = encode(name, &settings) else { continue };
        let (video, audio) = (ffprobe(&file, "v:0"), ffprobe(&file, "a:0"));
        let ours = probe_ts(&std::fs::read(&file).unwrap()).unwrap();
        let size = ours.video.as_ref().unwrap().resolution.unwrap();
        let stream = &video["streams"][0];
        assert_eq!(u64::from(size.width), number(&stream["width"]), "{name}");
        assert_eq!(u64::from(size.height), number(&stream["height"]), "{name}");
        let frames = ours.video.as_ref().unwrap().frames;
        assert_eq!(frames, number(&stream["nb_read_packets"]), "{name}");
        assert!(ours.starts_with_key_frame, "{name}");
        assert_eq!(ours.duration.map(|duration| duration.as_micros()), Some(2_000_000), "{name}");
        let stream = &audio["streams"][0];
        let track = ours.audio.unwrap();
        assert_eq!(track.frames, number(&stream["nb_read_packets"]), "{name}");
        assert_eq!(track.channels.map(u64::from), Some(number(&stream["channels"])), "{name}");
        assert_eq!(track.sample_rate, Some(48_000), "{name}");
    }
}

#[test]
fn hevc_is_recognised_and_nothing_is_made_up_about_it() {
    if !(installed("ffprobe") && installed("ffmpeg")) {
        return;
    }
    let settings = ["-c:v", "libx265", "-x265-params", "log-level=none:open-gop=0", "-c:a", "aac"];
    let Some(file) = encode("hevc.ts", &settings) else { return };
    let ours = probe_ts(&std::fs::read(&file).unwrap()).unwrap();
    let video = ours.video.as_ref().unwrap();
    assert_eq!((video.family, video.codec, video.resolution), (VideoFamily::Hevc, None, None));
    assert_eq!(video.frames, number(&ffprobe(&file, "v:0")["streams"][0]["nb_read_packets"]));
    assert!(video.first_sps.is_some());
    assert!(ours.starts_with_key_frame);
    assert_eq!(ours.duration.map(|duration| duration.as_micros()), Some(2_000_000));
    assert_eq!(ours.codecs(), None);
}

#[test]
fn a_segment_of_audio_alone_is_measured_by_its_samples() {
    if !(installed("ffprobe") && installed("ffmpeg")) {
        return;
    }
    let Some(file) = encode("audio.ts", &["-vn", "-c:a", "aac", "-ac", "1"]) else { return };
    let ours = probe_ts(&std::fs::read(&file).unwrap()).unwrap();
    let theirs = ffprobe(&file, "a:0");
    let frames = number(&theirs["streams"][0]["nb_read_packets"]);
    assert_eq!(ours.audio.as_ref().unwrap().frames, frames);
    let want = (frames * 1_024_000_000 + 24_000) / 48_000;
    assert_eq!(ours.duration.map(|duration| duration.as_micros()), Some(u128::from(want)));
    assert_eq!(ours.first_dts.as_ticks(), number(&theirs["packets"][0]["dts"]));
    assert_eq!(ours.codecs().as_deref(), Some("mp4a.40.2"));
    assert!(ours.video.is_none() && ours.starts_with_key_frame);
}

#[test]
fn audio_that_is_not_looked_into_is_measured_by_its_time_stamps() {
    if !(installed("ffprobe") && installed("ffmpeg")) {
        return;
    }
    let Some(file) = encode("mp2.ts", &["-vn", "-c:a", "mp2", "-ac", "1"]) else { return };
    let ours = probe_ts(&std::fs::read(&file).unwrap()).unwrap();
    let audio = ours.audio.as_ref().unwrap();
    assert!(matches!(audio.family, AudioFamily::Other(0x03 | 0x04)), "{:?}", audio.family);
    assert_eq!((audio.codec, audio.sample_rate, audio.frames), (None, None, 0));
    assert_eq!(ours.codecs(), None);
    assert!(agrees(Duration::from_secs(2), ours.duration.unwrap()), "{:?}", ours.duration);
}

/// Encodes two seconds into fragments of MP4 with ffmpeg's writer of DASH, a folder for each; `None` when this build of
/// ffmpeg cannot.
fn fragments(name: &str, settings: &[&str]) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=364x204:rate=25"])
        .args(["-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "2"])
        .args(settings)
        .args(["-f", "dash", "-dash_segment_type", "mp4", "-seg_duration", "2"])
        .args(["-init_seg_name", "$RepresentationID$.mp4"])
        .args(["-media_seg_name", "$RepresentationID$-$Number$.m4s"])
        .arg(folder.join("list.mpd"))
        .output()
        .unwrap();
    if output.status.success() {
        return Some(folder);
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    writeln!(std::io::stderr(), "SKIPPED: ffmpeg does not make {name}: {reason}").unwrap();
    None
}

/// What the recorder wrote into its own list about the codec of its one stream.
fn told_by_the_recorder(folder: &Path) -> String {
    let list = std::fs::read_to_string(folder.join("list.mpd")).unwrap();
    list.split_once("codecs=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

/// The codec texts beside those that ffmpeg writes for the same files; of H.265 it names only the entry.
#[test]
fn codecs_of_fragments_are_those_that_another_program_names() {
    if !(installed("ffprobe") && installed("ffmpeg")) {
        return;
    }
    let mut compared = 0;
    for (name, settings, told) in [
        ("dash-avc", &["-an", "-c:v", "libx264", "-preset", "ultrafast"][..], None),
        ("dash-avc-high", &["-an", "-c:v", "libx264", "-profile:v", "high"], None),
        (
            "dash-hevc",
            &["-an", "-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "log-level=none"],
            Some("hvc1.1.6.L60.90"),
        ),
        (
            "dash-hevc-ten",
            &[
                "-an",
                "-c:v",
                "libx265",
                "-pix_fmt",
                "yuv420p10le",
                "-x265-params",
                "log-level=none",
            ],
            Some("hev1.2.4.L60.90"),
        ),
        ("dash-av1", &["-an", "-c:v", "libsvtav1", "-preset", "12"], None),
        (
            "dash-vp9",
            &["-an", "-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime"],
            None,
        ),
        ("dash-aac", &["-vn", "-c:a", "aac", "-ac", "2"], None),
        ("dash-opus", &["-vn", "-c:a", "libopus"], None),
        ("dash-ac3", &["-vn", "-c:a", "ac3", "-ac", "2"], Some("ac-3")),
        ("dash-eac3", &["-vn", "-c:a", "eac3", "-ac", "2"], Some("ec-3")),
        ("dash-mp3", &["-vn", "-c:a", "libmp3lame"], Some("mp4a.6B")),
        ("dash-flac", &["-vn", "-c:a", "flac", "-strict", "-2"], Some("fLaC")),
    ] {
        let Some(folder) = fragments(name, settings) else { continue };
        let init = InitProbe::read(&std::fs::read(folder.join("0.mp4")).unwrap()).unwrap();
        let segment = std::fs::read(folder.join("0-1.m4s")).unwrap();
        let ours = init.probe_fragment(&segment).unwrap_or_else(|why| panic!("{name}: {why}"));
        let want = told.map_or_else(|| told_by_the_recorder(&folder), str::to_owned);
        let codecs = ours.codecs().unwrap_or_else(|| panic!("{name}: no codec"));
        // The recorder adds the colours of AV1 and VP9, which may be left out.
        assert!(
            want == codecs || want.starts_with(&format!("{codecs}.")),
            "{name}: {codecs} {want}"
        );
        assert!(ours.starts_with_key_frame, "{name}");
        assert!(agrees(Duration::from_secs(2), ours.duration.unwrap()), "{name} {ours:?}");

        let whole = folder.join("whole.mp4");
        let init = std::fs::read(folder.join("0.mp4")).unwrap();
        std::fs::write(&whole, [init, segment].concat()).unwrap();
        let (select, frames) = match (&ours.video, &ours.audio) {
            (Some(video), _) => ("v:0", video.frames),
            (None, audio) => ("a:0", audio.as_ref().unwrap().frames),
        };
        let theirs = ffprobe(&whole, select);
        let stream = &theirs["streams"][0];
        assert_eq!(frames, number(&stream["nb_read_packets"]), "{name}");
        if let Some(video) = &ours.video {
            let size = video.resolution.unwrap();
            assert_eq!(u64::from(size.width), number(&stream["width"]), "{name}");
            assert_eq!(u64::from(size.height), number(&stream["height"]), "{name}");
        }
        if let Some(audio) = &ours.audio {
            assert_eq!(audio.sample_rate.map(u64::from), Some(48_000), "{name}");
            let channels = audio.channels.map_or_else(|| number(&stream["channels"]), u64::from);
            assert_eq!(channels, number(&stream["channels"]), "{name}");
        }
        compared += 1;
    }
    assert!(compared >= 8, "only {compared} codings were compared");
}
