//! Content-addressed storage: [`Storage`].

use std::{fmt::Debug, future::Future, sync::Arc};

use bytes::Bytes;

use crate::content::ContentId;

use super::{Boxed, Cause};

/// Keeps content under its id. Implement it with plain `async fn`; it needs no macro.
///
/// Whatever `get` returns has been checked against the id: a backend that cannot check must not exist. A backend is
/// done when it passes `alive_core::testing::storage` (feature `testing`).
pub trait Storage: Debug + Send + Sync {
    /// Stores `data` and returns once it is durable. Storing it again is no error and gives the same id. If the future is
    /// dropped the content is stored whole or not at all.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when trying again may help, [`StorageError::Refused`] when it will not.
    fn put(&self, data: Bytes) -> impl Future<Output = Result<ContentId, StorageError>> + Send;

    /// Fetches content of at most `limit` bytes, every byte checked against the id.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::TooLarge`], [`StorageError::Corrupt`] or the two of [`put`](Self::put).
    fn get(
        &self,
        id: &ContentId,
        limit: usize,
    ) -> impl Future<Output = Result<Bytes, StorageError>> + Send;

    /// Whether the content is here, whole. It may still be found corrupt when read.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn has(&self, id: &ContentId) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Asks that the content be kept. Pinning twice is no error.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if it is not here, or as [`put`](Self::put).
    fn pin(&self, id: &ContentId) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// Why a [`Storage`] did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The bytes held are not those that the id names. Storing the content again heals it.
    #[error("content {id} is corrupt")]
    Corrupt {
        /// The content.
        id: ContentId,
        /// What did not fit.
        source: Cause,
    },
    /// The content is not here.
    #[error("content {0} is not found")]
    NotFound(ContentId),
    /// The backend will not do it, now or later.
    #[error("{backend} refused")]
    Refused {
        /// Which one.
        backend: &'static str,
        /// Why.
        source: Cause,
    },
    /// The content is larger than the caller takes.
    #[error("content {id} is larger than {limit} bytes")]
    TooLarge {
        /// The content.
        id: ContentId,
        /// The caller's limit.
        limit: usize,
    },
    /// The backend cannot be reached or failed; trying again may help.
    #[error("{backend} is unavailable")]
    Unavailable {
        /// Which one.
        backend: &'static str,
        /// Why.
        source: Cause,
    },
}

impl StorageError {
    /// Whether the same call may succeed later. Content that is not here yet may arrive.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::NotFound(_) | Self::Unavailable { .. })
    }
}

/// Any [`Storage`], its type erased: how our own types hold a backend.
#[derive(Clone, Debug)]
pub struct SharedStorage(Arc<dyn Erased>);

impl SharedStorage {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl Storage + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl Storage for SharedStorage {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        self.0.put_boxed(data).await
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        self.0.get_boxed(id, limit).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        self.0.has_boxed(id).await
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        self.0.pin_boxed(id).await
    }
}

trait Erased: Debug + Send + Sync {
    fn put_boxed(&self, data: Bytes) -> Boxed<'_, Result<ContentId, StorageError>>;
    fn get_boxed<'a>(
        &'a self,
        id: &'a ContentId,
        limit: usize,
    ) -> Boxed<'a, Result<Bytes, StorageError>>;
    fn has_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, Result<bool, StorageError>>;
    fn pin_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, Result<(), StorageError>>;
}

impl<S: Storage> Erased for S {
    fn put_boxed(&self, data: Bytes) -> Boxed<'_, Result<ContentId, StorageError>> {
        Box::pin(self.put(data))
    }

    fn get_boxed<'a>(
        &'a self,
        id: &'a ContentId,
        limit: usize,
    ) -> Boxed<'a, Result<Bytes, StorageError>> {
        Box::pin(self.get(id, limit))
    }

    fn has_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, Result<bool, StorageError>> {
        Box::pin(self.has(id))
    }

    fn pin_boxed<'a>(&'a self, id: &'a ContentId) -> Boxed<'a, Result<(), StorageError>> {
        Box::pin(self.pin(id))
    }
}
