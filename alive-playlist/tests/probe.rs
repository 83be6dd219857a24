//! The probe on the sample recordings: exact figures, discontinuities, the wrap of the clock,
//! damage.
#![cfg(test)]

use std::path::PathBuf;
use std::time::Duration;

use alive_playlist::probe::{
    AudioFamily, Break, Container, Continuity, MediaTime, ProbeError, Resolution, SegmentProbe,
    TsStats, VideoFamily, agrees, duration_from_next, fuzzing, is_continuation, probe_ts,
};
use proptest::prelude::*;
use rstest::rstest;

const PACKET: usize = 188;

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "vectors", "media", name].iter().collect()
}

fn read(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn probe(name: &str) -> SegmentProbe {
    probe_ts(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn recording(folder: &str) -> Vec<SegmentProbe> {
    (0..6).map(|n| probe(&format!("{folder}/stream{n}.ts"))).collect()
}

/// The durations and discontinuities that the recorder's playlist lists.
fn listed(folder: &str) -> Vec<(Duration, bool)> {
    let text = String::from_utf8(read(&format!("{folder}/stream.m3u8"))).unwrap();
    let mut breaks = false;
    let mut all = Vec::new();
    for line in text.lines() {
        if line == "#EXT-X-DISCONTINUITY" {
            breaks = true;
        } else if let Some(rest) = line.strip_prefix("#EXTINF:") {
            let seconds: f64 = rest.split(',').next().unwrap().parse().unwrap();
            all.push((Duration::from_secs_f64(seconds), std::mem::take(&mut breaks)));
        }
    }
    all
}

fn stats(probe: &SegmentProbe) -> TsStats {
    match probe.container {
        Container::MpegTs(stats) => stats,
        ref other => panic!("{other:?}"),
    }
}

/// The segment with every time stamp of video and audio moved by `ticks`.
fn moved(data: &[u8], ticks: u64) -> Vec<u8> {
    let mut data = data.to_vec();
    for packet in data.chunks_mut(PACKET) {
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        if packet[1] & 0x40 == 0 || !matches!(pid, 0x100 | 0x101) {
            continue;
        }
        let body = if packet[3] & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
        let pes = &mut packet[body..];
        assert_eq!(pes[..3], [0, 0, 1]);
        let stamps = pes[7].count_ones().min(2) as usize;
        for stamp in pes[9..].chunks_mut(5).take(stamps) {
            move_stamp(stamp.try_into().unwrap(), ticks);
        }
    }
    data
}

fn move_stamp(stamp: &mut [u8; 5], ticks: u64) {
    let [b0, b1, b2, b3, b4] = stamp.map(u64::from);
    let old = (b0 >> 1 & 7) << 30 | b1 << 22 | (b2 >> 1) << 15 | b3 << 7 | b4 >> 1;
    let new = (old + ticks) % MediaTime::MODULUS;
    let bits = |shift: u32, mask: u64| u8::try_from(new >> shift & mask).unwrap();
    *stamp = [
        stamp[0] & 0xf1 | bits(30, 7) << 1,
        bits(22, 0xff),
        bits(15, 0x7f) << 1 | 1,
        bits(7, 0xff),
        bits(0, 0x7f) << 1 | 1,
    ];
}

/// The packets of which `keep` says so (given index and PID).
fn only(data: &[u8], keep: impl Fn(usize, u16) -> bool) -> Vec<u8> {
    let pid = |packet: &[u8]| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
    data.chunks(PACKET)
        .enumerate()
        .filter(|(index, packet)| keep(*index, pid(packet)))
        .flat_map(|(_, packet)| packet.to_vec())
        .collect()
}

#[rstest]
#[case("ts-6x10s", "avc1.4d4015", (320, 180), 150)]
#[case("abr-3/src", "avc1.4d401f", (1280, 720), 100)]
#[case("abr-3/480p", "avc1.4d4016", (854, 480), 100)]
#[case("abr-3/240p", "avc1.4d4015", (426, 240), 100)]
fn recordings_have_the_figures_they_were_made_with(
    #[case] folder: &str,
    #[case] codec: &str,
    #[case] (width, height): (u32, u32),
    #[case] frames: u64,
) {
    for (n, probe) in recording(folder).iter().enumerate() {
        assert_eq!(probe.duration, Some(Duration::from_secs(10)), "{folder} {n}");
        assert_eq!(probe.codecs().unwrap(), format!("{codec},mp4a.40.2"), "{folder} {n}");
        assert!(probe.starts_with_key_frame, "{folder} {n}");
        let video = probe.video.as_ref().unwrap();
        assert_eq!(video.family, VideoFamily::H264);
        assert_eq!(video.resolution, Some(Resolution { width, height }), "{folder} {n}");
        assert_eq!(video.frames, frames, "{folder} {n}");
        assert!(video.first_sps.is_some());
        assert_eq!(video.first_sps, video.last_sps);
        let audio = probe.audio.as_ref().unwrap();
        assert_eq!(audio.family, AudioFamily::Aac);
        assert_eq!((audio.sample_rate, audio.channels), (Some(44_100), Some(1)));
        let stats = stats(probe);
        assert_eq!(stats.packets * 188, u64::try_from(probe.size).unwrap());
        assert_eq!((stats.continuity_errors, stats.damaged_packets), (0, 0), "{folder} {n}");
        assert_eq!((stats.checksum_errors, stats.table_changes), (0, 0), "{folder} {n}");
    }
}

#[test]
fn the_first_unit_has_the_times_of_a_fresh_encoder() {
    let probe = probe("ts-6x10s/stream0.ts");
    assert_eq!(probe.first_pts.to_string(), "1.533333");
    assert_eq!(probe.first_dts.to_string(), "1.400000");
    let next = self::probe("ts-6x10s/stream1.ts");
    assert_eq!(next.first_pts.to_string(), "11.533333");
    assert_eq!(next.first_dts.to_string(), "11.400000");
    assert_eq!(next.first_dts.ticks_since(probe.last_dts), 6_000);
}

#[test]
fn audio_is_counted_in_whole_frames() {
    let audio = |n: u8| probe(&format!("ts-6x10s/stream{n}.ts")).audio.unwrap();
    let (first, second) = (audio(0), audio(1));
    assert_eq!((first.frames, second.frames), (426, 431));
    assert_eq!(first.duration(), Some(Duration::from_micros(9_891_701)));
    // 431 frames of 1024 samples at 44.1 kHz, to the microsecond.
    assert_eq!(second.duration(), Some(Duration::from_micros(10_007_800)));
}

#[rstest]
#[case("ts-6x10s", &[])]
#[case("abr-3/src", &[])]
#[case("abr-3/480p", &[])]
#[case("abr-3/240p", &[])]
#[case("resumed", &[3])]
fn discontinuities_are_where_the_encoder_was_started_anew(
    #[case] folder: &str,
    #[case] want: &[usize],
) {
    let (probes, listed) = (recording(folder), listed(folder));
    for (probe, (extinf, _)) in probes.iter().zip(&listed) {
        assert!(agrees(*extinf, probe.duration.unwrap()), "{folder} {extinf:?}");
        assert_eq!(probe.duration, Some(*extinf));
    }
    let broken: Vec<usize> = (1..probes.len())
        .filter(|n| {
            let (previous, next) = (&probes[n - 1], &probes[*n]);
            let judged = is_continuation(previous, previous.duration.unwrap(), next);
            judged != Continuity::Continues
        })
        .collect();
    assert_eq!(broken, want);
    let written: Vec<usize> = (1..listed.len()).filter(|n| listed[*n].1).collect();
    assert_eq!(broken, written);
}

#[test]
fn the_resumed_recording_steps_back_in_time_and_ends_with_seven_seconds() {
    let probes = recording("resumed");
    let judged = is_continuation(&probes[2], Duration::from_secs(10), &probes[3]);
    assert_eq!(judged, Continuity::Breaks(Break::Time { off_by: -30 * 90_000 }));
    assert_eq!(probes[3].first_dts.to_string(), "1.400000");
    assert_eq!(probes[5].duration, Some(Duration::from_secs(7)));
}

#[test]
fn the_next_segment_gives_the_same_durations() {
    let probes = recording("ts-6x10s");
    for pair in probes.windows(2) {
        let duration = duration_from_next(pair[0].first_dts, pair[1].first_dts);
        assert_eq!(duration, pair[0].duration);
    }
    let resumed = recording("resumed");
    assert_eq!(duration_from_next(resumed[2].first_dts, resumed[3].first_dts), None);
}

#[test]
fn segments_of_different_renditions_do_not_continue_each_other() {
    let (first, next) = (probe("abr-3/src/stream0.ts"), probe("abr-3/480p/stream1.ts"));
    let judged = is_continuation(&first, Duration::from_secs(10), &next);
    assert_eq!(judged, Continuity::Breaks(Break::Video));
}

#[test]
fn audio_that_is_announced_and_missing_is_no_other_set_of_tracks() {
    let first = probe("ts-6x10s/stream0.ts");
    let data = read("ts-6x10s/stream1.ts");
    let still = probe_ts(&only(&data, |_, pid| pid != 0x101)).unwrap();
    // The table still announces the audio: the tracks are those of before.
    assert_eq!(still.audio.as_ref().map(|audio| audio.frames), Some(0));
    assert_eq!(still.codecs(), None);
    let duration = Duration::from_secs(10);
    assert_eq!(is_continuation(&first, duration, &still), Continuity::Continues);
}

#[test]
fn without_pictures_the_audio_gives_time_and_duration() {
    let data = only(&read("ts-6x10s/stream0.ts"), |_, pid| pid != 0x100);
    let probe = probe_ts(&data).unwrap();
    assert_eq!(probe.duration, Some(Duration::from_micros(9_891_701)));
    assert_eq!(probe.video.as_ref().map(|video| video.frames), Some(0));
    assert!(!probe.starts_with_key_frame, "pictures are announced and there are none");
}

#[test]
fn a_segment_that_starts_within_a_group_of_pictures_is_not_independent() {
    let data = read("ts-6x10s/stream0.ts");
    let starts: Vec<usize> = data
        .chunks(PACKET)
        .enumerate()
        .filter(|(_, packet)| packet[1] == 0x41 && packet[2] == 0)
        .map(|(index, _)| index)
        .collect();
    let from = |cut: usize| {
        probe_ts(&only(&data, |index, pid| index >= cut || !matches!(pid, 0x100 | 0x101))).unwrap()
    };
    let second_picture = from(starts[1]);
    assert!(!second_picture.starts_with_key_frame);
    assert_eq!(second_picture.video.as_ref().map(|video| video.frames), Some(149));
    assert_eq!(second_picture.video.and_then(|video| video.codec), None);
    assert!(!from(starts[0] + 1).starts_with_key_frame, "in the middle of the key frame");
    assert!(from(starts[0]).starts_with_key_frame);
}

#[test]
fn other_files_and_cut_ones_are_refused_with_the_reason() {
    let data = read("ts-6x10s/stream0.ts");
    let cut = data.len() - 100;
    assert_eq!(probe_ts(&data[..cut]), Err(ProbeError::Truncated { size: cut }));
    assert_eq!(probe_ts(&data[1..]), Err(ProbeError::NotTransportStream));
    assert_eq!(probe_ts(&read("fmp4/init.mp4")), Err(ProbeError::NotTransportStream));
    assert_eq!(probe_ts(&read("ts-6x10s/stream.m3u8")), Err(ProbeError::NotTransportStream));
    assert_eq!(probe_ts(&[]), Err(ProbeError::Empty));
    let no = |dropped: u16| probe_ts(&only(&data, |_, pid| pid != dropped));
    assert_eq!(no(0), Err(ProbeError::NoPat));
    assert_eq!(no(0x1000), Err(ProbeError::NoPmt { pid: 0x1000 }));
    let silent = only(&data, |_, pid| !matches!(pid, 0x100 | 0x101));
    assert_eq!(probe_ts(&silent), Err(ProbeError::NoTimestamps));
    let mut shifted = data.clone();
    shifted.insert(PACKET * 7, 0);
    assert_eq!(probe_ts(&shifted), Err(ProbeError::LostSync { offset: PACKET * 7 }));
}

#[test]
fn a_packet_that_is_missing_is_counted() {
    let data = read("ts-6x10s/stream0.ts");
    let middle = data.len() / PACKET / 2;
    let probe = probe_ts(&only(&data, |index, _| index != middle)).unwrap();
    assert_eq!(stats(&probe).continuity_errors, 1);
}

#[test]
fn packets_sent_twice_change_nothing() {
    let data = read("ts-6x10s/stream0.ts");
    let twice: Vec<u8> = data.chunks(PACKET).flat_map(|packet| [packet, packet].concat()).collect();
    let (once, twice) = (probe_ts(&data).unwrap(), probe_ts(&twice).unwrap());
    assert_eq!(
        (once.duration, &once.video, &once.audio),
        (twice.duration, &twice.video, &twice.audio)
    );
    assert_eq!(stats(&twice).continuity_errors, 0);
    assert_eq!(stats(&twice).packets, 2 * stats(&once).packets);
}

#[test]
fn the_clock_may_start_over_within_and_between_segments() {
    let (data, next) = (read("ts-6x10s/stream0.ts"), read("ts-6x10s/stream1.ts"));
    let still = probe_ts(&data).unwrap();
    // From here the first segment is all before the wrap, then half of it, then the wrap is just
    // between the two.
    for first_dts in [20, 5, 10].map(|seconds| MediaTime::MODULUS - seconds * MediaTime::HZ) {
        let ticks = first_dts - 126_000;
        let (first, second) =
            (probe_ts(&moved(&data, ticks)).unwrap(), probe_ts(&moved(&next, ticks)).unwrap());
        assert_eq!(first.first_dts.as_ticks(), first_dts);
        assert_eq!(first.duration, Some(Duration::from_secs(10)));
        assert_eq!((&first.video, &first.audio), (&still.video, &still.audio));
        let judged = is_continuation(&first, Duration::from_secs(10), &second);
        assert_eq!(judged, Continuity::Continues);
        assert_eq!(duration_from_next(first.first_dts, second.first_dts), first.duration);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_place_of_the_clock_gives_the_same_figures(ticks in 0..MediaTime::MODULUS) {
        let data = read("resumed/stream5.ts");
        let (still, moved) = (probe_ts(&data).unwrap(), probe_ts(&moved(&data, ticks)).unwrap());
        prop_assert_eq!(moved.duration, still.duration);
        prop_assert_eq!(&moved.video, &still.video);
        prop_assert_eq!(
            moved.first_dts,
            MediaTime::from_ticks(still.first_dts.as_ticks() + ticks),
        );
    }

    #[test]
    fn any_bytes_are_probed_without_panic(data in prop::collection::vec(any::<u8>(), 0..4_000)) {
        fuzzing::probe_ts(&data);
    }

    #[test]
    fn damaged_samples_are_probed_without_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..200),
    ) {
        let mut data = read("ts-6x10s/stream0.ts");
        for (place, byte) in damage {
            let place = place.index(data.len());
            // Most damage spares the sync bytes: else nothing but the refusal would be seen.
            if place % PACKET != 0 || byte == 0 {
                data[place] = byte;
            }
        }
        fuzzing::probe_ts(&data);
    }

    #[test]
    fn damaged_heads_are_probed_without_panic(
        damage in prop::collection::vec((1..PACKET * 12, any::<u8>()), 1..12),
    ) {
        let mut data = read("abr-3/240p/stream0.ts");
        for (place, byte) in damage {
            data[place] = byte;
        }
        fuzzing::probe_ts(&data);
    }

    #[test]
    fn cut_samples_are_refused_or_measured(len in any::<prop::sample::Index>()) {
        let mut data = read("ts-6x10s/stream2.ts");
        data.truncate(len.index(data.len()));
        fuzzing::probe_ts(&data);
        if !data.len().is_multiple_of(PACKET) {
            prop_assert_eq!(probe_ts(&data), Err(ProbeError::Truncated { size: data.len() }));
        }
        let whole = &data[..data.len() / PACKET * PACKET];
        if let Ok(probe) = probe_ts(whole) {
            prop_assert!(probe.duration.is_none_or(|duration| duration <= Duration::from_millis(10_100)));
        }
    }
}
