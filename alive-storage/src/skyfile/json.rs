//! JSON as the original writes it: what could be markup, and what ends lines in scripts, is escaped; of the short escapes
//! only those for quote, backslash, newline, return and tab are used.

use std::io;

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CharEscape, Formatter},
};

/// Writes a value as compact JSON.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, Original))?;
    Ok(json)
}

struct Original;

impl Formatter for Original {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| special(*c)) {
            let (plain, tail) = rest.split_at(at);
            write!(writer, "{plain}\\u{:04x}", u32::from(c))?;
            rest = tail.get(c.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Backspace => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed => writer.write_all(b"\\u000c"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_the_original_does() {
        let text = "a\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}<b>&\u{2028}\u{2029}/é\u{7f}";
        let json = String::from_utf8(to_json(&text).unwrap()).unwrap();
        let want = r#""a\"\\\n\r\t\u0008\u000c\u0001\u001f\u003cb\u003e\u0026\u2028\u2029/é"#;
        assert_eq!(json, format!("{want}\u{7f}\""));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
