//! How often somebody may do something: token buckets by key, bounded in number.

use std::{collections::HashMap, hash::Hash};

use crate::moment::Moment;

/// So many a second in the long run, and so many at once.
///
/// ```
/// use alive_chat::Rate;
/// assert_eq!(Rate::new(1.0, 5.0), Rate { per_sec: 1.0, burst: 5.0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a rate is these two numbers")]
pub struct Rate {
    /// How many a second in the long run.
    pub per_sec: f64,
    /// How many at once after a rest.
    pub burst: f64,
}

impl Rate {
    /// So many a second, and so many at once.
    pub const fn new(per_sec: f64, burst: f64) -> Self {
        Self { per_sec, burst }
    }
}

/// A bucket of tokens for each key. One that is full is forgotten when there are too many.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    max: usize,
    left: HashMap<K, (f64, Moment)>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Buckets of this rate for at most `max` keys at once.
    pub(crate) fn new(rate: Rate, max: usize) -> Self {
        Self { rate, max, left: HashMap::new() }
    }

    /// Whether a token could be taken.
    pub(crate) fn has(&self, key: &K, now: Moment) -> bool {
        self.level(key, now) >= 1.0
    }

    /// Takes a token; whether there was one.
    pub(crate) fn take(&mut self, key: K, now: Moment) -> bool {
        let level = self.level(&key, now);
        if level < 1.0 {
            return false;
        }
        if !self.left.contains_key(&key) && self.left.len() >= self.max {
            let Rate { per_sec, burst } = self.rate;
            let level =
                |(left, at): (f64, Moment)| left + now.since(at).max(0.0) / 1000.0 * per_sec;
            self.left.retain(|_, held| level(*held) < burst);
            if self.left.len() >= self.max {
                return false;
            }
        }
        self.left.insert(key, (level - 1.0, now));
        true
    }

    /// A clock that goes back fills no bucket, and empties none.
    fn level(&self, key: &K, now: Moment) -> f64 {
        let Rate { per_sec, burst } = self.rate;
        self.left.get(key).map_or(burst, |(left, at)| {
            (left + now.since(*at).max(0.0) / 1000.0 * per_sec).min(burst)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::ms;

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut buckets = Buckets::new(Rate::new(1.0, 3.0), 10);
        let took: Vec<_> = (0..5).map(|_| buckets.take("a", ms(1000.0))).collect();
        assert_eq!(took, [true, true, true, false, false]);
        assert!(buckets.take("b", ms(1000.0)), "others have their own");
        assert!(!buckets.take("a", ms(1999.0)));
        assert!(buckets.take("a", ms(2000.0)));
        assert!(!buckets.has(&"a", ms(0.0)), "a clock that goes back gives nothing");
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_the_rested_make_room() {
        let mut buckets = Buckets::new(Rate::new(1.0, 2.0), 2);
        assert!(buckets.take(1, ms(0.5)) && buckets.take(2, ms(0.5)));
        assert!(!buckets.take(3, ms(1.0)), "both are in use");
        assert!(buckets.take(3, ms(1000.5)), "both have rested");
        assert_eq!(buckets.left.len(), 1);
    }
}
