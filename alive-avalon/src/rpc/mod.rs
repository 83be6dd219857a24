//! Avalon's nodes over HTTP (feature `rpc`): a client of several nodes, and over it a broadcaster, a block source and
//! account keys for `alive-core`.

mod account_keys;
mod attempt;
mod block_source;
mod broadcaster;
mod chat;
mod client;
mod config;
mod error;
mod node;

pub use account_keys::AvalonAccountKeys;
pub use block_source::{AvalonBlockSource, AvalonBlockSourceConfig};
pub use broadcaster::{AvalonBroadcaster, BroadcasterConfig, ResumeError, ResumePoint};
pub use chat::find_chat_archives;
pub use client::{NodeAnswer, RpcClient};
pub use config::{RpcConfig, RpcConfigError};
pub use error::RpcError;

/// How backends of this module name themselves in errors.
const BACKEND: &str = "avalon";
