//! The 90 kHz clock of MPEG transport streams: 33 bits, so it starts over every 26.5 hours.

use std::fmt;
use std::time::Duration;

/// A moment on the 90 kHz clock, modulo 2^33 ticks.
///
/// It has no order: which of two moments is the earlier one is only known when they are less than
/// half a turn of the clock (13 hours) apart, see [`MediaTime::ticks_since`].
/// Source: spec/hls.md, section 3, "DISCONTINUITY".
///
/// ```
/// use alive_playlist::probe::MediaTime;
///
/// let before = MediaTime::from_ticks(MediaTime::MODULUS - 90_000);
/// let after = MediaTime::from_ticks(45_000);
/// assert_eq!(after.ticks_since(before), 135_000); // 1.5 s, the clock started over between them
/// assert_eq!(after.to_string(), "0.500000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaTime(u64);

impl MediaTime {
    /// Ticks in a second.
    pub const HZ: u64 = 90_000;
    /// Ticks after which the clock starts over.
    pub const MODULUS: u64 = 1 << 33;

    /// The moment this many ticks after zero; whole turns of the clock are dropped.
    #[must_use]
    pub const fn from_ticks(ticks: u64) -> Self {
        Self(ticks % Self::MODULUS)
    }

    /// Ticks since the clock was last at zero, below [`MediaTime::MODULUS`].
    pub const fn as_ticks(self) -> u64 {
        self.0
    }

    /// Ticks from `other` to here by the shorter way round: negative when this moment is earlier.
    pub const fn ticks_since(self, other: Self) -> i64 {
        let ahead = (self.0 + Self::MODULUS - other.0) % Self::MODULUS;
        if ahead < Self::MODULUS / 2 {
            ahead.cast_signed()
        } else {
            ahead.cast_signed() - Self::MODULUS.cast_signed()
        }
    }

    /// The moment `duration` later, to the nearest tick.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let ticks = (duration.as_nanos() * 9 + 50_000) / 100_000;
        let turned = (ticks + u128::from(self.0)) % u128::from(Self::MODULUS);
        // What is left after the modulus always fits.
        Self(u64::try_from(turned).unwrap_or_default())
    }
}

/// Seconds with six decimals, as `ffprobe` prints them.
impl fmt::Display for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = ticks_to_duration(u128::from(self.0), 1);
        write!(f, "{}.{:06}", time.as_secs(), time.subsec_micros())
    }
}

/// `ticks / divisor` of the 90 kHz clock in whole microseconds, rounded half up.
///
/// The division comes last, so that no part of a frame is lost before it is multiplied.
pub(super) fn ticks_to_duration(ticks: u128, divisor: u128) -> Duration {
    fraction_to_duration(ticks, divisor.saturating_mul(u128::from(MediaTime::HZ)))
}

/// `numerator / denominator` seconds in whole microseconds, rounded half up; zero for a
/// denominator of zero.
pub(super) fn fraction_to_duration(numerator: u128, denominator: u128) -> Duration {
    let micros = numerator
        .saturating_mul(2_000_000)
        .saturating_add(denominator)
        .checked_div(denominator.saturating_mul(2));
    Duration::from_micros(u64::try_from(micros.unwrap_or_default()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_distance_over_the_wrap_is_short() {
        let last = MediaTime::from_ticks(MediaTime::MODULUS - 1);
        let first = MediaTime::from_ticks(0);
        assert_eq!(first.ticks_since(last), 1);
        assert_eq!(last.ticks_since(first), -1);
    }

    #[test]
    fn whole_turns_are_dropped() {
        assert_eq!(MediaTime::from_ticks(MediaTime::MODULUS + 7), MediaTime::from_ticks(7));
        let turn = Duration::from_nanos(MediaTime::MODULUS / 9 * 100_000);
        assert!(MediaTime::from_ticks(5).plus(turn * 9).ticks_since(MediaTime::from_ticks(5)) < 1);
    }

    #[test]
    fn the_longest_duration_does_not_overflow() {
        let _ = MediaTime::from_ticks(MediaTime::MODULUS - 1).plus(Duration::MAX);
        assert_eq!(ticks_to_duration(u128::MAX, 0), Duration::ZERO);
        let longest = u128::from(u64::MAX) * u128::from(MediaTime::MODULUS);
        assert_eq!(ticks_to_duration(longest, u128::from(u64::MAX)).as_secs(), 95_443);
    }

    #[test]
    fn a_third_of_a_second_rounds_to_the_nearest_microsecond() {
        assert_eq!(MediaTime::from_ticks(138_000).to_string(), "1.533333");
        assert_eq!(MediaTime::from_ticks(60_000).to_string(), "0.666667");
    }

    proptest! {
        #[test]
        fn adding_a_duration_and_measuring_it_agree(
            start in 0..MediaTime::MODULUS,
            ticks in 0..MediaTime::MODULUS / 2,
        ) {
            let start = MediaTime::from_ticks(start);
            let end = start.plus(ticks_to_duration(u128::from(ticks), 1));
            prop_assert_eq!(end.ticks_since(start), ticks.cast_signed());
        }
    }
}
