//! Claim: 10,000 live streams, each with the chunks of a day, are indexed on one node under 1 GiB.
//!
//! What counts is the most that the whole process ever held. It is alone in its binary, so that nothing else is in the
//! figure: `cargo test --release -p alive-node --all-features --test live_streams -- --ignored --nocapture`.
#![cfg(test)]

#[path = "made/source.rs"]
mod made;

use std::time::Duration;

use alive_core::{
    Network,
    backend::{SharedBlockSource, SharedStorage, SharedStreamStore, StreamStore as _},
    memory::MemoryStorage,
};
use alive_node::{Backends, Node, NodeConfig, SqliteStore};
use made::Made;

/// What another profile takes says nothing about speed; there the test shows only that it works.
const IS_RELEASE: bool = !cfg!(debug_assertions);

/// The most that this process ever held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Linux, takes minutes in the release profile"]
#[expect(clippy::print_stdout, reason = "the figure is what it is for")]
async fn ten_thousand_live_streams_take_less_than_a_gibibyte() {
    // A chunk every five minutes of a day.
    let (streams, pushes) = if IS_RELEASE { (10_000, 288) } else { (300, 12) };
    let source = Made { network: Network::hive(), streams, pushes, per_block: 50 };
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("index.sqlite")).unwrap();
    let storage = SharedStorage::new(MemoryStorage::default());
    let backends = Backends::new(SharedStreamStore::new(store.clone()), storage)
        .source(SharedBlockSource::new(source.clone()));
    let config = NodeConfig::default().address(([127, 0, 0, 1], 0).into());
    let node = Node::start(config, backends).await.unwrap();
    let indexed = async {
        while node.cursor().await.unwrap().is_none_or(|at| at.last.num < source.blocks()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(20), indexed).await.expect("all is indexed in time");
    for stream in [0, streams / 2, streams - 1] {
        let id = format!("hive/streamer-{}/stream-{}", stream / 3, stream % 3);
        let stored = store.stream(&id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.pushes.len() as u64, pushes, "{id}");
        assert!(!stored.info.ended);
    }
    let peak = peak();
    println!("{streams} live streams of {pushes} pushes: {} MiB at most", peak >> 20);
    assert!(peak < 1 << 30, "{} MiB", peak >> 20);
    node.shutdown().await;
}
