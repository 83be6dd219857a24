//! When to try a failed step again: waits double up to a cap, spread by a seeded jitter.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::Step;

/// Failed steps and when each is due.
#[derive(Debug)]
pub(super) struct Retries {
    first: Duration,
    max: Duration,
    random: u64,
    waits: BTreeMap<Step, Wait>,
}

#[derive(Debug)]
struct Wait {
    failures: u32,
    due: Option<Instant>,
}

impl Retries {
    pub(super) fn new(first: Duration, max: Duration, seed: u64) -> Self {
        Self { first, max, random: seed | 1, waits: BTreeMap::new() }
    }

    /// The step failed once more.
    pub(super) fn failed(&mut self, step: Step, now: Instant) {
        let spread = self.spread();
        let wait = self.waits.entry(step).or_insert(Wait { failures: 0, due: None });
        let doubled = self.first.saturating_mul(1 << wait.failures.min(16)).min(self.max);
        wait.failures += 1;
        wait.due = Some(now + doubled.mul_f64(spread));
    }

    /// The step succeeded, or became pointless.
    pub(super) fn done(&mut self, step: Step) {
        self.waits.remove(&step);
    }

    /// When the first step is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waits.values().filter_map(|wait| wait.due).min()
    }

    /// Takes a step that is due. Its failures stay counted until it is done.
    pub(super) fn due(&mut self, now: Instant) -> Option<Step> {
        let is_due = |wait: &Wait| wait.due.is_some_and(|due| due <= now);
        let (step, wait) = self.waits.iter_mut().find(|(_, wait)| is_due(wait))?;
        wait.due = None;
        Some(*step)
    }

    /// A factor from a half to one, from a xorshift generator: unlike times for many publishers are all it is for.
    fn spread(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let sixteen_bits = u16::try_from(self.random >> 48).unwrap_or(u16::MAX);
        0.5 + f64::from(sixteen_bits) / f64::from(u16::MAX) / 2.0
    }
}
