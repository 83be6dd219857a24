//! Whether a transaction is in a block, or can never be in one any more: [`Search`], [`Proof`].
//!
//! A node's word on the status of a transaction is enough to look, not to sign anew: for that the blocks themselves are
//! gone through, at every node that answers.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json, value::RawValue};

use crate::{
    block::{BlockMismatch, ReportedBlock},
    block_id::{BlockId, TransactionId},
    network::KeyPrefix,
    time::TimePoint,
};

use super::{
    client::{RpcCall, RpcError},
    node::{ChainNode, Head},
    route::Route,
};

/// Blocks asked for at once while looking through them.
const PAGE: u32 = 50;
/// Most blocks gone through at one node for one transaction: two hours of them. Our own limit.
const MAX_BLOCKS: u32 = 2400;
/// Longest wait for a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// How far behind the furthest node one may be for its word still to count, in seconds.
const MAX_BEHIND_SECS: u32 = 300;

/// What to look for, and where each node has been looked through for good.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) id: TransactionId,
    pub(super) expiration: TimePoint,
    /// Time of the head block when it was signed: no block before has it.
    pub(super) built_at: TimePoint,
    /// A block that was irreversible then.
    pub(super) after: u32,
    /// By node: up to this block the transaction is nowhere, for good.
    searched: HashMap<usize, u32>,
}

/// What one node's blocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// In the block of this number.
    InBlock(u32),
    /// In the block of this number for good.
    Irreversible(u32),
    /// In no block, but it may still come into one.
    NotYet,
    /// In no block, and every later one is past its expiration, for good.
    Void,
}

/// What the nodes say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// At least one has it in the block of this number.
    InBlock(u32),
    /// Not all say the same, too few answer, or time is not up.
    Open,
    /// All that answer, at least half of the nodes, say that it can never be in a block.
    Void,
}

impl Search {
    pub(super) fn new(
        id: TransactionId,
        expiration: TimePoint,
        built_at: TimePoint,
        after: u32,
    ) -> Self {
        Self { id, expiration, built_at, after, searched: HashMap::new() }
    }

    /// Judges what each node that answered found, with the time of its head.
    ///
    /// A node far behind the others is not heard; one that is not may veto.
    pub(super) fn judge(findings: &[(Finding, TimePoint)], nodes: usize) -> Proof {
        let latest = findings.iter().map(|(_, time)| time.as_unix_secs()).max().unwrap_or_default();
        let mut void = 0;
        let mut has_veto = false;
        for (finding, time) in findings {
            match finding {
                Finding::InBlock(num) | Finding::Irreversible(num) => return Proof::InBlock(*num),
                Finding::NotYet => has_veto |= latest - time.as_unix_secs() <= MAX_BEHIND_SECS,
                Finding::Void => void += 1,
            }
        }
        if has_veto || void == 0 || void * 2 < nodes { Proof::Open } else { Proof::Void }
    }
}

impl ChainNode {
    /// Goes through the blocks of every node that answers.
    pub(super) async fn prove(&self, search: &mut Search) -> Proof {
        let count = self.client.node_count();
        let known = &*search;
        let searches = (0..count).map(async |index| {
            let mut own = known.clone();
            let found = self.search(index, &mut own).await;
            (index, own.searched.get(&index).copied(), found)
        });
        let mut findings = Vec::new();
        let mut others = 0;
        for (index, searched, found) in join_all(searches).await {
            searched.and_then(|num| search.searched.insert(index, num));
            match found {
                Ok((finding, head)) => findings.push((finding, head.time)),
                Err(error) => {
                    others += usize::from(error.is_of_other_chain());
                    let node = self.client.name(index);
                    tracing::debug!(%node, %error, "a node does not tell of its blocks");
                }
            }
        }
        Search::judge(&findings, count - others)
    }

