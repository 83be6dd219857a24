//! AliveDB as a live cache, within one process.
#![cfg(test)]
#![cfg(feature = "testing")]

use std::{sync::Arc, time::Duration};

use alive_core::{
    Index, Network, Op, Quality, Renditions, Segment, SignedOp, StreamId, Timestamp,
    backend::{
        Block, BlockRef, Commit, HeldParts, LiveCache, LiveCacheError, LivePart, LiveParts,
        LiveSegment, SharedLiveCache, SharedStreamStore, StreamStore as _,
    },
    memory::MemoryStreamStore,
};
use alive_db::{
    database::{Changes, Database, DatabaseError},
    gun::{Delta, NodeDelta, State, Value},
    json::Text,
    live_cache::AliveDb,
    memory::MemoryDatabase,
    schema::{PartSpace, StreamSpace},
    sea::{KeyPair, sign_node},
};
use futures_util::StreamExt as _;

fn stream(link: &str) -> StreamId {
    format!("hive/alice/{link}").parse().unwrap()
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_unix_ms(since.as_millis().try_into().unwrap())
}

fn now_ms() -> f64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() * 1000.0
}

fn segment(seconds: &str) -> LiveSegment {
    let content = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    let segment = Segment::new(content, seconds.parse().unwrap());
    LiveSegment { segment, renditions: Renditions::default(), at: now() }
}

fn part(number: u64, index: u8) -> LivePart {
    let content = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    LivePart {
        number,
        index,
        after: content,
        duration: "0.5".parse().unwrap(),
        content,
        quality: Quality::Src,
        section: None,
        independent: true,
        at: now(),
    }
}

/// The next part's number and index, soon.
async fn next_part(parts: &mut LiveParts) -> (u64, u8) {
    let next = tokio::time::timeout(Duration::from_secs(20), parts.next()).await;
    let part = next.expect("a part in time").expect("the cache is there");
    (part.number, part.index)
}

fn keys() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate().unwrap())
}

#[tokio::test]
async fn keeps_every_promise_of_a_live_cache() {
    let cache = AliveDb::writer(Arc::new(MemoryDatabase::default()), keys());
    alive_core::testing::live_cache(&cache, [&stream("a"), &stream("b")], now()).await;
    alive_core::testing::live_parts(&cache, [&stream("a"), &stream("b")], now()).await;
    let shared = SharedLiveCache::new(cache);
    alive_core::testing::live_cache(&shared, [&stream("c"), &stream("d")], now()).await;
    alive_core::testing::live_parts(&shared, [&stream("c"), &stream("d")], now()).await;
}

/// A store whose chain has this configure of the stream.
async fn store_of(configure: &str) -> SharedStreamStore {
    let op = Op::from_json(configure).unwrap();
    let signed = SignedOp { account: "alice".parse().unwrap(), op };
    let block = Block {
        at: BlockRef { num: 1, id: "1".parse().unwrap() },
        previous: "0".parse().unwrap(),
        time: now(),
        ops: vec![Ok(signed)],
    };
    let blocks = vec![Index::default().apply_block(&block).unwrap().changes];
    let store = MemoryStreamStore::default();
    let step = Commit::Apply { blocks, irreversible: 0 };
    store.commit(&Network::hive(), &step).await.unwrap();
    SharedStreamStore::new(store)
}

