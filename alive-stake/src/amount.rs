//! Numbers of 256 bits whose every operation is checked: [`Amount`].

use std::{fmt, str::FromStr};

use alive_core::Excerpt;
use ruint::aliases::U256;

/// A whole number of 256 bits: tokens in their smallest unit, fees, prices, and the factors of the reward accounting.
///
/// Nothing wraps and nothing saturates: an operation that does not fit is an [`ArithmeticError`], which refuses the
/// action it belongs to. The text form is decimal; it is the serde form, too, because JSON numbers are too small.
/// Source: `spec/livepeer.md`, "All amounts are unsigned 256-bit".
///
/// ```
/// use alive_stake::{Amount, ArithmeticError};
/// let supply: Amount = "10000000000000000000000000".parse()?;
/// assert_eq!(supply.plus(Amount::from(1_u64))?.to_string(), "10000000000000000000000001");
/// assert_eq!(Amount::ZERO.minus(supply), Err(ArithmeticError::Underflow));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(U256);

impl Amount {
    /// The largest one, 2^256 - 1.
    pub const MAX: Self = Self(U256::MAX);
    /// Longest decimal text, in digits.
    pub const MAX_DIGITS: usize = 78;
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);

    /// A number that fits 128 bits, for constants.
    pub const fn new(value: u128) -> Self {
        // The two halves of the number; the shift and the mask make the casts exact.
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
        let low = value as u64;
        let high = (value >> 64) as u64;
        Self(U256::from_limbs([low, high, 0, 0]))
    }

    /// The number whose 32 bytes these are, most significant first.
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// The number as 32 bytes, most significant first.
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, ArithmeticError> {
        self.0.checked_add(other.0).map(Self).ok_or(ArithmeticError::Overflow)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`ArithmeticError::Underflow`].
    pub fn minus(self, other: Self) -> Result<Self, ArithmeticError> {
        self.0.checked_sub(other.0).map(Self).ok_or(ArithmeticError::Underflow)
    }

    /// The product. It must itself fit 256 bits, even when it is divided next: the reference computes so.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub fn times(self, other: Self) -> Result<Self, ArithmeticError> {
        self.0.checked_mul(other.0).map(Self).ok_or(ArithmeticError::Overflow)
    }

    /// The quotient, rounded down.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`].
    pub fn over(self, other: Self) -> Result<Self, ArithmeticError> {
        self.0.checked_div(other.0).map(Self).ok_or(ArithmeticError::DivisionByZero)
    }

    /// What the division leaves over.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`].
    pub fn modulo(self, other: Self) -> Result<Self, ArithmeticError> {
        self.0.checked_rem(other.0).map(Self).ok_or(ArithmeticError::DivisionByZero)
    }

    /// `floor(self * fraction / whole)`: the share of it that a fixed fraction is.
    ///
    /// # Errors
    /// See [`ArithmeticError`].
    pub(crate) fn share(self, fraction: Self, whole: Self) -> Result<Self, ArithmeticError> {
        self.times(fraction)?.over(whole)
    }

    /// `floor(self * floor(num * whole / den) / whole)`: two floors, in this order.
    /// Source: `spec/livepeer.md`, section 2.1, "part".
    ///
    /// # Errors
    /// See [`ArithmeticError`].
    pub(crate) fn part(self, num: Self, den: Self, whole: Self) -> Result<Self, ArithmeticError> {
        self.share(num.times(whole)?.over(den)?, whole)
    }
}

impl From<u64> for Amount {
    fn from(value: u64) -> Self {
        Self(U256::from(value))
    }
}

impl From<u128> for Amount {
    fn from(value: u128) -> Self {
        Self(U256::from(value))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(s: &str) -> Result<Self, AmountError> {
        if s.is_empty() || !s.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::NotDecimal(Excerpt::of(s)));
        }
        if s.len() > Self::MAX_DIGITS {
            return Err(AmountError::TooLarge);
        }
        U256::from_str_radix(s, 10).map(Self).map_err(|_| AmountError::TooLarge)
    }
}

impl serde::Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not an [`Amount`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// It is not made of decimal digits alone.
    #[error("{0} is no whole decimal number")]
    NotDecimal(Excerpt),
    /// It is more than 256 bits hold.
    #[error("a number of more than 256 bits")]
    TooLarge,
}

/// An operation on amounts has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArithmeticError {
    /// The divisor is zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The result has more than 256 bits.
    #[error("more than 256 bits")]
    Overflow,
    /// The result is below zero.
    #[error("less than nothing")]
    Underflow,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MAX: &str =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[rstest]
    #[case("0", Amount::ZERO)]
    #[case("000", Amount::ZERO)]
    #[case("340282366920938463463374607431768211455", Amount::new(u128::MAX))]
    #[case(MAX, Amount::MAX)]
    fn decimal_text_is_read(#[case] text: &str, #[case] amount: Amount) {
        assert_eq!(text.parse(), Ok(amount));
    }

    #[rstest]
    #[case("")]
    #[case("-1")]
    #[case("+1")]
    #[case("1_000")]
    #[case("0x10")]
    #[case(" 1")]
    #[case("1e3")]
    #[case("115792089237316195423570985008687907853269984665640564039457584007913129639936")]
    #[case("1000000000000000000000000000000000000000000000000000000000000000000000000000000")]
    fn other_text_is_refused(#[case] text: &str) {
        assert!(text.parse::<Amount>().is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let one = Amount::from(1_u64);
        assert_eq!(Amount::MAX.plus(one), Err(ArithmeticError::Overflow));
        assert_eq!(Amount::MAX.times(Amount::from(2_u64)), Err(ArithmeticError::Overflow));
        assert_eq!(Amount::ZERO.minus(one), Err(ArithmeticError::Underflow));
        assert_eq!(one.over(Amount::ZERO), Err(ArithmeticError::DivisionByZero));
        assert_eq!(one.modulo(Amount::ZERO), Err(ArithmeticError::DivisionByZero));
    }

    /// 10 * floor(1 * 1000 / 3) / 1000 = 10 * 333 / 1000 = 3, but 999 * 333 / 1000 = 332 where one floor gives 333.
    #[test]
    fn a_part_is_rounded_twice() {
        let n = |n: u64| Amount::from(n);
        assert_eq!(n(999).part(n(1), n(3), n(1000)), Ok(n(332)));
        assert_eq!(n(999).share(n(1), n(3)), Ok(n(333)));
    }

    #[test]
    fn bytes_are_most_significant_first() {
        let mut bytes = [0; 32];
        bytes[30] = 1;
        assert_eq!(Amount::from_be_bytes(bytes), Amount::from(256_u64));
        assert_eq!(Amount::from(256_u64).to_be_bytes(), bytes);
    }
}