    /// Whether at least half of the nodes have this block and call it irreversible. One alone may be wrong.
    pub(super) async fn is_settled(&self, num: u32, id: &BlockId) -> bool {
        let count = self.client.node_count();
        let votes = join_all((0..count).map(async |index| {
            self.client.admit(index, PAGE_TIMEOUT).await?;
            if self.head_of(index).await?.irreversible < num {
                return Ok(false);
            }
            let blocks = self.page(index, num, 1).await?;
            Ok(blocks.iter().any(|block| block.block_id == *id))
        }));
        let votes: Vec<Result<bool, RpcError>> = votes.await;
        let is_other =
            |vote: &&Result<bool, RpcError>| vote.as_ref().is_err_and(RpcError::is_of_other_chain);
        let nodes = count - votes.iter().filter(is_other).count();
        let yes = votes.iter().filter(|vote| matches!(vote, Ok(true))).count();
        yes > 0 && yes * 2 >= nodes
    }

    /// Goes through the blocks of the first node that tells of them.
    pub(super) async fn search_any(&self, search: &mut Search) -> Result<Finding, RpcError> {
        let mut route = Route::new(&self.client, &["block_api.get_block_range"]);
        while let Some(stop) = route.next().await {
            match self.search(stop.index, search).await {
                Ok((finding, _)) => return Ok(finding),
                Err(error) => route.fail(stop.index, error),
            }
        }
        Err(route.into_error())
    }

    /// Goes through the blocks of one node.
    pub(super) async fn search(
        &self,
        index: usize,
        search: &mut Search,
    ) -> Result<(Finding, Head), RpcError> {
        self.client.admit(index, PAGE_TIMEOUT).await?;
        let head = self.head_of(index).await?;
        let mut next = self.first_block(index, search, &head).await?;
        let mut previous: Option<BlockId> = None;
        let last = head.num.min(next.saturating_add(MAX_BLOCKS));
        while next <= last {
            let blocks = self.page(index, next, PAGE.min(last - next + 1)).await?;
            if blocks.is_empty() {
                break;
            }
            for block in blocks {
                check(&block, next, previous, &self.network.key_prefix)?;
                previous = Some(block.block_id);
                let is_final = next <= head.irreversible;
                if block.transaction_ids.contains(&search.id) {
                    let found = if is_final { Finding::Irreversible } else { Finding::InBlock };
                    return Ok((found(next), head));
                }
                if is_final {
                    search.searched.insert(index, next);
                    if block.header.header.timestamp > search.expiration {
                        return Ok((Finding::Void, head));
                    }
                }
                next += 1;
            }
        }
        Ok((Finding::NotYet, head))
    }

    /// The first block that may have the transaction: the one after what was irreversible when it was signed. Where the
    /// node's own chain is not that long, somebody counted wrong; then blocks are gone back to one from before.
    async fn first_block(
        &self,
        index: usize,
        search: &Search,
        head: &Head,
    ) -> Result<u32, RpcError> {
        if let Some(searched) = search.searched.get(&index) {
            // What is irreversible stays, so the last one is looked at again only to link the next to it.
            return Ok((*searched).max(1));
        }
        let first = search.after.saturating_add(1);
        if first <= head.irreversible {
            return Ok(first);
        }
        let mut first = head.irreversible.max(1);
        for step in 0..7 {
            let blocks = self.page(index, first, 1).await?;
            let block = blocks.first().ok_or(RpcError::Answer("an irreversible block"))?;
            if first == 1 || block.header.header.timestamp <= search.built_at {
                break;
            }
            first = first.saturating_sub(20 << step).max(1);
        }
        Ok(first.min(search.after.saturating_add(1)))
    }

    async fn page(
        &self,
        index: usize,
        start: u32,
        count: u32,
    ) -> Result<Vec<ReportedBlock>, RpcError> {
        let range = json!({ "starting_block_num": start, "count": count });
        let calls = [
            RpcCall::new("block_api.get_block_range", range),
            RpcCall::new("condenser_api.get_block", json!([start])),
        ];
        self.client.ask_node(index, PAGE_TIMEOUT, &calls, &read_blocks).await
    }

