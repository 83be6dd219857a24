//! Checks of the golden vectors `avalon.*` (feature `testing`).
//!
//! Source of their fields: `spec/avalon.md`, "Vectors".

use alive_core::conformance::Kind;
use serde_json::Value;

mod block;
mod chat_sign;
mod json_stringify;
mod key;
mod multisig;
mod playlist;
mod transaction;

/// The kinds of vectors that this crate decides.
pub const KINDS: &[Kind] = &[
    Kind { name: "avalon.block", check: block::check },
    Kind { name: "avalon.chat_sign", check: chat_sign::check },
    Kind { name: "avalon.json_stringify", check: json_stringify::check },
    Kind { name: "avalon.key", check: key::check },
    Kind { name: "avalon.multisig", check: multisig::check },
    Kind { name: "avalon.playlist", check: playlist::check },
    Kind { name: "avalon.transaction", check: transaction::check },
];

/// Why a case was refused, or could not be read.
type Refused = Box<dyn std::error::Error>;

/// A text of the input.
fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refused> {
    input.get(name).and_then(Value::as_str).ok_or_else(|| format!("no text {name:?}").into())
}

/// A whole number of the input.
fn whole(input: &Value, name: &str) -> Result<i64, Refused> {
    input.get(name).and_then(Value::as_i64).ok_or_else(|| format!("no number {name:?}").into())
}

/// A list of the input.
fn list<'a>(input: &'a Value, name: &str) -> Result<&'a [Value], Refused> {
    let list = input.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).ok_or_else(|| format!("no list {name:?}").into())
}
