//! `id` and `version`: what the store says about itself.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use multibase::Base;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Rpc, answer};
use crate::{storage::BlockStorage, store::BlockStore};

/// What this program calls itself to IPFS clients.
const AGENT: &str = concat!("alive-storage/", env!("CARGO_PKG_VERSION"));

/// A name in the form of a peer's id: clients refuse answers without one. The store has no key and speaks to no peers,
/// so the name stands for nothing but this process.
pub(super) fn peer_id<S>(storage: &BlockStorage<S>) -> String {
    let process = format!("{AGENT} {} {storage:p}", std::process::id());
    let digest = Sha256::digest(process);
    Base::Base58Btc.encode([&[0x12, 0x20], digest.as_slice()].concat())
}

pub(super) async fn id<S: BlockStore + 'static>(State(rpc): State<Arc<Rpc<S>>>) -> Response {
    answer::json(&json!({
        "ID": rpc.peer_id,
        "PublicKey": "",
        "Addresses": [],
        "AgentVersion": AGENT,
        "Protocols": [],
    }))
}

pub(super) async fn version<S: BlockStore + 'static>(State(rpc): State<Arc<Rpc<S>>>) -> Response {
    answer::json(&json!({
        "Version": rpc.config.kubo_version,
        "Commit": "",
        "Repo": "0",
        "System": format!("{}/{}", std::env::consts::ARCH, std::env::consts::OS),
        "Golang": "",
        "Agent": AGENT,
    }))
}
