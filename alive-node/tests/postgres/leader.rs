//! One leader at a time, and no word of one that leads no longer.

use std::time::Duration;

use alive_core::backend::{StoreError, StreamStore};
use alive_node::{PostgresStore, PostgresStoreError};
use tokio::time::timeout;

use crate::database::{Database, cause, hive, steps};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

async fn last(store: &impl StreamStore) -> u64 {
    store.cursor(&hive()).await.unwrap().map_or(0, |cursor| cursor.last.num)
}

fn is_not_leader(refused: &Result<(), StoreError>) -> bool {
    refused.as_ref().is_err_and(|error| {
        error.is_transient() && matches!(cause(error), PostgresStoreError::NotLeader(_))
    })
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn while_one_leads_no_other_writes_and_when_it_goes_another_takes_over() {
    let database = Database::start();
    let (one, other) = (database.open().await, database.open().await);
    let steps = steps(3).await;
    let leadership = one.lead(&hive()).await;
    one.commit(&hive(), &steps[0]).await.unwrap();
    let refused = other.commit(&hive(), &steps[1]).await;
    assert!(is_not_leader(&refused), "{refused:?}");
    assert!(timeout(Duration::from_millis(50), other.lead(&hive())).await.is_err());
    // Another network is another matter.
    drop(timeout(LONG, other.lead(&"avalon".parse().unwrap())).await.unwrap());

    drop(leadership);
    let leadership = timeout(LONG, other.lead(&hive())).await.unwrap();
    other.commit(&hive(), &steps[1]).await.unwrap();
    let refused = one.commit(&hive(), &steps[2]).await;
    assert!(is_not_leader(&refused), "{refused:?}");
    assert_eq!(last(&one).await, 2);
    drop(leadership);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_leader_that_is_silent_for_a_lease_is_one_no_longer() {
    let database = Database::start();
    let config = database.config().lease(Duration::from_millis(300));
    let asleep = PostgresStore::open(config.clone()).await.unwrap();
    let awake = PostgresStore::open(config).await.unwrap();
    let steps = steps(3).await;
    // Nobody polls `lost`: as good as a process that is stopped.
    let leadership = asleep.lead(&hive()).await;
    asleep.commit(&hive(), &steps[0]).await.unwrap();
    let other = timeout(LONG, awake.lead(&hive())).await.unwrap();
    awake.commit(&hive(), &steps[1]).await.unwrap();
    timeout(LONG, leadership.lost()).await.unwrap();
    drop(leadership);
    // It keeps its lead as long as it is heard.
    let held = timeout(Duration::from_secs(1), other.lost()).await;
    assert!(held.is_err(), "a leader that is heard lost its lead");
    let hive = hive();
    tokio::select! {
        refused = asleep.commit(&hive, &steps[2]) => assert!(is_not_leader(&refused), "{refused:?}"),
        () = other.lost() => panic!("a leader that is heard lost its lead"),
    }
    assert_eq!(last(&awake).await, 2);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn an_old_leader_is_fenced_even_where_the_lock_means_nothing() {
    let database = Database::start();
    let config = database.config().lease(Duration::from_millis(300));
    let store = PostgresStore::open(config).await.unwrap();
    let steps = steps(3).await;
    let leadership = store.lead(&hive()).await;
    store.commit(&hive(), &steps[0]).await.unwrap();
    // What another leader does first.
    database.run("UPDATE alive_index.networks SET term = term + 1").await;
    let refused = store.commit(&hive(), &steps[1]).await;
    assert!(is_not_leader(&refused), "{refused:?}");
    assert_eq!(last(&store).await, 1);
    timeout(LONG, leadership.lost()).await.unwrap();

    let leadership = store.lead(&hive()).await;
    database.run("UPDATE alive_index.networks SET term = term + 1").await;
    timeout(LONG, leadership.lost()).await.expect("a heartbeat notices, too");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_commit_that_is_cut_off_happened_whole_or_not() {
    let database = Database::start();
    let store = database.open().await;
    let steps = steps(40).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'alive' AND state <> 'idle'";
    let (mut failures, admin) = (0, database.admin().await);
    for (number, step) in (1_u64..).zip(&steps) {
        while last(&store).await < number {
            let (hive, commit) = (hive(), async { store.commit(&hive(), step).await });
            let (done, _) = tokio::join!(commit, admin.batch_execute(cut));
            let after = last(&store).await;
            match done {
                Ok(()) => assert_eq!(after, number),
                Err(error) => {
                    assert!(error.is_transient() || matches!(error, StoreError::Order { .. }));
                    assert!(after == number || after == number - 1, "{after} for {number}");
                    failures += 1;
                }
            }
            let stream = store.stream(&"hive/alice/s".parse().unwrap()).await.unwrap();
            let pushes = stream.map_or(0, |stream| stream.pushes.len() as u64 + 1);
            assert_eq!(pushes, last(&store).await, "{hive}: the cursor and the stream are one");
        }
    }
    assert!(failures > 0, "some of them were cut");
}
