//! Numbers: read as IEEE doubles, written with the fewest digits that read back, as JavaScript does.

use super::{JsonTextError, JsonTextReason, Writer};

/// Whole numbers of up to this many digits are doubles exactly and are written as they stand.
const EXACT_DIGITS: usize = 15;

impl Writer<'_> {
    pub(super) fn number(&mut self) -> Result<(), JsonTextError> {
        let start = self.at;
        let whole = self.number_grammar()?;
        let text = self.input.get(start..self.at).unwrap_or_default();
        if whole && text.len() <= EXACT_DIGITS && text != "-0" {
            self.copy_from(start);
            return Ok(());
        }
        // The grammar of JSON is part of Rust's, and both round to the nearest, ties to even.
        let number: f64 = text.parse().map_err(|_| self.fail(JsonTextReason::Number))?;
        push_number(&mut self.out, number);
        Ok(())
    }

    /// Walks over a number; whether it has neither fraction nor exponent.
    fn number_grammar(&mut self) -> Result<bool, JsonTextError> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return Err(self.fail(JsonTextReason::Number)),
        }
        let mut whole = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(whole)
    }

    /// One digit and more.
    fn digits(&mut self) -> Result<(), JsonTextError> {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            _ if self.at > start => Ok(()),
            None => Err(self.fail(JsonTextReason::End)),
            Some(_) => Err(self.fail(JsonTextReason::Number)),
        }
    }
}

/// Writes a number as `JSON.stringify` does: what is not finite becomes `null`, minus zero becomes `0`.
pub(crate) fn push_number(out: &mut Vec<u8>, number: f64) {
    if !number.is_finite() {
        out.extend_from_slice(b"null");
    } else if number == 0.0 {
        out.push(b'0');
    } else {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    }
}
