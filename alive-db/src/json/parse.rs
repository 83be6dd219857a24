//! Reads JSON as `JSON.parse` does.

use super::{Json, Object, Text};

/// How many arrays and objects may be open at once. GUN's own messages need 7; the limit keeps hostile nesting off the
/// stack. Ours.
pub const MAX_DEPTH: usize = 64;

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// More arrays and objects are open at this byte than [`MAX_DEPTH`].
    #[error("byte {at}: more than {MAX_DEPTH} levels of nesting")]
    Depth {
        /// Where, from the start of the text.
        at: usize,
    },
    /// The text ends too early.
    #[error("the JSON text ends too early")]
    End,
    /// Something else should stand here.
    #[error("byte {at}: expected {expected}")]
    Unexpected {
        /// Where, from the start of the text.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
}

pub(super) fn parse(text: &str) -> Result<Json, JsonError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_blanks();
    let json = parser.value()?;
    parser.skip_blanks();
    match parser.peek() {
        None => Ok(json),
        Some(_) => Err(parser.unexpected("the end")),
    }
}

#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Json, JsonError> {
        match self.peek().ok_or(JsonError::End)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Json, JsonError>,
    ) -> Result<Json, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::Depth { at: self.at });
        }
        self.depth += 1;
        self.at += 1;
        self.skip_blanks();
        let json = read(self);
        self.depth -= 1;
        json
    }

    fn object(&mut self) -> Result<Json, JsonError> {
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(Object::default()));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key"));
            }
            let key = self.string()?;
            self.skip_blanks();
            self.expect(b':', "a colon")?;
            self.skip_blanks();
            members.push((key, self.value()?));
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(Json::Object(members.into_iter().collect()));
            }
            self.expect(b',', "a comma or the object's end")?;
            self.skip_blanks();
        }
    }

    fn array(&mut self) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            self.expect(b',', "a comma or the array's end")?;
            self.skip_blanks();
        }
    }

    fn string(&mut self) -> Result<Text, JsonError> {
        self.at += 1;
        let plain = self.plain()?;
        if self.take(b'"') {
            return Ok(Text::from_wtf8(plain.as_bytes()));
        }
        let mut bytes = plain.as_bytes().to_vec();
        let mut high = None;
        loop {
            if self.take(b'"') {
                flush(&mut high, &mut bytes);
                return Ok(Text::from_wtf8(&bytes));
            }
            if self.take(b'\\') {
                let unit = self.escape()?;
                match (high.take(), unit) {
                    (Some(first), 0xdc00..=0xdfff) => {
                        let pair = char::decode_utf16([first, unit]).flatten();
                        pair.for_each(|c| push_char(c, &mut bytes));
                    }
                    (first, _) => {
                        high = first;
                        flush(&mut high, &mut bytes);
                        if (0xd800..=0xdbff).contains(&unit) {
                            high = Some(unit);
                        } else {
                            push_unit(unit, &mut bytes);
                        }
                    }
                }
            } else {
                flush(&mut high, &mut bytes);
                bytes.extend_from_slice(self.plain()?.as_bytes());
            }
        }
    }

    /// The characters up to a quote or a backslash.
    fn plain(&mut self) -> Result<&'a str, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let special = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\');
        let len = special.ok_or(JsonError::End)?;
        if rest.as_bytes().get(len).is_some_and(|b| *b < 0x20) {
            self.at += len;
            return Err(self.unexpected("no control character"));
        }
        self.at += len;
        Ok(rest.get(..len).unwrap_or_default())
    }

    fn escape(&mut self) -> Result<u16, JsonError> {
        let unit = match self.peek().ok_or(JsonError::End)? {
            plain @ (b'"' | b'\\' | b'/') => plain.into(),
            b'b' => 8,
            b't' => 9,
            b'n' => 10,
            b'f' => 12,
            b'r' => 13,
            b'u' => {
                let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
                let digits = digits.ok_or(JsonError::End)?;
                let mut unit: u16 = 0;
                for digit in digits {
                    let digit = char::from(*digit).to_digit(16);
                    let digit = digit.ok_or_else(|| self.unexpected("four hexadecimal digits"))?;
                    unit = unit << 4 | u16::try_from(digit).unwrap_or(0);
                }
                self.at += 4;
                unit
            }
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(unit)
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        // The form is one that Rust reads, rounding as JavaScript does.
        text.parse().map(Json::Number).map_err(|_| self.unexpected("a number"))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.unexpected("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self, word: &'static str, json: Json) -> Result<Json, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.unexpected(word));
        }
        self.at += word.len();
        Ok(json)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&self, expected: &'static str) -> JsonError {
        match self.peek() {
            None => JsonError::End,
            Some(_) => JsonError::Unexpected { at: self.at, expected },
        }
    }
}

/// Writes a high surrogate that has found no partner.
fn flush(high: &mut Option<u16>, bytes: &mut Vec<u8>) {
    if let Some(unit) = high.take() {
        push_unit(unit, bytes);
    }
}

fn push_unit(unit: u16, bytes: &mut Vec<u8>) {
    match char::from_u32(unit.into()) {
        Some(char) => push_char(char, bytes),
        // An unpaired surrogate, in the three bytes of any other unit of its size.
        None => {
            let bits = |shift: u16| u8::try_from((unit >> shift) & 0x3f).unwrap_or(0) | 0x80;
            bytes.extend([0xed, bits(6), bits(0)]);
        }
    }
}

fn push_char(char: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("{")]
    #[case("[1,]")]
    #[case("[,1]")]
    #[case("{\"a\":1,}")]
    #[case("{a:1}")]
    #[case("{\"a\" 1}")]
    #[case("01")]
    #[case("+1")]
    #[case("1.")]
    #[case(".5")]
    #[case("1e")]
    #[case("-")]
    #[case("NaN")]
    #[case("tru")]
    #[case("1 2")]
    #[case("\u{feff}1")]
    #[case("\"\n\"")]
    #[case("\"\\x\"")]
    #[case("\"\\u12g4\"")]
    #[case("\"\\u+123\"")]
    #[case("\"\\u12")]
    #[case("\"abc")]
    #[case("\u{a0}1")]
    fn refuses_what_javascript_refuses(#[case] text: &str) {
        assert!(Json::parse(text).is_err(), "{text:?}");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(Json::parse(&nested(MAX_DEPTH + 1)), Err(JsonError::Depth { at: MAX_DEPTH }));
        assert_eq!(Json::parse(&"[{\"a\":".repeat(100_000)), Err(JsonError::Depth { at: 192 }));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_prints_to_itself(text in "[\\[\\]{}:,\"\\\\a0-9.eE+\\-tfnu dé😀]{0,24}") {
            if let Ok(json) = Json::parse(&text) {
                let printed = json.print();
                prop_assert_eq!(Json::parse(&printed).unwrap().print(), printed);
            }
        }

        #[test]
        fn reads_what_serde_reads(text in "[\\[\\]{}:,\"a0-9.e\\- tru]{0,16}") {
            let serde = serde_json::from_str::<serde_json::Value>(&text);
            if serde.is_ok() {
                prop_assert!(Json::parse(&text).is_ok());
            } else if let Ok(json) = Json::parse(&text) {
                prop_assert!(json.print().contains("null"), "only a number beyond a double");
            }
        }
    }
}
