//! Numbers as playlists write them: whole numbers up to 2^64-1 and decimal seconds, read strictly, written by hand.
//!
//! Formatting dominates the writing of a long list, so nothing here goes through `fmt` or floats.

/// Longest segment that a list may hold, in seconds. Source: `spec/hls.md`, section 12, R6.
const MAX_SECONDS: u64 = 86_400;

/// Microseconds of a second.
pub(crate) const MICROS: u64 = 1_000_000;

/// Reads plain digits, no sign, no blank; `None` when it is anything else or over 2^64-1.
pub(crate) fn parse_u64(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Why a text is no number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondsError {
    /// Not `digits[.digits]`.
    Form,
    /// More than a day.
    Range,
}

/// Reads `digits[.digits]` of at most 86400 seconds as microseconds, rounded half up.
pub(crate) fn parse_seconds(text: &str) -> Result<u64, SecondsError> {
    let (whole, fraction) = match text.split_once('.') {
        None => (text, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    let seconds = whole_seconds(whole)?;
    let fraction = fraction.map_or(Ok(Fraction::default()), Fraction::parse)?;
    if seconds > MAX_SECONDS || (seconds == MAX_SECONDS && fraction.is_more_than_zero) {
        return Err(SecondsError::Range);
    }
    Ok(seconds * MICROS + fraction.micros)
}

/// The digits before the point; what is over the limit only has to stay over it.
fn whole_seconds(text: &str) -> Result<u64, SecondsError> {
    if text.is_empty() {
        return Err(SecondsError::Form);
    }
    text.bytes().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'9' => Ok((value * 10 + u64::from(byte - b'0')).min(MAX_SECONDS + 1)),
        _ => Err(SecondsError::Form),
    })
}

/// The digits after the point.
#[derive(Default)]
struct Fraction {
    micros: u64,
    is_more_than_zero: bool,
}

impl Fraction {
    fn parse(text: &str) -> Result<Self, SecondsError> {
        if text.is_empty() {
            return Err(SecondsError::Form);
        }
        let (mut micros, mut weight, mut seen) = (0, MICROS, 0);
        for byte in text.bytes() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(SecondsError::Form);
            }
            seen |= digit;
            match weight {
                0 => {}
                // The seventh digit alone decides the rounding.
                1 => {
                    weight = 0;
                    micros += u64::from(digit >= 5);
                }
                _ => {
                    weight /= 10;
                    micros += weight * u64::from(digit);
                }
            }
        }
        Ok(Self { micros, is_more_than_zero: seen != 0 })
    }
}

/// Whether the text is `digits[.digits]`, of any size.
pub(crate) fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        None => digits(text),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
    }
}

/// Appends a whole number.
pub(crate) fn push_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    for slot in digits.iter_mut().rev() {
        *slot = last_digit(value);
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends microseconds as seconds with six decimals.
pub(crate) fn push_seconds(out: &mut Vec<u8>, micros: u64) {
    push_u64(out, micros / MICROS);
    let mut fraction = *b".000000";
    let mut rest = micros % MICROS;
    for slot in fraction.iter_mut().skip(1).rev() {
        *slot = last_digit(rest);
        rest /= 10;
    }
    out.extend_from_slice(&fraction);
}

/// Appends a number of exactly `width` digits, padded with zeros.
pub(crate) fn push_padded(out: &mut Vec<u8>, value: u64, width: u32) {
    for place in (0..width).rev() {
        out.push(last_digit(value / 10_u64.pow(place)));
    }
}

/// The last decimal digit, as text.
pub(crate) fn last_digit(value: u64) -> u8 {
    b'0' + u8::try_from(value % 10).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", Some(0))]
    #[case("007", Some(7))]
    #[case("18446744073709551615", Some(u64::MAX))]
    #[case("18446744073709551616", None)]
    #[case("", None)]
    #[case("+1", None)]
    #[case("-1", None)]
    #[case(" 1", None)]
    #[case("1 ", None)]
    #[case("1.0", None)]
    #[case("٣", None)]
    fn reads_whole_numbers_of_plain_digits_only(#[case] text: &str, #[case] want: Option<u64>) {
        assert_eq!(parse_u64(text), want);
    }

    #[rstest]
    #[case("10", Ok(10_000_000))]
    #[case("0.1", Ok(100_000))]
    #[case("0010.0333334999", Ok(10_033_333))]
    #[case("10.0333335", Ok(10_033_334))]
    #[case("9.9999995", Ok(10_000_000))]
    #[case("86400", Ok(86_400_000_000))]
    #[case("86400.0000", Ok(86_400_000_000))]
    #[case("86399.99999999", Ok(86_400_000_000))]
    #[case("86400.00000001", Err(SecondsError::Range))]
    #[case("86401", Err(SecondsError::Range))]
    #[case("99999999999999999999999999999999", Err(SecondsError::Range))]
    #[case("", Err(SecondsError::Form))]
    #[case(".5", Err(SecondsError::Form))]
    #[case("5.", Err(SecondsError::Form))]
    #[case("5.5.5", Err(SecondsError::Form))]
    #[case("1e3", Err(SecondsError::Form))]
    #[case("+1", Err(SecondsError::Form))]
    #[case(" 1", Err(SecondsError::Form))]
    #[case("99999999999999999999999999999999x", Err(SecondsError::Form))]
    fn reads_seconds_exactly(#[case] text: &str, #[case] want: Result<u64, SecondsError>) {
        assert_eq!(parse_seconds(text), want);
    }

    proptest! {
        #[test]
        fn whole_numbers_print_as_the_standard_library_does(value: u64) {
            let mut out = Vec::new();
            push_u64(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }

        #[test]
        fn written_seconds_read_back(micros in 0..=MAX_SECONDS * MICROS) {
            let mut out = Vec::new();
            push_seconds(&mut out, micros);
            prop_assert_eq!(parse_seconds(std::str::from_utf8(&out).unwrap()), Ok(micros));
        }

        #[test]
        fn padding_keeps_the_width(value in 0_u64..1_000_000) {
            let mut out = Vec::new();
            push_padded(&mut out, value, 6);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{value:06}"));
        }
    }
}
