//! Asking several for the same content: [`Race`].

use std::{future::Future, time::Duration};

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
};
use bytes::Bytes;

use super::MemberErrors;
use crate::hedge;

/// What errors of this adapter call it.
const BACKEND: &str = "race";
/// Patience with a member before the next is asked beside it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reads from whichever member has the content first, and stores with the first one that takes it.
///
/// The members are asked in order, the next one when one fails or takes long. Reads that lost are dropped. To have content
/// with several, use a [`Quorum`](super::Quorum).
///
/// ```
/// use alive_core::{backend::Storage, memory::MemoryStorage};
/// use alive_storage::adapters::Race;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (a, b) = (MemoryStorage::default(), MemoryStorage::default());
/// let id = b.put("hello".into()).await?;
/// assert_eq!(Race::new([a, b]).get(&id, 10).await?, "hello");
/// # Ok::<(), alive_core::backend::StorageError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Race<S> {
    members: Vec<S>,
    patience: Duration,
}

impl<S> Race<S> {
    /// Asks these, the preferred ones first.
    pub fn new(members: impl IntoIterator<Item = S>) -> Self {
        Self { members: members.into_iter().collect(), patience: PATIENCE }
    }

    /// Asks the next member after another time than half a second.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The members.
    pub fn members(&self) -> &[S] {
        &self.members
    }

    async fn race<'a, T, F>(&'a self, ask: impl Fn(&'a S) -> F) -> Result<T, MemberErrors>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let order: Vec<usize> = (0..self.members.len()).collect();
        let ask = |at: usize| {
            let asked = self.members.get(at).map(&ask);
            async move {
                match asked {
                    Some(asked) => asked.await,
                    None => std::future::pending().await,
                }
            }
        };
        hedge::race(&order, |_| self.patience, ask).await.map_err(MemberErrors)
    }
}

impl<S: Storage> Storage for Race<S> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let mut errors = Vec::new();
        for (at, member) in self.members.iter().enumerate() {
            match member.put(data.clone()).await {
                Ok(id) => return Ok(id),
                Err(error) => errors.push((at, error)),
            }
        }
        let transient = errors.iter().any(|(_, error)| error.is_transient());
        let source = MemberErrors(errors).into();
        if transient {
            Err(StorageError::Unavailable { backend: BACKEND, source })
        } else {
            Err(StorageError::Refused { backend: BACKEND, source })
        }
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let got = self.race(|member| member.get(id, limit)).await;
        got.map_err(|errors| errors.into_one(BACKEND, id))
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        match self
            .race(|member| has(member, id))
            .await
            .map_err(|errors| errors.into_one(BACKEND, id))
        {
            Ok(()) => Ok(true),
            Err(StorageError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        let pinned = self.race(|member| member.pin(id)).await;
        pinned.map_err(|errors| errors.into_one(BACKEND, id))
    }
}

/// Not having it as an error, so that the next member is asked.
async fn has(member: &impl Storage, id: &ContentId) -> Result<(), StorageError> {
    if member.has(id).await? { Ok(()) } else { Err(StorageError::NotFound(*id)) }
}
