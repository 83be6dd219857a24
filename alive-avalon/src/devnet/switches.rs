//! Faults that a development node shows on purpose: [`Switches`].
//!
//! They test what clients and readers of a chain do about bad nodes. Nothing is left to chance that is not in the
//! seed: the same requests in the same order meet the same faults.

use std::time::Duration;

use alive_devnet::Chances;
use serde::{Deserialize, Serialize};

/// Most rules for answers. Our own limit.
const MAX_RULES: usize = 64;
/// A whole, as chances are counted.
const WHOLE: u16 = 1000;
/// Longest that an answer waits.
const MAX_WAIT: Duration = Duration::from_mins(10);

/// Which faults a development node shows. The default is none.
///
/// The JSON form is that of `POST /alive_devnet/switches`, where every member may be left out.
///
/// ```
/// use alive_avalon::devnet::Switches;
/// let switches: Switches = serde_json::from_str(
///     r#"{"hides_json":true,"answers":[{"path":"/block/","fault":{"kind":"status","status":503},"times":2}]}"#,
/// )?;
/// assert!(switches.hides_json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Switches {
    /// What happens to answers: of the rules that fit a request, the first whose chance comes. At most 64 count.
    pub answers: Vec<FaultRule>,
    /// The node answers as if it had not heard of so many of the last blocks.
    pub behind: u64,
    /// The node does not tell the json of playlists, as most nodes do not.
    pub hides_json: bool,
    /// The clock makes no blocks.
    pub is_stalled: bool,
    /// How many of 1000 transactions are accepted and then lost.
    pub lost_transactions: u16,
    /// Seed of all chances.
    pub seed: u64,
    #[serde(skip)]
    chances: Chances,
}

/// When an answer is faulty, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens.
    pub fault: AnswerFault,
    /// Start of the paths, such as `/block/`; empty for all.
    #[serde(default)]
    pub path: String,
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
    /// It is no JSON and no text.
    Garbage,
    /// It never comes, though the request has been done: the connection ends.
    Lost,
    /// It is this HTTP status with a page of HTML; the request is not looked at.
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
    pub(super) fn fault_of(&mut self, path: &str) -> Option<AnswerFault> {
        for index in 0..self.answers.len().min(MAX_RULES) {
            let fits = |rule: &&FaultRule| rule.times != Some(0) && path.starts_with(&rule.path);
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

    /// Whether the next transaction is lost.
    pub(super) fn loses_transaction(&mut self) -> bool {
        self.comes(self.lost_transactions)
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

    #[test]
    fn the_same_seed_gives_the_same_faults_and_rules_end() {
        let rule = |per_mille, times| FaultRule {
            fault: AnswerFault::Garbage,
            path: "/block/".into(),
            per_mille,
            times,
        };
        let faults = |seed| {
            let answers = vec![rule(250, None)];
            let mut switches = Switches { answers, seed, ..Switches::default() };
            (0..4000).map(|_| switches.fault_of("/block/7").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
        let count = faults(7).into_iter().filter(|fault| *fault).count();
        assert!((900..1100).contains(&count), "{count}");
        let mut switches = Switches { answers: vec![rule(1000, Some(2))], ..Switches::default() };
        assert_eq!(switches.fault_of("/count"), None);
        let mut fault = || switches.fault_of("/block/7").is_some();
        assert_eq!([fault(), fault(), fault()], [true, true, false]);
    }
}
