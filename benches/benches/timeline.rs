//! The list of segments that players are shown: kept up to date while live, made afresh when the stream has ended.
//!
//! Beside it the copying of the same entries, which is the least that making them can take.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::hint::black_box;

use alive_core::{Listed, Push, Quality, Segment, Stream, Timeline, Timestamp};
use benches::day::{self, ChunkedDay};
use criterion::{BatchSize, Criterion, Throughput};

/// Chunks in the last hour of the day.
const HOUR_CHUNKS: usize = day::HOUR / day::SEGMENTS_PER_CHUNK;
const NOW: Timestamp = Timestamp::EPOCH;
const BATCH: BatchSize = BatchSize::PerIteration;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let day = ChunkedDay::new();
    growing(&mut criterion, &day);
    rebuilding(&mut criterion, &day);
    criterion.final_summary();
}

fn growing(criterion: &mut Criterion, day: &ChunkedDay) {
    let chunks_before = day.pushes.len() - HOUR_CHUNKS;
    let (_, pushes) = day.pushes.split_at(chunks_before);
    let (_, segments) = day.segments.split_at(day.segments.len() - day::HOUR);
    let stream = day.stream(chunks_before);
    let start = || (updated(day, &stream), stream.clone());
    let mut group = criterion.benchmark_group("timeline: the 24th hour");
    group.sample_size(40);
    group.throughput(Throughput::Elements(HOUR_CHUNKS.try_into().expect("small")));
    group.bench_function("one more chunk of 30", |b| {
        b.iter_batched_ref(start, |(list, stream)| chunks(list, stream, day, pushes), BATCH);
    });
    group.throughput(Throughput::Elements(day::HOUR.try_into().expect("small")));
    group.bench_function("one more segment of the live cache", |b| {
        b.iter_batched_ref(start, |(list, stream)| live(list, stream, day, segments), BATCH);
    });
    group.bench_function("a segment live, its chunk later", |b| {
        let both = |list: &mut Timeline, stream: &mut Stream| {
            for (push, segments) in pushes.iter().zip(segments.chunks(day::SEGMENTS_PER_CHUNK)) {
                live(list, stream, day, segments);
                chunks(list, stream, day, std::slice::from_ref(push));
            }
        };
        b.iter_batched_ref(start, |(list, stream)| both(list, stream), BATCH);
    });
    group.finish();
}

fn rebuilding(criterion: &mut Criterion, day: &ChunkedDay) {
    let mut stream = day.stream(day.pushes.len());
    stream.end(NOW);
    let entries: Vec<Listed> = updated(day, &stream).listed().to_vec();
    assert_eq!(entries.len(), day::SEGMENTS);
    let mut copy = entries.clone();
    let mut group = criterion.benchmark_group("timeline: archive of a day");
    group.throughput(Throughput::Elements(day::SEGMENTS.try_into().expect("small")));
    group.bench_function("rebuild", |b| b.iter(|| updated(day, &stream)));
    group.bench_function("limit: copy of the entries", |b| {
        b.iter(|| black_box(&mut copy).copy_from_slice(&entries));
    });
    group.finish();
}

fn updated(day: &ChunkedDay, stream: &Stream) -> Timeline {
    let mut timeline = Timeline::new(Quality::Src, Timeline::DEFAULT_PATIENCE);
    timeline.update(stream, |id| day.content(id), NOW);
    timeline
}

fn chunks(timeline: &mut Timeline, stream: &mut Stream, day: &ChunkedDay, pushes: &[Push]) {
    for push in pushes {
        stream.push(push, NOW).expect("they are in order");
        timeline.update(stream, |id| day.content(id), NOW);
    }
}

fn live(timeline: &mut Timeline, stream: &Stream, day: &ChunkedDay, segments: &[Segment]) {
    for segment in segments {
        timeline.offer_live(*segment);
        timeline.update(stream, |id| day.content(id), NOW);
    }
}
