//! Streams in one SQLite file: [`SqliteStore`].
//!
//! One connection writes, a few read. The file is in write-ahead mode with `synchronous=FULL`: a commit returns after its
//! bytes are on the disk, because the trait promises durability and the price is one sync for a whole page of blocks. A
//! commit is one transaction that holds the changes of the blocks, their undo data and the cursor, so a crash at any
//! moment leaves all of it or nothing.

mod chunks;
mod connections;
mod error;
mod list;
mod read;
mod schema;
mod write;

use std::{path::Path, sync::Arc};

use alive_core::{
    AccountName, BlockChanges, Network, StreamId,
    backend::{
        Commit, Cursor, StoreError, StoredAccount, StoredStream, StreamPage, StreamQuery,
        StreamStore,
    },
};
use rusqlite::TransactionBehavior;

use connections::{Connections, Role};
pub use error::SqliteStoreError;
use error::{BACKEND, Failure};

/// A [`StreamStore`] and [`ChunkCache`](super::ChunkCache) in an SQLite file, for any number of networks.
///
/// A clone is another handle on the same file. Work is done on blocking threads of tokio, so calls need a tokio runtime.
/// When a future is dropped its work is still done, or never begins. A second process may open the same file: a commit of
/// one is refused by the other's as out of order, never mixed up with it.
///
/// ```
/// use alive_core::{Network, backend::StreamStore};
/// use alive_node::SqliteStore;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("streams.sqlite");
/// let store = SqliteStore::open(&path)?;
/// assert_eq!(store.cursor(&Network::hive()).await?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: Arc<Connections>,
    readers: Arc<Connections>,
    /// How many chunks are kept.
    max_chunks: u32,
}

impl SqliteStore {
    /// How many connections read beside each other. Reads take well under a millisecond, so a few serve many requests.
    const READERS: usize = 4;
    /// How many chunks are kept by default: about 1 GiB, the chunks of 900 days of streams.
    pub const DEFAULT_MAX_CHUNKS: u32 = 262_144;

    /// Opens a file, makes it when it is absent, and brings its schema up to date. It blocks for a moment.
    ///
    /// # Errors
    /// The file cannot be opened, is none of ours, or was written by a later version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteStoreError> {
        let path = path.as_ref();
        let mut connection = connections::open(path, Role::Writer)?;
        schema::migrate(&mut connection)?;
        let writer = Connections::new(path, Role::Writer, 1);
        writer.give(connection);
        Ok(Self {
            writer: Arc::new(writer),
            readers: Arc::new(Connections::new(path, Role::Reader, Self::READERS)),
            max_chunks: Self::DEFAULT_MAX_CHUNKS,
        })
    }

    /// Sets how many chunks are kept, at least one; the oldest go first.
    #[must_use]
    pub fn max_chunks(self, max_chunks: u32) -> Self {
        Self { max_chunks: max_chunks.max(1), ..self }
    }

    /// Reads in one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let run = self.readers.run(move |connection| work(&connection.transaction()?));
        run.await
    }

    /// Writes in one transaction that is committed if the work succeeds.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let run = self.writer.run(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        run.await
    }
}

impl StreamStore for SqliteStore {
    async fn cursor(&self, network: &Network) -> Result<Option<Cursor>, StoreError> {
        let network = network.clone();
        self.read(move |transaction| read::cursor(transaction, &network)).await
    }

    async fn reversible(&self, network: &Network) -> Result<Vec<BlockChanges>, StoreError> {
        let network = network.clone();
        self.read(move |transaction| read::reversible(transaction, &network)).await
    }

    async fn commit(&self, network: &Network, step: &Commit) -> Result<(), StoreError> {
        let (network, step) = (network.clone(), step.clone());
        self.write(move |transaction| match &step {
            Commit::Apply { blocks, irreversible } => {
                write::apply(transaction, &network, blocks, *irreversible)
            }
            Commit::Undo(block) => write::undo(transaction, &network, block),
        })
        .await
    }

    async fn account(
        &self,
        network: &Network,
        account: &AccountName,
    ) -> Result<Option<StoredAccount>, StoreError> {
        let (network, account) = (network.clone(), account.clone());
        self.read(move |transaction| read::account(transaction, &network, &account)).await
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<StoredStream>, StoreError> {
        let id = id.clone();
        self.read(move |transaction| read::stream(transaction, &id)).await
    }

    async fn streams(&self, query: &StreamQuery) -> Result<StreamPage, StoreError> {
        let query = query.clone();
        self.read(move |transaction| list::streams(transaction, &query)).await
    }

    async fn networks(&self) -> Result<Vec<Network>, StoreError> {
        self.read(list::networks).await
    }
}

#[cfg(test)]
mod tests;
