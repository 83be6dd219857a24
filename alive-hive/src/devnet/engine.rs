//! The chain of a development node, without clock and network: [`Devnet`].

use std::collections::{BTreeSet, VecDeque};

use alive_core::Timestamp;

use crate::{
    authority::AuthorityRule,
    block_id::{BlockId, TransactionId},
    cost::Manabar,
    header::HeaderError,
    json_form::JsonForm,
    keys::{KeyError, PrivateKey, PublicKey},
    operation::Operation,
    serialize::Pack,
    signature::SignAlgorithm,
    time::{TimePoint, TimePointError},
    transaction::{SignedTransaction, Tapos, Transaction},
    validate::Invalid,
};

use super::{
    accounts::{Accounts, DevAccount},
    block_record::{BlockRecord, Packed, RecordError},
    config::DevnetConfig,
    credits::{Charge, Credits},
    history::History,
    lenient_json::check_lenient_json,
    log::{BlockLog, LogError},
    pool::{Pending, Pool},
    posts::Posts,
    refusal::{MAX_CUSTOM_OPS, TransactionError},
    switches::{Fate, Switches},
    witness,
};

/// Most bytes of all transactions of a block: room for any single one.
/// Our own choice within what witnesses may vote for. Source: `spec/hive.md`, section 4.3.
pub(super) const MAX_BLOCK_BYTES: usize = 131_072;
/// How far ahead of the head block a transaction may expire, since the hard fork that made signatures strict and before.
/// Source: `spec/hive.md`, section 4.3.
const MAX_EXPIRATION_SECS: u32 = 24 * 3600;
const FORMER_MAX_EXPIRATION_SECS: u32 = 3600;

/// A chain with one producer: judges transactions as hived does, makes real blocks of them and keeps them on disk.
///
/// Time is an argument. The node over HTTP is [`serve`](super::serve), a thin shell around this.
/// Source: `spec/hive.md`, sections 4 and 5.
///
/// ```
/// use alive_core::Timestamp;
/// use alive_hive::devnet::{Devnet, DevnetConfig};
/// let start: Timestamp = "2026-11-21T00:00:00".parse()?;
/// let mut chain = Devnet::open(DevnetConfig::default().by_hand(), start)?;
/// let block = chain.produce_block(start.after(std::time::Duration::from_secs(3)))?;
/// assert_eq!(block.block_num(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Devnet {
    pub(super) config: DevnetConfig,
    pub(super) log: BlockLog,
    pub(super) history: History,
    pub(super) accounts: Accounts,
    pub(super) credits: Credits,
    pub(super) irreversible: u32,
    pub(super) posts: Posts,
    pub(super) switches: Switches,
    pub(super) witness: String,
    pool: Pool,
    key: PrivateKey,
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionStatus {
    /// Expired, and never to be in a block.
    ExpiredIrreversible,
    /// Expired, but the last blocks may still be replaced by some that have it.
    ExpiredReversible,
    /// So long expired that the node does not remember.
    TooOld,
    /// Never heard of it.
    Unknown,
    /// In this block, which will stay.
    WithinIrreversibleBlock(u32),
    /// Waits for a block.
    WithinMempool,
    /// In this block, which may be replaced.
    WithinReversibleBlock(u32),
}

impl Devnet {
    /// Opens the chain of the configured folder, or begins a new one with a first block of that time.
    ///
    /// # Errors
    /// [`DevnetError`] if the block log cannot be opened or is not what this version wrote for this chain.
    pub fn open(config: DevnetConfig, now: Timestamp) -> Result<Self, DevnetError> {
        let chain = config.network.chain_id.to_string();
        let log = match &config.folder {
            Some(folder) => BlockLog::open(folder, &chain)?,
            None => BlockLog::in_memory(),
        };
        let key = witness::key()?;
        let mut accounts = Accounts::default();
        witness::accounts(&key.public_key()).for_each(|account| accounts.add_first(account));
        config.accounts.iter().cloned().for_each(|account| accounts.add_first(account));
        let mut node = Self {
            log,
            history: History::default(),
            accounts,
            credits: Credits::new(config.credits, config.prices.clone()),
            irreversible: 0,
            posts: Posts::default(),
            switches: Switches::default(),
            witness: witness::name(0),
            pool: Pool::default(),
            key,
            config,
        };
        node.replay()?;
        node.log.set_lag(node.config.irreversible_lag)?;
        if node.log.len() == 0 {
            node.produce_block(now)?;
        }
        Ok(node)
    }

