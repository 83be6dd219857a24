//! How long a segment lasts and when it began: [`MediaDuration`], [`ProgramDateTime`].

use std::{fmt, time::Duration};

use alive_core::{SegmentDuration, SegmentDurationError, Timestamp};
use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time},
};

use crate::decimal::{self, MICROS, SecondsError, push_padded, push_seconds};

/// What `EXTINF` says: 0 to 86400 seconds, in whole microseconds.
///
/// Recorders list segments that no stream may hold (of length zero, or of an hour), so it is wider than core's
/// [`SegmentDuration`]; `TryFrom` narrows it. Source: `spec/hls.md`, sections 3 and 12.
///
/// ```
/// use alive_playlist::MediaDuration;
/// let length: MediaDuration = "10.0333335".parse()?;
/// assert_eq!(length.as_micros(), 10_033_334);
/// assert_eq!(length.to_string(), "10.033334");
/// # Ok::<(), alive_playlist::MediaDurationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaDuration(u64);

impl MediaDuration {
    /// The longest that is accepted: one day, in microseconds. Source: `spec/hls.md`, section 12, R6.
    pub const MAX_MICROS: u64 = 86_400 * MICROS;

    /// From whole microseconds.
    ///
    /// # Errors
    /// It is more than [`MAX_MICROS`](Self::MAX_MICROS).
    pub fn from_micros(micros: u64) -> Result<Self, MediaDurationError> {
        if micros <= Self::MAX_MICROS {
            return Ok(Self(micros));
        }
        Err(MediaDurationError::Range)
    }

    /// Whole microseconds.
    pub fn as_micros(self) -> u64 {
        self.0
    }

    /// As a standard duration.
    pub fn as_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// The smallest target duration, in seconds, that this segment never passes, however a player rounds.
    pub fn ceil_seconds(self) -> u64 {
        self.0.div_ceil(MICROS)
    }
}

impl fmt::Display for MediaDuration {
    /// Seconds with six decimals, as the writer prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(12);
        push_seconds(&mut text, self.0);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl std::str::FromStr for MediaDuration {
    type Err = MediaDurationError;

    /// Reads `digits[.digits]`, rounded half up to microseconds; the limit is tested on the text itself.
    fn from_str(text: &str) -> Result<Self, MediaDurationError> {
        match decimal::parse_seconds(text) {
            Ok(micros) => Ok(Self(micros)),
            Err(SecondsError::Form) => Err(MediaDurationError::Form),
            Err(SecondsError::Range) => Err(MediaDurationError::Range),
        }
    }
}

impl From<SegmentDuration> for MediaDuration {
    fn from(duration: SegmentDuration) -> Self {
        Self(duration.as_micros().into())
    }
}

impl TryFrom<MediaDuration> for SegmentDuration {
    type Error = SegmentDurationError;

    fn try_from(duration: MediaDuration) -> Result<Self, SegmentDurationError> {
        // What does not fit is out of range anyway.
        Self::from_micros(u32::try_from(duration.0).unwrap_or(u32::MAX))
    }
}

/// Why a text or number is not a [`MediaDuration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaDurationError {
    /// It is not `digits[.digits]`.
    #[error("a duration is written as digits, or digits, a point and digits")]
    Form,
    /// It is longer than a day.
    #[error("a segment lasts at most 86400 seconds")]
    Range,
}

/// When the first sample of a segment was captured, in whole milliseconds: `EXT-X-PROGRAM-DATE-TIME`.
///
/// Covers the years 0000 to 9999 in UTC, all that the tag can express.
///
/// ```
/// use alive_playlist::ProgramDateTime;
/// let written_by_ffmpeg = ProgramDateTime::parse("2026-11-21T00:03:36.583+0000").unwrap();
/// assert_eq!(written_by_ffmpeg.to_string(), "2026-11-21T00:03:36.583Z");
/// assert_eq!(ProgramDateTime::parse("2026-11-21T00:03:36"), None, "without a zone it is no moment");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramDateTime(i64);

impl ProgramDateTime {
    /// 0000-01-01T00:00:00.000Z.
    const MIN_MS: i64 = -62_167_219_200_000;
    /// 9999-12-31T23:59:59.999Z.
    const MAX_MS: i64 = 253_402_300_799_999;

    /// From milliseconds since 1970; `None` outside the years 0000 to 9999.
    pub fn from_unix_ms(ms: i64) -> Option<Self> {
        (Self::MIN_MS..=Self::MAX_MS).contains(&ms).then_some(Self(ms))
    }

    /// Milliseconds since 1970, negative before.
    pub fn as_unix_ms(self) -> i64 {
        self.0
    }

    /// Reads `YYYY-MM-DDThh:mm:ss[.fraction]` and a zone: `Z`, `+hh:mm`, or `+hhmm` as ffmpeg writes it.
    ///
    /// A fraction is cut to milliseconds. `None` when the text is malformed or has no zone: playlists with a bad date
    /// still play, so this is no error. Source: `spec/hls.md`, sections 3 and 12.
    pub fn parse(text: &str) -> Option<Self> {
        let (civil, rest) = text.split_at_checked(19)?;
        let seconds = civil_seconds(civil)?;
        let (ms, zone) = split_fraction(rest)?;
        let local = seconds.checked_mul(1000)?.checked_add(ms)?;
        Self::from_unix_ms(local - zone_minutes(zone)? * 60_000)
    }

