//! All streams of one network over its blocks: [`Index`], with undo of every block that may still be replaced.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    account::AccountName,
    backend::{Block, BlockRef},
    op::{Op, Seq, SignedOp},
    stream::{Pushed, Refusal, Stream, StreamInfo},
    stream_id::Link,
    time::Timestamp,
};

/// A stream's name within its network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamKey {
    /// The streamer.
    pub account: AccountName,
    /// The streamer's name for it.
    pub link: Link,
}

/// What one accepted operation did: all that a store needs to follow it, and all that undoing it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The stream.
    pub key: Arc<StreamKey>,
    /// Its state before; `None` when this created it.
    pub before: Option<StreamInfo>,
    /// Its state after; `None` when this removes it, which only undoing does.
    pub after: Option<StreamInfo>,
    /// The push that came, went or was replaced.
    pub push: Option<PushChange>,
}

/// What happened at one sequence number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushChange {
    /// Where.
    pub seq: Seq,
    /// What stood there before.
    pub before: Option<Pushed>,
    /// What stands there now.
    pub after: Option<Pushed>,
}

impl Change {
    /// The change that takes this one back.
    #[must_use]
    pub fn inverse(self) -> Self {
        let push = self.push.map(|push| PushChange {
            seq: push.seq,
            before: push.after,
            after: push.before,
        });
        Self { key: self.key, before: self.after, after: self.before, push }
    }
}

/// Everything that one block changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockChanges {
    /// The block.
    pub at: BlockRef,
    /// The block before it.
    pub previous: BlockRef,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Accounts that were not known before, in order.
    pub new_accounts: Vec<AccountName>,
}

/// What became of the operations of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What changed.
    pub changes: BlockChanges,
    /// For each operation of the block that was well formed: whether it was accepted.
    pub refusals: Vec<Option<Refusal>>,
}

/// The block does not follow the last one: another must be undone, or one is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {got} does not follow block {last}")]
pub struct OutOfOrder {
    /// The block that was to be applied.
    pub got: u64,
    /// The last applied one.
    pub last: u64,
}

/// The streams of one network.
///
/// ```
/// use alive_core::{Index, SignedOp, Timestamp};
/// let mut index = Index::default();
/// let account = "alice".parse()?;
/// let op = |json: &str| SignedOp::from_parts(&["alice"], json);
/// index.apply(&op(r#"{"op":2,"link":"s"}"#)?, Timestamp::EPOCH)?;
/// let refused = index.apply(&op(r#"{"op":1,"link":"other"}"#)?, Timestamp::EPOCH);
/// assert!(refused.is_err());
/// assert!(index.stream(&account, &"s".parse()?).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Index {
    accounts: HashMap<AccountName, Account>,
    /// How many streams were ever created, over all accounts.
    created: u64,
    last: Option<BlockRef>,
    reversible: VecDeque<BlockChanges>,
}

/// What the index knows of one account.
#[derive(Clone, Debug, Default)]
struct Account {
    /// How many streams it ever created.
    created: u32,
    streams: HashMap<Link, Slot>,
}

#[derive(Clone, Debug)]
struct Slot {
    key: Arc<StreamKey>,
    stream: Stream,
}

impl Index {
    /// A stream that is loaded.
    pub fn stream(&self, account: &AccountName, link: &Link) -> Option<&Stream> {
        self.accounts.get(account)?.streams.get(link).map(|slot| &slot.stream)
    }

    /// Whether an account ever signed an operation of this protocol, accepted or not.
    pub fn knows(&self, account: &AccountName) -> bool {
        self.accounts.contains_key(account)
    }