    /// Takes a transaction into the pool, to be in the next block.
    ///
    /// # Errors
    /// [`TransactionError`] says which rule it breaks; nothing has changed then.
    pub fn push_transaction(
        &mut self,
        signed: SignedTransaction,
    ) -> Result<TransactionId, TransactionError> {
        let pending = self.judge(signed)?;
        if self.pool.is_full() {
            return Err(TransactionError::TooManyPending);
        }
        self.apply(&pending, Charge::Enforce)?;
        let id = pending.id;
        if self.switches.loses_broadcast() {
            self.reapply_pool();
        } else {
            self.pool.push(pending);
        }
        Ok(id)
    }

    /// Puts a transaction into the pool without judging its signatures and operations, to test what readers of a chain
    /// do about data that no good client sends. It is still only in a block while its reference and expiration hold.
    pub fn push_unjudged(&mut self, signed: SignedTransaction) -> TransactionId {
        let pending = Pending::new(signed, Pack::Legacy);
        let id = pending.id;
        self.pool.push(pending);
        id
    }

    /// Makes the next block of what waits in the pool. Its time is `now` in whole seconds, never before the head's.
    ///
    /// # Errors
    /// [`DevnetError`] if the block cannot be written; the chain and the pool are as before then.
    pub fn produce_block(&mut self, now: Timestamp) -> Result<BlockId, DevnetError> {
        let time = TimePoint::try_from(now)?.max(self.history.head_time());
        let head = self.head_num();
        let waiting = self.pool.take();
        self.undo_after(head);
        let all = waiting.clone();
        let Chosen { transactions, costs, left } = self.choose(waiting, time);
        match self.write_block(time, transactions) {
            Ok(record) => {
                let id = record.id;
                self.extend(&record, &costs);
                self.push_again(left);
                Ok(id)
            }
            Err(error) => {
                self.undo_after(head);
                self.push_again(all);
                Err(error)
            }
        }
    }

    /// Takes the last blocks away, as a micro-fork does. Their transactions go back to the pool, and the next block has
    /// another witness, so that it is another block.
    ///
    /// # Errors
    /// [`DevnetError::Irreversible`] if one of them is; nothing has changed then.
    pub fn pop_blocks(&mut self, count: u32) -> Result<(), DevnetError> {
        self.drop_blocks(count, Fate::Return)
    }

    /// Replaces the last blocks by as many others, as a micro-fork does that readers of the chain notice at once. The
    /// new blocks have the times of the old ones.
    ///
    /// # Errors
    /// [`DevnetError::Irreversible`] if one of them is; nothing has changed then.
    pub fn fork(&mut self, count: u32, fate: Fate) -> Result<(), DevnetError> {
        let first = self.head_num().saturating_sub(count).saturating_add(1);
        let times: Vec<_> =
            (first..=self.head_num()).filter_map(|num| self.history.time_of(num)).collect();
        self.drop_blocks(count, fate)?;
        for time in times {
            self.produce_block(time.into())?;
        }
        Ok(())
    }

    fn drop_blocks(&mut self, count: u32, fate: Fate) -> Result<(), DevnetError> {
        if count > self.head_num() - self.irreversible {
            return Err(DevnetError::Irreversible);
        }
        if count == 0 {
            return Ok(());
        }
        let mut dropped = VecDeque::new();
        let first = self.log.len().saturating_sub(count as usize);
        for index in first..self.log.len() {
            dropped.extend(self.record(index)?.transactions.into_iter().map(Pending::from));
        }
        let before = self.record(first.saturating_sub(1))?;
        // From here on nothing fails that would leave the blocks half taken away.
        self.log.pop(count)?;
        for _ in 0..count {
            self.history.pop();
        }
        self.witness = before.header.header.witness;
        let mut waiting = self.pool.take();
        if fate == Fate::Return {
            dropped.append(&mut waiting);
            waiting = dropped;
        }
        self.undo_after(self.head_num());
        self.push_again(waiting);
        Ok(())
    }

