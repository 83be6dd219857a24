//! Unmodified Hive clients against the development node, and against our signatures.
//!
//! They need Node.js with npm, and Python 3 with venv; the packages come from their registries once.
#![cfg(test)]

mod check;
mod client;
mod packages;
mod stream;
mod transactions;
