//! Time as Graphene chains count it: [`TimePoint`].

use std::{fmt, str::FromStr};

use alive_core::{Excerpt, Timestamp};

use crate::hex_text::serde_as_text;

/// A moment in whole seconds since 1970 (UTC), up to 2106: block times and expirations.
///
/// The text form has exactly 19 characters and no zone. Source: `spec/hive.md`, section 4.1, "Expiration".
///
/// ```
/// use alive_hive::TimePoint;
/// let time: TimePoint = "2026-11-21T00:10:00".parse()?;
/// assert_eq!(time.as_unix_secs(), 1_795_219_800);
/// assert!("2026-11-21T00:10:00Z".parse::<TimePoint>().is_err());
/// # Ok::<(), alive_hive::TimePointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimePoint(u32);
serde_as_text!(TimePoint);

impl TimePoint {
    /// Characters of the text form.
    const TEXT_LEN: usize = 19;

    /// From seconds since 1970.
    pub const fn from_unix_secs(secs: u32) -> Self {
        Self(secs)
    }

    /// Seconds since 1970.
    pub const fn as_unix_secs(self) -> u32 {
        self.0
    }

    /// This moment and `secs` seconds more, at most the last moment there is.
    #[must_use]
    pub const fn after_secs(self, secs: u32) -> Self {
        Self(self.0.saturating_add(secs))
    }
}

impl From<TimePoint> for Timestamp {
    fn from(time: TimePoint) -> Self {
        Self::from_unix_secs(time.0)
    }
}

impl TryFrom<Timestamp> for TimePoint {
    type Error = TimePointError;

    /// Drops the milliseconds.
    fn try_from(time: Timestamp) -> Result<Self, TimePointError> {
        u32::try_from(time.as_unix_secs())
            .map(Self)
            .map_err(|_| TimePointError(Excerpt::of(&time.to_string())))
    }
}

impl fmt::Display for TimePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Timestamp::from(*self).fmt(f)
    }
}

impl FromStr for TimePoint {
    type Err = TimePointError;

    fn from_str(text: &str) -> Result<Self, TimePointError> {
        let refuse = || TimePointError(Excerpt::of(text));
        if text.len() != Self::TEXT_LEN {
            return Err(refuse());
        }
        let time: Timestamp = text.parse().map_err(|_| refuse())?;
        Self::try_from(time).map_err(|_| refuse())
    }
}

/// The text or moment is no [`TimePoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no time of the form YYYY-MM-DDTHH:MM:SS from 1970 to 2106")]
pub struct TimePointError(Excerpt);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2106-02-07T06:28:16")]
    #[case("1969-12-31T23:59:59")]
    #[case("2026-02-30T00:00:00")]
    #[case("2026-11-21 00:10:00")]
    #[case("2026-11-21T00:10:00.000")]
    #[case("2026-11-21T00:10")]
    #[case("")]
    fn a_text_of_another_form_or_range_is_refused(#[case] text: &str) {
        assert!(text.parse::<TimePoint>().is_err());
    }

    #[test]
    fn the_last_moment_is_in_2106() {
        assert_eq!("2106-02-07T06:28:15".parse(), Ok(TimePoint::from_unix_secs(u32::MAX)));
    }

    proptest! {
        #[test]
        fn every_second_survives_its_text(secs: u32) {
            let time = TimePoint::from_unix_secs(secs);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
