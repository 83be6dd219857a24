//! Content that services keep beside a storage: [`Pinned`].

use std::time::Duration;

use alive_core::{
    ContentId, Excerpt,
    backend::{Storage, StorageError},
};
use bytes::Bytes;

use super::{PinRequest, PinState, PinStatus, PinningClient};
use crate::{cid, http};

/// What errors of this backend call it.
const BACKEND: &str = "pinning service";
/// How long a service may take to fetch content.
const PATIENCE: Duration = Duration::from_mins(5);

/// A storage whose content a pinning service keeps, too.
///
/// Storing returns when the storage has the content and the service has been asked to keep it; that it does is known after
/// [`pin`](Storage::pin), which waits for it. If the service cannot be asked, storing fails though the storage has the
/// content: storing again asks again.
#[derive(Clone, Debug)]
pub struct Pinned<S> {
    inner: S,
    service: PinningClient,
    name: String,
    origins: Vec<String>,
    patience: Duration,
}

impl<S> Pinned<S> {
    /// Has a service keep what `inner` stores.
    pub fn new(inner: S, service: PinningClient) -> Self {
        Self { inner, service, name: String::new(), origins: Vec::new(), patience: PATIENCE }
    }

    /// Under a name that tells where it comes from.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Addresses, as multiaddresses, of nodes where the service finds the content.
    #[must_use]
    pub fn with_origins(self, origins: Vec<String>) -> Self {
        Self { origins, ..self }
    }

    /// Waits for the service for another time than five minutes.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The storage.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The service.
    pub fn service(&self) -> &PinningClient {
        &self.service
    }

    async fn ask(&self, id: &ContentId) -> Result<PinStatus, StorageError> {
        let cid = cid::of_content(id).ok_or_else(|| self.refused(Problem::NotIpfs))?;
        let request = PinRequest::new(cid).name(&self.name).origins(self.origins.clone());
        let asked = self.service.add(&request).await;
        asked.map_err(|error| http::storage_error(BACKEND, self.service.service(), error))
    }

    fn refused(&self, source: Problem) -> StorageError {
        let source = http::at(self.service.service(), source);
        StorageError::Refused { backend: BACKEND, source }
    }
}

impl<S: Storage> Storage for Pinned<S> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let id = self.inner.put(data).await?;
        self.ask(&id).await?;
        Ok(id)
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        self.inner.get(id, limit).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        self.inner.has(id).await
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        self.inner.pin(id).await?;
        let asked = self.ask(id).await?;
        let server = self.service.service();
        let done = self.service.wait(asked, self.patience).await;
        let done = done.map_err(|error| http::storage_error(BACKEND, server, error))?;
        match done.state {
            PinState::Pinned => Ok(()),
            // The service has given it up, but may find it when it is asked anew.
            _ => Err(StorageError::Unavailable {
                backend: BACKEND,
                source: http::at(server, Problem::Failed(Excerpt::of(&done.id))),
            }),
        }
    }
}

/// What a service does not do.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("pin {0} has failed")]
    Failed(Excerpt),
    #[error("content of Skynet is not pinned on IPFS")]
    NotIpfs,
}
