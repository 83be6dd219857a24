//! What a `custom_json` may carry: strict JSON within hived's own limits.

use serde::de::IgnoredAny;

/// Most arrays and objects open at once. Source: `spec/hive.md`, section 4.3.
pub const MAX_JSON_DEPTH: usize = 97;

/// Checks that `text` is JSON by RFC 8259 and that hived takes it, too: at most 97 arrays and objects open at once,
/// and every number without fraction and exponent from -2^63 to 2^64-1.
///
/// hived itself accepts much that is no JSON, such as a trailing comma. A client must not emit it and an indexer must
/// skip it, so this is what [`crate::Transaction::validate`] asks for. Source: `spec/hive.md`, section 4.3.
///
/// ```
/// use alive_hive::{StrictJsonError, check_strict_json};
/// assert_eq!(check_strict_json(r#"{"op":1,"link":"stream1"}"#), Ok(()));
/// assert!(matches!(check_strict_json("{} x"), Err(StrictJsonError::Syntax { column: 4, .. })));
/// ```
///
/// # Errors
/// [`StrictJsonError`] says which rule it breaks.
pub fn check_strict_json(text: &str) -> Result<(), StrictJsonError> {
    // serde_json is strict, walks without recursion here, and does not ask whether escaped surrogates pair up, which
    // the grammar does not, either.
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| StrictJsonError::Syntax { line: error.line(), column: error.column() })?;
    check_limits(text)
}

/// Why a text is not the JSON that a transaction may carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StrictJsonError {
    /// Too many arrays and objects are open at once.
    #[error("more than {MAX_JSON_DEPTH} arrays and objects are open at once")]
    Depth,
    /// A whole number does not fit 64 bits.
    #[error("a whole number is outside -2^63..2^64-1")]
    Integer,
    /// It is not JSON.
    #[error("not JSON at line {line}, column {column}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Byte of the line, from 1.
        column: usize,
    },
}

/// Walks over a text that is known to be JSON.
fn check_limits(text: &str) -> Result<(), StrictJsonError> {
    let mut rest = text.as_bytes();
    let mut depth = 0_usize;
    while let Some((&byte, after)) = rest.split_first() {
        let skip = match byte {
            b'"' => string_len(after),
            b'-' | b'0'..=b'9' => {
                let len = number_len(after);
                check_integer(rest.get(..=len).unwrap_or_default())?;
                len
            }
            b'[' | b'{' => {
                depth += 1;
                0
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                0
            }
            _ => 0,
        };
        if depth > MAX_JSON_DEPTH {
            return Err(StrictJsonError::Depth);
        }
        rest = after.get(skip..).unwrap_or_default();
    }
    Ok(())
}

/// Bytes up to and with the quote that ends a string.
fn string_len(after: &[u8]) -> usize {
    let mut escaped = false;
    let end = after.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(after.len(), |end| end + 1)
}

/// Bytes of a number after its first.
fn number_len(after: &[u8]) -> usize {
    let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    after.iter().position(|byte| !part(byte)).unwrap_or(after.len())
}

fn check_integer(number: &[u8]) -> Result<(), StrictJsonError> {
    let whole = number.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-'));
    let text = std::str::from_utf8(number).unwrap_or_default();
    if whole && text.parse::<u64>().is_err() && text.parse::<i64>().is_err() {
        return Err(StrictJsonError::Integer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[rstest]
    #[case(r#"{"a":[1,2.5e3,-0,"é\u0000",null,true,{}]}"#)]
    #[case("\"\u{7f}\"")]
    #[case(r#""\ud800""#)]
    #[case(r#""\\""#)]
    #[case(r#"["\"[[[", 1]"#)]
    #[case("18446744073709551615")]
    #[case("-9223372036854775808")]
    #[case("99999999999999999999.5")]
    #[case("1e99")]
    #[case(" \t\r\n0 ")]
    fn json_is_accepted(#[case] text: &str) {
        assert_eq!(check_strict_json(text), Ok(()));
    }

    #[rstest]
    #[case("")]
    #[case("  ")]
    #[case("hello")]
    #[case("NaN")]
    #[case("+1")]
    #[case("01")]
    #[case(".5")]
    #[case("1.")]
    #[case("'a'")]
    #[case("{\"a\":1,}")]
    #[case("[1,]")]
    #[case("{}{}")]
    #[case("{} x")]
    #[case("\u{feff}{}")]
    #[case("\"\n\"")]
    #[case("\"\t\"")]
    #[case(r#""\x""#)]
    #[case("/**/1")]
    #[case("{a:1}")]
    #[case("{1:1}")]
    #[case("True")]
    fn what_is_no_json_is_refused(#[case] text: &str) {
        assert!(matches!(check_strict_json(text), Err(StrictJsonError::Syntax { .. })), "{text:?}");
    }

    #[test]
    fn the_limits_of_hived_are_sharp() {
        assert_eq!(check_strict_json(&nested(97)), Ok(()));
        assert_eq!(check_strict_json(&nested(98)), Err(StrictJsonError::Depth));
        assert_eq!(check_strict_json(&format!("[{},{}]", nested(96), nested(96))), Ok(()));
        for integer in ["18446744073709551616", "-9223372036854775809", "[1,99999999999999999999]"]
        {
            assert_eq!(check_strict_json(integer), Err(StrictJsonError::Integer));
        }
    }

    #[test]
    fn very_deep_nesting_is_refused_without_recursion() {
        assert_eq!(check_strict_json(&nested(1_000_000)), Err(StrictJsonError::Depth));
    }

    proptest! {
        #[test]
        fn texts_survive_any_content(content: String) {
            let text = serde_json::to_string(&[content]).unwrap();
            prop_assert_eq!(check_strict_json(&text), Ok(()));
        }
    }
}
