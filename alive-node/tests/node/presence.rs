//! Segments that the node's own storage lacks or has damaged: what lists and their health say, and how both heal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_core::{
    Chunk, ContentId, Segment,
    backend::{SharedStorage, Storage as _, StorageError},
    memory::MemoryStorage as ChunkStorage,
};
use alive_node::{ContentReader, NodeConfig, PlaylistConfig, PresenceConfig, SharedContentReader};
use alive_playlist::MediaPlaylist;
use alive_storage::{DiskStorage, MemoryStorage, cid};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Answer, Bench, config, configure, damage, end, push, push_segment};

const LIST: &str = "/stream/alice/s";
const HEALTH: &str = "/stream/alice/s/health";

/// Segments that are not found are looked for again soon, those that were found almost never.
fn presence() -> PresenceConfig {
    PresenceConfig::default()
        .waits(Duration::from_millis(5), Duration::from_millis(20))
        .recheck(Duration::from_hours(1))
}

/// The first answer waits until all was looked for, however slow the machine is.
fn patient(presence: PresenceConfig) -> NodeConfig {
    let playlists = PlaylistConfig::default()
        .patience(Duration::from_hours(1))
        .first_wait(Duration::from_mins(10));
    config().playlists(playlists).presence(presence)
}

async fn over(reader: impl ContentReader + 'static, config: NodeConfig) -> Bench {
    let chunks = ChunkStorage::default();
    let reader = SharedContentReader::new(reader);
    Bench::over(config, chunks.clone(), SharedStorage::new(chunks), |b| b.content(reader)).await
}

/// Bytes that differ everywhere, and from those of another number.
fn bytes(number: u32, len: usize) -> Bytes {
    (0_u32..).flat_map(|n| [n.to_le_bytes(), number.to_le_bytes()].concat()).take(len).collect()
}

fn segment(content: ContentId) -> Segment {
    Segment::new(content, "10".parse().unwrap())
}

/// The id of content that nobody has.
async fn id_of(content: Bytes) -> ContentId {
    MemoryStorage::default().put(content).await.unwrap()
}

/// An archive of these segments in one chunk.
async fn archive(bench: &mut Bench, ids: &[ContentId]) {
    let segments: Vec<_> = ids.iter().map(|id| segment(*id)).collect();
    let chunk = bench.chunk(&segments).await;
    bench.block(&[configure(), push(0, chunk), end()]).await;
}

/// The numbers of the gaps of a list, which our strict reader takes.
fn gaps(list: &Answer) -> Vec<usize> {
    let read = MediaPlaylist::read(&list.body).unwrap();
    let gaps = read.segments().iter().enumerate().filter(|(_, segment)| segment.gap);
    let gaps: Vec<_> = gaps.map(|(at, _)| at).collect();
    assert_eq!(read.header().version, Some(if gaps.is_empty() { 3 } else { 8 }));
    assert_eq!(read.header().media_sequence, 0);
    gaps
}

fn without_gaps(list: &Answer) -> String {
    list.text().replace("#EXT-X-GAP\n", "").replace("#EXT-X-VERSION:8\n", "#EXT-X-VERSION:3\n")
}

fn missing(health: &Answer) -> Value {
    health.json()["missing"].clone()
}

