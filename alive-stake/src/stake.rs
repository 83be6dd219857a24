//! The ledger of stakes: [`Stake`].

use alive_core::AccountName;
use serde::Serialize;

use crate::{
    amount::{Amount, ArithmeticError},
    call::{Call, Effect, Round},
    elect::RoundSet,
    history::{History, NotReversible},
    mature::{Mature, MatureDelegator, MatureState},
    milestone::{Milestone, MilestoneDelegator, MilestoneState},
    params::{Params, ParamsError, Rules},
    refusal::Refusal,
};

/// Who has staked how much on whom, and what follows from it: a deterministic state machine.
///
/// Actions go in as (block, account, call), effects or a [`Refusal`] come out. The same actions give the same state
/// everywhere. A refused action changes nothing but the block. Blocks that a chain replaces are undone with
/// [`undo_to`](Self::undo_to); what cannot be replaced any more is forgotten with [`finalize`](Self::finalize), which a
/// long-running program must call for its memory's sake.
///
/// Two ledgers are equal when they stand at the same block in the same state; how far back they reach is not compared.
///
/// ```
/// use alive_stake::{Call, MatureParams, Params, Refusal, Rules, Stake, TOKEN};
/// let (alice, bob) = ("alice".parse()?, "bob".parse()?);
/// let params = Params::new(Rules::Mature(MatureParams::default()));
/// let mut stake = Stake::new(params.with_balance(alice, TOKEN))?;
/// # let alice: alive_core::AccountName = "alice".parse()?;
///
/// stake.apply(10, &alice, &Call::Bond { amount: TOKEN, to: alice.clone() })?;
/// assert_eq!(stake.active_pool()[0].stake, TOKEN);
///
/// let refused = stake.apply(11, &bob, &Call::Bond { amount: TOKEN, to: alice });
/// assert!(matches!(refused, Err(Refusal::InsufficientBalance { .. })));
/// assert_eq!(stake.block(), 11);
///
/// stake.undo_to(9)?;
/// assert!(stake.active_pool().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Stake(Ledger);

#[derive(Clone, Debug)]
enum Ledger {
    Mature(Box<History<Mature>>),
    Milestone(Box<History<Milestone>>),
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mature(a), Self::Mature(b)) => a.block() == b.block() && a.machine == b.machine,
            (Self::Milestone(a), Self::Milestone(b)) => {
                a.block() == b.block() && a.machine == b.machine
            }
            _ => false,
        }
    }
}

impl Stake {
    /// A ledger in its first state.
    ///
    /// # Errors
    /// The parameters contradict each other.
    pub fn new(params: Params) -> Result<Self, ParamsError> {
        params.check()?;
        let Params { rules, deploy_block, genesis } = params;
        let ledger = match rules {
            Rules::Mature(rules) => {
                let machine = Mature::new(rules, &genesis).map_err(|_| ParamsError::Genesis)?;
                Ledger::Mature(Box::new(History::new(machine, deploy_block)))
            }
            Rules::Milestone2017(rules) => {
                let machine = Milestone::new(rules, deploy_block, &genesis);
                let machine = machine.map_err(|_| ParamsError::Genesis)?;
                Ledger::Milestone(Box::new(History::new(machine, deploy_block)))
            }
        };
        Ok(Self(ledger))
    }

    /// Does what `from` asks for at `block`, which is not before that of the last action.
    ///
    /// That the request is truly of that account is for the caller to check: a chain does it by signatures.
    ///
    /// # Errors
    /// Why it was refused. The state is as before, but for the block.
    pub fn apply(
        &mut self,
        block: u64,
        from: &AccountName,
        call: &Call,
    ) -> Result<Vec<Effect>, Refusal> {
        match &mut self.0 {
            Ledger::Mature(history) => {
                history.apply(block, |machine| machine.act(block, from, call))
            }
            Ledger::Milestone(history) => {
                history.apply(block, |machine| machine.act(block, from, call))
            }
        }
    }

    /// Moves on to a block without doing anything, as a refused action does.
    ///
    /// # Errors
    /// [`Refusal::StaleBlock`].
    pub fn advance_to(&mut self, block: u64) -> Result<(), Refusal> {
        match &mut self.0 {
            Ledger::Mature(history) => history.apply(block, |_| Ok(())).map(drop),
            Ledger::Milestone(history) => history.apply(block, |_| Ok(())).map(drop),
        }
    }

    /// Restores the state as it was after the last action of `block`, or before it when that block had none.
    ///
    /// # Errors
    /// That state was forgotten; nothing is undone.
    pub fn undo_to(&mut self, block: u64) -> Result<(), NotReversible> {
        match &mut self.0 {
            Ledger::Mature(history) => history.undo_to(block),
            Ledger::Milestone(history) => history.undo_to(block),
        }
    }

    /// Forgets how to restore states before that of `block`, and frees the memory.
    pub fn finalize(&mut self, block: u64) {
        match &mut self.0 {
            Ledger::Mature(history) => history.finalize(block),
            Ledger::Milestone(history) => history.finalize(block),
        }
    }

    /// The block of the last action.
    pub fn block(&self) -> u64 {
        match &self.0 {
            Ledger::Mature(history) => history.block(),
            Ledger::Milestone(history) => history.block(),
        }
    }

    /// The earliest block whose state can be restored.
    pub fn earliest_block(&self) -> u64 {
        match &self.0 {
            Ledger::Mature(history) => history.earliest(),
            Ledger::Milestone(history) => history.earliest(),
        }
    }

