//! What the protocol needs from the world, as traits: bring your own, or take the ones of this workspace.
//!
//! Every trait is implemented with plain `async fn`. Types of this workspace hold a backend behind its `Shared…` handle,
//! chosen at run time. A backend is done when it passes its suite in `alive_core::testing` (feature `testing`).

mod chain;
mod keys;
mod listing;
mod live;
mod part;
mod storage;
mod store;

pub use chain::{
    Block, BlockId, BlockIdError, BlockRef, BlockSource, BroadcastError, Broadcaster, Next,
    Receipt, RefusedOp, SharedBlockSource, SharedBroadcaster, SourceError,
};
pub use keys::{
    AccountAuthority, AccountKeys, Authority, Digest, KeysError, PublicKeyBytes, Role,
    SharedAccountKeys, SharedSignatureScheme, SignatureError, SignatureScheme,
};
pub use listing::{
    ListedStream, StreamMark, StreamMarkError, StreamOrder, StreamPage, StreamQuery,
};
pub use live::{LiveCache, LiveCacheError, LiveSegment, LiveSegments, SharedLiveCache};
pub use part::{HeldParts, LivePart, LiveParts};
pub use storage::{SharedStorage, Storage, StorageError};
pub use store::{
    Commit, Cursor, SharedStreamStore, StoreError, StoredAccount, StoredStream, StreamStore,
};

use std::{future::Future, pin::Pin};

/// A future behind the private, type-erased twin of a backend trait.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The cause of a backend's failure.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a backend did not do what was asked, where nothing but the next step matters: try again, or give up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend will not do it, now or later.
    #[error("{backend} refused")]
    Refused {
        /// Which one.
        backend: &'static str,
        /// Why.
        source: Cause,
    },
    /// The backend cannot be reached, failed, or asks to wait; trying again may help.
    #[error("{backend} is unavailable")]
    Unavailable {
        /// Which one.
        backend: &'static str,
        /// Why.
        source: Cause,
    },
}

impl BackendError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
