//! Unmodified SEA of npm against ours, both ways: data, users, segments.
//!
//! They need Node.js with npm; the packages come from their registry once.
#![cfg(test)]
#![cfg(all(feature = "client", feature = "relay", feature = "testing"))]

mod data;
mod hour;
mod sea;
mod users;

#[path = "../real_peers/node.rs"]
#[expect(dead_code, reason = "only the relay is used here")]
mod node;
#[path = "../real_peers/packages.rs"]
mod packages;
#[path = "../real_peers/script.rs"]
mod script;
