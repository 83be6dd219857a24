//! Follows one chain into the store: [`Indexer`].
//!
//! It asks the source for what follows the last block, loads what the blocks are about, lets core's [`Index`] decide, and
//! commits a page of blocks with its cursor in one step. What it holds in memory is a copy of what the store has: on any
//! doubt it is thrown away and read again. Nothing that a block holds can stop it; a source or store that fails is asked
//! again, after a growing wait.

mod memory;

use std::time::Duration;

use alive_core::{
    Applied, BlockChanges, ContentId, Index, Network, OutOfOrder, StreamId, StreamKey,
    backend::{
        Block, BlockSource as _, Commit, Next, SharedBlockSource, SharedStreamStore, SourceError,
        StoreError, StreamStore as _,
    },
};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{
    event::NodeEvent,
    explain::Explained,
    news::News,
    resolver::{Resolver, Urgency},
};
use memory::Memory;

/// Follows one chain.
///
/// ```
/// use alive_core::{Network, Timestamp, backend::{SharedBlockSource, SharedStreamStore, StreamStore}};
/// use alive_core::memory::{MemoryChain, MemoryStreamStore};
/// use alive_node::Indexer;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let chain = MemoryChain::new(Network::hive());
/// chain.submit("alice".parse()?, r#"{"op":2,"link":"s"}"#.to_owned());
/// chain.produce(Timestamp::EPOCH);
///
/// let store = SharedStreamStore::new(MemoryStreamStore::default());
/// let mut indexer = Indexer::new(SharedBlockSource::new(chain), store.clone());
/// while indexer.step().await?.is_behind() {}
/// assert!(store.stream(&"hive/alice/s".parse()?).await?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Indexer {
    source: SharedBlockSource,
    store: SharedStreamStore,
    network: Network,
    page: usize,
    /// `None` until it is read from the store.
    index: Option<Index>,
    memory: Memory,
    resolver: Option<Resolver>,
    events: broadcast::Sender<NodeEvent>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It applied this many blocks, and there may be more.
    Applied(usize),
    /// There was nothing to do: the last block is the chain's head.
    AtHead,
    /// It took back a block.
    Undone,
}

impl Progress {
    /// Whether the next step may have something to do at once.
    pub fn is_behind(self) -> bool {
        !matches!(self, Self::AtHead)
    }
}

