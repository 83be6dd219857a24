use std::sync::atomic::{AtomicBool, Ordering};

use alive_core::{
    memory::MemoryStorage,
    testing::{Call, Fault, Flaky},
};

use super::*;
use crate::SqliteStore;

const CSV: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH,4.0";

/// A running resolver, stopped when the test is over.
struct Running {
    resolver: Resolver,
    settled: broadcast::Receiver<ContentId>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

impl Running {
    fn start(
        storage: impl alive_core::backend::Storage + 'static,
        kept: Option<SqliteStore>,
    ) -> Self {
        let kept = kept.map(SharedChunkCache::new);
        let resolver = Resolver::new(SharedStorage::new(storage), kept, ResolverConfig::default());
        let run = resolver.clone().run(CancellationToken::new());
        let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(run));
        Self { settled: resolver.settled(), resolver, _task: task }
    }

    /// Wants a chunk and waits until its first try is over.
    async fn resolve(&mut self, id: ContentId) -> ChunkState {
        self.resolver.want([id], Urgency::Viewer);
        self.next().await;
        self.resolver.state(&id)
    }

    async fn next(&mut self) {
        self.settled.recv().await.unwrap();
    }
}

/// The id that some bytes would have.
async fn id_of(bytes: &'static str) -> ContentId {
    alive_core::backend::Storage::put(&MemoryStorage::default(), bytes.into()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_missing_chunk_is_tried_again_until_it_is_there() {
    let storage = MemoryStorage::default();
    let mut running = Running::start(storage.clone(), None);
    let id = id_of(CSV).await;
    let state = running.resolve(id).await;
    assert!(
        matches!(&state, ChunkState::Missing { attempts: 1, reason: Some(why) } if why.contains("not found")),
        "{state:?}"
    );
    assert!(running.resolver.known(&[id]).await.is_empty());
    alive_core::backend::Storage::put(&storage, CSV.into()).await.unwrap();
    running.next().await;
    assert_eq!(running.resolver.state(&id), ChunkState::Ready);
    assert!(matches!(running.resolver.known(&[id]).await[&id], ChunkContent::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_chunk_is_refused_once_and_for_all() {
    let storage = Flaky::new(MemoryStorage::default(), |_: Call| Fault::Pass);
    let too_large = "x".repeat(4201);
    let mut ids = Vec::new();
    for bytes in ["not a chunk", &too_large] {
        let bytes = Bytes::copy_from_slice(bytes.as_bytes());
        ids.push(alive_core::backend::Storage::put(storage.inner(), bytes).await.unwrap());
    }
    let mut running = Running::start(storage.clone(), None);
    for (id, why) in ids.iter().zip(["line 1", "larger than 4200 bytes"]) {
        let state = running.resolve(*id).await;
        assert!(matches!(&state, ChunkState::Refused(reason) if reason.contains(why)), "{state:?}");
    }
    running.resolver.want(ids.clone(), Urgency::Viewer);
    assert_eq!(running.resolver.known(&ids).await[&ids[0]], ChunkContent::Refused);
    assert_eq!(storage.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_chunk_is_fetched_once_at_a_time() {
    let storage = Flaky::new(MemoryStorage::default(), |_: Call| Fault::Hang);
    let running = Running::start(storage.clone(), None);
    let id = id_of(CSV).await;
    for _ in 0..10 {
        running.resolver.want([id, id], Urgency::Background);
        tokio::task::yield_now().await;
    }
    assert_eq!(storage.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_never_answers_is_given_up_and_asked_again() {
    let storage = MemoryStorage::default();
    let id = alive_core::backend::Storage::put(&storage, CSV.into()).await.unwrap();
    let hangs_first = Flaky::new(storage, |call: Call| match call.number {
        0 => Fault::Hang,
        1 => Fault::Unavailable,
        _ => Fault::Pass,
    });
    let mut running = Running::start(hangs_first, None);
    let state = running.resolve(id).await;
    assert!(
        matches!(&state, ChunkState::Missing { reason: Some(why), .. } if why.contains("within 20s")),
        "{state:?}"
    );
    running.next().await;
    assert_eq!(running.resolver.state(&id), ChunkState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_panics_stops_nothing() {
    let panics = Arc::new(AtomicBool::new(true));
    let storage = MemoryStorage::default();
    let id = alive_core::backend::Storage::put(&storage, CSV.into()).await.unwrap();
    let storage = Flaky::new(storage, move |_: Call| {
        assert!(!panics.swap(false, Ordering::Relaxed), "as planned");
        Fault::Pass
    });
    let mut running = Running::start(storage, None);
    assert!(matches!(running.resolve(id).await, ChunkState::Missing { attempts: 1, .. }));
    running.next().await;
    assert_eq!(running.resolver.state(&id), ChunkState::Ready);
}

#[tokio::test]
async fn what_was_read_once_needs_no_storage_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let kept = SqliteStore::open(folder.path().join("db")).unwrap();
    let storage = MemoryStorage::default();
    let id = alive_core::backend::Storage::put(&storage, CSV.into()).await.unwrap();
    assert_eq!(Running::start(storage, Some(kept.clone())).resolve(id).await, ChunkState::Ready);

    let mut later = Running::start(MemoryStorage::default(), Some(kept.clone()));
    assert_eq!(later.resolve(id).await, ChunkState::Ready);
    let idle = Resolver::new(
        SharedStorage::new(MemoryStorage::default()),
        Some(SharedChunkCache::new(kept)),
        ResolverConfig::default(),
    );
    assert!(matches!(idle.known(&[id]).await[&id], ChunkContent::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn what_failed_most_makes_room_for_what_is_new() {
    let config = ResolverConfig::default().max_wanted(2);
    let wanted = Wanted::new(&config, Instant::now());
    tokio::time::advance(Duration::from_secs(1)).await;
    let [a, b, c] = [id_of("a").await, id_of("b").await, id_of("c").await];
    wanted.add(a, Urgency::Background);
    let taken = wanted.take_due(Instant::now());
    assert_eq!(taken, Some(a));
    wanted.failed(&a, "gone".into(), Instant::now());
    wanted.add(b, Urgency::Background);
    wanted.add(c, Urgency::Viewer);
    assert_eq!(wanted.state(&a), None);
    assert_eq!(wanted.take_due(Instant::now()), Some(c), "viewers come first");
    assert_eq!(wanted.take_due(Instant::now()), Some(b));
    assert!(!wanted.add(a, Urgency::Background), "both places are being fetched");
    wanted.release_all();
    assert!(wanted.take_due(Instant::now()).is_some());
}
