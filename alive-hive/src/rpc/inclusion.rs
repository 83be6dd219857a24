//! Whether a transaction is in a block, or can never be in one any more: [`Search`], [`Proof`].
//!
//! A node's word on the status of a transaction is enough to look, not to sign anew: for that the blocks themselves are
//! gone through, at every node that answers. Where to begin and where to end is read from what was signed and from the
//! node's own blocks, never from what another node said: a lie about the head must not make an honest node overlook a
//! block. So each honest node is right by itself, and where fewer than half of the nodes lie, half of them together are.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json, value::RawValue};

use crate::{
    block::{BlockMismatch, ReportedBlock},
    block_id::{BlockId, TransactionId},
    network::KeyPrefix,
    time::TimePoint,
    transaction::Tapos,
};

use super::{
    client::{RpcCall, RpcError},
    node::{ChainNode, Head, POLL_TIMEOUT},
    route::Route,
};

/// Blocks asked for at once while looking through them.
const PAGE: u32 = 50;
/// Most blocks gone through at one node for one transaction: two hours of them. Our own limit.
const MAX_BLOCKS: u32 = 2400;
/// Longest wait for a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Blocks after which the low 16 bits of a number come again. Source: `spec/hive.md`, section 4.2.
const TAPOS_WINDOW: u32 = 0x1_0000;
/// Most blocks looked at for the one that a transaction leans on: five months of windows. Our own limit.
const MAX_REFERENCES: usize = 64;
/// Longest time before its expiration that a transaction may be in a block, in seconds. Source: `spec/hive.md`,
/// section 4.3: 24 hours since hardfork 28.
const MAX_LIFETIME_SECS: u32 = 86_400;
/// How far behind the furthest node one may be for its word still to count, in seconds.
const MAX_BEHIND_SECS: u32 = 300;

/// What to look for, and where each node has been looked through for good.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) id: TransactionId,
    pub(super) expiration: TimePoint,
    /// The block that it leans on: only blocks behind that one can have it.
    pub(super) tapos: Tapos,
    /// By node: up to this block the transaction is nowhere, for good.
    searched: HashMap<usize, u32>,
}

/// What one node's blocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// In this block.
    InBlock(BlockId),
    /// In this block for good.
    Irreversible(BlockId),
    /// In no block, but it may still come into one.
    NotYet,
    /// In no block, and every later one is past its expiration, for good.
    Void,
}

/// What the nodes say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// At least one has it in this block.
    InBlock(BlockId),
    /// At least half have it in this block for good.
    Irreversible(BlockId),
    /// Not all say the same, too few answer, or time is not up.
    Open,
    /// More than half say that it can never be in a block, or half do and nobody else says otherwise.
    Void,
}

/// Whether so many of the nodes say the same that one of them is right, where fewer than half are wrong.
pub(super) fn is_quorum(votes: usize, nodes: usize) -> bool {
    votes > 0 && votes * 2 >= nodes
}

impl Search {
    pub(super) fn new(id: TransactionId, expiration: TimePoint, tapos: Tapos) -> Self {
        Self { id, expiration, tapos, searched: HashMap::new() }
    }

    /// Judges what each node that answered found, with the time of its head.
    ///
    /// Where half say never and the others nothing, a node far behind them is not heard; one that is not may veto.
    pub(super) fn judge(findings: &[(Finding, TimePoint)], nodes: usize) -> Proof {
        let latest = findings.iter().map(|(_, time)| time.as_unix_secs()).max().unwrap_or_default();
        let (mut settled, mut found) = (Votes::default(), Votes::default());
        let mut void = 0;
        let mut has_veto = false;
        for (finding, time) in findings {
            match finding {
                Finding::InBlock(id) => found.add(*id),
                Finding::Irreversible(id) => {
                    settled.add(*id);
                    found.add(*id);
                }
                Finding::NotYet => has_veto |= latest - time.as_unix_secs() <= MAX_BEHIND_SECS,
                Finding::Void => void += 1,
            }
        }
        if let Some(id) = settled.quorum(nodes) {
            return Proof::Irreversible(id);
        }
        match found.most() {
            _ if void * 2 > nodes => Proof::Void,
            Some(id) => Proof::InBlock(id),
            None if is_quorum(void, nodes) && !has_veto => Proof::Void,
            None => Proof::Open,
        }
    }
}

