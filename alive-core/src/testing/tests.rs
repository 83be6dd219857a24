//! A suite that no backend fails is worth nothing: each of these breaks one promise and is found out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use rstest::rstest;

use super::{
    ChainDriver, account_keys, block_source, broadcaster, live_cache, live_parts, storage,
    stream_store,
};
use crate::{
    AccountName, BlockChanges, ContentId, Network, Op, StreamId, Timestamp, backend::*, memory::*,
};

/// One broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    // Storage
    AnyLimit,
    ForgetsOnPin,
    FindsAll,
    HalfContent,
    NameOnce,
    PinsAll,
    // Live cache
    Backwards,
    MixesStreams,
    NoSince,
    Replays,
    // Live cache, parts
    AllParts,
    ForgetsParts,
    KeepsFirst,
    MixesParts,
    NoLateJoiner,
    // Chain
    EarlyReceipt,
    ForgetsForks,
    IrreversibleSwings,
    NumbersOnly,
    OverLimit,
    SkipsBlocks,
    // Keys
    KnowsAll,
    // Stream store
    AnyCase,
    CaseInPrefixes,
    KeepsReversible,
    LosesEqualTimes,
    MixesNetworks,
    PieceByPiece,
    TakesAnything,
    UnknownNetworks,
    WrongCount,
}

/// A backend that keeps all promises but one.
#[derive(Debug)]
struct Broken<B>(B, How);

impl<B> Broken<B> {
    fn is(&self, how: How) -> bool {
        self.1 == how
    }
}

/// What a suite says of a backend in memory, which needs to be polled and nothing else.
fn verdict(suite: impl Future<Output = ()>) -> String {
    let mut suite = pin!(suite);
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll = || (0..1000).any(|_| suite.as_mut().poll(&mut cx).is_ready());
    let outcome = catch_unwind(AssertUnwindSafe(&mut poll));
    let Err(said) = outcome else { panic!("the suite found nothing: {outcome:?}") };
    let text = said.downcast_ref::<String>().map(String::as_str);
    text.or(said.downcast_ref::<&str>().copied()).unwrap().to_owned()
}

#[rstest]
#[case(How::AnyLimit, "must be TooLarge")]
#[case(How::ForgetsOnPin, "content that was put can be got")]
#[case(How::FindsAll, "content never put must not be here")]
#[case(How::HalfContent, "get must give the 4200 bytes")]
#[case(How::NameOnce, "the same content must get the same id")]
#[case(How::PinsAll, "pinning content never put must be NotFound")]
fn a_broken_storage_is_found_out(#[case] how: How, #[case] what: &str) {
    let said = verdict(storage(&Broken(MemoryStorage::default(), how)));
    assert!(said.contains(what), "{said}");
}

impl Storage for Broken<MemoryStorage> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let (before, len) = (self.0.bytes(), data.len());
        let id = self.0.put(data).await?;
        if self.is(How::NameOnce) && len > 0 && self.0.bytes() == before {
            return self.0.put("other".into()).await;
        }
        Ok(id)
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let limit = if self.is(How::AnyLimit) { usize::MAX } else { limit };
        let data = self.0.get(id, limit).await?;
        let half = self.is(How::HalfContent) && data.len() == 4200;
        Ok(if half { data.slice(..2100) } else { data })
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        Ok(self.is(How::FindsAll) || self.0.has(id).await?)
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        if self.is(How::PinsAll) {
            return Ok(());
        }
        self.0.pin(id).await?;
        if self.is(How::ForgetsOnPin) {
            self.0.corrupt(id, Bytes::new());
        }
        Ok(())
    }
}

#[rstest]
#[case(How::Backwards, "in the order of its pushing")]
#[case(How::MixesStreams, "list must give what was pushed")]
#[case(How::NoSince, "list must leave out what was pushed earlier")]
#[case(How::Replays, "a subscription must give what is pushed from then on")]
fn a_broken_live_cache_is_found_out(#[case] how: How, #[case] what: &str) {
    let streams: [StreamId; 2] = ["hive/a/s", "hive/a/t"].map(|id| id.parse().unwrap());
    let cache = Broken(MemoryLiveCache::default(), how);
    let said = verdict(live_cache(&cache, [&streams[0], &streams[1]], Timestamp::EPOCH));
    assert!(said.contains(what), "{said}");
}

