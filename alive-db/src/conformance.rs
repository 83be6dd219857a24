//! Checks of the golden vectors `gun.*` (feature `testing`).
//!
//! Source of their fields: `spec/alivedb.md`, "Vectors".

use alive_core::conformance::Kind;
use serde_json::Value;

mod gun;

/// The kinds of vectors that this crate decides.
pub const KINDS: &[Kind] = &[
    Kind { name: "gun.ham", check: gun::ham },
    Kind { name: "gun.hash", check: gun::hash },
    Kind { name: "gun.wire", check: gun::wire },
];

/// Why a case was refused, or could not be read.
type Refused = Box<dyn std::error::Error>;

/// A member of the input.
fn member<'a>(input: &'a Value, name: &str) -> Result<&'a Value, Refused> {
    input.get(name).ok_or_else(|| format!("no member {name:?}").into())
}
