//! The JSON-RPC client against servers that do what servers do on bad days, over real connections.
#![cfg(test)]

mod batches;
mod forward;
mod stub;
mod transport;
