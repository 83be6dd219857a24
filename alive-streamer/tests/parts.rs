//! Sessions of recorders that deliver parts: what goes to the live cache before a segment is whole, and that segments are
//! published as if there were no parts.
#![cfg(test)]

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_core::{
    ContentId,
    backend::{
        HeldParts, LiveCache as _, LivePart, SharedBroadcaster, SharedLiveCache, SharedStorage,
        Storage, StorageError,
    },
    memory::MemoryStorage,
    testing::{Call, Fault, Flaky},
};
use alive_streamer::{Backends, Progress, Session, SessionConfig, Totals, Warning};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use rstest::rstest;
use support::{
    World,
    parts::{Layout, PartRecorder},
};
use tokio::{sync::broadcast::Receiver, task::JoinHandle};
use tokio_util::sync::CancellationToken;

fn config(world: &World) -> SessionConfig {
    SessionConfig::new(world.stream(), world.recordings(), world.journal())
        .interval(Duration::from_secs(25))
        .seed(1)
}

fn backends(world: &World, storage: SharedStorage, live: SharedLiveCache) -> Backends {
    Backends::new(storage, SharedBroadcaster::new(world.broadcaster())).live(live)
}

fn storage(world: &World) -> SharedStorage {
    SharedStorage::new(world.storage.clone())
}

fn live(world: &World) -> SharedLiveCache {
    SharedLiveCache::new(world.live.clone())
}

/// A session that runs, and what it tells.
struct Running {
    events: Receiver<Progress>,
    stop: CancellationToken,
    task: JoinHandle<Totals>,
}

impl Running {
    async fn new(world: &World, config: SessionConfig, backends: Backends) -> Self {
        let session = Session::open(config, backends, Some(world.view().await)).await.unwrap();
        let (events, stop) = (session.progress(), CancellationToken::new());
        let run = session.run(stop.clone());
        Self { events, stop, task: tokio::spawn(async { run.await.unwrap() }) }
    }

    async fn plain(world: &World) -> Self {
        Self::new(world, config(world), backends(world, storage(world), live(world))).await
    }

