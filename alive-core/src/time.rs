//! A moment as chains print it: [`Timestamp`].

use std::{fmt, str::FromStr};

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time},
};

use crate::text::{Excerpt, serde_as_text};

/// A moment in UTC, in whole milliseconds since 1970. Block times carry whole seconds.
///
/// Its text is the one chains print, without a zone: `2023-03-25T05:44:30`, with three more digits where the moment
/// is not a whole second. Source: `spec/indexer.md`, section 3.
///
/// ```
/// use alive_core::Timestamp;
/// let time: Timestamp = "2023-03-25T05:44:30".parse()?;
/// assert_eq!(time.as_unix_ms(), 1_679_723_070_000);
/// assert_eq!(time.to_string(), "2023-03-25T05:44:30");
/// # Ok::<(), alive_core::TimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);
serde_as_text!(Timestamp);

impl Timestamp {
    /// 1970-01-01T00:00:00.
    pub const EPOCH: Self = Self(0);
    /// The last moment with a four-digit year.
    const MAX_MS: i64 = 253_402_300_799_999;
    /// [`EPOCH`](Self::EPOCH) on the calendar. Moments are counted on the calendar, since instants of jiff end a day
    /// before the last year does.
    const CIVIL_EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

    /// From milliseconds since 1970, cut to the years 1970 to 9999.
    pub fn from_unix_ms(ms: i64) -> Self {
        Self(ms.clamp(0, Self::MAX_MS))
    }

    /// From whole seconds since 1970.
    pub fn from_unix_secs(secs: u32) -> Self {
        Self(i64::from(secs) * 1000)
    }

    /// Milliseconds since 1970.
    pub fn as_unix_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub fn as_unix_secs(self) -> i64 {
        self.0 / 1000
    }

    /// This moment and `duration` more.
    #[must_use]
    pub fn after(self, duration: std::time::Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_ms(self.0.saturating_add(ms))
    }

    /// This moment less `duration`, not before 1970.
    #[must_use]
    pub fn before(self, duration: std::time::Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_ms(self.0.saturating_sub(ms))
    }

    /// The time from `earlier` to this moment, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = SignedDuration::from_millis(self.0);
        let civil = Self::CIVIL_EPOCH.checked_add(since).map_err(|_| fmt::Error)?;
        write!(f, "{}", civil.strftime("%Y-%m-%dT%H:%M:%S"))?;
        match self.0 % 1000 {
            0 => Ok(()),
            ms => write!(f, ".{ms:03}"),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(s: &str) -> Result<Self, TimestampError> {
        let refuse = || TimestampError(Excerpt::of(s));
        let bytes = s.as_bytes();
        let form = b"dddd-dd-ddTdd:dd:dd.ddd";
        let fits = bytes.iter().zip(form).all(|(&byte, &want)| match want {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        });
        if !fits || !(bytes.len() == 19 || bytes.len() == 23) {
            return Err(refuse());
        }
        // Four digits at most: no sum or product overflows.
        let number = |from: usize, to: usize| {
            let digits = bytes.get(from..to).unwrap_or_default();
            digits.iter().fold(0_i16, |number, &digit| 10 * number + i16::from(digit - b'0'))
        };
        let small = |from: usize| i8::try_from(number(from, from + 2)).unwrap_or(i8::MAX);
        // Second 60 is none: a leap second would be read as the one before it.
        let date = Date::new(number(0, 4), small(5), small(8));
        let time = Time::new(small(11), small(14), small(17), 0);
        let (Ok(date), Ok(time)) = (date, time) else { return Err(refuse()) };
        let civil = DateTime::from_parts(date, time);
        let seconds = civil.duration_since(Self::CIVIL_EPOCH).as_secs();
        let ms = 1000 * seconds + i64::from(number(20, 23));
        if (0..=Self::MAX_MS).contains(&ms) { Ok(Self(ms)) } else { Err(refuse()) }
    }
}

/// The text is no [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no time of the form YYYY-MM-DDTHH:MM:SS in UTC")]
pub struct TimestampError(Excerpt);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// What jiff reads, if it is a moment of ours and prints as the text.
    fn by_jiff(text: &str) -> Option<Timestamp> {
        let civil: DateTime = text.parse().ok()?;
        let ms = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_millisecond();
        let is_same = |time: &Timestamp| time.to_string() == text.trim_end_matches(".000");
        (0..=Timestamp::MAX_MS).contains(&ms).then_some(Timestamp(ms)).filter(is_same)
    }

    #[rstest]
    #[case("1970-01-01T00:00:00", Some(0))]
    #[case("1970-01-01T00:00:00.000", Some(0))]
    #[case("1970-01-01T00:00:00.001", Some(1))]
    #[case("2000-02-29T23:59:59.999", Some(951_868_799_999))]
    #[case("9999-12-31T23:59:59.999", Some(Timestamp::MAX_MS))]
    #[case("1969-12-31T23:59:59.999", None)]
    #[case("0000-01-01T00:00:00", None)]
    #[case("2026-00-01T00:00:00", None)]
    #[case("2026-13-01T00:00:00", None)]
    #[case("2026-01-00T00:00:00", None)]
    #[case("2026-04-31T00:00:00", None)]
    #[case("1900-02-29T00:00:00", None)]
    #[case("2026-02-29T00:00:00", None)]
    #[case("2026-01-01T24:00:00", None)]
    #[case("2026-01-01T00:60:00", None)]
    #[case("2016-12-31T23:59:60", None)]
    #[case("2026-01-01T00:00:00Z", None)]
    #[case("2026-01-01T00:00:00.0", None)]
    #[case("2026-01-01 00:00:00", None)]
    #[case("٢٠26-01-01T00:00", None)]
    fn a_moment_has_one_form(#[case] text: &str, #[case] ms: Option<i64>) {
        assert_eq!(text.parse().ok(), ms.map(Timestamp));
    }

    #[test]
    fn the_last_moment_prints() {
        let last = Timestamp::from_unix_ms(i64::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999");
    }

    proptest! {
        #[test]
        fn every_moment_survives_its_text(ms in 0..=Timestamp::MAX_MS) {
            prop_assert_eq!(Timestamp(ms).to_string().parse(), Ok(Timestamp(ms)));
        }

        #[test]
        fn digits_are_read_as_jiff_reads_them(
            text in r"(19[67]|20[0-9])[0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{3})?",
        ) {
            prop_assert_eq!(text.parse().ok(), by_jiff(&text));
        }
    }
}