/// How many nodes name which block.
#[derive(Debug, Default)]
pub(super) struct Votes(HashMap<BlockId, usize>);

impl Votes {
    pub(super) fn add(&mut self, id: BlockId) {
        *self.0.entry(id).or_default() += 1;
    }

    /// The block that most name.
    pub(super) fn most(&self) -> Option<BlockId> {
        self.0.iter().max_by_key(|(_, votes)| **votes).map(|(id, _)| *id)
    }

    /// The block that at least half of the nodes name.
    pub(super) fn quorum(&self, nodes: usize) -> Option<BlockId> {
        self.most().filter(|id| self.0.get(id).is_some_and(|votes| is_quorum(*votes, nodes)))
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

    /// The block of that number that has the transaction, where at least half of the nodes have it in the same one and
    /// call it irreversible. One alone may be wrong.
    pub(super) async fn settled_block(&self, num: u32, id: &TransactionId) -> Option<BlockId> {
        let count = self.client.node_count();
        let votes = join_all((0..count).map(async |index| {
            self.client.admit(index, PAGE_TIMEOUT).await?;
            if self.head_of(index).await?.irreversible < num {
                return Ok(None);
            }
            let block = self.page(index, num, 1).await?.into_iter().next();
            self.block_if_it_has(block, num, id)
        }));
        let votes: Vec<Result<Option<BlockId>, RpcError>> = votes.await;
        let others = votes.iter().filter_map(|vote| vote.as_ref().err());
        let others = others.filter(|error| error.is_of_other_chain()).count();
        let mut found = Votes::default();
        votes.into_iter().filter_map(Result::ok).flatten().for_each(|id| found.add(id));
        found.quorum(count - others)
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
                    return Ok((found(block.block_id), head));
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

    /// The block of this node behind which the transaction may be: the one that it leans on, whose number is known by its
    /// low 16 bits, or the last irreversible one if that is not among those up to it.
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
        let last = head.irreversible.max(1);
        for num in references(last, search.tapos.ref_block_num).take(MAX_REFERENCES) {
            if num == 0 {
                // Nothing is before the first block, so this costs nothing even if it is another one.
                return Ok(1);
            }
            let blocks = self.page(index, num, 1).await?;
            let block = blocks.first().ok_or(RpcError::Answer("an irreversible block"))?;
            check(block, num, None, &self.network.key_prefix)?;
            if Tapos::of(&block.block_id) == search.tapos {
                return Ok(num);
            }
            let time = block.header.header.timestamp.as_unix_secs();
            let is_early =
                time.saturating_add(MAX_LIFETIME_SECS) < search.expiration.as_unix_secs();
            if is_early || num < TAPOS_WINDOW {
                return Ok(last);
            }
        }
        if last < u32::from(search.tapos.ref_block_num) {
            return Ok(last);
        }
        Err(RpcError::Answer("the block that the transaction leans on"))
    }

    async fn page(
        &self,
        index: usize,
        start: u32,
        count: u32,
    ) -> Result<Vec<ReportedBlock>, RpcError> {
        self.client.ask_node(index, PAGE_TIMEOUT, &page_calls(start, count), &read_blocks).await
    }

    /// The id of the block, if it has the transaction at the first node that tells of it or else at any; `None` if it does
    /// not or is not there.
    pub(super) async fn block_with(
        &self,
        num: u32,
        id: &TransactionId,
    ) -> Result<Option<BlockId>, RpcError> {
        let calls = page_calls(num, 1);
        let read = |shape, result: &RawValue| {
            let block = read_blocks(shape, result)?.into_iter().next();
            self.block_if_it_has(block, num, id)
        };
        let found = self.client.ask_any(&calls, read).await?;
        if found.is_some() || self.client.node_count() == 1 {
            return Ok(found);
        }
        Ok(self.client.ask_until(&calls, POLL_TIMEOUT, read, |found| *found).await.0)
    }

    /// The id of the block, if it has the transaction.
    fn block_if_it_has(
        &self,
        block: Option<ReportedBlock>,
        num: u32,
        id: &TransactionId,
    ) -> Result<Option<BlockId>, RpcError> {
        let Some(block) = block else { return Ok(None) };
        check(&block, num, None, &self.network.key_prefix)?;
        Ok(block.transaction_ids.contains(id).then_some(block.block_id))
    }
}

fn page_calls(start: u32, count: u32) -> [RpcCall; 2] {
    let range = json!({ "starting_block_num": start, "count": count });
    [
        RpcCall::new("block_api.get_block_range", range),
        RpcCall::new("condenser_api.get_block", json!([start])),
    ]
}

/// The numbers up to `last` that a block may have of which a transaction names these low 16 bits, the highest first.
fn references(last: u32, low: u16) -> impl Iterator<Item = u32> {
    let high = (last & !(TAPOS_WINDOW - 1)) | u32::from(low);
    let highest = if high <= last { Some(high) } else { high.checked_sub(TAPOS_WINDOW) };
    std::iter::successors(highest, |num| num.checked_sub(TAPOS_WINDOW))
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
    #[case(0x2_0005, 5, &[0x2_0005, 0x1_0005, 5])]
    #[case(0x2_0005, 6, &[0x1_0006, 6])]
    #[case(0x1_0000, 0, &[0x1_0000, 0])]
    #[case(0x1_0000, 0xffff, &[0xffff])]
    #[case(3, 9, &[])]
    fn the_number_of_a_reference_is_one_of_few(
        #[case] last: u32,
        #[case] low: u16,
        #[case] numbers: &[u32],
    ) {
        assert_eq!(references(last, low).collect::<Vec<_>>(), numbers);
    }

    /// A block by number and fork.
    fn block(num: u32, fork: u8) -> BlockId {
        BlockId::numbered(num, [fork; 20])
    }

    fn in_block(num: u32) -> Finding {
        Finding::InBlock(block(num, 0))
    }

    fn settled(num: u32, fork: u8) -> Finding {
        Finding::Irreversible(block(num, fork))
    }

    #[rstest]
    // One node: its word counts.
    #[case(&[(Finding::Void, 0)], 1, Proof::Void)]
    #[case(&[(Finding::NotYet, 0)], 1, Proof::Open)]
    #[case(&[(settled(7, 0), 0)], 1, Proof::Irreversible(block(7, 0)))]
    #[case(&[], 1, Proof::Open)]
    // One that has it outweighs all that do not, unless those are the more.
    #[case(&[(Finding::Void, 0), (in_block(7), 0)], 3, Proof::InBlock(block(7, 0)))]
    #[case(&[(Finding::Void, 0), (settled(7, 0), 999)], 3, Proof::InBlock(block(7, 0)))]
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (in_block(7), 0)], 4, Proof::InBlock(block(7, 0)))]
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (settled(7, 0), 0)], 3, Proof::Void)]
    // Half of the nodes must have it in the same block for good.
    #[case(&[(settled(7, 0), 0), (Finding::NotYet, 0)], 3, Proof::InBlock(block(7, 0)))]
    #[case(&[(settled(7, 0), 0), (in_block(7), 0)], 3, Proof::InBlock(block(7, 0)))]
    #[case(&[(settled(7, 1), 0), (settled(7, 0), 0), (settled(7, 0), 0)], 3, Proof::Irreversible(block(7, 0)))]
    #[case(&[(settled(8, 1), 0), (settled(7, 0), 0), (settled(7, 0), 0)], 5, Proof::InBlock(block(7, 0)))]
    // A veto, unless it comes from long ago or from the fewer.
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (Finding::NotYet, 300)], 4, Proof::Open)]
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (Finding::NotYet, 301)], 4, Proof::Void)]
    #[case(&[(Finding::Void, 0), (Finding::Void, 0), (Finding::NotYet, 0)], 3, Proof::Void)]
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
