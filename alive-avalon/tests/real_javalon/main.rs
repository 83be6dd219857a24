//! Unmodified javalon against the development node, our signatures and our JSON text.
//!
//! It needs Node.js with npm; the packages come from their registry once.
#![cfg(test)]
#![cfg(all(feature = "devnet", feature = "rpc"))]

mod check;
mod javalon;
mod stream;
