//! Where a node keeps its index: a file of its own, or a database that it shares.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alive_core::backend::{SharedBlockSource, SharedStorage, SharedStreamStore};
use alive_node::{Backends, PostgresStore, PostgresStoreConfig, SharedChunkCache, SqliteStore};
use anyhow::Context as _;

/// Where the index is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IndexArgs {
    /// Database that many nodes share, instead of a file in --data: `postgresql://USER@HOST/DATABASE`, or a Unix socket as
    /// `postgresql://USER@%2Fvar%2Frun%2Fpostgresql/DATABASE`. One of them indexes, and another takes over when it dies.
    /// Give a password by the variable.
    #[arg(long, env = "ALIVE_NODE_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// Schema of the tables in that database.
    #[arg(
        long,
        env = "ALIVE_NODE_STORE_SCHEMA",
        default_value = "alive_index",
        value_name = "NAME"
    )]
    store_schema: String,
    /// Connections to that database that read beside each other.
    #[arg(
        long,
        env = "ALIVE_NODE_STORE_CONNECTIONS",
        default_value_t = 8,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    store_connections: u16,
    /// File of certificate authorities, in PEM, that may vouch for that database besides those of the system. With
    /// `sslmode=require` in its address the connection is encrypted, and the server must prove to be that host.
    #[arg(long, env = "ALIVE_NODE_STORE_CA", value_name = "FILE", requires = "store")]
    store_ca: Option<PathBuf>,
    /// Serve from that database and never index.
    #[arg(long, env = "ALIVE_NODE_READER", requires = "store")]
    reader: bool,
}

/// An index that is open.
pub(crate) struct Index {
    store: Store,
    chunks: SharedChunkCache,
    reader: bool,
}

enum Store {
    Own(SqliteStore),
    Shared(PostgresStore),
}

impl IndexArgs {
    /// Opens it. Chunks that were read are kept in `data` either way: they are no loss.
    pub(crate) async fn open(&self, data: &Path) -> anyhow::Result<Index> {
        let (store, chunks) = match &self.store {
            None => {
                let index = SqliteStore::open(data.join("index.sqlite"))?;
                (Store::Own(index.clone()), index)
            }
            Some(address) => {
                let mut config = PostgresStoreConfig::new(address)?
                    .schema(&self.store_schema)?
                    .connections(self.store_connections.into());
                if let Some(file) = &self.store_ca {
                    config = config.trust(&authorities(file)?)?;
                }
                let store = PostgresStore::open(config).await?;
                (Store::Shared(store), SqliteStore::open(data.join("chunks.sqlite"))?)
            }
        };
        Ok(Index { store, chunks: SharedChunkCache::new(chunks), reader: self.reader })
    }
}

impl Index {
    /// What it knows of streams.
    pub(crate) fn store(&self) -> SharedStreamStore {
        match &self.store {
            Store::Own(store) => SharedStreamStore::new(store.clone()),
            Store::Shared(store) => SharedStreamStore::new(store.clone()),
        }
    }

    /// A node's backends over it, which follow these chains.
    pub(crate) fn backends(
        self,
        storage: SharedStorage,
        sources: Vec<SharedBlockSource>,
    ) -> Backends {
        let backends = match self.store {
            Store::Own(store) => Backends::new(SharedStreamStore::new(store), storage),
            Store::Shared(store) => Backends::in_cluster(store, storage),
        };
        let sources = sources.into_iter().filter(|_| !self.reader);
        sources.fold(backends.chunks(self.chunks), Backends::source)
    }
}

/// Certificate authorities for a database.
pub(crate) fn authorities(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| file.display().to_string())
}