    /// Makes all blocks irreversible, as witnesses do who confirm the head block.
    ///
    /// # Errors
    /// [`DevnetError`] if that cannot be written down; nothing has changed then.
    pub fn finalize(&mut self) -> Result<(), DevnetError> {
        self.log.finalize()?;
        self.finalized();
        Ok(())
    }

    /// Sets how many blocks behind the head irreversibility is, from the next block on. What is irreversible stays so.
    ///
    /// # Errors
    /// [`DevnetError`] if that cannot be written down; nothing has changed then.
    pub fn set_irreversible_lag(&mut self, blocks: u32) -> Result<(), DevnetError> {
        Ok(self.log.set_lag(blocks)?)
    }

    /// What the shell does at each tick of its clock: makes a block, and a fork if the switches say so, unless they
    /// say that the chain stands still. `None` then.
    ///
    /// # Errors
    /// [`DevnetError`] if the block cannot be written.
    pub fn tick(&mut self, now: Timestamp) -> Result<Option<BlockId>, DevnetError> {
        if self.switches.is_stalled {
            return Ok(None);
        }
        self.produce_block(now)?;
        if let Some(forks) = self.switches.forks() {
            let reversible = self.head_num() - self.irreversible;
            self.fork(forks.blocks.min(reversible), forks.fate)?;
        }
        Ok(Some(self.head()))
    }

    /// The faults that it shows.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Sets the faults that it shows from now on.
    pub fn set_switches(&mut self, switches: Switches) {
        self.switches = switches;
    }

    /// Id of the head block.
    pub fn head(&self) -> BlockId {
        self.history.head()
    }

    /// Time of the head block.
    pub fn head_time(&self) -> TimePoint {
        self.history.head_time()
    }

    /// Number of the last block that cannot be replaced.
    pub fn irreversible(&self) -> u32 {
        self.irreversible
    }

    /// How many transactions wait for a block.
    pub fn pending(&self) -> usize {
        self.pool.len()
    }

    /// An account, as it is with all that waits in the pool.
    pub fn account(&self, name: &str) -> Option<&DevAccount> {
        self.accounts.find(name)
    }

    /// The resource credits of an account, as they are with all that waits in the pool.
    pub fn credits(&self, name: &str) -> Option<Manabar> {
        self.accounts.find(name).map(|_| self.credits.of(name, self.head_time()))
    }

    /// How far a transaction has come; its expiration tells more about one that is not there.
    pub fn status(&self, id: &TransactionId, expiration: Option<TimePoint>) -> TransactionStatus {
        if let Some(place) = self.history.find(id) {
            return if place.block <= self.irreversible {
                TransactionStatus::WithinIrreversibleBlock(place.block)
            } else {
                TransactionStatus::WithinReversibleBlock(place.block)
            };
        }
        if self.pool.has(id) {
            return TransactionStatus::WithinMempool;
        }
        let before = |time: TimePoint| expiration.is_some_and(|expiration| expiration < time);
        if before(self.history.oldest_time()) {
            TransactionStatus::TooOld
        } else if self.history.time_of(self.irreversible).is_some_and(before) {
            TransactionStatus::ExpiredIrreversible
        } else if before(self.history.head_time()) {
            TransactionStatus::ExpiredReversible
        } else {
            TransactionStatus::Unknown
        }
    }

    pub(super) fn head_num(&self) -> u32 {
        self.head().block_num()
    }

    /// All that hived asks before it looks at the state, in its order.
    fn judge(&self, signed: SignedTransaction) -> Result<Pending, TransactionError> {
        let size = signed.to_bytes(Pack::Legacy).len();
        if size > Transaction::MAX_BYTES {
            return Err(Invalid::TooLarge(size).into());
        }
        let packs = packs_to_try(&signed);
        if packs.iter().any(|pack| self.is_known(&signed.id(*pack))) {
            return Err(TransactionError::Duplicate);
        }
        let mut pending = Pending::new(signed, Pack::Legacy);
        if let Some(account) = self.pool.over_limit(&pending, MAX_CUSTOM_OPS) {
            return Err(TransactionError::CustomOpLimit(account.into()));
        }
        self.check_place_and_time(&pending.signed)?;
        pending.signed.validate_with(check_lenient_json)?;
        let pack = self.authorized_pack(&pending.signed, packs)?;
        if pack != pending.pack {
            pending = Pending::new(pending.signed, pack);
        }
        Ok(pending)
    }