    /// The id of the block, if it has the transaction; `None` if it does not or is not there.
    pub(super) async fn block_with(
        &self,
        num: u32,
        id: &TransactionId,
    ) -> Result<Option<BlockId>, RpcError> {
        let calls = [
            RpcCall::new(
                "block_api.get_block_range",
                json!({ "starting_block_num": num, "count": 1 }),
            ),
            RpcCall::new("condenser_api.get_block", json!([num])),
        ];
        let prefix = &self.network.key_prefix;
        let block = self.client.ask_any(&calls, |shape, result| {
            let block = read_blocks(shape, result)?.into_iter().next();
            block.iter().try_for_each(|block| check(block, num, None, prefix))?;
            Ok(block)
        });
        let block = block.await?.filter(|block| block.transaction_ids.contains(id));
        Ok(block.map(|block| block.block_id))
    }
}

/// Blocks of a range, or the one that the condenser API gives at a time.
fn read_blocks(shape: usize, result: &RawValue) -> Result<Vec<ReportedBlock>, RpcError> {
    let no_block = || RpcError::Answer("blocks with id, previous id, time and transactions");
    let result: Value = serde_json::from_str(result.get()).map_err(|_| no_block())?;
    let blocks = if shape == 0 {
        result.get("blocks").and_then(Value::as_array).ok_or_else(no_block)?.as_slice()
    } else if result.is_null() {
        &[]
    } else {
        std::slice::from_ref(&result)
    };
    blocks.iter().map(|block| ReportedBlock::from_json(block).map_err(|_| no_block())).collect()
}

/// Refuses a block that is not the one of that number, does not follow the one before, whose header is not the one of
/// its id, or whose transactions are not those of its header. An unknown extension or operation makes the last two
/// impossible and proves nothing.
fn check(
    block: &ReportedBlock,
    num: u32,
    previous: Option<BlockId>,
    prefix: &KeyPrefix,
) -> Result<(), RpcError> {
    let header = &block.header.header;
    let is_linked = previous.is_none_or(|previous| previous == header.previous);
    let is_it = block.block_id.block_num() == num && header.block_num() == num;
    let real = block.header.block_id().unwrap_or(block.block_id);
    let transactions = block.check_transactions(prefix);
    let is_whole = matches!(transactions, Ok(_) | Err(BlockMismatch::Transaction { .. }));
    if is_linked && is_it && is_whole && real == block.block_id {
        Ok(())
    } else {
        Err(RpcError::Answer("blocks in their order that are what their ids say"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const LATE: u32 = 1_795_219_800;

    #[rstest]
    // One node: its word counts.
    #[case(&[(Finding::Void, 0)], 1, Proof::Void)]
    #[case(&[(Finding::NotYet, 0)], 1, Proof::Open)]
    #[case(&[], 1, Proof::Open)]
    // One that has it outweighs all that do not.
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (Finding::InBlock(7), 0)], 3, Proof::InBlock(7))]
    #[case(&[(Finding::Void, 0), (Finding::Irreversible(7), 999)], 2, Proof::InBlock(7))]
    // A veto, unless it comes from long ago.
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (Finding::NotYet, 300)], 3, Proof::Open)]
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (Finding::NotYet, 301)], 3, Proof::Void)]
    // Half of the nodes must say it.
    #[case(&[(Finding::Void, 0)], 2, Proof::Void)]
    #[case(&[(Finding::Void, 0)], 3, Proof::Open)]
    #[case(&[(Finding::Void, 0), (Finding::NotYet, 9999)], 3, Proof::Open)]
    #[case(&[(Finding::Void, 0), (Finding::Void, 0)], 4, Proof::Void)]
    fn nodes_are_heard_together(
        #[case] findings: &[(Finding, u32)],
        #[case] nodes: usize,
        #[case] proof: Proof,
    ) {
        let findings: Vec<(Finding, TimePoint)> = findings
            .iter()
            .map(|(finding, behind)| (*finding, TimePoint::from_unix_secs(LATE - behind)))
            .collect();
        assert_eq!(Search::judge(&findings, nodes), proof);
    }
}
