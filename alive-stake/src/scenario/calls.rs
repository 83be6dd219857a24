//! A scenario's calls and their arguments.

use alive_core::{AccountName, Excerpt, Quality, StreamId};
use serde_json::Value;

use crate::{amount::Amount, call::Call, params::Rules, refusal::Refusal};

use super::ActionProblem;

/// What a line of a scenario asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// A call of the rules.
    Call(Call),
    /// Who may deliver a rendition.
    Elect(Election),
}

/// The rendition that a scenario asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Election {
    /// The block whose id is the chance.
    pub block_id: Vec<u8>,
    /// The stream.
    pub stream: StreamId,
    /// The rendition.
    pub quality: Quality,
    /// The highest price.
    pub max_price: Amount,
}

/// Why there is no request.
pub(super) enum Unread {
    /// The reference refuses it when it runs.
    Refused(Refusal),
    /// It is no call at all.
    Problem(ActionProblem),
}

/// How a call without an account is written.
const NONE: &str = "none";

pub(super) fn read(rules: &Rules, call: &str, args: &[Value]) -> Result<Request, Unread> {
    let args = Args(args);
    let mature = matches!(rules, Rules::Mature(_));
    let call = match (call, mature) {
        ("bond", _) => {
            args.count(2)?;
            Call::Bond { amount: args.amount(0)?, to: args.account(1)? }
        }
        ("initializeRound", _) => {
            args.count(0)?;
            Call::InitializeRound
        }
        ("reward", _) => {
            args.count(0)?;
            Call::Reward
        }
        ("transfer", _) => {
            args.count(2)?;
            Call::Transfer { to: args.account(0)?, amount: args.amount(1)? }
        }
        ("transcoder", _) => {
            // The price is part of the rules of 2017, and may be given for elections under the others.
            let price = match (args.0.len(), mature) {
                (2, true) => None,
                (3, _) => Some(args.amount(2)?),
                (got, _) => return Err(ActionProblem::Count { got, takes: 3 }.into()),
            };
            Call::Transcoder { reward_cut: args.rate(0)?, fee_share: args.rate(1)?, price }
        }
        ("elect", _) => {
            args.count(4)?;
            return Ok(Request::Elect(args.election()?));
        }
        (call, true) => mature_call(call, &args)?,
        (call, false) => milestone_call(call, &args)?,
    };
    Ok(Request::Call(call))
}

fn mature_call(call: &str, args: &Args<'_>) -> Result<Call, Unread> {
    let takes = match call {
        "claimEarnings" => 0,
        "rebond" | "unbond" | "withdrawFees" | "withdrawStake" => 1,
        "fees" | "rebondFromUnbonded" | "transferBond" => 2,
        "bondFor" => 3,
        other => return Err(ActionProblem::Unknown(Excerpt::of(other)).into()),
    };
    args.count(takes)?;
    Ok(match call {
        "bondFor" => {
            Call::BondFor { amount: args.amount(0)?, owner: args.account(1)?, to: args.account(2)? }
        }
        "fees" => Call::Fees { transcoder: args.account(0)?, amount: args.amount(1)? },
        "rebond" => Call::Rebond { lock: args.lock(0)? },
        "rebondFromUnbonded" => {
            Call::RebondFromUnbonded { to: args.account(0)?, lock: args.lock(1)? }
        }
        "transferBond" => {
            Call::TransferBond { receiver: args.account(0)?, amount: args.amount(1)? }
        }
        "unbond" => Call::Unbond { amount: Some(args.amount(0)?) },
        "withdrawFees" => Call::WithdrawFees { amount: args.amount(0)? },
        "withdrawStake" => Call::WithdrawStake { lock: args.lock(0)? },
        _ => Call::ClaimEarnings,
    })
}

fn milestone_call(call: &str, args: &Args<'_>) -> Result<Call, Unread> {
    args.count(0)?;
    match call {
        "resignAsTranscoder" => Ok(Call::ResignAsTranscoder),
        "unbond" => Ok(Call::Unbond { amount: None }),
        "withdraw" => Ok(Call::Withdraw),
        other => Err(ActionProblem::Unknown(Excerpt::of(other)).into()),
    }
}

/// A call as a line of text.
pub(super) fn shown(call: &str, args: &[Value]) -> String {
    let args = args.iter().map(|arg| match arg {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    format!("{call}({})", args.collect::<Vec<_>>().join(", "))
}

/// Arguments, each a text or a number.
struct Args<'a>(&'a [Value]);

impl Args<'_> {
    fn count(&self, takes: usize) -> Result<(), Unread> {
        let got = self.0.len();
        if got == takes { Ok(()) } else { Err(ActionProblem::Count { got, takes }.into()) }
    }

    fn text(&self, at: usize) -> String {
        match self.0.get(at) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    fn amount(&self, at: usize) -> Result<Amount, Unread> {
        self.parse(at, "amount")
    }

    /// A rate too large for the type is too large for the rules, too.
    fn rate(&self, at: usize) -> Result<u64, Unread> {
        let rate = self.amount(at)?;
        Ok(rate.to_string().parse().unwrap_or(u64::MAX))
    }

    /// No account has a lock whose id does not fit the type.
    fn lock(&self, at: usize) -> Result<u64, Unread> {
        let lock = self.amount(at)?;
        Ok(lock.to_string().parse().unwrap_or(u64::MAX))
    }

    fn account(&self, at: usize) -> Result<AccountName, Unread> {
        if self.text(at) == NONE {
            return Err(Unread::Refused(Refusal::NoAccount));
        }
        self.parse(at, "account")
    }

    fn election(&self) -> Result<Election, Unread> {
        Ok(Election {
            block_id: self.text(0).into_bytes(),
            stream: self.parse(1, "stream")?,
            quality: self.parse(2, "quality")?,
            max_price: self.amount(3)?,
        })
    }

    fn parse<T: std::str::FromStr>(&self, at: usize, what: &'static str) -> Result<T, Unread> {
        self.text(at).parse().map_err(|_| ActionProblem::Argument { at, what }.into())
    }
}

impl From<ActionProblem> for Unread {
    fn from(problem: ActionProblem) -> Self {
        Self::Problem(problem)
    }
}
