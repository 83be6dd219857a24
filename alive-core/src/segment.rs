//! One media segment: its content, how long it plays, what breaks before it.

use std::{fmt, num::NonZeroU32, str::FromStr};

use crate::{
    content::ContentId,
    number::JsonNumber,
    text::{Excerpt, serde_as_text},
};

/// How long a segment plays: more than 0 and less than 100 seconds, in whole microseconds.
///
/// Its text is decimal seconds. Reading rounds half up to six decimals on the text itself, never through a float, and
/// tests the range after rounding. Source: `spec/indexer.md`, sections 1 and 2.
///
/// ```
/// use alive_core::SegmentDuration;
/// let length: SegmentDuration = "10.0333335".parse()?;
/// assert_eq!(length.as_micros(), 10_033_334);
/// assert_eq!(length.to_string(), "10.033334");
/// assert!("100".parse::<SegmentDuration>().is_err());
/// # Ok::<(), alive_core::SegmentDurationError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentDuration(NonZeroU32);
serde_as_text!(SegmentDuration);

impl SegmentDuration {
    /// No segment is this long or longer, in microseconds.
    pub const LIMIT_MICROS: u32 = 100_000_000;

    /// From whole microseconds.
    ///
    /// # Errors
    /// Zero, or 100 seconds and more.
    pub fn from_micros(micros: u32) -> Result<Self, SegmentDurationError> {
        let in_range = NonZeroU32::new(micros).filter(|micros| micros.get() < Self::LIMIT_MICROS);
        in_range.map(Self).ok_or(SegmentDurationError::Range)
    }

    /// The length in whole microseconds.
    pub fn as_micros(self) -> u32 {
        self.0.get()
    }

    /// The length as a standard duration.
    pub fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.as_micros().into())
    }

    /// The length in seconds, for sums and display only.
    pub fn as_secs_f64(self) -> f64 {
        f64::from(self.as_micros()) / 1e6
    }

    /// The length rounded half up to milliseconds, the precision of chunks and the live cache.
    ///
    /// # Errors
    /// What is left after rounding is zero or 100 seconds.
    pub fn to_millis_precision(self) -> Result<Self, SegmentDurationError> {
        Self::from_micros((self.as_micros() + 500) / 1000 * 1000)
    }

    /// Reads the text of a JSON number (sign, fraction and exponent allowed), rounded half up to `decimals` digits.
    ///
    /// # Errors
    /// The text is no JSON number, or the rounded value is not between 0 and 100 seconds.
    pub fn from_json_number(text: &str, decimals: u8) -> Result<Self, SegmentDurationError> {
        let decimals = decimals.min(6);
        let number = JsonNumber::parse(text).ok_or_else(|| SegmentDurationError::form(text))?;
        let micros = number
            .scaled_half_up(decimals)
            .and_then(|scaled| scaled.checked_mul(10_u64.pow(u32::from(6 - decimals))))
            .and_then(|micros| u32::try_from(micros).ok());
        Self::from_micros(micros.ok_or(SegmentDurationError::Range)?)
    }
}

impl fmt::Display for SegmentDuration {
    /// Seconds with the decimals needed, at least one: `10.0`, `9.967`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        let (seconds, mut fraction) = (micros / 1_000_000, micros % 1_000_000);
        let mut digits = 6;
        while digits > 1 && fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{seconds}.{fraction:0digits$}")
    }
}

impl FromStr for SegmentDuration {
    type Err = SegmentDurationError;

    /// `digits` or `digits.digits` and nothing else, the form of chunks and playlists.
    fn from_str(s: &str) -> Result<Self, SegmentDurationError> {
        let (whole, fraction) = s.split_once('.').unwrap_or((s, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(SegmentDurationError::form(s));
        }
        Self::from_json_number(s, 6)
    }
}

/// Why a text or number is not a [`SegmentDuration`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentDurationError {
    /// It is not written as a number of seconds.
    #[error("{0} is not a length in decimal seconds")]
    Form(Excerpt),
    /// It is out of range.
    #[error("length out of range, more than 0 and less than 100 seconds allowed")]
    Range,
}

impl SegmentDurationError {
    fn form(text: &str) -> Self {
        Self::Form(Excerpt::of(text))
    }
}

