//! What hived takes as the JSON of a `custom_json`: more than JSON ([`check_lenient_json`]).
//!
//! hived asks two parsers, and one yes is enough. The first is quick and nearly strict: it reads one value, does not
//! look at what follows it, and knows no `null`. The second is from the early days of the chain and forgives much: it
//! skips commas where none belong, takes any escape and any raw character in a string, reads `nul` as a text, and asks
//! only that nothing follows the value. Source: `spec/hive.md`, section 4.3; the details are those of hived's own code
//! as it runs in `@hiveio/wax` 2.0.2, whose verdicts on some texts stand in the tests.

use std::iter::Peekable;

use serde::de::IgnoredAny;

use crate::strict_json::{StrictJsonError, check_strict_json};

/// How deep the forgiving parser goes; it counts each array or object twice and each value once.
const MAX_DEPTH: usize = 200;

/// Bytes of the longest whole number that fits.
const MAX_INTEGER_LEN: usize = 20;

/// Refuses what hived does not take as JSON.
pub(super) fn check_lenient_json(text: &str) -> Result<(), StrictJsonError> {
    // A text that no parser of hived takes is no strict JSON either, but for limits that are ours.
    if is_accepted(text) { Ok(()) } else { Err(refusal(text)) }
}

fn refusal(text: &str) -> StrictJsonError {
    match check_strict_json(text) {
        Err(error) => error,
        Ok(()) => StrictJsonError::Syntax { line: 1, column: 1 },
    }
}

/// Neither parser recurses deeper than 200 times, whatever the text is.
fn is_accepted(text: &str) -> bool {
    quick(text) || forgiving(text)
}

/// The verdict of the quick parser.
fn quick(text: &str) -> bool {
    are_strings_whole(text.as_bytes()) && Quick { rest: root(text.as_bytes()) }.value().is_some()
}

/// The text from its first value on. A `false` or a whole number that stands alone is copied to a buffer that is one
/// byte too short: of exactly one byte too many the parser knows nothing, and the longest numbers have no edge there.
fn root(text: &[u8]) -> &[u8] {
    let text = skip_blanks(text);
    let edge = text.iter().position(|byte| is_edge(*byte)).unwrap_or(text.len());
    let (word, behind) = text.split_at_checked(edge).unwrap_or((text, &[]));
    let to_next = text.len() - skip_blanks(behind).len();
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let buffer = if word.starts_with(b"false") {
        b"false".len()
    } else if digits.iter().all(u8::is_ascii_digit) && word.len() >= MAX_INTEGER_LEN {
        MAX_INTEGER_LEN
    } else {
        return text;
    };
    if to_next == buffer + 1 {
        return text.get(..buffer).unwrap_or(text);
    }
    if buffer == MAX_INTEGER_LEN && to_next > buffer { &[] } else { text }
}

