//! Following a chain over nodes: [`HiveBlockSource`], and the engines under it, which do no I/O.

mod ahead;
mod config;
mod failure;
mod fetch;
mod page;
mod place;
mod source;

pub use config::{Follow, HiveBlockSourceConfig};
pub use failure::FollowError;
pub use source::HiveBlockSource;
