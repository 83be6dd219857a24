//! Blocks and the way back: [`History`] runs a rule set action by action and can undo whole blocks.

use std::collections::VecDeque;

use crate::{call::Effect, refusal::Refusal};

/// A rule set's state, which writes down every change before it makes it.
pub(crate) trait Machine {
    /// What a piece of the state was before.
    type Change;

    /// The changes of the present block, oldest first.
    fn log(&mut self) -> &mut Vec<Self::Change>;

    /// Takes what the present action did.
    fn take_effects(&mut self) -> Vec<Effect>;

    /// Puts a piece of the state back.
    fn revert(&mut self, change: Self::Change);
}

/// A machine, the block it stands at, and the changes of earlier blocks.
#[derive(Clone, Debug)]
pub(crate) struct History<M: Machine> {
    pub(crate) machine: M,
    block: u64,
    /// Earlier blocks, oldest first. The first one's changes may be gone: then it is where undoing ends.
    past: VecDeque<Past<M::Change>>,
}

#[derive(Clone, Debug)]
struct Past<C> {
    block: u64,
    changes: Vec<C>,
}

/// The state of that block cannot be restored any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {wanted} is before block {earliest}, the earliest that can be restored")]
pub struct NotReversible {
    /// The block asked for.
    pub wanted: u64,
    /// The earliest possible.
    pub earliest: u64,
}

impl<M: Machine> History<M> {
    pub(crate) fn new(machine: M, block: u64) -> Self {
        Self { machine, block, past: VecDeque::new() }
    }

    /// The block of the last action.
    pub(crate) fn block(&self) -> u64 {
        self.block
    }

    /// Does an action at a block; if it is refused, only the block counts.
    pub(crate) fn apply(
        &mut self,
        block: u64,
        action: impl FnOnce(&mut M) -> Result<(), Refusal>,
    ) -> Result<Vec<Effect>, Refusal> {
        if block < self.block {
            return Err(Refusal::StaleBlock { block, last: self.block });
        }
        if block > self.block {
            let changes = std::mem::take(self.machine.log());
            self.past.push_back(Past { block: self.block, changes });
            self.block = block;
        }
        let before = self.machine.log().len();
        let outcome = action(&mut self.machine);
        let effects = self.machine.take_effects();
        match outcome {
            Ok(()) => Ok(effects),
            Err(refusal) => {
                self.revert_to(before);
                Err(refusal)
            }
        }
    }

    /// Restores the state after the last action of `block` or of the last block before it.
    pub(crate) fn undo_to(&mut self, block: u64) -> Result<(), NotReversible> {
        let earliest = self.earliest();
        if block < earliest {
            return Err(NotReversible { wanted: block, earliest });
        }
        while self.block > block {
            self.revert_to(0);
            let Some(past) = self.past.pop_back() else { break };
            self.block = past.block;
            *self.machine.log() = past.changes;
        }
        Ok(())
    }

    /// Forgets what undoing to blocks before `block` needs.
    pub(crate) fn finalize(&mut self, block: u64) {
        while self.past.get(1).map_or(self.block, |next| next.block) <= block {
            if self.past.pop_front().is_none() {
                self.machine.log().clear();
                return;
            }
        }
        if let Some(first) = self.past.front_mut().filter(|first| first.block <= block) {
            first.changes = Vec::new();
        }
    }

    /// The earliest block to which undoing leads.
    pub(crate) fn earliest(&self) -> u64 {
        self.past.front().map_or(self.block, |first| first.block)
    }

    fn revert_to(&mut self, len: usize) {
        while self.machine.log().len() > len {
            if let Some(change) = self.machine.log().pop() {
                self.machine.revert(change);
            }
        }
    }
}
