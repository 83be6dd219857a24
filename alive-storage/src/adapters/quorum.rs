//! Keeping content with several: [`Quorum`].

use std::{
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Chain, MemberErrors};
use crate::hedge;

/// What errors of this adapter call it.
const BACKEND: &str = "quorum";
/// Patience with a member before the next is asked to give content.
const PATIENCE: Duration = Duration::from_millis(500);

/// Most members that are still storing after enough others have; those beyond are given up. With 2 MB segments it bounds
/// what they hold to some hundred MB, however slow they are.
pub const MAX_STRAGGLERS: usize = 64;

/// Keeps content with all members, and counts it as stored once `need` of them have it under the same id.
///
/// The others go on in the background, so that one slow member delays nothing; [`settle`](Self::settle) waits for them.
/// A member that fails, or says another id than the others, does not count, and a warning tells which one it was.
/// Reading takes one member. `has` is true when `need` have it: what fewer have is to be stored again.
///
/// ```
/// use alive_core::{backend::Storage, memory::MemoryStorage};
/// use alive_storage::adapters::Quorum;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let members = [(); 3].map(|()| MemoryStorage::default());
/// let quorum = Quorum::new(members.clone(), 2.try_into()?)?;
/// let id = quorum.put("hello".into()).await?;
/// quorum.settle().await;
/// assert!(members[2].has(&id).await?);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Quorum<S> {
    members: Vec<Arc<S>>,
    need: usize,
    patience: Duration,
    stragglers: Arc<Mutex<JoinSet<()>>>,
}

/// A clone speaks for the same members, and settles the same stragglers.
impl<S> Clone for Quorum<S> {
    fn clone(&self) -> Self {
        Self {
            members: self.members.clone(),
            stragglers: Arc::clone(&self.stragglers),
            need: self.need,
            patience: self.patience,
        }
    }
}

