//! The promises of a stream store.

use alive_core::{
    AccountName, Network, StreamId,
    backend::{SharedStreamStore, StoreError, StreamOrder, StreamQuery, StreamStore as _},
    testing,
};
use alive_node::PostgresStore;

use crate::database::{Database, hive, steps};

#[tokio::test]
#[ignore = "needs postgresql"]
async fn it_keeps_the_promises_of_a_stream_store_in_every_schema() {
    let database = Database::start();
    testing::stream_store(&database.open().await).await;
    let other = PostgresStore::open(database.config().schema("other").unwrap()).await.unwrap();
    testing::stream_store(&SharedStreamStore::new(other)).await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn what_was_committed_is_there_after_opening_again() {
    let database = Database::start();
    testing::stream_store_survives(async || database.open().await).await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn it_keeps_them_over_one_connection() {
    let database = Database::start();
    let store = PostgresStore::open(database.config().connections(1)).await.unwrap();
    testing::stream_store(&store).await;
    // Networks of the suite, each with a leader's connection, and the one that reads.
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alive'";
    assert_eq!(database.count(ours).await, 3);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn names_that_no_text_of_the_server_can_hold_are_names_of_nothing() {
    let database = Database::start();
    let store = database.open().await;
    store.commit(&hive(), &steps(1).await[0]).await.unwrap();
    let nobody: AccountName = "al\0ice".parse().unwrap();
    assert_eq!(store.account(&hive(), &nobody).await.unwrap(), None);
    let id = StreamId::new(hive(), nobody.clone(), "s".parse().unwrap());
    assert_eq!(store.stream(&id).await.unwrap(), None);
    for order in [StreamOrder::Author(nobody), StreamOrder::AuthorPrefix("al\0".into())] {
        assert_eq!(store.streams(&StreamQuery::new(order)).await.unwrap().streams, []);
    }
    let all = StreamQuery::new(StreamOrder::AuthorPrefix("".into()));
    assert_eq!(store.streams(&all).await.unwrap().streams.len(), 1);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn an_unreadable_value_is_corrupt_and_stays_so() {
    let database = Database::start();
    let store = database.open().await;
    testing::stream_store(&store).await;
    let network: Network = "suite-a".parse().unwrap();
    database.run("UPDATE alive_index.networks SET last_id = ''").await;
    let error = store.cursor(&network).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!error.is_transient());
    database.run("UPDATE alive_index.undo SET changes = '{'").await;
    let error = store.reversible(&network).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}
