//! A moment as chains print it: [`Timestamp`].

use std::{fmt, str::FromStr};

use jiff::{Timestamp as Instant, civil::DateTime, tz::TimeZone};

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

    /// The time from `earlier` to this moment, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = Instant::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        let civil = TimeZone::UTC.to_datetime(instant);
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
        let civil: DateTime = s.parse().map_err(|_| refuse())?;
        let instant = TimeZone::UTC.to_timestamp(civil).map_err(|_| refuse())?;
        let ms = instant.as_millisecond();
        // A leap second parses as the one before it; only what prints back is a moment of ours.
        if (0..=Self::MAX_MS).contains(&ms) && Self(ms).to_string() == s.trim_end_matches(".000") {
            return Ok(Self(ms));
        }
        Err(refuse())
    }
}

/// The text is no [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no time of the form YYYY-MM-DDTHH:MM:SS in UTC")]
pub struct TimestampError(Excerpt);
