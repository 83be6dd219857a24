//! Where a node keeps what it learned: [`SqliteStore`], or `PostgresStore` for many nodes, and the [`ChunkCache`] of chunks
//! it has read.

mod chunks;
#[cfg(feature = "postgres")]
mod postgres;
mod sections;
mod sqlite;

pub use chunks::{ChunkCache, SharedChunkCache};
#[cfg(feature = "postgres")]
pub use postgres::{
    Leadership, PostgresConfigError, PostgresStore, PostgresStoreConfig, PostgresStoreError,
};
pub use sqlite::{SqliteStore, SqliteStoreError};
