//! The development node, by itself, over HTTP, and as what broadcaster, block source and account keys talk to.
#![cfg(test)]
#![cfg(all(feature = "devnet", feature = "rpc", feature = "testing"))]

mod chain;
mod faults;
mod http;
mod reorganisations;
mod rpc;
mod support;
