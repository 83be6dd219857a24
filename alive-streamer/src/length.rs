//! How long a segment is: what the recorder says against what was measured.

use std::time::Duration;

use alive_core::SegmentDuration;
use alive_playlist::{
    MediaDuration,
    probe::{SegmentProbe, agrees},
};

/// What is known of a segment's length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    /// What the recorder says; `None` when its line was not seen.
    pub(crate) extinf: Option<MediaDuration>,
    /// What the segment says of itself; `None` when it cannot be read.
    pub(crate) probe: Option<&'a SegmentProbe>,
    /// The target duration of the recorder's list, in seconds.
    pub(crate) target_seconds: u64,
}

/// The length to publish, `None` when nothing known is a length that the protocol has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length {
    pub(crate) taken: Option<SegmentDuration>,
    /// What the recorder says and what was measured do not agree.
    pub(crate) disputed: bool,
}

impl Evidence<'_> {
    /// Decides: the recorder's word, as long as the measurement is within half a second of it.
    ///
    /// When they disagree, one of them is wrong. Players go by the time stamps in the segment, so the measurement is what
    /// a viewer will see, and wins, with two exceptions. Pictures that stop early, or whose clock jumps, while the sound
    /// goes on, are measured wrong: when the sound is as long as the recorder says, the recorder is right. And a measurement
    /// of more than twice the recorder's own limit is a jump of the clock within the segment and no length.
    /// A segment that nobody can measure goes by the recorder's word: a segment of unknown form is better than none.
    /// Source: `spec/hls.md`, section 9, "Order of trust".
    pub(crate) fn decide(&self) -> Length {
        let measured = self.probe.and_then(|probe| probe.duration);
        let Some(extinf) = self.extinf else {
            let target = Duration::from_secs(self.target_seconds);
            let sane = self.sane(measured).and_then(in_range);
            return Length { taken: sane.or_else(|| in_range(target)), disputed: false };
        };
        let extinf = extinf.as_duration();
        let Some(measured) = measured else {
            return Length { taken: in_range(extinf), disputed: false };
        };
        if agrees(extinf, measured) {
            return Length {
                taken: in_range(extinf).or_else(|| in_range(measured)),
                disputed: false,
            };
        }
        let sound = self.probe.and_then(|probe| probe.audio.as_ref()?.duration());
        let recorder_is_right = sound.is_some_and(|sound| agrees(extinf, sound));
        let measured = self.sane(Some(measured)).filter(|_| !recorder_is_right);
        let taken = measured.and_then(in_range).or_else(|| in_range(extinf));
        Length { taken, disputed: true }
    }

    fn sane(&self, measured: Option<Duration>) -> Option<Duration> {
        let extinf = self.extinf.map_or(Duration::ZERO, MediaDuration::as_duration);
        let limit = Duration::from_secs(self.target_seconds).max(extinf).saturating_mul(2);
        measured.filter(|&measured| measured <= limit)
    }
}

/// As a length of the protocol, which has whole milliseconds on the way.
fn in_range(duration: Duration) -> Option<SegmentDuration> {
    let micros = u32::try_from(duration.as_micros()).ok()?;
    let length = SegmentDuration::from_micros(micros).ok()?;
    length.to_millis_precision().is_ok().then_some(length)
}

#[cfg(test)]
mod tests {
    use alive_playlist::probe::probe_ts;
    use rstest::rstest;

    use super::*;

    /// A real segment of 10 s with sound of 10.0078 s, its measured lengths replaced.
    fn probe(measured_ms: Option<u64>, sound_ms: u64) -> SegmentProbe {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/ts-6x10s/stream1.ts");
        let mut probe = probe_ts(&std::fs::read(path).unwrap()).unwrap();
        probe.duration = measured_ms.map(Duration::from_millis);
        let sound = probe.audio.as_mut().unwrap();
        (sound.samples, sound.sample_rate) = (sound_ms, Some(1000));
        probe
    }

    fn decide(extinf: Option<&str>, probe: Option<&SegmentProbe>) -> (Option<String>, bool) {
        let extinf = extinf.map(|text| text.parse().unwrap());
        let length = Evidence { extinf, probe, target_seconds: 10 }.decide();
        (length.taken.map(|taken| taken.to_string()), length.disputed)
    }

    #[rstest]
    #[case::the_recorders_word_is_finer(Some("9.9"), Some(10_000), 0, Some("9.9"), false)]
    #[case::rounded_by_the_recorder(Some("10"), Some(9_500), 0, Some("10.0"), false)]
    #[case::the_measurement_is_what_plays(Some("10"), Some(9_400), 0, Some("9.4"), true)]
    #[case::the_pictures_stop_early(Some("10"), Some(80), 9_900, Some("10.0"), true)]
    #[case::pictures_and_sound_stop_early(Some("10"), Some(4_000), 4_000, Some("4.0"), true)]
    #[case::the_clock_jumps(Some("10"), Some(95_000_000), 0, Some("10.0"), true)]
    #[case::a_jump_that_would_fit_the_protocol(Some("10"), Some(20_001), 0, Some("10.0"), true)]
    #[case::one_picture(Some("10"), None, 0, Some("10.0"), false)]
    #[case::the_recorder_says_nothing_useful(Some("0"), Some(9_000), 0, Some("9.0"), true)]
    #[case::the_recorder_says_zero_and_is_nearly_right(Some("0"), Some(40), 0, Some("0.04"), false)]
    #[case::nobody_knows(Some("0"), None, 0, None, false)]
    #[case::too_long_for_the_protocol(Some("100"), Some(100_000), 0, None, false)]
    #[case::too_short_for_the_protocol(Some("0.000499"), None, 0, None, false)]
    #[case::unlisted(None, Some(9_000), 0, Some("9.0"), false)]
    #[case::unlisted_with_one_picture(None, None, 0, Some("10.0"), false)]
    #[case::unlisted_with_a_jump(None, Some(30_000), 0, Some("10.0"), false)]
    fn lengths_are_decided(
        #[case] extinf: Option<&str>,
        #[case] measured_ms: Option<u64>,
        #[case] sound_ms: u64,
        #[case] want: Option<&str>,
        #[case] disputed: bool,
    ) {
        let probe = probe(measured_ms, sound_ms);
        assert_eq!(decide(extinf, Some(&probe)), (want.map(str::to_owned), disputed));
    }

    #[test]
    fn what_cannot_be_measured_goes_by_the_recorders_word() {
        assert_eq!(decide(Some("7.5"), None), (Some("7.5".to_owned()), false));
        assert_eq!(decide(None, None), (Some("10.0".to_owned()), false));
    }
}
