//! The promises of [`StreamStore`], judged by an [`Index`] that holds everything.

use futures_util::FutureExt as _;

use crate::{
    account::Network,
    backend::{
        Block, BlockRef, Commit, Cursor, StoreError, StoredAccount, StoredStream, StreamStore,
    },
    index::{BlockChanges, Index, StreamKey},
    stream::Stream,
    stream_id::StreamId,
};

use super::{listing::listing, ok, script::Script};

/// How many steps each network takes.
const STEPS: u64 = 60;
/// After how many steps all streams are listed.
const LISTED: u64 = 12;

/// Checks every promise of a [`StreamStore`] with made-up blocks of two networks, forks, restarts and wrong steps.
///
/// The store must hold nothing of the networks `suite-a` and `suite-b`; it holds much of them afterwards. Names of
/// accounts hold quotes, slashes and letters of other scripts, but no NUL, which no chain allows in a name.
///
/// # Panics
/// The store breaks a promise; the message says which.
pub async fn stream_store(store: &impl StreamStore) {
    let mut walks = [Walk::new("suite-a", 1), Walk::new("suite-b", 2)];
    for walk in &mut walks {
        walk.begin(store).await;
    }
    for step in 0..STEPS {
        for walk in &mut walks {
            walk.step(store, step).await;
            walk.compare(store).await;
            if step.is_multiple_of(LISTED) {
                walk.list(store, step).await;
            }
        }
    }
    for walk in &mut walks {
        walk.compare(store).await;
        walk.list(store, STEPS).await;
        walk.wrong_steps(store).await;
        walk.give_up_a_commit(store).await;
        walk.compare(store).await;
    }
}

/// Checks that what was committed is there after closing and opening again. `open` opens the same store each time; the
/// one before is dropped by then.
///
/// # Panics
/// Something committed is lost or changed, or [`stream_store`] would panic.
pub async fn stream_store_survives<S: StreamStore>(open: impl AsyncFn() -> S) {
    stream_store(&open().await).await;
    let mut walk = Walk::new("suite-c", 3);
    walk.begin(&open().await).await;
    for step in 0..STEPS {
        walk.step(&open().await, step).await;
        walk.compare(&open().await).await;
        if step.is_multiple_of(LISTED) {
            walk.list(&open().await, step).await;
        }
    }
}

/// One network's way through blocks and forks.
struct Walk {
    network: Network,
    script: Script,
    /// Holds everything; the judge.
    whole: Index,
    /// Loads from the store what it needs and forgets it again, as an indexer does.
    lazy: Index,
    /// How many streams the judge counted.
    created: u64,
    irreversible: u64,
}

impl Walk {
    fn new(network: &str, seed: u64) -> Self {
        Self {
            network: ok(network.parse(), "the suite's own networks are networks"),
            script: Script::new(seed),
            whole: Index::default(),
            lazy: Index::default(),
            created: 0,
            irreversible: 0,
        }
    }

    /// An empty store, then the first block.
    async fn begin(&mut self, store: &impl StreamStore) {
        assert_eq!(self.cursor(store).await, None, "a store begins without a cursor");
        assert_eq!(self.reversible(store).await, [], "a store begins without blocks to undo");
        self.compare_content(store).await;
        let networks = ok(store.networks().await, "networks must answer");
        assert!(!networks.contains(&self.network), "a network is named after its first commit");
        self.apply(store, 1).await;
    }

    async fn step(&mut self, store: &impl StreamStore, step: u64) {
        match self.script.roll(10) {
            0..6 => {
                let blocks = 1 + self.script.roll(4);
                self.apply(store, blocks).await;
            }
            6..9 => {
                for _ in 0..=self.script.roll(5) {
                    self.undo(store).await;
                }
            }
            _ => {
                self.irreversible = self.head().num.saturating_sub(self.script.roll(3));
                self.commit(store, Vec::new()).await;
            }
        }
        match step % 4 {
            0 => self.restart(store).await,
            2 => self.lazy.unload(|key| key.account.as_str() == "alice"),
            _ => {}
        }
    }

