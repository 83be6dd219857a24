//! How a gateway has behaved: [`Health`], an engine without clock and chance of its own.

use std::time::{Duration, Instant};

/// Patience with a gateway that has not answered yet.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);
/// Least and most patience with one that has, before a rival is asked.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Rest after the first failure; it doubles with each one more.
const FIRST_REST: Duration = Duration::from_secs(1);
/// Longest rest.
const MOST_REST: Duration = Duration::from_mins(2);
/// Rest after a lie: it costs traffic, and is seldom an accident.
const LIE_REST: Duration = Duration::from_mins(5);

/// What a failure says about the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It asks to be left alone for a time.
    Busy(Option<Duration>),
    /// It cannot be reached, broke off or was too slow.
    Down,
    /// It gave something else than was asked for.
    Lie,
}

/// How a gateway has behaved lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    latency: Option<Duration>,
    failures: u32,
    lies: u64,
    rests_until: Option<Instant>,
}

impl Health {
    /// It answered well, after a time. Of the time before one seventh is forgotten.
    pub(super) fn succeeded(&mut self, latency: Duration) {
        self.latency = Some(self.latency.map_or(latency, |before| (before * 6 + latency) / 7));
        self.answered();
    }

    /// It answered, if only that it does not have it.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
        self.rests_until = None;
    }

    /// It failed. `chance`, of 0 to 255, spreads the ends of rests so that not all come back at once.
    pub(super) fn failed(&mut self, fault: Fault, now: Instant, chance: u8) {
        self.failures = self.failures.saturating_add(1);
        let doubled = FIRST_REST * 2_u32.saturating_pow(self.failures.min(16) - 1);
        let rest = match fault {
            Fault::Busy(asked) => asked.unwrap_or(doubled),
            Fault::Down => doubled.min(MOST_REST),
            Fault::Lie => {
                self.lies += 1;
                LIE_REST
            }
        };
        let spread = rest / 4 * u32::from(chance) / 255;
        self.rests_until = Some(now + rest.min(Duration::from_hours(1)) + spread);
    }

    /// How long it still rests.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        let rest = self.rests_until?.saturating_duration_since(now);
        (!rest.is_zero()).then_some(rest)
    }

    /// How long to wait for it before a rival is asked: twice as long as it usually takes.
    pub(super) fn patience(&self) -> Duration {
        self.latency.map_or(FIRST_PATIENCE, |latency| (latency * 2).clamp(PATIENCE.0, PATIENCE.1))
    }

    /// How long it usually takes.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// Failures since it last answered well.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Lies since the start.
    pub(super) fn lies(&self) -> u64 {
        self.lies
    }
}

/// In which order to ask: the quickest first, those never asked before them, in the order given. Those that rest are left
/// out; if all rest, the one whose rest ends first is asked all the same.
pub(super) fn order(all: &[Health], now: Instant) -> Vec<usize> {
    let mut order: Vec<(Option<Duration>, usize)> = all
        .iter()
        .enumerate()
        .filter(|(_, health)| health.rest(now).is_none())
        .map(|(at, health)| (health.latency, at))
        .collect();
    order.sort();
    if order.is_empty() {
        let first = all.iter().enumerate().min_by_key(|(_, health)| health.rests_until);
        return first.map(|(at, _)| at).into_iter().collect();
    }
    order.into_iter().map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const S: Duration = Duration::from_secs(1);

    #[test]
    fn rests_double_up_to_a_limit_and_end_with_an_answer() {
        let (mut health, now) = (Health::default(), Instant::now());
        let mut rests = Vec::new();
        for _ in 0..9 {
            health.failed(Fault::Down, now, 0);
            rests.push(health.rest(now).unwrap().as_secs());
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(health.rest(now + 120 * S), None);
        health.answered();
        assert_eq!((health.rest(now), health.failures()), (None, 0));
        health.failed(Fault::Down, now, 0);
        assert_eq!(health.rest(now), Some(S));
    }

    #[test]
    fn chance_makes_a_rest_up_to_a_quarter_longer() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(Fault::Down, now, 255);
        assert_eq!(health.rest(now), Some(1250 * MS));
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_it() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(Fault::Busy(Some(40 * S)), now, 0);
        assert_eq!(health.rest(now), Some(40 * S));
    }

    #[test]
    fn a_lie_is_remembered_and_rests_long() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(Fault::Lie, now, 0);
        assert_eq!((health.rest(now), health.lies()), (Some(LIE_REST), 1));
        health.succeeded(MS);
        assert_eq!(health.lies(), 1);
    }

    #[test]
    fn patience_is_twice_the_usual_time_within_bounds() {
        let mut health = Health::default();
        assert_eq!(health.patience(), FIRST_PATIENCE);
        health.succeeded(100 * MS);
        assert_eq!(health.patience(), 200 * MS);
        health.succeeded(800 * MS);
        assert_eq!(health.latency(), Some(200 * MS));
        for _ in 0..50 {
            health.succeeded(9 * S);
        }
        assert_eq!(health.patience(), PATIENCE.1);
    }

    #[test]
    fn the_quick_are_asked_first_and_the_resting_not_at_all() {
        let now = Instant::now();
        let mut all = [Health::default(); 4];
        all[0].succeeded(90 * MS);
        all[1].succeeded(10 * MS);
        all[2].failed(Fault::Down, now, 0);
        assert_eq!(order(&all, now), [3, 1, 0]);
        assert_eq!(order(&all, now + 2 * S), [2, 3, 1, 0]);
        for health in &mut all {
            health.failed(Fault::Lie, now, 0);
        }
        all[3].failed(Fault::Down, now, 0);
        assert_eq!(order(&all, now), [3]);
        assert_eq!(order(&[], now), [0; 0]);
    }
}
