//! The binary form: [`Pack`], and the writer and the strict reader under every type that has one.
//!
//! Source: `spec/hive.md`, section 4.1.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    json_form::{JsonError, JsonReason, JsonStyle, Object, items, text, whole},
    keys::{KeyError, PublicKey},
    network::KeyPrefix,
};

/// The two binary forms of a transaction. They differ in assets only, so every Alive operation has one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pack {
    /// Assets in 12 bytes, by number. What hived tries first since hard fork 26.
    Hf26,
    /// Assets in 16 bytes, by symbol. What every client signs.
    #[default]
    Legacy,
}

/// Collects the binary form.
#[derive(Debug)]
pub(crate) struct Packer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) pack: Pack,
}

impl Packer {
    pub(crate) fn new(pack: Pack) -> Self {
        // Room for a usual transaction, so that signing one allocates once.
        Self { bytes: Vec::with_capacity(512), pack }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Unsigned LEB128.
    pub(crate) fn varint(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                self.bytes.push(low);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// How many items follow.
    pub(crate) fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.raw(text.as_bytes());
    }
}

/// Reads the binary form, and only what [`Packer`] would write: shortest varints, sorted sets, whole input.
#[derive(Debug)]
pub(crate) struct Unpacker<'a> {
    rest: &'a [u8],
    len: usize,
    pub(crate) pack: Pack,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8], pack: Pack) -> Self {
        Self { rest: bytes, len: bytes.len(), pack }
    }

    /// An error at the present place.
    pub(crate) fn fail<T>(&self, reason: impl Into<DecodeReason>) -> Result<T, DecodeError> {
        Err(DecodeError { at: self.len - self.rest.len(), reason: reason.into() })
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => self.fail(DecodeReason::End),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => self.fail(DecodeReason::End),
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Unsigned LEB128 of at most 32 bits, in its shortest form.
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut number = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return match u32::try_from(number) {
                    Ok(number) if byte != 0 || shift == 0 => Ok(number),
                    _ => self.fail(DecodeReason::Varint),
                };
            }
        }
        self.fail(DecodeReason::Varint)
    }

    /// How many items follow; never more than bytes are left, since no item is empty.
    pub(crate) fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.varint()? as usize;
        if count > self.rest.len() { self.fail(DecodeReason::End) } else { Ok(count) }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.count()?;
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(text),
            Err(_) => self.fail(DecodeReason::Utf8),
        }
    }

    /// A counted list of items in strictly ascending order, as sets and maps are packed.
    pub(crate) fn ascending<T: Ord>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<BTreeSet<T>, DecodeError> {
        let mut set = BTreeSet::new();
        for _ in 0..self.count()? {
            let item = read(self)?;
            if set.last().is_some_and(|last| *last >= item) {
                return self.fail(DecodeReason::Order);
            }
            set.insert(item);
        }
        Ok(set)
    }

    /// Ends the reading.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { self.fail(DecodeReason::Trailing) }
    }
}

/// Where some bytes are not the binary form of a transaction, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {reason}")]
pub struct DecodeError {
    at: usize,
    reason: DecodeReason,
}

impl DecodeError {
    /// How many bytes were read before.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is wrong there.
    pub fn reason(&self) -> &DecodeReason {
        &self.reason
    }
}

/// What is wrong with some bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// A yes or no, or the mark of an optional field, is neither 0 nor 1.
    #[error("{0} is neither 0 nor 1")]
    Bool(u8),
    /// The bytes end too early.
    #[error("the bytes end too early")]
    End,
    /// Extensions where the chain defines none.
    #[error("extensions where there are none")]
    Extensions,
    /// Not a public key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A set is not sorted or has an item twice.
    #[error("a set is not sorted or has an item twice")]
    Order,
    /// No asset of the chain.
    #[error("unknown asset symbol or wrong precision")]
    Symbol,
    /// Bytes are left over.
    #[error("bytes are left over")]
    Trailing,
    /// An operation or extension of a kind that this crate does not know.
    #[error("unknown kind {0}")]
    Unknown(u32),
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Utf8,
    /// A variable-length number is not in its shortest form or above 32 bits.
    #[error("a number is not in its shortest form or too great")]
    Varint,
}

/// A field of an operation: what it is in JSON and in bytes.
pub(crate) trait Field: Sized {
    fn read_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError>;

    fn to_json(&self, style: JsonStyle) -> Value;

    fn pack(&self, to: &mut Packer);

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError>;

    /// Reads it as a member; fields that may be absent do otherwise.
    fn read_member(object: Object<'_>, name: &str, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        object.read(name, |value| Self::read_json(value, prefix))
    }

    /// Writes it as a member; fields that may be absent do otherwise.
    fn to_member(&self, style: JsonStyle) -> Option<Value> {
        Some(self.to_json(style))
    }
}

