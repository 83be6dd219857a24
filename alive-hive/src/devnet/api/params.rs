//! Parameters of methods, read strictly.

use serde_json::Value;

use crate::devnet::jsonrpc::Fault;

/// Nothing, an empty list or an empty object.
pub(super) fn none(params: &Value) -> Result<(), Fault> {
    let empty = match params {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null => true,
        _ => false,
    };
    if empty { Ok(()) } else { Err(Fault::bad_params("the method takes no parameters")) }
}

/// The first of a list of parameters.
pub(super) fn first(params: &Value) -> Result<&Value, Fault> {
    params.get(0).ok_or_else(|| Fault::bad_params("the method takes a list of parameters"))
}

/// A parameter by its name.
pub(super) fn named<'a>(params: &'a Value, name: &str) -> Result<&'a Value, Fault> {
    params.get(name).ok_or_else(|| Fault::bad_params(&format!("{name}: missing")))
}

/// A number of a block or a count of blocks.
pub(super) fn number(value: &Value) -> Result<u32, Fault> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| Fault::bad_params("not a number of a block"))
}

/// A list of texts.
pub(super) fn texts(value: &Value) -> Result<Vec<&str>, Fault> {
    let items = value.as_array().ok_or_else(|| Fault::bad_params("not a list"))?;
    let texts = items.iter().map(Value::as_str).collect::<Option<_>>();
    texts.ok_or_else(|| Fault::bad_params("not a list of texts"))
}

/// A value that is written as text.
pub(super) fn parsed<T: std::str::FromStr>(value: &Value, what: &str) -> Result<T, Fault>
where
    T::Err: std::fmt::Display,
{
    let text = value.as_str().ok_or_else(|| Fault::bad_params(&format!("{what}: not a text")))?;
    text.parse().map_err(|error| Fault::bad_params(&format!("{what}: {error}")))
}
