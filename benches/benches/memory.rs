//! Claim: the index holds a 24-hour stream (8640 segments) in under 1 MiB, and making a CID takes the same memory for
//! a file of any size.
//!
//! No time is taken here: the allocator counts the bytes that are asked of it.
#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::io::Read;

use alive_core::{Index, Quality, SignedOp, Timeline, Timestamp};
use alive_playlist::{ListSettings, LivePlaylist};
use benches::day::{self, ChunkedDay, Ids};
use benches::files::{PROFILES, id_of_reader};
use benches::indexes::{append, apply, apply_blocks, prepared};
use dhat::{HeapStats, Profiler};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

const CLAIM: usize = 1 << 20;

fn main() {
    println!("{:<58} {:>9} {:>9}", "bytes on the heap", "held", "at most");
    let ops = day::pushes(1, day::SEGMENTS);
    raw(&ops);
    let held = index("index: a day, every segment a push", &ops);
    assert!(held < CLAIM, "the claim is {CLAIM} bytes, this takes {held}");
    undoable(&ops);
    chunked();
    serving();
    importing();
}

/// Runs something and prints what it holds in the end and the most that it held on the way.
fn measure<T>(name: &str, run: impl FnOnce() -> T) -> usize {
    let profiler = Profiler::builder().testing().build();
    let made = run();
    let stats = HeapStats::get();
    println!("{name:<58} {:>9} {:>9}", stats.curr_bytes, stats.max_bytes);
    drop(made);
    drop(profiler);
    stats.curr_bytes
}

/// What must be kept in any case: the ids as written and four bytes a length.
fn raw(ops: &[SignedOp]) {
    let segments = day::segments(Ids::V0, ops.len());
    measure("limit: ids as text and lengths, end to end", || {
        let size = segments.iter().map(|segment| segment.content.as_str().len() + 4).sum();
        let mut bytes = Vec::with_capacity(size);
        for segment in &segments {
            bytes.extend_from_slice(segment.content.as_bytes());
            bytes.extend_from_slice(&segment.duration.as_micros().to_le_bytes());
        }
        bytes
    });
    measure("peer: map of lists", || {
        let mut lists = std::collections::HashMap::new();
        append(&mut lists, ops);
        lists
    });
}

fn index(name: &str, ops: &[SignedOp]) -> usize {
    let configures = day::configures(1);
    measure(name, || {
        let mut index = prepared(&configures);
        apply(&mut index, ops);
        index
    })
}

fn undoable(ops: &[SignedOp]) {
    let all: Vec<SignedOp> = day::configures(1).iter().chain(ops).cloned().collect();
    let blocks = day::blocks(&all, 4);
    measure("index: the same through blocks, the last 21 to undo", || {
        let mut index = Index::default();
        apply_blocks(&mut index, &blocks);
        index
    });
}

fn chunked() {
    let day = ChunkedDay::new();
    measure("index: a day in 288 chunks", || day.stream(day.pushes.len()));
}

/// What a node keeps besides while it serves a live stream.
fn serving() {
    let day = ChunkedDay::new();
    let stream = day.stream(day.pushes.len());
    measure("timeline of a day", || {
        let mut timeline = Timeline::new(Quality::Src, Timeline::DEFAULT_PATIENCE);
        timeline.update(&stream, |id| day.content(id), Timestamp::EPOCH);
        timeline
    });
    measure("live playlist of a day", || {
        let mut list = LivePlaylist::new(&ListSettings::default());
        list.extend(&day.segments);
        list
    });
}

fn importing() {
    for profile in PROFILES {
        for (name, mebibytes) in [("1 MiB", 1), ("100 MiB", 100), ("1 GiB", 1024)] {
            let file = std::io::repeat(7).take(mebibytes << 20);
            measure(&format!("cid of {name}, {profile}"), || id_of_reader(file, profile));
        }
    }
}
