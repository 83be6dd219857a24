//! [`MemoryStreamStore`]: what an indexer learned, kept as it came.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex},
};

use crate::{
    account::{AccountName, Network},
    backend::{
        BlockRef, Commit, Cursor, ListedStream, StoreError, StoredAccount, StoredStream,
        StreamPage, StreamQuery, StreamStore,
    },
    index::{BlockChanges, Change, StreamKey},
    op::Seq,
    stream::{Pushed, StreamInfo},
    stream_id::StreamId,
};

use super::{Count, lock};

/// Keeps the streams of any number of networks in memory, every one of them and for good.
///
/// ```
/// use alive_core::{Index, Network, backend::{Commit, StreamStore}, memory::{MemoryChain, MemoryStreamStore}};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use alive_core::{Timestamp, backend::{BlockSource, Next}};
/// let chain = MemoryChain::new(Network::hive());
/// chain.submit("alice".parse()?, r#"{"op":2,"link":"s"}"#.to_owned());
/// chain.produce(Timestamp::EPOCH);
///
/// let Next::Blocks { blocks, irreversible } = chain.next(None, 100).await? else { unreachable!() };
/// let mut index = Index::default();
/// let blocks = blocks.iter().map(|block| Ok(index.apply_block(block)?.changes));
/// let blocks = blocks.collect::<Result<_, alive_core::OutOfOrder>>()?;
/// let store = MemoryStreamStore::default();
/// store.commit(&Network::hive(), &Commit::Apply { blocks, irreversible }).await?;
/// assert!(store.stream(&"hive/alice/s".parse()?).await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStreamStore(Arc<Mutex<HashMap<Network, Kept>>>);

/// What is kept of one network.
#[derive(Default)]
struct Kept {
    last: Option<BlockRef>,
    created: u64,
    irreversible: u64,
    reversible: VecDeque<BlockChanges>,
    accounts: HashMap<AccountName, u32>,
    streams: HashMap<StreamKey, KeptStream>,
}

struct KeptStream {
    info: StreamInfo,
    pushes: BTreeMap<Seq, Pushed>,
}

impl fmt::Debug for MemoryStreamStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = lock(&self.0);
        let networks = networks.iter().map(|(name, kept)| (name, Count(kept.streams.len())));
        f.write_str("MemoryStreamStore ")?;
        f.debug_map().entries(networks).finish()
    }
}

impl StreamStore for MemoryStreamStore {
    async fn cursor(&self, network: &Network) -> Result<Option<Cursor>, StoreError> {
        Ok(lock(&self.0)
            .get(network)
            .and_then(|kept| Some(Cursor { last: kept.last.clone()?, created: kept.created })))
    }

    async fn reversible(&self, network: &Network) -> Result<Vec<BlockChanges>, StoreError> {
        let networks = lock(&self.0);
        Ok(networks
            .get(network)
            .map(|kept| kept.reversible.iter().cloned().collect())
            .unwrap_or_default())
    }

    async fn commit(&self, network: &Network, step: &Commit) -> Result<(), StoreError> {
        let mut networks = lock(&self.0);
        let kept = networks.entry(network.clone()).or_default();
        match step {
            Commit::Apply { blocks, irreversible } => kept.apply(blocks, *irreversible),
            Commit::Undo(block) => kept.undo(block),
        }
    }

    async fn account(
        &self,
        network: &Network,
        account: &AccountName,
    ) -> Result<Option<StoredAccount>, StoreError> {
        let networks = lock(&self.0);
        let created = networks.get(network).and_then(|kept| kept.accounts.get(account));
        Ok(created.map(|&created| StoredAccount { created }))
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<StoredStream>, StoreError> {
        let key = StreamKey { account: id.account.clone(), link: id.link.clone() };
        let networks = lock(&self.0);
        let stream = networks.get(&id.network).and_then(|kept| kept.streams.get(&key));
        Ok(stream.map(|stream| StoredStream {
            info: stream.info.clone(),
            pushes: stream.pushes.iter().map(|(seq, pushed)| (*seq, pushed.clone())).collect(),
        }))
    }

    async fn streams(&self, query: &StreamQuery) -> Result<StreamPage, StoreError> {
        let networks = lock(&self.0);
        let asked =
            networks.iter().filter(|(name, _)| query.network.as_ref().is_none_or(|n| n == *name));
        let streams = asked.flat_map(|(network, kept)| {
            kept.streams.iter().map(|(key, stream)| ListedStream {
                id: StreamId::new(network.clone(), key.account.clone(), key.link.clone()),
                info: stream.info.clone(),
            })
        });
        Ok(query.page(streams.filter(|stream| query.admits(stream)).collect()))
    }

    async fn networks(&self) -> Result<Vec<Network>, StoreError> {
        let networks = lock(&self.0);
        let known = networks.iter().filter(|(_, kept)| kept.last.is_some());
        let mut names: Vec<_> = known.map(|(name, _)| name.clone()).collect();
        names.sort();
        Ok(names)
    }
}

impl Kept {
    /// Checks the order of all blocks before it takes the first.
    fn apply(&mut self, blocks: &[BlockChanges], irreversible: u64) -> Result<(), StoreError> {
        let mut last = self.last.as_ref();
        for block in blocks {
            if last.is_some_and(|last| *last != block.previous) {
                return Err(StoreError::Order { got: block.at.num });
            }
            last = Some(&block.at);
        }
        for block in blocks {
            for account in &block.new_accounts {
                self.accounts.entry(account.clone()).or_default();
            }
            block.changes.iter().for_each(|change| self.put(change));
            self.last = Some(block.at.clone());
            self.reversible.push_back(block.clone());
        }
        self.irreversible = self.irreversible.max(irreversible);
        while self.reversible.front().is_some_and(|block| block.at.num <= self.irreversible) {
            self.reversible.pop_front();
        }
        Ok(())
    }

    fn undo(&mut self, block: &BlockChanges) -> Result<(), StoreError> {
        if self.reversible.back().is_none_or(|last| last.at != block.at) {
            return Err(StoreError::Order { got: block.at.num });
        }
        block.changes.iter().for_each(|change| self.put(change));
        for account in &block.new_accounts {
            self.accounts.remove(account);
        }
        self.last = Some(block.previous.clone());
        self.reversible.pop_back();
        Ok(())
    }

    fn put(&mut self, change: &Change) {
        let created = self.accounts.entry(change.key.account.clone()).or_default();
        match (&change.before, &change.after) {
            (None, Some(_)) => {
                *created += 1;
                self.created += 1;
            }
            (Some(_), None) => {
                *created = created.saturating_sub(1);
                self.created = self.created.saturating_sub(1);
            }
            _ => {}
        }
        let Some(info) = &change.after else {
            self.streams.remove(&*change.key);
            return;
        };
        let stream = self
            .streams
            .entry((*change.key).clone())
            .or_insert_with(|| KeptStream { info: info.clone(), pushes: BTreeMap::new() });
        stream.info = info.clone();
        if let Some(push) = &change.push {
            match &push.after {
                Some(pushed) => stream.pushes.insert(push.seq, pushed.clone()),
                None => stream.pushes.remove(&push.seq),
            };
        }
    }
}
