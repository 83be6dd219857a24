//! Reads the blocks of the chain: [`AvalonBlockSource`].

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use alive_core::{
    Network, Timestamp,
    backend::{self, BlockRef, BlockSource, Next, SourceError},
};
use futures_util::{StreamExt as _, stream};

use crate::{
    block::{Block, BlockError, BlockHashing, FIRST_PLAYLIST_BLOCK},
    keys::PublicKey,
    stream_tx::stream_ops,
};

use super::{BACKEND, client::RpcClient, error::RpcError, node::ChainNode};

/// Settings of an [`AvalonBlockSource`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AvalonBlockSourceConfig {
    /// The first block of interest.
    pub from_block: u64,
    /// How many of the newest blocks are left alone: with as many as stay replaceable, nothing has to be taken back.
    pub head_lag: u64,
    /// How many blocks behind the head is the last one that no node may replace any more. Leaders confirm a block before
    /// nodes serve it, so what this guards against is a node that was on a fork, or lied.
    pub irreversible_lag: u64,
    /// The keys of leaders by name. If there are any, each block must be signed by its leader's.
    pub leaders: BTreeMap<Box<str>, PublicKey>,
    /// Most blocks to give at once, at least 1.
    pub page: usize,
    /// Blocks that are asked for at the same time, at least 1.
    pub parallel: usize,
    /// Time between two looks for a new block.
    pub poll_interval: Duration,
}

impl AvalonBlockSourceConfig {
    /// Sets the first block of interest.
    #[must_use]
    pub fn from_block(self, number: u64) -> Self {
        Self { from_block: number, ..self }
    }

    /// Sets how many of the newest blocks are left alone.
    #[must_use]
    pub fn head_lag(self, blocks: u64) -> Self {
        Self { head_lag: blocks, ..self }
    }

    /// Sets how many blocks stay replaceable.
    #[must_use]
    pub fn irreversible_lag(self, blocks: u64) -> Self {
        Self { irreversible_lag: blocks, ..self }
    }

    /// Trusts a leader's key; blocks of leaders that are not trusted are refused from now on.
    #[must_use]
    pub fn leader(mut self, name: &str, key: PublicKey) -> Self {
        self.leaders.insert(name.into(), key);
        self
    }

    /// Sets the time between two looks for a new block.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.max(Duration::from_millis(1)), ..self }
    }
}

impl Default for AvalonBlockSourceConfig {
    fn default() -> Self {
        Self {
            from_block: FIRST_PLAYLIST_BLOCK,
            head_lag: 0,
            irreversible_lag: 20,
            leaders: BTreeMap::new(),
            page: 100,
            parallel: 8,
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// Blocks of Avalon up to the head, with the operations of streams.
///
/// Every block's hash and its link to the one before are checked, and its leader's signature where the key is known.
/// Signatures of transactions are not: that takes the keys that accounts had then, which no node tells.
///
/// ```
/// use alive_avalon::rpc;
/// use alive_core::backend::{BlockSource, Next};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = rpc::RpcClient::new(rpc::RpcConfig::new(["https://avalon.d.tube"])?)?;
/// let source = rpc::AvalonBlockSource::new(client, rpc::AvalonBlockSourceConfig::default());
/// if let Next::Blocks { blocks, .. } = source.next(None, 100).await? {
///     println!("{} blocks", blocks.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AvalonBlockSource {
    node: ChainNode,
    network: Network,
    config: AvalonBlockSourceConfig,
    /// The highest number that was ever irreversible: a node that is behind takes nothing back.
    irreversible: AtomicU64,
}

impl AvalonBlockSource {
    /// A source over these nodes.
    pub fn new(client: RpcClient, config: AvalonBlockSourceConfig) -> Self {
        let irreversible = AtomicU64::new(0);
        Self { node: ChainNode { client }, network: Network::avalon(), config, irreversible }
    }

    async fn read(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, Failure> {
        let head = self.node.count().await?;
        let settled = head.saturating_sub(self.config.irreversible_lag);
        let irreversible = self.irreversible.fetch_max(settled, Ordering::Relaxed).max(settled);
        let head = head.saturating_sub(self.config.head_lag);
        let found = |blocks| Next::Blocks { blocks, irreversible };
        if let Some(after) = after.filter(|after| after.num >= head) {
            if after.num > head {
                // A node that is behind says nothing against a block that no node may replace.
                let is_behind = after.num <= irreversible;
                return Ok(if is_behind { found(Vec::new()) } else { Next::Forked });
            }
            return match self.node.block(head).await? {
                Some(block) if block.hash() == after.id.as_str() => Ok(found(Vec::new())),
                Some(_) => Ok(Next::Forked),
                None => Err(RpcError::Answer("the block that it counts").into()),
            };
        }
        let start = after.map_or(self.config.from_block, |after| after.num + 1);
        let count = u64::try_from(limit.min(self.config.page.max(1))).unwrap_or(u64::MAX);
        let end = start.saturating_add(count).min(head + 1);
        let mut answers = stream::iter(start..end)
            .map(|num| self.node.block(num))
            .buffered(self.config.parallel.max(1));
        let mut blocks: Vec<Block> = Vec::new();
        while let Some(answer) = answers.next().await {
            // It may be gone again, or asked from a node that does not have it yet.
            let Some(block) = answer? else { break };
            self.check_leader(&block)?;
            match (blocks.last(), after) {
                (Some(last), _) if block.previous() != last.hash() => break,
                (None, Some(after)) if block.previous() != after.id.as_str() => {
                    return Ok(Next::Forked);
                }
                _ => blocks.push(block),
            }
        }
        let blocks: Option<Vec<_>> = blocks.iter().map(to_core).collect();
        Ok(found(blocks.ok_or(RpcError::Answer("blocks with ids"))?))
    }

    fn check_leader(&self, block: &Block) -> Result<(), Failure> {
        if self.config.leaders.is_empty() {
            return Ok(());
        }
        let key = self.config.leaders.get(block.miner());
        Ok(block.check(BlockHashing::at(block.num()), key)?)
    }
}

impl BlockSource for AvalonBlockSource {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        self.read(after, limit).await.map_err(Failure::into_error)
    }

    fn poll_interval(&self) -> Duration {
        self.config.poll_interval
    }

    fn network(&self) -> &Network {
        &self.network
    }
}

/// `None` if a hash is none that core takes.
fn to_core(block: &Block) -> Option<backend::Block> {
    Some(backend::Block {
        at: BlockRef { num: block.num(), id: block.hash().parse().ok()? },
        previous: block.previous().parse().ok()?,
        time: Timestamp::from_unix_ms(block.time_ms()),
        ops: block.transactions().flat_map(|parts| stream_ops(&parts)).collect(),
    })
}

/// Why there are no blocks.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("a block is not signed by its leader")]
    Block(#[from] BlockError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl Failure {
    fn into_error(self) -> SourceError {
        let is_transient = match &self {
            Self::Block(_) => false,
            Self::Rpc(error) => error.is_transient(),
        };
        let (backend, source): (_, backend::Cause) = (BACKEND, Box::new(self));
        if is_transient {
            SourceError::Unavailable { backend, source }
        } else {
            SourceError::Refused { backend, source }
        }
    }
}
