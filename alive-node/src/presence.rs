//! Whether the segments that lists name, and the sections that these need, are here: [`Presence`].

use std::{sync::Arc, time::Duration};

use alive_core::{ContentId, backend::StorageError};
use alive_storage::{ContentReader as _, SharedContentReader};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use serde::Serialize;
use tokio::sync::{Semaphore, broadcast};

use crate::explain::Explained;

/// How a node looks for the segments of its lists, and for the initialisation sections of fragments of MP4, in the content
/// that it serves itself. What is said of segments here holds for both.
///
/// ```
/// use alive_node::{NodeConfig, PresenceConfig};
/// let never = NodeConfig::default().presence(PresenceConfig::default().enabled(false));
/// assert!(NodeConfig::default().presence.enabled && !never.presence.enabled);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceConfig {
    /// Whether it looks at all.
    pub enabled: bool,
    /// How many segments are looked for beside each other, in all lists together.
    pub checks: usize,
    /// How long looking for one may take.
    pub check_timeout: Duration,
    /// The wait before segments that were not found are looked for again; it doubles each time none has come back.
    pub first_wait: Duration,
    /// About the longest wait.
    pub longest_wait: Duration,
    /// The wait before all segments of a list are looked for again, those that were found included. A segment that goes
    /// missing meanwhile is noticed when somebody asks for it.
    pub recheck: Duration,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            checks: 4,
            check_timeout: Duration::from_secs(20),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
            recheck: Duration::from_hours(1),
        }
    }
}

impl PresenceConfig {
    /// Sets whether it looks at all.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled, ..self }
    }

    /// Sets how many segments are looked for beside each other, at least one.
    #[must_use]
    pub fn checks(self, checks: usize) -> Self {
        Self { checks: checks.max(1), ..self }
    }

    /// Sets how long looking for one may take.
    #[must_use]
    pub fn check_timeout(self, check_timeout: Duration) -> Self {
        Self { check_timeout, ..self }
    }

    /// Sets the first and about the longest wait before segments that were not found are looked for again.
    #[must_use]
    pub fn waits(self, first_wait: Duration, longest_wait: Duration) -> Self {
        Self { first_wait, longest_wait, ..self }
    }

    /// Sets the wait before all segments of a list are looked for again.
    #[must_use]
    pub fn recheck(self, recheck: Duration) -> Self {
        Self { recheck, ..self }
    }
}

/// Why a segment cannot be had from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Absence {
    /// Its bytes are not those that its id names. Storing it again heals that.
    Corrupt,
    /// It is not here, or not as a file.
    Missing,
}

impl Absence {
    /// What an error of reading says about the content; nothing, when the backend could not tell.
    fn of(error: &StorageError) -> Option<Self> {
        match error {
            StorageError::Corrupt { .. } => Some(Self::Corrupt),
            StorageError::NotFound(_) | StorageError::Refused { .. } => Some(Self::Missing),
            _ => None,
        }
    }
}

/// What came of looking for a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Absent(Absence),
    Here,
    /// The backend did not tell.
    Unsure,
}

/// Looks for segments in the content that the node serves, and passes on what was noticed while serving it. A clone is
/// another handle on the same one.
///
/// ```
/// use alive_core::{backend::*, memory::{MemoryStorage, MemoryStreamStore}};
/// use alive_node::*;
/// let content = SharedContentReader::new(alive_storage::MemoryStorage::default());
/// let presence = Presence::new(content, PresenceConfig::default());
/// let resolver =
///     Resolver::new(SharedStorage::new(MemoryStorage::default()), None, ResolverConfig::default());
/// let store = SharedStreamStore::new(MemoryStreamStore::default());
/// let lists = Playlists::new(store, resolver, None, Some(presence), PlaylistConfig::default());
/// assert_eq!(lists.count(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Presence(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    content: SharedContentReader,
    config: PresenceConfig,
    permits: Arc<Semaphore>,
    reports: broadcast::Sender<(ContentId, Absence)>,
}

impl Presence {
    /// How many reports wait for the lists. What is lost is reported again when somebody asks for the segment again.
    const REPORTS: usize = 1024;

    /// Looks in `content`, whatever `config` says about [`enabled`](PresenceConfig::enabled).
    pub fn new(content: SharedContentReader, config: PresenceConfig) -> Self {
        let permits = config.checks.clamp(1, Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(permits));
        let (reports, _) = broadcast::channel(Self::REPORTS);
        Self(Arc::new(Shared { content, config, permits, reports }))
    }

    pub(crate) fn config(&self) -> &PresenceConfig {
        &self.0.config
    }

