//! Hive nodes over JSON-RPC (feature `rpc`): a client, and core's backend traits over it.
//!
//! [`RpcClient`] asks one of several nodes; [`HiveBroadcaster`] signs and publishes, [`HiveBlockSource`] reads blocks,
//! [`HiveAccountKeys`] tells who may sign. None of them trusts a node further than it must: chain ids, block ids and
//! the order of blocks are checked.

mod account_keys;
mod answer;
mod batch;
mod broadcaster;
mod client;
mod config;
mod costs;
mod delivery;
mod error;
mod follow;
mod follow_list;
#[cfg(feature = "forward")]
mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod identity;
mod inclusion;
mod key_check;
mod ledger;
mod node;
mod node_error;
mod posts;
mod route;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod sim_tests;
mod wire;

pub use account_keys::HiveAccountKeys;
pub use broadcaster::{BroadcasterConfig, Confirm, HiveBroadcaster, HiveReceipt, SubmitError};
pub use client::{RpcCall, RpcClient};
pub use config::{RpcConfig, RpcConfigError};
pub use costs::{CostsError, find_mana, forecast, rc_snapshot};
pub use error::RpcError;
pub use follow::{Follow, FollowError, HiveBlockSource, HiveBlockSourceConfig};
pub use follow_list::blacklisted;
#[cfg(feature = "forward")]
pub use forward::Forwarder;
pub use health::NodeHealth;
pub use key_check::KeyRefusal;
pub use node_error::{Credits, NodeError, NodeErrorKind, Remedy};
pub use posts::{FindPostError, find_post};

/// What core's errors name as the backend.
const BACKEND: &str = "hive node";
