//! The development node, and the clients of `rpc` against it.
#![cfg(test)]

mod chain;
mod faults;
mod http;
mod kill;
mod rpc;
mod support;
