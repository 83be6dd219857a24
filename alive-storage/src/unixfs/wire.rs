//! The part of protobuf that dag-pb and UnixFS need: fields one after the other, numbers and byte strings.
//!
//! Numbers are read as every protobuf reader does: up to 10 bytes, not necessarily minimal.

use crate::varint;

/// Wire type of a varint, and of a byte string with its length before it.
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Its number, 1 or more.
    pub(crate) number: u64,
    /// Its value, by wire type.
    pub(crate) value: Value<'a>,
}

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Bytes(&'a [u8]),
    Fixed,
    Varint(u64),
}

/// Takes the first field of a message, or `None` at its end.
pub(crate) fn take<'a>(message: &mut &'a [u8]) -> Result<Option<Field<'a>>, WireError> {
    if message.is_empty() {
        return Ok(None);
    }
    let tag = take_varint(message)?;
    let number = tag >> 3;
    if number == 0 {
        return Err(WireError::Tag(tag));
    }
    let value = match tag & 7 {
        VARINT => Value::Varint(take_varint(message)?),
        BYTES => {
            let len = take_varint(message)?;
            Value::Bytes(take_bytes(message, len)?)
        }
        1 => take_bytes(message, 8).map(|_| Value::Fixed)?,
        5 => take_bytes(message, 4).map(|_| Value::Fixed)?,
        _ => return Err(WireError::Tag(tag)),
    };
    Ok(Some(Field { number, value }))
}

/// Appends a number field.
pub(crate) fn put_varint(number: u64, value: u64, to: &mut Vec<u8>) {
    varint::put(number << 3 | VARINT, to);
    varint::put(value, to);
}

/// Appends the start of a byte string field; its `len` bytes must follow.
pub(crate) fn put_bytes_head(number: u64, len: u64, to: &mut Vec<u8>) {
    varint::put(number << 3 | BYTES, to);
    varint::put(len, to);
}

fn take_varint(message: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0;
    for (i, &byte) in message.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return Err(WireError::Number);
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *message = message.get(i + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(WireError::Truncated)
}

fn take_bytes<'a>(message: &mut &'a [u8], len: u64) -> Result<&'a [u8], WireError> {
    let len = usize::try_from(len).map_err(|_| WireError::Truncated)?;
    let (bytes, rest) = message.split_at_checked(len).ok_or(WireError::Truncated)?;
    *message = rest;
    Ok(bytes)
}

/// Why bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A number is over 64 bits.
    #[error("number over 64 bits")]
    Number,
    /// A field has this tag, which names no field or no known wire type.
    #[error("field tag {0:#x} is not valid")]
    Tag(u64),
    /// The bytes end inside a field.
    #[error("message is cut short")]
    Truncated,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_read_back_as_written(number in 1_u64..1 << 60, value: u64, text: Vec<u8>) {
            let mut message = Vec::new();
            put_varint(number, value, &mut message);
            put_bytes_head(number, text.len() as u64, &mut message);
            message.extend(&text);
            let mut rest = &message[..];
            prop_assert_eq!(take(&mut rest), Ok(Some(Field { number, value: Value::Varint(value) })));
            prop_assert_eq!(take(&mut rest), Ok(Some(Field { number, value: Value::Bytes(&text) })));
            prop_assert_eq!(take(&mut rest), Ok(None));
            for len in 1..message.len() {
                let mut cut = &message[..len];
                while let Ok(Some(_)) = take(&mut cut) {}
            }
        }
    }

    #[test]
    fn groups_and_field_zero_are_refused() {
        assert_eq!(take(&mut &[0x0b][..]), Err(WireError::Tag(0x0b)));
        assert_eq!(take(&mut &[0x00, 1][..]), Err(WireError::Tag(0)));
        assert_eq!(take(&mut &[0x0a, 5, 1][..]), Err(WireError::Truncated));
        assert_eq!(take(&mut &[0x08; 1][..]), Err(WireError::Truncated));
        let over = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(take(&mut &over[..]), Err(WireError::Number));
    }
}
