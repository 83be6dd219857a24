//! Claim: the index applies at least 1,000,000 push operations per second on one core, in memory.
//!
//! Beside it the least that any index must do: find the stream in a map and append the push to a list, without rules,
//! without states, without undo.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::collections::HashMap;

use benches::day;
use benches::indexes::{append, apply, apply_blocks, prepared};
use criterion::{BatchSize, Criterion, Throughput};

/// Operations in a block of a very busy chain.
const PER_BLOCK: usize = 50;
const BATCH: BatchSize = BatchSize::PerIteration;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("index: push operations");
    group.sample_size(40);
    let cases = [("one stream of a day", 1, day::SEGMENTS), ("1000 streams", 1000, 100)];
    for (name, streams, per_stream) in cases {
        let (configures, pushes) = (day::configures(streams), day::pushes(streams, per_stream));
        let blocks = day::blocks(&pushes, PER_BLOCK);
        group.throughput(Throughput::Elements(pushes.len().try_into().expect("small")));
        group.bench_function(format!("apply, {name}"), |b| {
            b.iter_batched_ref(|| prepared(&configures), |index| apply(index, &pushes), BATCH);
        });
        group.bench_function(format!("apply_block with undo, {name}"), |b| {
            b.iter_batched_ref(|| prepared(&configures), |i| apply_blocks(i, &blocks), BATCH);
        });
        group.bench_function(format!("peer: map of lists, {name}"), |b| {
            b.iter_batched_ref(HashMap::new, |lists| append(lists, &pushes), BATCH);
        });
    }
    group.finish();
    criterion.final_summary();
}
