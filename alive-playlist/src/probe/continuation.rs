//! What one segment says about the next: does it continue, how long was the one before it.

use std::mem::discriminant;
use std::time::Duration;

use super::SegmentProbe;
use super::clock::{MediaTime, ticks_to_duration};
use super::track::{AudioTrack, Fingerprint, VideoTrack};

/// How far a time may be off before it counts as another one: half a second.
/// Source: spec/hls.md, section 3, "DISCONTINUITY", and section 9, "Order of trust".
pub const TOLERANCE: Duration = Duration::from_millis(500);

/// Whether a player can go on from one segment to the next without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuity {
    /// It cannot: the next segment needs `EXT-X-DISCONTINUITY`.
    Breaks(Break),
    /// It can.
    Continues,
}

/// What changed between two segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Break {
    /// The coding, sampling or channels of the audio.
    Audio,
    /// The container.
    Container,
    /// The first decoding time of the next segment is not where the previous segment ends.
    Time {
        /// Ticks of the 90 kHz clock by which it is too late; negative when it is too early.
        off_by: i64,
    },
    /// Number, types or ids of the tracks.
    Tracks,
    /// The coding or the parameter sets of the video.
    Video,
}

/// Does `next` continue `previous`, which lasts `previous_duration`?
///
/// Compares container, tracks, parameters of video and audio where both segments tell them, and
/// time. A start over of the 33-bit clock is no break. That the recorder was started anew cannot
/// always be seen here: who knows of it must mark the discontinuity without asking.
/// Source: spec/hls.md, section 3, "DISCONTINUITY".
pub fn is_continuation(
    previous: &SegmentProbe,
    previous_duration: Duration,
    next: &SegmentProbe,
) -> Continuity {
    match find_break(previous, previous_duration, next) {
        Some(found) => Continuity::Breaks(found),
        None => Continuity::Continues,
    }
}

fn find_break(previous: &SegmentProbe, duration: Duration, next: &SegmentProbe) -> Option<Break> {
    if discriminant(&previous.container) != discriminant(&next.container) {
        return Some(Break::Container);
    }
    if previous.tracks != next.tracks {
        return Some(Break::Tracks);
    }
    if let (Some(before), Some(after)) = (&previous.video, &next.video)
        && video_differs(before, after)
    {
        return Some(Break::Video);
    }
    if let (Some(before), Some(after)) = (&previous.audio, &next.audio)
        && audio_differs(before, after)
    {
        return Some(Break::Audio);
    }
    let off_by = next.first_dts.ticks_since(previous.first_dts.plus(duration));
    (ticks_to_duration(off_by.unsigned_abs().into(), 1) > TOLERANCE)
        .then_some(Break::Time { off_by })
}

fn video_differs(before: &VideoTrack, after: &VideoTrack) -> bool {
    before.family != after.family || differ::<Fingerprint>(before.last_sps, after.first_sps)
}

fn audio_differs(before: &AudioTrack, after: &AudioTrack) -> bool {
    before.family != after.family
        || differ(before.codec, after.codec)
        || differ(before.sample_rate, after.sample_rate)
        || differ(before.channels, after.channels)
}

/// Both are known and not the same.
fn differ<T: PartialEq>(before: Option<T>, after: Option<T>) -> bool {
    before.zip(after).is_some_and(|(before, after)| before != after)
}

/// The duration of a segment from its first decoding time and that of the next one, to be used
/// only if the next one continues it. `None` when the next one does not come later.
///
/// More exact than any measurement within the segment. Source: spec/hls.md, section 9, "Duration".
///
/// ```
/// use alive_playlist::probe::{MediaTime, duration_from_next};
///
/// let first = MediaTime::from_ticks(MediaTime::MODULUS - 450_000);
/// let next = MediaTime::from_ticks(450_000);
/// assert_eq!(duration_from_next(first, next), Some(std::time::Duration::from_secs(10)));
/// assert_eq!(duration_from_next(next, first), None);
/// ```
pub fn duration_from_next(first_dts: MediaTime, next_first_dts: MediaTime) -> Option<Duration> {
    let ticks = u64::try_from(next_first_dts.ticks_since(first_dts)).ok()?;
    (ticks > 0).then(|| ticks_to_duration(ticks.into(), 1))
}