/// What a segment's place in the stream asks of a player: the third column of a chunk.
///
/// At most one `d` (a discontinuity before this segment) and one `g` (a gap: the segment itself is lost), in the order
/// as written. Source: `spec/indexer.md`, section 4.
///
/// ```
/// use alive_core::Flags;
/// let flags: Flags = "gd".parse()?;
/// assert!(flags.discontinuity() && flags.gap());
/// assert_eq!(flags.as_str(), "gd");
/// assert!("dd".parse::<Flags>().is_err());
/// # Ok::<(), alive_core::FlagsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(Written);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Written {
    #[default]
    Nothing,
    D,
    G,
    Dg,
    Gd,
}

impl Flags {
    /// No flag: the segment follows the one before it.
    pub const NONE: Self = Self(Written::Nothing);
    /// A discontinuity before this segment.
    pub const DISCONTINUITY: Self = Self(Written::D);
    /// The segment itself is lost.
    pub const GAP: Self = Self(Written::G);

    /// The flags for these two facts.
    pub fn new(discontinuity: bool, gap: bool) -> Self {
        Self(match (discontinuity, gap) {
            (false, false) => Written::Nothing,
            (true, false) => Written::D,
            (false, true) => Written::G,
            (true, true) => Written::Dg,
        })
    }

    /// Whether something breaks before this segment: recorder restarted, codec changed, stream resumed elsewhere.
    pub fn discontinuity(self) -> bool {
        matches!(self.0, Written::D | Written::Dg | Written::Gd)
    }

    /// Whether the segment is known but lost.
    pub fn gap(self) -> bool {
        matches!(self.0, Written::G | Written::Dg | Written::Gd)
    }

    /// These flags and a discontinuity.
    #[must_use]
    pub fn with_discontinuity(self) -> Self {
        if self.discontinuity() { self } else { Self::new(true, self.gap()) }
    }

    /// The column's text; empty for no flag, which a chunk leaves out.
    pub fn as_str(self) -> &'static str {
        match self.0 {
            Written::Nothing => "",
            Written::D => "d",
            Written::G => "g",
            Written::Dg => "dg",
            Written::Gd => "gd",
        }
    }
}

impl FromStr for Flags {
    type Err = FlagsError;

    /// Reads the column where it stands; an empty one is refused.
    fn from_str(s: &str) -> Result<Self, FlagsError> {
        Ok(Self(match s {
            "d" => Written::D,
            "g" => Written::G,
            "dg" => Written::Dg,
            "gd" => Written::Gd,
            _ => return Err(FlagsError(Excerpt::of(s))),
        }))
    }
}

/// The text holds no [`Flags`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} are no flags, only d and g are, each at most once")]
pub struct FlagsError(Excerpt);

/// One media segment of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Where its bytes are.
    pub content: ContentId,
    /// How long it plays.
    pub duration: SegmentDuration,
    /// What its place asks of a player.
    pub flags: Flags,
}

impl Segment {
    /// A segment that follows the one before it.
    pub fn new(content: ContentId, duration: SegmentDuration) -> Self {
        Self { content, duration, flags: Flags::NONE }
    }

    /// The same segment with these flags.
    #[must_use]
    pub fn with_flags(self, flags: Flags) -> Self {
        Self { flags, ..self }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10", Some(10_000_000))]
    #[case("1e1", Some(10_000_000))]
    #[case("100e-1", Some(10_000_000))]
    #[case("0.0000005", Some(1))]
    #[case("0.00000049999999", None)]
    #[case("5e-7", Some(1))]
    #[case("99.9999994", Some(99_999_999))]
    #[case("99.9999995", None)]
    #[case("-1", None)]
    #[case("1e999999999999999999999", None)]
    #[case("1e-999999999999999999999", None)]
    #[case("0e999", None)]
    #[case("1e", None)]
    #[case("0.00001e6", Some(10_000_000))]
    #[case("00012.5", Some(12_500_000))]
    fn reads_numbers_exactly(#[case] text: &str, #[case] micros: Option<u32>) {
        let read = SegmentDuration::from_json_number(text, 6).ok();
        assert_eq!(read.map(SegmentDuration::as_micros), micros);
    }

    #[rstest]
    #[case("1e1")]
    #[case(".5")]
    #[case("5.")]
    #[case("+5")]
    #[case("")]
    #[case("٣")]
    fn refuses_what_a_chunk_may_not_hold(#[case] text: &str) {
        assert!(text.parse::<SegmentDuration>().is_err());
    }
}
