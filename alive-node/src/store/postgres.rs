//! Streams in a PostgreSQL database that many nodes share: [`PostgresStore`].
//!
//! Reads go through a few sessions, each within one snapshot. The steps of a network go through one session that holds an
//! advisory lock, in whichever process leads, each as one transaction with its undo data, its cursor and its news.

mod config;
mod error;
mod follow;
mod leadership;
mod list;
mod outcome;
mod pool;
mod read;
mod schema;
mod session;
mod write;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use alive_core::{
    AccountName, BlockChanges, Network, StreamId,
    backend::{
        Commit, Cursor, StoreError, StoredAccount, StoredStream, StreamPage, StreamQuery,
        StreamStore,
    },
};
use sha2::{Digest as _, Sha256};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use config::{PostgresConfigError, PostgresStoreConfig};
pub use error::PostgresStoreError;
pub use leadership::Leadership;
use leadership::Seat;
use pool::Pool;

use crate::event::NodeEvent;

/// A [`StreamStore`] in a PostgreSQL database, for any number of networks and of processes.
///
/// A clone is another handle on the same sessions. Calls need a tokio runtime with time and I/O. Any process may
/// [`commit`](StreamStore::commit) while no other leads the network, and leads from then on until it is silent for
/// [a lease](PostgresStoreConfig::lease); [`lead`](Self::lead) waits for that and keeps it. A commit is as durable as the
/// server's `synchronous_commit` says.
///
/// ```no_run
/// use alive_core::{Network, backend::StreamStore};
/// use alive_node::{PostgresStore, PostgresStoreConfig};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = PostgresStoreConfig::new("postgresql://alive@localhost/alive")?;
/// let store = PostgresStore::open(config).await?;
/// assert_eq!(store.cursor(&Network::hive()).await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore {
    config: Arc<PostgresStoreConfig>,
    readers: Arc<Pool>,
    seats: Arc<Mutex<HashMap<Network, Arc<Seat>>>>,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// The server cannot be reached or refuses, or the schema is none of ours or of a later version.
    pub async fn open(config: PostgresStoreConfig) -> Result<Self, StoreError> {
        let config = Arc::new(config);
        let readers = Pool::new(Arc::clone(&config));
        readers.read(&schema::Migrate(&config)).await?;
        Ok(Self { config, readers: Arc::new(readers), seats: Arc::default() })
    }

    /// Waits until this process leads the indexing of a network, however long that takes.
    pub async fn lead(&self, network: &Network) -> Leadership {
        Leadership::of(self.seat(network)).await
    }

    /// Tells what all leaders do, this process among them, until it is cancelled. Events come in the order of the steps,
    /// after they are durable, and none is lost: where some could not be had, [`NodeEvent::Missed`] says so.
    pub async fn follow(&self, events: broadcast::Sender<NodeEvent>, cancel: CancellationToken) {
        cancel.run_until_cancelled(follow::follow(Arc::clone(&self.config), events)).await;
    }

    fn seat(&self, network: &Network) -> Arc<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Seat::new(Arc::clone(&self.config), network.clone()));
        Arc::clone(seats.entry(network.clone()).or_insert_with(new))
    }
}

impl StreamStore for PostgresStore {
    async fn cursor(&self, network: &Network) -> Result<Option<Cursor>, StoreError> {
        Ok(self.readers.read(&read::CursorOf(network)).await?)
    }

    async fn reversible(&self, network: &Network) -> Result<Vec<BlockChanges>, StoreError> {
        Ok(self.readers.read(&read::Reversible(network)).await?)
    }

    async fn commit(&self, network: &Network, step: &Commit) -> Result<(), StoreError> {
        Ok(self.seat(network).commit(step).await?)
    }

    async fn account(
        &self,
        network: &Network,
        account: &AccountName,
    ) -> Result<Option<StoredAccount>, StoreError> {
        Ok(self.readers.read(&read::AccountOf(network, account)).await?)
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<StoredStream>, StoreError> {
        Ok(self.readers.read(&read::StreamOf(id)).await?)
    }

    async fn streams(&self, query: &StreamQuery) -> Result<StreamPage, StoreError> {
        Ok(self.readers.read(&list::PageOf(query)).await?)
    }

    async fn networks(&self) -> Result<Vec<Network>, StoreError> {
        Ok(self.readers.read(&list::Networks).await?)
    }
}

/// The advisory lock of something within a schema. Such locks are numbers, and all of a database share them.
fn lock_key(schema: &str, what: &str) -> i64 {
    let hash = Sha256::digest(format!("alive/{schema}/{what}"));
    hash.first_chunk().copied().map_or(0, i64::from_be_bytes)
}
