//! Asks nodes for heads and pages, and judges what they say: [`Fetcher`].

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU8, Ordering},
};

use alive_core::backend::{self, Block};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{block_id::BlockId, block_reader::BlockReader, extract::BlockAnswer};

use super::{
    super::{error::RpcError, node::ChainNode, node_error::NodeErrorKind},
    ahead::Fetch,
    failure::FollowError,
    place::Head,
};

/// Asks nodes. What an answer must be like is judged as it is read, so that a node whose answer cannot be right is
/// passed over for the next one.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) node: ChainNode,
    reader: BlockReader,
    /// The first of [`METHODS`] that some node knows.
    method: AtomicU8,
}

/// Blocks that came, and the bytes that they took.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) blocks: Vec<Block>,
    pub(super) bytes: usize,
}

/// Ways to ask for blocks, the better ones first.
const METHODS: [(&str, BlockAnswer); 3] = [
    ("block_api.get_block_range", BlockAnswer::BlockRange),
    ("block_api.get_block", BlockAnswer::Block),
    ("condenser_api.get_block", BlockAnswer::Condenser),
];

impl Fetcher {
    pub(super) fn new(node: ChainNode, reader: BlockReader) -> Self {
        Self { node, reader, method: AtomicU8::new(0) }
    }

    /// The head of the chain. Nodes whose head is lower than `at_least` are passed over; one is taken only if all are so,
    /// and stay so.
    pub(super) async fn head(&self, at_least: u32) -> Result<Head, FollowError> {
        /// A name may stand for several machines, some of which are a block behind.
        const ASKS: usize = 3;
        self.node.check_chain().await?;
        for _ in 0..ASKS {
            match self.ask_head(at_least).await {
                Err(RpcError::Answer(LOWER)) => {}
                head => return Ok(head?),
            }
        }
        Ok(self.ask_head(0).await?)
    }

    async fn ask_head(&self, at_least: u32) -> Result<Head, RpcError> {
        let method = "condenser_api.get_dynamic_global_properties";
        let judge = |result: &RawValue| {
            let head: Properties = serde_json::from_str(result.get())
                .map_err(|_| RpcError::Answer("number and id of the head"))?;
            if head.head_block_id.block_num() != head.head_block_number {
                return Err(RpcError::Answer("head_block_id of head_block_number"));
            }
            if head.head_block_number < at_least {
                return Err(RpcError::Answer(LOWER));
            }
            Ok(Head {
                num: head.head_block_number,
                id: head.head_block_id,
                irreversible: head.last_irreversible_block_num,
            })
        };
        self.node.client.ask(method, json!([]), judge).await
    }

    /// Blocks from `start` on that follow each other, at least one and at most `count`. If `is_final`, nodes whose chain
    /// does not have the block before are passed over.
    pub(super) async fn blocks(
        &self,
        fetch: &Fetch,
        is_final: bool,
    ) -> Result<Fetched, FollowError> {
        loop {
            let at = self.method.load(Ordering::Relaxed);
            let Some((method, answer)) = METHODS.get(usize::from(at)) else {
                return Err(RpcError::Answer("a method for blocks").into());
            };
            let fetched = match answer {
                BlockAnswer::BlockRange => self.ask(method, *answer, fetch, is_final).await,
                _ => self.one_by_one(method, *answer, fetch, is_final).await,
            };
            let is_last = usize::from(at) + 1 >= METHODS.len();
            match fetched {
                Err(FollowError::Rpc(RpcError::Node(error)))
                    if error.kind() == NodeErrorKind::UnknownMethod && !is_last =>
                {
                    tracing::info!(method, "no node knows the method, another is used");
                    self.method.store(at + 1, Ordering::Relaxed);
                }
                fetched => return fetched,
            }
        }
    }

    async fn one_by_one(
        &self,
        method: &str,
        answer: BlockAnswer,
        fetch: &Fetch,
        is_final: bool,
    ) -> Result<Fetched, FollowError> {
        let mut one = Fetch { count: 1, ..*fetch };
        let mut all = self.ask(method, answer, &one, is_final).await?;
        for _ in 1..fetch.count {
            one.start = one.start.saturating_add(1);
            one.previous = None;
            // What came so far is of use, whatever happens to the rest.
            let Ok(next) = self.ask(method, answer, &one, false).await else { break };
            let follows = |last: &Block| {
                next.blocks.first().is_some_and(|first| first.previous == last.at.id)
            };
            if !all.blocks.last().is_some_and(follows) {
                break;
            }
            all.blocks.extend(next.blocks);
            all.bytes += next.bytes;
        }
        Ok(all)
    }

    async fn ask(
        &self,
        method: &str,
        answer: BlockAnswer,
        fetch: &Fetch,
        is_final: bool,
    ) -> Result<Fetched, FollowError> {
        let params = match answer {
            BlockAnswer::BlockRange => {
                json!({ "starting_block_num": fetch.start, "count": fetch.count })
            }
            BlockAnswer::Block => json!({ "block_num": fetch.start }),
            BlockAnswer::Condenser => json!([fetch.start]),
        };
        // Why the last node was passed over, if it was for its blocks.
        let fault = Mutex::new(None);
        let judge = |result: &RawValue| {
            self.judge(result, answer, fetch, is_final).map_err(|error| {
                *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                RpcError::Answer("blocks that are right")
            })
        };
        let asked = self.node.client.ask(method, params, judge).await;
        let fault = fault.into_inner().unwrap_or_else(PoisonError::into_inner);
        asked.map_err(|error| match fault {
            Some(fault) if matches!(error, RpcError::Answer(_)) => fault,
            _ => error.into(),
        })
    }

    fn judge(
        &self,
        result: &RawValue,
        answer: BlockAnswer,
        fetch: &Fetch,
        is_final: bool,
    ) -> Result<Fetched, FollowError> {
        let text = result.get().as_bytes();
        let read = self.reader.read(text, answer);
        let mut blocks = read.map_err(|error| FollowError::Blocks(chain_of(&error)))?;
        let follows = blocks.iter().zip(blocks.iter().skip(1));
        let linked = follows.take_while(|(one, next)| next.previous == one.at.id).count() + 1;
        blocks.truncate(linked.min(fetch.count as usize));
        let Some(first) = blocks.first() else {
            // Behind, or a head that is no longer there: only time or another node helps.
            return Err(RpcError::Answer("the blocks up to the head").into());
        };
        if first.at.num != u64::from(fetch.start) {
            let text = format!("block {} came, {} was asked for", first.at.num, fetch.start);
            return Err(FollowError::Blocks(text));
        }
        match fetch.previous.filter(|_| is_final) {
            Some(block) if first.previous != backend::BlockId::from(block) => {
                Err(FollowError::BelowIrreversible { block })
            }
            _ => Ok(Fetched { blocks, bytes: text.len() }),
        }
    }
}

/// What is wrong with a node that has not yet what the caller has.
const LOWER: &str = "a head that is not behind";

/// The members of the global properties that count.
#[derive(Deserialize)]
struct Properties {
    head_block_number: u32,
    head_block_id: BlockId,
    last_irreversible_block_num: u32,
}

/// An error and what caused it, in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
