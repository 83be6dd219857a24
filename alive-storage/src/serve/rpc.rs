//! `/api/v0/…`: the part of Kubo's RPC that clients need to store and read content. Source: `spec/storage.md`,
//! section 5.

mod add;
mod answer;
mod blocks;
mod cat;
mod dag;
mod guard;
mod node;
mod pins;
mod tree;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{MethodRouter, post},
};
use tokio::sync::Semaphore;

use self::answer::Refusal;
use super::config::FaceConfig;
use crate::{storage::BlockStorage, store::BlockStore};

/// The RPC of a block store, as Kubo answers it.
#[derive(Debug)]
pub(super) struct Rpc<S> {
    storage: BlockStorage<S>,
    config: FaceConfig,
    uploads: Semaphore,
    /// What stands for the node's key; it has none, for it speaks to no peers.
    peer_id: String,
}

impl<S: BlockStore + 'static> Rpc<S> {
    pub(super) fn new(storage: BlockStorage<S>, config: FaceConfig) -> Self {
        let uploads = Semaphore::new(config.uploads);
        let peer_id = node::peer_id(&storage);
        Self { storage, config, uploads, peer_id }
    }

    /// Its routes. Bodies are bounded where they are read.
    pub(super) fn router(self) -> Router {
        let rpc = Arc::new(self);
        let routes: [(&str, MethodRouter<Arc<Self>>); 12] = [
            ("add", post(add::add)),
            ("block/get", post(blocks::get)),
            ("block/put", post(blocks::put)),
            ("block/stat", post(blocks::stat)),
            ("cat", post(cat::cat)),
            ("dag/export", post(dag::export)),
            ("dag/import", post(dag::import)),
            ("id", post(node::id)),
            ("pin/add", post(pins::add)),
            ("pin/ls", post(pins::ls)),
            ("pin/rm", post(pins::rm)),
            ("version", post(node::version)),
        ];
        let routes = routes.into_iter().fold(Router::new(), |router, (command, route)| {
            router.route(&format!("/api/v0/{command}"), route)
        });
        routes
            .route("/api/v0/{*command}", axum::routing::any(unknown))
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn_with_state(Arc::clone(&rpc), guard::guard))
            .with_state(rpc)
    }
}

async fn unknown() -> Refusal {
    Refusal::UnknownCommand
}
