//! Users, what they may write, and the segments of streamers, over our relay.

use std::sync::Arc;

use alive_core::{
    Segment, StreamId,
    backend::{LiveCache as _, LiveSegment},
};
use alive_db::{
    gun::{Peer, PeerConfig, Relay, RelayLimits, Value as GunValue},
    live_cache::AliveDb,
    rest::{RestApi, RestConfig, Who},
    sea::{KeyPair, UserSpace},
};
use serde_json::{Value, json};

use crate::{data::pair, sea::Sea};

const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";
const LIST: &str = "hive/alice/s-1<?600";

struct Ours {
    peer: Arc<Peer>,
    api: RestApi<Peer>,
    url: String,
}

async fn ours(rules: UserSpace) -> Ours {
    let peer = Arc::new(Peer::start(PeerConfig::default(), rules).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
    let api = RestApi::new(Arc::clone(&peer), RestConfig::default());
    Ours { peer, api, url: relay.url() }
}

/// Lets a blocking conversation with Node.js run beside ours.
async fn beside<T: Send + 'static>(talk: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(talk).await.unwrap()
}

fn stream() -> StreamId {
    "hive/alice/s-1".parse().unwrap()
}

fn auth(sea: &mut Sea, alias: &str, password: &str, change: Option<&str>) -> Value {
    let job = json!({ "alias": alias, "password": password, "change": change });
    let answer = sea.call("auth", job);
    if change.is_some() {
        // With a new password it answers with the acknowledgement.
        assert_eq!(answer["err"], Value::Null, "{answer}");
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_user_made_here_logs_in_there_and_changes_the_password() {
    let ours = ours(UserSpace::default()).await;
    let public = ours.api.create_user("alice", "correct horse 😀").await.unwrap();
    let (url, expected) = (ours.url.clone(), public.to_string());
    beside(move || {
        let mut sea = Sea::connected(&url);
        let wrong = auth(&mut sea, "alice", "wrong horse", None);
        assert_eq!(wrong["err"], "Wrong user or password.");
        let right = auth(&mut sea, "alice", "correct horse 😀", None);
        assert_eq!((&right["err"], &right["pair"]["pub"]), (&Value::Null, &json!(expected)));
        sea.call("leave", json!({}));
        auth(&mut sea, "alice", "correct horse 😀", Some("battery staple"));
    })
    .await;
    assert!(ours.api.login("alice", "correct horse 😀").await.is_err());
    ours.api.login("alice", "battery staple").await.unwrap();
    assert_eq!(ours.api.user(), Some(public));
    ours.peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_user_made_there_logs_in_here_and_changes_the_password() {
    let ours = ours(UserSpace::default()).await;
    let url = ours.url.clone();
    let public = beside(move || {
        let mut sea = Sea::connected(&url);
        let made = sea.call("create", json!({ "alias": "bob", "password": "correct horse" }));
        assert_eq!(made["err"], Value::Null);
        // Its answer does not say that the relay has it; the next one does.
        sea.call("push", json!({ "list": "x", "value": { "y": 1 } }));
        made["pub"].as_str().unwrap().to_owned()
    })
    .await;
    assert!(ours.api.login("bob", "wrong horse").await.is_err());
    ours.api.login("bob", "correct horse").await.unwrap();
    assert_eq!(ours.api.user().unwrap().to_string(), public);
    let change = ours.api.change_password(Who::Key(&public), "correct horse", "battery staple");
    change.await.unwrap();
    let url = ours.url.clone();
    beside(move || {
        let mut sea = Sea::connected(&url);
        assert_eq!(auth(&mut sea, "bob", "correct horse", None)["err"], "Wrong user or password.");
        assert_eq!(auth(&mut sea, "bob", "battery staple", None)["err"], Value::Null);
    })
    .await;
    ours.peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn segments_pushed_by_either_are_read_by_the_other() {
    let ours = ours(UserSpace::default()).await;
    let public = ours.api.create_user("alice", "correct horse").await.unwrap();
    let url = ours.url.clone();
    let mut sea = beside(move || {
        let mut sea = Sea::connected(&url);
        assert_eq!(auth(&mut sea, "alice", "correct horse", None)["err"], Value::Null);
        for len in [1.5, 2.5] {
            let value = json!({ "src": CID, "len": len, "720": CID });
            let ack = sea.call("push", json!({ "list": LIST, "value": value }));
            assert_eq!(ack["err"], Value::Null, "{ack}");
        }
        sea
    })
    .await;
    let anyone = AliveDb::anonymous(Arc::clone(&ours.peer));
    let read = async || {
        let items = anyone.items(&public, &stream(), 0.0).await.unwrap();
        let lens = items.iter().map(|item| match item.value("len") {
            Some(GunValue::Number(len)) => len.get(),
            other => panic!("{other:?}"),
        });
        lens.collect::<Vec<_>>()
    };
    // Its two messages, list and item, come one after the other.
    let both = async {
        while read().await.len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), both).await.unwrap();
    assert_eq!(read().await, [1.5, 2.5]);
    let keys = beside(move || {
        let pair = auth(&mut sea, "alice", "correct horse", None)["pair"].take();
        (pair, sea)
    })
    .await;
    let (theirs, mut sea) = keys;
    let text = |name: &str| theirs[name].as_str().unwrap().to_owned();
    let keys = KeyPair::from_texts(&text("priv"), &text("epriv")).unwrap();
    let writer = AliveDb::writer(Arc::clone(&ours.peer), Arc::new(keys));
    let segment = Segment::new(CID.parse().unwrap(), "3.5".parse().unwrap());
    let at = alive_core::Timestamp::EPOCH;
    let live = LiveSegment { segment, renditions: alive_core::Renditions::default(), at };
    writer.push(&stream(), live).await.unwrap();
    let (public, url) = (public.to_string(), ours.url.clone());
    beside(move || {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
        // One that was there from the beginning, and one that joins late.
        for sea in [&mut sea, &mut Sea::connected(&url)] {
            loop {
                let read = sea.value("list", json!({ "pub": public, "list": LIST }));
                let items = read.as_array().unwrap();
                let mut lens: Vec<_> =
                    items.iter().filter_map(|item| item["len"].as_f64()).collect();
                lens.sort_by(f64::total_cmp);
                if lens == [1.5, 2.5, 3.5] {
                    assert!(items.iter().all(|item| item["src"] == CID), "{read}");
                    break;
                }
                assert!(std::time::Instant::now() < deadline, "still {read}");
            }
        }
    })
    .await;
    ours.peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn certificates_of_the_original_count_where_they_are_switched_on() {
    let alice = KeyPair::generate().unwrap();
    for (rules, taken) in
        [(UserSpace::default(), false), (UserSpace::default().with_certificates(), true)]
    {
        let ours = ours(rules).await;
        let (url, alice) = (ours.url.clone(), pair(&alice));
        beside(move || {
            let mut sea = Sea::connected(&url);
            let made = sea.call("create", json!({ "alias": "bob", "password": "correct horse" }));
            auth(&mut sea, "bob", "correct horse", None);
            let policy = json!({ "*": "inbox" });
            let job = json!({ "who": made["pub"], "policy": policy, "pair": alice });
            let certificate = sea.text("certify", job);
            let put = |sea: &mut Sea, path: &str| {
                let soul = [format!("~{}", alice["pub"].as_str().unwrap()), path.to_owned()];
                let job = json!({ "soul": soul, "value": "hi", "certificate": certificate });
                sea.call("put", job)
            };
            let ack = put(&mut sea, "inbox");
            assert_eq!(ack["err"].is_null(), taken, "{ack}");
        })
        .await;
        ours.peer.stop().await;
    }
}
