//! [`MemoryChain`]: a chain that makes a block when it is told to, and forks when it is told to.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use crate::{
    account::{AccountName, Network},
    backend::{
        Block, BlockId, BlockRef, BlockSource, BroadcastError, Broadcaster, Next, Receipt,
        RefusedOp, SourceError,
    },
    op::{Op, SignedOp},
    time::Timestamp,
};

use super::{Clock, Count, Why, lock};

const BACKEND: &str = "memory chain";

/// A chain in memory. It checks no signatures: whoever has the handle may sign for any account.
///
/// It keeps every block, and makes one when [`produce`](Self::produce) is called, or at every broadcast if it was made
/// with [`instant`](Self::instant).
///
/// ```
/// use alive_core::{Network, Timestamp, memory::MemoryChain};
/// let chain = MemoryChain::new(Network::hive());
/// chain.submit("alice".parse()?, r#"{"op":2,"link":"s"}"#.to_owned());
/// let block = chain.produce(Timestamp::EPOCH);
/// assert_eq!(block.num, 1);
/// assert_eq!(chain.pop(1), 1, "the block is undone, its operation waits for the next one");
/// assert_ne!(chain.produce(Timestamp::EPOCH), block);
/// # Ok::<(), alive_core::AccountNameError>(())
/// ```
#[derive(Clone)]
pub struct MemoryChain(Arc<Shared>);

struct Shared {
    network: Network,
    poll_interval: Duration,
    /// Makes a block at every broadcast, at the time it tells.
    instant: Option<Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocks: Vec<Made>,
    irreversible: u64,
    pending: VecDeque<Transaction>,
    /// Where each transaction is that a broadcast waits for.
    included: HashMap<u64, Watched>,
    submitted: u64,
    /// Counts undone blocks, so that no two blocks ever have one id.
    undone: u64,
}

/// A block and the transactions in it.
struct Made {
    block: Block,
    transactions: Vec<Transaction>,
}

/// A transaction: who signed which payload.
#[derive(Clone, Debug)]
struct Transaction {
    number: u64,
    account: AccountName,
    payload: String,
}

/// A transaction that a broadcast waits for.
#[derive(Default)]
struct Watched {
    block: Option<u64>,
    waker: Option<Waker>,
}

impl MemoryChain {
    /// How many transactions may wait for a block; a broadcast beyond fails until one is made.
    pub const MAX_PENDING: usize = 10_000;
    /// The wait between two looks at the head by default. The real chains make a block every three seconds.
    pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(100);

    /// A chain without blocks.
    pub fn new(network: Network) -> Self {
        Self::build(network, None)
    }

    /// A chain that makes a block of its own for every broadcast, at the time that `clock` tells.
    pub fn instant(
        network: Network,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self::build(network, Some(Box::new(clock)))
    }

    fn build(network: Network, instant: Option<Clock>) -> Self {
        let poll_interval = Self::DEFAULT_POLL_INTERVAL;
        Self(Arc::new(Shared { network, poll_interval, instant, state: Mutex::default() }))
    }

    /// Signs for an account.
    pub fn broadcaster(&self, account: AccountName) -> MemoryBroadcaster {
        MemoryBroadcaster { chain: self.clone(), account }
    }

    /// Puts any payload of an account into the next block, well formed or not. `false` when too many wait already.
    pub fn submit(&self, account: AccountName, payload: String) -> bool {
        lock(&self.0.state).submit(account, payload).is_some()
    }

    /// Makes a block of all that waits.
    pub fn produce(&self, now: Timestamp) -> BlockRef {
        let (at, wakers) = lock(&self.0.state).produce(now);
        wakers.into_iter().for_each(Waker::wake);
        at
    }

    /// Takes back the last `count` blocks, but none that is irreversible; how many it took. Their transactions wait for
    /// a block again, before all others.
    pub fn pop(&self, count: usize) -> usize {
        let mut state = lock(&self.0.state);
        (0..count).take_while(|_| state.pop()).count()
    }

    /// Drops all that waits for a block, as nodes do with transactions that expire. Broadcasts of them never return.
    pub fn drop_pending(&self) {
        lock(&self.0.state).pending.clear();
    }

    /// Makes every block up to `num` irreversible. It never goes back, and not beyond the head.
    pub fn set_irreversible(&self, num: u64) {
        let mut state = lock(&self.0.state);
        let head = state.head().num;
        state.irreversible = state.irreversible.max(num.min(head));
    }

