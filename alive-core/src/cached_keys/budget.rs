//! How often something may happen: [`Budget`].

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// A token bucket: so many at once, then so many in a second. Time is an argument.
#[derive(Debug)]
pub(super) struct Budget {
    /// What one costs, and the most that can be saved up.
    each: Duration,
    most: Duration,
    /// What is saved up, as time.
    saved: Duration,
    at: Instant,
}

impl Budget {
    pub(super) fn new(per_sec: NonZeroU32, burst: NonZeroU32, now: Instant) -> Self {
        let each = Duration::from_secs(1) / per_sec.get();
        let most = each.saturating_mul(burst.get());
        Self { each, most, saved: most, at: now }
    }

    /// Whether one more may happen now; then it counts.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at);
        self.saved = self.saved.saturating_add(passed).min(self.most);
        self.at = self.at.max(now);
        match self.saved.checked_sub(self.each) {
            Some(rest) => {
                self.saved = rest;
                true
            }
            None => false,
        }
    }
}
