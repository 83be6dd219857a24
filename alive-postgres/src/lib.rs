#![doc = include_str!("../README.md")]

mod server;
mod tls;

pub use server::{ConnectError, Link, Server, ServerError};
pub use tokio_postgres::Client;
