//! A server that is slow, full of work, or gone.

use std::time::{Duration, Instant};

use alive_core::backend::StreamStore as _;
use alive_node::{PostgresStore, PostgresStoreConfig, PostgresStoreError};
use futures_util::future::join_all;

use crate::database::{Database, cause, hive, steps};

#[tokio::test]
#[ignore = "needs postgresql"]
async fn connections_are_bounded_and_shared() {
    let database = Database::start();
    let store = PostgresStore::open(database.config().connections(3)).await.unwrap();
    store.commit(&hive(), &steps(1).await[0]).await.unwrap();
    let id = "hive/alice/s".parse().unwrap();
    for answer in join_all((0..200).map(|_| store.stream(&id))).await {
        assert!(answer.unwrap().is_some());
    }
    let readers = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'alive' AND query = 'COMMIT' OR query LIKE '%FROM pushes%'";
    let readers = database.count(readers).await;
    let all = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alive'";
    assert_eq!(database.count(all).await, 3 + 1, "three that read, one that leads, {readers}");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_table_that_is_locked_makes_nobody_wait_for_ever() {
    let database = Database::start();
    let timeout = Duration::from_millis(300);
    let config = database.config().connections(1).statement_timeout(timeout);
    let store = PostgresStore::open(config).await.unwrap();
    let steps = steps(2).await;
    store.commit(&hive(), &steps[0]).await.unwrap();
    let admin = database.admin().await;
    admin.batch_execute("BEGIN; LOCK TABLE alive_index.streams").await.unwrap();
    let id = "hive/alice/s".parse().unwrap();
    let (asked, second) = tokio::join!(store.stream(&id), store.stream(&id));
    let (asked, second) = (asked.unwrap_err(), second.unwrap_err());
    assert!(matches!(cause(&asked), PostgresStoreError::Statement(_)), "{asked:?}");
    // It waited for the only connection, or got it and waited for the table.
    assert!(
        matches!(cause(&second), PostgresStoreError::Busy(_) | PostgresStoreError::Statement(_)),
        "{second:?}"
    );
    let refused = store.commit(&hive(), &steps[1]).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    admin.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.stream(&id).await.unwrap().unwrap().pushes.len(), 0);
    store.commit(&hive(), &steps[1]).await.unwrap();
    assert_eq!(store.stream(&id).await.unwrap().unwrap().pushes.len(), 1);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_server_that_is_gone_is_not_asked_for_every_request() {
    let database = Database::start();
    let store = database.open().await;
    database.server.crash();
    let mut attempts = 0;
    for _ in 0..500 {
        let error = store.cursor(&hive()).await.unwrap_err();
        assert!(error.is_transient());
        attempts += u32::from(!matches!(cause(&error), PostgresStoreError::Down(_)));
    }
    assert!((1..20).contains(&attempts), "{attempts} attempts for 500 requests");
    database.server.start_again();
    let begun = Instant::now();
    while store.cursor(&hive()).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is asked again soon");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_reader_that_loses_its_connections_asks_again_on_a_new_one() {
    let database = Database::start();
    let store = database.open().await;
    for _ in 0..10 {
        join_all((0..8).map(async |_| store.cursor(&hive()).await.unwrap())).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'alive'";
        database.run(cut).await;
        assert_eq!(store.cursor(&hive()).await.unwrap(), None);
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn neither_errors_nor_debug_tell_the_password() {
    let database = Database::start();
    database.run("CREATE ROLE alive LOGIN PASSWORD 'secret'").await;
    let address = format!("{} password=secret", database.server.address());
    let address = address.replace("user=haf", "user=nobody_of_that_name");
    let config = PostgresStoreConfig::new(&address).unwrap();
    let error = PostgresStore::open(config).await.unwrap_err();
    assert!(matches!(cause(&error), PostgresStoreError::Connect(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"));
    let address = format!("{} password=secret", database.server.address());
    let store = PostgresStore::open(PostgresStoreConfig::new(&address).unwrap()).await.unwrap();
    assert!(!format!("{store:?}").contains("secret"));
}
