//! The real program in its real processes.
#![cfg(test)]

mod browser;
mod chat;
mod chat_archive;
mod chat_page;
mod cluster;
mod commands;
mod cost;
mod db;
mod faces;
#[path = "../../../alive-hive/tests/real_clients/packages.rs"]
#[expect(dead_code, reason = "the clients in JavaScript are not run here")]
mod hive_clients;
mod kill;
mod latency;
mod live;
#[path = "../../../alive-storage/tests/real_ipfs/node.rs"]
mod node;
#[path = "../../../alive-storage/tests/real_ipfs/packages.rs"]
#[expect(dead_code, reason = "the clients in Python are not run here")]
mod packages;
mod players;
#[path = "../../../alive-storage/tests/remote/portal.rs"]
#[expect(dead_code, reason = "an honest portal will do here")]
mod portal;
mod post;
#[path = "../../../alive-hive/tests/haf/server.rs"]
#[expect(dead_code, reason = "the database itself comes to no harm here")]
mod postgres;
#[path = "../../../alive-storage/tests/remote/server.rs"]
#[expect(dead_code, reason = "the portal needs a part of it")]
mod server;
mod service;
mod storage;
mod support;
mod two_chains;
