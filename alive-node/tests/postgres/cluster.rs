//! Whole nodes on one database: they fight for the lead, lose it, and the index comes out as if there had been one.

use std::time::Duration;

use alive_core::{
    Network, StreamId,
    backend::{SharedBlockSource, SharedStorage, SharedStreamStore, StreamStore as _},
    memory::{MemoryChain, MemoryStorage, MemoryStreamStore},
};
use alive_node::{Backends, Indexer, Node, NodeConfig, NodeEvent, PostgresStore, RunningNode};
use tokio::time::timeout;

use crate::database::{Database, block, configure, end, hive, push};

const LONG: Duration = Duration::from_mins(1);

async fn node(database: &Database, chain: Option<&MemoryChain>) -> RunningNode {
    let config = database
        .config()
        .lease(Duration::from_millis(600))
        .takeover_interval(Duration::from_millis(20));
    let store = PostgresStore::open(config).await.unwrap();
    let storage = SharedStorage::new(MemoryStorage::default());
    let mut backends = Backends::in_cluster(store, storage);
    if let Some(chain) = chain {
        backends = backends.source(SharedBlockSource::new(chain.clone()));
    }
    let config = NodeConfig::default().address(([127, 0, 0, 1], 0).into()).page(3);
    Node::start(config, backends).await.unwrap()
}

/// A node's ear.
struct Ear<'n> {
    node: &'n RunningNode,
    events: tokio::sync::broadcast::Receiver<NodeEvent>,
}

impl<'n> Ear<'n> {
    fn of(node: &'n RunningNode) -> Self {
        Self { node, events: node.events() }
    }

    /// Waits until the node has heard of a block of this number, or that it missed some and then finds it.
    async fn hears(&mut self, num: u64) {
        let heard = async {
            loop {
                let at = match self.events.recv().await.unwrap() {
                    NodeEvent::BlockApplied { block, .. } => block.num,
                    NodeEvent::Missed(_) => {
                        let cursor = self.node.cursor().await.unwrap();
                        cursor.map_or(0, |cursor| cursor.last.num)
                    }
                    _ => continue,
                };
                if at >= num {
                    break;
                }
            }
        };
        timeout(LONG, heard).await.expect("the block is heard of in time");
    }
}

/// Waits until the index is at the chain's head.
async fn settles(node: &RunningNode, chain: &MemoryChain) {
    let at_head = async {
        while node.cursor().await.ok().flatten().map(|cursor| cursor.last) != chain.head() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, at_head).await.expect("the index comes to the head in time");
}

/// What one indexer makes of a chain.
async fn alone(chain: &MemoryChain) -> MemoryStreamStore {
    let store = MemoryStreamStore::default();
    let shared = SharedStreamStore::new(store.clone());
    let mut indexer = Indexer::new(SharedBlockSource::new(chain.clone()), shared);
    while indexer.step().await.unwrap().is_behind() {}
    store
}

async fn assert_same(database: &Database, chain: &MemoryChain, links: u32) {
    let (got, want) = (database.open().await, alone(chain).await);
    assert_eq!(got.cursor(&hive()).await.unwrap(), want.cursor(&hive()).await.unwrap());
    assert_eq!(got.reversible(&hive()).await.unwrap(), want.reversible(&hive()).await.unwrap());
    for link in 0..links {
        let id: StreamId = format!("hive/alice/s{link}").parse().unwrap();
        assert_eq!(got.stream(&id).await.unwrap(), want.stream(&id).await.unwrap(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql"]
async fn nodes_fight_for_the_lead_and_the_index_is_as_of_one() {
    const ROUNDS: u32 = 60;
    let database = Database::start();
    let chain = MemoryChain::new(Network::hive());
    block(&chain, &(0..4).map(|link| configure(&format!("s{link}"))).collect::<Vec<_>>());
    let nodes = [
        node(&database, Some(&chain)).await,
        node(&database, Some(&chain)).await,
        node(&database, Some(&chain)).await,
    ];
    let admin = database.admin().await;
    for round in 0..ROUNDS {
        let link = |n: u32| format!("s{}", (round + n) % 4);
        block(&chain, &[push(&link(0), round / 4), push(&link(1), round / 4)]);
        block(&chain, &[push(&link(2), round / 4 + 1), end("nowhere")]);
        match round % 5 {
            // Whoever leads is cut off in the middle of whatever it does.
            0 => {
                let cut =
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
                admin.batch_execute(cut).await.unwrap();
            }
            // Everybody is.
            2 => {
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'alive'";
                admin.batch_execute(cut).await.unwrap();
            }
            // The term is somebody else's.
            3 => {
                admin
                    .batch_execute("UPDATE alive_index.networks SET term = term + 1")
                    .await
                    .unwrap();
            }
            _ => {
                chain.pop(2);
                chain.drop_pending();
                block(&chain, &[push(&link(3), round / 4)]);
                block(&chain, &[]);
            }
        }
        if round % 7 == 0 {
            settles(&nodes[1], &chain).await;
            chain.set_irreversible(chain.head().unwrap().num - 1);
        }
    }
    block(&chain, &[end("s0")]);
    settles(&nodes[2], &chain).await;
    let led = database.count("SELECT term FROM alive_index.networks").await;
    assert!(led > 12, "the lead has changed hands {led} times");
    for node in nodes {
        node.shutdown().await;
    }
    assert_same(&database, &chain, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql"]
async fn a_node_that_stops_hands_over_at_once_and_readers_hear_of_both() {
    let database = Database::start();
    let chain = MemoryChain::new(Network::hive());
    let one = node(&database, Some(&chain)).await;
    let reader = node(&database, None).await;
    let mut ear = Ear::of(&reader);
    block(&chain, &[configure("s0")]);
    ear.hears(1).await;
    let other = node(&database, Some(&chain)).await;
    let leaders = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    assert_eq!(database.count(leaders).await, 1);
    one.shutdown().await;
    block(&chain, &[push("s0", 0)]);
    ear.hears(2).await;
    assert_eq!(database.count("SELECT term FROM alive_index.networks").await, 2);
    assert_eq!(reader.cursor().await.unwrap().unwrap().last.num, 2);
    assert_same(&database, &chain, 1).await;
    other.shutdown().await;
    // A reader never leads.
    block(&chain, &[push("s0", 1)]);
    assert!(timeout(Duration::from_millis(300), ear.hears(3)).await.is_err());
    reader.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql"]
async fn a_database_that_goes_away_and_comes_back_is_followed_on() {
    let database = Database::start();
    let chain = MemoryChain::new(Network::hive());
    let nodes = [node(&database, Some(&chain)).await, node(&database, Some(&chain)).await];
    let mut ear = Ear::of(&nodes[1]);
    block(&chain, &[configure("s0")]);
    ear.hears(1).await;
    for round in 0..3 {
        database.server.crash();
        block(&chain, &[push("s0", round)]);
        let error = nodes[0].cursor().await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        database.server.start_again();
        ear.hears(u64::from(round) + 2).await;
    }
    for node in nodes {
        node.shutdown().await;
    }
    assert_same(&database, &chain, 1).await;
}
