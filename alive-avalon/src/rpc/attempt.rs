//! One signed transaction on its way into a block: [`Attempt`].

use std::collections::VecDeque;

use crate::{
    block::Block, digest::Hash, transaction::SignedTransaction, validate::TX_EXPIRATION_MS,
};

use super::{error::RpcError, node::ChainNode};

/// How many of the last blocks are remembered, to notice that some were replaced.
const REMEMBERED: usize = 50;

/// A transaction, and how far the chain was looked through for it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) signed: SignedTransaction,
    pub(super) hash: Hash,
    ts_ms: i64,
    /// The last blocks without it: number and hash. The first one was the head when it was signed.
    looked: VecDeque<(u64, Box<str>)>,
    /// Whether it may have left us.
    pub(super) may_be_out: bool,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// In a block.
    InBlock {
        /// Its number.
        block: u64,
        /// That of the head block.
        head: u64,
    },
    /// In no block so far.
    NotYet,
    /// In no block, and none can take it any more.
    Void,
}

impl Attempt {
    /// A transaction that was signed when this block was the head.
    pub(super) fn new(signed: SignedTransaction, ts_ms: i64, head: &Block) -> Self {
        let hash = signed.hash();
        let looked = VecDeque::from([(head.num(), head.hash().into())]);
        Self { signed, hash, ts_ms, looked, may_be_out: false }
    }

    /// Looks through the blocks since the last look. Blocks that were replaced meanwhile are looked through again.
    pub(super) async fn look(&mut self, node: &ChainNode) -> Result<Found, RpcError> {
        let head = node.count().await?;
        let mut found = Found::NotYet;
        loop {
            let next = self.looked.back().map_or(head, |(num, _)| num + 1);
            if next > head {
                return Ok(found);
            }
            let Some(block) = node.block(next).await? else { return Ok(found) };
            let follows = self.looked.back().is_none_or(|(_, hash)| **hash == *block.previous());
            if !follows && self.looked.len() > 1 {
                self.looked.pop_back();
                continue;
            }
            self.looked.push_back((next, block.hash().into()));
            if self.looked.len() > REMEMBERED {
                self.looked.pop_front();
            }
            if self.is_in(&block) {
                // Whoever asks again after this has the block looked through again.
                self.looked.pop_back();
                return Ok(Found::InBlock { block: next, head });
            }
            // A block is built on the time of the one before it; after this one none can hold it.
            if block.time_ms() - self.ts_ms > TX_EXPIRATION_MS {
                found = Found::Void;
            }
        }
    }

    fn is_in(&self, block: &Block) -> bool {
        let hash = self.hash.to_string();
        block.transactions().any(|parts| parts.hash.is_some_and(|known| known.is_text(&hash)))
    }
}