    /// The round of the last action's block.
    pub fn round(&self) -> Round {
        match &self.0 {
            Ledger::Mature(history) => history.machine.round(history.block()),
            Ledger::Milestone(history) => history.machine.round(history.block()),
        }
    }

    /// All tokens.
    pub fn supply(&self) -> Amount {
        match &self.0 {
            Ledger::Mature(history) => history.machine.supply(),
            Ledger::Milestone(history) => history.machine.supply(),
        }
    }

    /// An account's tokens that are not bonded.
    pub fn balance(&self, account: &AccountName) -> Amount {
        match &self.0 {
            Ledger::Mature(history) => history.machine.balance(account),
            Ledger::Milestone(history) => history.machine.balance(account),
        }
    }

    /// The active pool: largest stake first (`mature`), in the order of the heap (`milestone-2017`).
    pub fn active_pool(&self) -> Vec<Ranked> {
        match &self.0 {
            Ledger::Mature(history) => history.machine.active_pool(),
            Ledger::Milestone(history) => history.machine.active_pool(),
        }
    }

    /// Registered transcoders outside of the active pool: largest stake first (`mature`, walks over all accounts), the
    /// candidate pool in the order of the heap (`milestone-2017`).
    pub fn candidates(&self) -> Vec<Ranked> {
        match &self.0 {
            Ledger::Mature(history) => history.machine.candidates(),
            Ledger::Milestone(history) => history.machine.candidates(),
        }
    }

    /// The transcoders of the last round that was initialised: whom elections choose from.
    pub fn round_set(&self) -> RoundSet {
        match &self.0 {
            Ledger::Mature(history) => history.machine.round_set().clone(),
            Ledger::Milestone(history) => history.machine.round_set(),
        }
    }

    /// Whether claiming now takes nothing from an account. Under `mature` a claim before the delegate has called reward
    /// loses that reward: wait until this is true, or for the next round's beginning if it never is.
    /// Source: `spec/livepeer.md`, section 2.6.
    pub fn safe_to_claim(&self, account: &AccountName) -> bool {
        match &self.0 {
            Ledger::Mature(history) => history.machine.is_safe_to_claim(account, history.block()),
            // A claim includes the present round, and the next one includes it again.
            Ledger::Milestone(_) => true,
        }
    }

    /// The accounts that hold tokens for the rules: the protocol's own first, then the treasury, if there is one.
    pub fn protocol_accounts(&self) -> Vec<AccountName> {
        match &self.0 {
            Ledger::Mature(history) => history.machine.protocol_accounts(),
            Ledger::Milestone(history) => history.machine.protocol_accounts(),
        }
    }

    /// Whether the rule set is `mature`.
    pub fn is_mature(&self) -> bool {
        matches!(self.0, Ledger::Mature(_))
    }

    /// What is known of one delegator, without walking over all others; `None` when nothing is.
    pub fn delegator(&self, account: &AccountName) -> Option<DelegatorView> {
        match &self.0 {
            Ledger::Mature(history) => {
                let found = history.machine.find_delegator(account, history.block());
                found.map(DelegatorView::Mature)
            }
            Ledger::Milestone(history) => {
                let found = history.machine.find_delegator(account, history.block());
                found.map(DelegatorView::Milestone2017)
            }
        }
    }

    /// What the protocol holds and what it owes; walks over all accounts.
    ///
    /// # Errors
    /// An account's claim has no result, or the sum is too large.
    pub fn holdings(&self) -> Result<Holdings, ArithmeticError> {
        match &self.0 {
            Ledger::Mature(history) => history.machine.holdings(history.block()),
            Ledger::Milestone(history) => history.machine.holdings(history.block()),
        }
    }

    /// The whole state; walks over all accounts.
    pub fn state(&self) -> State {
        match &self.0 {
            Ledger::Mature(history) => {
                State::Mature(Box::new(history.machine.read_out(history.block())))
            }
            Ledger::Milestone(history) => {
                State::Milestone2017(Box::new(history.machine.read_out(history.block())))
            }
        }
    }
}

/// The whole state under one of the rule sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum State {
    /// Under `mature`.
    Mature(Box<MatureState>),
    /// Under `milestone-2017`.
    Milestone2017(Box<MilestoneState>),
}

/// One delegator under one of the rule sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum DelegatorView {
    /// Under `mature`.
    Mature(MatureDelegator),
    /// Under `milestone-2017`.
    Milestone2017(MilestoneDelegator),
}

/// An account with its stake in a pool. Its JSON is the pair of both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Ranked {
    /// Who.
    pub account: AccountName,
    /// The stake behind it.
    pub stake: Amount,
}

impl Serialize for Ranked {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (&self.account, &self.stake).serialize(to)
    }
}

/// Where a delegator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// Its bond counts.
    Bonded,
    /// Its bond counts from the next round on.
    Pending,
    /// Nothing is bonded (`mature`).
    Unbonded,
    /// It waits for the end of the unbonding period (`milestone-2017`).
    Unbonding,
}

/// What the protocol's account holds, and what all could take out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Holdings {
    /// Tokens in the protocol's account.
    pub held: Amount,
    /// Bonds, what they earned, and locks.
    pub owed: Amount,
}

impl Holdings {
    /// Whether everybody could be paid.
    pub fn solvent(&self) -> bool {
        self.owed <= self.held
    }
}