#[tokio::test]
async fn a_segment_that_was_removed_is_a_gap_until_it_is_put_again() {
    let storage = MemoryStorage::default();
    let mut bench = over(storage.clone(), patient(presence())).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(storage.put(bytes(n, 300_000)).await.unwrap());
    }
    archive(&mut bench, &ids).await;
    let whole = bench.get(LIST).await;
    assert_eq!((gaps(&whole), whole.header("x-alive-health")), (vec![], "complete"));
    assert_eq!(whole.header("cache-control"), "public, max-age=3600");
    let health = bench.get(HEALTH).await.json();
    assert_eq!((&health["complete"], &health["unchecked_count"]), (&json!(true), &json!(0)));

    assert!(storage.store().remove(cid::of_content(&ids[2]).unwrap().hash()));
    assert_eq!(bench.get(&format!("/ipfs/{}", ids[2])).await.status, 404);
    let lacking = bench.list_until(LIST, |list| !gaps(list).is_empty()).await;
    assert_eq!(gaps(&lacking), [2]);
    assert_eq!(without_gaps(&lacking), whole.text(), "everything else stays in place");
    assert_eq!(lacking.header("x-alive-health"), "missing=1");
    assert_eq!(lacking.header("cache-control"), "public, max-age=12", "it may be repaired soon");
    let etag = whole.header("etag");
    assert_eq!(bench.ask("GET", LIST, &[("If-None-Match", etag)]).await.status, 200);
    let health = bench.get(HEALTH).await;
    let want = json!([{"number": 2, "content": ids[2], "state": "missing"}]);
    assert_eq!(missing(&health), want);
    let health = health.json();
    assert_eq!((&health["complete"], &health["missing_count"]), (&json!(false), &json!(1)));

    storage.put(bytes(2, 300_000)).await.unwrap();
    let healed = bench.list_until(LIST, |list| gaps(list).is_empty()).await;
    assert_eq!((healed.text(), healed.header("etag")), (whole.text(), etag));
    assert_eq!(healed.header("x-alive-health"), "complete");
    assert_eq!(bench.get(HEALTH).await.json()["complete"], true);
    bench.node.shutdown().await;
}

/// A push of one segment that needs a section.
fn push_with(seq: u32, id: ContentId, section: &ContentId) -> String {
    let push = push_segment(seq, &segment(id));
    format!(r#"{},"map":"{section}"}}"#, push.strip_suffix('}').unwrap())
}

/// The numbers of the gaps of a list that has fragments in it.
fn gaps_of_fragments(list: &Answer) -> Vec<usize> {
    let read = MediaPlaylist::read(&list.body).unwrap();
    let gaps = read.segments().iter().enumerate().filter(|(_, segment)| segment.gap);
    let gaps: Vec<_> = gaps.map(|(at, _)| at).collect();
    assert_eq!(read.header().version, Some(if gaps.is_empty() { 7 } else { 8 }));
    gaps
}

#[tokio::test]
async fn segments_whose_section_is_not_here_are_gaps_until_it_is() {
    let storage = MemoryStorage::default();
    let mut bench = over(storage.clone(), patient(presence())).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(storage.put(bytes(n, 3000)).await.unwrap());
    }
    let here = storage.put(bytes(10, 800)).await.unwrap();
    let lost = id_of(bytes(11, 800)).await;
    let pushes = [&here, &lost, &lost, &here];
    let mut payloads = vec![configure()];
    payloads.extend((0..).zip(pushes).map(|(n, map)| push_with(n, ids[n as usize], map)));
    bench.block(&payloads).await;

    // A live list never changes; its health tells.
    bench.list_until(LIST, |list| list.header("x-alive-health") == "missing=2").await;
    let live = bench.get(LIST).await;
    assert_eq!((gaps_of_fragments(&live), live.listed().len()), (vec![], 4));
    let health = bench.get(HEALTH).await.json();
    let want = json!([{"content": lost, "state": "missing", "first": 1, "segments": 2}]);
    assert_eq!(
        (&health["missing_sections"], &health["missing_sections_count"]),
        (&want, &json!(1))
    );
    let rest = (&health["missing_count"], &health["complete"], &health["unchecked_count"]);
    assert_eq!(rest, (&json!(0), &json!(false), &json!(0)));

    bench.block(&[end()]).await;
    let archive = bench.list_until(LIST, Answer::ended).await;
    assert_eq!(gaps_of_fragments(&archive), [1, 2]);
    assert_eq!(archive.header("cache-control"), "public, max-age=12");

    storage.put(bytes(11, 800)).await.unwrap();
    let healed = bench.list_until(LIST, |list| gaps_of_fragments(list).is_empty()).await;
    assert_eq!(healed.header("x-alive-health"), "complete");
    let health = bench.get(HEALTH).await.json();
    assert_eq!((&health["missing_sections"], &health["complete"]), (&json!([]), &json!(true)));

    // The other one goes missing, and somebody who asks for it is the first who notices.
    assert!(storage.store().remove(cid::of_content(&here).unwrap().hash()));
    assert_eq!(bench.get(&format!("/ipfs/{here}?filename=init.mp4")).await.status, 404);
    let lacking = bench.list_until(LIST, |list| !gaps_of_fragments(list).is_empty()).await;
    assert_eq!(
        (gaps_of_fragments(&lacking), lacking.header("x-alive-health")),
        (vec![0, 3], "missing=2")
    );
    bench.node.shutdown().await;
}

