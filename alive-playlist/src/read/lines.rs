//! From bytes to checked text to lines: R1, R2, R3 and two limits of R14.

use alive_core::Excerpt;
use memchr::{memchr, memchr_iter};

use super::error::{Problem, ReadError};

/// Longest line that is read, in bytes, without its LF. Source: `spec/hls.md`, section 12, R14.
pub const MAX_LINE_BYTES: usize = 65_536;
/// Longest list that is read, in bytes. Source: `spec/hls.md`, section 12, R14.
pub const MAX_LIST_BYTES: usize = 64 * 1024 * 1024;

const FIRST_LINE: &[u8] = b"#EXTM3U";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Checks everything that concerns the text as a whole.
pub(super) fn checked_text(bytes: &[u8]) -> Result<&str, ReadError> {
    if bytes.len() > MAX_LIST_BYTES {
        return Err(ReadError::new(1, Problem::FileSize(bytes.len())));
    }
    check_first_line(bytes).map_err(|problem| ReadError::new(1, problem))?;
    let at = |offset: usize, problem| ReadError::new(line_of(bytes, offset), problem);
    let text = std::str::from_utf8(bytes).map_err(|e| at(e.valid_up_to(), Problem::Utf8))?;
    if let Some(offset) = find_control(bytes).or_else(|| find_stray_cr(bytes)) {
        let code = text.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, u32::from);
        return Err(at(offset, Problem::Control(code)));
    }
    Ok(text)
}

/// Comes before the check for UTF-8, so that a media file is called what it is: no playlist.
fn check_first_line(bytes: &[u8]) -> Result<(), Problem> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(Problem::ByteOrderMark);
    }
    let line = memchr(b'\n', bytes).and_then(|end| bytes.get(..end)).unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.strip_prefix(FIRST_LINE) {
        Some(rest) if rest.iter().all(|&byte| byte == b' ') => Ok(()),
        _ => {
            let start = line.get(..line.len().min(256)).unwrap_or_default();
            Err(Problem::FirstLine(Excerpt::of(&String::from_utf8_lossy(start))))
        }
    }
}

/// Number of the line in which the byte at `offset` stands.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    1 + memchr_iter(b'\n', bytes.get(..offset).unwrap_or_default()).count()
}

/// Finds the first control character but LF and CR.
///
/// Whole blocks are tested without a branch per byte, which compiles to vector instructions; only a block that may
/// hold one is looked at closely. So the pass costs a few per cent of reading a list.
fn find_control(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 256;
    let mut start = 0;
    for block in bytes.chunks(BLOCK) {
        let suspicious = block.iter().fold(0, |seen, &byte| seen | u8::from(may_be_control(byte)));
        if suspicious != 0 {
            let found = (start..start + block.len()).find(|&at| is_control(bytes, at));
            if found.is_some() {
                return found;
            }
        }
        start += block.len();
    }
    None
}

/// ASCII control characters, and the byte with which U+0080 to U+009F start in UTF-8.
fn may_be_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\n' && byte != b'\r') || byte == 0x7f || byte == 0xc2
}

fn is_control(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        Some(0xc2) => matches!(bytes.get(at + 1), Some(0x80..=0x9f)),
        Some(&byte) => may_be_control(byte),
        None => false,
    }
}

/// Finds the first CR that does not stand directly before LF or the end.
fn find_stray_cr(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\r', bytes).find(|&at| !matches!(bytes.get(at + 1), None | Some(b'\n')))
}

/// The lines of a checked text, without their ends, counted from 1.
pub(super) struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, number: 0 }
    }

    /// Number of the line that was given last.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The next line, or `None` behind the last.
    pub(super) fn next_line(&mut self) -> Result<Option<&'a str>, ReadError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let end = memchr(b'\n', self.rest.as_bytes()).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        if line.len() > MAX_LINE_BYTES {
            return Err(ReadError::new(self.number, Problem::LineLength));
        }
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(Some(line.strip_suffix('\r').unwrap_or(line)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_quick_search_for_controls_equals_the_slow_one(text in "[\\PC\u{0}-\u{a0}é]{0,600}") {
            let slow = text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\r'));
            prop_assert_eq!(find_control(text.as_bytes()), slow.map(|(at, _)| at));
        }

        #[test]
        fn lines_equal_those_of_the_standard_library(text in "([a-c]{0,3}\r?\n){0,9}[a-c]{0,3}") {
            let mut lines = Lines::new(&text);
            let mut got = Vec::new();
            while let Some(line) = lines.next_line().unwrap() {
                got.push(line);
            }
            prop_assert_eq!(lines.number(), got.len());
            prop_assert_eq!(got, text.lines().collect::<Vec<_>>());
        }
    }
}
