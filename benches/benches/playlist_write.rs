//! Writing a list that was read, beside the writer of `m3u8-rs`.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use alive_playlist::MediaPlaylist;
use benches::day::{self, Dates};
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, dates) in [("durations", Dates::None), ("durations and dates", Dates::Each)] {
        let text = day::list_text(dates);
        let ours = MediaPlaylist::read(text.as_bytes()).expect("it is a list");
        let theirs =
            m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("it takes nearly all");
        assert_eq!(ours.segments().len(), theirs.segments.len());
        let mut group = criterion.benchmark_group(format!("playlist: write a day, {name}"));
        group.throughput(Throughput::Bytes(text.len().try_into().expect("small")));
        group.bench_function("write", |b| b.iter(|| ours.to_bytes()));
        group.bench_function("peer: m3u8-rs", |b| {
            b.iter(|| {
                let mut out = Vec::with_capacity(text.len());
                theirs.write_to(&mut out).expect("memory takes all");
                out
            });
        });
        group.finish();
    }
    criterion.final_summary();
}