#[tokio::test]
async fn the_first_answer_of_an_archive_knows_what_was_never_here() {
    let folder = tempfile::tempdir().unwrap();
    let storage = DiskStorage::open_dir(folder.path()).unwrap();
    let mut bench = over(storage.clone(), patient(presence())).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(id_of(bytes(n, 20_000)).await);
    }
    storage.put(bytes(1, 20_000)).await.unwrap();
    archive(&mut bench, &ids).await;
    let list = bench.get(LIST).await;
    assert_eq!(gaps(&list), [0, 2]);
    assert_eq!(list.header("x-alive-health"), "missing=2");
    storage.put(bytes(2, 20_000)).await.unwrap();
    bench.list_until(LIST, |list| gaps(list) == [0]).await;
    storage.put(bytes(0, 20_000)).await.unwrap();
    bench.list_until(LIST, |list| gaps(list).is_empty()).await;
}

/// A node over a store on disk with an archive of three segments, of which the second is the largest.
async fn on_disk(
    len: usize,
    presence: PresenceConfig,
) -> (Bench, DiskStorage, Vec<ContentId>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let storage = DiskStorage::open_dir(folder.path()).unwrap();
    let mut bench = over(storage.clone(), patient(presence)).await;
    let mut ids = Vec::new();
    for (n, len) in [(0, 20_000), (1, len), (2, 20_000)] {
        ids.push(storage.put(bytes(n, len)).await.unwrap());
    }
    archive(&mut bench, &ids).await;
    assert!(gaps(&bench.get(LIST).await).is_empty());
    (bench, storage, ids, folder)
}

#[tokio::test]
async fn a_corrupt_segment_is_noticed_by_itself_and_healed_by_a_put() {
    let presence = presence().recheck(Duration::from_millis(20));
    let (bench, storage, ids, folder) = on_disk(100_000, presence).await;
    damage(&folder.path().join("packs"));
    let lacking = bench.list_until(LIST, |list| !gaps(list).is_empty()).await;
    assert_eq!((gaps(&lacking), lacking.header("x-alive-health")), (vec![1], "missing=1"));
    let want = json!([{"number": 1, "content": ids[1], "state": "corrupt"}]);
    assert_eq!(missing(&bench.get(HEALTH).await), want);
    let path = format!("/ipfs/{}", ids[1]);
    assert_eq!(bench.get(&path).await.status, 500);
    assert!(!storage.has(&ids[1]).await.unwrap());

    storage.put(bytes(1, 100_000)).await.unwrap();
    bench.list_until(LIST, |list| gaps(list).is_empty()).await;
    let served = bench.get(&path).await;
    assert_eq!((served.status, served.body == bytes(1, 100_000)), (200, true));
}

