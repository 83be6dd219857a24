//! The JSON text that JavaScript's `JSON.stringify` makes of what its `JSON.parse` reads: [`JsonText`].
//!
//! Avalon hashes this text and counts bandwidth in it, so it must be the same to the byte. It is made in one pass over
//! the text that came in, without a tree: what is already written as JavaScript writes it is copied in long spans, the
//! whole text at once if all of it is; numbers and escapes are written anew, and objects whose members JavaScript would
//! order otherwise are noted and put in order at the end. Nothing here recurses, so that no depth of nesting is too deep.
//! Source: `spec/avalon.md`, section 6.

use std::{fmt, mem};

use crate::json_ref::{JsonMember, JsonRef};

mod number;
mod order;
mod string;

pub(crate) use number::push_number;
pub(crate) use order::array_index;
pub(crate) use string::{plain_len, push_string};

use order::{Member, Output, Reordering};

/// JSON as JavaScript writes it: what `JSON.stringify(JSON.parse(text))` gives.
///
/// ```
/// use alive_avalon::JsonText;
/// let text = JsonText::of(r#" {"b":1.0, "10":1e21, "2":-0, "b":"\u00e9\/"} "#)?;
/// assert_eq!(text.as_str(), r#"{"2":0,"10":1e+21,"b":"é/"}"#);
/// assert_eq!(text.utf16_len(), 27);
/// # Ok::<(), alive_avalon::JsonTextError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonText(Box<str>);

impl JsonText {
    /// Reads strict JSON (RFC 8259, no byte order mark) and writes it as JavaScript does.
    ///
    /// # Errors
    /// [`JsonTextError`] if the text is no JSON.
    pub fn of(text: &str) -> Result<Self, JsonTextError> {
        Self::with_members(text).map(|(text, _)| text)
    }

    /// The same, and the members of an object, as the way to them has just been walked; `None` if they were reordered,
    /// or there are none.
    pub(crate) fn with_members(text: &str) -> Result<(Self, Option<RootMembers>), JsonTextError> {
        let mut writer = Writer::new(text);
        writer.document()?;
        let members = Some(mem::take(&mut writer.root)).filter(|_| writer.reorderings.is_empty());
        let members = members.filter(|members| !members.is_empty()).map(RootMembers);
        Ok((Self(writer.finish()), members))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in UTF-16 code units, which is what Avalon calls bytes.
    pub fn utf16_len(&self) -> usize {
        utf16_len(&self.0)
    }

    /// The value, for reading.
    pub fn root(&self) -> JsonRef<'_> {
        JsonRef::of_canonical(&self.0)
    }

    /// Takes a text that is known to be written as JavaScript does.
    pub(crate) fn of_canonical(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({})", self.0)
    }
}

impl serde::Serialize for JsonText {
    /// The value itself, not a string that holds it.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue =
            serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

impl From<&serde_json::Value> for JsonText {
    /// Members come in the order in which `serde_json` keeps them, then as JavaScript orders them.
    fn from(value: &serde_json::Value) -> Self {
        // What serde_json prints is JSON.
        Self::of(&value.to_string()).unwrap_or_else(|_| Self::of_canonical("null"))
    }
}

/// The members of an object by their places in its text.
pub(crate) struct RootMembers(Vec<Member>);

impl RootMembers {
    /// The members; `text` is the one that came with the places.
    pub(crate) fn of<'a>(&self, text: &'a JsonText) -> impl Iterator<Item = JsonMember<'a>> {
        let piece = |start, end| text.0.get(start..end).map(JsonRef::of_canonical);
        self.0.iter().filter_map(move |member| {
            Some((piece(member.start, member.key_end)?, piece(member.key_end + 1, member.end)?))
        })
    }
}

/// Length of a text in UTF-16 code units: one for each character, two for those beyond the first 65,536.
pub(crate) fn utf16_len(text: &str) -> usize {
    // Bytes that are not continuations, and the first bytes of four once more. Both loops vectorise.
    let starts = text.bytes().filter(|byte| byte & 0xc0 != 0x80).count();
    starts + text.bytes().filter(|&byte| byte >= 0xf0).count()
}

/// Where a text stops being JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {reason}")]
pub struct JsonTextError {
    at: usize,
    reason: JsonTextReason,
}

impl JsonTextError {
    /// The byte at which it went wrong, from 0.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is wrong there.
    pub fn reason(&self) -> JsonTextReason {
        self.reason
    }
}

/// What is wrong with a text that is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonTextReason {
    /// A control character stands in a string as it is.
    #[error("a control character in a string must be escaped")]
    Control,
    /// The text ends inside a value.
    #[error("the text ends too early")]
    End,
    /// A backslash is followed by what is no escape.
    #[error("no such escape")]
    Escape,
    /// A number is not written as JSON writes numbers.
    #[error("not a number")]
    Number,
    /// Characters follow the value.
    #[error("something follows the value")]
    Rest,
    /// Something else must stand here.
    #[error("unexpected character")]
    Token,
}

/// Reads one text and writes the other.
struct Writer<'a> {
    input: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The input between here and `at` stands in the output as it is, but has not been copied yet.
    copied: usize,
    out: String,
    /// The arrays and objects that are open.
    open: Vec<Open>,
    /// The members of all objects that are open, by where their keys stand in the output.
    members: Vec<Member>,
    /// The members of the outermost object, once it has ended.
    root: Vec<Member>,
    reorderings: Vec<Reordering>,
}

