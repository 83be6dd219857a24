//! Faults that a development node shows on purpose: [`Switches`].
//!
//! They test what clients and readers of a chain do about bad nodes. Nothing is left to chance that is not in the
//! seed: the same requests in the same order meet the same faults.

use std::time::Duration;

use alive_devnet::Chances;
use serde::{Deserialize, Serialize};

use crate::network::ChainId;

/// Most rules for answers. Our own limit.
pub(super) const MAX_RULES: usize = 64;
/// A whole, as chances are counted.
const WHOLE: u16 = 1000;
/// Longest that an answer waits, and longest between two of its pieces.
const MAX_WAIT: Duration = Duration::from_mins(10);

/// Which faults a development node shows. The default is none.
///
/// The JSON form is that of the call `alive_devnet.set_switches`, where every member may be left out.
///
/// ```
/// use alive_hive::devnet::Switches;
/// let switches: Switches = serde_json::from_str(
///     r#"{"is_stalled":true,"answers":[{"fault":{"kind":"status","status":503},"times":2}]}"#,
/// )?;
/// assert!(switches.is_stalled);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Switches {
    /// What happens to answers: of the rules that fit a request, the first whose chance comes. At most 64 count.
    pub answers: Vec<FaultRule>,
    /// The node answers as if it had not heard of so many of the last blocks.
    pub behind: u32,
    /// The node says to be of this chain.
    pub chain_id: Option<ChainId>,
    /// Forks that happen by themselves.
    pub forks: Option<Forks>,
    /// The node answers as if no block after this number existed.
    pub frozen_at: Option<u32>,
    /// The node names a head block that is so many blocks ahead, or behind if negative, while its id is that of the
    /// real one.
    pub head_offset: i32,
    /// The clock makes no blocks.
    pub is_stalled: bool,
    /// How many of 1000 broadcasts are accepted and then lost.
    pub lost_broadcasts: u16,
    /// Seed of all chances.
    pub seed: u64,
    #[serde(skip)]
    chances: Chances,
}

/// Forks that happen by themselves after a block is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forks {
    /// How many blocks are replaced, as far as they are reversible.
    pub blocks: u32,
    /// What becomes of their transactions.
    #[serde(default)]
    pub fate: Fate,
    /// How many of 1000 blocks are followed by a fork.
    pub per_mille: u16,
}

/// What becomes of the transactions of blocks that a fork replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fate {
    /// They are gone, as if this node had never seen them.
    Lose,
    /// They wait for a block again.
    #[default]
    Return,
}

/// When an answer is faulty, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens.
    pub fault: AnswerFault,
    /// Start of the full method names, such as `condenser_api.broadcast`; empty for all.
    #[serde(default)]
    pub method: String,
    /// How many of 1000 such requests it happens to.
    #[serde(default = "whole")]
    pub per_mille: u16,
    /// How often it happens at most, `None` without end.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What happens to an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AnswerFault {
    /// It comes late.
    Delay {
        /// By so many milliseconds, at most ten minutes.
        millis: u32,
    },
    /// It comes in small pieces.
    Drip {
        /// Bytes of a piece, at least 1.
        bytes: u32,
        /// Milliseconds between two.
        millis: u32,
    },
    /// It is this JSON-RPC error; the request is not looked at.
    Error {
        /// Its code.
        code: i64,
        /// Its text.
        message: String,
    },
    /// It is no JSON and no text.
    Garbage,
    /// It is a page, as gateways send.
    Html {
        /// HTTP status, 200 if it is none.
        status: u16,
    },
    /// It never comes, though the request has been done: the connection ends.
    Lost,
    /// It is this HTTP status with a line of text.
    Status {
        /// HTTP status, 500 if it is none.
        status: u16,
    },
    /// The connection ends in the middle of it.
    Truncated {
        /// So many bytes come.
        bytes: u32,
    },
}

impl Switches {
    /// The fault of a request, if it has one.
    pub(super) fn fault_of(&mut self, method: &str) -> Option<AnswerFault> {
        for index in 0..self.answers.len().min(MAX_RULES) {
            let fits =
                |rule: &&FaultRule| rule.times != Some(0) && method.starts_with(&rule.method);
            let Some(rule) = self.answers.get(index).filter(fits) else { continue };
            let per_mille = rule.per_mille;
            if !self.comes(per_mille) {
                continue;
            }
            let rule = self.answers.get_mut(index)?;
            rule.times = rule.times.map(|times| times.saturating_sub(1));
            return Some(rule.fault.clone());
        }
        None
    }

    /// Whether the next broadcast is lost.
    pub(super) fn loses_broadcast(&mut self) -> bool {
        self.comes(self.lost_broadcasts)
    }

    /// The fork that follows a block, if one does.
    pub(super) fn forks(&mut self) -> Option<Forks> {
        let forks = self.forks?;
        self.comes(forks.per_mille).then_some(forks)
    }

    /// The last block that clients see, of so many.
    pub(super) fn visible(&self, head: u32) -> u32 {
        let head = head.saturating_sub(self.behind).max(1);
        self.frozen_at.map_or(head, |last| head.min(last.max(1)))
    }

    /// The number that the node names for its head block.
    pub(super) fn named(&self, head: u32) -> u32 {
        head.saturating_add_signed(self.head_offset)
    }

    fn comes(&mut self, per_mille: u16) -> bool {
        self.chances.comes(self.seed, per_mille)
    }
}

impl AnswerFault {
    /// How long a wait of so many milliseconds is.
    pub(super) fn wait(millis: u32) -> Duration {
        Duration::from_millis(millis.into()).min(MAX_WAIT)
    }
}

fn whole() -> u16 {
    WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(method: &str, per_mille: u16, times: Option<u32>) -> FaultRule {
        FaultRule { fault: AnswerFault::Garbage, method: method.into(), per_mille, times }
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_about_as_many_as_asked_for() {
        let faults = |seed| {
            let mut switches =
                Switches { answers: vec![rule("", 250, None)], seed, ..Switches::default() };
            (0..4000).map(|_| switches.fault_of("a.b").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
        let count = faults(7).into_iter().filter(|fault| *fault).count();
        assert!((900..1100).contains(&count), "{count}");
    }

    #[test]
    fn a_rule_fits_some_methods_and_ends() {
        let answers = vec![rule("condenser_api.broadcast", 1000, Some(2))];
        let mut switches = Switches { answers, ..Switches::default() };
        assert_eq!(switches.fault_of("condenser_api.get_block"), None);
        let mut fault = || switches.fault_of("condenser_api.broadcast_transaction").is_some();
        assert_eq!([fault(), fault(), fault()], [true, true, false]);
    }

    #[test]
    fn a_view_ends_at_the_first_block_at_least() {
        let mut switches = Switches { behind: 3, ..Switches::default() };
        assert_eq!((switches.visible(10), switches.visible(2)), (7, 1));
        switches.frozen_at = Some(5);
        assert_eq!((switches.visible(10), switches.visible(6)), (5, 3));
        switches.head_offset = -100;
        assert_eq!(switches.named(10), 0);
    }

    #[test]
    fn what_is_no_switch_is_refused() {
        for text in [
            r#"{"stalled":true}"#,
            r#"{"answers":[{"fault":{"kind":"fire"}}]}"#,
            r#"{"answers":[{"fault":{"kind":"delay"}}]}"#,
            r#"{"behind":-1}"#,
            r#"{"chain_id":"beef"}"#,
        ] {
            assert!(serde_json::from_str::<Switches>(text).is_err(), "{text}");
        }
    }
}
