//! Claim: one more segment is appended to the list of a live stream in under 5 µs.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use alive_core::Segment;
use alive_playlist::{ListSettings, LivePlaylist, assemble};
use benches::day::{self, Ids};
use criterion::{BatchSize, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let segments = day::segments(Ids::V1, day::SEGMENTS);
    let (before, hour) = segments.split_at(day::SEGMENTS - day::HOUR);
    let mut day_so_far = LivePlaylist::new(&ListSettings::default());
    day_so_far.extend(before);
    let text_so_far = day_so_far.as_bytes().to_vec();
    let hour_text = assemble(hour, false, &ListSettings::default());

    let mut group = criterion.benchmark_group("playlist: one more segment");
    group.throughput(Throughput::Elements(day::HOUR.try_into().expect("small")));
    group.bench_function("push, 24th hour", |b| {
        b.iter_batched_ref(|| day_so_far.clone(), |list| push_all(list, hour), BATCH);
    });
    group.bench_function("limit: memcpy, 24th hour", |b| {
        let append = |text: &mut Vec<u8>| {
            for line in hour_text.chunks(hour_text.len() / day::HOUR) {
                text.extend_from_slice(line);
            }
        };
        b.iter_batched_ref(|| with_room(&text_so_far, hour_text.len()), append, BATCH);
    });
    group.throughput(Throughput::Elements(day::SEGMENTS.try_into().expect("small")));
    group.bench_function("push, all of a day", |b| {
        let start = || LivePlaylist::new(&ListSettings::default());
        b.iter_batched_ref(start, |list| push_all(list, &segments), BATCH);
    });
    group.finish();
    criterion.final_summary();
}

const BATCH: BatchSize = BatchSize::NumIterations(16);

fn push_all(list: &mut LivePlaylist, segments: &[Segment]) {
    for segment in segments {
        list.push(segment);
    }
}

fn with_room(text: &[u8], more: usize) -> Vec<u8> {
    let mut copy = Vec::with_capacity(text.len() + more);
    copy.extend_from_slice(text);
    copy
}