#[rstest]
#[case(How::AllParts, "parts of the newest segments only")]
#[case(How::ForgetsParts, "those still held")]
#[case(How::KeepsFirst, "one with the place of an earlier one must come")]
#[case(How::MixesParts, "must give parts of its own stream only")]
#[case(How::NoLateJoiner, "those still held")]
fn a_live_cache_with_broken_parts_is_found_out(#[case] how: How, #[case] what: &str) {
    let streams: [StreamId; 2] = ["hive/a/s", "hive/a/t"].map(|id| id.parse().unwrap());
    let cache = Broken(MemoryLiveCache::default(), how);
    let said = verdict(live_parts(&cache, [&streams[0], &streams[1]], Timestamp::EPOCH));
    assert!(said.contains(what), "{said}");
}

impl Broken<MemoryLiveCache> {
    fn stream(&self, stream: &StreamId) -> StreamId {
        let link =
            if self.is(How::MixesStreams) { "s".parse().unwrap() } else { stream.link.clone() };
        StreamId { link, ..stream.clone() }
    }
}

impl LiveCache for Broken<MemoryLiveCache> {
    async fn push(&self, stream: &StreamId, segment: LiveSegment) -> Result<(), LiveCacheError> {
        self.0.push(&self.stream(stream), segment).await
    }

    async fn list(
        &self,
        stream: &StreamId,
        since: Timestamp,
    ) -> Result<Vec<LiveSegment>, LiveCacheError> {
        let since = if self.is(How::NoSince) { Timestamp::EPOCH } else { since };
        let mut list = self.0.list(&self.stream(stream), since).await?;
        if self.is(How::Backwards) {
            list.reverse();
        }
        Ok(list)
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<LiveSegments, LiveCacheError> {
        let new = self.0.subscribe(stream).await?;
        let old = self.list(stream, Timestamp::EPOCH).await?;
        let old = if self.is(How::Replays) { old } else { Vec::new() };
        Ok(Box::pin(stream::iter(old).chain(new)))
    }

    async fn push_part(&self, stream: &StreamId, part: LivePart) -> Result<(), LiveCacheError> {
        let stream = self.part_stream(stream);
        if self.is(How::ForgetsParts) && part.index == 2 {
            return Ok(());
        }
        let all = self.is(How::AllParts) && stream.link.as_str() == "s";
        if all {
            self.0.push_part(&aside(part.number), part).await?;
        }
        let held = self.held_parts(&stream).await?;
        if self.is(How::KeepsFirst) && held.iter().any(|held| held.is_at_place_of(&part)) {
            return Ok(());
        }
        self.0.push_part(&stream, part).await
    }

    async fn subscribe_parts(&self, stream: &StreamId) -> Result<LiveParts, LiveCacheError> {
        let stream = self.part_stream(stream);
        let mut parts = self.0.subscribe_parts(&stream).await?;
        if self.is(How::NoLateJoiner) {
            while parts.next().now_or_never().is_some() {}
        }
        let mut old = Vec::new();
        let all = self.is(How::AllParts) && stream.link.as_str() == "s";
        if all {
            while parts.next().now_or_never().is_some() {}
            for number in 0..20 {
                old.extend(self.held_parts(&aside(number)).await?);
            }
        }
        Ok(Box::pin(stream::iter(old).chain(parts)))
    }
}

impl Broken<MemoryLiveCache> {
    fn part_stream(&self, stream: &StreamId) -> StreamId {
        let one = self.is(How::MixesParts);
        StreamId {
            link: if one { "s".parse().unwrap() } else { stream.link.clone() },
            ..stream.clone()
        }
    }

    async fn held_parts(&self, stream: &StreamId) -> Result<Vec<LivePart>, LiveCacheError> {
        let mut parts = self.0.subscribe_parts(stream).await?;
        Ok(std::iter::from_fn(|| parts.next().now_or_never().flatten()).collect())
    }
}

/// Where parts are kept that should have been forgotten.
fn aside(number: u64) -> StreamId {
    format!("hive/aside/s{number}").parse().unwrap()
}

struct Driver(MemoryChain);

impl ChainDriver for Driver {
    fn account(&self) -> AccountName {
        "alice".parse().unwrap()
    }

