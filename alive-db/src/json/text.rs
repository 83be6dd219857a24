//! A JavaScript string: [`Text`].

use std::{
    cmp::Ordering,
    fmt::{self, Write as _},
    sync::Arc,
};

/// A text as JavaScript has it: Unicode that may hold unpaired surrogates. Ordered as JavaScript orders, by UTF-16 code
/// units. Copying it copies no characters.
///
/// ```
/// use alive_db::json::Text;
/// let smile = Text::from("😀");
/// assert_eq!(smile.as_str(), Some("😀"));
/// assert!(smile < Text::from("～"), "by UTF-16 code units, not by bytes");
/// ```
// WTF-8: UTF-8 in which an unpaired surrogate is encoded like any other code point. A pair is always one character of
// four bytes, so equal texts have equal bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The text, unless it has an unpaired surrogate.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text with U+FFFD for each unpaired surrogate: for people, and for hashing as JavaScript's UTF-8 encoders do.
    pub fn to_str_lossy(&self) -> String {
        char::decode_utf16(self.units()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }

    /// Its bytes in WTF-8, which is UTF-8 if there is no unpaired surrogate.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes it takes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its UTF-16 code units.
    pub fn units(&self) -> impl Iterator<Item = u16> {
        units(&self.0)
    }

    /// Whether it starts with these characters.
    pub fn starts_with(&self, start: &str) -> bool {
        self.0.starts_with(start.as_bytes())
    }

    /// Takes bytes that are WTF-8.
    pub(super) fn from_wtf8(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Reads bytes that [`as_bytes`](Self::as_bytes) gave; `None` for others.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        is_wtf8(bytes).then(|| Self(bytes.into()))
    }

    /// Its number if it is the canonical decimal form of 0 to 4294967294: JavaScript puts such keys first.
    pub(super) fn to_index(&self) -> Option<u32> {
        match &*self.0 {
            [b'0'] => Some(0),
            [b'1'..=b'9', rest @ ..] if rest.len() < 10 => {
                let text = self.as_str()?;
                let digits = rest.iter().all(u8::is_ascii_digit);
                text.parse().ok().filter(|&n| digits && n < u32::MAX)
            }
            _ => None,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        cmp_units(&self.0, &other.0)
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        super::print_text(self, &mut out);
        f.write_str(&out)
    }
}

impl fmt::Display for Text {
    /// With U+FFFD for each unpaired surrogate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.write_str(text),
            None => char::decode_utf16(self.units())
                .try_for_each(|c| f.write_char(c.unwrap_or(char::REPLACEMENT_CHARACTER))),
        }
    }
}

/// Compares WTF-8 by UTF-16 code units.
pub(crate) fn cmp_units(a: &[u8], b: &[u8]) -> Ordering {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    match (rest_a.first(), rest_b.first()) {
        // Both begin a character here. Only beyond U+FFFF the order of units is not that of code points.
        (Some(&x), Some(&y)) if x >= 0xed && y >= 0xed && (x >= 0xf0) != (y >= 0xf0) => {
            units(rest_a).cmp(units(rest_b))
        }
        (x, y) => x.cmp(&y),
    }
}

fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let mut rest = bytes;
    let mut low = None;
    std::iter::from_fn(move || {
        if let Some(unit) = low.take() {
            return Some(unit);
        }
        let (code, tail) = split_code_point(rest)?;
        rest = tail;
        match u16::try_from(code) {
            Ok(unit) => Some(unit),
            Err(_) => {
                let half = |bits: u32| (bits & 0x3ff) as u16;
                low = Some(0xdc00 | half(code));
                Some(0xd800 | half((code - 0x1_0000) >> 10))
            }
        }
    })
}

fn split_code_point(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let bits = |byte: u8, mask: u8| u32::from(byte & mask);
    Some(match *bytes {
        [a, ref rest @ ..] if a < 0x80 => (a.into(), rest),
        [a, b, ref rest @ ..] if a < 0xe0 => (bits(a, 0x1f) << 6 | bits(b, 0x3f), rest),
        [a, b, c, ref rest @ ..] if a < 0xf0 => {
            (bits(a, 0x0f) << 12 | bits(b, 0x3f) << 6 | bits(c, 0x3f), rest)
        }
        [a, b, c, d, ref rest @ ..] => {
            let high = bits(a, 0x07) << 18 | bits(b, 0x3f) << 12;
            (high | bits(c, 0x3f) << 6 | bits(d, 0x3f), rest)
        }
        _ => return None,
    })
}

/// Whether bytes are UTF-8 but for surrogates that have no partner.
fn is_wtf8(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut after_high = false;
    loop {
        let valid = match std::str::from_utf8(rest) {
            Ok(_) => return true,
            Err(error) => error.valid_up_to(),
        };
        after_high &= valid == 0;
        match rest.get(valid..) {
            Some([0xed, second @ 0xa0..=0xbf, 0x80..=0xbf, tail @ ..]) => {
                let is_low = *second >= 0xb0;
                if is_low && after_high {
                    return false;
                }
                after_high = !is_low;
                rest = tail;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Json;

    /// A text of any code units, through the parser.
    fn of_units(units: &[u16]) -> Text {
        let escapes =
            units.iter().fold(String::new(), |escapes, unit| format!("{escapes}\\u{unit:04x}"));
        match Json::parse(&format!("\"{escapes}\"")) {
            Ok(Json::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    fn any_units() -> impl Strategy<Value = Vec<u16>> {
        let unit = prop_oneof![
            any::<u16>(),
            0xd7fe_u16..0xe002,
            Just(0xd83d),
            Just(0xde00),
            0x20_u16..0x7f
        ];
        proptest::collection::vec(unit, 0..8)
    }

    proptest! {
        #[test]
        fn order_and_equality_are_those_of_the_units(a in any_units(), b in any_units()) {
            let (x, y) = (of_units(&a), of_units(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
            prop_assert_eq!(x.units().collect::<Vec<_>>(), a.clone());
            prop_assert_eq!(Text::from_bytes(x.as_bytes()), Some(x.clone()));
            prop_assert_eq!(x.as_str().map(str::to_owned), String::from_utf16(&a).ok());
        }

        #[test]
        fn any_bytes_are_wtf8_or_refused(bytes: Vec<u8>) {
            if let Some(text) = Text::from_bytes(&bytes) {
                let again = of_units(&text.units().collect::<Vec<_>>());
                prop_assert_eq!(again, text);
            }
        }
    }

    #[test]
    fn two_surrogates_that_are_a_pair_are_no_wtf8() {
        assert_eq!(Text::from_bytes(b"\xed\xa0\xbd\xed\xb8\x80"), None);
        assert!(Text::from_bytes(b"\xed\xa0\xbd-\xed\xb8\x80").is_some());
        assert!(Text::from_bytes(b"\xed\xb8\x80\xed\xa0\xbd").is_some());
    }
}
