//! Where a node keeps what it learned: [`SqliteStore`], and the [`ChunkCache`] of chunks it has read.

mod chunks;
mod sqlite;

pub use chunks::{ChunkCache, SharedChunkCache};
pub use sqlite::{SqliteStore, SqliteStoreError};
