//! The development node, and the clients of `rpc` against it.
#![cfg(test)]

mod chain;
mod faults;
mod http;
mod kill;
mod load;
mod posts;
mod rc;
mod refusals;
mod rpc;
mod support;
mod switches;