    async fn produce(&self, payloads: &[String]) {
        for payload in payloads {
            self.0.submit(self.account(), payload.clone());
        }
        self.0.produce(Timestamp::EPOCH);
    }

    async fn pop(&self, count: usize) -> bool {
        self.0.pop(count) == count
    }

    async fn finalize(&self) -> bool {
        self.0.set_irreversible(u64::MAX);
        true
    }
}

#[rstest]
#[case(How::ForgetsForks, "a block taken back must be Forked")]
#[case(How::IrreversibleSwings, "irreversible must not go back")]
#[case(How::NumbersOnly, "a replaced block must be Forked")]
#[case(How::OverLimit, "at most 1 blocks were asked for")]
#[case(How::SkipsBlocks, "none left out")]
fn a_broken_block_source_is_found_out(#[case] how: How, #[case] what: &str) {
    let driver = Driver(MemoryChain::new(Network::hive()));
    let said = verdict(block_source(&Broken(driver.0.clone(), how), &driver));
    assert!(said.contains(what), "{said}");
}

impl BlockSource for Broken<MemoryChain> {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        let limit = limit + usize::from(self.is(How::OverLimit));
        let next = match (self.0.next(after, limit).await?, after) {
            (Next::Forked, Some(after)) if self.is(How::ForgetsForks) => {
                let irreversible = after.num.min(self.0.irreversible());
                Next::Blocks { blocks: Vec::new(), irreversible }
            }
            (Next::Forked, Some(after)) if self.is(How::NumbersOnly) => {
                let Next::Blocks { blocks, irreversible } = self.0.next(None, 1000).await? else {
                    panic!("from the start there are blocks");
                };
                if !blocks.iter().any(|block| block.at.num == after.num) {
                    return Ok(Next::Forked);
                }
                let blocks = blocks.into_iter().filter(|block| block.at.num > after.num);
                Next::Blocks { blocks: blocks.take(limit).collect(), irreversible }
            }
            (next, _) => next,
        };
        let Next::Blocks { mut blocks, irreversible } = next else { return Ok(next) };
        if self.is(How::SkipsBlocks) && after.is_some() && !blocks.is_empty() {
            blocks.remove(0);
            let rest = blocks.is_empty() && self.0.head().as_ref() != after;
            blocks.extend(self.0.next(after, 3).await.ok().into_iter().flat_map(
                |next| match next {
                    Next::Blocks { blocks, .. } if rest => {
                        blocks.into_iter().skip(1).take(limit).collect()
                    }
                    _ => Vec::new(),
                },
            ));
        }
        let swing = u64::from(self.is(How::IrreversibleSwings) && after.is_none());
        Ok(Next::Blocks { blocks, irreversible: irreversible + swing })
    }

    fn poll_interval(&self) -> Duration {
        self.0.poll_interval()
    }

    fn network(&self) -> &Network {
        self.0.network()
    }
}

#[test]
fn a_broadcaster_that_does_not_wait_is_found_out() {
    let chain = MemoryChain::new(Network::hive());
    let alice = Broken(chain.broadcaster("alice".parse().unwrap()), How::EarlyReceipt);
    let produce = async || drop(chain.produce(Timestamp::EPOCH));
    let said = verdict(broadcaster(&alice, &chain, &"s".parse().unwrap(), produce));
    assert!(said.contains("must be one made since the broadcast"), "{said}");
}

impl Broadcaster for Broken<MemoryBroadcaster> {
    async fn broadcast(&self, op: &Op) -> Result<Receipt, BroadcastError> {
        match self.0.broadcast(op).now_or_never() {
            Some(done) => done,
            None => Ok(Receipt { transaction: "none".into(), block: 0 }),
        }
    }

    fn account(&self) -> &AccountName {
        self.0.account()
    }

    fn network(&self) -> &Network {
        self.0.network()
    }
}

