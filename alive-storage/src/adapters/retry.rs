//! Trying again: [`Retry`].

use std::{future::Future, time::Duration};

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
};
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;

/// No pause is longer, whatever the options say.
const MOST_PAUSE: Duration = Duration::from_hours(1);

/// Tries again what may succeed later, with pauses that double and are spread by chance.
///
/// Content that is not found is asked for again only if the options say so: to most callers it is an answer.
///
/// ```
/// use alive_core::memory::MemoryStorage;
/// use alive_storage::adapters::{Retry, RetryOptions};
/// let storage = Retry::new(MemoryStorage::default(), RetryOptions::default().attempts(3));
/// ```
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    options: RetryOptions,
}

impl<S> Retry<S> {
    /// Tries again with `inner`.
    pub fn new(inner: S, options: RetryOptions) -> Self {
        Self { inner, options }
    }

    /// What it tries with.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn run<T, F>(&self, what: &'static str, ask: impl Fn() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let mut pauses = self.options.pauses();
        loop {
            let error = match ask().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let again = match &error {
                StorageError::NotFound(_) => self.options.not_found,
                error => error.is_transient(),
            };
            match pauses.next() {
                Some(pause) if again => {
                    tracing::debug!(%error, ?pause, "{what} failed, trying again");
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(error),
            }
        }
    }
}

impl<S: Storage> Storage for Retry<S> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        self.run("storing", || self.inner.put(data.clone())).await
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        self.run("reading", || self.inner.get(id, limit)).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        self.run("looking", || self.inner.has(id)).await
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        self.run("pinning", || self.inner.pin(id)).await
    }
}

/// How often and how long to try.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryOptions {
    attempts: usize,
    first_pause: Duration,
    longest_pause: Duration,
    not_found: bool,
}

impl RetryOptions {
    /// How often to try in all; at least once. 5 by default.
    #[must_use]
    pub fn attempts(self, attempts: usize) -> Self {
        Self { attempts, ..self }
    }

    /// The first pause, up to twice as long by chance. 250 milliseconds by default.
    #[must_use]
    pub fn first_pause(self, first_pause: Duration) -> Self {
        Self { first_pause, ..self }
    }

    /// The longest pause, up to twice as long by chance. 10 seconds by default, an hour at most.
    #[must_use]
    pub fn longest_pause(self, longest_pause: Duration) -> Self {
        Self { longest_pause, ..self }
    }

    /// Whether content that is not found is asked for again. It is not by default.
    #[must_use]
    pub fn not_found(self, not_found: bool) -> Self {
        Self { not_found, ..self }
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_factor(2.0)
            .with_min_delay(self.first_pause.min(MOST_PAUSE))
            .with_max_delay(self.longest_pause.min(MOST_PAUSE))
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
            not_found: false,
        }
    }
}
