//! Reading a JSON text as JavaScript writes it, without a tree: [`JsonRef`].

use std::borrow::Cow;

use memchr::memchr;

use crate::json_text::utf16_len;

/// A value inside a [`JsonText`](crate::JsonText).
///
/// It is a piece of that text, so reading a member costs a walk over those before it.
///
/// ```
/// use alive_avalon::JsonText;
/// let text = JsonText::of(r#"{"data":{"seq":[[0,"a"]]},"sender":"alice"}"#)?;
/// let root = text.root();
/// assert_eq!(root.member("sender").and_then(|name| name.to_text()).as_deref(), Some("alice"));
/// assert_eq!(root.member("data").map(|data| data.as_str()), Some(r#"{"seq":[[0,"a"]]}"#));
/// # Ok::<(), alive_avalon::JsonTextError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonRef<'a>(&'a str);

/// A key of an object with its value.
pub type JsonMember<'a> = (JsonRef<'a>, JsonRef<'a>);

impl<'a> JsonRef<'a> {
    /// Takes a text that is known to be written as JavaScript does.
    pub(crate) fn of_canonical(text: &'a str) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Whether it is a string.
    pub fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    /// Whether it is an object; JavaScript calls arrays objects, too, this does not.
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether JavaScript takes it for true in a condition.
    pub fn is_truthy(self) -> bool {
        !matches!(self.0, "null" | "false" | "0" | "\"\"")
    }

    /// The items of an array; none of anything else.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let mut rest = inside(self.0, '[', ']');
        std::iter::from_fn(move || {
            let (item, after) = split_value(rest)?;
            rest = after.strip_prefix(',').unwrap_or(after);
            Some(item)
        })
    }

    /// The members of an object in their order; none of anything else.
    pub fn members(self) -> impl Iterator<Item = JsonMember<'a>> {
        Members::of(self.0)
    }

    /// A member of an object, by a name that needs no escape.
    pub fn member(self, name: &str) -> Option<Self> {
        self.members().find(|(key, _)| key.is_text(name)).map(|(_, value)| value)
    }

    /// Whether it is this string, which needs no escape.
    pub fn is_text(self, text: &str) -> bool {
        self.quoted() == Some(text)
    }

    /// The text of a string; `None` if it is no string or has a surrogate without a partner.
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        let quoted = self.quoted()?;
        if memchr(b'\\', quoted.as_bytes()).is_none() {
            return Some(Cow::Borrowed(quoted));
        }
        serde_json::from_str(self.0).ok().map(Cow::Owned)
    }

    /// Length of a string in UTF-16 code units; `None` if it is no string.
    pub fn string_utf16_len(self) -> Option<usize> {
        let quoted = self.quoted()?;
        let mut len = utf16_len(quoted);
        if memchr(b'\\', quoted.as_bytes()).is_none() {
            return Some(len);
        }
        let mut bytes = quoted.bytes();
        // Each escape stands for one code unit: a lone surrogate, a control character, a quote, a backslash.
        while let Some(byte) = bytes.next() {
            if byte == b'\\' {
                len -= if bytes.next() == Some(b'u') { 5 } else { 1 };
            }
        }
        Some(len)
    }

    /// The value of a number.
    pub fn to_number(self) -> Option<f64> {
        let first = self.0.bytes().next()?;
        if first == b'-' || first.is_ascii_digit() { self.0.parse().ok() } else { None }
    }

    /// The number if it is what JavaScript calls a safe integer: from -2^53+1 to 2^53-1.
    pub fn to_safe_integer(self) -> Option<i64> {
        /// `Number.MAX_SAFE_INTEGER`.
        const MAX: i64 = (1 << 53) - 1;
        // Integers below 1e21 are written in plain digits.
        self.0.parse().ok().filter(|number| (-MAX..=MAX).contains(number))
    }

    /// How many arrays and objects are open at once at most.
    pub fn depth(self) -> usize {
        let bytes = self.0.as_bytes();
        let (mut depth, mut deepest, mut at) = (0_usize, 0, 0);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    at += string_len(bytes.get(at..).unwrap_or_default());
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
            at += 1;
        }
        deepest
    }

    /// What stands between the quotes.
    pub(crate) fn quoted(self) -> Option<&'a str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }
}

