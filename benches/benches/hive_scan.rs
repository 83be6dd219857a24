//! Claim: blocks without operations of ours are passed over at 10 GB/s of JSON per core at least, headers, ids and links
//! checked.
//!
//! Beside it the limit, which is a search for our id alone, and what parsing the same text takes.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::hint::black_box;

use alive_core::DEFAULT_CUSTOM_JSON_ID;
use alive_hive::{BlockAnswer, BlockReader, KeyPrefix, extract_blocks};
use benches::blocks;
use criterion::{Criterion, Throughput};
use memchr::memmem::Finder;
use serde_json::Value;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, transactions) in [("23 kB", 40), ("56 kB", 98), ("112 kB", 195)] {
        let page = blocks::of_others(100, transactions);
        let reader = BlockReader::new(DEFAULT_CUSTOM_JSON_ID, KeyPrefix::STM);
        let read = reader.read(&page, BlockAnswer::BlockRange).expect("the blocks are right");
        assert_eq!(read.len(), 100);
        let mut group = criterion.benchmark_group(format!("hive scan: blocks of {name}"));
        group.sample_size(50);
        group.throughput(Throughput::Bytes(page.len().try_into().expect("small")));
        group.bench_function("read", |b| {
            b.iter(|| reader.read(black_box(&page), BlockAnswer::BlockRange).expect("right"));
        });
        let finder = Finder::new(DEFAULT_CUSTOM_JSON_ID);
        group.bench_function("limit: memmem for our id", |b| {
            b.iter(|| finder.find(black_box(&page)));
        });
        group.sample_size(10);
        group.bench_function("peer: parse, borrowing", |b| {
            b.iter(|| reader.parse(black_box(&page), BlockAnswer::BlockRange).expect("right"));
        });
        group.bench_function("peer: serde_json::Value", |b| {
            b.iter(|| {
                let value: Value = serde_json::from_slice(black_box(&page)).expect("it is JSON");
                extract_blocks(&value, BlockAnswer::BlockRange, DEFAULT_CUSTOM_JSON_ID)
            });
        });
        group.finish();
    }
    criterion.final_summary();
}
