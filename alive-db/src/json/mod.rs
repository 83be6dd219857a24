//! JSON as JavaScript reads and writes it: [`Json`], [`Text`], [`print_number`].
//!
//! GUN compares, hashes and signs the text that `JSON.stringify` gives, so that text has to be the same to the last
//! character: the order of keys, escapes, unpaired surrogates, doubled keys and numbers. `serde_json` cannot give it: it
//! refuses unpaired surrogates and numbers beyond a double, both of which JavaScript takes.
//!
//! Source: `spec/avalon.md`, "The JSON text".

mod number;
mod parse;
mod text;
mod value;

pub use number::print_number;
pub use parse::{JsonError, MAX_DEPTH};
pub use text::Text;
pub(crate) use text::cmp_units;
pub use value::{Json, Object, print_text};