fn configure(more: &str) -> String {
    format!(r#"{{"op":2,"link":"s"{more}}}"#)
}

async fn millis(cache: &impl LiveCache) -> Vec<u32> {
    let list = cache.list(&stream("s"), Timestamp::EPOCH).await.unwrap();
    list.iter().map(|held| held.segment.duration.as_micros() / 1000).collect()
}

#[tokio::test]
async fn a_reader_follows_the_key_that_the_chain_names() {
    let database = Arc::new(MemoryDatabase::default());
    let [alice, mallory] = [keys(), keys()];
    let store = store_of(&configure(&format!(r#","l2":"gundb","pub":"{}""#, alice.public()))).await;
    let reader = AliveDb::reader(Arc::clone(&database), store);
    let mut arriving = reader.subscribe(&stream("s")).await.unwrap();
    let forger = AliveDb::writer(Arc::clone(&database), mallory);
    forger.push(&stream("s"), segment("1.0")).await.unwrap();
    let writer = AliveDb::writer(Arc::clone(&database), alice);
    writer.push(&stream("s"), segment("2.0")).await.unwrap();
    assert_eq!(millis(&reader).await, [2000]);
    let segment = arriving.next().await.unwrap();
    assert_eq!(segment.segment.duration.as_micros(), 2_000_000);
}

#[tokio::test]
async fn a_stream_without_a_key_that_is_one_has_no_segments() {
    let database = Arc::new(MemoryDatabase::default());
    let alice = keys();
    let writer = AliveDb::writer(Arc::clone(&database), Arc::clone(&alice));
    writer.push(&stream("s"), segment("2.0")).await.unwrap();
    let off_the_curve: String = alice.public().to_string().split('.').rev().collect();
    for more in ["", r#","pub":"x""#, r#","pub":"a.b""#, &format!(r#","pub":"{off_the_curve}""#)] {
        let reader = AliveDb::reader(Arc::clone(&database), store_of(&configure(more)).await);
        assert_eq!(millis(&reader).await, [0; 0], "{more}");
        let mut arriving = reader.subscribe(&stream("s")).await.unwrap();
        writer.push(&stream("s"), segment("3.0")).await.unwrap();
        let next = tokio::time::timeout(Duration::from_millis(1), arriving.next()).await;
        assert!(next.is_err(), "{more}: whoever follows it asks no more, and hears nothing");
        assert_eq!(reader.list(&stream("other"), Timestamp::EPOCH).await.unwrap(), []);
    }
    let more = format!(r#","pub":"{}""#, alice.public());
    let reader = AliveDb::reader(Arc::clone(&database), store_of(&configure(&more)).await);
    assert_eq!(millis(&reader).await, [2000], "the documented example gives a key only");
}

#[tokio::test]
async fn a_reader_follows_the_parts_of_the_key_that_the_chain_names() {
    let database = Arc::new(MemoryDatabase::default());
    let [alice, mallory] = [keys(), keys()];
    let store = store_of(&configure(&format!(r#","l2":"gundb","pub":"{}""#, alice.public()))).await;
    let reader = AliveDb::reader(Arc::clone(&database), store);
    let writer = AliveDb::writer(Arc::clone(&database), alice);
    let forger = AliveDb::writer(Arc::clone(&database), mallory);
    forger.push_part(&stream("s"), part(9, 9)).await.unwrap();
    writer.push_part(&stream("s"), part(4, 0)).await.unwrap();
    let mut parts = reader.subscribe_parts(&stream("s")).await.unwrap();
    forger.push_part(&stream("s"), part(9, 8)).await.unwrap();
    writer.push_part(&stream("s"), part(4, 1)).await.unwrap();
    assert_eq!(next_part(&mut parts).await, (4, 0));
    assert_eq!(next_part(&mut parts).await, (4, 1));
    let unknown = reader.subscribe_parts(&stream("other")).await.unwrap();
    let refused = reader.push_part(&stream("s"), part(4, 2)).await;
    assert!(matches!(refused, Err(LiveCacheError::Refused { .. })), "{refused:?}");
    drop(unknown);
}

/// Whatever else stands in the node, in whatever number: a reader holds what its limits say, and hears what is good.
#[tokio::test]
async fn a_hostile_streamer_fills_nobody() {
    let database = Arc::new(MemoryDatabase::default());
    let alice = keys();
    let cache = AliveDb::writer(Arc::clone(&database), Arc::clone(&alice));
    let space = PartSpace::new(alice.public(), &stream("s"));
    let texts = (0..600).map(|n| (format!("{n}/x"), Value::from("1,2,3")));
    let others = [Value::Null, Value::Bool(true), Value::Link("x".into()), Value::from(",,,,,,,")];
    let others = others.into_iter().zip(0..).map(|(value, n)| (format!("0/{n}/src"), value));
    let entries: Vec<_> = texts.chain(others).collect();
    let entries = entries.iter().map(|(key, value)| (key.as_str(), value.clone()));
    let state = database.next_state();
    let node = sign_node(&alice, space.soul().clone(), entries, state).unwrap();
    database.put(Delta { nodes: vec![node] }).await.unwrap();
    // All places of one segment, in every rendition: more than anybody holds.
    for quality in Quality::ALL {
        for index in 0..=255 {
            let part = LivePart { quality, ..part(7, index) };
            cache.push_part(&stream("s"), part).await.unwrap();
        }
    }
    let mut parts = cache.subscribe_parts(&stream("s")).await.unwrap();
    let mut told = 1;
    let first = parts.next().await.unwrap();
    assert_ne!((first.quality, first.index), (Quality::Src, 0), "the oldest are left out");
    while tokio::time::timeout(Duration::from_millis(200), parts.next()).await.is_ok() {
        told += 1;
    }
    assert_eq!(told, HeldParts::MAX);
    cache.push_part(&stream("s"), part(8, 0)).await.unwrap();
    assert_eq!(next_part(&mut parts).await, (8, 0));
}

#[tokio::test]
async fn parts_expire_after_two_minutes_and_segments_are_as_without_them() {
    let database = Arc::new(MemoryDatabase::default());
    let cache = AliveDb::writer(Arc::clone(&database), keys());
    cache.push(&stream("s"), segment("1.0")).await.unwrap();
    let mut segments = cache.subscribe(&stream("s")).await.unwrap();
    cache.push_part(&stream("s"), part(1, 0)).await.unwrap();
    let later = |ahead: f64| cache.clone().with_clock(move || now_ms() + ahead);
    let mut parts = later(110_000.0).subscribe_parts(&stream("s")).await.unwrap();
    assert_eq!(next_part(&mut parts).await, (1, 0));
    let mut expired = later(120_000.0).subscribe_parts(&stream("s")).await.unwrap();
    let mut early = later(-10_000.0).subscribe_parts(&stream("s")).await.unwrap();
    for parts in [&mut expired, &mut early] {
        let next = tokio::time::timeout(Duration::from_millis(200), parts.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
    assert_eq!(millis(&cache).await, [1000]);
    cache.push(&stream("s"), segment("2.0")).await.unwrap();
    assert_eq!(segments.next().await.unwrap().segment.duration.as_micros(), 2_000_000);
}

#[tokio::test]
async fn a_reader_does_not_push() {
    let store = SharedStreamStore::new(MemoryStreamStore::default());
    let reader = AliveDb::reader(Arc::new(MemoryDatabase::default()), store);
    let pushed = reader.push(&stream("s"), segment("1.0")).await;
    assert!(matches!(pushed, Err(LiveCacheError::Refused { .. })));
}

#[tokio::test]
async fn segments_expire_after_ten_minutes() {
    let cache = AliveDb::writer(Arc::new(MemoryDatabase::default()), keys());
    cache.push(&stream("s"), segment("1.0")).await.unwrap();
    assert_eq!(millis(&cache).await, [1000]);
    let later = |ahead: f64| cache.clone().with_clock(move || now_ms() + ahead);
    assert_eq!(millis(&later(590_000.0)).await, [1000]);
    assert_eq!(millis(&later(600_000.0)).await, [0; 0]);
    assert_eq!(millis(&later(-10_000.0)).await, [0; 0], "what is from the future is not there yet");
}

/// The original sends the list before the segment.
#[tokio::test]
async fn a_segment_may_arrive_after_its_link() {
    let database = Arc::new(MemoryDatabase::default());
    let alice = keys();
    let cache = AliveDb::writer(Arc::clone(&database), Arc::clone(&alice));
    let mut arriving = cache.subscribe(&stream("s")).await.unwrap();
    let space = StreamSpace::new(alice.public(), &stream("s"));
    let live = segment("3.0");
    let state = State::new(now_ms() - 50.0).unwrap();
    let delta = space.push(&alice, &(&live).into(), [5; 24], state).unwrap();
    let (item, links) = delta.nodes.split_first().unwrap();
    database.put(Delta { nodes: links.to_vec() }).await.unwrap();
    let mut parts = item.entries.chunks(1);
    let part = |entries: &[_]| {
        let node = NodeDelta { soul: item.soul.clone(), entries: entries.to_vec() };
        Delta { nodes: vec![node] }
    };
    assert_eq!(millis(&cache).await, [0; 0], "a link alone is no segment");
    database.put(part(parts.next().unwrap())).await.unwrap();
    assert_eq!(millis(&cache).await, [0; 0], "nor is half of one");
    let next = arriving.next();
    let rest = async {
        for entries in parts {
            database.put(part(entries)).await.unwrap();
        }
    };
    let (got, ()) = tokio::join!(next, rest);
    assert_eq!(got.unwrap().segment, live.segment);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_leads_nowhere_holds_nobody_up_for_long() {
    let database = Arc::new(MemoryDatabase::default());
    let alice = keys();
    let cache = AliveDb::writer(Arc::clone(&database), Arc::clone(&alice));
    let mut arriving = cache.subscribe(&stream("s")).await.unwrap();
    let list = StreamSpace::new(alice.public(), &stream("s")).list_soul().clone();
    let nowhere = Value::Link(format!("~{}/nowhere", alice.public()).into());
    let state = State::new(now_ms() - 50.0).unwrap();
    let node = sign_node(&alice, list, [("k", nowhere)], state).unwrap();
    database.put(Delta { nodes: vec![node] }).await.unwrap();
    cache.push(&stream("s"), segment("4.0")).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(arriving.next().await.unwrap().segment.duration.as_micros(), 4_000_000);
    assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(millis(&cache).await, [4000]);
}

/// A database that is not there.
#[derive(Debug)]
struct Gone;

impl Database for Gone {
    async fn node(&self, _: &Text) -> Result<Option<NodeDelta>, DatabaseError> {
        Err(DatabaseError::Unavailable("closed".into()))
    }

    async fn put(&self, _: Delta) -> Result<(), DatabaseError> {
        Err(DatabaseError::Unavailable("closed".into()))
    }

    async fn watch(&self, _: &Text) -> Result<Changes, DatabaseError> {
        Err(DatabaseError::Unavailable("closed".into()))
    }

    fn next_state(&self) -> State {
        State::new(5.0).unwrap()
    }
}

#[tokio::test]
async fn a_database_that_is_gone_may_come_back() {
    let cache = AliveDb::writer(Arc::new(Gone), keys());
    let error = cache.push(&stream("s"), segment("1.0")).await.unwrap_err();
    assert!(error.is_transient());
    assert!(cache.list(&stream("s"), Timestamp::EPOCH).await.unwrap_err().is_transient());
    assert!(cache.subscribe(&stream("s")).await.err().unwrap().is_transient());
    assert!(cache.push_part(&stream("s"), part(1, 0)).await.unwrap_err().is_transient());
    assert!(cache.subscribe_parts(&stream("s")).await.err().unwrap().is_transient());
}

/// A relay, and a peer that dials it.
#[cfg(all(feature = "client", feature = "relay"))]
mod over_the_wire {
    use alive_db::{
        gun::{Anyone, Peer, PeerConfig, PutError, Query, Relay, RelayLimits},
        sea::UserSpace,
    };

    use super::*;

    fn peer() -> Peer {
        Peer::start(PeerConfig::default(), UserSpace::default()).unwrap()
    }

    async fn relay(peer: &Peer) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Relay::start(peer, listener, RelayLimits::default()).unwrap().url()
    }

    async fn dial(peer: &Peer, url: &str) {
        peer.dial(url).await.unwrap();
        let connected = async {
            while peer.holdings().links == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), connected).await.unwrap();
    }

    #[tokio::test]
    async fn keeps_every_promise_in_one_peer() {
        let cache = AliveDb::writer(Arc::new(peer()), keys());
        alive_core::testing::live_cache(&cache, [&stream("a"), &stream("b")], now()).await;
        alive_core::testing::live_parts(&cache, [&stream("a"), &stream("b")], now()).await;
    }

    #[tokio::test]
    async fn keeps_every_promise_through_a_relay() {
        let (node, streamer) = (peer(), peer());
        dial(&streamer, &relay(&node).await).await;
        let cache = AliveDb::writer(Arc::new(streamer), keys());
        alive_core::testing::live_cache(&cache, [&stream("a"), &stream("b")], now()).await;
        alive_core::testing::live_parts(&cache, [&stream("a"), &stream("b")], now()).await;
    }

    /// From segment stored to seen by a node, without polling.
    #[tokio::test]
    async fn a_node_sees_at_once_what_a_streamer_pushes() {
        let (relaying, streamer, watcher) = (peer(), peer(), peer());
        let url = relay(&relaying).await;
        dial(&streamer, &url).await;
        dial(&watcher, &url).await;
        let alice = keys();
        let configured = configure(&format!(r#","pub":"{}""#, alice.public()));
        let node = AliveDb::reader(Arc::new(watcher), store_of(&configured).await);
        let cache = AliveDb::writer(Arc::new(streamer), Arc::clone(&alice));
        cache.push(&stream("s"), segment("1.0")).await.unwrap();
        assert_eq!(millis(&node).await, [1000], "a late joiner reads what was there");
        let mut arriving = node.subscribe(&stream("s")).await.unwrap();
        for n in 2..12_u32 {
            let (id, live) = (stream("s"), segment(&format!("{n}.0")));
            let (pushed, got) = tokio::join!(cache.push(&id, live), arriving.next());
            pushed.unwrap();
            assert_eq!(got.unwrap().segment.duration.as_micros(), n * 1_000_000);
        }
        let items = node.items(alice.public(), &stream("s"), 0.0).await.unwrap();
        assert_eq!(items.len(), 11);
        assert_eq!(millis(&node).await, [1000], "each content once, as it was pushed first");
    }

    /// From part stored to seen by a node; what was there when it came is there, too.
    #[tokio::test]
    async fn a_node_sees_the_parts_that_a_streamer_pushes() {
        let (relaying, streamer, watcher) = (peer(), peer(), peer());
        let url = relay(&relaying).await;
        dial(&streamer, &url).await;
        let alice = keys();
        let configured = configure(&format!(r#","pub":"{}""#, alice.public()));
        let cache = AliveDb::writer(Arc::new(streamer), Arc::clone(&alice));
        for (number, index) in [(1, 0), (1, 1), (2, 0)] {
            cache.push_part(&stream("s"), part(number, index)).await.unwrap();
        }
        dial(&watcher, &url).await;
        let node = AliveDb::reader(Arc::new(watcher), store_of(&configured).await);
        let mut parts = node.subscribe_parts(&stream("s")).await.unwrap();
        for want in [(1, 0), (1, 1), (2, 0)] {
            assert_eq!(next_part(&mut parts).await, want);
        }
        for number in 3..9 {
            for index in 0..3 {
                cache.push_part(&stream("s"), part(number, index)).await.unwrap();
                assert_eq!(next_part(&mut parts).await, (number, index));
            }
        }
        // In the relay there are no more than three segments of them, however many went through it.
        let soul = PartSpace::new(alice.public(), &stream("s")).soul().clone();
        let node = relaying.get(Query::node(soul)).await.unwrap();
        assert_eq!(node.entries.len(), 9);
    }

    /// A streamer whose peers are away goes on, and does not push the same again.
    #[tokio::test]
    async fn what_no_peer_takes_now_is_shared_when_one_can() {
        let (relaying, streamer) = (peer(), peer());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        streamer.dial(&format!("http://{}/gun", listener.local_addr().unwrap())).await.unwrap();
        let alice = keys();
        let cache = AliveDb::writer(Arc::new(streamer), Arc::clone(&alice));
        // Nobody answers, and the time that an answer has is over at once.
        tokio::time::pause();
        cache.push(&stream("s"), segment("2.0")).await.unwrap();
        tokio::time::resume();
        Relay::start(&relaying, listener, RelayLimits::default()).unwrap();
        let there = AliveDb::writer(Arc::new(relaying), alice);
        let arrived = async {
            while millis(&there).await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), arrived).await.unwrap();
        assert_eq!(millis(&there).await, [2000]);
    }

    /// Hole 1, over the wire: what a stranger writes does not even reach the node.
    #[tokio::test]
    async fn a_relay_takes_nothing_that_its_owner_did_not_sign() {
        let (relaying, mallory) = (peer(), Peer::start(PeerConfig::default(), Anyone).unwrap());
        dial(&mallory, &relay(&relaying).await).await;
        let alice = keys();
        let soul = format!("~{}", alice.public());
        let put = mallory.put(Delta::of(soul.as_str(), "k", "forged".into(), mallory.next_state()));
        let put = put.await;
        assert!(matches!(put, Err(PutError::RefusedThere(_))), "{put:?}");
        assert!(relaying.get(Query::node(soul)).await.is_none());
    }
}