    /// Looks for a segment.
    pub(crate) async fn look(&self, id: ContentId) -> Found {
        let Shared { content, config, permits, .. } = &*self.0;
        let (content, permits) = (content.clone(), Arc::clone(permits));
        let asked = async move {
            let permit = permits.acquire_owned().await;
            // On a task of its own, so that a backend's panic stays there. When nobody waits for it any more it still has
            // its permit: a backend that hangs does not take more and more threads.
            let task = tokio::spawn(async move {
                let _permit = permit;
                content.check(&id).await
            });
            task.await
        };
        match tokio::time::timeout(config.check_timeout, asked).await {
            Ok(Ok(Ok(()))) => Found::Here,
            Ok(Ok(Err(why))) => match Absence::of(&why) {
                Some(absence) => Found::Absent(absence),
                None => unsure(&id, &Explained(&why)),
            },
            Ok(Err(why)) => unsure(&id, &why),
            Err(why) => unsure(&id, &why),
        }
    }

    /// Passes on that reading content failed, if that says something about the content.
    pub(crate) fn report(&self, id: &ContentId, why: &StorageError) {
        if let Some(absence) = Absence::of(why) {
            // Nobody needs to listen.
            let _ = self.0.reports.send((id.canonical(), absence));
        }
    }

    /// The canonical ids of content that could not be served.
    pub(crate) fn reports(&self) -> broadcast::Receiver<(ContentId, Absence)> {
        self.0.reports.subscribe()
    }

    /// The waits between looking for what was not found.
    pub(crate) fn waits(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::new()
            .with_min_delay(self.0.config.first_wait)
            .with_max_delay(self.0.config.longest_wait)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

fn unsure(id: &ContentId, why: &dyn std::fmt::Display) -> Found {
    tracing::debug!(%id, %why, monotonic_counter.checks_failed = 1_u64, "a segment was not looked for");
    Found::Unsure
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;
    use alive_storage::ContentReader;

    /// Does with the size of content whatever a backend may do.
    #[derive(Debug)]
    struct Backend {
        size: fn(ContentId) -> Result<u64, StorageError>,
        hangs: bool,
        asked: Arc<AtomicUsize>,
    }

    impl ContentReader for Backend {
        async fn size(&self, id: &ContentId) -> Result<u64, StorageError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.hangs {
                std::future::pending::<()>().await;
            }
            (self.size)(*id)
        }

        async fn read(&self, id: &ContentId, _: u64, _: usize) -> Result<Bytes, StorageError> {
            Err(StorageError::NotFound(*id))
        }
    }

    fn id() -> ContentId {
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap()
    }

    fn over(
        size: fn(ContentId) -> Result<u64, StorageError>,
        hangs: bool,
    ) -> (Presence, Arc<AtomicUsize>) {
        let asked = Arc::<AtomicUsize>::default();
        let backend = Backend { size, hangs, asked: Arc::clone(&asked) };
        let config = PresenceConfig::default().checks(0);
        (Presence::new(SharedContentReader::new(backend), config), asked)
    }

    #[tokio::test]
    async fn what_a_backend_says_is_told_apart_from_what_it_does_not() {
        let cases: [(fn(ContentId) -> _, _); 6] = [
            (|_| Ok(7), Found::Here),
            (|id| Err(StorageError::NotFound(id)), Found::Absent(Absence::Missing)),
            (
                |_| Err(StorageError::Refused { backend: "b", source: "no file".into() }),
                Found::Absent(Absence::Missing),
            ),
            (
                |id| Err(StorageError::Corrupt { id, source: "bytes".into() }),
                Found::Absent(Absence::Corrupt),
            ),
            (
                |_| Err(StorageError::Unavailable { backend: "b", source: "away".into() }),
                Found::Unsure,
            ),
            (|_| panic!("the backend's fault"), Found::Unsure),
        ];
        for (size, want) in cases {
            assert_eq!(over(size, false).0.look(id()).await, want);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_hangs_is_not_asked_more_and_more() {
        let (presence, asked) = over(|_| Ok(7), true);
        for _ in 0..5 {
            assert_eq!(presence.look(id()).await, Found::Unsure);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "the first one still has the only permit");
    }

    #[tokio::test]
    async fn only_what_says_something_about_content_is_reported() {
        let (presence, _) = over(|_| Ok(7), false);
        let mut reports = presence.reports();
        presence.report(&id(), &StorageError::Unavailable { backend: "b", source: "away".into() });
        presence.report(&id(), &StorageError::NotFound(id()));
        assert_eq!(reports.try_recv(), Ok((id(), Absence::Missing)));
        assert!(reports.try_recv().is_err());
    }
}
