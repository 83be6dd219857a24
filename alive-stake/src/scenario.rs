//! Scenarios: actions in a file, for people who want to see what the rules do, and for golden vectors.
//!
//! The form is that of the vectors' `in`: `{"params":{"rules",…},"actions":[{"block","from","call","args"}]}`.
//! Parameters that are not given have the rule set's defaults. One call more than the rule sets have is understood:
//! `elect` with `[block id, stream, quality, highest price]` shows the order in which transcoders may deliver that
//! rendition in the present round. Source: `spec/livepeer.md`, section 6; `elect` is ours.

mod calls;
mod params;

use alive_core::{AccountName, Excerpt};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    amount::Amount,
    assign::Assignment,
    call::Effect,
    params::{Params, ParamsError},
    refusal::Refusal,
    stake::{Stake, State},
};

pub use calls::{Election, Request};

/// Parameters and actions.
///
/// ```
/// use alive_stake::scenario::Scenario;
/// let scenario: Scenario = r#"{
///     "params": {"rules": "mature", "round_length": 10, "genesis": {"ann": "50"}},
///     "actions": [{"block": 1, "from": "ann", "call": "bond", "args": ["20", "ann"]},
///                 {"block": 2, "from": "ann", "call": "bond", "args": ["40", "ann"]}]
/// }"#.parse()?;
/// let run = scenario.run()?;
/// assert!(run.steps[0].outcome.is_ok() && run.steps[1].outcome.is_err());
/// assert_eq!(run.to_json()["state"]["balances"]["ann"], "30");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    params: Params,
    /// The accounts that the final state lists; all when there is no list.
    listed: Option<Vec<AccountName>>,
    actions: Vec<Action>,
}

/// One line of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Action {
    /// At which block.
    pub block: u64,
    /// Who.
    pub from: AccountName,
    /// The call as it was written.
    pub text: String,
    /// What it means; a refusal when it names no account where one is needed.
    pub request: Result<Request, Refusal>,
}

/// What running a scenario gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// One for each action.
    pub steps: Vec<Step>,
    /// The ledger after the last.
    pub stake: Stake,
    listed: Option<Vec<AccountName>>,
}

/// What became of one action.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// What was done.
    pub outcome: Result<Outcome, Refusal>,
    /// The pools afterwards: one list (`mature`), or the two heaps by name (`milestone-2017`).
    pub pools: Value,
}

/// What an action did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was a call of the rules.
    Applied(Vec<Effect>),
    /// It asked who may deliver, best first.
    Elected(Vec<AccountName>),
}

/// Why a text is no scenario.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// An action is not understood.
    #[error("action {index}: {problem}")]
    Action {
        /// Which, counted from 0.
        index: usize,
        /// Why.
        problem: ActionProblem,
    },
    /// The text is not JSON of the right form.
    #[error("not a scenario")]
    Form(#[from] serde_json::Error),
    /// The parameters contradict each other.
    #[error("params")]
    Params(#[from] ParamsError),
    /// There is no such rule set.
    #[error("params: rules {0} are not known, only mature and milestone-2017 are")]
    Rules(Excerpt),
    /// The text is too long.
    #[error("a scenario of {0} bytes, at most {max} are read", max = Scenario::MAX_BYTES)]
    TooLong(usize),
}

/// Why an action is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionProblem {
    /// An argument is not what the call takes there.
    #[error("argument {at} is no {what}")]
    Argument {
        /// Which, counted from 0.
        at: usize,
        /// What it should be.
        what: &'static str,
    },
    /// The call takes another number of arguments.
    #[error("{got} arguments, the call takes {takes}")]
    Count {
        /// How many there are.
        got: usize,
        /// How many it takes.
        takes: usize,
    },
    /// There is no such call under these rules.
    #[error("there is no call {0} under these rules")]
    Unknown(Excerpt),
}

/// The outer form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    params: Map<String, Value>,
    actions: Vec<ActionText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionText {
    block: u64,
    from: AccountName,
    call: String,
    #[serde(default)]
    args: Vec<Value>,
}

impl Scenario {
    /// Longest text, in bytes. Our own limit.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Takes a scenario from JSON that is already read.
    ///
    /// # Errors
    /// It has not the form above.
    pub fn from_json(value: &Value) -> Result<Self, ScenarioError> {
        Self::from_text(Text::deserialize(value)?)
    }

    /// The lines.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The ledger before the first action.
    ///
    /// # Errors
    /// The parameters contradict each other.
    pub fn start(&self) -> Result<Stake, ParamsError> {
        Stake::new(self.params.clone())
    }

