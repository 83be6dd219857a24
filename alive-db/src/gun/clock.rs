//! The clock of a writer: [`StateClock`].

use super::State;

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
