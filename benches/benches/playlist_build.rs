//! Claim: the list of a 24-hour stream (8640 segments) is built from nothing in at most 20 times the time of copying its
//! bytes.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use alive_playlist::{ListSettings, assemble};
use benches::day::{self, Ids};
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let settings = ListSettings::default();
    for ids in [Ids::V0, Ids::V1] {
        let segments = day::segments(ids, day::SEGMENTS);
        let text = assemble(&segments, true, &settings);
        let mut copy = text.clone();
        let mut group = criterion.benchmark_group(format!("playlist: a day, ids {ids:?}"));
        group.throughput(Throughput::Bytes(text.len().try_into().expect("small")));
        group.bench_function("assemble", |b| b.iter(|| assemble(&segments, true, &settings)));
        group.bench_function("limit: memcpy", |b| b.iter(|| copy.copy_from_slice(&text)));
        group.bench_function("limit: memcpy into new memory", |b| b.iter(|| text.clone()));
        group.finish();
    }
    criterion.final_summary();
}
