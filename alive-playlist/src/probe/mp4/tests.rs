use std::{fs, path::Path, time::Duration};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::fragment::NON_SYNC;
use super::*;
use crate::probe::{Continuity, VideoFamily, fuzzing::probe_mp4, is_continuation, probe_ts};

fn media(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/fmp4");
    fs::read(Path::new(folder).join(name)).unwrap()
}

fn init() -> InitProbe {
    InitProbe::read(&media("init.mp4")).unwrap()
}

/// A box.
fn wrap(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).unwrap();
    [&size.to_be_bytes()[..], &kind, content].concat()
}

/// A box of numbers.
fn full(kind: [u8; 4], words: &[u32]) -> Vec<u8> {
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    wrap(kind, &words)
}

/// A fragment with one run of pictures, which begins at a time of the track.
fn fragment(time: u32, tfhd: &[u32], trun: &[u32], media: &[u8]) -> Vec<u8> {
    let id = init().video.unwrap().id;
    let head = [&tfhd[..1], &[id], &tfhd[1..]].concat();
    let traf = [full(*b"tfhd", &head), full(*b"tfdt", &[0, time]), full(*b"trun", trun)].concat();
    [wrap(*b"moof", &wrap(*b"traf", &traf)), wrap(*b"mdat", media)].concat()
}

/// A key frame of ten bytes behind its length, and pictures that need it.
fn pictures(count: usize) -> Vec<u8> {
    let picture = |kind| [&[0, 0, 0, 6, kind][..], &[1, 2, 3, 4, 5]].concat();
    let others = (1..count).flat_map(|_| picture(0x41));
    picture(0x65).into_iter().chain(others).collect()
}

/// Samples of 100 units and 10 bytes are the default, and offsets count from the fragment.
const USUAL: [u32; 3] = [0x0002_0018, 100, 10];

/// How many bytes a fragment has before its media.
fn head(tfhd: &[u32], trun: &[u32]) -> u32 {
    u32::try_from(fragment(0, tfhd, trun, &[]).len()).unwrap()
}

#[test]
fn recorded_fragments_are_measured_and_continue_each_other() {
    let init = init();
    let mut before: Option<SegmentProbe> = None;
    for number in 0..3 {
        let probe = init.probe_fragment(&media(&format!("stream{number}.m4s"))).unwrap();
        assert_eq!(probe.duration, Some(Duration::from_secs(10)));
        assert!(probe.starts_with_key_frame);
        assert!(matches!(probe.container, Container::Fmp4 { fragments: 1.., breaks: 0 }));
        let video = probe.video.as_ref().unwrap();
        assert_eq!((video.frames, video.family), (150, VideoFamily::H264));
        assert_eq!(video.resolution.unwrap().to_string(), "320x180");
        let audio = probe.audio.as_ref().unwrap();
        assert_eq!((audio.sample_rate, audio.channels), (Some(44_100), Some(1)));
        let off = audio.duration().unwrap().abs_diff(Duration::from_secs(10));
        assert!(off < Duration::from_millis(200));
        assert_eq!(probe.codecs().as_deref(), Some("avc1.4d4015,mp4a.40.2"));
        if let Some(before) = before {
            let found = is_continuation(&before, Duration::from_secs(10), &probe);
            assert_eq!(found, Continuity::Continues);
        }
        before = Some(probe);
    }
}

#[test]
fn what_is_not_what_it_should_be_is_refused() {
    let (init, fragment) = (media("init.mp4"), media("stream0.m4s"));
    assert_eq!(InitProbe::read(b""), Err(ProbeError::Empty));
    assert_eq!(InitProbe::read(&fragment), Err(ProbeError::NoMovie));
    let probe = InitProbe::read(&init).unwrap();
    assert_eq!(probe.probe_fragment(b""), Err(ProbeError::Empty));
    assert_eq!(probe.probe_fragment(&init), Err(ProbeError::NoFragment));
    let (cut, head) = (&fragment[..fragment.len() - 1], &fragment[..100]);
    assert_eq!(probe.probe_fragment(cut), Err(ProbeError::NoSamples));
    assert_eq!(probe.probe_fragment(head), Err(ProbeError::BadBox));
    assert!(probe_ts(&fragment).is_err());
    assert!(InitProbe::read(&media("stream.m3u8")).is_err());
}

#[test]
fn a_fragment_that_starts_within_a_group_of_pictures_is_not_independent() {
    let mut fragment = media("stream0.m4s");
    // The first run of samples has flags for its first sample: make it depend on others.
    let trun = fragment.windows(4).position(|window| window == b"trun").unwrap() + 4;
    assert_ne!(fragment[trun + 3] & 0x04, 0, "the recorder wrote flags of the first sample");
    fragment[trun + 12..trun + 16].copy_from_slice(&NON_SYNC.to_be_bytes());
    assert!(!init().probe_fragment(&fragment).unwrap().starts_with_key_frame);
}

#[test]
fn a_picture_that_only_says_that_it_stands_alone_does_not() {
    let init = init();
    let trun = |offset| [1, 3, offset];
    let offset = head(&USUAL, &trun(0));
    let good = fragment(0, &USUAL, &trun(offset), &pictures(3));
    let probe = init.probe_fragment(&good).unwrap();
    assert!(probe.starts_with_key_frame);
    assert_eq!(
        (probe.video.unwrap().frames, probe.last_dts.ticks_since(probe.first_dts) > 0),
        (3, true)
    );
    // From the second picture on.
    let late = [1, 2, offset + 10];
    let late = init.probe_fragment(&fragment(0, &USUAL, &late, &pictures(3))).unwrap();
    assert!(!late.starts_with_key_frame);
    // The recorder itself says that it is none.
    let honest = [5, 3, offset + 4, NON_SYNC];
    let honest = init.probe_fragment(&fragment(0, &USUAL, &honest, &pictures(3))).unwrap();
    assert!(!honest.starts_with_key_frame);
}