impl<S: Storage + 'static> Quorum<S> {
    /// Keeps content with these members, `need` of whom must have it.
    ///
    /// # Errors
    /// There are fewer than `need`.
    pub fn new(
        members: impl IntoIterator<Item = S>,
        need: NonZeroUsize,
    ) -> Result<Self, QuorumError> {
        let members: Vec<_> = members.into_iter().map(Arc::new).collect();
        let need = need.get();
        if members.len() < need {
            return Err(QuorumError::TooFewMembers { members: members.len(), need });
        }
        Ok(Self { members, need, patience: PATIENCE, stragglers: Arc::default() })
    }

    /// Asks the next member for content after another time than half a second.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How many must have content.
    pub fn need(&self) -> usize {
        self.need
    }

    /// The members.
    pub fn members(&self) -> impl Iterator<Item = &S> {
        self.members.iter().map(|member| &**member)
    }

    /// Waits until every member has stored what it was given, or has failed to.
    pub async fn settle(&self) {
        let mut running = std::mem::take(&mut *self.running());
        while running.join_next().await.is_some() {}
    }

    /// Asks all at once, and returns when enough agree; the rest goes on in the background.
    async fn all<T, F>(
        &self,
        what: &'static str,
        ask: impl Fn(Arc<S>) -> F,
        agree: impl Fn(&T, &T) -> bool,
    ) -> Result<T, QuorumError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let mut running = JoinSet::new();
        for (at, member) in self.members.iter().enumerate() {
            let asked = ask(Arc::clone(member));
            running.spawn(async move { (at, asked.await) });
        }
        // Answers that agree, each with how many gave it.
        let mut answers: Vec<(T, usize)> = Vec::new();
        let mut errors = Vec::new();
        while let Some(done) = running.join_next().await {
            // A member that panicked has not done it.
            let Ok((at, done)) = done else { continue };
            match done {
                Ok(answer) => {
                    let count = match answers.iter_mut().find(|(known, _)| agree(known, &answer)) {
                        Some((_, count)) => {
                            *count += 1;
                            *count
                        }
                        None => {
                            answers.push((answer, 1));
                            1
                        }
                    };
                    if count >= self.need {
                        let at = answers.iter().position(|(_, count)| *count >= self.need);
                        self.leave(what, running);
                        if let Some(at) = at {
                            return Ok(answers.swap_remove(at).0);
                        }
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(member = at, error = %Chain(&error), "{what} failed");
                    errors.push((at, error));
                }
            }
        }
        if answers.len() > 1 {
            return Err(QuorumError::Disagree { answers: answers.len() });
        }
        let done = answers.iter().map(|(_, count)| count).sum();
        Err(QuorumError::TooFew { done, need: self.need, errors: MemberErrors(errors) })
    }

    /// Lets what still runs end in the background.
    fn leave<T: Send + 'static>(
        &self,
        what: &'static str,
        mut rest: JoinSet<(usize, Result<T, StorageError>)>,
    ) {
        let mut running = self.running();
        while running.try_join_next().is_some() {}
        if rest.is_empty() {
            return;
        }
        if running.len() >= MAX_STRAGGLERS {
            tracing::warn!("{what}: slow members are given up, too many are behind already");
            return;
        }
        running.spawn(async move {
            while let Some(done) = rest.join_next().await {
                if let Ok((at, Err(error))) = done {
                    tracing::warn!(member = at, error = %Chain(&error), "{what} failed");
                }
            }
        });
    }

    // Nothing panics while it holds the lock.
    fn running(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.stragglers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Storage + 'static> Storage for Quorum<S> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let put = |member: Arc<S>| {
            let data = data.clone();
            async move { member.put(data).await }
        };
        let same = |a: &ContentId, b: &ContentId| a.canonical() == b.canonical();
        self.all("storing", put, same).await.map_err(QuorumError::into_storage)
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let order: Vec<usize> = (0..self.members.len()).collect();
        let ask = |at: usize| {
            let asked = self.members.get(at).map(|member| member.get(id, limit));
            async move {
                match asked {
                    Some(asked) => asked.await,
                    None => std::future::pending().await,
                }
            }
        };
        let got = hedge::race(&order, |_| self.patience, ask).await;
        got.map_err(|errors| MemberErrors(errors).into_one(BACKEND, id))
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        let id = *id;
        let has = |member: Arc<S>| async move {
            if member.has(&id).await? { Ok(()) } else { Err(StorageError::NotFound(id)) }
        };
        match self.all("looking", has, |(), ()| true).await {
            Ok(()) => Ok(true),
            // Those that cannot tell might have it: it is a no only if too few are left without them.
            Err(QuorumError::TooFew { done, need, errors }) => {
                let absent = errors.iter().filter(|(_, e)| matches!(e, StorageError::NotFound(_)));
                if self.members.len() - absent.count() < need {
                    return Ok(false);
                }
                Err(QuorumError::TooFew { done, need, errors }.into_storage())
            }
            Err(error) => Err(error.into_storage()),
        }
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        let id = *id;
        let pin = |member: Arc<S>| async move { member.pin(&id).await };
        self.all("pinning", pin, |(), ()| true).await.map_err(|error| match error {
            QuorumError::TooFew { errors, done: 0, .. }
                if errors.iter().all(|(_, e)| matches!(e, StorageError::NotFound(_))) =>
            {
                StorageError::NotFound(id)
            }
            other => other.into_storage(),
        })
    }
}

/// Why too few members agreed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// They gave so many different ids to the same content.
    #[error("members gave {answers} different ids to the same content")]
    Disagree {
        /// Different ids.
        answers: usize,
    },
    /// So few did it.
    #[error("{done} members did it, {need} are needed")]
    TooFew {
        /// Members that did it.
        done: usize,
        /// Members that are needed.
        need: usize,
        /// What went wrong with the others.
        #[source]
        errors: MemberErrors,
    },
    /// There are fewer members than must have content.
    #[error("{members} members, and {need} must have content")]
    TooFewMembers {
        /// Members.
        members: usize,
        /// Members that are needed.
        need: usize,
    },
}

impl QuorumError {
    fn into_storage(self) -> StorageError {
        let refused = match &self {
            Self::Disagree { .. } | Self::TooFewMembers { .. } => true,
            Self::TooFew { errors, .. } => errors.iter().all(|(_, error)| !error.is_transient()),
        };
        if refused {
            StorageError::Refused { backend: BACKEND, source: self.into() }
        } else {
            StorageError::Unavailable { backend: BACKEND, source: self.into() }
        }
    }
}
