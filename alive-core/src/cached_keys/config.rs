//! How much is remembered, and for how long: [`KeyCacheConfig`].

use std::{num::NonZeroU32, time::Duration};

/// Settings of a [`CachedAccountKeys`](super::CachedAccountKeys).
///
/// ```
/// use std::time::Duration;
/// let config = alive_core::KeyCacheConfig::default().found_for(Duration::from_secs(600));
/// assert!(config.missing_for < config.found_for);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyCacheConfig {
    /// How old an answer must be to be asked for again because a signature did not match.
    pub again_after: Duration,
    /// Questions to the chain in a second, over all accounts, once the burst is used up.
    pub asks_per_sec: NonZeroU32,
    /// Questions that may come at once after a quiet time.
    pub burst: NonZeroU32,
    /// How long the keys of an account count.
    pub found_for: Duration,
    /// Most that is remembered, in bytes.
    pub max_bytes: u64,
    /// How long it counts that there is no such account.
    pub missing_for: Duration,
}

impl KeyCacheConfig {
    /// Sets how old an answer must be to be asked for again.
    #[must_use]
    pub fn again_after(self, age: Duration) -> Self {
        Self { again_after: age, ..self }
    }

    /// Sets how many questions the chain may be asked: so many at once, then so many in a second.
    #[must_use]
    pub fn asks(self, burst: NonZeroU32, per_sec: NonZeroU32) -> Self {
        Self { asks_per_sec: per_sec, burst, ..self }
    }

    /// Sets how long the keys of an account count.
    #[must_use]
    pub fn found_for(self, age: Duration) -> Self {
        Self { found_for: age, ..self }
    }

    /// Sets how much is remembered, in bytes.
    #[must_use]
    pub fn max_bytes(self, bytes: u64) -> Self {
        Self { max_bytes: bytes, ..self }
    }

    /// Sets how long it counts that there is no such account.
    #[must_use]
    pub fn missing_for(self, age: Duration) -> Self {
        Self { missing_for: age, ..self }
    }
}

impl Default for KeyCacheConfig {
    fn default() -> Self {
        const BURST: NonZeroU32 = NonZeroU32::new(100).unwrap();
        const PER_SEC: NonZeroU32 = NonZeroU32::new(20).unwrap();
        Self {
            again_after: Duration::from_secs(10),
            asks_per_sec: PER_SEC,
            burst: BURST,
            found_for: Duration::from_mins(1),
            max_bytes: 8 << 20,
            missing_for: Duration::from_secs(10),
        }
    }
}
