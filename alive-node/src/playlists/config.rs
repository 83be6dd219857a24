//! How lists are made and kept: [`PlaylistConfig`].

use std::time::Duration;

use alive_core::Timeline;
use alive_playlist::ListSettings;

/// How lists are made and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaylistConfig {
    /// Where viewers fetch segments, and the target duration announced.
    pub list: ListSettings,
    /// How long a live list waits for a chunk that cannot be had before it goes on without it.
    pub patience: Duration,
    /// How long the first request for a stream waits for its chunks and its live segments.
    pub first_wait: Duration,
    /// How many lists are kept ready, at least one; twice as many while all of them are waited for. No more are made beside
    /// each other.
    pub max_lists: usize,
    /// How much memory they may take together, in bytes.
    pub max_bytes: usize,
    /// How much memory may be taken besides by what viewers ask for of them, windows and lists for other gateways, in
    /// bytes.
    pub max_form_bytes: usize,
}

impl Default for PlaylistConfig {
    fn default() -> Self {
        Self {
            list: ListSettings::default(),
            patience: Timeline::DEFAULT_PATIENCE,
            first_wait: Duration::from_secs(3),
            max_lists: 1024,
            max_bytes: 512 << 20,
            max_form_bytes: 128 << 20,
        }
    }
}

impl PlaylistConfig {
    /// Sets where viewers fetch segments, and the target duration announced.
    #[must_use]
    pub fn list(self, list: ListSettings) -> Self {
        Self { list, ..self }
    }

    /// Sets how long a live list waits for a chunk that cannot be had.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sets how long the first request for a stream waits.
    #[must_use]
    pub fn first_wait(self, first_wait: Duration) -> Self {
        Self { first_wait, ..self }
    }

    /// Sets how many lists are kept ready, at least one.
    #[must_use]
    pub fn max_lists(self, max_lists: usize) -> Self {
        Self { max_lists: max_lists.max(1), ..self }
    }

    /// Sets how much memory they may take together, in bytes. The one asked for last is kept all the same.
    #[must_use]
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Sets how much memory windows and lists for other gateways may take, in bytes.
    #[must_use]
    pub fn max_form_bytes(self, max_form_bytes: usize) -> Self {
        Self { max_form_bytes, ..self }
    }
}
