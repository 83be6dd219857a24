//! Hive nodes over JSON-RPC (feature `rpc`): a client, and core's backend traits over it.
//!
//! [`RpcClient`] asks one of several nodes; [`HiveBroadcaster`] signs and publishes, [`HiveBlockSource`] reads blocks,
//! [`HiveAccountKeys`] tells who may sign. None of them trusts a node further than it must: chain ids, block ids and
//! the order of blocks are checked.

mod account_keys;
mod block_source;
mod broadcaster;
mod client;
mod config;
#[doc(hidden)]
pub mod fuzzing;
mod inclusion;
mod node;
mod node_error;

pub use account_keys::HiveAccountKeys;
pub use block_source::{HiveBlockSource, HiveBlockSourceConfig};
pub use broadcaster::{BroadcasterConfig, HiveBroadcaster};
pub use client::{RpcClient, RpcError};
pub use config::{RpcConfig, RpcConfigError};
pub use node_error::{NodeError, NodeErrorKind, Remedy};

/// What core's errors name as the backend.
const BACKEND: &str = "hive node";
