//! The backends in memory keep the promises of their traits: themselves, behind their handles and within an adapter.
#![cfg(test)]

use std::{sync::Arc, time::Duration};

use alive_core::{
    AccountName, Network, StreamId, Timestamp,
    backend::{
        AccountAuthority, Authority, LiveCache, PublicKeyBytes, SharedAccountKeys,
        SharedBlockSource, SharedBroadcaster, SharedLiveCache, SharedStorage, SharedStreamStore,
    },
    memory::{MemoryAccountKeys, MemoryChain, MemoryLiveCache, MemoryStorage, MemoryStreamStore},
    testing::{self, ChainDriver, Fault, Flaky},
};

fn steady<B>(backend: B) -> Flaky<B> {
    Flaky::new(backend, |_| Fault::Pass)
}

#[tokio::test]
async fn storage() {
    testing::storage(&MemoryStorage::default()).await;
    testing::storage(&SharedStorage::new(MemoryStorage::default())).await;
    testing::storage(&steady(MemoryStorage::default())).await;
    let storage = MemoryStorage::default();
    testing::storage_survives(async || storage.clone()).await;
    testing::storage_heals(&storage, async |storage, id| storage.corrupt(id, "else".into())).await;
    testing::storage_heals(&storage, async |storage, id| assert!(storage.remove(id))).await;
}

#[tokio::test]
async fn stream_store() {
    testing::stream_store(&MemoryStreamStore::default()).await;
    testing::stream_store(&SharedStreamStore::new(MemoryStreamStore::default())).await;
    testing::stream_store(&steady(MemoryStreamStore::default())).await;
    let store = MemoryStreamStore::default();
    testing::stream_store_survives(async || store.clone()).await;
}

#[tokio::test]
async fn live_cache() {
    async fn run(cache: impl LiveCache) {
        let streams: [StreamId; 2] = ["hive/alice/a", "hive/alice/b"].map(|id| id.parse().unwrap());
        testing::live_cache(&cache, [&streams[0], &streams[1]], Timestamp::EPOCH).await;
        testing::live_parts(&cache, [&streams[0], &streams[1]], Timestamp::EPOCH).await;
    }
    run(MemoryLiveCache::default()).await;
    run(SharedLiveCache::new(MemoryLiveCache::default())).await;
    run(steady(MemoryLiveCache::default())).await;
    // One whose subscribers lag, and one with a clock.
    run(MemoryLiveCache::with_limits(2, 58, Duration::ZERO)).await;
    let ticks = Arc::new(std::sync::atomic::AtomicU32::new(1_700_000_000));
    run(MemoryLiveCache::default().with_clock(move || {
        Timestamp::from_unix_secs(ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }))
    .await;
}

#[tokio::test]
async fn account_keys() {
    let authority = |n: u8, weight: u16| Authority {
        threshold: 1,
        keys: vec![(PublicKeyBytes([n; 33]), weight)],
        accounts: vec![("carol".parse().unwrap(), 1)],
    };
    let known: Vec<(AccountName, AccountAuthority)> = ["alice", "Alice", "bob"]
        .into_iter()
        .zip(1..)
        .map(|(name, n)| {
            let account = AccountAuthority {
                active: authority(n, 1),
                owner: authority(n + 10, 2),
                posting: authority(n + 20, 3),
            };
            (name.parse().unwrap(), account)
        })
        .collect();
    let keys = MemoryAccountKeys::new(Network::hive());
    for (account, authority) in known.clone() {
        keys.set(account, authority);
    }
    let missing = "nobody".parse().unwrap();
    testing::account_keys(&keys, &known, &missing).await;
    testing::account_keys(&SharedAccountKeys::new(keys.clone()), &known, &missing).await;
    testing::account_keys(&steady(keys), &known, &missing).await;
}

#[derive(Debug)]
struct Driver {
    chain: MemoryChain,
    time: std::sync::atomic::AtomicU32,
}

impl Driver {
    fn new() -> Self {
        Self { chain: MemoryChain::new(Network::avalon()), time: 0.into() }
    }
}

impl ChainDriver for Driver {
    fn account(&self) -> AccountName {
        "alice".parse().unwrap()
    }

    async fn produce(&self, payloads: &[String]) {
        for payload in payloads {
            assert!(self.chain.submit(self.account(), payload.clone()));
        }
        let now = self.time.fetch_add(3, std::sync::atomic::Ordering::Relaxed);
        self.chain.produce(Timestamp::from_unix_secs(now));
    }

    async fn pop(&self, count: usize) -> bool {
        self.chain.pop(count) == count
    }

    async fn finalize(&self) -> bool {
        self.chain.set_irreversible(u64::MAX);
        true
    }
}

#[tokio::test]
async fn block_source() {
    let driver = Driver::new();
    testing::block_source(&driver.chain, &driver).await;
    let driver = Driver::new();
    testing::block_source(&SharedBlockSource::new(driver.chain.clone()), &driver).await;
    let driver = Driver::new();
    testing::block_source(&steady(driver.chain.clone()), &driver).await;
}

#[tokio::test]
async fn broadcaster() {
    let chain = MemoryChain::new(Network::hive());
    let alice = chain.broadcaster("alice".parse().unwrap());
    let produce = async || drop(chain.produce(Timestamp::EPOCH));
    testing::broadcaster(&alice, &chain, &"a".parse().unwrap(), produce).await;
    let shared = SharedBroadcaster::new(alice.clone());
    testing::broadcaster(&shared, &chain, &"b".parse().unwrap(), produce).await;
    testing::broadcaster(&steady(alice), &chain, &"c".parse().unwrap(), produce).await;

    let instant = MemoryChain::instant(Network::hive(), || Timestamp::EPOCH);
    let alice = instant.broadcaster("alice".parse().unwrap());
    testing::broadcaster(&alice, &instant, &"d".parse().unwrap(), async || {}).await;
}