    /// All loaded streams, in no order.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamKey, &Stream)> {
        let slots = self.accounts.values().flat_map(|account| account.streams.values());
        slots.map(|slot| (&*slot.key, &slot.stream))
    }

    /// The last applied block.
    pub fn last(&self) -> Option<&BlockRef> {
        self.last.as_ref()
    }

    /// The blocks that can be undone, oldest first.
    pub fn reversible(&self) -> impl Iterator<Item = &BlockChanges> {
        self.reversible.iter()
    }

    /// Applies one operation outside of any block: it can not be undone.
    ///
    /// # Errors
    /// The stream refuses it; then at most its account became known.
    pub fn apply(&mut self, signed: &SignedOp, at: Timestamp) -> Result<Change, Refusal> {
        self.meet(&signed.account);
        self.decide(signed, at)
    }

    /// Applies a block. What is refused changes nothing and stops nothing.
    ///
    /// # Errors
    /// The block does not follow the last one.
    pub fn apply_block(&mut self, block: &Block) -> Result<Applied, OutOfOrder> {
        let previous = self.follows(block)?;
        let mut changes = BlockChanges {
            at: block.at.clone(),
            previous,
            changes: Vec::new(),
            new_accounts: Vec::new(),
        };
        let mut refusals = Vec::new();
        for op in &block.ops {
            let account = match op {
                Ok(signed) => Some(&signed.account),
                Err(refused) => refused.account.as_ref(),
            };
            if let Some(account) = account.filter(|account| self.meet(account)) {
                changes.new_accounts.push(account.clone());
            }
            if let Ok(signed) = op {
                let outcome = self.decide(signed, block.time);
                refusals.push(outcome.map(|change| changes.changes.push(change)).err());
            }
        }
        self.last = Some(block.at.clone());
        self.reversible.push_back(changes.clone());
        Ok(Applied { changes, refusals })
    }

    /// Takes back the last block and says what that changed; `None` when no block can be undone any more.
    pub fn undo_block(&mut self) -> Option<BlockChanges> {
        let block = self.reversible.pop_back()?;
        let mut changes: Vec<Change> = block.changes.into_iter().map(Change::inverse).collect();
        changes.reverse();
        for change in &changes {
            self.put(change);
        }
        for account in &block.new_accounts {
            self.accounts.remove(account);
        }
        self.last = Some(block.previous.clone());
        Some(BlockChanges {
            at: block.at,
            previous: block.previous,
            changes,
            new_accounts: block.new_accounts,
        })
    }

    /// Forgets how to undo blocks up to this number: the chain will never replace them.
    pub fn finalize(&mut self, irreversible: u64) {
        while self.reversible.front().is_some_and(|block| block.at.num <= irreversible) {
            self.reversible.pop_front();
        }
    }

    /// Starts from what a store kept: the last block, how many streams there are, and the blocks to undo, oldest first.
    pub fn resume(last: BlockRef, created: u64, reversible: Vec<BlockChanges>) -> Self {
        Self { accounts: HashMap::new(), created, last: Some(last), reversible: reversible.into() }
    }

    /// Whether the stream that an operation is about must be loaded from the store before the operation is applied.
    pub fn lacks(&self, account: &AccountName, link: &Link) -> bool {
        self.accounts.get(account).is_none_or(|account| !account.streams.contains_key(link))
    }

    /// Loads an account from a store: how many streams it ever created.
    pub fn load_account(&mut self, account: AccountName, created: u32) {
        self.accounts.entry(account).or_default().created = created;
    }

    /// Loads a stream of a loaded account from a store.
    pub fn load_stream(&mut self, key: StreamKey, stream: Stream) {
        let account = self.accounts.entry(key.account.clone()).or_default();
        let slot = Slot { key: Arc::new(key.clone()), stream };
        account.streams.insert(key.link, slot);
    }

    /// Drops streams from memory that a store has, all but those to keep and those that undoing needs; and accounts with
    /// their last stream.
    pub fn unload(&mut self, keep: impl Fn(&StreamKey) -> bool) {
        let changes = self.reversible.iter().flat_map(|block| &block.changes);
        let undoing: HashSet<&StreamKey> = changes.map(|change| &*change.key).collect();
        self.accounts.retain(|_, account| {
            account.streams.retain(|_, slot| undoing.contains(&*slot.key) || keep(&slot.key));
            !account.streams.is_empty()
        });
    }

    fn follows(&self, block: &Block) -> Result<BlockRef, OutOfOrder> {
        let previous = BlockRef { num: block.at.num.saturating_sub(1), id: block.previous.clone() };
        match &self.last {
            Some(last) if *last != previous => {
                Err(OutOfOrder { got: block.at.num, last: last.num })
            }
            _ => Ok(previous),
        }
    }

    /// Makes an account known; whether it was not.
    fn meet(&mut self, account: &AccountName) -> bool {
        if self.accounts.contains_key(account) {
            return false;
        }
        self.accounts.insert(account.clone(), Account::default());
        true
    }

    fn decide(&mut self, signed: &SignedOp, at: Timestamp) -> Result<Change, Refusal> {
        let account = self.accounts.get_mut(&signed.account).ok_or(Refusal::NoStream)?;
        let Some(slot) = account.streams.get_mut(signed.op.link()) else {
            let Op::Configure(configure) = &signed.op else { return Err(Refusal::NoStream) };
            let stream = Stream::create(configure, account.created, self.created + 1, at);
            let key = StreamKey { account: signed.account.clone(), link: configure.link.clone() };
            let key = Arc::new(key);
            let change = Change {
                key: Arc::clone(&key),
                before: None,
                after: Some(stream.info().clone()),
                push: None,
            };
            account.created += 1;
            self.created += 1;
            account.streams.insert(configure.link.clone(), Slot { key, stream });
            return Ok(change);
        };
        slot.change(&signed.op, at)
    }

    /// Puts a stream into the state that a change says. What is not loaded comes from the store later, where the same
    /// change has been committed.
    fn put(&mut self, change: &Change) {
        let removed = change.after.is_none();
        // Saturating, since the counts may come from a store.
        self.created = self.created.saturating_sub(removed.into());
        let Some(account) = self.accounts.get_mut(&change.key.account) else { return };
        account.created = account.created.saturating_sub(removed.into());
        match &change.after {
            None => drop(account.streams.remove(&change.key.link)),
            Some(info) => {
                let push = change.push.as_ref().map(|push| (push.seq, push.after.clone()));
                if let Some(slot) = account.streams.get_mut(&change.key.link) {
                    slot.stream.put_back(info.clone(), push);
                }
            }
        }
    }
}

impl Slot {
    fn change(&mut self, op: &Op, at: Timestamp) -> Result<Change, Refusal> {
        let before = self.stream.info().clone();
        let mut push = None;
        match op {
            Op::Configure(configure) => self.stream.configure(configure, at),
            Op::End(_) => self.stream.end(at),
            Op::Push(pushed) => {
                let replaced = self.stream.push(pushed, at)?;
                let after = Some(Pushed::from(pushed));
                push = Some(PushChange { seq: pushed.seq, before: replaced, after });
            }
        }
        let after = Some(self.stream.info().clone());
        Ok(Change { key: Arc::clone(&self.key), before: Some(before), after, push })
    }
}

#[cfg(test)]
mod tests;
