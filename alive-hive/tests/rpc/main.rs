//! The JSON-RPC client against servers that do what servers do on bad days, over real connections.
#![cfg(test)]

mod batches;
mod stub;
mod transport;
