//! A chain as hived writes it into HAF, stepped by hand.

use std::{cell::Cell, time::Duration};

use alive_core::{
    AccountName, Network,
    backend::{Block, BlockRef, BlockSource as _, Next, SourceError},
    testing::ChainDriver,
};
use alive_hive::haf::{HafBlockSource, HafBlockSourceConfig};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::server::Server;

pub(crate) const CUSTOM_JSON: i32 = 18;

/// HAF's database with a chain in it.
#[derive(Debug)]
pub(crate) struct Haf {
    pub(crate) server: Server,
    client: Client,
    head: Cell<i32>,
    /// Counts blocks ever made, so that no two have the same id.
    made: Cell<u32>,
}

/// One operation of a block, as text that becomes `jsonb`.
pub(crate) type Operation = (i32, String);

/// A custom operation of ours.
pub(crate) fn ours(account: &str, payload: &str) -> Operation {
    custom(&json!({
        "id": "alive-test", "json": payload, "required_auths": [], "required_posting_auths": [account],
    }))
}

/// Any custom operation.
pub(crate) fn custom(value: &Value) -> Operation {
    (CUSTOM_JSON, json!({ "type": "custom_json_operation", "value": value }).to_string())
}

impl Haf {
    /// A database without blocks.
    pub(crate) async fn start() -> Self {
        let server = Server::start();
        let client = connect(&server).await;
        client.batch_execute(include_str!("stand_in.sql")).await.unwrap();
        Self { server, client, head: Cell::new(0), made: Cell::new(0) }
    }

    /// A database with this many empty blocks, the first `irreversible` of them irreversible.
    pub(crate) async fn with_blocks(count: i32, irreversible: i32) -> Self {
        let haf = Self::start().await;
        for _ in 0..count {
            haf.push(&[]).await;
        }
        haf.finalize_to(irreversible).await;
        haf
    }

    /// Crashes the server and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.server.crash();
        self.server.start_again();
        self.client = connect(&self.server).await;
    }

    pub(crate) fn config(&self) -> HafBlockSourceConfig {
        HafBlockSourceConfig::new(&self.server.address())
            .unwrap()
            .poll_interval(Duration::from_millis(5))
            .massive_distance(20)
            .batch(50)
    }

    pub(crate) fn source(&self) -> HafBlockSource {
        source_of(self.config())
    }

    /// Adds a block with these operations.
    pub(crate) async fn push(&self, operations: &[Operation]) {
        let made = self.made.replace(self.made.get() + 1) + 1;
        let num = self.head.replace(self.head.get() + 1) + 1;
        let previous = match num {
            1 => vec![0; 20],
            _ => self.hash(num - 1).await,
        };
        let hash = [&num.to_be_bytes()[..], &made.to_be_bytes(), &[7; 12]].concat();
        self.push_as(num, &hash, &previous, f64::from(num) * 3.0, operations).await;
    }

    /// Adds a block as it is elsewhere.
    pub(crate) async fn push_as(
        &self,
        num: i32,
        hash: &[u8],
        previous: &[u8],
        secs: f64,
        operations: &[Operation],
    ) {
        self.head.set(num);
        let (types, bodies): (Vec<i32>, Vec<&str>) =
            operations.iter().map(|(kind, body)| (*kind, &**body)).unzip();
        let sql = "SELECT hafd.push_block($1, $2, $3, to_timestamp($4) AT TIME ZONE 'UTC', $5, $6)";
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&num, &hash, &previous, &secs, &types, &bodies];
        self.client.execute(sql, &parameters).await.unwrap();
    }

    /// Makes blocks up to this one irreversible.
    pub(crate) async fn finalize_to(&self, num: i32) {
        self.client.execute("SELECT hafd.set_irreversible($1)", &[&num]).await.unwrap();
    }

    pub(crate) async fn finalize(&self) {
        self.finalize_to(self.head.get()).await;
    }

    /// Takes back the last blocks, as HAF does or as its lite mode does.
    pub(crate) async fn pop(&self, count: i32, is_lite: bool) {
        self.head.set(self.head.get() - count);
        let sql = "SELECT hafd.back_from_fork($1, $2)";
        self.client.execute(sql, &[&self.head.get(), &is_lite]).await.unwrap();
    }

    /// Runs statements as a database administrator.
    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// The text of one value.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let sql = format!("SELECT ({sql})::text");
        let row = self.client.query_one(&sql, &[]).await.unwrap();
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }

    /// The last block that the context has handed out for good.
    pub(crate) async fn committed(&self) -> String {
        self.value("SELECT current_block_num FROM hafd.contexts").await
    }

    async fn hash(&self, num: i32) -> Vec<u8> {
        let sql = "SELECT hash FROM hive.blocks_view WHERE num = $1";
        self.client.query_one(sql, &[&num]).await.unwrap().get(0)
    }
}

/// A source with other settings.
pub(crate) fn source_of(config: HafBlockSourceConfig) -> HafBlockSource {
    HafBlockSource::new(Network::hive(), config)
}

async fn connect(server: &Server) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.address(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// An indexer that keeps block references only.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    pub(crate) blocks: Vec<Block>,
    pub(crate) irreversible: u64,
}

impl Caller {
    pub(crate) fn last(&self) -> Option<&BlockRef> {
        self.blocks.last().map(|block| &block.at)
    }

    pub(crate) fn nums(&self) -> Vec<u64> {
        self.blocks.iter().map(|block| block.at.num).collect()
    }

    /// Asks once and keeps what comes; how many blocks that were, `None` for a fork.
    pub(crate) async fn step(
        &mut self,
        source: &HafBlockSource,
        limit: usize,
    ) -> Result<Option<usize>, SourceError> {
        match source.next(self.last(), limit).await? {
            Next::Forked => {
                self.blocks.pop().expect("something to undo");
                Ok(None)
            }
            Next::Blocks { blocks, irreversible } => {
                assert!(irreversible >= self.irreversible);
                self.irreversible = irreversible;
                let count = blocks.len();
                for block in blocks {
                    if let Some(last) = self.last() {
                        assert_eq!((block.at.num, &block.previous), (last.num + 1, &last.id));
                    }
                    self.blocks.push(block);
                }
                Ok(Some(count))
            }
        }
    }

    /// Asks until nothing more comes, and gives the sizes of the pieces.
    pub(crate) async fn catch_up(&mut self, source: &HafBlockSource, limit: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        loop {
            match self.step(source, limit).await.unwrap() {
                Some(0) => return sizes,
                Some(size) => sizes.push(size),
                None => {}
            }
        }
    }
}

/// A chain for core's suite, every block irreversible at once or only on demand.
#[derive(Debug)]
pub(crate) struct Driver<'a> {
    pub(crate) haf: &'a Haf,
    pub(crate) is_reversible: bool,
}

impl ChainDriver for Driver<'_> {
    fn account(&self) -> AccountName {
        "alice".parse().unwrap()
    }

    async fn produce(&self, payloads: &[String]) {
        let operations: Vec<_> = payloads.iter().map(|payload| ours("alice", payload)).collect();
        self.haf.push(&operations).await;
        if !self.is_reversible {
            self.haf.finalize().await;
        }
    }

    async fn pop(&self, count: usize) -> bool {
        if self.is_reversible {
            self.haf.pop(i32::try_from(count).unwrap(), true).await;
        }
        self.is_reversible
    }

    async fn finalize(&self) -> bool {
        self.haf.finalize().await;
        true
    }
}
