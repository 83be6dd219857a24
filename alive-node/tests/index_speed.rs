//! Claims: catching up indexes at least 50,000 operations a second into SQLite and 20,000 into PostgreSQL, and both at least
//! 20 times as many as the original, whose batches took 1,414 a second at best (`spec/indexer.md`, "Baseline").
//!
//! The time covers reading the operations' JSON, deciding, and commits as durable as they are by default. To see the table:
//! `cargo test --release -p alive-node --all-features --test index_speed -- --ignored --nocapture`.
#![cfg(test)]
#![cfg(feature = "postgres")]

#[path = "made/source.rs"]
mod made;
#[path = "../../alive-hive/tests/haf/server.rs"]
#[expect(dead_code, reason = "nothing crashes here")]
mod server;

use std::time::{Duration, Instant};

use alive_core::{
    Network,
    backend::{SharedBlockSource, SharedStreamStore, StreamStore as _},
};
use alive_node::{Indexer, PostgresStore, PostgresStoreConfig, SqliteStore};
use made::Made;
use server::Server;

/// The best that the original was seen to do.
const ORIGINAL: f64 = 1414.0;

/// What another profile does says nothing; there the test shows only that it works.
const IS_RELEASE: bool = !cfg!(debug_assertions);

fn source() -> Made {
    let pushes = if IS_RELEASE { 2000 } else { 20 };
    Made { network: Network::hive(), streams: 200, pushes, per_block: 50 }
}

/// Operations a second into a store.
async fn measure(store: SharedStreamStore) -> f64 {
    let source = source();
    let mut indexer = Indexer::new(SharedBlockSource::new(source.clone()), store.clone());
    let begun = Instant::now();
    while indexer.step().await.unwrap().is_behind() {}
    let took = begun.elapsed().max(Duration::from_micros(1));
    let cursor = store.cursor(&Network::hive()).await.unwrap().unwrap();
    assert_eq!((cursor.last.num, cursor.created), (source.blocks(), source.streams));
    let last = store.stream(&"hive/streamer-66/stream-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(last.pushes.len() as u64, source.pushes);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let ops = source.ops() as f64;
    ops / took.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql"]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
async fn catching_up_is_fast_enough_in_both_stores() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(folder.path().join("index.sqlite")).unwrap();
    let sqlite = measure(SharedStreamStore::new(sqlite)).await;
    // As it is installed: every commit is on the disk.
    let server = Server::start_with("-c fsync=on");
    let config = PostgresStoreConfig::new(&server.address()).unwrap();
    let postgres = PostgresStore::open(config).await.unwrap();
    let postgres = measure(SharedStreamStore::new(postgres)).await;

    println!("| store | operations a second | of the original's best |\n|---|---|---|");
    for (name, rate) in [("SQLite", sqlite), ("PostgreSQL", postgres)] {
        println!("| {name} | {rate:.0} | {:.0} times |", rate / ORIGINAL);
    }
    if IS_RELEASE {
        assert!(sqlite >= 50_000_f64.max(20.0 * ORIGINAL), "SQLite: {sqlite:.0}");
        assert!(postgres >= 20_000_f64.max(20.0 * ORIGINAL), "PostgreSQL: {postgres:.0}");
    }
}
