//! Checks of the golden vectors `gun.*`, `sea.*` and `alivedb.*` (feature `testing`).
//!
//! Source of their fields: `spec/alivedb.md`, "Vectors".

use alive_core::conformance::{Kind, TextKind};
use serde_json::Value;

mod alivedb;
mod gun;
mod sea;

/// The kinds of vectors that this crate decides.
pub const KINDS: &[Kind] = &[
    Kind { name: "alivedb.token", check: alivedb::token },
    Kind { name: "gun.ham", check: gun::ham },
    Kind { name: "gun.wire", check: gun::wire },
    Kind { name: "sea.auth", check: sea::auth },
    Kind { name: "sea.pair", check: sea::pair },
    Kind { name: "sea.work", check: sea::work },
];

/// Those that depend on the order of keys or on the last digit of numbers: `serde_json` keeps neither.
pub const TEXT_KINDS: &[TextKind] = &[
    TextKind { name: "alivedb.jwt", check: alivedb::jwt },
    TextKind { name: "alivedb.stream", check: alivedb::stream },
    TextKind { name: "alivedb.validate", check: alivedb::validate },
    TextKind { name: "gun.hash", check: gun::hash },
    TextKind { name: "sea.digest", check: sea::digest },
    TextKind { name: "sea.user_node", check: sea::user_node },
    TextKind { name: "sea.verify", check: sea::verify },
];

/// Why a case was refused, or could not be read.
type Refused = Box<dyn std::error::Error>;

/// A member of the input.
fn member<'a>(input: &'a Value, name: &str) -> Result<&'a Value, Refused> {
    input.get(name).ok_or_else(|| format!("no member {name:?}").into())
}

/// A text of the input.
fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refused> {
    member(input, name)?.as_str().ok_or_else(|| format!("{name:?} is no text").into())
}
