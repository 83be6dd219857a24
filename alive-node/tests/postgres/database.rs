//! A database of a test's own, and a chain to index into it.

use std::sync::Arc;

use alive_core::{
    Index, Network, Timestamp,
    backend::{Block, BlockSource as _, Commit, Next, StoreError},
    memory::MemoryChain,
};
use alive_node::{PostgresStore, PostgresStoreConfig, PostgresStoreError};
use tokio_postgres::{Client, NoTls};

use crate::server::Server;

pub(crate) const CHUNK: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

/// A server with an empty database.
pub(crate) struct Database {
    pub(crate) server: Arc<Server>,
}

impl Database {
    pub(crate) fn start() -> Self {
        Self { server: Arc::new(Server::start()) }
    }

    pub(crate) fn config(&self) -> PostgresStoreConfig {
        PostgresStoreConfig::new(&self.server.address()).unwrap()
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(self.config()).await.unwrap()
    }

    /// A connection of the administrator's.
    pub(crate) async fn admin(&self) -> Client {
        self.client(&self.server.address()).await
    }

    pub(crate) async fn client(&self, address: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Runs statements as the administrator.
    pub(crate) async fn run(&self, sql: &str) {
        self.admin().await.batch_execute(sql).await.unwrap();
    }

    /// A number that the administrator asks for.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.admin().await.query_one(sql, &[]).await.unwrap().get(0)
    }
}

pub(crate) fn hive() -> Network {
    Network::hive()
}

pub(crate) fn configure(link: &str) -> String {
    format!(r#"{{"op":2,"link":"{link}"}}"#)
}

pub(crate) fn push(link: &str, seq: u32) -> String {
    format!(r#"{{"op":0,"link":"{link}","seq":{seq},"src":"{CHUNK}"}}"#)
}

pub(crate) fn end(link: &str) -> String {
    format!(r#"{{"op":1,"link":"{link}"}}"#)
}

/// Makes a block of these payloads of alice's.
pub(crate) fn block(chain: &MemoryChain, payloads: &[String]) {
    for payload in payloads {
        assert!(chain.submit("alice".parse().unwrap(), payload.clone()));
    }
    chain.produce(Timestamp::from_unix_secs(1_700_000_000));
}

/// The steps of an indexer over a chain of one stream, one block each: it is created, then pushed to.
pub(crate) async fn steps(count: u32) -> Vec<Commit> {
    let chain = MemoryChain::new(hive());
    block(&chain, &[configure("s")]);
    (0..count.saturating_sub(1)).for_each(|seq| block(&chain, &[push("s", seq)]));
    let mut index = Index::default();
    let Next::Blocks { blocks, .. } = chain.next(None, 10_000).await.unwrap() else { panic!() };
    let step = |block: &Block| {
        let blocks = vec![index.apply_block(block).unwrap().changes];
        Commit::Apply { blocks, irreversible: 0 }
    };
    blocks.iter().map(step).collect()
}

/// The cause of a failure of the store.
pub(crate) fn cause(error: &StoreError) -> &PostgresStoreError {
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref().expect("a PostgresStoreError")
}