    /// Waits until this part of this segment is on the live cache.
    async fn part(&mut self, segment: u64, part: u8) {
        let told = async {
            loop {
                match self.events.recv().await.unwrap() {
                    Progress::Part { number, index } => {
                        assert_eq!((number, index), (segment, part), "parts are told in order");
                        return;
                    }
                    event => assert!(
                        !matches!(event, Progress::Warning(Warning::Part { .. })),
                        "{event:?}"
                    ),
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(10), told).await.expect("a part in time");
    }

    /// Waits until a segment is found, and counts the parts told before that.
    async fn found(&mut self, segment: u64) -> usize {
        let mut parts = 0;
        loop {
            match self.events.recv().await.unwrap() {
                Progress::Found(found) if found.number == segment => return parts,
                Progress::Part { .. } => parts += 1,
                _ => {}
            }
        }
    }

    /// Waits until a segment is on the live cache.
    async fn cached(&mut self, segment: u64) {
        let is_it = |event: &Progress| matches!(event, Progress::Stage { number, stage: alive_core::Stage::Cached } if *number == segment);
        while !is_it(&self.events.recv().await.unwrap()) {}
    }

    async fn finished(self) -> Totals {
        tokio::time::timeout(Duration::from_mins(10), self.task).await.unwrap().unwrap()
    }

    /// Ends as `kill -9` ends a process: nothing is finished.
    async fn killed(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// What is held on the live cache now.
async fn held(world: &World) -> Vec<LivePart> {
    let mut parts = world.live.subscribe_parts(&world.stream()).await.unwrap();
    std::iter::from_fn(|| parts.next().now_or_never().flatten()).collect()
}

async fn bytes(world: &World, part: &LivePart) -> Vec<u8> {
    world.storage.get(&part.content, 1 << 20).await.unwrap().to_vec()
}

/// The segments of the chain have these bytes, and no discontinuity but those.
async fn published(world: &World, recorder: &PartRecorder, segments: &[usize], breaks: &[usize]) {
    let published = world.published().await;
    assert_eq!(published.len(), segments.len());
    for (at, (got, segment)) in published.iter().zip(segments).enumerate() {
        assert_eq!(got.bytes, recorder.segment(*segment), "segment {at}");
        assert_eq!(got.discontinuity, breaks.contains(&at), "segment {at}");
    }
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn parts_are_on_the_live_cache_before_their_segment_is_whole(
    #[values("ts-6x10s", "fmp4")] sample: &str,
    #[values(Layout::Files, Layout::Ranges)] layout: Layout,
) {
    let world = World::new();
    let mut recorder = PartRecorder::new(sample, &world.recordings(), layout, 3);
    recorder.step_segment();
    let mut session = Running::plain(&world).await;
    session.cached(0).await;
    for segment in 1..3_usize {
        for index in 0..3_u8 {
            recorder.step();
            session.part(segment as u64, index).await;
        }
        let before = world.announced().await;
        assert_eq!(before.len(), segment, "the segment itself is not there yet");
        let parts = held(&world).await;
        let parts: Vec<_> = parts.iter().filter(|part| part.number == segment as u64).collect();
        assert_eq!(parts.len(), 3);
        for (index, part) in parts.into_iter().enumerate() {
            assert_eq!(usize::from(part.index), index);
            assert_eq!(part.after, before[segment - 1].content, "it follows the last one listed");
            assert_eq!(bytes(&world, part).await, recorder.part(segment, index));
            assert_eq!((part.duration.to_string(), part.independent), ("2.5".into(), index == 0));
            let section = world.recordings().join("init.mp4");
            assert_eq!(part.section.is_some(), section.is_file());
            if let Some(id) = part.section {
                let stored = world.storage.get(&id, 1 << 20).await.unwrap();
                assert_eq!(stored, fs::read(section).unwrap());
            }
        }
        recorder.step();
    }
    let totals = session.finished().await;
    assert_eq!((totals.segments, totals.parts, totals.lost), (3, 6, 0));
    published(&world, &recorder, &[0, 1, 2], &[]).await;
    assert_eq!(world.announced().await.len(), 3);
}

/// Parts leave no trace: chain, journal and segments of the live cache are the same as without them.
#[tokio::test(start_paused = true)]
async fn nothing_but_the_live_cache_knows_of_parts() {
    let mut worlds = Vec::new();
    for parts in [true, false] {
        let world = World::new();
        let layout = Layout::Ranges;
        let mut recorder = PartRecorder::new("ts-6x10s", &world.recordings(), layout, 4);
        recorder.step_segment();
        let given = backends(&world, storage(&world), live(&world));
        // All in one push at the end, whatever the time.
        let config = config(&world).parts(parts).interval(Duration::from_mins(5));
        let mut session = Running::new(&world, config, given).await;
        session.cached(0).await;
        for segment in 1..4_u64 {
            for index in 0..3 {
                recorder.step();
                if parts {
                    session.part(segment, index).await;
                }
            }
            recorder.step();
            session.cached(segment).await;
        }
        assert_eq!(session.finished().await.parts, if parts { 9 } else { 0 });
        let journal = fs::read_to_string(world.journal()).unwrap();
        // What each line tells of; the times of files differ.
        let events = journal.lines().filter_map(|line| line.split('"').nth(3));
        let journal: Vec<_> = events.map(str::to_owned).collect();
        assert_eq!(journal.iter().filter(|event| *event == "stored").count(), 4);
        worlds.push((world.segments().await, world.announced().await, journal));
    }
    let without = worlds.pop();
    assert_eq!(worlds.pop(), without);
}

/// Storage that never answers for parts, or fails for them.
#[derive(Clone, Debug)]
struct Picky {
    inner: MemoryStorage,
    whole: Vec<usize>,
    how: How,
    /// How many parts it is asked to store now.
    asked: Arc<AtomicUsize>,
}

/// Somebody waits for an answer, as long as it lives.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Fails,
    Hangs,
    Refuses,
}

impl Storage for Picky {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let small = data.starts_with(b"#") || data.starts_with(b"Qm") || data.starts_with(b"b");
        if self.whole.contains(&data.len()) || small {
            return self.inner.put(data).await;
        }
        let source = std::io::Error::other("parts are not wanted").into();
        match self.how {
            How::Fails => Err(StorageError::Unavailable { backend: "picky", source }),
            How::Hangs => {
                self.asked.fetch_add(1, Ordering::Relaxed);
                let _waits = Waits(Arc::clone(&self.asked));
                std::future::pending().await
            }
            How::Refuses => Err(StorageError::Refused { backend: "picky", source }),
        }
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

#[rstest]
#[tokio::test(start_paused = true)]
async fn a_storage_that_does_not_take_parts_holds_up_no_segment(
    #[values(How::Fails, How::Hangs, How::Refuses)] how: How,
) {
    let world = World::new();
    let mut recorder = PartRecorder::new("ts-6x10s", &world.recordings(), Layout::Ranges, 4);
    let whole = (0..4).map(|n| recorder.segment(n).len()).collect();
    let asked = Arc::<AtomicUsize>::default();
    let picky = Picky { inner: world.storage.clone(), whole, how, asked: Arc::clone(&asked) };
    recorder.step_segment();
    let given = backends(&world, SharedStorage::new(picky), live(&world));
    let mut session = Running::new(&world, config(&world), given).await;
    session.cached(0).await;
    for segment in 1..4 {
        for _ in 0..3 {
            recorder.step();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let hangs = asked.load(Ordering::Relaxed);
        assert_eq!(hangs > 0, how == How::Hangs);
        recorder.step();
        session.cached(segment).await;
        assert_eq!(asked.load(Ordering::Relaxed), 0, "what is of no use any more is stopped");
    }
    assert_eq!(session.finished().await.parts, 0);
    assert_eq!(held(&world).await, []);
    published(&world, &recorder, &[0, 1, 2, 3], &[]).await;
}

#[rstest]
#[case(Fault::Hang)]
#[case(Fault::Refused)]
#[case(Fault::Unavailable)]
#[tokio::test(start_paused = true)]
async fn a_live_cache_that_does_not_take_parts_holds_up_no_segment(#[case] fault: Fault) {
    let world = World::new();
    let mut recorder = PartRecorder::new("ts-6x10s", &world.recordings(), Layout::Ranges, 3);
    let picky = Flaky::new(world.live.clone(), move |call: Call| {
        if call.method == "push_part" { fault } else { Fault::Pass }
    });
    recorder.step_segment();
    let given = backends(&world, storage(&world), SharedLiveCache::new(picky));
    let mut session = Running::new(&world, config(&world), given).await;
    session.cached(0).await;
    for segment in 1..3 {
        for _ in 0..3 {
            recorder.step();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        recorder.step();
        session.cached(segment).await;
    }
    let totals = session.finished().await;
    assert_eq!((totals.segments, totals.parts), (3, 0));
    published(&world, &recorder, &[0, 1, 2], &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_costs_a_part_nothing_but_time() {
    let world = World::new();
    let mut recorder = PartRecorder::new("ts-6x10s", &world.recordings(), Layout::Ranges, 3);
    let fails = AtomicU32::new(3);
    let less = move |call: Call| {
        let relaxed = Ordering::Relaxed;
        let fail = call.method == "push_part"
            && fails.fetch_update(relaxed, relaxed, |left| left.checked_sub(1)).is_ok();
        if fail { Fault::Unavailable } else { Fault::Pass }
    };
    recorder.step_segment();
    let flaky = SharedLiveCache::new(Flaky::new(world.live.clone(), less));
    let given = backends(&world, storage(&world), flaky);
    let mut session = Running::new(&world, config(&world), given).await;
    session.cached(0).await;
    recorder.step();
    recorder.step();
    let mut told = Vec::new();
    let mut warned = 0;
    while told.len() < 2 {
        match session.events.recv().await.unwrap() {
            Progress::Part { index, .. } => told.push(index),
            Progress::Warning(Warning::Part { .. }) => warned += 1,
            _ => {}
        }
    }
    told.sort_unstable();
    assert_eq!((told, warned), (vec![0, 1], 1), "both, and one warning a segment");
    let held = held(&world).await;
    let mut places: Vec<_> = held.iter().map(|part| (part.number, part.index)).collect();
    places.sort_unstable();
    assert_eq!(places, [(1, 0), (1, 1)]);
    session.killed().await;
}

/// Nobody writes parts down. The next session tells them anew, under the number and behind the segment that they had.
#[tokio::test(start_paused = true)]
async fn after_a_kill_parts_go_on_under_the_number_of_their_segment() {
    let world = World::new();
    let mut recorder = PartRecorder::new("fmp4", &world.recordings(), Layout::Ranges, 3);
    recorder.step_segment();
    let mut session = Running::plain(&world).await;
    session.cached(0).await;
    recorder.step();
    session.part(1, 0).await;
    let before = held(&world).await;
    session.killed().await;
    recorder.step();
    let mut session = Running::plain(&world).await;
    session.part(1, 0).await;
    session.part(1, 1).await;
    let after = held(&world).await;
    assert_eq!(after.len(), 2);
    assert!(after[0].says_as(&before[0]), "the same part: {:?} and {:?}", after[0], before[0]);
    assert_eq!(bytes(&world, &after[1]).await, recorder.part(1, 1));
    recorder.step();
    session.part(1, 2).await;
    recorder.step();
    recorder.step_segment();
    session.finished().await;
    published(&world, &recorder, &[0, 1, 2], &[]).await;
}

/// The first segment after a start of the recorder is behind a break, so it has no parts. The second one has.
#[tokio::test(start_paused = true)]
async fn a_recorder_that_is_started_again_has_parts_from_its_second_segment_on() {
    let world = World::new();
    let mut recorder = PartRecorder::new("ts-6x10s", &world.recordings(), Layout::Files, 3);
    recorder.step_segment();
    let keep = config(&world).keep_watching(true);
    let given = backends(&world, storage(&world), live(&world));
    let mut session = Running::new(&world, keep, given).await;
    session.cached(0).await;
    recorder.step();
    session.part(1, 0).await;
    // It dies with a part of segment 1 out, and starts from the beginning.
    recorder.again();
    for _ in 0..4 {
        recorder.step();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(session.found(1).await, 0, "behind a break there are no parts");
    session.cached(1).await;
    recorder.step();
    session.part(2, 0).await;
    let parts = held(&world).await;
    let newest = parts.last().unwrap();
    assert_eq!(newest.after, world.announced().await[1].content);
    assert_eq!(bytes(&world, newest).await, recorder.part(1, 0));
    session.stop.cancel();
    session.finished().await;
    published(&world, &recorder, &[0, 0], &[1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_window_that_moves_changes_nothing() {
    let world = World::new();
    let recorder = PartRecorder::new("ts-6x10s", &world.recordings(), Layout::Ranges, 6);
    let mut recorder = recorder.window(2);
    recorder.step_segment();
    let mut session = Running::plain(&world).await;
    session.cached(0).await;
    for segment in 1..6_u64 {
        for index in 0..3 {
            recorder.step();
            session.part(segment, index).await;
        }
        recorder.step();
        session.cached(segment).await;
    }
    assert_eq!(session.finished().await.parts, 15);
    let numbers: Vec<_> = held(&world).await.iter().map(|part| part.number).collect();
    assert_eq!(numbers, [3, 3, 3, 4, 4, 4, 5, 5, 5], "{} segments are held", HeldParts::SEGMENTS);
    published(&world, &recorder, &[0, 1, 2, 3, 4, 5], &[]).await;
}

/// A list that names other bytes at a place than before: the new ones count.
#[tokio::test(start_paused = true)]
async fn a_part_that_is_listed_anew_replaces_the_one_before() {
    let world = World::new();
    let mut recorder = PartRecorder::new("ts-6x10s", &world.recordings(), Layout::Ranges, 3);
    recorder.step_segment();
    let mut session = Running::plain(&world).await;
    session.cached(0).await;
    recorder.step();
    session.part(1, 0).await;
    let list = world.recordings().join("stream.m3u8");
    let text = fs::read_to_string(&list).unwrap();
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(last.starts_with("#EXT-X-PART:"), "{last}");
    let other = "#EXT-X-PART:DURATION=1.25,URI=\"stream1.ts\",BYTERANGE=\"376@0\"\n";
    fs::write(&list, format!("{before}\n{other}")).unwrap();
    session.part(1, 0).await;
    let parts = held(&world).await;
    assert_eq!(parts.len(), 1);
    assert_eq!(bytes(&world, &parts[0]).await, &recorder.segment(1)[..376]);
    assert!(!parts[0].independent && parts[0].duration.to_string() == "1.25");
    session.killed().await;
}

/// Parts whose clock is not where the last segment ends: the segment will be behind a discontinuity, so they are left.
#[tokio::test(start_paused = true)]
async fn parts_behind_a_break_that_the_recorder_does_not_mark_are_left() {
    let world = World::new();
    let mut recorder = PartRecorder::new("resumed", &world.recordings(), Layout::Ranges, 6);
    recorder.step_segment();
    let mut session = Running::plain(&world).await;
    session.cached(0).await;
    let mut told = Vec::new();
    for segment in 1..6_u64 {
        for _ in 0..3 {
            recorder.step();
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        recorder.step();
        told.push(session.found(segment).await);
    }
    session.finished().await;
    let breaks: Vec<_> = world.published().await.iter().map(|one| one.discontinuity).collect();
    assert_eq!(breaks, [false, false, false, true, false, false]);
    assert_eq!(told, [3, 3, 0, 3, 3]);
}
