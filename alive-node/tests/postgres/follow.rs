//! Readers are told of every step, in order, or told that they missed some.

use std::time::Duration;

use alive_core::backend::StreamStore as _;
use alive_node::{NodeEvent, PostgresStore};
use tokio::{sync::broadcast, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::database::{Database, hive, steps};

/// What a node hears.
struct Ear {
    events: broadcast::Receiver<NodeEvent>,
    _cancel: tokio_util::sync::DropGuard,
}

impl Ear {
    fn open(store: &PostgresStore) -> Self {
        let (tell, events) = broadcast::channel(4096);
        let (cancel, store) = (CancellationToken::new(), store.clone());
        let guard = cancel.clone().drop_guard();
        tokio::spawn(async move { store.follow(tell, cancel).await });
        Self { events, _cancel: guard }
    }

    /// The next event as text.
    async fn hear(&mut self) -> String {
        let event = timeout(Duration::from_secs(20), self.events.recv());
        match event.await.expect("an event in time").unwrap() {
            NodeEvent::BlockApplied { block, .. } => format!("applied {}", block.num),
            NodeEvent::BlockUndone { block, .. } => format!("undone {}", block.num),
            NodeEvent::Missed(network) => format!("missed {network}"),
            NodeEvent::StreamChanged(id) => format!("changed {id}"),
            NodeEvent::StreamEnded(id) => format!("ended {id}"),
            other => panic!("{other:?}"),
        }
    }

    async fn expect(&mut self, blocks: impl Iterator<Item = u64>) {
        for block in blocks {
            assert_eq!(self.hear().await, "changed hive/alice/s");
            assert_eq!(self.hear().await, format!("applied {block}"));
        }
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn all_nodes_hear_every_step_in_order_through_cut_connections() {
    let database = Database::start();
    let (leader, reader) = (database.open().await, database.open().await);
    let steps = steps(30).await;
    leader.commit(&hive(), &steps[0]).await.unwrap();
    let (mut one, mut other) = (Ear::open(&leader), Ear::open(&reader));
    assert_eq!(one.hear().await, "missed hive");
    assert_eq!(other.hear().await, "missed hive");
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'alive' AND query NOT LIKE '%advisory%'";
    for (number, step) in (1_u64..).zip(&steps).skip(1) {
        if number % 3 == 0 {
            database.run(cut).await;
        }
        while leader.commit(&hive(), step).await.is_err() {
            if leader.cursor(&hive()).await.unwrap().unwrap().last.num > number {
                break;
            }
        }
    }
    one.expect(2..=30).await;
    other.expect(2..=30).await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn who_was_away_for_too_long_is_told_so_and_then_of_the_rest() {
    let database = Database::start();
    let store = database.open().await;
    let steps = steps(9).await;
    store.commit(&hive(), &steps[0]).await.unwrap();
    let mut ear = Ear::open(&store);
    assert_eq!(ear.hear().await, "missed hive");
    store.commit(&hive(), &steps[1]).await.unwrap();
    ear.expect(2..=2).await;

    // Nothing wakes it, and of what happens meanwhile only the end is kept.
    let listener = "SELECT pid FROM pg_stat_activity
        WHERE query LIKE 'SELECT id, name, version%' OR query LIKE 'SELECT version, told%'";
    let pid: i32 = database.admin().await.query_one(listener, &[]).await.unwrap().get(0);
    let stop = |signal: &str| {
        let status = std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
        assert!(status.unwrap().success());
    };
    stop("-STOP");
    for step in &steps[2..7] {
        store.commit(&hive(), step).await.unwrap();
    }
    database.run("DELETE FROM alive_index.news WHERE version < 6").await;
    stop("-CONT");
    assert_eq!(ear.hear().await, "missed hive");
    ear.expect(6..=7).await;

    // A backup is put back.
    database.run("UPDATE alive_index.networks SET version = 3; DELETE FROM alive_index.news").await;
    assert_eq!(ear.hear().await, "missed hive");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn who_cannot_be_told_looks() {
    let database = Database::start();
    let config = database.config().poll_interval(Duration::from_millis(20));
    let store = PostgresStore::open(config).await.unwrap();
    let steps = steps(9).await;
    store.commit(&hive(), &steps[0]).await.unwrap();
    let mut ear = Ear::open(&store);
    assert_eq!(ear.hear().await, "missed hive");
    store.commit(&hive(), &steps[1]).await.unwrap();
    ear.expect(2..=2).await;
    // A leader on a server that has no notifications.
    let quietly = "INSERT INTO alive_index.news SELECT network, 3, told FROM alive_index.news WHERE version = 2;
        UPDATE alive_index.networks SET version = 3";
    database.run(quietly).await;
    ear.expect(2..=2).await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn what_is_kept_is_bounded() {
    let database = Database::start();
    let store = database.open().await;
    for step in &steps(1100).await {
        store.commit(&hive(), step).await.unwrap();
    }
    assert_eq!(database.count("SELECT count(*) FROM alive_index.news").await, 1024);
    assert_eq!(database.count("SELECT min(version) FROM alive_index.news").await, 77);
}
