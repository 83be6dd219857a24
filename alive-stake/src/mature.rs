//! The rule set `mature`: cumulative factors, locks, one sorted pool. Source: `spec/livepeer.md`, section 2.

mod act;
mod claim;
mod pool;
mod reward;
mod stake;
mod state;

use std::{collections::HashMap, sync::Arc};

use alive_core::AccountName;

use crate::{
    accounts::{AccountId, Accounts, Table},
    amount::Amount,
    call::{Call, Effect, Round},
    elect::RoundSet,
    history::Machine,
    params::MatureParams,
    refusal::Refusal,
    token::{Token, TokenChange},
};

use pool::{Entry, Pool, PoolChange};
pub use state::{MatureDelegator, MatureEarnings, MatureLock, MatureState, MatureTranscoder};

/// The state and what leads back.
#[derive(Clone, Debug)]
pub(crate) struct Mature {
    params: MatureParams,
    /// The accounts with a meaning.
    minter: AccountId,
    treasury: AccountId,
    state: State,
    log: Vec<Change>,
    effects: Vec<Effect>,
}

/// All that the rules remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    accounts: Accounts,
    token: Token,
    delegators: Table<Delegator>,
    transcoders: Table<Transcoder>,
    /// Only ever asked for one account: the order shows nowhere.
    locks: HashMap<AccountId, Locks>,
    /// Only ever asked for one key. They stay for ever, as a delegator may claim after any number of rounds.
    earnings: HashMap<(AccountId, Round), Earnings>,
    pool: Pool,
    globals: Globals,
    round_set: Arc<RoundSet>,
}

/// An account's locks by id.
type Locks = std::collections::BTreeMap<u64, Lock>;

/// What every account has as a delegator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delegator {
    bonded: Amount,
    fees: Amount,
    delegate: Option<AccountId>,
    /// The whole stake that points at this account, in the pool or not.
    delegated: Amount,
    start_round: Round,
    last_claim_round: Round,
    next_lock_id: u64,
}

/// What every account has as a transcoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcoder {
    last_reward_round: Round,
    reward_cut: u64,
    fee_share: u64,
    last_active_stake_update_round: Round,
    activation_round: Round,
    /// `Round::MAX` is no end in sight; 0 at first, so that nobody is active by default.
    deactivation_round: Round,
    active_cumulative_rewards: Amount,
    cumulative_rewards: Amount,
    cumulative_fees: Amount,
    last_fee_round: Round,
    price: Price,
}

/// A price for elections. It never changes within a round, else two nodes could elect differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Price {
    /// In force from `since` on.
    new: Amount,
    since: Round,
    /// In force before.
    old: Amount,
}

impl Price {
    fn at(self, round: Round) -> Amount {
        if self.since <= round { self.new } else { self.old }
    }
}

/// Tokens on their way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    amount: Amount,
    withdraw_round: Round,
}

/// A transcoder's earnings pool in one round. A factor of 0 is one that was not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Earnings {
    total_stake: Amount,
    reward_cut: u64,
    fee_share: u64,
    factors: Factors,
}

/// Cumulative factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Factors {
    reward: Amount,
    fee: Amount,
}

/// What there is only one of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Globals {
    last_initialized_round: Round,
    current_total_stake: Amount,
    next_total_stake: Amount,
    inflation: u64,
    mintable: Amount,
    minted: Amount,
    treasury_rate: Amount,
    next_treasury_rate: Amount,
}

/// A piece of the state as it was.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Delegator(AccountId, Delegator),
    Earnings((AccountId, Round), Option<Earnings>),
    Globals(Globals),
    Lock(AccountId, u64, Option<Lock>),
    NewAccount,
    Pool(PoolChange),
    RoundSet(Arc<RoundSet>),
    Token(TokenChange),
    Transcoder(AccountId, Transcoder),
}