/// Why a step did nothing. The next one starts from what the store has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The chain has replaced a block that the source had called irreversible.
    #[error("block {0} is gone from the chain, but it was irreversible")]
    Irreversible(u64),
    /// A block of the source does not follow the last one.
    #[error("the source gave a block out of order")]
    Order(#[from] OutOfOrder),
    /// The source failed.
    #[error("the block source failed")]
    Source(#[from] SourceError),
    /// The store failed.
    #[error("the stream store failed")]
    Store(#[from] StoreError),
}

impl IndexError {
    /// Whether only time is needed; if not, somebody should look.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Irreversible(_) | Self::Order(_) => false,
            Self::Source(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
        }
    }
}

impl Indexer {
    /// How many blocks are asked for and committed at once unless set otherwise: enough that a commit's sync costs little,
    /// few enough that a page stays small in memory.
    pub const DEFAULT_PAGE: usize = 1000;
    /// Streams kept in memory, counted in pushes: about 200 MiB of them.
    pub const DEFAULT_MEMORY: usize = 2_000_000;
    /// How many events wait for a slow listener: those of a few pages.
    const EVENTS: usize = 4096;

    /// Follows `source` into `store`, from where the store is.
    pub fn new(source: SharedBlockSource, store: SharedStreamStore) -> Self {
        let network = source.network().clone();
        let (events, _) = broadcast::channel(Self::EVENTS);
        let memory = Memory::new(Self::DEFAULT_MEMORY);
        let page = Self::DEFAULT_PAGE;
        Self { source, store, network, page, index: None, memory, resolver: None, events }
    }

    /// Sets how many blocks are asked for and committed at once, at least one.
    #[must_use]
    pub fn page(self, blocks: usize) -> Self {
        Self { page: blocks.max(1), ..self }
    }

    /// Sets how many pushes the streams in memory may have together before quiet ones are dropped.
    #[must_use]
    pub fn memory(self, pushes: usize) -> Self {
        Self { memory: Memory::new(pushes), ..self }
    }

    /// Lets the chunks of every accepted push be fetched at once.
    #[must_use]
    pub fn resolver(self, resolver: Resolver) -> Self {
        Self { resolver: Some(resolver), ..self }
    }

    /// Tells its events on this channel.
    #[must_use]
    pub fn events(self, events: broadcast::Sender<NodeEvent>) -> Self {
        Self { events, ..self }
    }

    /// Follows the chain until it is cancelled. Whatever fails is tried again.
    pub async fn run(mut self, cancel: CancellationToken) {
        cancel.run_until_cancelled_owned(self.run_for_ever()).await;
    }

    async fn run_for_ever(&mut self) {
        let mut waits = waits();
        loop {
            let wait = match self.step().await {
                Ok(progress) if progress.is_behind() => {
                    waits = self::waits();
                    // A long way behind, other tasks of this thread want their turn, too.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(_) => {
                    waits = self::waits();
                    self.source.poll_interval()
                }
                Err(error) => {
                    let wait = waits.next().unwrap_or(LONGEST_WAIT);
                    self.report(&error, wait);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks for blocks once and deals with the answer: applies a page, takes back one block, or finds nothing to do.
    ///
    /// # Errors
    /// The source or the store failed, or the source contradicts itself. Nothing is lost; the next step reads the store.
    pub async fn step(&mut self) -> Result<Progress, IndexError> {
        let mut index = match self.index.take() {
            Some(index) => index,
            None => self.resume().await?,
        };
        // Only an index that is known to be as the store is, is kept.
        let progress = self.advance(&mut index).await?;
        self.memory.drop_quiet(&mut index);
        self.index = Some(index);
        Ok(progress)
    }

    async fn resume(&mut self) -> Result<Index, StoreError> {
        self.memory.clear();
        let Some(cursor) = self.store.cursor(&self.network).await? else {
            return Ok(Index::default());
        };
        let reversible = self.store.reversible(&self.network).await?;
        tracing::info!(network = %self.network, block = cursor.last.num, "indexing goes on");
        Ok(Index::resume(cursor.last, cursor.created, reversible))
    }

    async fn advance(&mut self, index: &mut Index) -> Result<Progress, IndexError> {
        match self.source.next(index.last(), self.page).await? {
            Next::Forked => self.undo(index).await,
            Next::Blocks { blocks, irreversible } => self.apply(index, &blocks, irreversible).await,
        }
    }

    async fn undo(&mut self, index: &mut Index) -> Result<Progress, IndexError> {
        let Some(block) = index.undo_block() else {
            return Err(IndexError::Irreversible(index.last().map_or(0, |last| last.num)));
        };
        let step = Commit::Undo(block);
        self.store.commit(&self.network, &step).await?;
        if let Commit::Undo(block) = &step {
            tracing::warn!(
                network = %self.network, block = block.at.num, changes = block.changes.len(),
                monotonic_counter.blocks_undone = 1_u64, "block undone"
            );
        }
        self.tell(&step);
        Ok(Progress::Undone)
    }

    async fn apply(
        &mut self,
        index: &mut Index,
        blocks: &[Block],
        irreversible: u64,
    ) -> Result<Progress, IndexError> {
        let mut page = Page::default();
        for block in blocks {
            self.load(index, block).await?;
            match index.apply_block(block) {
                Ok(applied) => page.add(block, applied, &mut self.memory),
                // What follows may still be right once what came before is committed.
                Err(_) if !page.blocks.is_empty() => break,
                Err(out_of_order) => return Err(out_of_order.into()),
            }
        }
        let finalizes = index.reversible().next().is_some_and(|first| first.at.num <= irreversible);
        if page.blocks.is_empty() && !finalizes {
            return Ok(Progress::AtHead);
        }
        let step = Commit::Apply { blocks: std::mem::take(&mut page.blocks), irreversible };
        self.store.commit(&self.network, &step).await?;
        index.finalize(irreversible);
        let Commit::Apply { blocks, .. } = &step else { return Ok(Progress::AtHead) };
        page.report(&self.network, blocks);
        let done = blocks.len();
        if let Some(resolver) = &self.resolver {
            resolver.want(blocks.iter().flat_map(chunks_of), Urgency::Background);
        }
        self.tell(&step);
        Ok(if done == 0 { Progress::AtHead } else { Progress::Applied(done) })
    }

    /// Loads from the store what a block is about and is not in memory. Also an account whose operation was refused: it
    /// must not count as a new one.
    async fn load(&mut self, index: &mut Index, block: &Block) -> Result<(), StoreError> {
        for op in &block.ops {
            let account = match op {
                Ok(signed) => &signed.account,
                Err(refused) => match &refused.account {
                    Some(account) => account,
                    None => continue,
                },
            };
            if !index.knows(account)
                && let Some(stored) = self.store.account(&self.network, account).await?
            {
                index.load_account(account.clone(), stored.created);
            }
            let Ok(signed) = op else { continue };
            let link = signed.op.link();
            if !index.lacks(account, link) {
                continue;
            }
            let id = StreamId::new(self.network.clone(), account.clone(), link.clone());
            if let Some(stored) = self.store.stream(&id).await? {
                let key = StreamKey { account: account.clone(), link: link.clone() };
                self.memory.load(index, key, stored);
            }
        }
        Ok(())
    }

    /// Tells what was committed. Nobody needs to listen.
    fn tell(&self, step: &Commit) {
        for event in News::of(step).events(&self.network) {
            let _ = self.events.send(event);
        }
    }

    fn report(&self, error: &IndexError, wait: Duration) {
        tracing::warn!(
            network = %self.network, error = %Explained(error), ?wait,
            monotonic_counter.indexer_failures = 1_u64, "indexing failed, trying again"
        );
    }
}

/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Waits after failures in a row: doubling from half a second, with jitter, for ever.
fn waits() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}

/// The chunks that a block's pushes name, of every quality.
fn chunks_of(block: &BlockChanges) -> impl Iterator<Item = ContentId> {
    let pushes = block.changes.iter().filter_map(|change| change.push.as_ref()?.after.as_ref());
    pushes.filter(|pushed| pushed.len.is_none()).flat_map(|pushed| {
        [pushed.src].into_iter().chain(pushed.renditions.iter().map(|(_, id)| *id))
    })
}

/// Blocks that are committed together, and what became of their operations.
#[derive(Default)]
struct Page {
    blocks: Vec<BlockChanges>,
    accepted: u64,
    refused: u64,
    malformed: u64,
}

impl Page {
    fn add(&mut self, block: &Block, applied: Applied, memory: &mut Memory) {
        memory.touch(&applied.changes);
        for refusal in applied.refusals {
            match refusal {
                None => self.accepted += 1,
                Some(why) => {
                    self.refused += 1;
                    tracing::debug!(block = block.at.num, %why, "operation refused");
                }
            }
        }
        for malformed in block.ops.iter().filter_map(|op| op.as_ref().err()) {
            self.malformed += 1;
            tracing::debug!(block = block.at.num, why = %malformed.reason, "operation malformed");
        }
        self.blocks.push(applied.changes);
    }

    fn report(&self, network: &Network, blocks: &[BlockChanges]) {
        let Some(last) = blocks.last() else { return };
        tracing::debug!(
            %network,
            block = last.at.num,
            monotonic_counter.blocks_applied = blocks.len(),
            monotonic_counter.ops_accepted = self.accepted,
            monotonic_counter.ops_refused = self.refused,
            monotonic_counter.ops_malformed = self.malformed,
            "blocks applied"
        );
    }
}

#[cfg(test)]
mod tests;
