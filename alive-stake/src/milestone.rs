//! The rule set `milestone-2017`, defects and all. Source: `spec/livepeer.md`, section 1.

mod act;
mod heap;
mod pools;
mod reward;
mod state;

use std::collections::BTreeMap;

use alive_core::AccountName;

use crate::{
    accounts::{AccountId, Accounts, Table},
    amount::Amount,
    call::{Call, Effect, Round},
    elect::{RoundSet, SetEntry},
    history::Machine,
    params::MilestoneParams,
    refusal::Refusal,
    token::{Token, TokenChange},
};

use heap::{Entry, Heap, HeapChange, Order};
pub use state::{MilestoneDelegator, MilestoneState, MilestoneTranscoder};

/// The state and what leads back.
#[derive(Clone, Debug)]
pub(crate) struct Milestone {
    params: MilestoneParams,
    /// Holds what is bonded and what was minted.
    protocol: AccountId,
    state: State,
    log: Vec<Change>,
    effects: Vec<Effect>,
}

/// All that the rules remember.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    accounts: Accounts,
    token: Token,
    delegators: Table<Delegator>,
    transcoders: Table<Transcoder>,
    active: Heap,
    candidates: Heap,
    /// The active heap's array as it was when the round began.
    round_set: Vec<Entry>,
    reward_pools: BTreeMap<(AccountId, Round), RewardPool>,
    last_initialized_round: Round,
}

/// What every account has as a delegator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delegator {
    initialized: bool,
    bonded: Amount,
    transcoder: Option<AccountId>,
    round_start: Round,
    withdraw_round: Round,
    last_state_transition_round: Round,
}

/// What every account has as a transcoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcoder {
    /// Whether it ever registered.
    known: bool,
    registered: bool,
    bonded: Amount,
    delegator_withdraw_round: Round,
    reward_round: Round,
    reward_cycle: u64,
    rates: Rates,
    pending: Rates,
    in_round_set: bool,
    position: usize,
}

/// A transcoder's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    block_reward_cut: u64,
    fee_share: u64,
    price_per_segment: Amount,
}

/// What a transcoder's delegators share for one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RewardPool {
    tokens: Amount,
    stake: Amount,
}

/// Which of the two pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Active,
    Candidates,
}

/// A piece of the state as it was.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Delegator(AccountId, Delegator),
    Heap(Which, HeapChange),
    LastInitialized(Round),
    NewAccount,
    RewardPool((AccountId, Round), Option<RewardPool>),
    RoundSet(Vec<Entry>),
    Token(TokenChange),
    Transcoder(AccountId, Transcoder),
}

impl Machine for Milestone {
    type Change = Change;

    fn log(&mut self) -> &mut Vec<Change> {
        &mut self.log
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn revert(&mut self, change: Change) {
        let state = &mut self.state;
        match change {
            Change::Delegator(id, delegator) => state.delegators[id] = delegator,
            Change::Heap(Which::Active, change) => state.active.revert(change),
            Change::Heap(Which::Candidates, change) => state.candidates.revert(change),
            Change::LastInitialized(round) => state.last_initialized_round = round,
            Change::NewAccount => {
                state.accounts.pop();
                state.token.balances.pop();
                state.delegators.pop();
                state.transcoders.pop();
            }
            Change::RewardPool(key, Some(pool)) => drop(state.reward_pools.insert(key, pool)),
            Change::RewardPool(key, None) => drop(state.reward_pools.remove(&key)),
            Change::RoundSet(set) => state.round_set = set,
            Change::Token(change) => state.token.revert(change),
            Change::Transcoder(id, transcoder) => state.transcoders[id] = transcoder,
        }
    }
}

impl PartialEq for Milestone {
    fn eq(&self, other: &Self) -> bool {
        self.params == other.params && self.state == other.state
    }
}

/// Reading, and writing with the way back written down first.
impl Milestone {
    pub(crate) fn new(
        params: MilestoneParams,
        deploy_block: u64,
        genesis: &BTreeMap<AccountName, Amount>,
    ) -> Result<Self, Refusal> {
        let mut state = State {
            accounts: Accounts::default(),
            token: Token::default(),
            delegators: Table::default(),
            transcoders: Table::default(),
            active: Heap::new(Order::SmallestFirst, params.n),
            candidates: Heap::new(Order::LargestFirst, params.candidate_size),
            round_set: Vec::new(),
            reward_pools: BTreeMap::new(),
            last_initialized_round: deploy_block / params.round_length,
        };
        let protocol = add_account(&mut state, &params.protocol);
        for (name, amount) in genesis {
            let id = add_account(&mut state, name);
            state.token.mint(id, *amount, drop)?;
        }
        Ok(Self { params, protocol, state, log: Vec::new(), effects: Vec::new() })
    }

