//! The fields of a node before anything is known of them: [`FieldValue`], and reading them out of JSON.

use std::{borrow::Cow, collections::HashMap};

use alive_core::Excerpt;
use serde_json::value::RawValue;

use crate::{
    moment::Moment,
    networks::{AccountError, Family},
};

/// The value of one field, as a transport or JSON text has it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// A null: in GUN, a field that was deleted. It counts as absent.
    Null,
    /// A number.
    Number(f64),
    /// Anything else: a truth value, a link, a list, an object.
    Other,
    /// A text.
    Text(Cow<'a, str>),
}

/// The fields that messages and requests know.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) user: Option<FieldValue<'a>>,
    pub(crate) network: Option<FieldValue<'a>>,
    pub(crate) signature: Option<FieldValue<'a>>,
    pub(crate) recovery_id: Option<FieldValue<'a>>,
    pub(crate) time: Option<FieldValue<'a>>,
    pub(crate) text: Option<FieldValue<'a>>,
}

/// Which fields a node may have. GUN's own `_` may be in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Message,
    Request,
}

impl<'a> Fields<'a> {
    /// Sorts fields by name; any that is not known is refused.
    pub(crate) fn collect<N: AsRef<str>>(
        fields: impl IntoIterator<Item = (N, FieldValue<'a>)>,
        known: Known,
    ) -> Result<Self, MessageError> {
        let mut all = Self::default();
        for (name, value) in fields {
            let place = match (name.as_ref(), known) {
                ("s", _) => &mut all.signature,
                ("r", _) => &mut all.recovery_id,
                ("t", _) => &mut all.time,
                ("u", Known::Message) => &mut all.user,
                ("n", Known::Message) => &mut all.network,
                ("m", Known::Message) => &mut all.text,
                ("_", _) => continue,
                (other, _) => return Err(MessageError::Unknown(Excerpt::of(other))),
            };
            *place = Some(value);
        }
        Ok(all)
    }
}

/// Reads an object; the caller has bounded the text.
pub(crate) fn read_json(json: &str) -> Result<Vec<(String, FieldValue<'_>)>, MessageError> {
    let object: HashMap<String, &RawValue> =
        serde_json::from_str(json).map_err(|_| MessageError::Json)?;
    let value = |raw: &'_ RawValue| -> Result<FieldValue<'static>, MessageError> {
        let raw = raw.get();
        Ok(match raw.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(raw).map_err(|_| MessageError::Json)?;
                FieldValue::Text(text.into())
            }
            Some(b'-' | b'0'..=b'9') => match Moment::from_json_number(raw) {
                Some(number) => FieldValue::Number(number.as_ms()),
                // JavaScript reads an infinity here, which is no time and no recovery id.
                None => FieldValue::Other,
            },
            Some(b'n') => FieldValue::Null,
            _ => FieldValue::Other,
        })
    };
    object.into_iter().map(|(name, raw)| Ok((name, value(raw)?))).collect()
}

/// A text that must be there and not be empty.
pub(crate) fn text<'v>(
    name: char,
    value: Option<&'v FieldValue<'_>>,
) -> Result<&'v str, MessageError> {
    match value {
        None | Some(FieldValue::Null) => Err(MessageError::Missing(name)),
        Some(FieldValue::Text(text)) if text.is_empty() => Err(MessageError::Empty(name)),
        Some(FieldValue::Text(text)) => Ok(text),
        Some(_) => Err(MessageError::Type(name)),
    }
}

/// The time that a message says: a number other than 0.
pub(crate) fn time(value: Option<&FieldValue<'_>>) -> Result<Moment, MessageError> {
    match value {
        None | Some(FieldValue::Null) => Err(MessageError::Missing('t')),
        Some(FieldValue::Number(ms)) => match Moment::from_ms(*ms) {
            Some(time) if time != Moment::EPOCH => Ok(time),
            _ => Err(MessageError::Empty('t')),
        },
        Some(_) => Err(MessageError::Type('t')),
    }
}

/// A signature's text and recovery id; an id where the network has none is ignored.
pub(crate) fn signature(
    family: &Family,
    signature: Option<&FieldValue<'_>>,
    recovery_id: Option<&FieldValue<'_>>,
) -> Result<SignatureText, MessageError> {
    let text = text('s', signature)?;
    if text.len() > SignatureText::MAX_LEN {
        let (len, max) = (text.len(), SignatureText::MAX_LEN);
        return Err(MessageError::TooLong { field: 's', len, max });
    }
    if !family.has_recovery_id() {
        return Ok(SignatureText { text: text.into(), recovery_id: None });
    }
    let id = match recovery_id {
        None | Some(FieldValue::Null) => return Err(MessageError::Missing('r')),
        Some(FieldValue::Number(id)) => *id,
        Some(_) => return Err(MessageError::Type('r')),
    };
    let is = |known: &u8| f64::from(*known).total_cmp(&(id + 0.0)).is_eq();
    let id = (0..=3).find(is).ok_or(MessageError::RecoveryId)?;
    Ok(SignatureText { text: text.into(), recovery_id: Some(id) })
}

/// A signature as a message carries it, unchecked: the text of `s`, and `r` where the network has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignatureText {
    /// The text.
    pub text: Box<str>,
    /// Which of the possible keys made it, 0 to 3; only where the network keeps that apart.
    pub recovery_id: Option<u8>,
}

impl SignatureText {
    /// Longest text, in bytes. Our own limit; 130 are the longest of a known network.
    pub const MAX_LEN: usize = 256;

    /// The one text that the network's scheme reads.
    pub(crate) fn joined(&self) -> Cow<'_, str> {
        match self.recovery_id {
            None => Cow::Borrowed(&self.text),
            Some(id) => Cow::Owned(format!("{},{id}", self.text)),
        }
    }
}

/// Why a message or a request has not the form of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Who sent it cannot be.
    #[error("sender of the message")]
    Account(#[from] AccountError),
    /// This field is empty, or zero.
    #[error("field {0} is empty")]
    Empty(char),
    /// It is no JSON object.
    #[error("not a JSON object")]
    Json,
    /// This field is absent.
    #[error("field {0} is missing")]
    Missing(char),
    /// The recovery id is none of 0 to 3.
    #[error("field r is none of 0, 1, 2, 3")]
    RecoveryId,
    /// This field is longer than we take.
    #[error("field {field} of {len} bytes, at most {max} allowed")]
    TooLong {
        /// The field; `{` stands for the whole text.
        field: char,
        /// Its length in bytes.
        len: usize,
        /// The greatest that is taken.
        max: usize,
    },
    /// This field has a value of another type.
    #[error("field {0} is of another type")]
    Type(char),
    /// A field with this name is not known; one that is not signed could say anything.
    #[error("unknown field {0}")]
    Unknown(Excerpt),
}