    /// Applies some blocks in one commit; now and then some of all blocks become irreversible with it.
    async fn apply(&mut self, store: &impl StreamStore, count: u64) {
        let mut blocks = Vec::new();
        for _ in 0..count {
            let block = self.script.block(self.whole.last());
            self.load(store, &block).await;
            let applied = ok(self.whole.apply_block(&block), "the suite's own blocks follow");
            let lazily = ok(self.lazy.apply_block(&block), "the suite's own blocks follow");
            assert_eq!(
                lazily, applied,
                "an index that loads accounts and streams from the store must decide like one that has all"
            );
            blocks.push(applied.changes);
        }
        if self.script.roll(3) == 0 {
            let depth = self.script.roll(12);
            self.irreversible = self.irreversible.max(self.head().num.saturating_sub(depth));
        }
        self.created += blocks.iter().map(creations).sum::<u64>();
        self.commit(store, blocks).await;
    }

    async fn commit(&mut self, store: &impl StreamStore, blocks: Vec<BlockChanges>) {
        let irreversible = self.irreversible;
        let step = Commit::Apply { blocks, irreversible };
        ok(store.commit(&self.network, &step).await, "a step that follows must be taken");
        self.whole.finalize(irreversible);
        self.lazy.finalize(irreversible);
    }

    async fn undo(&mut self, store: &impl StreamStore) {
        let Some(inverse) = self.whole.undo_block() else { return };
        assert_eq!(self.lazy.undo_block().as_ref(), Some(&inverse), "both undo the same");
        let removed = inverse.changes.iter().map(|change| u64::from(change.after.is_none()));
        self.created -= removed.sum::<u64>();
        let step = Commit::Undo(inverse);
        ok(store.commit(&self.network, &step).await, "the last block can be undone");
    }

    /// Forgets everything and goes on from what the store kept.
    async fn restart(&mut self, store: &impl StreamStore) {
        let Some(Cursor { last, created }) = self.cursor(store).await else {
            panic!("a store has a cursor after its first commit");
        };
        self.lazy = Index::resume(last, created, self.reversible(store).await);
    }

    /// Loads what a block is about, as the documentation of [`Index`] asks for.
    async fn load(&mut self, store: &impl StreamStore, block: &Block) {
        for op in &block.ops {
            let account = match op {
                Ok(signed) => &signed.account,
                Err(refused) => match &refused.account {
                    Some(account) => account,
                    None => continue,
                },
            };
            if !self.lazy.knows(account) {
                let stored = ok(store.account(&self.network, account).await, "account must answer");
                if let Some(StoredAccount { created }) = stored {
                    self.lazy.load_account(account.clone(), created);
                }
            }
            let Ok(signed) = op else { continue };
            if self.lazy.lacks(account, signed.op.link()) {
                let key = StreamKey { account: account.clone(), link: signed.op.link().clone() };
                if let Some(stored) = self.stream(store, &key).await {
                    let stream = Stream::restore(stored.info, stored.pushes);
                    self.lazy.load_stream(key, stream);
                }
            }
        }
    }

    /// The store holds what the index holds, and nothing else.
    async fn compare(&self, store: &impl StreamStore) {
        let want = Cursor { last: self.head(), created: self.created };
        assert_eq!(
            self.cursor(store).await,
            Some(want),
            "the cursor must be the last block and the number of streams"
        );
        let want: Vec<_> = self.whole.reversible().cloned().collect();
        assert_eq!(
            self.reversible(store).await,
            want,
            "reversible must give the blocks after the last irreversible one, oldest first"
        );
        self.compare_content(store).await;
    }

    /// What the store holds comes by the page, too; `step` changes how long pages are.
    async fn list(&self, store: &impl StreamStore, step: u64) {
        let limit = usize::try_from(step % 7).unwrap_or(0) + 1;
        listing(store, &self.network, &self.whole, limit).await;
    }

    async fn compare_content(&self, store: &impl StreamStore) {
        for account in Script::accounts() {
            let stored = ok(store.account(&self.network, &account).await, "account must answer");
            let streams = self.whole.streams().filter(|(key, _)| key.account == account);
            let created = u32::try_from(streams.count()).unwrap_or(u32::MAX);
            let want = self.whole.knows(&account).then_some(StoredAccount { created });
            assert_eq!(
                stored, want,
                "account {account:?} must be known with its number of streams"
            );
            for link in Script::links() {
                let key = StreamKey { account: account.clone(), link };
                let want = self.whole.stream(&key.account, &key.link).map(|stream| StoredStream {
                    info: stream.info().clone(),
                    pushes: stream.pushes().map(|(seq, pushed)| (seq, pushed.clone())).collect(),
                });
                assert_eq!(
                    self.stream(store, &key).await,
                    want,
                    "stream {key:?} must be as indexed"
                );
            }
        }
    }

