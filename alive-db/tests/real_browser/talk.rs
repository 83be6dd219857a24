//! What a browser and ours say to each other.

use std::{sync::Arc, time::Duration};

use alive_core::{
    Segment, StreamId, Timestamp,
    backend::{LiveCache as _, LiveSegment},
};
use alive_db::{
    gun::{Delta, Peer, PeerConfig, Query, Relay, RelayLimits, Subscription, Value as GunValue},
    live_cache::AliveDb,
    rest::{RestApi, RestConfig, Who},
    sea::{KeyPair, PublicKey, UserSpace},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::browser::Browser;

const DEADLINE: Duration = Duration::from_mins(1);
const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";
const LIST: &str = "hive/alice/s-1<?600";

struct Ours {
    peer: Arc<Peer>,
    api: RestApi<Peer>,
    url: String,
}

async fn ours() -> Ours {
    let peer = Arc::new(Peer::start(PeerConfig::default(), UserSpace::default()).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
    let api = RestApi::new(Arc::clone(&peer), RestConfig::default());
    Ours { peer, api, url: relay.url() }
}

fn stream() -> StreamId {
    "hive/alice/s-1".parse().unwrap()
}

async fn auth(page: &mut Browser, alias: &str, password: &str, change: Option<&str>) -> Value {
    page.call("auth", json!({ "alias": alias, "password": password, "change": change })).await
}

/// The lengths of all segments that are here.
async fn lens(cache: &AliveDb<Peer>, public: &PublicKey) -> Vec<f64> {
    let items = cache.items(public, &stream(), 0.0).await.unwrap();
    let lens = items.iter().map(|item| match item.value("len") {
        Some(GunValue::Number(len)) => len.get(),
        other => panic!("{other:?}"),
    });
    lens.collect()
}

async fn changed(changes: &mut Subscription, key: &str, to: &GunValue) {
    let change = async {
        while let Some(change) = changes.next().await {
            if change.entries.iter().any(|(name, value, _)| *name == key && value == to) {
                return;
            }
        }
        panic!("the peer has stopped");
    };
    timeout(DEADLINE, change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn users_made_on_one_side_log_in_on_the_other_and_change_their_password() {
    let ours = ours().await;
    let mut page = Browser::open(&ours.url).await;
    // Made in the browser.
    let made = page.call("create", json!({ "alias": "bob", "password": "correct horse 😀" })).await;
    assert_eq!(made["err"], Value::Null);
    // Its answer does not say that the relay has it; the next one does.
    assert_eq!(auth(&mut page, "bob", "correct horse 😀", None).await["err"], Value::Null);
    let ack = page.call("push", json!({ "list": "x", "value": { "y": 1 } })).await;
    assert_eq!(ack["err"], Value::Null, "{ack}");
    assert!(ours.api.login("bob", "wrong horse").await.is_err());
    ours.api.login("bob", "correct horse 😀").await.unwrap();
    let public = ours.api.user().unwrap().to_string();
    assert_eq!(made["pub"], json!(public));
    let change = ours.api.change_password(Who::Key(&public), "correct horse 😀", "battery staple");
    change.await.unwrap();
    page.call("leave", json!({})).await;
    // Made here, by another browser, which knows nothing but what the relay tells it.
    let alice = ours.api.create_user("alice", "correct horse").await.unwrap();
    let mut late = Browser::open(&ours.url).await;
    let wrong = auth(&mut late, "bob", "correct horse 😀", None).await;
    assert_eq!(wrong["err"], "Wrong user or password.");
    assert_eq!(auth(&mut late, "bob", "battery staple", None).await["err"], Value::Null);
    late.call("leave", json!({})).await;
    let there = auth(&mut late, "alice", "correct horse", None).await;
    assert_eq!((&there["err"], &there["pair"]["pub"]), (&Value::Null, &json!(alice.to_string())));
    late.call("leave", json!({})).await;
    let change = auth(&mut late, "alice", "correct horse", Some("battery staple")).await;
    assert_eq!(change["err"], Value::Null, "{change}");
    assert!(ours.api.login("alice", "correct horse").await.is_err());
    ours.api.login("alice", "battery staple").await.unwrap();
    let counts = ours.peer.counts();
    assert_eq!((counts.bad_frames, counts.bad_messages, counts.unadmitted), (0, 0, 0));
    ours.peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn segments_pushed_by_either_are_seen_by_the_other_at_once_and_by_who_comes_late() {
    let ours = ours().await;
    let public = ours.api.create_user("alice", "correct horse").await.unwrap();
    let mut page = Browser::open(&ours.url).await;
    let there = auth(&mut page, "alice", "correct horse", None).await;
    assert_eq!(there["err"], Value::Null, "{there}");
    page.call("follow", json!({ "pub": public.to_string(), "list": LIST })).await;
    // An hour of a stream at 10 s a segment, at once: half by the browser, half by us, in turns.
    let text = |name: &str| there["pair"][name].as_str().unwrap().to_owned();
    let keys = KeyPair::from_texts(&text("priv"), &text("epriv")).unwrap();
    let writer = AliveDb::writer(Arc::clone(&ours.peer), Arc::new(keys));
    for n in 1..=180_u32 {
        let value = json!({ "src": CID, "len": f64::from(n) / 8.0 + 0.05, "720": CID });
        let ack = page.call("push", json!({ "list": LIST, "value": value })).await;
        assert_eq!(ack["err"], Value::Null, "{ack}");
        let segment =
            Segment::new(CID.parse().unwrap(), (f64::from(n) / 8.0).to_string().parse().unwrap());
        let renditions = alive_core::Renditions::default();
        let live = LiveSegment { segment, renditions, at: Timestamp::EPOCH };
        writer.push(&stream(), live).await.unwrap();
    }
    let mut all: Vec<_> =
        (1..=180_u32).flat_map(|n| [f64::from(n) / 8.0, f64::from(n) / 8.0 + 0.05]).collect();
    all.sort_by(f64::total_cmp);
    let anyone = AliveDb::anonymous(Arc::clone(&ours.peer));
    let here = async {
        while lens(&anyone, &public).await.len() < all.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, here).await.unwrap();
    let mut read = lens(&anyone, &public).await;
    read.sort_by(f64::total_cmp);
    assert_eq!(read, all, "none is lost and none is there twice");
    let is_all = |seen: &Value| {
        let items = seen.as_object().unwrap().values();
        let mut lens: Vec<_> = items.filter_map(|item| item["len"].as_f64()).collect();
        lens.sort_by(f64::total_cmp);
        lens == all
    };
    page.seen_until(LIST, is_all).await;
    let mut late = Browser::open(&ours.url).await;
    late.call("follow", json!({ "pub": public.to_string(), "list": LIST })).await;
    late.seen_until(LIST, is_all).await;
    let counts = ours.peer.counts();
    assert_eq!((counts.bad_frames, counts.bad_messages, counts.unadmitted), (0, 0, 0));
    ours.peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_conflict_of_two_browsers_and_us_ends_the_same_everywhere() {
    let ours = ours().await;
    let (mut a, mut b) = tokio::join!(Browser::open(&ours.url), Browser::open(&ours.url));
    a.call("on", json!({ "path": ["duel", "v"] })).await;
    b.call("on", json!({ "path": ["duel", "v"] })).await;
    for n in 0..30 {
        let of = |name: &str| json!({ "path": ["duel", "v"], "value": format!("{name} {n}") });
        let mine = Delta::of("duel", "v", format!("c {n}").as_str().into(), ours.peer.next_state());
        let (of_a, of_b, of_us) =
            tokio::join!(a.call("put", of("a")), b.call("put", of("b")), ours.peer.put(mine));
        assert_eq!((&of_a["err"], &of_b["err"]), (&Value::Null, &Value::Null));
        of_us.unwrap();
    }
    let node = ours.peer.get(Query::key("duel", "v")).await.unwrap();
    let GunValue::Text(last) = &node.entries[0].1 else { panic!("{node:?}") };
    let is_last = |seen: &Value| seen["v"] == json!(last.to_string());
    a.seen_until("duel/v", is_last).await;
    b.seen_until("duel/v", is_last).await;
    // And a change that comes from a browser is told to us as it comes.
    let mut changes = ours.peer.subscribe("room").await;
    b.call("put", json!({ "path": ["room", "name"], "value": "é😀\u{1}\"\\" })).await;
    changed(&mut changes, "name", &"é😀\u{1}\"\\".into()).await;
    ours.peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn what_a_browser_signs_is_verified_here_in_its_order_of_keys_and_the_reverse() {
    use alive_db::{
        json::Json,
        sea::{Signed, sign},
    };
    let ours = ours().await;
    let mut page = Browser::open(&ours.url).await;
    let keys = KeyPair::generate().unwrap();
    let (own, exchange) = (keys.private_text(), keys.exchange_private_text());
    let pair = json!({
        "pub": keys.public().to_string(), "priv": *own,
        "epub": keys.exchange().to_string(), "epriv": *exchange,
    });
    // Node.js with GUN's writer of JSON would sort the keys.
    for json in [r#"{"z":1,"a":[1.5,{"y":null,"x":"é😀"}],"10":true,"9":1e21}"#, "5", "\"text\""]
    {
        let job = json!({ "json": json, "pair": pair });
        let signed = page.call("sign", job).await["value"].take();
        let data = Json::parse(json).unwrap();
        let theirs = Signed::parse(signed.as_str().unwrap()).unwrap();
        assert_eq!(theirs.verify(keys.public()).unwrap(), data, "{json}");
        let signed = sign(&data, &keys).unwrap().to_text();
        let job = json!({ "signed": signed, "pub": keys.public().to_string() });
        let read = page.call("verify", job).await["value"].take();
        assert_eq!(read, serde_json::from_str::<Value>(json).unwrap(), "{json}");
    }
    ours.peer.stop().await;
}
