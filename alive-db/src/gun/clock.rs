//! Clocks: of a peer, [`WallClock`], and of a writer, [`StateClock`].

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Now, State};

/// The clock by which a peer takes states for past or future: the system's, unless it is told otherwise.
///
/// ```
/// use alive_db::gun::WallClock;
/// let hour_later = WallClock::new(|| WallClock::default().millis() + 3_600_000.0);
/// assert!(hour_later.millis() > WallClock::default().millis() + 3_599_000.0);
/// ```
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> f64 + Send + Sync>);

impl WallClock {
    /// One that gives milliseconds since 1970. It may go back; it must not wait for anything.
    pub fn new(millis: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(millis))
    }

    /// Milliseconds since 1970.
    pub fn millis(&self) -> f64 {
        (self.0)()
    }

    /// This moment, by tokio's clock, which tests can stop, and by this one.
    pub(super) fn now(&self) -> Now {
        // Whole milliseconds, as JavaScript's clock has them, to their end: the fraction of a state counts the writes of one,
        // so that a write of this very moment is none of the future.
        let millis = self.millis().floor() + END_OF_MILLISECOND;
        Now { at: tokio::time::Instant::now().into_std(), millis }
    }
}

/// The largest fraction that a state of a millisecond usually has.
const END_OF_MILLISECOND: f64 = 0.999;

impl Default for WallClock {
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // Not from seconds with a fraction, which would round to the millisecond before.
            #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
            let millis = since.as_millis() as f64;
            millis
        })
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.millis()).finish()
    }
}

/// Gives states that rise: the time in milliseconds, with a fraction that counts writes within one.
///
/// Source: `spec/alivedb.md`, "Data model".
///
/// ```
/// let mut clock = alive_db::gun::StateClock::default();
/// let states = [5.0, 5.0, 4.0, 6.0].map(|now_ms| clock.next(now_ms).millis());
/// assert_eq!(states, [5.0, 5.0 + 1.0 / 999.0, 5.0 + 2.0 / 999.0, 6.0]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StateClock {
    base: f64,
    count: u32,
    last: f64,
}

impl StateClock {
    /// The next state at this time, in milliseconds since 1970.
    pub fn next(&mut self, now_ms: f64) -> State {
        if now_ms > self.last {
            (self.base, self.count) = (now_ms, 0);
        } else {
            self.count = self.count.saturating_add(1);
        }
        let next = self.base + f64::from(self.count) / 999.0;
        // Never twice the same, however fine the fraction would have to be.
        self.last = if next > self.last { next } else { self.last.next_up() };
        State::new(self.last).unwrap_or(State::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_rise_whatever_the_clock_does() {
        let mut clock = StateClock::default();
        let mut last = State::ZERO;
        for n in 0..10_000 {
            let next = clock.next(1_795_219_439_353.0 - f64::from(n % 7));
            assert!(next > last, "{next:?} after {last:?}");
            last = next;
        }
        assert!(last.millis() < 1_795_219_439_364.0, "ten writes a tick more are ten ms at most");
    }
}
