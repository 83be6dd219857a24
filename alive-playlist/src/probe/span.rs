//! How long the units of a track last, from their time stamps.

use std::time::Duration;

use super::clock::{MediaTime, ticks_to_duration};
use super::pes::Stamps;

/// The time stamps of a track so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    times: Option<Times>,
    units: u64,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    first_pts: MediaTime,
    first_dts: MediaTime,
    last_dts: MediaTime,
    /// Ticks from `first_pts` to the earliest and to the latest unit; the wrap of the clock is
    /// taken out by measuring from there.
    earliest: i64,
    latest: i64,
}

/// When the first and the last unit of a track come, in the order of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) first_pts: MediaTime,
    pub(super) first_dts: MediaTime,
    pub(super) last_dts: MediaTime,
}

impl Span {
    /// Takes the stamps of the next unit; one without is not counted.
    pub(super) fn add(&mut self, stamps: Stamps) {
        let (Some(pts), Some(dts)) = (stamps.pts, stamps.dts()) else { return };
        let times = self.times.get_or_insert(Times {
            first_pts: pts,
            first_dts: dts,
            last_dts: dts,
            earliest: 0,
            latest: 0,
        });
        let distance = pts.ticks_since(times.first_pts);
        times.earliest = times.earliest.min(distance);
        times.latest = times.latest.max(distance);
        times.last_dts = dts;
        self.units += 1;
    }

    /// How many units had a time stamp.
    pub(super) const fn units(&self) -> u64 {
        self.units
    }

    pub(super) fn ends(&self) -> Option<Ends> {
        let Times { first_pts, first_dts, last_dts, .. } = self.times?;
        Some(Ends { first_pts, first_dts, last_dts })
    }

    /// From the earliest unit to the latest, and one mean unit for the latest itself.
    /// `None` for less than two moments. Source: spec/hls.md, section 9, "Duration".
    pub(super) fn duration(&self) -> Option<Duration> {
        let times = self.times?;
        let ticks = times.latest.abs_diff(times.earliest);
        let gaps = self.units.checked_sub(1).filter(|gaps| *gaps > 0 && ticks > 0)?;
        Some(ticks_to_duration(u128::from(ticks) * u128::from(self.units), u128::from(gaps)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::fuzzing::stamps;
    use proptest::prelude::*;

    fn span(pts: impl IntoIterator<Item = u64>) -> Span {
        let mut span = Span::default();
        pts.into_iter().for_each(|pts| span.add(stamps(pts)));
        span
    }

    #[test]
    fn the_last_unit_lasts_as_long_as_the_others() {
        let duration = span((0..150).map(|n| 138_000 + n * 6_000)).duration();
        assert_eq!(duration, Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_moment_alone_has_no_duration() {
        assert_eq!(span([]).duration(), None);
        assert_eq!(span([5]).duration(), None);
        assert_eq!(span([5, 5, 5]).duration(), None);
    }

    #[test]
    fn units_without_stamps_are_not_counted() {
        let mut span = span([0, 90_000]);
        span.add(Stamps::default());
        assert_eq!((span.units(), span.duration()), (2, Some(Duration::from_secs(2))));
    }

    proptest! {
        #[test]
        fn order_and_wrap_do_not_matter(
            mut pts in prop::collection::vec(0_u64..100 * MediaTime::HZ, 2..50),
            start in 0..MediaTime::MODULUS,
            turn in 0_usize..50,
        ) {
            let want = span(pts.iter().copied()).duration();
            let count = pts.len();
            pts.rotate_left(turn % count);
            prop_assert_eq!(span(pts.into_iter().map(|pts| start + pts)).duration(), want);
        }
    }
}
