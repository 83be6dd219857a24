//! The way of one call from node to node: [`Route`].

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep};

use super::client::{RpcClient, RpcError};

/// Goes through the nodes, the best first, again after a pause when all have failed, until rounds or time are up.
pub(super) struct Route<'a> {
    client: &'a RpcClient,
    methods: &'a [&'a str],
    queue: VecDeque<usize>,
    rounds: u32,
    deadline: Instant,
    failed: RpcError,
}

/// A node to ask, and how long to wait for it.
pub(super) struct Stop {
    pub(super) index: usize,
    pub(super) limit: Duration,
}

impl<'a> Route<'a> {
    /// A way for a call of these methods.
    pub(super) fn new(client: &'a RpcClient, methods: &'a [&'a str]) -> Self {
        let config = &client.inner.config;
        let now = Instant::now();
        Self {
            client,
            methods,
            queue: VecDeque::new(),
            rounds: 0,
            deadline: now.checked_add(config.deadline).unwrap_or(now),
            failed: RpcError::NoNode,
        }
    }

    /// The next node, which is of the right chain; `None` when it is time to give up.
    pub(super) async fn next(&mut self) -> Option<Stop> {
        loop {
            let Some(index) = self.queue.pop_front() else {
                self.begin_round().await?;
                continue;
            };
            let left = self.left()?;
            let is_probe = self.client.fleet().begin(index, Instant::now().into_std());
            let limit = self.client.patience(is_probe).min(left);
            match self.client.admit(index, limit).await {
                Ok(()) => return Some(Stop { index, limit: limit.min(self.left()?) }),
                Err(error) => self.fail(index, error),
            }
        }
    }

    /// A node did not answer what it was asked.
    pub(super) fn fail(&mut self, index: usize, error: RpcError) {
        let node = self.client.name(index);
        tracing::debug!(%node, methods = ?self.methods, %error, "the next node is asked");
        self.failed = std::mem::replace(&mut self.failed, RpcError::NoNode).or_better(error);
    }

    /// Why no node answered.
    pub(super) fn into_error(self) -> RpcError {
        self.failed
    }

    async fn begin_round(&mut self) -> Option<()> {
        let config = &self.client.inner.config;
        if self.rounds >= config.rounds.max(1) {
            return None;
        }
        if self.rounds > 0 {
            // What no node can do, no pause will change.
            self.failed.is_transient().then_some(())?;
            let half = config.pause / 2;
            let part = u32::try_from(self.client.dice() % 1000).unwrap_or_default();
            sleep((half + half / 1000 * part).min(self.left()?)).await;
        }
        self.rounds += 1;
        let held = self.client.fleet().held_for(Instant::now().into_std());
        if let Some(pause) = held {
            if self.left().is_none_or(|left| left <= pause) {
                self.failed = RpcError::Held { pause };
                return None;
            }
            sleep(pause).await;
        }
        let (now, clock) = (Instant::now().into_std(), self.client.inner.wire.clock());
        self.queue = self.client.fleet().order(self.methods, now, clock).into();
        Some(())
    }

    /// The time that is left, `None` when there is none.
    fn left(&self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}
