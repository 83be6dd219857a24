//! An hour of a stream, at a clock that all sides set forward: nothing is lost or doubled, and what is older than ten minutes
//! goes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use alive_core::{
    Segment, StreamId, Timestamp,
    backend::{LiveCache as _, LiveSegment},
};
use alive_db::{
    gun::{Peer, PeerConfig, Query, Relay, RelayLimits, Value as GunValue, WallClock},
    live_cache::AliveDb,
    rest::{RestApi, RestConfig},
    sea::{KeyPair, PublicKey, UserSpace},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::{node::Node, sea::Sea};

const DEADLINE: Duration = Duration::from_mins(1);
const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";
const LIST: &str = "hive/alice/s-1<?600";
const MINUTES: u32 = 60;
/// Segments of ten seconds.
const A_MINUTE: u32 = 6;
/// As many as count at once.
const A_WINDOW: usize = 60;

/// The length of a segment, which tells it from the others, in seconds.
fn len(n: u32) -> f64 {
    f64::from(n) / 8.0
}

/// The clock of this side: so many minutes ahead of the system's.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU32>);

impl Ahead {
    fn millis(&self) -> f64 {
        WallClock::default().millis() + f64::from(self.0.load(Ordering::SeqCst)) * 60_000.0
    }

    fn clock(&self) -> WallClock {
        let this = self.clone();
        WallClock::new(move || this.millis())
    }

    /// A minute has passed; gives by how much those in Node.js have to be ahead.
    fn step(&self) -> Value {
        let minutes = f64::from(self.0.fetch_add(1, Ordering::SeqCst) + 1);
        json!({ "ahead": minutes * 60_000.0 })
    }

    fn peer(&self) -> Arc<Peer> {
        let config = PeerConfig::default().clock(self.clock());
        Arc::new(Peer::start(config, UserSpace::default()).unwrap())
    }

    fn reader(&self, peer: &Arc<Peer>) -> AliveDb<Peer> {
        let this = self.clone();
        AliveDb::anonymous(Arc::clone(peer)).with_clock(move || this.millis())
    }
}

fn stream() -> StreamId {
    "hive/alice/s-1".parse().unwrap()
}

/// Lets a blocking conversation with Node.js run beside ours.
async fn beside<T: Send + 'static>(talk: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(talk).await.unwrap()
}

/// The numbers of the segments that count now, in order.
async fn numbers(reader: &AliveDb<Peer>, public: &PublicKey) -> Vec<u32> {
    let items = reader.items(public, &stream(), 0.0).await.unwrap();
    let number = |value: Option<&GunValue>| match value {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        Some(GunValue::Number(len)) => (len.get() * 8.0) as u32,
        other => panic!("{other:?}"),
    };
    items.iter().map(|item| number(item.value("len"))).collect()
}

