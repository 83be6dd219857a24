//! How much each address may send: [`Senders`].

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use crate::{config::Rate, visitors::Source};

/// After how many posts the addresses that did not send lately are forgotten.
const SWEEP: u64 = 1024;

/// Counts what each address sends to all chats together.
#[derive(Debug)]
pub(crate) struct Senders {
    rate: Option<DefaultKeyedRateLimiter<Source>>,
    checks: AtomicU64,
}

impl Senders {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        let limiter = |Rate { per_second, burst }| {
            RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst))
        };
        Self { rate: rate.map(limiter), checks: AtomicU64::new(0) }
    }

    /// Counts something that is sent. When it is one too many, it says how long to wait. The machine itself has no source
    /// and no limit.
    pub(crate) fn admit(&self, source: Option<Source>) -> Result<(), Duration> {
        let Some((rate, source)) = self.rate.as_ref().zip(source) else { return Ok(()) };
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            rate.retain_recent();
        }
        rate.check_key(&source).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}
