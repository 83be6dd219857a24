//! Reads the blocks of a chain: [`HiveBlockSource`].

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use alive_core::{
    DEFAULT_CUSTOM_JSON_ID, Network,
    backend::{self, Block, BlockRef, BlockSource, Next, SourceError},
};
use serde_json::Value;

use crate::{
    block::{BlockMismatch, ReportedBlock},
    block_id::BlockId,
    extract::{BlockAnswer, ExtractedBlock, extract_blocks},
    header::SignedHeader,
    network::{HiveNetwork, KeyPrefix},
};

use super::{
    BACKEND,
    client::{RpcClient, RpcError},
    node::{ChainNode, Head},
};

/// Settings of a [`HiveBlockSource`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HiveBlockSourceConfig {
    /// The id of the custom operations to read.
    pub custom_json_id: Box<str>,
    /// The first block of interest, from 1.
    pub from_block: u32,
    /// Most blocks to ask for at once, 1 to 1000.
    pub page: u32,
    /// Time between two looks for a new block.
    pub poll_interval: Duration,
}

impl HiveBlockSourceConfig {
    /// Most blocks that a node gives at once. Source: `spec/hive.md`, section 5.3.
    pub const MAX_PAGE: u32 = 1000;

    /// Sets the id of the custom operations.
    #[must_use]
    pub fn custom_json_id(self, id: impl Into<Box<str>>) -> Self {
        Self { custom_json_id: id.into(), ..self }
    }

    /// Sets the first block of interest.
    #[must_use]
    pub fn from_block(self, number: u32) -> Self {
        Self { from_block: number.max(1), ..self }
    }

    /// Sets how many blocks to ask for at once.
    #[must_use]
    pub fn page(self, blocks: u32) -> Self {
        Self { page: blocks.clamp(1, Self::MAX_PAGE), ..self }
    }

    /// Sets the time between two looks for a new block.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.max(Duration::from_millis(1)), ..self }
    }
}