/// Waits until the segments up to `last` are there: all of the last ten minutes, each once, in order, and no older one.
async fn until_seen(peer: &Peer, reader: &AliveDb<Peer>, public: &PublicKey, last: u32) {
    let seen = async {
        loop {
            let read = numbers(reader, public).await;
            let first = read.first().copied().unwrap_or(u32::MAX);
            let is_whole = read == (first..=last).collect::<Vec<_>>();
            // The clock goes on while we look, and a busy machine takes its time: the oldest may have expired meanwhile.
            let enough = usize::try_from(last).unwrap().min(A_WINDOW - 6 * A_MINUTE as usize);
            if is_whole && read.len() >= enough {
                assert!(read.len() <= A_WINDOW, "{read:?}");
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let is_late = timeout(DEADLINE, seen).await.is_err();
    if is_late {
        let there = numbers(reader, public).await;
        panic!(
            "up to {last}, there is {there:?}; {:?} {:?}",
            peer.counts(),
            unlinked(peer, public).await
        );
    }
}

/// Links of the list whose segments are not whole, with what there is of them.
async fn unlinked(peer: &Peer, public: &PublicKey) -> Vec<(String, Option<Vec<String>>)> {
    let list = peer.get(Query::node(format!("~{public}/{LIST}").as_str())).await;
    let mut bad = vec![(format!("{} links", list.as_ref().map_or(0, |l| l.entries.len())), None)];
    for (key, _, _) in list.into_iter().flat_map(|list| list.entries) {
        let item = peer.get(Query::node(key.clone())).await;
        let keys: Option<Vec<_>> =
            item.map(|item| item.entries.iter().map(|(key, ..)| key.to_string()).collect());
        if keys.as_ref().is_none_or(|keys| keys.len() < 2) {
            bad.push((key.to_string(), keys));
        }
    }
    bad
}

/// What a list in Node.js has; there old segments are not left out.
fn lens(sea: &mut Sea, public: &str) -> Vec<f64> {
    let read = sea.value("list", json!({ "pub": public, "list": LIST }));
    let items = read.as_array().unwrap().iter();
    let mut lens: Vec<_> = items.filter_map(|item| item["len"].as_f64()).collect();
    lens.sort_by(f64::total_cmp);
    lens
}

fn until_there(sea: &mut Sea, public: &str, wanted: &[u32]) {
    let wanted: Vec<_> = wanted.iter().copied().map(len).collect();
    let deadline = std::time::Instant::now() + DEADLINE;
    loop {
        let read = lens(sea, public);
        if read == wanted {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "still {read:?}");
    }
}

/// Pushes a minute of the stream by a user in Node.js.
fn push_there(sea: &mut Sea, minute: u32) {
    let of = |n: u32| json!({ "src": CID, "len": len(minute * A_MINUTE + n) });
    let values: Vec<_> = (1..=A_MINUTE).map(of).collect();
    let answer = sea.call("pushes", json!({ "list": LIST, "values": values }));
    let errs = answer["errs"].as_array().unwrap();
    assert!(errs.iter().all(Value::is_null), "{answer}");
}

/// Pushes a minute of the stream by ours.
async fn push_here(writer: &AliveDb<Peer>, minute: u32) {
    for n in 1..=A_MINUTE {
        let seconds = len(minute * A_MINUTE + n).to_string();
        let segment = Segment::new(CID.parse().unwrap(), seconds.parse().unwrap());
        let renditions = alive_core::Renditions::default();
        let live = LiveSegment { segment, renditions, at: Timestamp::EPOCH };
        timeout(DEADLINE, writer.push(&stream(), live)).await.unwrap().unwrap();
    }
}

/// What a peer keeps of an hour is ten minutes.
async fn until_pruned(peer: &Peer) {
    let deadline = Instant::now() + DEADLINE;
    // An item each, the list, the user and his name.
    while peer.holdings().nodes > A_WINDOW + 8 {
        assert!(Instant::now() < deadline, "still {:?}", peer.holdings());
        sleep(Duration::from_millis(100)).await;
    }
    assert!(peer.counts().expired > 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn an_hour_by_a_gun_peer_through_our_relay() {
    let ahead = Ahead::default();
    let peer = ahead.peer();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Relay::start(&peer, listener, RelayLimits::default()).unwrap().url();
    let public = RestApi::new(Arc::clone(&peer), RestConfig::default())
        .create_user("alice", "correct horse")
        .await
        .unwrap();
    let reader = ahead.reader(&peer);
    let (dialled, text) = (url.clone(), public.to_string());
    let mut both = beside(move || {
        let (mut writer, mut follower) = (Sea::connected(&dialled), Sea::connected(&dialled));
        let job = json!({ "alias": "alice", "password": "correct horse" });
        assert_eq!(writer.call("auth", job)["err"], Value::Null);
        assert!(lens(&mut follower, &text).is_empty());
        (writer, follower)
    })
    .await;
    for minute in 0..MINUTES {
        let step = ahead.step();
        both = beside(move || {
            both.0.call("clock", step.clone());
            both.1.call("clock", step);
            push_there(&mut both.0, minute);
            both
        })
        .await;
        until_seen(&peer, &reader, &public, (minute + 1) * A_MINUTE).await;
    }
    let text = public.to_string();
    let (all, mut follower) = ((1..=MINUTES * A_MINUTE).collect::<Vec<_>>(), both.1);
    beside(move || until_there(&mut follower, &text, &all)).await;
    until_pruned(&peer).await;
    // Who comes late gets what is left, which is what counts.
    let (text, step) = (public.to_string(), json!({ "ahead": f64::from(MINUTES) * 60_000.0 }));
    let late = beside(move || {
        let mut late = Sea::connected(&url);
        late.call("clock", step);
        let deadline = std::time::Instant::now() + DEADLINE;
        loop {
            let read = lens(&mut late, &text);
            if read.last() == Some(&len(MINUTES * A_MINUTE)) {
                return read;
            }
            assert!(std::time::Instant::now() < deadline, "still {read:?}");
        }
    })
    .await;
    assert!(late.len() <= A_WINDOW, "{late:?}");
    let counts = peer.counts();
    assert_eq!((counts.bad_frames, counts.bad_messages, counts.unadmitted), (0, 0, 0));
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn an_hour_by_ours_through_a_relay_of_npm_and_half_of_it_by_a_gun_peer() {
    let ahead = Ahead::default();
    let (mut relay, url) = beside(|| {
        let relay = Node::relay();
        let url = relay.url();
        (relay, url)
    })
    .await;
    let (streamer, watcher) = (ahead.peer(), ahead.peer());
    streamer.dial(&url).await.unwrap();
    watcher.dial(&url).await.unwrap();
    let api = RestApi::new(Arc::clone(&streamer), RestConfig::default());
    let public = api.create_user("alice", "correct horse").await.unwrap();
    let (dialled, text) = (url.clone(), public.to_string());
    let (pair, mut both) = beside(move || {
        let (mut writer, mut follower) = (Sea::connected(&dialled), Sea::connected(&dialled));
        let job = json!({ "alias": "alice", "password": "correct horse" });
        let answer = writer.call("auth", job);
        assert_eq!(answer["err"], Value::Null);
        assert!(lens(&mut follower, &text).is_empty());
        (answer["pair"].clone(), (writer, follower))
    })
    .await;
    let text = |name: &str| pair[name].as_str().unwrap().to_owned();
    let keys = KeyPair::from_texts(&text("priv"), &text("epriv")).unwrap();
    let writer = AliveDb::writer(Arc::clone(&streamer), Arc::new(keys));
    let reader = ahead.reader(&watcher);
    for minute in 0..MINUTES {
        let step = ahead.step();
        let is_ours = minute % 2 == 0;
        (relay, both) = beside(move || {
            relay.call("clock", step.clone());
            both.0.call("clock", step.clone());
            both.1.call("clock", step);
            if !is_ours {
                push_there(&mut both.0, minute);
            }
            (relay, both)
        })
        .await;
        if is_ours {
            push_here(&writer, minute).await;
        }
        until_seen(&watcher, &reader, &public, (minute + 1) * A_MINUTE).await;
    }
    let text = public.to_string();
    let (all, mut follower) = ((1..=MINUTES * A_MINUTE).collect::<Vec<_>>(), both.1);
    beside(move || until_there(&mut follower, &text, &all)).await;
    until_pruned(&watcher).await;
    // The relay keeps all of it for ever; a late joiner of ours takes what counts, and counts what it left out.
    let late = ahead.peer();
    late.dial(&url).await.unwrap();
    until_seen(&late, &ahead.reader(&late), &public, MINUTES * A_MINUTE).await;
    assert!(late.counts().expired >= 250, "{:?}", late.counts());
    for peer in [streamer, watcher, late] {
        assert_eq!((peer.counts().bad_frames, peer.counts().unadmitted), (0, 0));
        peer.stop().await;
    }
    drop(relay);
}