impl Machine for Mature {
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
            Change::Earnings(key, Some(earnings)) => drop(state.earnings.insert(key, earnings)),
            Change::Earnings(key, None) => drop(state.earnings.remove(&key)),
            Change::Globals(globals) => state.globals = globals,
            Change::Lock(id, lock, was) => set_lock(&mut state.locks, id, lock, was),
            Change::NewAccount => {
                state.accounts.pop();
                state.token.balances.pop();
                state.delegators.pop();
                state.transcoders.pop();
            }
            Change::Pool(change) => state.pool.revert(change),
            Change::RoundSet(set) => state.round_set = set,
            Change::Token(change) => state.token.revert(change),
            Change::Transcoder(id, transcoder) => state.transcoders[id] = transcoder,
        }
    }
}

/// Sets or takes away a lock; an account without locks has no list of them.
fn set_lock(locks: &mut HashMap<AccountId, Locks>, id: AccountId, lock: u64, value: Option<Lock>) {
    let of_account = locks.entry(id).or_default();
    match value {
        Some(value) => drop(of_account.insert(lock, value)),
        None => drop(of_account.remove(&lock)),
    }
    if of_account.is_empty() {
        locks.remove(&id);
    }
}

impl PartialEq for Mature {
    fn eq(&self, other: &Self) -> bool {
        self.params == other.params && self.state == other.state
    }
}

/// Reading, and writing with the way back written down first.
impl Mature {
    pub(crate) fn new(
        params: MatureParams,
        genesis: &std::collections::BTreeMap<AccountName, Amount>,
    ) -> Result<Self, Refusal> {
        let mut state = State::default();
        let mut id_of = |name: &AccountName| add_account(&mut state, name);
        let (minter, treasury) = (id_of(&params.minter), id_of(&params.treasury));
        state.globals.inflation = params.inflation;
        state.globals.next_treasury_rate = params.treasury_reward_cut_rate;
        for (name, amount) in genesis {
            let id = state.accounts.find(name).unwrap_or_else(|| add_account(&mut state, name));
            state.token.mint(id, *amount, drop)?;
        }
        Ok(Self { params, minter, treasury, state, log: Vec::new(), effects: Vec::new() })
    }

    pub(crate) fn round(&self, block: u64) -> Round {
        block / self.params.round_length
    }

    pub(crate) fn round_set(&self) -> &RoundSet {
        &self.state.round_set
    }

    pub(crate) fn supply(&self) -> Amount {
        self.state.token.supply
    }

    pub(crate) fn balance(&self, name: &AccountName) -> Amount {
        let id = self.state.accounts.find(name);
        id.map_or(Amount::ZERO, |id| self.state.token.balances[id])
    }

