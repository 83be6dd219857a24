//! Where an indexer keeps what it learned: [`StreamStore`].

use std::{fmt::Debug, future::Future, sync::Arc};

use crate::{
    account::{AccountName, Network},
    index::BlockChanges,
    op::Seq,
    stream::{Pushed, StreamInfo},
    stream_id::StreamId,
};

use super::{
    Boxed, Cause,
    chain::BlockRef,
    listing::{StreamPage, StreamQuery},
};

/// How far a store has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last committed block.
    pub last: BlockRef,
    /// How many streams its network has.
    pub created: u64,
}

/// What a store knows of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredAccount {
    /// How many streams it created.
    pub created: u32,
}

/// What a store knows of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStream {
    /// Its state.
    pub info: StreamInfo,
    /// Its pushes by sequence number.
    pub pushes: Vec<(Seq, Pushed)>,
}

/// One step of an indexer; a store takes it whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store must handle every case")]
pub enum Commit {
    /// Blocks were applied.
    Apply {
        /// The blocks, oldest first.
        blocks: Vec<BlockChanges>,
        /// Up to this number no block will ever be replaced.
        irreversible: u64,
    },
    /// The last block was undone; these are the inverse changes.
    Undo(BlockChanges),
}

/// Keeps the streams of any number of networks. A commit and its cursor are one: after a crash at any moment the store
/// is as before the commit or as after it.
///
/// A backend is done when it passes `alive_core::testing::stream_store` (feature `testing`).
pub trait StreamStore: Debug + Send + Sync {
    /// How far it has come on a network; `None` before the first commit.
    ///
    /// # Errors
    /// [`StoreError`]: the backend failed, or holds what cannot be read.
    fn cursor(
        &self,
        network: &Network,
    ) -> impl Future<Output = Result<Option<Cursor>, StoreError>> + Send;

    /// The blocks that may still have to be undone, oldest first.
    ///
    /// # Errors
    /// As [`cursor`](Self::cursor).
    fn reversible(
        &self,
        network: &Network,
    ) -> impl Future<Output = Result<Vec<BlockChanges>, StoreError>> + Send;