/// Whether every string of the text ends and has no control character; both parsers of the first stage look at the
/// whole text, even behind the value.
fn are_strings_whole(text: &[u8]) -> bool {
    let (mut inside, mut escaped) = (false, false);
    for byte in text {
        if inside && *byte < b' ' {
            return false;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
    !inside
}

/// Reads one value strictly, with a list of what is open instead of recursion.
struct Quick<'a> {
    rest: &'a [u8],
}

impl Quick<'_> {
    /// Moves over one value, `None` if there is none.
    fn value(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            self.skip_blanks();
            match self.rest.first()? {
                b'[' => {
                    self.take();
                    if !self.closes(b']') {
                        open.push(b']');
                        continue;
                    }
                }
                b'{' => {
                    self.take();
                    if !self.closes(b'}') {
                        open.push(b'}');
                        self.key()?;
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value has ended: what it was in goes on or ends, too.
            loop {
                let Some(close) = open.last().copied() else { return Some(()) };
                if self.closes(close) {
                    open.pop();
                    continue;
                }
                if !self.closes(b',') {
                    return None;
                }
                if close == b'}' {
                    self.key()?;
                }
                break;
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.skip_blanks();
        self.string()?;
        self.closes(b':').then_some(())
    }

    fn scalar(&mut self) -> Option<()> {
        match self.rest.first()? {
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'-' | b'0'..=b'9' => self.number(),
            // Also `null`: hived asks it for its text, which it has not.
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        self.is_at_edge().then_some(())
    }

    fn number(&mut self) -> Option<()> {
        let part =
            |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let len = self.rest.iter().position(|byte| !part(byte)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        let number = std::str::from_utf8(number).ok()?;
        // The grammar of JSON, and within it what fits.
        let parsed: serde_json::Number = serde_json::from_str(number).ok()?;
        let is_whole = !number.contains(['.', 'e', 'E']);
        let fits = parsed.is_u64() || parsed.is_i64() || (number == "-0");
        (self.is_at_edge() && (fits || !is_whole)).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        let text = self.rest.strip_prefix(b"\"")?;
        let (mut escaped, mut len) = (false, 0);
        for byte in text {
            len += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => break,
                _ => {}
            }
        }
        let (string, rest) = self.rest.split_at_checked(len + 1)?;
        self.rest = rest;
        serde_json::from_slice::<IgnoredAny>(string).ok()?;
        are_surrogates_followed(string).then_some(())
    }

    /// Whether a number or word may end here.
    fn is_at_edge(&self) -> bool {
        self.rest.first().is_none_or(|byte| is_edge(*byte))
    }

    /// Takes this byte after any blanks, if it comes next.
    fn closes(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.take();
        }
        is_next
    }

    fn skip_blanks(&mut self) {
        self.rest = skip_blanks(self.rest);
    }

    fn take(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}

/// Whether every escaped high surrogate has some escape by number behind it. It need not be a low one, and a low one may
/// stand alone.
fn are_surrogates_followed(string: &[u8]) -> bool {
    let mut rest = string;
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (
                b'\\',
                [b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', _, _, behind @ ..],
            ) => {
                let Some(behind) = behind.strip_prefix(b"\\u") else { return false };
                behind
            }
            (b'\\', [_, behind @ ..]) => behind,
            _ => after,
        };
    }
    true
}

fn is_edge(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b',' | b':' | b'[' | b']' | b'{' | b'}')
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    text.get(blanks..).unwrap_or_default()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The verdict of the forgiving parser.
fn forgiving(text: &str) -> bool {
    let mut parser = Forgiving { bytes: text.bytes().peekable() };
    parser.value(0).is_some() && parser.bytes.peek().is_none()
}

/// Reads one value and forgives.
struct Forgiving<I: Iterator<Item = u8>> {
    bytes: Peekable<I>,
}

impl<I: Iterator<Item = u8>> Forgiving<I> {
    fn value(&mut self, depth: usize) -> Option<()> {
        let depth = deeper(depth)?;
        self.skip_blanks();
        match self.bytes.peek()? {
            b'"' => self.string(),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'-' | b'.' | b'0'..=b'9' => self.number(),
            b'n' | b't' | b'f' => self.word(),
            _ => None,
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let depth = deeper(depth)?;
        self.bytes.next();
        loop {
            self.skip_blanks();
            match self.bytes.peek()? {
                b']' => break,
                b',' => drop(self.bytes.next()),
                _ => self.value(depth)?,
            }
        }
        self.bytes.next();
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        let depth = deeper(depth)?;
        self.bytes.next();
        loop {
            self.skip_blanks();
            match self.bytes.peek()? {
                b'}' => break,
                b',' => drop(self.bytes.next()),
                _ => {
                    self.string()?;
                    self.skip_blanks();
                    self.bytes.next_if_eq(&b':')?;
                    self.value(depth)?;
                }
            }
        }
        self.bytes.next();
        Some(())
    }

    /// Any bytes up to a quote; only the end of a transmission (4) must be escaped.
    fn string(&mut self) -> Option<()> {
        self.bytes.next_if_eq(&b'"')?;
        loop {
            match self.bytes.next()? {
                b'"' => return Some(()),
                b'\\' => drop(self.bytes.next()?),
                4 => return None,
                _ => {}
            }
        }
    }

    /// Digits and at most one point, which must fit; with a letter behind them they are a text.
    fn number(&mut self) -> Option<()> {
        let is_negative = self.bytes.next_if_eq(&b'-').is_some();
        let (mut digits, mut has_point) = (String::new(), false);
        while let Some(byte) = self.bytes.next_if(|byte| byte.is_ascii_digit() || *byte == b'.') {
            if byte == b'.' && std::mem::replace(&mut has_point, true) {
                return None;
            }
            digits.push(byte.into());
        }
        if self.bytes.peek().is_some_and(u8::is_ascii_alphanumeric) {
            return self.token();
        }
        let fits = match (has_point, is_negative) {
            (true, _) => digits != ".",
            (false, true) => format!("-{digits}").parse::<i64>().is_ok(),
            (false, false) => digits.parse::<u64>().is_ok(),
        };
        fits.then_some(())
    }

    /// `null`, `true` and `false`, and any text that begins with their letters.
    fn word(&mut self) -> Option<()> {
        let mut word = Vec::new();
        let letter = |byte: &u8| b"nultrefas".contains(byte);
        while let Some(byte) = self.bytes.next_if(letter) {
            word.push(byte);
        }
        let is_known = matches!(word.as_slice(), b"null" | b"true" | b"false");
        // At the end of the text any beginning will do.
        if is_known || self.bytes.peek().is_none() { Some(()) } else { self.token() }
    }

    /// The rest of a text without quotes.
    fn token(&mut self) -> Option<()> {
        loop {
            match self.bytes.peek() {
                // Any escape, even of nothing.
                Some(b'\\') => {
                    self.bytes.next();
                    self.bytes.next();
                }
                Some(b'\t' | b' ' | b'\0' | b'\n') => {
                    self.bytes.next();
                    return Some(());
                }
                Some(byte) if byte.is_ascii_alphanumeric() || b"_-.:/".contains(byte) => {
                    self.bytes.next();
                }
                Some(_) | None => return Some(()),
            }
        }
    }

    fn skip_blanks(&mut self) {
        while self.bytes.next_if(|byte| is_blank(*byte)).is_some() {}
    }
}

fn deeper(depth: usize) -> Option<usize> {
    (depth < MAX_DEPTH).then_some(depth + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn nested(depth: usize, leaf: &str) -> String {
        format!("{}{leaf}{}", "[".repeat(depth), "]".repeat(depth))
    }

    /// Texts of a random grammar and what hived's own code says of them. The model agreed on all of 100,000 such
    /// texts; these are 450 of them, most of them no JSON.
    #[test]
    fn every_recorded_verdict_of_hived_is_the_same_here() {
        let mut verdicts = [0, 0];
        for line in include_str!("lenient_json.jsonl").lines() {
            let (text, accepted): (String, bool) = serde_json::from_str(line).unwrap();
            assert_eq!(is_accepted(&text), accepted, "{text:?}");
            verdicts[usize::from(accepted)] += 1;
        }
        assert_eq!(verdicts, [180, 270]);
    }

    #[rstest]
    #[case("{} x")]
    #[case("{}{}")]
    #[case("[1,]")]
    #[case("{\"a\":1 \"b\":2,,}")]
    #[case("[1 2]")]
    #[case("\"a\nb\"")]
    #[case("\"a\tb\"")]
    #[case(r#""\x""#)]
    #[case("01")]
    #[case(".5")]
    #[case("nul")]
    #[case("1e5")]
    #[case("12abc")]
    #[case("18446744073709551615")]
    #[case("-9223372036854775808")]
    fn what_is_no_strict_json_is_taken_too(#[case] text: &str) {
        assert!(is_accepted(text));
    }

    #[rstest]
    #[case("")]
    #[case("  ")]
    #[case("hello")]
    #[case("NaN")]
    #[case("+1")]
    #[case("'a'")]
    #[case("{a:1}")]
    #[case("/**/1")]
    #[case("\u{feff}{}")]
    #[case("\"abc")]
    #[case("[1,] x")]
    #[case("null x")]
    #[case("[1.2.3]")]
    #[case("18446744073709551616")]
    #[case("[-9223372036854775809]")]
    fn some_texts_are_too_much_even_for_hived(#[case] text: &str) {
        assert!(!is_accepted(text), "{text:?}");
    }

    #[test]
    fn only_what_the_quick_parser_refuses_has_a_limit_of_depth() {
        assert!(is_accepted(&nested(4096, "")));
        assert!(is_accepted(&nested(99, "null")));
        assert!(!is_accepted(&nested(100, "null")));
        assert!(is_accepted(&nested(100, " , ")));
        assert!(!is_accepted(&nested(101, " , ")));
        assert!(!is_accepted(&"[".repeat(1_000_000)));
        assert!(!is_accepted(&"{\"a\":".repeat(1_000_000)));
    }

    /// Neither parser takes both.
    #[test]
    fn a_null_and_an_exponent_with_a_plus_are_too_much_together() {
        assert!(is_accepted("[1e+5]") && is_accepted("[1e5,null]"));
        assert_eq!(check_strict_json("[1e+5,null]"), Ok(()));
        assert_eq!(
            check_lenient_json("[1e+5,null]"),
            Err(StrictJsonError::Syntax { line: 1, column: 1 })
        );
    }

    proptest! {
        #[test]
        fn whatever_a_client_may_send_is_taken(content: String, number: i64, float in -1e15..1e15) {
            let json = serde_json::json!({ &content: [number, float, null, true, content] });
            let text = json.to_string();
            prop_assert_eq!(check_strict_json(&text), Ok(()));
            prop_assert!(is_accepted(&text), "{}", text);
        }

        #[test]
        fn strict_json_is_taken_unless_it_has_a_plus(text in "[\\[\\]{},:\"0-9.eE\\-truefalsn \\\\]{0,24}") {
            prop_assert!(check_strict_json(&text).is_err() || is_accepted(&text), "{:?}", text);
        }

        #[test]
        fn any_text_is_judged(text: String) {
            let judged = is_accepted(&text);
            // Blanks in front never change a verdict.
            prop_assert_eq!(is_accepted(&format!("  {text}")), judged);
        }
    }
}
