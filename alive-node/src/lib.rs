#![doc = include_str!("../README.md")]

mod clock;
mod event;
mod indexer;
mod resolver;
mod store;

pub use event::NodeEvent;
pub use indexer::{IndexError, Indexer, Progress};
pub use resolver::{ChunkState, Resolver, ResolverConfig, Urgency};
pub use store::{ChunkCache, SharedChunkCache, SqliteStore, SqliteStoreError};