    /// Takes one step, durably.
    ///
    /// # Errors
    /// As [`cursor`](Self::cursor); nothing changed then. [`StoreError::Order`] if the step does not follow the last one.
    fn commit(
        &self,
        network: &Network,
        step: &Commit,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// An account that ever signed an operation of this protocol.
    ///
    /// # Errors
    /// As [`cursor`](Self::cursor).
    fn account(
        &self,
        network: &Network,
        account: &AccountName,
    ) -> impl Future<Output = Result<Option<StoredAccount>, StoreError>> + Send;

    /// A stream.
    ///
    /// # Errors
    /// As [`cursor`](Self::cursor).
    fn stream(
        &self,
        id: &StreamId,
    ) -> impl Future<Output = Result<Option<StoredStream>, StoreError>> + Send;

    /// A page of streams, as of one moment. It must not take longer for the last page of many than for the first.
    ///
    /// # Errors
    /// As [`cursor`](Self::cursor).
    fn streams(
        &self,
        query: &StreamQuery,
    ) -> impl Future<Output = Result<StreamPage, StoreError>> + Send;

    /// The networks that it has come anywhere on, by name.
    ///
    /// # Errors
    /// As [`cursor`](Self::cursor).
    fn networks(&self) -> impl Future<Output = Result<Vec<Network>, StoreError>> + Send;
}

/// Why a [`StreamStore`] did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What it holds cannot be read.
    #[error("{backend} holds {what} that cannot be read")]
    Corrupt {
        /// Which backend.
        backend: &'static str,
        /// What.
        what: &'static str,
        /// Why.
        source: Cause,
    },
    /// A step does not follow the last one.
    #[error("block {got} does not follow the store's last block")]
    Order {
        /// The block of the step.
        got: u64,
    },
    /// The backend failed; trying again may help.
    #[error("{backend} is unavailable")]
    Unavailable {
        /// Which one.
        backend: &'static str,
        /// Why.
        source: Cause,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Any [`StreamStore`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedStreamStore(Arc<dyn Erased>);

impl SharedStreamStore {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl StreamStore + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl StreamStore for SharedStreamStore {
    async fn cursor(&self, network: &Network) -> Result<Option<Cursor>, StoreError> {
        self.0.cursor_boxed(network).await
    }

    async fn reversible(&self, network: &Network) -> Result<Vec<BlockChanges>, StoreError> {
        self.0.reversible_boxed(network).await
    }

    async fn commit(&self, network: &Network, step: &Commit) -> Result<(), StoreError> {
        self.0.commit_boxed(network, step).await
    }

    async fn account(
        &self,
        network: &Network,
        account: &AccountName,
    ) -> Result<Option<StoredAccount>, StoreError> {
        self.0.account_boxed(network, account).await
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<StoredStream>, StoreError> {
        self.0.stream_boxed(id).await
    }

    async fn streams(&self, query: &StreamQuery) -> Result<StreamPage, StoreError> {
        self.0.streams_boxed(query).await
    }

    async fn networks(&self) -> Result<Vec<Network>, StoreError> {
        self.0.networks_boxed().await
    }
}

trait Erased: Debug + Send + Sync {
    fn cursor_boxed<'a>(
        &'a self,
        network: &'a Network,
    ) -> Boxed<'a, Result<Option<Cursor>, StoreError>>;
    fn reversible_boxed<'a>(
        &'a self,
        network: &'a Network,
    ) -> Boxed<'a, Result<Vec<BlockChanges>, StoreError>>;
    fn commit_boxed<'a>(
        &'a self,
        network: &'a Network,
        step: &'a Commit,
    ) -> Boxed<'a, Result<(), StoreError>>;
    fn account_boxed<'a>(
        &'a self,
        network: &'a Network,
        account: &'a AccountName,
    ) -> Boxed<'a, Result<Option<StoredAccount>, StoreError>>;
    fn stream_boxed<'a>(
        &'a self,
        id: &'a StreamId,
    ) -> Boxed<'a, Result<Option<StoredStream>, StoreError>>;
    fn streams_boxed<'a>(
        &'a self,
        query: &'a StreamQuery,
    ) -> Boxed<'a, Result<StreamPage, StoreError>>;
    fn networks_boxed(&self) -> Boxed<'_, Result<Vec<Network>, StoreError>>;
}

impl<S: StreamStore> Erased for S {
    fn cursor_boxed<'a>(
        &'a self,
        network: &'a Network,
    ) -> Boxed<'a, Result<Option<Cursor>, StoreError>> {
        Box::pin(self.cursor(network))
    }

    fn reversible_boxed<'a>(
        &'a self,
        network: &'a Network,
    ) -> Boxed<'a, Result<Vec<BlockChanges>, StoreError>> {
        Box::pin(self.reversible(network))
    }

    fn commit_boxed<'a>(
        &'a self,
        network: &'a Network,
        step: &'a Commit,
    ) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.commit(network, step))
    }

    fn account_boxed<'a>(
        &'a self,
        network: &'a Network,
        account: &'a AccountName,
    ) -> Boxed<'a, Result<Option<StoredAccount>, StoreError>> {
        Box::pin(self.account(network, account))
    }

    fn stream_boxed<'a>(
        &'a self,
        id: &'a StreamId,
    ) -> Boxed<'a, Result<Option<StoredStream>, StoreError>> {
        Box::pin(self.stream(id))
    }

    fn streams_boxed<'a>(
        &'a self,
        query: &'a StreamQuery,
    ) -> Boxed<'a, Result<StreamPage, StoreError>> {
        Box::pin(self.streams(query))
    }

    fn networks_boxed(&self) -> Boxed<'_, Result<Vec<Network>, StoreError>> {
        Box::pin(self.networks())
    }
}