/// An array or object that is being read.
#[derive(Clone, Copy)]
enum Open {
    Array,
    Object {
        /// Where its brace stands in the output.
        start: usize,
        /// Its first one in the list of members.
        first: usize,
    },
}

impl<'a> Writer<'a> {
    fn new(input: &'a str) -> Self {
        Self {
            input,
            bytes: input.as_bytes(),
            at: 0,
            copied: 0,
            out: String::new(),
            open: Vec::new(),
            members: Vec::new(),
            root: Vec::new(),
            reorderings: Vec::new(),
        }
    }

    fn finish(mut self) -> Box<str> {
        if self.out.is_empty() && self.reorderings.is_empty() {
            return self.input.get(self.copied..self.at).unwrap_or_default().into();
        }
        self.flush();
        if self.reorderings.is_empty() {
            return self.out.into();
        }
        order::put_in_order(&self.out, self.reorderings).into()
    }

    /// One value and nothing else.
    fn document(&mut self) -> Result<(), JsonTextError> {
        loop {
            // A value starts here; arrays and objects that are not empty start another one.
            if self.value_start()? {
                continue;
            }
            // A value has ended here; so may what holds it.
            if !self.after_value()? {
                break;
            }
        }
        self.blanks();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.fail(JsonTextReason::Rest)) }
    }

    /// Reads a value up to its end, or up to the first value inside it: then `true`.
    fn value_start(&mut self) -> Result<bool, JsonTextError> {
        self.blanks();
        match self.byte() {
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.number()?,
            b'[' => {
                self.at += 1;
                self.blanks();
                if self.byte() != b']' {
                    self.open.push(Open::Array);
                    return Ok(true);
                }
                self.at += 1;
            }
            b'{' => {
                let (start, first) = (self.place(), self.members.len());
                self.at += 1;
                self.blanks();
                if self.byte() != b'}' {
                    self.open.push(Open::Object { start, first });
                    self.key()?;
                    return Ok(true);
                }
                self.at += 1;
            }
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => return Err(self.unexpected(JsonTextReason::Token)),
        }
        Ok(false)
    }

    /// Closes what ends after a value; `true` if another value must follow, `false` at the end of the document.
    fn after_value(&mut self) -> Result<bool, JsonTextError> {
        while let Some(&open) = self.open.last() {
            self.blanks();
            match (self.byte(), open) {
                (b',', Open::Array) => {
                    self.at += 1;
                    return Ok(true);
                }
                (b',', Open::Object { .. }) => {
                    self.end_member();
                    self.at += 1;
                    self.blanks();
                    self.key()?;
                    return Ok(true);
                }
                (b']', Open::Array) => {
                    self.at += 1;
                    self.open.pop();
                }
                (b'}', Open::Object { start, first }) => {
                    self.end_member();
                    self.at += 1;
                    self.open.pop();
                    self.order(start, first);
                }
                _ => return Err(self.unexpected(JsonTextReason::Token)),
            }
        }
        Ok(false)
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<(), JsonTextError> {
        let start = self.place();
        if self.byte() != b'"' {
            return Err(self.unexpected(JsonTextReason::Token));
        }
        self.string()?;
        if start < self.out.len() {
            // A part of the key was written anew: all of it must stand in one place to be compared.
            self.flush();
        }
        self.members.push(Member { start, key_end: self.place(), end: 0 });
        self.blanks();
        if self.byte() != b':' {
            return Err(self.unexpected(JsonTextReason::Token));
        }
        self.at += 1;
        Ok(())
    }

    /// Notes where the value of the last member ends.
    fn end_member(&mut self) {
        let end = self.place();
        if let Some(member) = self.members.last_mut() {
            member.end = end;
        }
    }

    /// Notes in which order the members of an object that has ended stand, if JavaScript has another.
    fn order(&mut self, start: usize, first: usize) {
        let members = self.members.get(first..).unwrap_or_default();
        let output = Output {
            copied: self.out.as_bytes(),
            rest: self.bytes.get(self.copied..self.at).unwrap_or_default(),
        };
        if let Some(members) = order::javascript_order(output, members) {
            self.reorderings.push(Reordering { start, end: self.place(), members });
        }
        if self.open.is_empty() {
            self.root = mem::take(&mut self.members);
        }
        self.members.truncate(first);
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonTextError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.fail(JsonTextReason::Token));
        }
        self.at += word.len();
        Ok(())
    }

    fn blanks(&mut self) {
        if matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.skip_blanks();
        }
    }

    #[inline(never)]
    fn skip_blanks(&mut self) {
        self.flush();
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.copied = self.at;
    }

    /// The next byte; behind the end a zero, which is no part of JSON.
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or_default()
    }

    /// Where the next character will stand in the output.
    fn place(&self) -> usize {
        self.out.len() + (self.at - self.copied)
    }

    /// Copies what stands in the output as it is.
    fn flush(&mut self) {
        if self.copied < self.at {
            if self.out.capacity() == 0 {
                self.out.reserve_exact(self.input.len());
            }
            self.out.push_str(self.input.get(self.copied..self.at).unwrap_or_default());
            self.copied = self.at;
        }
    }

    /// Something cannot stand here, or the text ends.
    fn unexpected(&self, reason: JsonTextReason) -> JsonTextError {
        let is_end = self.at >= self.bytes.len();
        self.fail(if is_end { JsonTextReason::End } else { reason })
    }

    fn fail(&self, reason: JsonTextReason) -> JsonTextError {
        JsonTextError { at: self.at, reason }
    }
}

#[cfg(test)]
mod tests;
