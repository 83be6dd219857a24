//! What an account has of credits, and when it has more: [`Manabar`].

use std::time::Duration;

use crate::time::TimePoint;

/// Seconds in which all credits of an account come back: 5 days. Source: `spec/hive.md`, section 7.
pub const REGENERATION_SECS: u64 = 432_000;

/// The credits of an account.
///
/// ```
/// use alive_hive::{TimePoint, cost::{Manabar, REGENERATION_SECS}};
/// let start: TimePoint = "2026-11-21T00:00:00".parse()?;
/// let empty = Manabar { current: 0, max: 1_000_000, updated: start };
/// let day = start.after_secs(24 * 3600);
/// assert_eq!(empty.at(day), 200_000);
/// # Ok::<(), alive_hive::TimePointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manabar {
    /// What it had when it was updated last. More than [`max`](Self::max) counts as that.
    pub current: u64,
    /// Most that it can have: its own vesting shares, and what others delegated to it.
    pub max: u64,
    /// When it was updated last.
    pub updated: TimePoint,
}

impl Manabar {
    /// What it has at `now`; before the last update, what it had then.
    pub fn at(&self, now: TimePoint) -> u64 {
        let secs = now.as_unix_secs().saturating_sub(self.updated.as_unix_secs());
        self.current.saturating_add(self.regained_over(secs.into())).min(self.max)
    }

    /// What comes back in so many seconds, rounded down, if there is room for it.
    pub fn regained_over(&self, secs: u64) -> u64 {
        let back = u128::from(self.max) * u128::from(secs) / u128::from(REGENERATION_SECS);
        u64::try_from(back).unwrap_or(u64::MAX)
    }

    /// How long to wait from `now` on until it has `needed`; `None` if it never has so much.
    pub fn wait_for(&self, needed: u64, now: TimePoint) -> Option<Duration> {
        let has = self.at(now);
        if needed > self.max {
            return None;
        }
        let missing = u128::from(needed.saturating_sub(has));
        if missing == 0 {
            return Some(Duration::ZERO);
        }
        // Not zero, since something is missing of at most so much.
        let max = u128::from(self.max.max(1));
        let secs = (missing * u128::from(REGENERATION_SECS)).div_ceil(max);
        u64::try_from(secs).ok().map(Duration::from_secs)
    }

    /// Takes `cost` at `now`, if there is as much.
    ///
    /// # Errors
    /// What it has, when that is less; nothing has changed then but the time of the update.
    pub fn take(&mut self, cost: u64, now: TimePoint) -> Result<(), u64> {
        (self.current, self.updated) = (self.at(now), self.updated.max(now));
        self.current = self.current.checked_sub(cost).ok_or(self.current)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: TimePoint = TimePoint::from_unix_secs(1_795_219_200);

    #[test]
    fn all_credits_come_back_in_five_days_and_no_more() {
        let bar = Manabar { current: 7, max: 1000, updated: START };
        assert_eq!(bar.at(START), 7);
        assert_eq!(bar.at(START.after_secs(43_200)), 107);
        assert_eq!(bar.at(START.after_secs(432_000)), 1000);
        assert_eq!(bar.at(START.after_secs(u32::MAX)), 1000);
        assert_eq!(bar.at(TimePoint::from_unix_secs(0)), 7);
    }

    #[test]
    fn taking_more_than_there_is_takes_nothing() {
        let mut bar = Manabar { current: 0, max: 1000, updated: START };
        let later = START.after_secs(43_200);
        assert_eq!(bar.take(101, later), Err(100));
        assert_eq!(bar.take(100, later), Ok(()));
        assert_eq!(bar.at(later), 0);
    }

    proptest! {
        #[test]
        fn after_the_wait_there_is_enough_and_a_second_before_there_is_not(
            current: u64,
            max: u64,
            needed: u64,
        ) {
            let bar = Manabar { current, max, updated: START };
            match bar.wait_for(needed, START) {
                None => prop_assert!(needed > max),
                Some(wait) => {
                    let secs = u32::try_from(wait.as_secs()).unwrap();
                    prop_assert!(secs <= 432_000);
                    prop_assert!(bar.at(START.after_secs(secs)) >= needed);
                    if secs > 0 {
                        prop_assert!(bar.at(START.after_secs(secs - 1)) < needed);
                    }
                }
            }
        }

        #[test]
        fn credits_never_go_beyond_the_most_nor_back(
            current: u64,
            max: u64,
            first in 0_u32..1_000_000,
            then in 0_u32..1_000_000,
        ) {
            let bar = Manabar { current, max, updated: START };
            let (at, later) = (START.after_secs(first), START.after_secs(first + then));
            prop_assert!(bar.at(at) <= bar.at(later));
            prop_assert!(bar.at(later) <= max);
        }
    }
}
