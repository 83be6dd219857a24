//! Numbers as JavaScript prints them: [`print_number`].

use std::fmt::Write as _;

/// Integers below it are whole doubles, and their digits are those of the integer.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;

/// Appends a double as `JSON.stringify` does: the shortest digits that read back as the same double, `1e+21`, `1e-7`,
/// `0` for `-0`, and `null` for what is not finite.
///
/// ```
/// let mut text = String::new();
/// alive_db::json::print_number(1_795_219_439_353.001, &mut text);
/// assert_eq!(text, "1795219439353.001");
/// ```
pub fn print_number(number: f64, out: &mut String) {
    if !number.is_finite() {
        return out.push_str("null");
    }
    if number.fract() == 0.0 && number.abs() < MAX_SAFE {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        let whole = number as i64;
        let _infallible = write!(out, "{whole}");
        return;
    }
    // Not Rust's own digits: where two of the shortest are equally near, as .1562 and .1563 are for the state
    // 1795291791489.15625, JavaScript takes the even one and Rust the larger. A signature is over the digits.
    out.push_str(ryu_js::Buffer::new().format_finite(number));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn printed(number: f64) -> String {
        let mut text = String::new();
        print_number(number, &mut text);
        text
    }

    #[rstest]
    #[case(0.0, "0")]
    #[case(-0.0, "0")]
    #[case(1.0, "1")]
    #[case(-1.5, "-1.5")]
    #[case(10.003, "10.003")]
    #[case(1e20, "100000000000000000000")]
    #[case(1e21, "1e+21")]
    #[case(1.5e300, "1.5e+300")]
    #[case(0.000_001, "0.000001")]
    #[case(0.000_001_5, "0.0000015")]
    #[case(1e-7, "1e-7")]
    #[case(1.25e-9, "1.25e-9")]
    #[case(5e-324, "5e-324")]
    #[case(9_007_199_254_740_992.0, "9007199254740992")]
    #[case(-9_007_199_254_740_994.0, "-9007199254740994")]
    #[case(123_456_789_012_345_680_000.0, "123456789012345680000")]
    #[case(1_795_219_439_353.001, "1795219439353.001")]
    #[case(1_795_291_791_489.0 + 0.156_25, "1795291791489.1562")]
    #[case(1_795_291_791_489.0 + 0.093_75, "1795291791489.0938")]
    #[case(1_795_291_791_489.0 + 0.031_25, "1795291791489.0312")]
    #[case(-0.000_001_5, "-0.0000015")]
    #[case(f64::INFINITY, "null")]
    #[case(f64::NAN, "null")]
    fn prints_as_javascript(#[case] number: f64, #[case] text: &str) {
        assert_eq!(printed(number), text);
    }

    proptest! {
        #[test]
        fn printed_numbers_read_back(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = printed(number);
            prop_assert!((text.parse::<f64>().unwrap() - number).abs() == 0.0);
            prop_assert!(!text.contains('e') || !(1e-6..1e21).contains(&number.abs()));
        }
    }
}