    /// Appends `YYYY-MM-DDThh:mm:ss.SSSZ`.
    pub(crate) fn push_to(self, out: &mut Vec<u8>) {
        let civil = EPOCH.saturating_add(SignedDuration::from_millis(self.0));
        let part = |value: i8| u64::try_from(value).unwrap_or(0);
        push_padded(out, u64::try_from(civil.year()).unwrap_or(0), 4);
        for (mark, value) in [
            (b'-', civil.month()),
            (b'-', civil.day()),
            (b'T', civil.hour()),
            (b':', civil.minute()),
            (b':', civil.second()),
        ] {
            out.push(mark);
            push_padded(out, part(value), 2);
        }
        out.push(b'.');
        push_padded(out, u64::try_from(self.0.rem_euclid(1000)).unwrap_or(0), 3);
        out.push(b'Z');
    }
}

impl From<Timestamp> for ProgramDateTime {
    fn from(time: Timestamp) -> Self {
        Self(time.as_unix_ms().clamp(Self::MIN_MS, Self::MAX_MS))
    }
}

impl fmt::Display for ProgramDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.push_to(&mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Where the count of milliseconds starts.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Seconds from 1970 to `YYYY-MM-DDThh:mm:ss`, taken as UTC.
fn civil_seconds(text: &str) -> Option<i64> {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !marks.iter().all(|&(at, mark)| text.as_bytes().get(at) == Some(&mark)) {
        return None;
    }
    let year = i16::try_from(number(text.get(0..4)?)?).ok()?;
    let pair = |at: usize| i8::try_from(number(text.get(at..at + 2)?)?).ok();
    let date = Date::new(year, pair(5)?, pair(8)?).ok()?;
    let time = Time::new(pair(11)?, pair(14)?, pair(17)?, 0).ok()?;
    Some(date.to_datetime(time).duration_since(EPOCH).as_secs())
}

/// Takes an optional fraction off the front, as milliseconds; the rest is the zone.
fn split_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = rest.split_at_checked(digits)?;
    if fraction.is_empty() {
        return None;
    }
    let ms = fraction.bytes().chain(*b"00").take(3).fold(0, |ms, b| ms * 10 + i64::from(b - b'0'));
    Some((ms, zone))
}

/// Minutes east of UTC that a zone's text stands for.
fn zone_minutes(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':').or_else(|| digits.split_at_checked(2))?;
    let fits = |text: &str, limit: i64| {
        let value = number(text).filter(|_| text.len() == 2)?;
        (value < limit).then_some(value)
    };
    Some(sign * (fits(hours, 24)? * 60 + fits(minutes, 60)?))
}

/// Plain digits.
fn number(text: &str) -> Option<i64> {
    i64::try_from(decimal::parse_u64(text)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2023-07-01T12:00:00.000Z", 1_688_212_800_000)]
    #[case("2010-02-19T14:54:23.031+08:00", 1_266_562_463_031)]
    #[case("2024-01-01T00:00:00Z", 1_704_067_200_000)]
    #[case("2024-02-29T23:59:59.9999-0130", 1_709_256_599_999)]
    #[case("1969-12-31T23:59:59.5Z", -500)]
    #[case("0000-01-01T00:00:00Z", ProgramDateTime::MIN_MS)]
    #[case("9999-12-31T23:59:59.999Z", ProgramDateTime::MAX_MS)]
    fn reads_dates_with_a_zone(#[case] text: &str, #[case] ms: i64) {
        assert_eq!(ProgramDateTime::parse(text).map(ProgramDateTime::as_unix_ms), Some(ms));
    }

    #[rstest]
    #[case("")]
    #[case("2023-07-01")]
    #[case("2023-07-01T12:00:00")]
    #[case("2023-07-01T12:00:00.Z")]
    #[case("2023-07-01T12:00:00.5")]
    #[case("2023-07-01 12:00:00Z")]
    #[case("2023-02-29T12:00:00Z")]
    #[case("2023-13-01T12:00:00Z")]
    #[case("2023-07-01T24:00:00Z")]
    #[case("2023-07-01T12:00:60Z")]
    #[case("2023-07-01T12:00:00+24:00")]
    #[case("2023-07-01T12:00:00+1:00")]
    #[case("2023-07-01T12:00:00+00:0")]
    #[case("2023-07-01T12:00:00+00000")]
    #[case("2023-07-01T12:00:00Zx")]
    #[case("0000-01-01T00:00:00+00:01")]
    #[case("2023-07-0é12:00:00Z")]
    fn what_is_no_moment_is_none(#[case] text: &str) {
        assert_eq!(ProgramDateTime::parse(text), None);
    }

    #[test]
    fn a_segment_of_a_stream_is_narrower_than_a_listed_one() {
        let hour: MediaDuration = "3600".parse().unwrap();
        assert!(SegmentDuration::try_from(hour).is_err());
        assert!(SegmentDuration::try_from(MediaDuration::default()).is_err());
        let ten: MediaDuration = "10.000001".parse().unwrap();
        assert_eq!(SegmentDuration::try_from(ten).map(MediaDuration::from), Ok(ten));
        assert_eq!((ten.ceil_seconds(), hour.ceil_seconds()), (11, 3600));
    }

    proptest! {
        #[test]
        fn every_moment_prints_and_reads_back(ms in ProgramDateTime::MIN_MS..=ProgramDateTime::MAX_MS) {
            let moment = ProgramDateTime::from_unix_ms(ms).unwrap();
            prop_assert_eq!(ProgramDateTime::parse(&moment.to_string()), Some(moment));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            ProgramDateTime::parse(&text);
        }
    }
}
