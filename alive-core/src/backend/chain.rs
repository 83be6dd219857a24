//! The two sides of a chain: [`Broadcaster`] writes operations, [`BlockSource`] reads blocks.

use std::{fmt, fmt::Debug, future::Future, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    account::{AccountName, Network},
    op::{Op, OpError, SignedOp},
    text::{Excerpt, serde_as_text},
    time::Timestamp,
};

use super::{BackendError, Boxed};

/// Id of a block: 1 to 128 characters, as its chain writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(Box<str>);
serde_as_text!(BlockId);

impl BlockId {
    /// Longest id, in bytes. Our own limit; Hive's have 40 characters and Avalon's 64.
    pub const MAX_LEN: usize = 128;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BlockId {
    type Err = BlockIdError;

    fn from_str(s: &str) -> Result<Self, BlockIdError> {
        let fits = (1..=Self::MAX_LEN).contains(&s.len());
        if fits { Ok(Self(s.into())) } else { Err(BlockIdError(Excerpt::of(s))) }
    }
}

/// The text is no [`BlockId`]: it is empty or too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no block id of 1 to {max} bytes", max = BlockId::MAX_LEN)]
pub struct BlockIdError(Excerpt);

/// A block's place in its chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its number.
    pub num: u64,
    /// Its id, which tells it from any other block of that number.
    pub id: BlockId,
}

/// A block as an indexer needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its place.
    pub at: BlockRef,
    /// The id of the block before it.
    pub previous: BlockId,
    /// When it was made.
    pub time: Timestamp,
    /// The operations of this protocol in their order, each read or refused.
    pub ops: Vec<Result<SignedOp, RefusedOp>>,
}

/// An operation under our id that breaks a rule. It changes no stream, but its account is known from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOp {
    /// The account that signed it, if it is a single valid one.
    pub account: Option<AccountName>,
    /// The rule.
    pub reason: OpError,
}

/// What follows a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an indexer must handle every case")]
pub enum Next {
    /// The blocks behind it, oldest first, none when it is the head.
    Blocks {
        /// The blocks. The first one names the asked block as its previous one.
        blocks: Vec<Block>,
        /// Up to this number no block will ever be replaced.
        irreversible: u64,
    },
    /// The asked block is no longer part of the chain: undo it and ask for what follows the one before it.
    Forked,
}

/// Reads blocks of one chain in order. It keeps no position: the caller says which block it has.
///
/// A backend is done when it passes `alive_core::testing::block_source` (feature `testing`).
pub trait BlockSource: Debug + Send + Sync {
    /// What follows `after`; from the first block of interest when `None`. At most `limit` blocks at once.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] when trying again may help, [`SourceError::Refused`] when it will not.
    fn next(
        &self,
        after: Option<&BlockRef>,
        limit: usize,
    ) -> impl Future<Output = Result<Next, SourceError>> + Send;

    /// How long to wait before asking again at the head.
    fn poll_interval(&self) -> Duration;

    /// The chain.
    fn network(&self) -> &Network;
}

/// Why a [`BlockSource`] gave no answer. Refused are answers that cannot be right, now or later: another chain, a block that
/// is not where it must be.
pub type SourceError = BackendError;

/// Proof that an operation is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction's id, as its chain writes it.
    pub transaction: Box<str>,
    /// The block that holds it.
    pub block: u64,
}

/// Signs operations of one account and puts them on a chain.
///
/// A backend is done when it passes `alive_core::testing::broadcaster` (feature `testing`).
pub trait Broadcaster: Debug + Send + Sync {
    /// Broadcasts and waits until the operation is in a block. It may have reached the chain even when this fails or is
    /// dropped; sending the same operation again is safe, since a push counts once for its sequence number.
    ///
    /// # Errors
    /// [`BroadcastError::Unavailable`] when trying again may help, [`BroadcastError::Refused`] when it will not.
    fn broadcast(&self, op: &Op) -> impl Future<Output = Result<Receipt, BroadcastError>> + Send;

    /// Waits until no fork can take back what this backend has broadcast, and puts on the chain again what one took back
    /// meanwhile. Backends whose receipts are final have nothing to do.
    ///
    /// # Errors
    /// As for [`broadcast`](Self::broadcast). What is not settled stays so until the next call.
    fn settle(&self) -> impl Future<Output = Result<(), BroadcastError>> + Send {
        std::future::ready(Ok(()))
    }

    /// The account that signs.
    fn account(&self) -> &AccountName;

    /// The chain.
    fn network(&self) -> &Network;
}

/// Why a [`Broadcaster`] did not put an operation on its chain. Refused are operations that it never takes: a wrong key, too
/// many bytes.
pub type BroadcastError = BackendError;

/// Any [`Broadcaster`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedBroadcaster(Arc<dyn ErasedBroadcaster>);

impl SharedBroadcaster {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl Broadcaster + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl Broadcaster for SharedBroadcaster {
    async fn broadcast(&self, op: &Op) -> Result<Receipt, BroadcastError> {
        self.0.broadcast_boxed(op).await
    }

    async fn settle(&self) -> Result<(), BroadcastError> {
        self.0.settle_boxed().await
    }

    fn account(&self) -> &AccountName {
        self.0.account_erased()
    }

    fn network(&self) -> &Network {
        self.0.network_erased()
    }
}

trait ErasedBroadcaster: Debug + Send + Sync {
    fn broadcast_boxed<'a>(&'a self, op: &'a Op) -> Boxed<'a, Result<Receipt, BroadcastError>>;
    fn settle_boxed(&self) -> Boxed<'_, Result<(), BroadcastError>>;
    fn account_erased(&self) -> &AccountName;
    fn network_erased(&self) -> &Network;
}

impl<B: Broadcaster> ErasedBroadcaster for B {
    fn broadcast_boxed<'a>(&'a self, op: &'a Op) -> Boxed<'a, Result<Receipt, BroadcastError>> {
        Box::pin(self.broadcast(op))
    }

    fn settle_boxed(&self) -> Boxed<'_, Result<(), BroadcastError>> {
        Box::pin(self.settle())
    }

    fn account_erased(&self) -> &AccountName {
        self.account()
    }

    fn network_erased(&self) -> &Network {
        self.network()
    }
}

/// Any [`BlockSource`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedBlockSource(Arc<dyn ErasedSource>);

impl SharedBlockSource {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl BlockSource + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl BlockSource for SharedBlockSource {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        self.0.next_boxed(after, limit).await
    }

    fn poll_interval(&self) -> Duration {
        self.0.poll_interval_erased()
    }

    fn network(&self) -> &Network {
        self.0.network_erased()
    }
}

trait ErasedSource: Debug + Send + Sync {
    fn next_boxed<'a>(
        &'a self,
        after: Option<&'a BlockRef>,
        limit: usize,
    ) -> Boxed<'a, Result<Next, SourceError>>;
    fn poll_interval_erased(&self) -> Duration;
    fn network_erased(&self) -> &Network;
}

impl<S: BlockSource> ErasedSource for S {
    fn next_boxed<'a>(
        &'a self,
        after: Option<&'a BlockRef>,
        limit: usize,
    ) -> Boxed<'a, Result<Next, SourceError>> {
        Box::pin(self.next(after, limit))
    }

    fn poll_interval_erased(&self) -> Duration {
        self.poll_interval()
    }

    fn network_erased(&self) -> &Network {
        self.network()
    }
}