impl Default for HiveBlockSourceConfig {
    fn default() -> Self {
        Self {
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.into(),
            from_block: 1,
            page: 100,
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// Blocks of a Hive chain up to its head, with the operations under one `custom_json` id.
///
/// Every block's number, its link to the one before and, unless its header has an unknown extension, its id are
/// checked, and the transactions of a block with operations of ours against its Merkle root if none holds an operation
/// that this crate does not know. Reversible blocks are given as they come; one that another replaces is [`Next::Forked`].
///
/// ```
/// use alive_core::backend::{BlockSource, Next};
/// use alive_hive::{HiveNetwork, rpc};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = rpc::RpcClient::new(rpc::RpcConfig::new(["https://api.hive.blog"])?)?;
/// let config = rpc::HiveBlockSourceConfig::default().from_block(100_000_000);
/// let source = rpc::HiveBlockSource::new(client, HiveNetwork::hive(), config);
/// if let Next::Blocks { blocks, .. } = source.next(None, 100).await? {
///     println!("{} blocks", blocks.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HiveBlockSource {
    node: ChainNode,
    config: HiveBlockSourceConfig,
    /// The highest number that any node called irreversible: a node that is behind takes nothing back.
    irreversible: AtomicU32,
}

impl HiveBlockSource {
    /// A source over these nodes.
    pub fn new(client: RpcClient, network: HiveNetwork, config: HiveBlockSourceConfig) -> Self {
        Self { node: ChainNode::new(client, network), config, irreversible: AtomicU32::new(0) }
    }

    async fn read(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, Failure> {
        self.node.check_chain().await?;
        let head = self.node.head().await?;
        let before = self.irreversible.fetch_max(head.irreversible, Ordering::Relaxed);
        let irreversible = before.max(head.irreversible);
        let found = |blocks| Next::Blocks { blocks, irreversible: irreversible.into() };
        let (start, previous) = match after.map(|after| place(after, &head, irreversible)) {
            None => (self.config.from_block, None),
            Some(Place::Follow(id)) => (id.block_num().saturating_add(1), Some(id)),
            Some(Place::Forked) => return Ok(Next::Forked),
            Some(Place::Head) => return Ok(found(Vec::new())),
        };
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(self.config.page);
        let ready = head.num.saturating_add(1).saturating_sub(start);
        if limit.min(ready) == 0 {
            return Ok(found(Vec::new()));
        }
        let answer = self.node.blocks(start, limit.min(ready)).await?;
        let mut blocks = self.blocks_of(&answer)?;
        blocks.truncate(limit.min(ready) as usize);
        if blocks.first().is_some_and(|block| block.block_num() != start) {
            return Err(RpcError::Answer("blocks from the first one asked for").into());
        }
        match (previous, blocks.first()) {
            (Some(id), Some(first)) if first.previous != id => Ok(Next::Forked),
            _ => Ok(found(linked(&blocks))),
        }
    }

    /// The blocks of an answer, each with the id that its header has.
    fn blocks_of(&self, answer: &Value) -> Result<Vec<ExtractedBlock>, Failure> {
        let id = &self.config.custom_json_id;
        let blocks = extract_blocks(answer, BlockAnswer::BlockRange, id)
            .map_err(|_| RpcError::Answer("blocks with id, previous id, time and transactions"))?;
        let values = answer.get("blocks").and_then(Value::as_array);
        for (block, value) in blocks.iter().zip(values.into_iter().flatten()) {
            check(block, value)?;
            if !block.ops.is_empty() {
                check_transactions(value, &self.node.network.key_prefix)?;
            }
        }
        Ok(blocks)
    }
}

impl BlockSource for HiveBlockSource {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        self.read(after, limit).await.map_err(Failure::into_error)
    }

    fn poll_interval(&self) -> Duration {
        self.config.poll_interval
    }

    fn network(&self) -> &Network {
        &self.node.network.name
    }
}

/// Where a block of the caller is in the chain of the node.
enum Place {
    /// Below the head, if the block after it names it.
    Follow(BlockId),
    /// Nowhere.
    Forked,
    /// The head, or beyond it while the node is behind.
    Head,
}

fn place(after: &BlockRef, head: &Head, irreversible: u32) -> Place {
    let id = after.id.as_str().parse::<BlockId>().ok();
    // A Hive id holds its number, so any other pair was never a block.
    let Some(id) = id.filter(|id| u64::from(id.block_num()) == after.num) else {
        return Place::Forked;
    };
    if id.block_num() < head.num {
        return Place::Follow(id);
    }
    let is_behind = id.block_num() > head.num && id.block_num() <= irreversible;
    if id == head.id || is_behind { Place::Head } else { Place::Forked }
}

/// The blocks up to the first that does not follow the one before it: a fork while the node answered.
fn linked(blocks: &[ExtractedBlock]) -> Vec<Block> {
    let pairs = blocks.iter().zip(blocks.iter().skip(1));
    let count = pairs.take_while(|(one, next)| next.previous == one.block_id).count();
    blocks.iter().take(count + 1).map(ExtractedBlock::to_block).collect()
}

/// Compares a block's id with the one that its header gives, and with the number that it must have.
fn check(block: &ExtractedBlock, value: &Value) -> Result<(), Failure> {
    let header = SignedHeader::from_json(value).map_err(|_| RpcError::Answer("a header"))?;
    // An unknown extension proves nothing against the block.
    if let Ok(real) = header.block_id()
        && real != block.block_id
    {
        return Err(Failure::BlockId { named: block.block_id, real });
    }
    let follows = block.previous.block_num().checked_add(1) == Some(block.block_num());
    if follows {
        Ok(())
    } else {
        Err(RpcError::Answer("a block numbered after its previous").into())
    }
}

/// Compares the transactions with the header, where all their operations are known to us. Any other operation in the
/// block makes that impossible and proves nothing against it.
fn check_transactions(value: &Value, prefix: &KeyPrefix) -> Result<(), Failure> {
    let reported = ReportedBlock::from_json(value).map_err(|_| RpcError::Answer("a block"))?;
    match reported.check_transactions(prefix) {
        Ok(_) | Err(BlockMismatch::Transaction { .. }) => Ok(()),
        Err(mismatch) => Err(mismatch.into()),
    }
}

/// Why there are no blocks.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the node names block {named}, its header gives {real}")]
    BlockId { named: BlockId, real: BlockId },
    #[error("the transactions of a block are not those of its header")]
    Mismatch(#[from] BlockMismatch),
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl Failure {
    fn into_error(self) -> SourceError {
        let is_refused = match &self {
            Self::BlockId { .. } | Self::Mismatch(_) => true,
            Self::Rpc(error) => !error.is_transient(),
        };
        let (backend, source): (_, backend::Cause) = (BACKEND, Box::new(self));
        if is_refused {
            SourceError::Refused { backend, source }
        } else {
            SourceError::Unavailable { backend, source }
        }
    }
}
