//! How patient and how eager a publisher is: [`PublisherConfig`].

use std::time::Duration;

/// How a [`Publisher`](super::Publisher) works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublisherConfig {
    /// Time between pushes; zero pushes each segment as soon as it is stored.
    pub interval: Duration,
    /// Whether to share segments on the live cache before the chain has them.
    pub live: bool,
    /// Whether to end the stream on the chain once everything is pushed.
    pub end_stream: bool,
    /// Wait before the first retry of a step; it doubles with each, up to [`retry_max`](Self::retry_max).
    pub retry_first: Duration,
    /// Longest wait before a retry.
    pub retry_max: Duration,
}

impl PublisherConfig {
    /// Longest time between pushes. Source: `spec/indexer.md`, section 8.
    pub const MAX_INTERVAL: Duration = Duration::from_mins(5);

    /// Sets the time between pushes, cut to [`MAX_INTERVAL`](Self::MAX_INTERVAL).
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval: interval.min(Self::MAX_INTERVAL), ..self }
    }

    /// Sets whether segments are shared on the live cache.
    #[must_use]
    pub fn live(self, live: bool) -> Self {
        Self { live, ..self }
    }

    /// Sets whether the stream is ended once everything is pushed.
    #[must_use]
    pub fn end_stream(self, end_stream: bool) -> Self {
        Self { end_stream, ..self }
    }

    /// Sets the first and the longest wait before a retry.
    #[must_use]
    pub fn retry(self, first: Duration, max: Duration) -> Self {
        Self { retry_first: first, retry_max: max, ..self }
    }
}

impl Default for PublisherConfig {
    /// A push a minute, live cache on, the stream left open at the end, retries from 1 to 60 seconds.
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            live: true,
            end_stream: false,
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_mins(1),
        }
    }
}