#[test]
fn samples_that_are_not_in_the_segment_are_not_measured() {
    let init = init();
    let offset = head(&USUAL, &[1, 3, 0]);
    let read = |tfhd: &[u32], trun: &[u32]| {
        init.probe_fragment(&fragment(0, tfhd, trun, &pictures(3))).map(|probe| probe.size)
    };
    assert!(read(&USUAL, &[1, 3, offset]).is_ok());
    for trun in [
        [1, 4, offset],
        [1, 3, offset + 1],
        [1, 3, u32::MAX],
        [1, 3, i32::MAX.cast_unsigned()],
        [1, u32::MAX, offset],
    ] {
        assert_eq!(read(&USUAL, &trun), Err(ProbeError::NoSamples), "{trun:?}");
    }
    // Sizes of their own, the last of which is too large by one.
    let own = |last| [0x201, 2, offset + 8, 10, last];
    assert!(read(&USUAL, &own(20)).is_ok());
    assert_eq!(read(&USUAL, &own(21)), Err(ProbeError::NoSamples));
    assert_eq!(read(&USUAL, &own(u32::MAX)), Err(ProbeError::NoSamples));
    // From the beginning of the file, as old recorders wrote.
    let absolute = |base: u32| [0x19, 0, base, 100, 10];
    let start = head(&absolute(0), &[0, 3]);
    assert!(read(&absolute(start), &[0, 3]).is_ok());
    assert_eq!(read(&absolute(start + 1), &[0, 3]), Err(ProbeError::NoSamples));
    let far = [0x19, u32::MAX, u32::MAX, 100, 10];
    assert_eq!(read(&far, &[1, 3, 9]), Err(ProbeError::NoSamples));
}

#[test]
fn a_count_without_samples_takes_no_time() {
    let endless = [0x0002_0018, u32::MAX, 0];
    let probe = init().probe_fragment(&fragment(0, &endless, &[0, u32::MAX], &[])).unwrap();
    assert!(probe.duration.is_some() && !probe.starts_with_key_frame);
    let rows = fragment(0, &USUAL, &[0x100, u32::MAX], &[]);
    assert_eq!(init().probe_fragment(&rows), Err(ProbeError::BadBox));
}

#[test]
fn fragments_that_do_not_join_are_counted() {
    let trun = [1, 3, head(&USUAL, &[1, 3, 0])];
    let at = |time| fragment(time, &USUAL, &trun, &pictures(3));
    let breaks = |segment: &[u8]| match init().probe_fragment(segment).unwrap().container {
        Container::Fmp4 { fragments: 2, breaks } => breaks,
        other => panic!("{other:?}"),
    };
    assert_eq!(breaks(&[at(7), at(307)].concat()), 0);
    assert_eq!(breaks(&[at(7), at(308)].concat()), 1);
    assert_eq!(breaks(&[at(7), at(7)].concat()), 1);
    assert_eq!(breaks(&[at(7), at(0)].concat()), 1);
}

#[test]
fn samples_of_a_later_track_are_behind_those_of_the_one_before() {
    let init = init();
    let (video, audio) = (init.video.as_ref().unwrap().id, init.audio.as_ref().unwrap().id);
    let traf = |id: u32, trun: &[u32]| {
        let head = full(*b"tfhd", &[0x18, id, 100, 10]);
        wrap(*b"traf", &[head, full(*b"tfdt", &[0, 0]), full(*b"trun", trun)].concat())
    };
    let segment = |media: &[u8], offset: u32| {
        let trafs = [traf(audio, &[1, 2, offset]), traf(video, &[0, 3])].concat();
        [wrap(*b"moof", &trafs), wrap(*b"mdat", media)].concat()
    };
    let offset = u32::try_from(segment(&[], 0).len()).unwrap();
    let media = [&[7; 20][..], &pictures(3)].concat();
    assert!(init.probe_fragment(&segment(&media, offset)).unwrap().starts_with_key_frame);
    let short = init.probe_fragment(&segment(&media[..49], offset));
    assert_eq!(short, Err(ProbeError::NoSamples));
}

proptest! {
    #[test]
    fn any_bytes_and_any_changes_are_measured_or_refused(
        bytes in vec(any::<u8>(), 0..300),
        changes in vec((any::<Index>(), any::<u8>()), 0..8),
        cut: Index,
    ) {
        probe_mp4(&bytes);
        let init = media("init.mp4");
        let mut both = init.clone();
        both.extend(media("stream2.m4s").iter().take(4000));
        for (at, byte) in changes {
            let at = at.index(init.len() + 600);
            both[at] = byte;
        }
        both.truncate(cut.index(both.len() + 1).max(1));
        probe_mp4(&both);
    }

    #[test]
    fn changes_of_a_whole_segment_are_measured_or_refused(
        changes in vec((any::<Index>(), any::<u8>()), 1..12),
    ) {
        let init = media("init.mp4");
        let whole = [init.clone(), media("stream1.m4s")].concat();
        // Where the boxes are: what is behind them is media.
        let boxes = whole.windows(4).position(|window| window == b"mdat").unwrap();
        let mut changed = whole;
        for (at, byte) in changes {
            changed[at.index(boxes + 200)] = byte;
        }
        probe_mp4(&changed);
    }
}