#[tokio::test]
async fn damage_deep_in_a_segment_is_told_by_whoever_comes_upon_it() {
    let (bench, storage, ids, folder) = on_disk(900_000, presence()).await;
    damage(&folder.path().join("packs"));
    let path = format!("/ipfs/{}", ids[1]);
    assert!(bench.get(&path).await.body.len() < 900_000, "it is broken off");
    let lacking = bench.list_until(LIST, |list| !gaps(list).is_empty()).await;
    assert_eq!(gaps(&lacking), [1]);
    assert_eq!(missing(&bench.get(HEALTH).await)[0]["state"], "corrupt");
    storage.put(bytes(1, 900_000)).await.unwrap();
    bench.list_until(LIST, |list| gaps(list).is_empty()).await;
    assert_eq!(bench.get(&path).await.body, bytes(1, 900_000));
}

#[tokio::test]
async fn a_live_list_stays_as_it_is_and_its_health_tells() {
    let storage = MemoryStorage::default();
    let mut bench = over(storage.clone(), patient(presence())).await;
    let (here, absent) = (storage.put(bytes(0, 100)).await.unwrap(), id_of(bytes(1, 100)).await);
    bench
        .block(&[configure(), push_segment(0, &segment(here)), push_segment(1, &segment(absent))])
        .await;
    let before = bench.list_until(LIST, |list| list.header("x-alive-health") == "missing=1").await;
    assert!(gaps(&before).is_empty());
    assert_eq!(before.listed(), [here.to_string(), absent.to_string()]);
    let health = bench.get(HEALTH).await;
    let want = json!([{"number": 1, "content": absent, "state": "missing"}]);
    assert_eq!((missing(&health), &health.json()["complete"]), (want, &json!(false)));

    let next = storage.put(bytes(2, 100)).await.unwrap();
    bench.block(&[push_segment(2, &segment(next))]).await;
    let grown = bench.list_until(LIST, |list| list.listed().len() == 3).await;
    assert!(grown.text().starts_with(before.text()), "it only grows at its end");
    // One that was found is lost: also that changes nothing.
    assert!(storage.store().remove(cid::of_content(&here).unwrap().hash()));
    assert_eq!(bench.get(&format!("/ipfs/{here}")).await.status, 404);
    let lost = bench.list_until(LIST, |list| list.header("x-alive-health") == "missing=2").await;
    assert_eq!((lost.text(), lost.header("etag")), (grown.text(), grown.header("etag")));

    bench.block(&[end()]).await;
    let ended = bench.list_until(LIST, Answer::ended).await;
    assert_eq!(gaps(&ended), [0, 1], "the archive is made afresh");
    storage.put(bytes(0, 100)).await.unwrap();
    storage.put(bytes(1, 100)).await.unwrap();
    bench.list_until(LIST, |list| gaps(list).is_empty()).await;
}

#[tokio::test]
async fn another_gateway_may_have_what_this_node_lacks() {
    let mut bench = over(MemoryStorage::default(), patient(presence())).await;
    archive(&mut bench, &[id_of(bytes(0, 100)).await]).await;
    assert_eq!(gaps(&bench.get(LIST).await), [0]);
    let other = bench.get(&format!("{LIST}?gw=https://gw.example")).await;
    assert_eq!((gaps(&other), other.header("x-alive-health")), (vec![], "missing=1"));
}

#[tokio::test]
async fn a_node_that_is_told_not_to_look_says_that_it_does_not() {
    let never = PresenceConfig::default().enabled(false);
    let mut bench = over(MemoryStorage::default(), patient(never)).await;
    let absent = id_of(bytes(0, 100)).await;
    archive(&mut bench, &[absent]).await;
    assert_eq!(bench.get(&format!("/ipfs/{absent}")).await.status, 404);
    assert!(gaps(&bench.get(LIST).await).is_empty());
    let health = bench.get(HEALTH).await.json();
    assert_eq!((&health["unchecked_count"], &health["missing"]), (&json!(null), &json!([])));
}

