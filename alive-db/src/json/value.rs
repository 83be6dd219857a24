//! A JSON value with JavaScript's order of keys: [`Json`], [`Object`].

use std::{collections::HashMap, fmt::Write as _};

use super::{Text, parse::JsonError, print_number};

/// Objects with more members look for a doubled key by a table.
const FEW: usize = 8;

/// Any JSON value.
///
/// ```
/// use alive_db::json::Json;
/// let json = Json::parse(r#"{"b":1.0,"7":"\u00e9","b":[null]}"#)?;
/// assert_eq!(json.print(), r#"{"7":"é","b":[null]}"#);
/// # Ok::<(), alive_db::json::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "JSON has these and no others")]
pub enum Json {
    /// `[…]`
    Array(Vec<Self>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// A number; infinite if the text was beyond a double.
    Number(f64),
    /// `{…}`
    Object(Object),
    /// `"…"`
    Text(Text),
}

impl Json {
    /// Reads a JSON text as `JSON.parse` does, at most [`MAX_DEPTH`](super::MAX_DEPTH) levels deep.
    ///
    /// # Errors
    /// It is not JSON, or too deep.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        super::parse::parse(text)
    }

    /// The text that `JSON.stringify` gives.
    pub fn print(&self) -> String {
        let mut out = String::new();
        self.print_to(&mut out);
        out
    }

    /// Appends the text that `JSON.stringify` gives.
    pub fn print_to(&self, out: &mut String) {
        match self {
            Self::Array(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.print_to(out);
                }
                out.push(']');
            }
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Null => out.push_str("null"),
            Self::Number(number) => print_number(*number, out),
            Self::Object(object) => {
                out.push('{');
                for (n, (key, value)) in object.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    print_text(key, out);
                    out.push(':');
                    value.print_to(out);
                }
                out.push('}');
            }
            Self::Text(text) => print_text(text, out),
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&Text> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The member of this name, if it is an object that has one.
    pub fn member(&self, key: &str) -> Option<&Self> {
        self.as_object()?.member(key)
    }
}

/// Members of an object, in JavaScript's order: keys that are array indices first, ascending, then the others as they
/// came. A key stands once: with its last value, in its first place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(Text, Json)>);

impl Object {
    /// The member of this name.
    pub fn member(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Json)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Object {
    type Item = (Text, Json);
    type IntoIter = std::vec::IntoIter<(Text, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(Text, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (Text, Json)>>(members: I) -> Self {
        let mut all: Vec<(Text, Json)> = Vec::new();
        let mut table: HashMap<Text, usize> = HashMap::new();
        let mut has_index = false;
        for (key, value) in members {
            if all.len() == FEW {
                table = all.iter().enumerate().map(|(n, (key, _))| (key.clone(), n)).collect();
            }
            let place = if all.len() < FEW {
                all.iter().position(|(old, _)| *old == key)
            } else {
                table.get(&key).copied()
            };
            if let Some(old) = place.and_then(|n| all.get_mut(n)) {
                old.1 = value;
                continue;
            }
            has_index |= key.to_index().is_some();
            if all.len() >= FEW {
                table.insert(key.clone(), all.len());
            }
            all.push((key, value));
        }
        if has_index {
            // Stable: the others keep their order behind the indices.
            all.sort_by_key(|(key, _)| key.to_index().map_or((1, 0), |n| (0, n)));
        }
        Self(all)
    }
}

impl<'a> FromIterator<(&'a str, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (&'a str, Json)>>(members: I) -> Self {
        members.into_iter().map(|(key, value)| (Text::from(key), value)).collect()
    }
}

/// Appends a text as `JSON.stringify` does: with quotes and escapes.
pub fn print_text(text: &Text, out: &mut String) {
    out.push('"');
    match text.as_str() {
        Some(text) => print_str(text, out),
        None => {
            for part in char::decode_utf16(text.units()) {
                match part {
                    Ok(char) => print_str(char.encode_utf8(&mut [0; 4]), out),
                    Err(error) => {
                        let _infallible = write!(out, "\\u{:04x}", error.unpaired_surrogate());
                    }
                }
            }
        }
    }
    out.push('"');
}

fn print_str(mut rest: &str, out: &mut String) {
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\r') => out.push_str("\\r"),
            Some(control) => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(control));
            }
            None => {}
        }
        rest = tail.as_str();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#)]
    #[case(
        r#"{"b":1,"10":2,"9":3,"01":4,"4294967294":5,"4294967295":6}"#,
        r#"{"9":3,"10":2,"4294967294":5,"b":1,"01":4,"4294967295":6}"#
    )]
    #[case(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#)]
    #[case(r#"{"0":{"1":1,"x":2,"0":3}}"#, r#"{"0":{"0":3,"1":1,"x":2}}"#)]
    #[case(
        r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":0,"i":1,"a":2}"#,
        r#"{"a":2,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":1,"j":0}"#
    )]
    #[case("[1.0, 1e400, -1e400, -0, 1E2]", "[1,null,null,0,100]")]
    #[case(
        r#""\u0001\u001f\u007f\/\b\f\n\r\t\"\\é\u2028""#,
        "\"\\u0001\\u001f\u{7f}/\\b\\f\\n\\r\\t\\\"\\\\é\u{2028}\""
    )]
    #[case(r#""\ud83d\ude00 \uD83D \ude00""#, r#""😀 \ud83d \ude00""#)]
    fn reads_and_prints_as_javascript(#[case] text: &str, #[case] printed: &str) {
        assert_eq!(Json::parse(text).unwrap().print(), printed);
    }
}
