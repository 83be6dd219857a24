//! JSON numbers by their text, exact: [`JsonNumber`]. A float would lose the digits that rounding rules speak of.

use std::cmp::Ordering;

/// A JSON number split at its point and exponent: `WHOLE.FRACTION * 10^exponent`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonNumber<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> JsonNumber<'a> {
    /// Splits the text of a number; `None` for any other text.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let form = !whole.is_empty() && digits(whole) && digits(fraction);
        form.then_some(Self {
            negative,
            whole: whole.as_bytes(),
            fraction: fraction.as_bytes(),
            exponent,
        })
    }

    /// The number if its value is an integer from 0 on; `1.0`, `10e-1` and `-0` are integers, too.
    pub(crate) fn to_unsigned(self) -> Option<u64> {
        let point = self.point();
        let has_fraction = (0..).zip(self.digits()).any(|(at, digit)| at >= point && digit != b'0');
        let value = self.shifted(point)?;
        (!has_fraction && (!self.negative || value == 0)).then_some(value)
    }

    /// The number times `10^decimals`, rounded half up to an integer. `None` when negative or beyond 64 bits.
    pub(crate) fn scaled_half_up(self, decimals: u8) -> Option<u64> {
        if self.negative {
            return None;
        }
        let end = self.point().saturating_add(decimals.into());
        let next = (0..).zip(self.digits()).find(|&(at, _)| at == end);
        let up = end >= 0 && next.is_some_and(|(_, digit)| digit >= b'5');
        self.shifted(end)?.checked_add(u64::from(up))
    }

    /// How many digits stand before the point once the exponent is applied.
    fn point(self) -> i64 {
        i64::try_from(self.whole.len()).unwrap_or(i64::MAX).saturating_add(self.exponent)
    }

    fn digits(self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// The first `end` digits as an integer, zeros put behind if there are fewer.
    fn shifted(self, end: i64) -> Option<u64> {
        let mut value: u64 = 0;
        let mut count: i64 = 0;
        for (at, digit) in (0..).zip(self.digits()) {
            if at < end {
                value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            }
            count = at + 1;
        }
        match (value, end.cmp(&count)) {
            (0, _) | (_, Ordering::Less | Ordering::Equal) => Some(value),
            (_, Ordering::Greater) => {
                let zeros = u32::try_from(end - count).ok()?;
                value.checked_mul(10_u64.checked_pow(zeros)?)
            }
        }
    }
}

/// An exponent beyond all use counts as the largest that fits: range tests see it.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Some(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("5", Some(5))]
    #[case("5.0", Some(5))]
    #[case("10e-1", Some(1))]
    #[case("1.5e1", Some(15))]
    #[case("-0", Some(0))]
    #[case("-0.0e5", Some(0))]
    #[case("0e99999999999999999999", Some(0))]
    #[case("1e19", Some(10_000_000_000_000_000_000))]
    #[case("1e20", None)]
    #[case("1e-7", None)]
    #[case("5.7", None)]
    #[case("-1", None)]
    #[case("1e99999999999999999999", None)]
    fn integers_are_judged_by_value(#[case] text: &str, #[case] value: Option<u64>) {
        assert_eq!(JsonNumber::parse(text).and_then(JsonNumber::to_unsigned), value);
    }

    #[rstest]
    #[case("10.0005", 3, Some(10_001))]
    #[case("10.00049999", 3, Some(10_000))]
    #[case("0.05", 0, Some(0))]
    #[case("0.5", 0, Some(1))]
    #[case("5e-9", 3, Some(0))]
    #[case("0.0005", 3, Some(1))]
    #[case("-1", 3, None)]
    fn rounds_half_up_on_the_text(#[case] text: &str, #[case] n: u8, #[case] value: Option<u64>) {
        assert_eq!(JsonNumber::parse(text).and_then(|number| number.scaled_half_up(n)), value);
    }
}
