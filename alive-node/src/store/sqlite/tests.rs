use alive_core::{ContentId, testing};
use bytes::Bytes;
use rusqlite::Connection;

use super::*;
use crate::store::{ChunkCache as _, SharedChunkCache};

fn open(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(folder.path().join("streams.sqlite")).unwrap()
}

#[tokio::test]
async fn it_keeps_the_promises_of_a_stream_store() {
    let folder = tempfile::tempdir().unwrap();
    testing::stream_store(&open(&folder)).await;
}

#[tokio::test]
async fn it_keeps_them_behind_a_shared_handle() {
    let folder = tempfile::tempdir().unwrap();
    testing::stream_store(&alive_core::backend::SharedStreamStore::new(open(&folder))).await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    testing::stream_store_survives(async || open(&folder)).await;
}

#[tokio::test]
async fn an_unreadable_value_is_corrupt_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    testing::stream_store(&store).await;
    let file = Connection::open(folder.path().join("streams.sqlite")).unwrap();
    file.execute_batch("UPDATE networks SET last_id = ''").unwrap();
    let error = store.cursor(&"suite-a".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_panic_costs_a_connection_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for _ in 0..3 {
        let lost = store.write(|_| -> Result<(), Failure> { panic!("as planned") }).await;
        assert!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    }
    assert_eq!(store.cursor(&Network::hive()).await.unwrap(), None);
    testing::stream_store(&store).await;
}

fn ids() -> [ContentId; 3] {
    [
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap(),
        "QmUMM8mL1p9oHns4s8U5LGQYjnm4sJ1kBd1ajUeddv3VXz".parse().unwrap(),
        "QmXEqTAAjcpqXGxtJtd8wh8kuAJgb7CAHDjmaxQpA8a9Dv".parse().unwrap(),
    ]
}

#[tokio::test]
async fn chunks_are_kept_until_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let cache = SharedChunkCache::new(open(&folder).max_chunks(2));
    let [a, b, c] = ids();
    for (id, csv) in [(a, "a,1"), (b, "b,1"), (a, "a,1"), (c, "c,1")] {
        cache.keep(&id, Bytes::from(csv)).await.unwrap();
    }
    let held = cache.load(&[a, b, c]).await.unwrap();
    assert_eq!(held, [Some(Bytes::from("a,1")), None, Some(Bytes::from("c,1"))]);
}

#[tokio::test]
async fn a_damaged_chunk_is_absent_until_it_is_kept_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let [a, ..] = ids();
    store.keep(&a, "a,1".into()).await.unwrap();
    let file = Connection::open(folder.path().join("streams.sqlite")).unwrap();
    file.execute("UPDATE chunks SET csv = ?", [b"a,2"]).unwrap();
    assert_eq!(store.load(&[a]).await.unwrap(), [None]);
    store.keep(&a, "a,1".into()).await.unwrap();
    assert_eq!(store.load(&[a]).await.unwrap(), [Some(Bytes::from("a,1"))]);
}
