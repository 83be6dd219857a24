//! The embedded store over HTTP: [`Gateway`], as IPFS gateways serve content, and [`Face`], which adds the part of Kubo's
//! RPC that clients need to store and read content (feature `serve`).
//!
//! Both give routes; the server around them bounds connections, heads and times. Unmodified clients of Kubo's HTTP API
//! work with a [`Face`]:
//!
//! ```
//! use alive_storage::{MemoryStorage, serve::{Face, FaceConfig}};
//!
//! let storage = MemoryStorage::default();
//! let router = Face::new(storage, FaceConfig::default()).router();
//! // axum::serve(listener, router), with `listener` on 127.0.0.1:5001.
//! # let _: axum::Router = router;
//! ```
//!
//! Whoever reaches the RPC can write to the store. So listen on loopback only, or set a token
//! ([`FaceConfig::token`]); pages of other origins are refused either way.

mod config;
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
pub mod http;
mod query;
mod rpc;
mod upload;

use axum::Router;

use self::rpc::Rpc;
pub use self::{
    config::{AccessToken, AccessTokenError, FaceConfig},
    gateway::Gateway,
};
use crate::{reader::SharedContentReader, storage::BlockStorage, store::BlockStore};

/// A block store as Kubo shows one: `/api/v0/…` and `/ipfs/{cid}`.
#[derive(Debug)]
pub struct Face<S> {
    gateway: Gateway,
    rpc: Rpc<S>,
}

impl<S: BlockStore + 'static> Face<S> {
    /// Shows `storage`.
    pub fn new(storage: BlockStorage<S>, config: FaceConfig) -> Self {
        let gateway = Gateway::new(Some(SharedContentReader::new(storage.clone())));
        Self { gateway, rpc: Rpc::new(storage, config) }
    }

    /// All routes.
    pub fn router(self) -> Router {
        self.rpc.router().merge(self.gateway.router())
    }
}
