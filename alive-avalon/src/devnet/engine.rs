//! The development chain without clock and sockets: [`Devnet`].

use std::io;

use crate::{
    block::{Block, BlockError, BlockHashing},
    digest::Hash,
    json_ref::JsonRef,
    json_text::JsonText,
    keys::PrivateKey,
    signature::Signature,
    transaction::{Parts, SignedTransaction},
    validate::{MASTER, Refusal},
};

use super::{
    accounts::{DevAccount, Record, dev_key},
    config::DevnetConfig,
    log::{Log, LogError},
    state::State,
    switches::Switches,
};

/// Most transactions that wait for a block. Source: `spec/avalon.md`, section 9.
pub const MAX_POOL: usize = 2000;
/// Most transactions of a block. Source: `spec/avalon.md`, section 1.
const MAX_BLOCK_TXS: usize = 200;
/// The hash of the block before the first one: that of Avalon's block 0. Source: `spec/avalon.md`, section 1.
const ORIGIN_HASH: &str = "da5fe18d0844f1f97bf5a94e7780dec18b4ab015e32383ede77158e059bacbb2";
/// How many blocks can be taken back.
const MAX_UNDO: u64 = 1000;

/// A chain of one leader. Time is an argument of everything that needs it, in milliseconds since 1970.
///
/// ```
/// use alive_avalon::devnet::{Devnet, DevnetConfig};
/// let mut chain = Devnet::open(DevnetConfig::default(), 1_700_000_000_000)?;
/// let block = chain.produce_block(1_700_000_003_000)?;
/// assert_eq!(block, chain.head().num());
/// # Ok::<(), alive_avalon::devnet::DevnetError>(())
/// ```
#[derive(Debug)]
pub struct Devnet {
    pub(super) config: DevnetConfig,
    pub(super) state: State,
    pub(super) switches: Switches,
    blocks: Vec<Block>,
    pool: Vec<Waiting>,
    log: Log,
    leader: PrivateKey,
    /// Before this block nothing can be taken back.
    first_undoable: u64,
}

/// A transaction that waits for a block.
#[derive(Debug)]
struct Waiting {
    hash: Hash,
    ts_ms: i64,
    transaction: SignedTransaction,
    is_judged: bool,
}

/// Why a transaction is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Too many wait.
    Full,
    /// A rule of the chain.
    Refused(Refusal),
}

impl Devnet {
    /// Opens the chain: the one of the folder goes on, otherwise a new one begins now. Accounts of the configuration
    /// that are not there yet are made.
    ///
    /// # Errors
    /// [`DevnetError`] if the block log cannot be used or is none of such a chain.
    pub fn open(config: DevnetConfig, now_ms: i64) -> Result<Self, DevnetError> {
        let (log, lines) = Log::open(config.folder.as_deref())?;
        let mut chain = Self {
            state: State::default(),
            switches: Switches::default(),
            blocks: Vec::new(),
            pool: Vec::new(),
            log,
            leader: dev_key(MASTER, "leader"),
            first_undoable: u64::MAX,
            config,
        };
        for (line, text) in (1..).zip(lines) {
            chain.restore(text).map_err(|reason| DevnetError::Line { line, reason })?;
        }
        let master = dev_key(MASTER, MASTER).public_key();
        let mut accounts = vec![DevAccount::new(MASTER, master)];
        accounts.append(&mut chain.config.accounts.clone());
        let leader_key = chain.leader.public_key();
        for mut account in accounts.into_iter().map(|account| account.account) {
            if chain.state.accounts.get(&account.name).is_none() {
                if &*account.name == MASTER {
                    account.leader_key = Some((&leader_key).into());
                }
                chain.give(Record::new(account, now_ms))?;
            }
        }
        if chain.blocks.is_empty() {
            chain.produce_block(now_ms)?;
        }
        // Accounts that were given belong to no block, so what they lean on stays.
        chain.first_undoable = chain.head().num() + 1;
        Ok(chain)
    }

    /// The last block.
    #[expect(clippy::missing_panics_doc, reason = "a chain is never without blocks")]
    pub fn head(&self) -> &Block {
        #[expect(clippy::expect_used, reason = "open makes one, and pop_blocks leaves one")]
        self.blocks.last().expect("a chain has a first block")
    }

    /// A block by its number.
    pub fn block(&self, num: u64) -> Option<&Block> {
        let at = num.checked_sub(self.config.first_block)?;
        self.blocks.get(usize::try_from(at).ok()?)
    }

    /// How many transactions wait for a block.
    pub fn pending(&self) -> usize {
        self.pool.len()
    }

