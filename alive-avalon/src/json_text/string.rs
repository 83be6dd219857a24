//! Strings: as they stand but for quotes, backslashes, control characters and surrogates without a partner.

use super::{JsonTextError, JsonTextReason, Writer};

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Writer<'_> {
    /// A string with both quotes.
    pub(super) fn string(&mut self) -> Result<(), JsonTextError> {
        let mut from = self.at;
        self.at += 1;
        loop {
            self.at += plain_len(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    self.copy_from(from);
                    return Ok(());
                }
                b'\\' => {
                    self.copy_from(from);
                    self.at += 1;
                    self.escape()?;
                    from = self.at;
                }
                _ => return Err(self.fail(JsonTextReason::Control)),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), JsonTextError> {
        let letter = self.peek()?;
        self.at += 1;
        match letter {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.out.extend_from_slice(&[b'\\', letter]);
            }
            b'/' => self.out.push(b'/'),
            b'u' => {
                let unit = self.code_unit()?;
                self.unit(unit)?;
            }
            _ => {
                self.at -= 1;
                return Err(self.fail(JsonTextReason::Escape));
            }
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
                self.out.extend_from_slice(pair.encode_utf8(&mut [0; 4]).as_bytes());
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
            let digit = char::from(self.peek()?).to_digit(16);
            let digit = digit.and_then(|digit| u16::try_from(digit).ok());
            unit = (unit << 4) | digit.ok_or_else(|| self.fail(JsonTextReason::Escape))?;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Writes the text of a string with its quotes.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain_len(rest).min(rest.len()));
        out.extend_from_slice(plain);
        let Some((&special, after)) = after.split_first() else { break };
        push_unit(out, special.into());
        rest = after;
    }
    out.push(b'"');
}

/// Writes one code unit: escaped where JavaScript does. A surrogate is taken to have no partner.
fn push_unit(out: &mut Vec<u8>, unit: u16) {
    match char::from_u32(unit.into()) {
        Some('"') => out.extend_from_slice(b"\\\""),
        Some('\\') => out.extend_from_slice(b"\\\\"),
        Some('\u{8}') => out.extend_from_slice(b"\\b"),
        Some('\u{c}') => out.extend_from_slice(b"\\f"),
        Some('\n') => out.extend_from_slice(b"\\n"),
        Some('\r') => out.extend_from_slice(b"\\r"),
        Some('\t') => out.extend_from_slice(b"\\t"),
        Some(other) if other >= ' ' => {
            out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Some(_) | None => {
            out.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                let digit = usize::from((unit >> shift) & 0xf);
                out.push(HEX_DIGITS.get(digit).copied().unwrap_or_default());
            }
        }
    }
}

/// How many bytes come before the first quote, backslash or control character.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    /// Every byte a one.
    const ONES: u64 = u64::MAX / 0xff;
    /// The top bit of every byte.
    const TOPS: u64 = ONES << 7;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let mut len = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // Of the bytes flagged, the lowest one is right; a borrow can only flag those above it.
        let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
        let found = control
            | zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let plain = |&&byte: &&u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    len + rest.iter().take_while(plain).count()
}