/// Is the duration that the recorder's playlist gives (`EXTINF`) that of the measurement, to
/// within [`TOLERANCE`]? If not, one of them is wrong and the segment is to be refused.
/// Source: spec/hls.md, section 9, "Order of trust".
///
/// ```
/// use alive_playlist::probe::agrees;
/// use std::time::Duration;
///
/// assert!(agrees(Duration::from_millis(9_500), Duration::from_secs(10)));
/// assert!(!agrees(Duration::from_millis(9_499), Duration::from_secs(10)));
/// ```
pub fn agrees(extinf: Duration, measured: Duration) -> bool {
    extinf.abs_diff(measured) <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::fuzzing::{SegmentSketch, segment};
    use crate::probe::probe_ts;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn probe(sketch: &SegmentSketch<'_>) -> SegmentProbe {
        probe_ts(&segment(sketch)).unwrap()
    }

    fn starting_at(ticks: u64) -> SegmentProbe {
        probe(&SegmentSketch { start: ticks, ..SegmentSketch::default() })
    }

    fn off_by(found: Continuity) -> Option<i64> {
        match found {
            Continuity::Breaks(Break::Time { off_by }) => Some(off_by),
            Continuity::Continues => None,
            other @ Continuity::Breaks(_) => panic!("{other:?}"),
        }
    }

    #[test]
    fn half_a_second_off_is_the_last_that_continues() {
        let first = starting_at(1_000_000);
        let next = |ticks| off_by(is_continuation(&first, SECOND, &starting_at(ticks)));
        assert_eq!(next(1_090_000), None);
        assert_eq!(next(1_135_000), None);
        assert_eq!(next(1_135_001), Some(45_001));
        assert_eq!(next(1_045_000), None);
        assert_eq!(next(1_044_999), Some(-45_001));
    }

    #[test]
    fn a_clock_that_starts_over_continues() {
        let before = starting_at(MediaTime::MODULUS - 45_000);
        assert_eq!(is_continuation(&before, SECOND, &starting_at(45_000)), Continuity::Continues);
    }

    #[test]
    fn other_tracks_break() {
        let with_audio =
            SegmentSketch { tracks: &[(0x1b, 0x100), (0x0f, 0x101)], ..SegmentSketch::default() };
        let found = is_continuation(&starting_at(0), SECOND, &probe(&with_audio));
        assert_eq!(found, Continuity::Breaks(Break::Tracks));
    }

    #[test]
    fn other_parameter_sets_break_and_missing_ones_do_not() {
        let at =
            |sps: &[u8]| probe(&SegmentSketch { start: 90_000, sps, ..SegmentSketch::default() });
        let first = starting_at(0);
        assert_eq!(is_continuation(&first, SECOND, &at(&[])), Continuity::Continues);
        let other = is_continuation(&first, SECOND, &at(&[0x67, 0x42, 0, 0x1e, 0x95]));
        assert_eq!(other, Continuity::Breaks(Break::Video));
    }

    #[test]
    fn another_sampling_of_the_audio_breaks() {
        let first = starting_at(0);
        let audio = |sample_rate| AudioTrack {
            family: crate::probe::AudioFamily::Aac,
            codec: None,
            sample_rate,
            channels: Some(1),
            frames: 1,
            samples: 1024,
        };
        let with = |at, rate| SegmentProbe { audio: Some(audio(rate)), ..starting_at(at) };
        let judge = |rate| is_continuation(&with(0, Some(44_100)), SECOND, &with(90_000, rate));
        assert_eq!(judge(Some(44_100)), Continuity::Continues);
        assert_eq!(judge(None), Continuity::Continues);
        assert_eq!(judge(Some(48_000)), Continuity::Breaks(Break::Audio));
        assert_eq!(is_continuation(&first, SECOND, &with(90_000, None)), Continuity::Continues);
    }

    proptest! {
        #[test]
        fn where_the_clock_stands_does_not_matter(
            start in 0..MediaTime::MODULUS,
            shift in -100_000_i64..100_000,
        ) {
            let first = starting_at(start);
            let expected = start + 90_000 + MediaTime::MODULUS;
            let next = starting_at(expected.saturating_add_signed(shift) % MediaTime::MODULUS);
            let want = (shift.abs() > 45_000).then_some(shift);
            prop_assert_eq!(off_by(is_continuation(&first, SECOND, &next)), want);
        }

        #[test]
        fn the_duration_from_the_next_is_that_between_them(
            start in 0..MediaTime::MODULUS,
            ticks in 1_u64..100 * MediaTime::HZ,
        ) {
            let (first, next) = (MediaTime::from_ticks(start), MediaTime::from_ticks(start + ticks));
            let duration = duration_from_next(first, next).unwrap();
            prop_assert_eq!(first.plus(duration), next);
            prop_assert_eq!(duration_from_next(next, first), None);
        }
    }
}