#[test]
fn keys_that_know_everybody_are_found_out() {
    let keys = Broken(MemoryAccountKeys::new(Network::hive()), How::KnowsAll);
    let known = [("alice".parse().unwrap(), AccountAuthority::default())];
    let said = verdict(account_keys(&keys, &known, &"nobody".parse().unwrap()));
    assert!(said.contains("nobody does not exist"), "{said}");
}

impl AccountKeys for Broken<MemoryAccountKeys> {
    async fn authority(&self, _: &AccountName) -> Result<Option<AccountAuthority>, KeysError> {
        Ok(Some(AccountAuthority::default()))
    }

    fn network(&self) -> &Network {
        self.0.network()
    }
}

#[rstest]
#[case(How::AnyCase, "must be as indexed")]
#[case(How::CaseInPrefixes, "streams must be all of AuthorPrefix")]
#[case(How::LosesEqualTimes, "a page must begin behind any place")]
#[case(How::MixesNetworks, "streams must be all of Newest")]
#[case(How::UnknownNetworks, "a network that has a cursor must be named once")]
#[case(How::KeepsReversible, "reversible must give the blocks after the last irreversible one")]
#[case(How::PieceByPiece, "the cursor must be the last block")]
#[case(How::TakesAnything, "must be refused as out of order")]
#[case(How::WrongCount, "the cursor must be the last block and the number of streams")]
fn a_broken_stream_store_is_found_out(#[case] how: How, #[case] what: &str) {
    let said = verdict(stream_store(&Broken(MemoryStreamStore::default(), how)));
    assert!(said.contains(what), "{said}");
}

impl StreamStore for Broken<MemoryStreamStore> {
    async fn cursor(&self, network: &Network) -> Result<Option<Cursor>, StoreError> {
        let more = u64::from(self.is(How::WrongCount));
        let cursor = self.0.cursor(network).await?;
        Ok(cursor.map(|cursor| Cursor { created: cursor.created + more, ..cursor }))
    }

    async fn reversible(&self, network: &Network) -> Result<Vec<BlockChanges>, StoreError> {
        self.0.reversible(network).await
    }

    async fn commit(&self, network: &Network, step: &Commit) -> Result<(), StoreError> {
        match step {
            Commit::Apply { blocks, .. } if self.is(How::KeepsReversible) => {
                let step = Commit::Apply { blocks: blocks.clone(), irreversible: 0 };
                self.0.commit(network, &step).await
            }
            Commit::Apply { blocks, irreversible } if self.is(How::PieceByPiece) => {
                for block in blocks {
                    let step = Commit::Apply { blocks: vec![block.clone()], irreversible: 0 };
                    self.0.commit(network, &step).await?;
                }
                let step = Commit::Apply { blocks: Vec::new(), irreversible: *irreversible };
                self.0.commit(network, &step).await
            }
            step => match self.0.commit(network, step).await {
                Err(_) if self.is(How::TakesAnything) => Ok(()),
                outcome => outcome,
            },
        }
    }

    async fn account(
        &self,
        network: &Network,
        account: &AccountName,
    ) -> Result<Option<StoredAccount>, StoreError> {
        self.0.account(network, account).await
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<StoredStream>, StoreError> {
        if self.is(How::AnyCase) {
            let link = id.link.as_str().to_lowercase().parse().unwrap();
            return self.0.stream(&StreamId { link, ..id.clone() }).await;
        }
        self.0.stream(id).await
    }

    async fn streams(&self, query: &StreamQuery) -> Result<StreamPage, StoreError> {
        let mut query = query.clone();
        match (&mut query.order, &mut query.after) {
            (StreamOrder::AuthorPrefix(prefix), _) if self.is(How::CaseInPrefixes) => {
                *prefix = prefix.to_lowercase().into();
            }
            // Behind the last one's time rather than behind the last one.
            (StreamOrder::Newest, Some(after)) if self.is(How::LosesEqualTimes) => after.id = 0,
            _ => {}
        }
        if self.is(How::MixesNetworks) {
            query.network = None;
        }
        self.0.streams(&query).await
    }

    async fn networks(&self) -> Result<Vec<Network>, StoreError> {
        if self.is(How::UnknownNetworks) {
            return Ok(Vec::new());
        }
        self.0.networks().await
    }
}
