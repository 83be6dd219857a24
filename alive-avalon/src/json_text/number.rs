//! Numbers: read as IEEE doubles, written with the fewest digits that read back, as JavaScript does.

use super::{JsonTextError, JsonTextReason, Writer};

/// Numbers of up to this many digits are told apart by doubles, so that none of them has a shorter form.
const EXACT_DIGITS: usize = 15;
/// JavaScript writes a fraction with at most so many zeros behind its point in plain digits.
const PLAIN_ZEROS: usize = 5;

/// What a number is made of.
struct Shape {
    /// Whether it has a minus.
    negative: bool,
    /// Its digits before the point.
    whole: usize,
    /// Its digits behind the point.
    fraction: usize,
    /// Whether it has an exponent.
    exponent: bool,
}

impl Writer<'_> {
    pub(super) fn number(&mut self) -> Result<(), JsonTextError> {
        let start = self.at;
        let shape = self.number_grammar()?;
        let text = self.input.get(start..self.at).unwrap_or_default();
        if shape.is_canonical(text.as_bytes()) {
            return Ok(());
        }
        // The grammar of JSON is part of Rust's, and both round to the nearest, ties to even.
        let number: f64 = text.parse().map_err(|_| self.fail(JsonTextReason::Number))?;
        let end = std::mem::replace(&mut self.at, start);
        self.flush();
        push_number(&mut self.out, number);
        (self.at, self.copied) = (end, end);
        Ok(())
    }

    /// Walks over a number.
    fn number_grammar(&mut self) -> Result<Shape, JsonTextError> {
        let negative = self.byte() == b'-';
        self.at += usize::from(negative);
        let whole = match self.byte() {
            b'0' => {
                self.at += 1;
                1
            }
            b'1'..=b'9' => self.digits()?,
            _ => return Err(self.unexpected(JsonTextReason::Number)),
        };
        let mut fraction = 0;
        if self.byte() == b'.' {
            self.at += 1;
            fraction = self.digits()?;
        }
        let exponent = matches!(self.byte(), b'e' | b'E');
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(Shape { negative, whole, fraction, exponent })
    }

    /// One digit and more; how many.
    fn digits(&mut self) -> Result<usize, JsonTextError> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        let count = self.at - start;
        if count > 0 { Ok(count) } else { Err(self.unexpected(JsonTextReason::Number)) }
    }
}

impl Shape {
    /// Whether it is certain that JavaScript writes the number as it stands; of some it is not, although it does.
    fn is_canonical(&self, text: &[u8]) -> bool {
        if self.exponent || self.whole + self.fraction > EXACT_DIGITS {
            return false;
        }
        if self.fraction == 0 {
            return !(self.negative && text == b"-0");
        }
        // A fraction has a last digit that counts, and begins with few zeros if nothing is before it.
        let fraction = text.get(text.len() - self.fraction..).unwrap_or_default();
        let is_below_one = self.whole == 1 && text.get(usize::from(self.negative)) == Some(&b'0');
        let zeros = fraction.iter().take_while(|digit| **digit == b'0').count();
        fraction.last() != Some(&b'0') && !(is_below_one && zeros > PLAIN_ZEROS)
    }
}

/// Writes a number as `JSON.stringify` does: what is not finite becomes `null`, minus zero becomes `0`.
pub(crate) fn push_number(out: &mut String, number: f64) {
    if !number.is_finite() {
        out.push_str("null");
    } else if number == 0.0 {
        out.push('0');
    } else {
        out.push_str(ryu_js::Buffer::new().format_finite(number));
    }
}