    /// Steps that do not follow are refused whole.
    async fn wrong_steps(&mut self, store: &impl StreamStore) {
        self.irreversible = self.head().num.saturating_sub(2);
        self.commit(store, Vec::new()).await;
        self.apply(store, 3).await;
        let far = BlockRef { num: self.head().num + 1, ..self.head() };
        let skips = self.script.block(Some(&far));
        let forked = BlockRef { id: far.id.clone(), num: self.head().num - 1 };
        let other = self.script.block(Some(&forked));
        let follows = self.script.block(Some(&self.head()));
        for wrong in [vec![&skips], vec![&other], vec![&follows, &follows], vec![&follows, &skips]]
        {
            let Some(&last) = wrong.last() else { continue };
            let blocks = wrong.iter().map(|block| bare(block)).collect();
            // Had it been taken, this would show in `reversible`, too.
            let step = Commit::Apply { blocks, irreversible: self.head().num };
            self.refused(store, &step, last.at.num, "blocks that do not follow").await;
        }
        let reversible: Vec<_> = self.whole.reversible().cloned().collect();
        if let [.., before, _] = &reversible[..] {
            let step = Commit::Undo(before.clone());
            self.refused(store, &step, before.at.num, "undoing a block before the last one").await;
        }
        let step = Commit::Undo(bare(&follows));
        self.refused(store, &step, follows.at.num, "undoing a block never applied").await;
        self.irreversible = self.head().num;
        self.commit(store, Vec::new()).await;
        if let [.., last] = &reversible[..] {
            let step = Commit::Undo(last.clone());
            self.refused(store, &step, last.at.num, "undoing an irreversible block").await;
        }
    }

    async fn refused(&self, store: &impl StreamStore, step: &Commit, got: u64, what: &str) {
        match store.commit(&self.network, step).await {
            Err(StoreError::Order { got: named }) => {
                assert_eq!(
                    named, got,
                    "{what}: the error must name the block that does not follow"
                );
            }
            other => panic!("{what} must be refused as out of order, it was {other:?}"),
        }
        self.compare(store).await;
    }

    /// A commit whose future is dropped after its first step has happened whole, or has not.
    async fn give_up_a_commit(&mut self, store: &impl StreamStore) {
        let before = self.cursor(store).await;
        let block = self.script.block(self.whole.last());
        let applied = ok(self.whole.apply_block(&block), "the suite's own blocks follow");
        self.created += creations(&applied.changes);
        let step = Commit::Apply { blocks: vec![applied.changes], irreversible: self.irreversible };
        drop(store.commit(&self.network, &step).now_or_never());
        if self.cursor(store).await == before {
            match store.commit(&self.network, &step).await {
                // It was still under way when the cursor was read.
                Ok(()) | Err(StoreError::Order { .. }) => {}
                Err(error) => panic!("a commit must be possible after a dropped one: {error:?}"),
            }
        }
    }

    /// The last block, or where the first one starts.
    fn head(&self) -> BlockRef {
        let Some(last) = self.whole.last() else { panic!("the suite begins with a block") };
        last.clone()
    }

    async fn cursor(&self, store: &impl StreamStore) -> Option<Cursor> {
        ok(store.cursor(&self.network).await, "cursor must answer")
    }

    async fn reversible(&self, store: &impl StreamStore) -> Vec<BlockChanges> {
        ok(store.reversible(&self.network).await, "reversible must answer")
    }

    async fn stream(&self, store: &impl StreamStore, key: &StreamKey) -> Option<StoredStream> {
        let id = StreamId::new(self.network.clone(), key.account.clone(), key.link.clone());
        ok(store.stream(&id).await, "stream must answer")
    }
}

fn creations(block: &BlockChanges) -> u64 {
    block.changes.iter().map(|change| u64::from(change.before.is_none())).sum()
}

/// A block that changes nothing.
fn bare(block: &Block) -> BlockChanges {
    let previous = BlockRef { num: block.at.num - 1, id: block.previous.clone() };
    BlockChanges { at: block.at.clone(), previous, changes: Vec::new(), new_accounts: Vec::new() }
}
