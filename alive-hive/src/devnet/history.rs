//! What the chain remembers of its recent past: block ids for TaPoS and where transactions are ([`History`]).

use std::collections::{HashMap, VecDeque};

use crate::{
    block_id::{BlockId, TransactionId},
    time::TimePoint,
    transaction::Tapos,
};

/// Blocks whose ids a transaction may lean on. Source: `spec/hive.md`, section 4.2.
const TAPOS_BLOCKS: usize = 65_536;

/// Ids of the last blocks and the transactions in them.
///
/// Transactions are remembered as long as block ids, two days at three seconds a block; none can be valid for more
/// than one, so a duplicate is always found.
#[derive(Debug)]
pub(super) struct History {
    /// Oldest first; the last one is the head. Never empty: before the first block stands the zero id.
    blocks: VecDeque<Past>,
    places: HashMap<TransactionId, Place>,
}

#[derive(Debug)]
struct Past {
    id: BlockId,
    time: TimePoint,
    transactions: Vec<TransactionId>,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u32,
    pub(super) index: usize,
    pub(super) expiration: TimePoint,
    /// What it cost its payer.
    pub(super) rc_cost: u64,
}

impl Default for History {
    fn default() -> Self {
        let time = TimePoint::from_unix_secs(0);
        let first = Past { id: BlockId::ZERO, time, transactions: Vec::new() };
        Self { blocks: VecDeque::from([first]), places: HashMap::new() }
    }
}

impl History {
    /// Id of the head block, zero before the first one.
    pub(super) fn head(&self) -> BlockId {
        self.blocks.back().map_or(BlockId::ZERO, |past| past.id)
    }

    /// Time of a block, `None` if it is not there or long past.
    pub(super) fn time_of(&self, block: u32) -> Option<TimePoint> {
        let back = usize::try_from(self.head().block_num().checked_sub(block)?).ok()?;
        let index = self.blocks.len().checked_sub(1 + back)?;
        self.blocks.get(index).map(|past| past.time)
    }

    /// Time of the head block.
    pub(super) fn head_time(&self) -> TimePoint {
        self.blocks.back().map_or(TimePoint::from_unix_secs(0), |past| past.time)
    }

    /// Time of the oldest block that is remembered.
    pub(super) fn oldest_time(&self) -> TimePoint {
        self.blocks.front().map_or(TimePoint::from_unix_secs(0), |past| past.time)
    }

    /// Adds the block that follows the head.
    pub(super) fn push(
        &mut self,
        id: BlockId,
        time: TimePoint,
        transactions: impl Iterator<Item = (TransactionId, TimePoint, u64)>,
    ) {
        let block = id.block_num();
        let mut ids = Vec::new();
        for (index, (transaction, expiration, rc_cost)) in transactions.enumerate() {
            self.places.insert(transaction, Place { block, index, expiration, rc_cost });
            ids.push(transaction);
        }
        self.blocks.push_back(Past { id, time, transactions: ids });
        if self.blocks.len() > TAPOS_BLOCKS {
            let oldest = self.blocks.pop_front();
            self.forget(oldest);
        }
    }

    /// Takes the head block away.
    pub(super) fn pop(&mut self) {
        let head = self.blocks.pop_back();
        self.forget(head);
    }

    /// Where a transaction is, `None` if it is in no recent block.
    pub(super) fn find(&self, id: &TransactionId) -> Option<Place> {
        self.places.get(id).copied()
    }

    /// Whether the block that a transaction leans on is one of the last.
    pub(super) fn has(&self, tapos: Tapos) -> bool {
        // At most one of the last 65536 blocks has these low bits.
        let low_bits = Tapos::of(&self.head()).ref_block_num;
        let back = usize::from(low_bits.wrapping_sub(tapos.ref_block_num));
        let index = self.blocks.len().checked_sub(1 + back);
        let block = index.and_then(|index| self.blocks.get(index));
        block.is_some_and(|past| Tapos::of(&past.id) == tapos)
    }

    fn forget(&mut self, block: Option<Past>) {
        for id in block.into_iter().flat_map(|past| past.transactions) {
            self.places.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> BlockId {
        let mut bytes = [7; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes[4..8].copy_from_slice(&number.to_be_bytes());
        BlockId::from_bytes(bytes)
    }

    fn upto(last: u32) -> History {
        let mut history = History::default();
        for number in 1..=last {
            let mut transaction = [0; 20];
            transaction[..4].copy_from_slice(&number.to_be_bytes());
            let transaction = TransactionId::from_bytes(transaction);
            let time = TimePoint::from_unix_secs(number);
            history.push(id(number), time, [(transaction, time, 0)].into_iter());
        }
        history
    }

    #[test]
    fn any_of_the_last_65536_blocks_can_be_leaned_on_and_no_older_one() {
        let history = upto(70_000);
        assert!(history.has(Tapos::of(&id(70_000))));
        assert!(history.has(Tapos::of(&id(70_000 - 65_535))));
        assert!(!history.has(Tapos::of(&id(70_000 - 65_536))));
        assert!(!history.has(Tapos { ref_block_num: 1, ref_block_prefix: 0 }));
        assert_eq!(history.places.len(), 65_536);
    }

    #[test]
    fn a_young_chain_can_be_leaned_on_from_before_its_first_block() {
        assert!(History::default().has(Tapos::of(&BlockId::ZERO)));
        assert!(upto(3).has(Tapos::of(&BlockId::ZERO)));
        assert!(!upto(3).has(Tapos { ref_block_num: 4, ref_block_prefix: 0 }));
    }

    #[test]
    fn what_is_popped_is_forgotten() {
        let mut history = upto(3);
        history.pop();
        assert_eq!(history.head(), id(2));
        assert!(!history.has(Tapos::of(&id(3))));
        assert_eq!(history.places.len(), 2);
    }
}