    pub(crate) fn round(&self, block: u64) -> Round {
        block / self.params.round_length
    }

    /// The set of the round that was initialised last, with the prices that came into force with it.
    pub(crate) fn round_set(&self) -> RoundSet {
        let entries = self.state.round_set.iter().map(|entry| {
            let price = self.transcoder(entry.id).rates.price_per_segment;
            SetEntry::new(self.name(entry.id), entry.stake, price)
        });
        RoundSet::new(self.state.last_initialized_round, entries.collect())
    }

    pub(crate) fn supply(&self) -> Amount {
        self.state.token.supply
    }

    pub(crate) fn balance(&self, name: &AccountName) -> Amount {
        let id = self.state.accounts.find(name);
        id.map_or(Amount::ZERO, |id| self.state.token.balances[id])
    }

    pub(crate) fn protocol_accounts(&self) -> Vec<AccountName> {
        vec![self.params.protocol.clone()]
    }

    fn id_of(&mut self, name: &AccountName) -> AccountId {
        if let Some(id) = self.state.accounts.find(name) {
            return id;
        }
        self.log.push(Change::NewAccount);
        add_account(&mut self.state, name)
    }

    fn name(&self, id: AccountId) -> AccountName {
        self.state.accounts.name(id).clone()
    }

    fn delegator(&self, id: AccountId) -> &Delegator {
        &self.state.delegators[id]
    }

    fn delegator_mut(&mut self, id: AccountId) -> &mut Delegator {
        let delegator = &mut self.state.delegators[id];
        self.log.push(Change::Delegator(id, *delegator));
        delegator
    }

    fn transcoder(&self, id: AccountId) -> &Transcoder {
        &self.state.transcoders[id]
    }

    fn transcoder_mut(&mut self, id: AccountId) -> &mut Transcoder {
        let transcoder = &mut self.state.transcoders[id];
        self.log.push(Change::Transcoder(id, *transcoder));
        transcoder
    }

    fn pay(&mut self, from: AccountId, to: AccountId, amount: Amount) -> Result<(), Refusal> {
        let has = self.state.token.balances[from];
        if has < amount {
            let account = self.name(from);
            return Err(Refusal::InsufficientBalance { account, has, needed: amount });
        }
        let log = &mut self.log;
        self.state.token.transfer(from, to, amount, |change| log.push(Change::Token(change)))?;
        let (from, to) = (self.name(from), self.name(to));
        self.effects.push(Effect::Transferred { from, to, amount });
        Ok(())
    }

    fn mint(&mut self, to: AccountId, amount: Amount) -> Result<(), Refusal> {
        let log = &mut self.log;
        self.state.token.mint(to, amount, |change| log.push(Change::Token(change)))?;
        self.effects.push(Effect::Minted { to: self.name(to), amount });
        Ok(())
    }

    /// Does what an account asks for.
    pub(crate) fn act(
        &mut self,
        block: u64,
        from: &AccountName,
        call: &Call,
    ) -> Result<(), Refusal> {
        let round = self.round(block);
        let free = matches!(call, Call::InitializeRound | Call::Transfer { .. });
        if !free && self.state.last_initialized_round != round {
            return Err(Refusal::RoundNotInitialized(round));
        }
        if *from == self.params.protocol {
            return Err(Refusal::Reserved(from.clone()));
        }
        let me = self.id_of(from);
        match call {
            Call::Bond { amount, to } => {
                let to = self.id_of(to);
                self.bond(me, to, *amount, round)
            }
            Call::InitializeRound => {
                self.initialize_round(round);
                Ok(())
            }
            Call::ResignAsTranscoder => self.resign(me, round),
            Call::Reward => self.reward(me, block),
            Call::Transcoder { reward_cut, fee_share, price } => {
                self.register(me, *reward_cut, *fee_share, price.unwrap_or_default())
            }
            Call::Transfer { to, amount } => {
                let to = self.id_of(to);
                self.pay(me, to, *amount)
            }
            Call::Unbond { amount: None } => self.unbond(me, round),
            Call::Withdraw => self.withdraw(me, round),
            _ => Err(Refusal::OtherRules),
        }
    }
}

fn add_account(state: &mut State, name: &AccountName) -> AccountId {
    state.token.balances.push();
    state.delegators.push();
    state.transcoders.push();
    state.accounts.add(name)
}
