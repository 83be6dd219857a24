use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alive_core::{
    ContentId,
    backend::{SharedStorage, Storage, StorageError},
    memory::MemoryStorage,
    testing::{self, Call, Fault, Flaky},
};
use bytes::Bytes;
use tokio::time::Instant;

use super::*;

/// Members whose every call fails in one way; `None` passes.
fn members<const N: usize>(faults: [Fault; N]) -> Vec<Flaky<MemoryStorage>> {
    faults.map(|fault| Flaky::new(MemoryStorage::default(), move |_| fault)).into()
}

fn need(count: usize) -> std::num::NonZeroUsize {
    count.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_adapter_passes_the_suite() {
    let store = MemoryStorage::default;
    testing::storage(&Cached::new(store(), 64 << 20)).await;
    testing::storage(&Cached::new(store(), 0)).await;
    testing::storage(&Race::new([store(), store()])).await;
    testing::storage(&Retry::new(store(), RetryOptions::default())).await;
    testing::storage(&Quorum::new([store(), store(), store()], need(2)).unwrap()).await;
    let nested = Race::new([Cached::new(Retry::new(store(), RetryOptions::default()), 1 << 20)]);
    testing::storage(&SharedStorage::new(nested)).await;
}

#[tokio::test(start_paused = true)]
async fn content_is_stored_when_enough_members_have_it_and_not_before() {
    let with = |faults| Quorum::new(members(faults), need(2)).unwrap();
    let one_down = with([Fault::Pass, Fault::Unavailable, Fault::Pass]);
    let id = one_down.put("x".into()).await.unwrap();
    assert!(one_down.has(&id).await.unwrap());
    let two_down = with([Fault::Pass, Fault::Unavailable, Fault::Refused]);
    let error = two_down.put("x".into()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let StorageError::Unavailable { source, .. } = error else { panic!("{error:?}") };
    let Some(QuorumError::TooFew { done: 1, need: 2, errors }) = source.downcast_ref() else {
        panic!("{source:?}")
    };
    let mut who: Vec<_> = errors.iter().map(|(at, _)| at).collect();
    who.sort_unstable();
    assert_eq!(who, [1, 2]);
    let refused = with([Fault::Refused, Fault::Refused, Fault::Refused]).put("x".into()).await;
    assert!(!refused.unwrap_err().is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_delays_nothing_and_one_that_is_slow_gets_it_too() {
    let quick = [MemoryStorage::default(), MemoryStorage::default()];
    let slow = Slow::new(Duration::from_mins(1));
    let shared = |store: &MemoryStorage| SharedStorage::new(store.clone());
    let all = [shared(&quick[0]), SharedStorage::new(slow.clone()), shared(&quick[1])];
    let quorum = Quorum::new(all, need(2)).unwrap();
    let start = Instant::now();
    let id = quorum.put("x".into()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(!slow.inner.has(&id).await.unwrap());
    quorum.settle().await;
    assert_eq!(start.elapsed(), Duration::from_mins(1));
    assert!(slow.inner.has(&id).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn members_that_fall_behind_are_given_up_at_some_point() {
    let slow = Slow::new(Duration::from_hours(1));
    let all = [SharedStorage::new(MemoryStorage::default()), SharedStorage::new(slow.clone())];
    let quorum = Quorum::new(all, need(1)).unwrap();
    for n in 0..MAX_STRAGGLERS + 10 {
        quorum.put(n.to_string().into()).await.unwrap();
    }
    quorum.settle().await;
    assert_eq!(slow.done.load(Ordering::Relaxed), MAX_STRAGGLERS as u64);
}

#[tokio::test(start_paused = true)]
async fn members_that_give_different_ids_do_not_agree() {
    let kubo = || SharedStorage::new(crate::MemoryStorage::default());
    let raw = || SharedStorage::new(MemoryStorage::default());
    let split = Quorum::new([kubo(), raw()], need(2)).unwrap();
    let error = split.put("x".into()).await.unwrap_err();
    let StorageError::Refused { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(source.downcast_ref(), Some(QuorumError::Disagree { answers: 2 })));
    let outvoted = Quorum::new([kubo(), raw(), raw()], need(2)).unwrap();
    let id = outvoted.put("x".into()).await.unwrap();
    assert!(id.as_str().starts_with("bafkrei"));
}

#[test]
fn a_quorum_of_more_than_all_is_refused() {
    let none = Quorum::new([MemoryStorage::default()], need(2)).unwrap_err();
    assert!(matches!(none, QuorumError::TooFewMembers { members: 1, need: 2 }));
}

#[tokio::test(start_paused = true)]
async fn one_member_is_enough_to_read_but_not_to_have() {
    let stores = [MemoryStorage::default(), MemoryStorage::default()];
    let id = stores[1].put("x".into()).await.unwrap();
    let quorum = Quorum::new(stores, need(2)).unwrap();
    assert_eq!(quorum.get(&id, 1).await.unwrap(), "x");
    assert!(!quorum.has(&id).await.unwrap());
    let unsure = Quorum::new(members([Fault::Unavailable, Fault::Pass]), need(1)).unwrap();
    assert!(unsure.has(&id).await.unwrap_err().is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_or_fails_does_not_keep_others_from_giving_content() {
    for fault in [Fault::Hang, Fault::Unavailable, Fault::Refused] {
        let all = members([fault, Fault::Pass]);
        let id = all[1].inner().put("x".into()).await.unwrap();
        assert_eq!(Race::new(all.clone()).get(&id, 1).await.unwrap(), "x");
        assert_eq!(Quorum::new(all.clone(), need(1)).unwrap().get(&id, 1).await.unwrap(), "x");
        assert!(Race::new(all).has(&id).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_race_tells_the_worst_that_may_go_away() {
    let absent = MemoryStorage::default().put("x".into()).await.unwrap();
    let ask = async |faults| Race::new(members::<2>(faults)).get(&absent, 1).await.unwrap_err();
    assert!(matches!(ask([Fault::Pass, Fault::Pass]).await, StorageError::NotFound(_)));
    assert!(matches!(ask([Fault::Pass, Fault::Refused]).await, StorageError::NotFound(_)));
    let error = ask([Fault::Unavailable, Fault::Pass]).await;
    assert!(matches!(error, StorageError::Unavailable { .. }));
    let StorageError::Unavailable { source, .. } = error else { return };
    let text = source.to_string();
    assert!(text.contains("member 0: flaky is unavailable: call 0 was planned to fail"), "{text}");
    let refused = ask([Fault::Refused, Fault::Refused]).await;
    assert!(matches!(refused, StorageError::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_race_stores_with_the_first_that_takes_it() {
    let all = members([Fault::Unavailable, Fault::Pass, Fault::Pass]);
    let id = Race::new(all.clone()).put("x".into()).await.unwrap();
    assert!(all[1].inner().has(&id).await.unwrap());
    assert!(!all[2].inner().has(&id).await.unwrap());
    let none = Race::new(members([Fault::Unavailable, Fault::Refused])).put("x".into()).await;
    assert!(none.unwrap_err().is_transient());
}

#[tokio::test(start_paused = true)]
async fn what_may_go_away_is_tried_again_with_pauses() {
    let failing = |times: u64, fault| {
        let plan = move |call: Call| if call.number < times { fault } else { Fault::Pass };
        Flaky::new(MemoryStorage::default(), plan)
    };
    let options = || RetryOptions::default().attempts(4).first_pause(Duration::from_secs(1));
    let start = Instant::now();
    let id = Retry::new(failing(3, Fault::Unavailable), options()).put("x".into()).await.unwrap();
    let took = start.elapsed();
    // Pauses of 1, 2 and 4 seconds, each up to twice as long.
    assert!((7..=14).contains(&took.as_secs()), "{took:?}");
    let gone = Retry::new(failing(4, Fault::Unavailable), options());
    assert!(gone.put("x".into()).await.is_err());
    assert_eq!(gone.inner().calls(), 4);
    let refused = Retry::new(failing(1, Fault::Refused), options());
    assert!(refused.put("x".into()).await.is_err());
    assert_eq!(refused.inner().calls(), 1);
    let lost = Retry::new(failing(1, Fault::Lost), options());
    assert_eq!(lost.put("x".into()).await.unwrap(), id);
}

#[tokio::test(start_paused = true)]
async fn absent_content_is_asked_for_again_only_if_wanted() {
    let absent = MemoryStorage::default().put("x".into()).await.unwrap();
    let store = || Flaky::new(MemoryStorage::default(), |_| Fault::Pass);
    let once = Retry::new(store(), RetryOptions::default().attempts(3));
    assert!(once.get(&absent, 1).await.is_err());
    assert_eq!(once.inner().calls(), 1);
    let again = Retry::new(store(), RetryOptions::default().attempts(3).not_found(true));
    assert!(again.get(&absent, 1).await.is_err());
    assert_eq!(again.inner().calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_not_read_again_until_it_is_forgotten() {
    let far = Flaky::new(MemoryStorage::default(), |_| Fault::Pass);
    let id = far.inner().put(vec![1; 1000].into()).await.unwrap();
    let storage = Cached::new(far, 10_000);
    for _ in 0..3 {
        assert_eq!(storage.get(&id, 1000).await.unwrap().len(), 1000);
    }
    assert!(storage.has(&id).await.unwrap());
    assert_eq!(storage.inner().calls(), 1);
    let refused = storage.get(&id, 999).await.unwrap_err();
    assert!(matches!(refused, StorageError::TooLarge { limit: 999, .. }));
    for n in 0..100_u8 {
        storage.put(vec![n; 1000].into()).await.unwrap();
    }
    storage.content.run_pending_tasks();
    assert!(storage.content.weighted_size() <= 10_000);
}

/// A storage that takes its time.
#[derive(Clone, Debug)]
struct Slow {
    inner: MemoryStorage,
    time: Duration,
    done: Arc<AtomicU64>,
}

impl Slow {
    fn new(time: Duration) -> Self {
        Self { inner: MemoryStorage::default(), time, done: Arc::default() }
    }
}

impl Storage for Slow {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        tokio::time::sleep(self.time).await;
        self.done.fetch_add(1, Ordering::Relaxed);
        self.inner.put(data).await
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        self.inner.get(id, limit).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        self.inner.has(id).await
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        self.inner.pin(id).await
    }
}
