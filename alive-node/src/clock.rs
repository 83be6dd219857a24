//! The time of day, as it passes for tokio: [`Clock`].

use std::time::SystemTime;

use alive_core::Timestamp;
use tokio::time::Instant;

/// Tells the time of day from one look at the system's clock. It never jumps, and stands still when tokio's does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    at: Timestamp,
}

impl Clock {
    /// Looks at the system's clock.
    pub(crate) fn start() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), at: Timestamp::EPOCH.after(since) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.at.after(self.started.elapsed())
    }
}
