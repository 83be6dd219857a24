//! How a session works: [`SessionConfig`].

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use alive_core::{PublisherConfig, StreamId};

/// How a [`Session`](crate::Session) works.
///
/// ```
/// use alive_streamer::SessionConfig;
/// use std::time::Duration;
///
/// let config = SessionConfig::new("hive/alice/stream1".parse()?, "recordings", "alive/stream1.journal")
///     .interval(Duration::from_secs(30))
///     .end_stream(true);
/// assert_eq!(config.poll_interval, Duration::from_millis(250));
/// # Ok::<(), alive_core::StreamIdError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct SessionConfig {
    /// The stream.
    pub stream: StreamId,
    /// The recorder's folder. It need not be there yet.
    pub folder: PathBuf,
    /// The journal's file, outside of the recorder's folder or under a name that no recorder uses. One file a stream, kept
    /// as long as the stream goes on.
    pub journal: PathBuf,
    /// Whether a recording is taken whose list was last written to long ago. Default: no; the session waits for a new one.
    pub accept_old: bool,
    /// Whether the session ends the stream on the chain when it ends itself. Default: no.
    pub end_stream: bool,
    /// How long stopping may take; what is not on the chain by then stays in the journal. `None` for as long as it takes.
    /// Default: a minute.
    pub flush_timeout: Option<Duration>,
    /// Time between pushes, at most 300 s; zero pushes each segment as soon as it is stored. Default: a minute.
    pub interval: Duration,
    /// Whether the session goes on, waiting for the next recording, when the recorder closes its list. Default: no.
    pub keep_watching: bool,
    /// Largest segment that is taken, in bytes. Default: [`MAX_SEGMENT_BYTES`](Self::MAX_SEGMENT_BYTES).
    pub max_segment_bytes: u64,
    /// Whether parts of the segment that is being recorded are shared, if the recorder delivers them and there is a live
    /// cache. What is recorded is then stored twice, in parts and whole. Default: yes.
    pub parts: bool,
    /// How many segments are stored at the same time, at least 1. Each is held in memory meanwhile. Default: 4.
    pub parallel_stores: usize,
    /// Time between two looks at the folder. Default: 250 ms.
    pub poll_interval: Duration,
    /// Whether the files of stored segments are deleted. Default: no.
    pub purge: bool,
    /// Wait before the first retry of a step; it doubles with each, up to `retry_max`. Default: a second.
    pub retry_first: Duration,
    /// Longest wait before a retry. Default: a minute.
    pub retry_max: Duration,
    /// What spreads the retries of many sessions. Default: random.
    pub seed: Option<u64>,
}

impl SessionConfig {
    /// Largest segment that is taken by default, in bytes: 50 Mbit/s for ten seconds.
    pub const MAX_SEGMENT_BYTES: u64 = 64 << 20;

    /// A session of `stream` that publishes what appears in `folder`, with its memory in `journal`.
    pub fn new(stream: StreamId, folder: impl AsRef<Path>, journal: impl AsRef<Path>) -> Self {
        let publisher = PublisherConfig::default();
        Self {
            stream,
            folder: folder.as_ref().into(),
            journal: journal.as_ref().into(),
            accept_old: false,
            end_stream: publisher.end_stream,
            flush_timeout: Some(Duration::from_mins(1)),
            interval: publisher.interval,
            keep_watching: false,
            max_segment_bytes: Self::MAX_SEGMENT_BYTES,
            parallel_stores: 4,
            parts: true,
            poll_interval: Duration::from_millis(250),
            purge: false,
            retry_first: publisher.retry_first,
            retry_max: publisher.retry_max,
            seed: None,
        }
    }

    /// Sets whether an old recording is taken.
    #[must_use]
    pub fn accept_old(self, accept_old: bool) -> Self {
        Self { accept_old, ..self }
    }

    /// Sets whether the stream ends with the session.
    #[must_use]
    pub fn end_stream(self, end_stream: bool) -> Self {
        Self { end_stream, ..self }
    }

    /// Sets how long stopping may take.
    #[must_use]
    pub fn flush_timeout(self, flush_timeout: Option<Duration>) -> Self {
        Self { flush_timeout, ..self }
    }

    /// Sets the time between pushes.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Sets whether the session outlives a recording.
    #[must_use]
    pub fn keep_watching(self, keep_watching: bool) -> Self {
        Self { keep_watching, ..self }
    }

    /// Sets the largest segment that is taken, in bytes.
    #[must_use]
    pub fn max_segment_bytes(self, max_segment_bytes: u64) -> Self {
        Self { max_segment_bytes, ..self }
    }

    /// Sets how many segments are stored at the same time.
    #[must_use]
    pub fn parallel_stores(self, parallel_stores: usize) -> Self {
        Self { parallel_stores, ..self }
    }

    /// Sets whether parts of the segment that is being recorded are shared.
    #[must_use]
    pub fn parts(self, parts: bool) -> Self {
        Self { parts, ..self }
    }

    /// Sets the time between two looks at the folder.
    #[must_use]
    pub fn poll_interval(self, poll_interval: Duration) -> Self {
        Self { poll_interval, ..self }
    }

    /// Sets whether the files of stored segments are deleted.
    #[must_use]
    pub fn purge(self, purge: bool) -> Self {
        Self { purge, ..self }
    }

    /// Sets the first and the longest wait before a retry.
    #[must_use]
    pub fn retry(self, first: Duration, max: Duration) -> Self {
        Self { retry_first: first, retry_max: max, ..self }
    }

    /// Sets what spreads the retries.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// What of this concerns the publisher; `live` when there is a live cache.
    pub(crate) fn publisher(&self, live: bool) -> PublisherConfig {
        PublisherConfig::default()
            .interval(self.interval)
            .live(live)
            .end_stream(self.end_stream)
            .retry(self.retry_first, self.retry_max)
    }
}