    /// Does all actions in order.
    ///
    /// # Errors
    /// The parameters contradict each other.
    pub fn run(&self) -> Result<Run, ParamsError> {
        let mut stake = self.start()?;
        let mut steps = Vec::new();
        for action in &self.actions {
            let outcome = action.apply(&mut stake);
            steps.push(Step { outcome, pools: pools(&stake) });
        }
        Ok(Run { steps, stake, listed: self.listed.clone() })
    }

    fn from_text(Text { params, actions }: Text) -> Result<Self, ScenarioError> {
        let params::Read { params, listed } = params::read(params)?;
        let actions = actions.into_iter().enumerate().map(|(index, action)| {
            let ActionText { block, from, call, args } = action;
            let request = calls::read(&params.rules, &call, &args);
            let request = match request {
                Ok(request) => Ok(request),
                Err(calls::Unread::Refused(refusal)) => Err(refusal),
                Err(calls::Unread::Problem(problem)) => {
                    return Err(ScenarioError::Action { index, problem });
                }
            };
            Ok(Action { block, from, text: calls::shown(&call, &args), request })
        });
        let actions = actions.collect::<Result<_, _>>()?;
        Ok(Self { params, listed, actions })
    }
}

impl std::str::FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(s: &str) -> Result<Self, ScenarioError> {
        if s.len() > Self::MAX_BYTES {
            return Err(ScenarioError::TooLong(s.len()));
        }
        Self::from_text(serde_json::from_str(s)?)
    }
}

impl Action {
    fn apply(&self, stake: &mut Stake) -> Result<Outcome, Refusal> {
        match &self.request {
            Ok(Request::Call(call)) => {
                stake.apply(self.block, &self.from, call).map(Outcome::Applied)
            }
            Ok(Request::Elect(election)) => {
                stake.advance_to(self.block)?;
                let Election { block_id, stream, quality, max_price } = election;
                let set = stake.round_set();
                if set.round() != stake.round() {
                    return Err(Refusal::RoundNotInitialized(stake.round()));
                }
                let order = Assignment::new(&set, block_id, stream, *quality, *max_price);
                Ok(Outcome::Elected(order.cloned().collect()))
            }
            Err(refusal) => {
                stake.advance_to(self.block)?;
                Err(refusal.clone())
            }
        }
    }
}

impl Run {
    /// The results, the pools after each action and the final state, in the form of the vectors' `out`.
    pub fn to_json(&self) -> Value {
        let results: Vec<_> = self.steps.iter().map(|step| result(&step.outcome)).collect();
        let pools: Vec<_> = self.steps.iter().map(|step| &step.pools).collect();
        let pools_name = match self.stake.state() {
            State::Mature(_) => "pool_after",
            State::Milestone2017(_) => "pools_after",
        };
        json!({ "results": results, pools_name: pools, "state": self.state_json() })
    }

    /// The final state, of the listed accounts and those of the protocol only.
    fn state_json(&self) -> Value {
        // Every field serialises, by its type.
        let mut state = serde_json::to_value(self.stake.state()).unwrap_or_default();
        let Some(listed) = &self.listed else { return state };
        let protocol = self.stake.protocol_accounts();
        let is_listed = |name: &str| listed.iter().any(|listed| listed.as_str() == name);
        let is_protocol = |name: &str| protocol.iter().any(|account| account.as_str() == name);
        for part in ["delegators", "transcoders"] {
            if let Some(part) = state.get_mut(part).and_then(Value::as_object_mut) {
                part.retain(|name, _| is_listed(name));
            }
        }
        if let Some(balances) = state.get_mut("balances").and_then(Value::as_object_mut) {
            balances.retain(|name, _| is_listed(name) || is_protocol(name));
            for name in listed {
                balances.entry(name.as_str()).or_insert_with(|| json!(Amount::ZERO));
            }
        }
        state
    }
}

fn result(outcome: &Result<Outcome, Refusal>) -> Value {
    match outcome {
        Ok(Outcome::Applied(effects)) if effects.contains(&Effect::AlreadyInitialized) => {
            json!({ "ok": true, "noop": true })
        }
        Ok(Outcome::Applied(_)) => json!({ "ok": true }),
        Ok(Outcome::Elected(order)) => json!({ "ok": true, "order": order }),
        Err(refusal) => json!({ "error": refusal.to_string() }),
    }
}

fn pools(stake: &Stake) -> Value {
    let active = stake.active_pool();
    if stake.is_mature() {
        return json!(active);
    }
    json!({ "active": active, "candidate": stake.candidates() })
}
