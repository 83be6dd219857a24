//! Measuring a ratio on a machine that has other work: [`compare`].

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// How often each side of a comparison runs.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Rounds that count; one before them warms up.
    pub count: usize,
    /// Runs of each side in a round, of which the fastest counts.
    pub repeat: usize,
}

/// What came out of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// Time of one run of ours, the median of all rounds.
    pub ours: Duration,
    /// Time of one run of the peer, the median of all rounds.
    pub peer: Duration,
    /// Ours over the peer's, the median of the ratios of all rounds.
    pub ratio: f64,
}

/// How long a run takes; what it makes is dropped after the clock has stopped.
pub fn time<T>(run: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let made = black_box(run());
    let took = start.elapsed();
    drop(made);
    took
}

/// Runs ours and the peer by turns and compares what stands side by side: another program's load that comes and goes
/// hits both. Either says how long it took.
pub fn compare(
    rounds: Rounds,
    mut ours: impl FnMut() -> Duration,
    mut peer: impl FnMut() -> Duration,
) -> Ratio {
    let mut times = Vec::with_capacity(rounds.count);
    for round in 0..=rounds.count {
        let pair = if round % 2 == 0 {
            let ours = fastest(rounds.repeat, &mut ours);
            (ours, fastest(rounds.repeat, &mut peer))
        } else {
            let peer = fastest(rounds.repeat, &mut peer);
            (fastest(rounds.repeat, &mut ours), peer)
        };
        if round > 0 || rounds.count == 0 {
            times.push(pair);
        }
    }
    let ratio = |&(ours, peer): &(Duration, Duration)| ours.as_secs_f64() / peer.as_secs_f64();
    Ratio {
        ours: median(times.iter().map(|pair| pair.0), Duration::cmp),
        peer: median(times.iter().map(|pair| pair.1), Duration::cmp),
        ratio: median(times.iter().map(ratio), f64::total_cmp),
    }
}

fn fastest(repeat: usize, run: &mut impl FnMut() -> Duration) -> Duration {
    (0..repeat.max(1)).map(|_| run()).min().expect("it ran once at least")
}

fn median<T: Copy>(
    values: impl Iterator<Item = T>,
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(order);
    values.get(values.len() / 2).copied().expect("there is one round at least")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median([3, 9, 1].into_iter(), Ord::cmp), 3);
    }

    #[test]
    fn of_a_round_the_fastest_run_counts_and_the_first_round_does_not() {
        let mut ours = [1, 1, 8, 6, 4, 9].into_iter().map(Duration::from_secs);
        let mut peer = [1, 1, 3, 5, 2, 7].into_iter().map(Duration::from_secs);
        let rounds = Rounds { count: 2, repeat: 2 };
        let got = compare(rounds, || ours.next().unwrap(), || peer.next().unwrap());
        // Pairs of the two rounds that count: 6 and 3, 4 and 2.
        assert_eq!(got.ours, Duration::from_secs(6));
        assert_eq!(got.peer, Duration::from_secs(3));
        assert!((got.ratio - 2.0).abs() < 1e-9);
    }
}