/// Whole numbers of fixed width, little endian.
macro_rules! number_fields {
    ($($number:ty, $expected:literal;)*) => {$(
        impl Field for $number {
            fn read_json(value: &Value, _: &KeyPrefix) -> Result<Self, JsonError> {
                whole(value, $expected)
            }

            fn to_json(&self, _: JsonStyle) -> Value {
                (*self).into()
            }

            fn pack(&self, to: &mut Packer) {
                to.raw(&self.to_le_bytes());
            }

            fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
                from.array().map(Self::from_le_bytes)
            }
        }
    )*};
}
number_fields! {
    i16, "a whole number from -32768 to 32767";
    u16, "a whole number from 0 to 65535";
    u32, "a whole number from 0 to 4294967295";
}

impl Field for bool {
    fn read_json(value: &Value, _: &KeyPrefix) -> Result<Self, JsonError> {
        value.as_bool().ok_or_else(|| JsonReason::Expected("true or false").into())
    }

    fn to_json(&self, _: JsonStyle) -> Value {
        (*self).into()
    }

    fn pack(&self, to: &mut Packer) {
        to.raw(&[u8::from(*self)]);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => from.fail(DecodeReason::Bool(other)),
        }
    }
}

impl Field for String {
    fn read_json(value: &Value, _: &KeyPrefix) -> Result<Self, JsonError> {
        text(value).map(Self::from)
    }

    fn to_json(&self, _: JsonStyle) -> Value {
        self.as_str().into()
    }

    fn pack(&self, to: &mut Packer) {
        to.text(self);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        from.text().map(Self::from)
    }
}

/// A set of names, sorted by their bytes and each once, as hived packs it.
impl Field for BTreeSet<String> {
    fn read_json(value: &Value, _: &KeyPrefix) -> Result<Self, JsonError> {
        Ok(items(value, |item| text(item).map(String::from))?.into_iter().collect())
    }

    fn to_json(&self, _: JsonStyle) -> Value {
        self.iter().map(String::as_str).collect()
    }

    fn pack(&self, to: &mut Packer) {
        to.count(self.len());
        for name in self {
            to.text(name);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        from.ascending(String::unpack)
    }
}

impl Field for PublicKey {
    fn read_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        Ok(Self::from_text(text(value)?, prefix)?)
    }

    fn to_json(&self, style: JsonStyle) -> Value {
        self.to_text(&style.prefix).into()
    }

    fn pack(&self, to: &mut Packer) {
        to.raw(self.as_bytes());
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        let bytes = from.array()?;
        Self::from_bytes(bytes).or_else(|error| from.fail(error))
    }
}

/// A field that may be absent; null is absent, too.
impl<T: Field> Field for Option<T> {
    fn read_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        T::read_json(value, prefix).map(Some)
    }

    fn to_json(&self, style: JsonStyle) -> Value {
        self.to_member(style).unwrap_or_default()
    }

    fn pack(&self, to: &mut Packer) {
        self.is_some().pack(to);
        if let Some(field) = self {
            field.pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Ok(None) }
    }

    fn read_member(object: Object<'_>, name: &str, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        object.read_optional(name, |value| T::read_json(value, prefix))
    }

    fn to_member(&self, style: JsonStyle) -> Option<Value> {
        self.as_ref().map(|field| field.to_json(style))
    }
}

/// Extensions where the chain defines none: always the empty list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoExtensions;

impl Field for NoExtensions {
    fn read_json(value: &Value, _: &KeyPrefix) -> Result<Self, JsonError> {
        match value.as_array() {
            Some(items) if items.is_empty() => Ok(Self),
            _ => Err(JsonReason::Expected("an empty array").into()),
        }
    }

    fn to_json(&self, _: JsonStyle) -> Value {
        Value::Array(Vec::new())
    }

    fn pack(&self, to: &mut Packer) {
        to.count(0);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        match from.varint()? {
            0 => Ok(Self),
            _ => from.fail(DecodeReason::Extensions),
        }
    }

    /// Clients may leave it out.
    fn read_member(object: Object<'_>, name: &str, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        let read = object.read_optional(name, |value| Self::read_json(value, prefix))?;
        Ok(read.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[0x80, 0x00])]
    #[case(&[0xff, 0xff, 0xff, 0xff, 0x10])]
    #[case(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x00])]
    fn a_varint_that_nobody_would_write_is_refused(#[case] bytes: &[u8]) {
        let error = Unpacker::new(bytes, Pack::Legacy).varint().unwrap_err();
        assert_eq!(*error.reason(), DecodeReason::Varint);
    }

    #[test]
    fn a_count_above_the_bytes_left_is_refused_before_anything_is_read() {
        let mut from = Unpacker::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1], Pack::Legacy);
        assert_eq!(*from.count().unwrap_err().reason(), DecodeReason::End);
    }

    #[test]
    fn a_set_out_of_order_is_refused() {
        let mut from = Unpacker::new(&[2, 1, b'b', 1, b'a'], Pack::Legacy);
        let error = <BTreeSet<String>>::unpack(&mut from).unwrap_err();
        assert_eq!(error.to_string(), "byte 5: a set is not sorted or has an item twice");
    }

    proptest! {
        #[test]
        fn varints_survive(number: u32) {
            let mut to = Packer::new(Pack::Legacy);
            to.varint(number.into());
            let mut from = Unpacker::new(&to.bytes, Pack::Legacy);
            prop_assert_eq!(from.varint(), Ok(number));
            prop_assert!(from.finish().is_ok());
        }
    }
}
