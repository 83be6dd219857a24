//! Unsigned LEB128 as multiformats write it: minimal, at most 9 bytes. Source: `spec/storage.md`, section 3.

/// Longest varint, in bytes: values are below 2^63.
pub(crate) const MAX_LEN: usize = 9;

/// Takes one varint from the front of `bytes`.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64, VarintError> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().enumerate().take(MAX_LEN) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            if byte == 0 && i > 0 {
                return Err(VarintError::NotMinimal);
            }
            *bytes = bytes.get(i + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if bytes.len() < MAX_LEN { VarintError::Truncated } else { VarintError::TooLong })
}

/// Appends `value`, in at most 10 bytes for any `u64`.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are kept on purpose")]
pub(crate) fn put(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// How many bytes [`put`] appends.
pub(crate) fn len(value: u64) -> u64 {
    let bits = u64::from(64 - value.leading_zeros()).max(1);
    bits.div_ceil(7)
}

/// Why bytes are not a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VarintError {
    /// It ends in a zero byte that adds nothing.
    #[error("varint is not minimal")]
    NotMinimal,
    /// It goes on after its ninth byte.
    #[error("varint of more than {MAX_LEN} bytes")]
    TooLong,
    /// The bytes end inside it.
    #[error("varint is cut short")]
    Truncated,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken_back(value in 0..1_u64 << 63) {
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            prop_assert_eq!(bytes.len() as u64, len(value));
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Ok(value));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn refuses_padding_and_excess() {
        assert_eq!(take(&mut &[0x80, 0x00][..]), Err(VarintError::NotMinimal));
        assert_eq!(take(&mut &[0x80][..]), Err(VarintError::Truncated));
        assert_eq!(take(&mut &[0xff; 10][..]), Err(VarintError::TooLong));
        assert_eq!(take(&mut &[0xff; 9][..]), Err(VarintError::TooLong));
        assert_eq!(take(&mut &[0][..]), Ok(0));
    }

    #[test]
    fn counts_the_bytes_of_the_largest_numbers() {
        assert_eq!(len(0), 1);
        assert_eq!(len(u64::MAX), 10);
    }
}
