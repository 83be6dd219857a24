//! Settings of a broadcaster: [`BroadcasterConfig`].

use std::time::Duration;

use alive_core::DEFAULT_CUSTOM_JSON_ID;

/// How certain it must be that a transaction stays on the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Confirm {
    /// It is in a block that no micro-fork can replace any more. With one-block irreversibility this takes a few
    /// seconds more, without it about a minute.
    Irreversible,
    /// It is in a block.
    #[default]
    Seen,
}

/// Settings of a [`HiveBroadcaster`](super::HiveBroadcaster).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BroadcasterConfig {
    /// How certain it must be that a transaction stays before a submission is done.
    pub confirm: Confirm,
    /// The id of the custom operations of [`Broadcaster::broadcast`], at most 32 bytes.
    ///
    /// [`Broadcaster::broadcast`]: alive_core::backend::Broadcaster::broadcast
    pub custom_json_id: Box<str>,
    /// How long a transaction is valid, in seconds of the chain's own time; a node keeps it waiting for an hour at
    /// most. Source: `spec/hive.md`, section 4.3.
    pub expiration_secs: u32,
    /// Longest time for one submission.
    pub patience: Duration,
    /// Time between two looks for the transaction in a block.
    pub poll_interval: Duration,
}

impl BroadcasterConfig {
    /// Sets how certain it must be that a transaction stays.
    #[must_use]
    pub fn confirm(self, confirm: Confirm) -> Self {
        Self { confirm, ..self }
    }

    /// Sets the id of the custom operations.
    #[must_use]
    pub fn custom_json_id(self, id: impl Into<Box<str>>) -> Self {
        Self { custom_json_id: id.into(), ..self }
    }

    /// Sets how long a transaction is valid, 6 to 3600 seconds.
    #[must_use]
    pub fn expiration_secs(self, secs: u32) -> Self {
        Self { expiration_secs: secs.clamp(6, 3600), ..self }
    }

    /// Sets the longest time for one submission.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sets the time between two looks, at least a millisecond.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.max(Duration::from_millis(1)), ..self }
    }
}

impl Default for BroadcasterConfig {
    fn default() -> Self {
        Self {
            confirm: Confirm::Seen,
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.into(),
            expiration_secs: 60,
            patience: Duration::from_mins(10),
            poll_interval: Duration::from_secs(1),
        }
    }
}