/// The members of the object that a text starts with. What follows the object is not looked at.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a>(&'a str);

impl<'a> Members<'a> {
    /// None if the text starts with something else.
    pub(crate) fn of(text: &'a str) -> Self {
        Self(text.strip_prefix('{').unwrap_or_default())
    }

    /// What is left of the text; behind the object, once there are no more members.
    pub(crate) fn rest(&self) -> &'a str {
        self.0.strip_prefix('}').unwrap_or(self.0)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = JsonMember<'a>;

    fn next(&mut self) -> Option<JsonMember<'a>> {
        if self.0.starts_with('}') {
            return None;
        }
        let (key, after) = split_value(self.0)?;
        let (value, after) = split_value(after.strip_prefix(':')?)?;
        self.0 = after.strip_prefix(',').unwrap_or(after);
        Some((key, value))
    }
}

/// What stands between the brackets of a value of that kind.
fn inside(text: &str, open: char, close: char) -> &str {
    text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).unwrap_or_default()
}

/// The value that the text starts with, and what follows it.
pub(crate) fn split_value(text: &str) -> Option<(JsonRef<'_>, &str)> {
    let bytes = text.as_bytes();
    let len = match bytes.first()? {
        b'"' => string_len(bytes),
        b'[' | b'{' => nested_len(bytes),
        _ => {
            bytes.iter().position(|byte| matches!(byte, b',' | b']' | b'}')).unwrap_or(bytes.len())
        }
    };
    let (value, rest) = text.split_at_checked(len)?;
    Some((JsonRef(value), rest))
}

/// Bytes of a string with both quotes.
fn string_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    loop {
        at += crate::json_text::plain_len(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            _ => return bytes.len(),
        }
    }
}

/// Bytes of an array or object with both brackets.
fn nested_len(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += string_len(bytes.get(at..).unwrap_or_default());
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::JsonText;

    #[test]
    fn lengths_count_code_units() {
        let len = |json: &str| JsonText::of(json).unwrap().root().string_utf16_len();
        assert_eq!(len(r#""a\n\"\\\u0001\ud800é😀""#), Some(9));
        assert_eq!(len("\"\""), Some(0));
        assert_eq!(len("5"), None);
    }

    #[test]
    fn integers_are_told_by_value() {
        let whole = |json: &str| JsonText::of(json).unwrap().root().to_safe_integer();
        assert_eq!(whole("26.0"), Some(26));
        assert_eq!(whole("1e3"), Some(1000));
        assert_eq!(whole("-0"), Some(0));
        assert_eq!(whole("9007199254740991"), Some(9_007_199_254_740_991));
        for not in ["9007199254740992", "1e300", "1.5", "\"5\"", "null", "true", "[]"] {
            assert_eq!(whole(not), None, "{not}");
        }
    }

    #[test]
    fn a_lone_surrogate_has_no_text() {
        let text = JsonText::of(r#"["\ud800","\\ud800"]"#).unwrap();
        let items: Vec<_> = text.root().items().map(JsonRef::to_text).collect();
        assert_eq!(items, [None, Some(r"\ud800".into())]);
    }

    proptest! {
        #[test]
        fn a_walk_sees_what_serde_json_sees(
            texts in prop::collection::vec(".*", 0..6),
            numbers in prop::collection::vec(any::<i32>(), 0..6),
        ) {
            let value = serde_json::json!({ "a": texts, "b": { "n": numbers, "s": texts.concat() } });
            let text = JsonText::from(&value);
            prop_assert_eq!(read(text.root()), value);
        }
    }

    fn read(json: JsonRef<'_>) -> Value {
        if json.is_array() {
            return json.items().map(read).collect();
        }
        if json.is_object() {
            let member =
                |(key, value): JsonMember<'_>| (key.to_text().unwrap().into(), read(value));
            return Value::Object(json.members().map(member).collect());
        }
        match json.to_text() {
            Some(text) => Value::from(text),
            None => Value::from(json.to_safe_integer()),
        }
    }
}
