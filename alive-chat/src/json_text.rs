//! JavaScript's JSON text, exact: writing strings as `JSON.stringify` does, and reading only what it writes.

use std::{borrow::Cow, fmt};

/// Writes a text as `JSON.stringify` writes it. Source: `spec/alivedb.md`, section 3, and `spec/avalon.md`, section 6.
pub(crate) fn write_string(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !needs_escape(byte) {
            continue;
        }
        f.write_str(text.get(plain_from..at).unwrap_or_default())?;
        plain_from = at + 1;
        match short_escape(byte) {
            Some(letter) => write!(f, "\\{}", char::from(letter))?,
            None => write!(f, "\\u{byte:04x}")?,
        }
    }
    f.write_str(text.get(plain_from..).unwrap_or_default())?;
    f.write_char('"')
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn short_escape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => return None,
    })
}

/// What a string of JSON says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// A text.
    Whole(Cow<'a, str>),
    /// It has half of a surrogate pair, which JavaScript can hold and UTF-8 cannot.
    Broken,
}

/// Takes a string from the front, if it stands as `JSON.stringify` writes it; gives what it says and the rest.
pub(crate) fn take_string(from: &str) -> Option<(Text<'_>, &str)> {
    let body = from.strip_prefix('"')?;
    let end = body.bytes().position(needs_escape)?;
    let (plain, rest) = body.split_at_checked(end)?;
    if let Some(rest) = rest.strip_prefix('"') {
        return Some((Text::Whole(plain.into()), rest));
    }
    let mut said = String::from(plain);
    let mut broken = false;
    let mut half_before = false;
    let mut rest = rest;
    loop {
        let end = rest.bytes().position(needs_escape)?;
        let (plain, after) = rest.split_at_checked(end)?;
        said.push_str(plain);
        half_before &= plain.is_empty();
        if let Some(rest) = after.strip_prefix('"') {
            let text = if broken { Text::Broken } else { Text::Whole(said.into()) };
            return Some((text, rest));
        }
        let escape = after.strip_prefix('\\')?;
        let (letter, after) = escape.split_at_checked(1)?;
        if letter != "u" {
            let byte = (0..0x80).find(|byte| short_escape(*byte) == letter.bytes().next())?;
            said.push(char::from(byte));
            (half_before, rest) = (false, after);
            continue;
        }
        let (digits, after) = after.split_at_checked(4)?;
        let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let unit = u32::from_str_radix(digits, 16).ok().filter(|_| lower)?;
        match unit {
            0..0x20 => {
                let byte = u8::try_from(unit).ok().filter(|byte| short_escape(*byte).is_none())?;
                said.push(char::from(byte));
                half_before = false;
            }
            // Two halves that fit stand as one character, never as two escapes.
            0xdc00..0xe000 if half_before => return None,
            0xd800..0xe000 => {
                broken = true;
                half_before = unit < 0xdc00;
            }
            _ => return None,
        }
        rest = after;
    }
}

/// Takes a number from the front, if it stands as JavaScript prints it; gives its value and the rest.
pub(crate) fn take_number(from: &str) -> Option<(f64, &str)> {
    /// JavaScript prints no longer number.
    const LONGEST: usize = 25;
    let letter = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e');
    let end = from.as_bytes().iter().take(LONGEST + 1).position(letter)?;
    let (number, rest) = from.split_at_checked(end)?;
    let value: f64 = number.parse().ok()?;
    let printed = value.is_finite() && ryu_js::Buffer::new().format_finite(value) == number;
    printed.then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        write_string(&mut out, text).unwrap();
        out
    }

    #[test]
    fn writes_as_javascript_does() {
        assert_eq!(
            written("a\"\\/\u{8}\t\n\u{c}\r\u{b}\u{7f}\u{2028}é😀"),
            "\"a\\\"\\\\/\\b\\t\\n\\f\\r\\u000b\u{7f}\u{2028}é😀\""
        );
    }

    #[rstest]
    #[case::needless_escape(r#""\/""#)]
    #[case::long_escape_of_newline(r#""\u000a""#)]
    #[case::upper_case(r#""\u001F""#)]
    #[case::escaped_letter(r#""\u0041""#)]
    #[case::escaped_pair(r#""\ud83d\ude00""#)]
    #[case::raw_control("\"\u{1}\"")]
    #[case::open("\"abc")]
    #[case::cut_escape(r#""\u00"#)]
    #[case::unknown_escape(r#""\x""#)]
    #[case::split_escape("\"\\é\"")]
    #[case::split_digits("\"\\u000é\"")]
    fn reads_no_other_form(#[case] text: &str) {
        assert_eq!(take_string(text), None);
    }

    #[rstest]
    #[case(r#""\ud800""#)]
    #[case(r#""\ud800a""#)]
    #[case(r#""\udc00\ud800""#)]
    #[case(r#""\ud800\ud800""#)]
    #[case(r#""\ud800x\udc00""#)]
    #[case(r#""\ud800\n\udc00""#)]
    fn halves_of_pairs_are_form_but_no_text(#[case] text: &str) {
        assert_eq!(take_string(text), Some((Text::Broken, "")));
    }

    #[rstest]
    #[case("1,", Some(1.0))]
    #[case("1795219439353.001,", Some(1_795_219_439_353.001))]
    #[case("1e+21}", Some(1e21))]
    #[case("-5e-324,", Some(-5e-324))]
    #[case("1.0,", None)]
    #[case("01,", None)]
    #[case("-0,", None)]
    #[case("1e21,", None)]
    #[case("1e999,", None)]
    #[case(".5,", None)]
    #[case("5", None)]
    fn numbers_stand_as_printed(#[case] text: &str, #[case] value: Option<f64>) {
        let got = take_number(text).map(|(value, _)| value.to_bits());
        assert_eq!(got, value.map(f64::to_bits));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text: String, rest: String) {
            let json = written(&text) + &rest;
            prop_assert_eq!(take_string(&json), Some((Text::Whole(text.into()), &*rest)));
        }

        #[test]
        fn any_text_is_read_only_as_it_would_be_written(text in "\"[\\x00-\\x7f]{0,12}\"?") {
            if let Some((Text::Whole(said), rest)) = take_string(&text) {
                prop_assert_eq!(written(&said) + rest, text);
            }
        }

        #[test]
        fn numbers_survive(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite() && value != 0.0);
            let text = format!("{},", ryu_js::Buffer::new().format_finite(value));
            prop_assert_eq!(take_number(&text).map(|(v, rest)| (v.to_bits(), rest)), Some((bits, ",")));
        }
    }
}