    /// The last block, `None` before the first.
    pub fn head(&self) -> Option<BlockRef> {
        lock(&self.0.state).blocks.last().map(|made| made.block.at.clone())
    }

    /// Up to this number no block can be taken back; 0 at first.
    pub fn irreversible(&self) -> u64 {
        lock(&self.0.state).irreversible
    }
}

impl fmt::Debug for MemoryChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        f.debug_struct("MemoryChain")
            .field("network", &self.0.network)
            .field("blocks", &Count(state.blocks.len()))
            .field("irreversible", &state.irreversible)
            .field("pending", &Count(state.pending.len()))
            .finish_non_exhaustive()
    }
}

impl BlockSource for MemoryChain {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        let state = lock(&self.0.state);
        let Some(from) = after.map_or(Some(0), |after| state.position_after(after)) else {
            return Ok(Next::Forked);
        };
        let blocks = state.blocks.iter().skip(from).take(limit);
        let blocks = blocks.map(|made| made.block.clone()).collect();
        Ok(Next::Blocks { blocks, irreversible: state.irreversible })
    }

    fn poll_interval(&self) -> Duration {
        self.0.poll_interval
    }

    fn network(&self) -> &Network {
        &self.0.network
    }
}

/// One account's hand on a [`MemoryChain`].
///
/// ```
/// use alive_core::{Op, Network, Timestamp, backend::Broadcaster, memory::MemoryChain};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let chain = MemoryChain::instant(Network::hive(), || Timestamp::EPOCH);
/// let alice = chain.broadcaster("alice".parse()?);
/// let receipt = alice.broadcast(&Op::from_json(r#"{"op":2,"link":"s"}"#)?).await?;
/// assert_eq!(receipt.block, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBroadcaster {
    chain: MemoryChain,
    account: AccountName,
}

impl Broadcaster for MemoryBroadcaster {
    /// Waits until somebody makes a block. When it is dropped, the operation still waits for one.
    async fn broadcast(&self, op: &Op) -> Result<Receipt, BroadcastError> {
        let shared = &self.chain.0;
        let (watch, transaction) = self.watch(op)?;
        if let Some(now) = &shared.instant {
            self.chain.produce(now());
        }
        let block = std::future::poll_fn(|cx| {
            let mut state = lock(&shared.state);
            let Some(watched) = state.included.get_mut(&watch.number) else {
                return Poll::Pending;
            };
            watched.waker = Some(cx.waker().clone());
            watched.block.map_or(Poll::Pending, Poll::Ready)
        });
        Ok(Receipt { transaction, block: block.await })
    }

    fn account(&self) -> &AccountName {
        &self.account
    }

    fn network(&self) -> &Network {
        &self.chain.0.network
    }
}

impl MemoryBroadcaster {
    fn watch(&self, op: &Op) -> Result<(Watch, Box<str>), BroadcastError> {
        let mut state = lock(&self.chain.0.state);
        let held = state.pending.len();
        let payload = op.to_json();
        let Some(number) = state.submit(self.account.clone(), payload.clone()) else {
            let why = Why::Full { held, capacity: MemoryChain::MAX_PENDING, more: 1 };
            return Err(BroadcastError::Unavailable { backend: BACKEND, source: why.into() });
        };
        state.included.insert(number, Watched::default());
        let parts = [self.account.as_str().as_bytes(), payload.as_bytes(), &number.to_be_bytes()];
        let transaction = hash(&parts).get(..40).unwrap_or_default().into();
        Ok((Watch { chain: self.chain.clone(), number }, transaction))
    }
}

/// Stops watching a transaction when its broadcast is over or dropped.
struct Watch {
    chain: MemoryChain,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.chain.0.state).included.remove(&self.number);
    }
}

impl State {
    /// What the first block names as its previous one.
    fn genesis() -> BlockRef {
        BlockRef { num: 0, id: block_id(&[b"genesis"]) }
    }

    fn head(&self) -> BlockRef {
        self.blocks.last().map_or_else(Self::genesis, |made| made.block.at.clone())
    }

    /// Where in the list the blocks after this one begin, `None` when it is not in the chain.
    fn position_after(&self, after: &BlockRef) -> Option<usize> {
        if *after == Self::genesis() {
            return Some(0);
        }
        let position = usize::try_from(after.num).ok()?;
        let made = self.blocks.get(position.checked_sub(1)?)?;
        (made.block.at == *after).then_some(position)
    }