/// A storage behind a gate, which counts who is inside.
#[derive(Clone, Debug)]
struct Gated {
    storage: MemoryStorage,
    gate: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl ContentReader for Gated {
    async fn size(&self, id: &ContentId) -> Result<u64, StorageError> {
        self.storage.size(id).await
    }

    async fn read(&self, id: &ContentId, offset: u64, len: usize) -> Result<Bytes, StorageError> {
        self.storage.read(id, offset, len).await
    }

    async fn check(&self, id: &ContentId) -> Result<(), StorageError> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        let _permit = self.gate.acquire().await.unwrap();
        let checked = self.storage.check(id).await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
        checked
    }
}

#[tokio::test]
async fn a_day_of_segments_is_looked_for_a_few_at_a_time_and_nobody_waits() {
    const SEGMENTS: u32 = 8640;
    const CHECKS: usize = 3;
    let reader = Gated {
        storage: MemoryStorage::default(),
        gate: Arc::new(Semaphore::new(0)),
        inside: Arc::default(),
        most: Arc::default(),
    };
    let playlists = PlaylistConfig::default().first_wait(Duration::from_millis(1));
    let presence = presence().checks(CHECKS).check_timeout(Duration::from_hours(1));
    let config = config().playlists(playlists).presence(presence);
    let mut bench = over(reader.clone(), config).await;
    let lacks = |n: u32| n % 1000 == 7;
    let mut segments = Vec::new();
    for n in 0..SEGMENTS {
        let content = bytes(n, 8);
        let id = if lacks(n) {
            id_of(content).await
        } else {
            reader.storage.put(content).await.unwrap()
        };
        segments.push(segment(id));
    }
    let mut ops = vec![configure()];
    for (seq, segments) in (0..).zip(segments.chunks(60)) {
        assert!(Chunk::encode(segments).is_ok());
        ops.push(push(seq, bench.chunk(segments).await));
    }
    ops.push(end());
    bench.block(&ops).await;

    let list = bench.list_until(LIST, |list| list.listed().len() == segments.len()).await;
    assert!(gaps(&list).is_empty());
    assert_eq!(list.header("cache-control"), "public, max-age=12", "it is not looked through");
    let served = bench.get(&format!("/ipfs/{}", segments[0].content)).await;
    assert_eq!((served.status, served.body), (200, bytes(0, 8).to_vec()));
    let health = bench.get(HEALTH).await.json();
    assert_eq!((&health["unchecked_count"], &health["complete"]), (&json!(SEGMENTS), &json!(true)));

    reader.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    let looked = |health: &Answer| health.json()["unchecked_count"] == 0;
    let health = bench.list_until(HEALTH, looked).await.json();
    let want: Vec<_> = (0..SEGMENTS).filter(|n| lacks(*n)).collect();
    assert_eq!(health["missing_count"], want.len());
    let numbers = health["missing"].as_array().unwrap().iter().map(|s| s["number"].clone());
    assert_eq!(Value::Array(numbers.collect()), json!(want));
    let list = bench.list_until(LIST, |list| gaps(list).len() == want.len()).await;
    assert_eq!(json!(gaps(&list)), json!(want));
    assert_eq!(reader.most.load(Ordering::SeqCst), CHECKS);
}

/// A backend with a fault.
#[derive(Debug)]
struct Faulty;

impl ContentReader for Faulty {
    async fn size(&self, _: &ContentId) -> Result<u64, StorageError> {
        panic!("the backend's fault")
    }

    async fn read(&self, _: &ContentId, _: u64, _: usize) -> Result<Bytes, StorageError> {
        panic!("the backend's fault")
    }
}

#[tokio::test]
async fn a_backend_that_panics_says_nothing_about_segments() {
    let mut bench = over(Faulty, patient(presence())).await;
    archive(&mut bench, &[id_of(bytes(0, 100)).await]).await;
    let list = bench.get(LIST).await;
    assert_eq!((gaps(&list), list.header("x-alive-health")), (vec![], "complete"));
    let health = bench.get(HEALTH).await.json();
    assert_eq!((&health["unchecked_count"], &health["missing_count"]), (&json!(1), &json!(0)));
}
