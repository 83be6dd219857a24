//! Settings of a hub: [`HubConfig`].

use std::time::Duration;

use crate::{gun::GraphLimits, json::Text};

/// Settings of a [`Hub`](super::Hub).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// Our id, 9 characters.
    pub pid: Text,
    /// Where message ids come from. Nobody must know it, lest he answer for others.
    pub seed: u64,
    /// Whether a disk keeps the graph.
    pub has_disk: bool,
    /// What the graph in memory may hold.
    pub graph: GraphLimits,
    /// What one link may ask for, each soul or key counting once. 1000.
    pub subscriptions: usize,
    /// How long others may take to answer a get. 2 s.
    pub ask_timeout: Duration,
    /// How long peers that we serve may take to answer a get for what is not here. Not all answer if they have nothing,
    /// and the asker waits meanwhile: 300 ms.
    pub ask_clients_timeout: Duration,
    /// How long a put may wait for its acknowledgement. 9 s, as GUN's.
    pub ack_timeout: Duration,
    /// How many values may wait for our clock. 10,000.
    pub deferred: usize,
    /// How many bytes they may take, with their names. 16 MiB.
    pub deferred_bytes: usize,
    /// How many puts are kept until a dialled peer acknowledges them, to be sent again after a broken connection. 10,000.
    pub unacked: usize,
    /// How many bytes of them. 64 MiB.
    pub unacked_bytes: usize,
    /// How many messages may wait for the disk at once. 50,000.
    pub jobs: usize,
    /// How many bytes they may take, with what is being written. 64 MiB.
    pub jobs_bytes: usize,
}

impl HubConfig {
    /// The settings that we run, for this id and seed.
    pub fn new(pid: impl Into<Text>, seed: u64) -> Self {
        Self {
            pid: pid.into(),
            seed,
            has_disk: false,
            graph: GraphLimits::default(),
            subscriptions: 1000,
            ask_timeout: Duration::from_secs(2),
            ask_clients_timeout: Duration::from_millis(300),
            ack_timeout: Duration::from_secs(9),
            deferred: 10_000,
            deferred_bytes: 16 << 20,
            unacked: 10_000,
            unacked_bytes: 64 << 20,
            jobs: 50_000,
            jobs_bytes: 64 << 20,
        }
    }

    /// Sets [`has_disk`](Self::has_disk).
    #[must_use]
    pub fn has_disk(self, has_disk: bool) -> Self {
        Self { has_disk, ..self }
    }

    /// Sets [`graph`](Self::graph).
    #[must_use]
    pub fn graph(self, graph: GraphLimits) -> Self {
        Self { graph, ..self }
    }

    /// Sets [`jobs_bytes`](Self::jobs_bytes).
    #[must_use]
    pub fn jobs_bytes(self, jobs_bytes: usize) -> Self {
        Self { jobs_bytes, ..self }
    }

    /// Sets [`subscriptions`](Self::subscriptions).
    #[must_use]
    pub fn subscriptions(self, subscriptions: usize) -> Self {
        Self { subscriptions, ..self }
    }
}