    pub(crate) fn protocol_accounts(&self) -> Vec<AccountName> {
        vec![self.params.minter.clone(), self.params.treasury.clone()]
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

    fn globals_mut(&mut self) -> &mut Globals {
        self.log.push(Change::Globals(self.state.globals));
        &mut self.state.globals
    }

    fn earnings(&self, id: AccountId, round: Round) -> Earnings {
        self.state.earnings.get(&(id, round)).copied().unwrap_or_default()
    }

    fn earnings_mut(&mut self, id: AccountId, round: Round) -> &mut Earnings {
        let key = (id, round);
        self.log.push(Change::Earnings(key, self.state.earnings.get(&key).copied()));
        self.state.earnings.entry(key).or_default()
    }

    fn lock(&self, id: AccountId, lock: u64) -> Result<Lock, Refusal> {
        let locks = self.state.locks.get(&id);
        locks.and_then(|locks| locks.get(&lock)).copied().ok_or(Refusal::NoSuchLock(lock))
    }

    fn open_lock(&mut self, id: AccountId, lock: u64, value: Lock) {
        self.log.push(Change::Lock(id, lock, None));
        set_lock(&mut self.state.locks, id, lock, Some(value));
        let Lock { amount, withdraw_round: due } = value;
        self.effects.push(Effect::LockOpened { owner: self.name(id), lock, amount, due });
    }

    /// Takes a lock away and says what was in it.
    fn close_lock(&mut self, id: AccountId, lock: u64) -> Result<Lock, Refusal> {
        let value = self.lock(id, lock)?;
        self.log.push(Change::Lock(id, lock, Some(value)));
        set_lock(&mut self.state.locks, id, lock, None);
        self.effects.push(Effect::LockClosed { owner: self.name(id), lock });
        Ok(value)
    }

    fn insert_in_pool(&mut self, id: AccountId, stake: Amount) {
        let log = &mut self.log;
        self.state.pool.insert(Entry { id, stake }, |change| log.push(Change::Pool(change)));
    }

    fn remove_from_pool(&mut self, id: AccountId, stake: Amount) -> bool {
        let log = &mut self.log;
        self.state.pool.remove(id, stake, |change| log.push(Change::Pool(change)))
    }

    fn in_pool(&self, id: AccountId) -> bool {
        self.state.pool.contains(id, self.delegator(id).delegated)
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

    /// Delegates to itself and has a bond.
    fn registered(&self, id: AccountId) -> bool {
        let delegator = self.delegator(id);
        delegator.delegate == Some(id) && !delegator.bonded.is_zero()
    }

    fn active(&self, id: AccountId, round: Round) -> bool {
        let transcoder = self.transcoder(id);
        transcoder.activation_round <= round && round < transcoder.deactivation_round
    }
}

fn add_account(state: &mut State, name: &AccountName) -> AccountId {
    state.token.balances.push();
    state.delegators.push();
    state.transcoders.push();
    state.accounts.add(name)
}

impl Mature {
    /// Does what an account asks for.
    pub(crate) fn act(
        &mut self,
        block: u64,
        from: &AccountName,
        call: &Call,
    ) -> Result<(), Refusal> {
        let round = self.round(block);
        let free =
            matches!(call, Call::InitializeRound | Call::Fees { .. } | Call::Transfer { .. });
        if !free && self.state.globals.last_initialized_round != round {
            return Err(Refusal::RoundNotInitialized(round));
        }
        if *from == self.params.minter {
            return Err(Refusal::Reserved(from.clone()));
        }
        let me = self.id_of(from);
        match call {
            Call::Bond { amount, to } => {
                let to = self.id_of(to);
                self.bond(me, me, to, *amount, round)
            }
            Call::BondFor { amount, owner, to } => {
                let (owner, to) = (self.id_of(owner), self.id_of(to));
                self.bond_for(me, owner, to, *amount, round)
            }
            Call::ClaimEarnings => self.claim(me, round),
            Call::Fees { transcoder, amount } => {
                if *from != self.params.payment_module {
                    return Err(Refusal::NotPaymentModule(from.clone()));
                }
                let transcoder = self.id_of(transcoder);
                self.share_fees(transcoder, *amount, round)
            }
            Call::InitializeRound => self.initialize_round(round),
            Call::Rebond { lock } => self.rebond(me, *lock, round),
            Call::RebondFromUnbonded { to, lock } => {
                let to = self.id_of(to);
                self.rebond_from_unbonded(me, to, *lock, round)
            }
            Call::ResignAsTranscoder | Call::Withdraw => Err(Refusal::OtherRules),
            Call::Reward => self.reward(me, round),
            Call::Transcoder { reward_cut, fee_share, price } => {
                self.set_rates(me, *reward_cut, *fee_share, *price, block)
            }
            Call::Transfer { to, amount } => {
                let to = self.id_of(to);
                self.pay(me, to, *amount)
            }
            Call::TransferBond { receiver, amount } => {
                let receiver = self.id_of(receiver);
                self.transfer_bond(me, receiver, *amount, round)
            }
            Call::Unbond { amount } => {
                let amount = amount.ok_or(Refusal::OtherRules)?;
                self.unbond(me, amount, round).map(drop)
            }
            Call::WithdrawFees { amount } => self.withdraw_fees(me, *amount, round),
            Call::WithdrawStake { lock } => self.withdraw_stake(me, *lock, round),
        }
    }
}
