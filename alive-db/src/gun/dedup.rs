//! What was seen lately: [`Dedup`].

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use crate::json::Text;

/// Remembers the ids of messages, so that one which comes by several ways counts once.
///
/// It keeps 64 bits of a keyed hash of each: in a full memory of 100,000 one message of 10^14 is taken for another.
///
/// Source: `spec/alivedb.md`, "Deduplication".
///
/// ```
/// use std::time::Instant;
/// let (mut dedup, now) = (alive_db::gun::Dedup::default(), Instant::now());
/// assert!(dedup.is_new(&"m1".into(), now));
/// assert!(!dedup.is_new(&"m1".into(), now));
/// ```
#[derive(Clone, Debug)]
pub struct Dedup {
    hasher: RandomState,
    seen: HashMap<u64, Instant>,
    /// Oldest first, by the time of their last use when they came to the end.
    queue: VecDeque<(u64, Instant)>,
    capacity: usize,
}

impl Dedup {
    /// How long an id is remembered after its last use.
    pub const LIFETIME: Duration = Duration::from_secs(9);
    /// How many are remembered at most, unless it is said otherwise. Ours.
    pub const CAPACITY: usize = 100_000;

    /// Remembers at most so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            seen: HashMap::new(),
            queue: VecDeque::new(),
            capacity: capacity.max(1),
        }
    }

    /// Whether an id was not seen lately; it is from now on.
    pub fn is_new(&mut self, id: &Text, now: Instant) -> bool {
        let key = self.hasher.hash_one(id);
        self.insert(key, now, true)
    }

    /// Whether an id was not seen within [`LIFETIME`](Self::LIFETIME) by this call; unlike with [`is_new`](Self::is_new),
    /// asking again does not lengthen the time.
    pub fn is_due(&mut self, id: &Text, now: Instant) -> bool {
        let key = self.hasher.hash_one(id);
        self.insert(key, now, false)
    }

    /// Whether an answer with these values to this question was not seen lately; it is from now on.
    pub fn is_new_answer(&mut self, re: &Text, hash: i32, now: Instant) -> bool {
        let key = self.hasher.hash_one((re, hash));
        self.insert(key, now, true)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn insert(&mut self, key: u64, now: Instant, is_use: bool) -> bool {
        self.forget(now);
        if let Some(used) = self.seen.get_mut(&key) {
            if is_use {
                *used = now;
            }
            return false;
        }
        if self.seen.len() >= self.capacity
            && let Some((oldest, _)) = self.queue.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(key, now);
        self.queue.push_back((key, now));
        true
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > Self::LIFETIME;
        while let Some((key, _)) = self.queue.pop_front_if(|(_, at)| is_old(*at)) {
            // Used again since it was queued: its time begins anew.
            match self.seen.get(&key).copied() {
                Some(used) if !is_old(used) => self.queue.push_back((key, used)),
                _ => {
                    self.seen.remove(&key);
                }
            }
        }
    }
}

impl Default for Dedup {
    fn default() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_forgotten_nine_seconds_after_its_last_use() {
        let (mut dedup, start) = (Dedup::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        assert!(dedup.is_new(&"a".into(), at(0)));
        assert!(!dedup.is_new(&"a".into(), at(8)));
        assert!(!dedup.is_new(&"a".into(), at(16)), "used again at 8");
        assert!(!dedup.is_new(&"a".into(), at(25)), "9 s are not yet over");
        assert!(dedup.is_new(&"a".into(), at(35)));
        assert_eq!(dedup.len(), 1);
    }

    #[test]
    fn what_is_due_is_so_every_nine_seconds_however_often_one_asks() {
        let (mut dedup, start) = (Dedup::default(), Instant::now());
        let due: Vec<_> = (0..=20)
            .filter(|secs| dedup.is_due(&"a".into(), start + Duration::from_secs(*secs)))
            .collect();
        assert_eq!(due, [0, 10, 20]);
    }

    #[test]
    fn the_oldest_is_forgotten_when_it_is_full() {
        let (mut dedup, now) = (Dedup::with_capacity(2), Instant::now());
        for id in ["a", "b", "c"] {
            assert!(dedup.is_new(&id.into(), now));
            assert!(dedup.len() <= 2);
        }
        assert!(!dedup.is_new(&"c".into(), now));
        assert!(dedup.is_new(&"a".into(), now));
    }

    #[test]
    fn an_answer_is_told_by_its_question_and_its_hash() {
        let (mut dedup, now) = (Dedup::default(), Instant::now());
        assert!(dedup.is_new_answer(&"q".into(), 7, now));
        assert!(dedup.is_new_answer(&"q".into(), 8, now));
        assert!(dedup.is_new_answer(&"p".into(), 7, now));
        assert!(!dedup.is_new_answer(&"q".into(), 7, now));
    }
}