    /// Sets the faults.
    pub fn set_switches(&mut self, switches: Switches) {
        self.switches = switches;
    }

    /// Gives a transaction to the chain, as `/transact` does, and gives back the number of the head block. One that waits
    /// already is taken again.
    ///
    /// # Errors
    /// The words of the refusal.
    pub fn push_transaction(
        &mut self,
        transaction: SignedTransaction,
        now_ms: i64,
    ) -> Result<u64, String> {
        self.take(transaction, now_ms).map_err(|refused| match refused {
            NotTaken::Full => "Internal Server Error".to_owned(),
            NotTaken::Refused(refusal) => refusal.to_string(),
        })
    }

    pub(super) fn take(
        &mut self,
        transaction: SignedTransaction,
        now_ms: i64,
    ) -> Result<u64, NotTaken> {
        let valid = self.state.judge(&transaction.parts(), now_ms).map_err(NotTaken::Refused)?;
        if !self.pool.iter().any(|waiting| waiting.hash == valid.hash) {
            if self.pool.len() >= MAX_POOL {
                return Err(NotTaken::Full);
            }
            if !self.switches.loses_transaction() {
                let (hash, ts_ms) = (valid.hash, valid.ts_ms);
                self.pool.push(Waiting { hash, ts_ms, transaction, is_judged: true });
            }
        }
        Ok(self.head().num())
    }

    /// Puts a transaction into the next block whatever the rules say, to show readers what no chain would hold.
    pub fn push_unjudged(&mut self, transaction: SignedTransaction) {
        let (hash, ts_ms) = (transaction.hash(), self.state.head_ms);
        self.pool.push(Waiting { hash, ts_ms, transaction, is_judged: false });
    }

    /// Makes a block of what waits and gives back its number. Its time is `now_ms`, but never before the last one's.
    ///
    /// Transactions come in the order of their own times; those that a block before has made invalid are dropped.
    ///
    /// # Errors
    /// [`DevnetError`] if the block log cannot be written; the chain has not changed then.
    pub fn produce_block(&mut self, now_ms: i64) -> Result<u64, DevnetError> {
        let last = self.blocks.last();
        let num = last.map_or(self.config.first_block, |last| last.num() + 1);
        let time_ms = last.map_or(now_ms, |last| now_ms.max(last.time_ms()));
        let previous = last.map_or(ORIGIN_HASH, Block::hash).to_owned();
        let head_ms = self.state.head_ms;
        self.pool.sort_by_key(|waiting| waiting.ts_ms);
        let mut txs: Vec<Waiting> = Vec::new();
        let mut rest = Vec::new();
        // Each one is judged after those before it, on a state that is undone and made again by the whole block.
        for waiting in std::mem::take(&mut self.pool) {
            if txs.len() >= MAX_BLOCK_TXS {
                rest.push(waiting);
                continue;
            }
            let parts = waiting.transaction.parts();
            if waiting.is_judged && self.state.judge(&parts, time_ms).is_err() {
                continue;
            }
            let alone = self.build(num, &previous, time_ms, &[&waiting.transaction])?;
            self.state.apply(&alone);
            self.state.head_ms = head_ms;
            txs.push(waiting);
        }
        self.state.undo_after(num.saturating_sub(1), head_ms);
        self.pool = rest;
        let list: Vec<_> = txs.iter().map(|waiting| &waiting.transaction).collect();
        let block = self.build(num, &previous, time_ms, &list)?;
        if let Err(source) = self.log.push(block.as_text()) {
            self.pool.extend(txs);
            return Err(DevnetError::Write(source));
        }
        self.add(block);
        Ok(num)
    }

    /// Takes back the last blocks, as a node does that was on a fork. Their transactions wait again, or are gone.
    ///
    /// # Errors
    /// [`DevnetError::TooDeep`] if not so many can be taken back.
    pub fn pop_blocks(&mut self, count: u64, keep_transactions: bool) -> Result<(), DevnetError> {
        let head = self.head().num();
        let lowest = self.first_undoable.max(head.saturating_sub(MAX_UNDO));
        if count > (head + 1).saturating_sub(lowest) {
            return Err(DevnetError::TooDeep(count));
        }
        for _ in 0..count {
            self.log.pop().map_err(DevnetError::Write)?;
            let Some(block) = self.blocks.pop() else { break };
            let head_ms = self.head().time_ms();
            self.state.undo_after(self.head().num(), head_ms);
            if keep_transactions {
                for parts in block.transactions() {
                    let transaction = SignedTransaction::of_canonical(parts.whole.as_str());
                    let (hash, ts_ms) = (parts.computed_hash(), parts.ts_ms.unwrap_or_default());
                    self.pool.push(Waiting { hash, ts_ms, transaction, is_judged: true });
                }
            }
        }
        Ok(())
    }

