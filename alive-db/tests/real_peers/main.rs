//! Unmodified GUN peers in Node.js against ours, both ways.
//!
//! They need Node.js with npm; the packages come from their registry once.
#![cfg(test)]
#![cfg(all(feature = "client", feature = "relay"))]

#[cfg(feature = "chat")]
mod chat;
mod clients;
mod node;
mod packages;
mod parts;
mod relay;
mod script;
mod support;
