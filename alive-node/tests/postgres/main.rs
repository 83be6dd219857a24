//! The store in PostgreSQL against a real server: its promises, its one leader, its many readers, and what they survive.
#![cfg(test)]
#![cfg(feature = "postgres")]

mod cluster;
mod database;
mod faults;
mod follow;
mod leader;
mod schema;
#[path = "../../../alive-hive/tests/haf/server.rs"]
mod server;
mod suite;
mod tls;