    /// Makes a block if the clock may.
    pub(super) fn tick(&mut self, now_ms: i64) -> Result<Option<u64>, DevnetError> {
        if self.switches.is_stalled { Ok(None) } else { self.produce_block(now_ms).map(Some) }
    }

    /// The last block that clients see.
    pub(super) fn visible_head(&self) -> u64 {
        self.head().num().saturating_sub(self.switches.behind).max(self.config.first_block)
    }

    /// A block that clients see.
    pub(super) fn visible_block(&self, num: u64) -> Option<&Block> {
        self.block(num).filter(|block| block.num() <= self.visible_head())
    }

    /// The block of a transaction.
    pub(super) fn block_of(&self, hash: &Hash) -> Option<&Block> {
        self.visible_block(self.state.transactions.get(hash)?.0)
    }

    /// Whether a transaction waits for a block.
    pub(super) fn is_waiting(&self, hash: &Hash) -> bool {
        self.pool.iter().any(|waiting| waiting.hash == *hash)
    }

    /// Blocks from this number down.
    pub(super) fn blocks_before(&self, num: u64) -> impl Iterator<Item = &Block> {
        self.blocks.iter().rev().filter(move |block| block.num() < num)
    }

    /// Writes, hashes and signs a block.
    fn build(
        &self,
        num: u64,
        previous: &str,
        time_ms: i64,
        txs: &[&SignedTransaction],
    ) -> Result<Block, DevnetError> {
        let txs: Vec<_> = txs.iter().map(|tx| tx.as_text().as_str()).collect();
        let body = format!(
            r#"{{"_id":{num},"phash":"{previous}","timestamp":{time_ms},"txs":[{}],"miner":"{MASTER}","dist":1"#,
            txs.join(",")
        );
        let hash = Hash::of_pieces([body.as_str(), "}"]);
        let (signature, _) = Signature::sign(&hash, &self.leader);
        let text = format!(r#"{body},"hash":"{hash}","signature":"{signature}"}}"#);
        Ok(Block::from_text(JsonText::of_canonical(text))?)
    }

    /// Adds a block that is in the log.
    fn add(&mut self, block: Block) {
        self.state.apply(&block);
        self.state.settle(block.num().saturating_sub(MAX_UNDO));
        self.blocks.push(block);
    }

    /// Makes an account that no transaction made.
    fn give(&mut self, record: Record) -> Result<(), DevnetError> {
        let line = format!(r#"{{"account":{}}}"#, record.to_json());
        self.log.push(&JsonText::of_canonical(line)).map_err(DevnetError::Write)?;
        self.set_given(record);
        Ok(())
    }

    fn set_given(&mut self, record: Record) {
        let block = self.blocks.last().map_or(0, Block::num);
        self.state.accounts.set(block, record.account.name.clone(), record);
    }

    /// Applies a line of the log.
    fn restore(&mut self, text: JsonText) -> Result<(), LineError> {
        if let Some(account) = text.root().member("account") {
            let record = Record::read(account).ok_or(LineError::Account)?;
            self.set_given(record);
            return Ok(());
        }
        let block = Block::from_text(text)?;
        block.check(BlockHashing::V2, Some(&self.leader.public_key()))?;
        let follows = match self.blocks.last() {
            None => block.num() == self.config.first_block,
            Some(last) => block.num() == last.num() + 1 && block.previous() == last.hash(),
        };
        if !follows {
            return Err(LineError::Order(block.num()));
        }
        self.add(block);
        Ok(())
    }
}

/// Whether a transaction is one of an account, for its history.
pub(super) fn is_of(transaction: &Parts<'_>, name: &str) -> bool {
    transaction.sender.and_then(JsonRef::to_text).is_some_and(|sender| sender == name)
}

/// Why a chain cannot be opened or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// A block that it made is none. This is a bug.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A line of the block log is none of this chain.
    #[error("line {line} of the block log")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        reason: LineError,
    },
    /// The block log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Not so many blocks can be taken back.
    #[error("{0} blocks cannot be taken back")]
    TooDeep(u64),
    /// The block log cannot be written.
    #[error("the block log cannot be written")]
    Write(#[source] io::Error),
}

/// What is wrong with a line of the block log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It describes no account.
    #[error("no account")]
    Account,
    /// It is no block, or not the one it says.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// It does not follow the block before it.
    #[error("block {0} does not follow the one before it")]
    Order(u64),
}
