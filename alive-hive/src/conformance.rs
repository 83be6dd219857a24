//! Checks of the golden vectors `hive.*` (feature `testing`).
//!
//! Source of their fields: `spec/hive.md`, "Vectors".

use alive_core::conformance::Kind;
use serde_json::Value;

mod block;
mod key;
mod signature;
mod transaction;

/// The kinds of vectors that this crate decides.
pub const KINDS: &[Kind] = &[
    Kind { name: "hive.block", check: block::check },
    Kind { name: "hive.key", check: key::check },
    Kind { name: "hive.signature", check: signature::check },
    Kind { name: "hive.transaction", check: transaction::check },
];

/// Why a case was refused, or could not be read.
type Refused = Box<dyn std::error::Error>;

/// A text of the input.
fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refused> {
    input.get(name).and_then(Value::as_str).ok_or_else(|| format!("no text {name:?}").into())
}

/// A member of the input.
fn member<'a>(input: &'a Value, name: &str) -> Result<&'a Value, Refused> {
    input.get(name).ok_or_else(|| format!("no member {name:?}").into())
}
