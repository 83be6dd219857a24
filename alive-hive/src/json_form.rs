//! Reading and writing the two JSON forms of operations: [`JsonForm`], [`JsonError`] and the readers inside.

use std::fmt;

use alive_core::Excerpt;
use serde_json::{Map, Value};

use crate::{
    asset::AssetError, hex_text::HexError, keys::KeyError, network::KeyPrefix, time::TimePointError,
};

/// The two ways to write an operation as JSON. What is read tells its form by its shape.
///
/// Source: `spec/hive.md`, section 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonForm {
    /// `{"type":"custom_json_operation","value":{..}}`, assets as objects with a `nai`: what `block_api` and
    /// `network_broadcast_api` speak.
    Hf26,
    /// `["custom_json",{..}]`, assets as `"1.000 HIVE"`: what `condenser_api` speaks.
    #[default]
    Legacy,
}

/// How to write JSON for one chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonStyle {
    pub(crate) form: JsonForm,
    pub(crate) prefix: KeyPrefix,
}

/// Where a JSON text is not what it should be, and why.
///
/// ```
/// use alive_hive::{KeyPrefix, Operation};
/// let vote = serde_json::json!(["vote", { "voter": "alice", "author": "bob", "permlink": "p", "weight": 70000 }]);
/// let error = Operation::from_json(&vote, &KeyPrefix::STM).unwrap_err();
/// assert_eq!(error.to_string(), "vote.weight: a whole number from -32768 to 32767 expected");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    place: String,
    reason: JsonReason,
}

impl JsonError {
    /// The member at fault, such as `operations[0].custom_json.id`; empty for the whole text.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &JsonReason {
        &self.reason
    }

    /// Adds the name of the member that holds what was at fault so far.
    pub(crate) fn inside(mut self, name: &str) -> Self {
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.place = format!("{name}{dot}{}", self.place);
        self
    }

    fn at_index(self, index: usize) -> Self {
        self.inside(&format!("[{index}]"))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => write!(f, "{}", self.reason),
            place => write!(f, "{place}: {}", self.reason),
        }
    }
}

impl std::error::Error for JsonError {}

impl<R: Into<JsonReason>> From<R> for JsonError {
    fn from(reason: R) -> Self {
        Self { place: String::new(), reason: reason.into() }
    }
}

/// What is wrong with a member of a JSON text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonReason {
    /// Not an asset.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// It must be something else.
    #[error("{0} expected")]
    Expected(&'static str),
    /// Not hexadecimal, or not of the right length.
    #[error(transparent)]
    Hex(#[from] HexError),
    /// Not a public key of this chain.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The member is absent.
    #[error("missing")]
    Missing,
    /// Not a time.
    #[error(transparent)]
    Time(#[from] TimePointError),
    /// The same account or key stands there twice with different weights.
    #[error("{0} stands there twice with different weights")]
    Twice(Excerpt),
    /// An operation or extension that this crate cannot pack.
    #[error("unknown kind {0}")]
    Unknown(Excerpt),
}

/// An object whose members are read by name; members nobody asks for are ignored.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    pub(crate) fn of(value: &'a Value) -> Result<Self, JsonError> {
        value.as_object().map(Self).ok_or_else(|| JsonReason::Expected("an object").into())
    }

    /// Reads a member that must be there.
    pub(crate) fn read<T>(
        self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Result<T, JsonError>,
    ) -> Result<T, JsonError> {
        match self.0.get(name) {
            Some(value) => read(value).map_err(|error| error.inside(name)),
            None => Err(JsonError::from(JsonReason::Missing).inside(name)),
        }
    }

    /// Reads a member that may be absent or null.
    pub(crate) fn read_optional<T>(
        self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Result<T, JsonError>,
    ) -> Result<Option<T>, JsonError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|error| error.inside(name)),
        }
    }
}

/// Reads a text.
pub(crate) fn text(value: &Value) -> Result<&str, JsonError> {
    value.as_str().ok_or_else(|| JsonReason::Expected("a text").into())
}

/// Reads a whole number of the range of `T`; `expected` names that range.
pub(crate) fn whole<T: TryFrom<i64>>(
    value: &Value,
    expected: &'static str,
) -> Result<T, JsonError> {
    value
        .as_i64()
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| JsonReason::Expected(expected).into())
}

/// Reads an array, item by item.
pub(crate) fn items<'a, T>(
    value: &'a Value,
    mut read: impl FnMut(&'a Value) -> Result<T, JsonError>,
) -> Result<Vec<T>, JsonError> {
    let items = value.as_array().ok_or(JsonReason::Expected("an array"))?;
    let read_at = |(index, item)| read(item).map_err(|error: JsonError| error.at_index(index));
    items.iter().enumerate().map(read_at).collect()
}

/// Reads an array of two items.
pub(crate) fn pair<'a>(
    value: &'a Value,
    expected: &'static str,
) -> Result<(&'a Value, &'a Value), JsonError> {
    match value.as_array().map(Vec::as_slice) {
        Some([first, second]) => Ok((first, second)),
        _ => Err(JsonReason::Expected(expected).into()),
    }
}
