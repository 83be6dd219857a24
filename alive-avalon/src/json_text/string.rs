//! Strings: as they stand but for quotes, backslashes, control characters and surrogates without a partner.

use super::{JsonTextError, JsonTextReason, Writer};

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Writer<'_> {
    /// A string with both quotes.
    pub(super) fn string(&mut self) -> Result<(), JsonTextError> {
        self.at += 1;
        loop {
            self.at += plain_len(self.bytes.get(self.at..).unwrap_or_default());
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.unexpected(JsonTextReason::Control)),
            }
        }
    }

    /// A backslash and what follows it. Short escapes are JavaScript's own, but that of a slash.
    fn escape(&mut self) -> Result<(), JsonTextError> {
        self.at += 1;
        match self.byte() {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'/' => {
                self.at -= 1;
                self.flush();
                self.at += 1;
                // The slash itself stands as it is.
                self.copied = self.at;
                self.at += 1;
            }
            b'u' => {
                self.at -= 1;
                self.flush();
                self.at += 2;
                let unit = self.code_unit()?;
                self.unit(unit)?;
                self.copied = self.at;
            }
            _ => return Err(self.unexpected(JsonTextReason::Escape)),
        }
        Ok(())
    }

    /// Writes an escaped code unit, together with the one after it if the two are a pair.
    fn unit(&mut self, unit: u16) -> Result<(), JsonTextError> {
        let follows = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"));
        if matches!(unit, 0xd800..=0xdbff) && follows {
            let before = self.at;
            self.at += 2;
            let low = self.code_unit()?;
            if let Some(Ok(pair)) = char::decode_utf16([unit, low]).next() {
                self.out.push(pair);
                return Ok(());
            }
            self.at = before;
        }
        push_unit(&mut self.out, unit);
        Ok(())
    }

    /// Four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u16, JsonTextError> {
        let mut unit = 0_u16;
        for _ in 0..4 {
            let digit = char::from(self.byte()).to_digit(16);
            let digit = digit.and_then(|digit| u16::try_from(digit).ok());
            unit = (unit << 4) | digit.ok_or_else(|| self.unexpected(JsonTextReason::Escape))?;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Writes the text of a string with its quotes.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // What is special is a character of its own.
    while let Some((plain, after)) = rest.split_at_checked(plain_len(rest.as_bytes())) {
        out.push_str(plain);
        let Some(special) = after.bytes().next() else { break };
        push_unit(out, special.into());
        rest = after.get(1..).unwrap_or_default();
    }
    out.push('"');
}

/// Writes one code unit: escaped where JavaScript does. A surrogate is taken to have no partner.
fn push_unit(out: &mut String, unit: u16) {
    match char::from_u32(unit.into()) {
        Some('"') => out.push_str("\\\""),
        Some('\\') => out.push_str("\\\\"),
        Some('\u{8}') => out.push_str("\\b"),
        Some('\u{c}') => out.push_str("\\f"),
        Some('\n') => out.push_str("\\n"),
        Some('\r') => out.push_str("\\r"),
        Some('\t') => out.push_str("\\t"),
        Some(other) if other >= ' ' => out.push(other),
        Some(_) | None => {
            out.push_str("\\u");
            for shift in [12, 8, 4, 0] {
                let digit = usize::from((unit >> shift) & 0xf);
                out.push(HEX_DIGITS.get(digit).copied().unwrap_or_default().into());
            }
        }
    }
}

/// How many bytes come before the first quote, backslash or control character.
///
/// Most texts are short, so the first eight bytes are looked at as one word; what is left goes by sixteens, which compilers
/// turn into vectors.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else { return plain_tail(bytes) };
    if let Some(at) = special_of_word(*first) {
        return at;
    }
    let mut len = 8;
    let (wide, tail) = rest.as_chunks::<16>();
    for chunk in wide {
        let special = chunk.iter().fold(false, |any, byte| any | is_special(*byte));
        if special {
            return len + plain_tail(chunk);
        }
        len += 16;
    }
    len + plain_tail(tail)
}

/// The same for a few bytes.
fn plain_tail(bytes: &[u8]) -> usize {
    let mut len = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        match special_of_word(*word) {
            Some(at) => return len + at,
            None => len += 8,
        }
    }
    len + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The place of the first special byte among eight.
fn special_of_word(word: [u8; 8]) -> Option<usize> {
    /// Every byte a one.
    const ONES: u64 = u64::MAX / 0xff;
    /// The top bit of every byte.
    const TOPS: u64 = ONES << 7;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let word = u64::from_le_bytes(word);
    // Of the bytes flagged, the lowest one is right; a borrow can only flag those above it.
    let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
    let found = control
        | zero_bytes(word ^ (ONES * u64::from(b'"')))
        | zero_bytes(word ^ (ONES * u64::from(b'\\')));
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}
