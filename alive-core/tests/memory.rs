//! What a day of streaming costs in memory, counted by the allocator.
#![cfg(test)]

use std::{collections::HashMap, sync::Arc};

use alive_core::{
    Chunk, ChunkContent, ChunkWriter, ContentId, Index, Quality, Segment, SignedOp, Timeline,
    Timestamp,
    backend::{Block, BlockRef},
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// A day of ten-second segments, and of chunks every five minutes.
const SEGMENTS: u32 = 8640;
const CHUNKS: u32 = 288;
const LIMIT: usize = 1 << 20;

fn content(number: u32) -> ContentId {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    let hash = multihash::Multihash::wrap(0x12, &digest).unwrap();
    ContentId::from_cid(&cid::Cid::new_v0(hash).unwrap()).unwrap()
}

/// An index after a configure and these pushes, five a block, all blocks irreversible.
fn indexed(pushes: impl Iterator<Item = String>) -> Index {
    let mut index = Index::default();
    let ops = std::iter::once(r#"{"op":2,"link":"day"}"#.to_owned()).chain(pushes);
    let ops: Vec<_> =
        ops.map(|json| Ok(SignedOp::from_parts(&["alice"], &json).unwrap())).collect();
    for (num, ops) in (1_u32..).zip(ops.chunks(5)) {
        let [id, previous] = [num, num - 1].map(|num| format!("{num:040x}").parse().unwrap());
        let at = BlockRef { num: num.into(), id };
        let block =
            Block { at, previous, time: Timestamp::from_unix_secs(num * 3), ops: ops.to_vec() };
        let applied = index.apply_block(&block).unwrap();
        assert!(applied.refusals.iter().all(Option::is_none));
        index.finalize(num.into());
    }
    index
}

/// Runs `make` and tells the bytes that what it made holds.
fn held<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = dhat::HeapStats::get().curr_bytes;
    let made = make();
    (made, dhat::HeapStats::get().curr_bytes - before)
}

fn pushes(count: u32, length: &str) -> impl Iterator<Item = String> {
    (0..count).map(move |seq| {
        let src = content(seq);
        format!(r#"{{"op":0,"link":"day","seq":{seq},"src":"{src}"{length}}}"#)
    })
}

/// The chunks of a day, as whoever serves it keeps them.
fn chunks() -> HashMap<ContentId, Arc<Chunk>> {
    let chunk = |number: u32| {
        let mut writer = ChunkWriter::default();
        for at in 0..SEGMENTS / CHUNKS {
            let id = content(1_000_000 + number * SEGMENTS / CHUNKS + at);
            assert!(writer.push(&Segment::new(id, "10.033".parse().unwrap())).unwrap());
        }
        Arc::new(writer.finish().unwrap().parse().unwrap())
    };
    (0..CHUNKS).map(|number| (content(number), chunk(number))).collect()
}

/// One test, since the allocator counts for the whole process.
#[test]
fn a_day_of_streaming_is_indexed_in_less_than_a_mebibyte() {
    let _profiler = dhat::Profiler::builder().testing().build();

    let (direct, bytes) = held(|| indexed(pushes(SEGMENTS, r#","len":10.033"#)));
    assert!(bytes < LIMIT, "{SEGMENTS} direct pushes take {bytes} bytes");
    assert_eq!(direct.streams().next().unwrap().1.pushes().count(), 8640);

    let ((bundled, chunks), bytes) = held(|| (indexed(pushes(CHUNKS, "")), chunks()));
    assert!(bytes < LIMIT, "{CHUNKS} pushes and their chunks, read, take {bytes} bytes");

    let stream = bundled.streams().next().unwrap().1;
    let (timeline, bytes) = held(|| {
        let mut timeline = Timeline::new(Quality::Src, Timeline::DEFAULT_PATIENCE);
        let content = |id: &_| ChunkContent::Ready(Arc::clone(&chunks[id]));
        timeline.update(stream, content, Timestamp::EPOCH);
        timeline
    });
    assert_eq!(timeline.listed().len(), 8640);
    assert!(bytes < LIMIT, "the timeline of one rendition takes {bytes} bytes");
}