    fn is_known(&self, id: &TransactionId) -> bool {
        self.history.find(id).is_some() || self.pool.has(id)
    }

    /// Takes an operation of the node itself into the pool, whoever would have to sign it.
    pub(super) fn push_own(
        &mut self,
        operation: &Operation,
    ) -> Result<TransactionId, TransactionError> {
        let tapos = Tapos::of(&self.head());
        let mut expiration = self.last_expiration();
        let signed = loop {
            let transaction = Transaction::new(tapos, expiration, vec![operation.clone()]);
            // The same operation twice in one block needs another id.
            if !self.is_known(&transaction.id(Pack::Legacy)) {
                let chain = &self.config.network.chain_id;
                break transaction.sign(&[&self.key], chain, SignAlgorithm::Dhive);
            }
            expiration = TimePoint::from_unix_secs(expiration.as_unix_secs().saturating_sub(1));
        };
        signed.validate_with(check_lenient_json)?;
        if self.pool.is_full() {
            return Err(TransactionError::TooManyPending);
        }
        let pending = Pending::new(signed, Pack::Legacy);
        self.apply(&pending, Charge::Take)?;
        let id = pending.id;
        self.pool.push(pending);
        Ok(id)
    }

    /// The pack that the signatures sign; they are tried in turn, and the last one's error counts.
    pub(super) fn authorized_pack(
        &self,
        signed: &SignedTransaction,
        packs: &[Pack],
    ) -> Result<Pack, TransactionError> {
        let mut refused = TransactionError::Duplicate;
        for pack in packs {
            match self.check_authorities(signed, *pack) {
                Ok(()) => return Ok(*pack),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn check_authorities(
        &self,
        signed: &SignedTransaction,
        pack: Pack,
    ) -> Result<(), TransactionError> {
        let signers = signed
            .signing_keys(&self.config.network.chain_id, pack)
            .map_err(TransactionError::Signature)?;
        let keys: BTreeSet<PublicKey> = signers.iter().copied().collect();
        if keys.len() < signers.len() {
            return Err(TransactionError::DuplicateSignature);
        }
        let rule = self.config.network.authority_rule(self.history.head_time());
        let find = |name: &str, role| self.accounts.find(name)?.authority(role);
        let required = signed.transaction.required_authorities();
        required.check(&keys, rule, find).map_err(TransactionError::from)
    }

    /// The last moment at which a transaction may expire.
    fn last_expiration(&self) -> TimePoint {
        let head = self.history.head_time();
        head.after_secs(match self.config.network.authority_rule(head) {
            AuthorityRule::Escalating => FORMER_MAX_EXPIRATION_SECS,
            AuthorityRule::Strict => MAX_EXPIRATION_SECS,
        })
    }

    fn check_place_and_time(&self, signed: &SignedTransaction) -> Result<(), TransactionError> {
        let (expiration, head) = (signed.transaction.expiration, self.history.head_time());
        if expiration <= head {
            return Err(TransactionError::Expired { expiration, head });
        }
        if expiration > self.last_expiration() {
            return Err(TransactionError::ExpiresTooLate { expiration, head });
        }
        let tapos = signed.transaction.tapos();
        if !self.history.has(tapos) {
            return Err(TransactionError::Tapos(tapos));
        }
        Ok(())
    }

    /// Which of the waiting transactions go into a block of that time, and which must wait on. The rest are void.
    fn choose(&mut self, waiting: VecDeque<Pending>, time: TimePoint) -> Chosen {
        let mut chosen = Chosen::default();
        let mut room = MAX_BLOCK_BYTES;
        for pending in waiting {
            let transaction = &pending.signed.transaction;
            if transaction.expiration < time || !self.history.has(transaction.tapos()) {
                continue;
            }
            match room.checked_sub(pending.size) {
                None => chosen.left.push_back(pending),
                Some(rest) => {
                    if let Ok(cost) = self.apply(&pending, Charge::Take) {
                        self.credits.count(&pending, self.history.head_time());
                        room = rest;
                        chosen.costs.push(cost);
                        chosen.transactions.push(pending);
                    }
                }
            }
        }
        chosen
    }

    fn write_block(
        &mut self,
        time: TimePoint,
        chosen: Vec<Pending>,
    ) -> Result<BlockRecord, DevnetError> {
        let witness = witness::name(self.log.finality().forks as usize);
        let transactions = chosen.into_iter().map(Packed::from).collect();
        let record = BlockRecord::make(self.head(), time, &witness, transactions, &self.key)?;
        let json = record.to_json(JsonForm::Hf26, &self.config.network.key_prefix)?;
        self.log.append(json.to_string().as_bytes())?;
        Ok(record)
    }

    /// Makes a block that is in the log the head of the chain.
    fn extend(&mut self, record: &BlockRecord, costs: &[u64]) {
        // A transaction that was put in unjudged and could not be applied has no price.
        let costs = costs.iter().copied().chain(std::iter::repeat(0));
        let transactions = record.transactions.iter().zip(costs);
        let transactions =
            transactions.map(|(one, cost)| (one.id, one.signed.transaction.expiration, cost));
        self.history.push(record.id, record.time(), transactions);
        self.witness.clone_from(&record.header.header.witness);
        self.finalized();
    }

    /// Follows what the log says of finality; while blocks are replayed it knows more than has been replayed.
    fn finalized(&mut self) {
        self.irreversible = self.log.finality().irreversible.min(self.head_num());
        self.settle(self.irreversible);
    }

    /// Puts transactions back that were judged before; those that no longer fit are void.
    fn push_again(&mut self, waiting: VecDeque<Pending>) {
        for pending in waiting {
            let fits = self.check_place_and_time(&pending.signed).is_ok();
            if fits && self.apply(&pending, Charge::Take).is_ok() {
                self.pool.push(pending);
            }
        }
    }

    /// Makes the state that of the head block and the pool again.
    fn reapply_pool(&mut self) {
        let waiting = self.pool.take();
        self.undo_after(self.head_num());
        self.push_again(waiting);
    }

    /// A block that must be in the log.
    fn record(&self, index: usize) -> Result<BlockRecord, DevnetError> {
        let num = index + 1;
        let bytes =
            self.log.read(index)?.ok_or(DevnetError::Block { num, source: RecordError::Order })?;
        BlockRecord::read(&bytes, &self.config.network.key_prefix)
            .map_err(|source| DevnetError::Block { num, source })
    }

    /// Rebuilds the state from the log.
    fn replay(&mut self) -> Result<(), DevnetError> {
        for index in 0..self.log.len() {
            let record = self.record(index)?;
            if record.header.header.previous != self.head() {
                return Err(DevnetError::Block { num: index + 1, source: RecordError::Order });
            }
            let mut costs = Vec::new();
            for one in &record.transactions {
                // It was good when the block was made. Other first accounts than then may make it fail now; the block
                // stands all the same.
                let pending = Pending::from(one.clone());
                let applied = self.apply(&pending, Charge::Take);
                self.credits.count(&pending, self.history.head_time());
                costs.push(applied.unwrap_or_default());
            }
            self.extend(&record, &costs);
        }
        Ok(())
    }
}

/// Waiting transactions of which a block is made.
#[derive(Debug, Default)]
struct Chosen {
    transactions: Vec<Pending>,
    /// What each of them costs.
    costs: Vec<u64>,
    /// Those for which there is no room.
    left: VecDeque<Pending>,
}

/// The packs that signatures may sign, in the order in which hived tries them.
pub(super) fn packs_to_try(signed: &SignedTransaction) -> &'static [Pack] {
    if signed.transaction.packs_differ() { &[Pack::Hf26, Pack::Legacy] } else { &[Pack::Legacy] }
}

/// Why the chain failed; no transaction or request can cause it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// A block of the log is none, or not the next one.
    #[error("block {num} of the log is not usable")]
    Block {
        /// Which one, from 1.
        num: usize,
        /// Why.
        source: RecordError,
    },
    /// The header cannot be signed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The block to take away is irreversible.
    #[error("the block is irreversible")]
    Irreversible,
    /// The witness has no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The block log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The time is beyond what blocks can have.
    #[error(transparent)]
    Time(#[from] TimePointError),
}
