//! Claim: strict reading of a list runs at 1 GB/s or more.
//!
//! Beside it `m3u8-rs`, which is forgiving and loses what a list says, and the search for line feeds alone.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use alive_playlist::{MediaPlaylist, Recording};
use benches::day::{self, Dates};
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, dates) in [("durations", Dates::None), ("durations and dates", Dates::Each)] {
        let text = day::list_text(dates);
        let bytes = text.as_bytes();
        let mut group = criterion.benchmark_group(format!("playlist: read a day, {name}"));
        group.throughput(Throughput::Bytes(bytes.len().try_into().expect("small")));
        group.bench_function("read", |b| {
            b.iter(|| MediaPlaylist::read(bytes).expect("it is a list"));
        });
        group.bench_function("read as a recording", |b| {
            b.iter(|| Recording::read(bytes).expect("it is a list"));
        });
        group.bench_function("peer: m3u8-rs", |b| {
            b.iter(|| m3u8_rs::parse_media_playlist_res(bytes).expect("it takes nearly all"));
        });
        group.bench_function("limit: lines", |b| b.iter(|| text.lines().count()));
        group.finish();
    }
    criterion.final_summary();
}
