//! Claim: blocks full of our operations are parsed and applied to the index at 400 MB/s of JSON per core at least.
//!
//! Ours also packs and hashes every transaction and compares their Merkle root with that of the header, and the header's
//! hash with the block's id. Beside it reading the same text as a general tree and applying what is in it, which checks
//! nothing. Bytes are those of the JSON of the blocks; criterion counts them in units of 1024.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::hint::black_box;

use alive_core::{DEFAULT_CUSTOM_JSON_ID, Index, backend::Block};
use alive_hive::{BlockAnswer, BlockReader, ExtractedBlock, KeyPrefix, extract_blocks};
use benches::{blocks, day, indexes::prepared};
use criterion::{BatchSize, Criterion, Throughput};
use serde_json::Value;

/// Operations in a block.
const PER_BLOCK: usize = 100;
const BATCH: BatchSize = BatchSize::PerIteration;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (configures, pushes) = (day::configures(100), day::pushes(100, 100));
    let page = blocks::of_ours(&pushes, PER_BLOCK);
    let reader = BlockReader::new(DEFAULT_CUSTOM_JSON_ID, KeyPrefix::STM);
    let read = reader.read(&page, BlockAnswer::BlockRange).expect("the blocks are right");
    let good = read.iter().flat_map(|block| &block.ops).filter(|op| op.is_ok()).count();
    assert_eq!(good, pushes.len());
    let mut group = criterion.benchmark_group("hive blocks: full of pushes");
    group.sample_size(30);
    group.throughput(Throughput::Bytes(page.len().try_into().expect("small")));
    group.bench_function("read, check, apply", |b| {
        b.iter_batched_ref(
            || prepared(&configures),
            |index| apply(index, &reader.read(&page, BlockAnswer::BlockRange).expect("right")),
            BATCH,
        );
    });
    group.bench_function("peer: serde_json::Value, apply", |b| {
        b.iter_batched_ref(|| prepared(&configures), |index| apply(index, &tree(&page)), BATCH);
    });
    group.bench_function("part: serde_json::Value alone", |b| {
        b.iter(|| serde_json::from_slice::<Value>(black_box(&page)).expect("it is JSON"));
    });
    group.bench_function("part: apply alone", |b| {
        b.iter_batched_ref(|| prepared(&configures), |index| apply(index, &read), BATCH);
    });
    group.finish();
    criterion.final_summary();
}

fn tree(page: &[u8]) -> Vec<Block> {
    let value: Value = serde_json::from_slice(page).expect("it is JSON");
    let blocks = extract_blocks(&value, BlockAnswer::BlockRange, DEFAULT_CUSTOM_JSON_ID);
    blocks.expect("right").iter().map(ExtractedBlock::to_block).collect()
}

fn apply(index: &mut Index, blocks: &[Block]) {
    for block in blocks {
        black_box(index.apply_block(block).expect("the blocks are in order"));
    }
    index.finalize(u64::MAX);
}
