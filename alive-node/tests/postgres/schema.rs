//! Migrations, and schemas that are not ours.

use alive_core::backend::StreamStore as _;
use alive_node::{PostgresStore, PostgresStoreConfig, PostgresStoreError};
use futures_util::future::join_all;

use crate::database::{Database, cause, hive, steps};

#[tokio::test]
#[ignore = "needs postgresql"]
async fn of_nodes_that_start_together_one_migrates() {
    let database = Database::start();
    for store in join_all((0..12).map(|_| PostgresStore::open(database.config()))).await {
        assert_eq!(store.unwrap().cursor(&hive()).await.unwrap(), None);
    }
    let migrations = "SELECT count(*) FROM alive_index.schema_migrations";
    let first = database.count(migrations).await;
    assert!(first > 0);
    database.open().await;
    assert_eq!(database.count(migrations).await, first, "opening again changes nothing");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let database = Database::start();
    // A table of ours is in the way of another program's type of that name.
    database.run("CREATE SCHEMA alive_index; CREATE TYPE alive_index.news AS (x int)").await;
    let error = PostgresStore::open(database.config()).await.unwrap_err();
    assert!(matches!(cause(&error), PostgresStoreError::Statement(_)), "{error:?}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'alive_index'";
    assert_eq!(database.count(tables).await, 0);
    database.run("DROP TYPE alive_index.news").await;
    database.open().await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_later_version_and_another_program_are_refused() {
    let database = Database::start();
    database.open().await;
    database.run("INSERT INTO alive_index.schema_migrations VALUES (99, 'later')").await;
    let later = PostgresStore::open(database.config()).await.unwrap_err();
    assert!(matches!(cause(&later), PostgresStoreError::Newer { found: 99, .. }), "{later:?}");

    database.run("CREATE SCHEMA theirs; CREATE TABLE theirs.bookmarks (url text)").await;
    let theirs =
        PostgresStore::open(database.config().schema("theirs").unwrap()).await.unwrap_err();
    assert!(matches!(cause(&theirs), PostgresStoreError::Foreign(_)), "{theirs:?}");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_reader_needs_no_right_to_write() {
    let database = Database::start();
    let steps = steps(3).await;
    database.open().await.commit(&hive(), &steps[0]).await.unwrap();
    database
        .run(
            "CREATE ROLE viewer LOGIN; GRANT USAGE ON SCHEMA alive_index TO viewer;
            GRANT SELECT ON ALL TABLES IN SCHEMA alive_index TO viewer",
        )
        .await;
    let address = database.server.address().replace("user=haf", "user=viewer");
    let viewer = PostgresStore::open(PostgresStoreConfig::new(&address).unwrap()).await.unwrap();
    assert_eq!(viewer.cursor(&hive()).await.unwrap().unwrap().last.num, 1);
    assert!(viewer.stream(&"hive/alice/s".parse().unwrap()).await.unwrap().is_some());
    let refused = viewer.commit(&hive(), &steps[1]).await.unwrap_err();
    assert!(matches!(cause(&refused), PostgresStoreError::Statement(_)), "{refused:?}");
    assert_eq!(viewer.cursor(&hive()).await.unwrap().unwrap().last.num, 1);
}
