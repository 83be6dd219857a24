//! The store's HTTP face, asked as clients ask it.
#![cfg(test)]
#![cfg(feature = "serve")]

mod gateway;
mod rpc;
mod support;
