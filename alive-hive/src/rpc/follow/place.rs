//! Where a follower is in the chain of its nodes: [`Finality`] and what to do next.

use std::collections::VecDeque;

use alive_core::backend::{self, Block};

use crate::block_id::BlockId;

use super::config::Follow;

/// Where a chain ends, as one node tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) num: u32,
    pub(super) id: BlockId,
    /// The last block that will never be replaced.
    pub(super) irreversible: u32,
}

/// What is known to be irreversible.
///
/// A number that a node calls irreversible says nothing about blocks of another fork. So a block counts as final only
/// when the same chain reaches to the head that came with that number, or when it is so deep below it that no node that
/// works can have another.
#[derive(Clone, Debug, Default)]
pub(super) struct Finality {
    /// The highest number of a head.
    highest: u32,
    /// The highest number that any node called irreversible.
    number: u32,
    /// The highest number that a caller was told.
    told: u32,
    /// The highest block that is final and was given out.
    last: Option<BlockId>,
    /// The newest blocks that were given out, one after another.
    given: VecDeque<BlockId>,
}

/// What to do about a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The head, or all that may be given: there is nothing to do.
    AtHead,
    /// Pages up to this number can be asked for ahead.
    Deep {
        /// The last of them.
        until: u32,
    },
    /// The block asked about is not in the chain.
    Forked,
    /// The rest up to the head.
    Near {
        /// The head's number.
        until: u32,
    },
}

impl Finality {
    /// Blocks so far below the last irreversible one are the same on all nodes that work: five rounds of witnesses.
    pub(super) const DEEP: u32 = 105;
    /// How many blocks are remembered until they are final: more than a chain that works has.
    const GIVEN: usize = 256;

    /// Notes a head, and says what to do for a caller who has `after` and wants blocks from `start` on.
    pub(super) fn handle_head(
        &mut self,
        head: &Head,
        after: Option<&BlockId>,
        start: u32,
        follow: Follow,
    ) -> Step {
        // A number beyond the head was never irreversible.
        let irreversible = head.irreversible.min(head.num);
        let was_lower = self.highest <= head.num;
        self.highest = self.highest.max(head.num);
        self.number = self.number.max(irreversible);
        let until = self.number.min(head.num).saturating_sub(Self::DEEP);
        if start <= until {
            return Step::Deep { until };
        }
        match after {
            Some(id) if *id == head.id => {
                self.tell(irreversible, id);
                Step::AtHead
            }
            // What is final stays, and a chain never seen so long is one that is not yet here.
            Some(id) if self.is_final(id) && id.block_num() >= head.num => Step::AtHead,
            Some(id) if id.block_num() > head.num && was_lower => Step::AtHead,
            Some(id) if id.block_num() >= head.num => Step::Forked,
            _ if start > head.num => Step::AtHead,
            _ if follow == Follow::Irreversible && start > irreversible => Step::AtHead,
            _ => Step::Near { until: head.num },
        }
    }

    /// Blocks deep below the last irreversible one are given out. Tells up to which number they are.
    pub(super) fn handle_deep(&mut self, blocks: &[Block]) -> u64 {
        self.give(blocks);
        if let Some(last) = self.given.back().copied() {
            self.tell(last.block_num(), &last);
        }
        self.told.into()
    }

    /// Blocks up to the head have come, the first of which follows what the caller has. Gives those that the caller may
    /// have, and the number up to which they are irreversible.
    pub(super) fn handle_near(
        &mut self,
        mut blocks: Vec<Block>,
        head: &Head,
        follow: Follow,
    ) -> (Vec<Block>, u64) {
        let irreversible = head.irreversible.min(head.num);
        let head_id = backend::BlockId::from(head.id);
        let reaches_head = blocks.last().is_some_and(|last| last.at.id == head_id);
        self.give(&blocks);
        if reaches_head {
            self.tell(irreversible, &head.id);
        }
        if follow == Follow::Irreversible {
            // Without the head at its end, any of it may be of another fork.
            let end = if reaches_head { u64::from(irreversible) } else { 0 };
            blocks.retain(|block| block.at.num <= end);
        }
        (blocks, self.told.into())
    }

    /// The number that callers were told.
    pub(super) fn told(&self) -> u64 {
        self.told.into()
    }

    /// Whether this block can never be replaced.
    pub(super) fn is_final(&self, id: &BlockId) -> bool {
        self.last.as_ref() == Some(id)
    }

    /// The chain reaches from the blocks given out to `tip`, and up to `number` it is irreversible.
    fn tell(&mut self, number: u32, tip: &BlockId) {
        self.told = self.told.max(number);
        let known = self.last.as_ref().map_or(0, BlockId::block_num);
        if number > known && self.given.contains(tip) {
            let last = self.given.iter().find(|id| id.block_num() == number);
            self.last = last.copied().or(self.last);
        }
    }

    /// Remembers blocks that are given out instead of those that they replace.
    fn give(&mut self, blocks: &[Block]) {
        let Some(first) = blocks.first() else { return };
        while self.given.back().is_some_and(|id| u64::from(id.block_num()) >= first.at.num) {
            self.given.pop_back();
        }
        if self.given.back().is_some_and(|id| backend::BlockId::from(*id) != first.previous) {
            self.given.clear();
        }
        let newest = blocks.len().saturating_sub(Self::GIVEN);
        let ids = blocks
            .iter()
            .skip(newest)
            .filter_map(|block| block.at.id.as_str().parse::<BlockId>().ok());
        self.given.extend(ids);
        while self.given.len() > Self::GIVEN {
            self.given.pop_front();
        }
    }
}
