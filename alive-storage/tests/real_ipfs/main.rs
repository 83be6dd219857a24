//! An IPFS node that no one here wrote (js-ipfs, offline on loopback), and two clients of Kubo's HTTP API.
//!
//! They need Node.js with npm, and Python 3 with venv; the packages come from their registries once. Source:
//! `spec/storage.md`, section 7.
#![cfg(test)]

mod backends;
mod clients;
mod crossing;
mod ids;
mod node;
mod packages;

use std::net::SocketAddr;

use alive_storage::{
    MemoryStorage,
    serve::{Face, FaceConfig},
};

/// Content of many blocks, none like another.
fn content(seed: u32, len: usize) -> Vec<u8> {
    (seed << 20..).flat_map(u32::to_le_bytes).take(len).collect()
}

/// Shows a store on a port of its own; ends with the runtime of the test.
async fn face(storage: &MemoryStorage) -> SocketAddr {
    let router = Face::new(storage.clone(), FaceConfig::default()).router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