    fn submit(&mut self, account: AccountName, payload: String) -> Option<u64> {
        if self.pending.len() >= MemoryChain::MAX_PENDING {
            return None;
        }
        self.submitted += 1;
        self.pending.push_back(Transaction { number: self.submitted, account, payload });
        Some(self.submitted)
    }

    /// Makes a block and tells whom to wake once the lock is free.
    fn produce(&mut self, time: Timestamp) -> (BlockRef, Vec<Waker>) {
        let previous = self.head();
        let num = previous.num + 1;
        let transactions: Vec<_> = self.pending.drain(..).collect();
        let seed = format!("{num} {time} {} {previous:?} {transactions:?}", self.undone);
        let at = BlockRef { num, id: block_id(&[seed.as_bytes()]) };
        let mut wakers = Vec::new();
        for transaction in &transactions {
            if let Some(watched) = self.included.get_mut(&transaction.number) {
                watched.block = Some(num);
                wakers.extend(watched.waker.take());
            }
        }
        let ops = transactions.iter().map(Transaction::read).collect();
        let block = Block { at: at.clone(), previous: previous.id, time, ops };
        self.blocks.push(Made { block, transactions });
        (at, wakers)
    }

    fn pop(&mut self) -> bool {
        if self.head().num <= self.irreversible {
            return false;
        }
        let Some(made) = self.blocks.pop() else { return false };
        self.undone += 1;
        for transaction in made.transactions.into_iter().rev() {
            if let Some(watched) = self.included.get_mut(&transaction.number) {
                watched.block = None;
            }
            self.pending.push_front(transaction);
        }
        true
    }
}

impl Transaction {
    fn read(&self) -> Result<SignedOp, RefusedOp> {
        SignedOp::from_parts(&[self.account.as_str()], &self.payload)
            .map_err(|reason| RefusedOp { account: Some(self.account.clone()), reason })
    }
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    data_encoding::HEXLOWER.encode(&hasher.finalize())
}

fn block_id(parts: &[&[u8]]) -> BlockId {
    #[expect(clippy::expect_used, reason = "64 hexadecimal digits are an id")]
    hash(parts).parse().expect("a short text")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn chain() -> MemoryChain {
        MemoryChain::new(Network::hive())
    }

    fn op() -> Op {
        Op::from_json(r#"{"op":2,"link":"s"}"#).unwrap()
    }

    #[test]
    fn an_undone_block_gives_its_transactions_back_in_order() {
        let chain = chain();
        for link in ["a", "b", "c"] {
            chain.submit("alice".parse().unwrap(), format!(r#"{{"op":2,"link":"{link}"}}"#));
            chain.produce(Timestamp::EPOCH);
        }
        assert_eq!(chain.pop(2), 2);
        chain.produce(Timestamp::EPOCH);
        let Next::Blocks { blocks, .. } = chain.next(None, 9).now_or_never().unwrap().unwrap()
        else {
            panic!("blocks")
        };
        let links: Vec<_> = blocks
            .iter()
            .map(|block| block.ops.iter().map(|op| op.as_ref().unwrap().op.link().as_str()))
            .map(|links| links.collect::<Vec<_>>().concat())
            .collect();
        assert_eq!(links, ["a", "bc"]);
    }

    #[test]
    fn irreversible_blocks_stay() {
        let chain = chain();
        (0..5).for_each(|_| drop(chain.produce(Timestamp::EPOCH)));
        chain.set_irreversible(3);
        chain.set_irreversible(1);
        assert_eq!(chain.pop(9), 2);
        assert_eq!(chain.head().unwrap().num, 3);
        chain.set_irreversible(99);
        assert_eq!(chain.irreversible(), 3);
    }

    #[tokio::test]
    async fn a_broadcast_waits_for_its_block_and_a_full_chain_refuses() {
        let chain = chain();
        let alice = chain.broadcaster("alice".parse().unwrap());
        let op = op();
        let mut broadcast = Box::pin(alice.broadcast(&op));
        assert!((&mut broadcast).now_or_never().is_none());
        chain.produce(Timestamp::EPOCH);
        assert_eq!(broadcast.await.unwrap().block, 1);
        while chain.submit("alice".parse().unwrap(), "{}".to_owned()) {}
        assert!(alice.broadcast(&op).await.unwrap_err().is_transient());
        assert!(lock(&chain.0.state).included.is_empty());
    }
}
