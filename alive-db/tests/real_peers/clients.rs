//! Our relay, GUN peers of npm as clients.

use alive_db::gun::{Delta, Query, State, Value};
use serde_json::json;

use crate::{
    node::Node,
    support::{beside, changed, client, get, put, relay},
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn two_gun_clients_talk_through_our_relay() {
    let (peer, relay) = relay().await;
    let url = relay.url();
    beside(move || {
        let (mut a, mut b) = (Node::client(&url), Node::client(&url));
        a.call("on", json!({"path": ["room", "name"]}));
        b.call("on", json!({"path": ["room", "name"]}));
        let ack = a.put(&["room", "name"], &json!("attic"));
        assert_eq!((&ack["err"], &ack["ok"]), (&json!(null), &json!({"": 1})), "{ack}");
        b.seen_until(&["room", "name"], |seen| {
            seen.as_array().unwrap().last() == Some(&json!("attic"))
        });
        b.put(&["room", "name"], &json!("cellar"));
        a.seen_until(&["room", "name"], |seen| {
            seen.as_array().unwrap().last() == Some(&json!("cellar"))
        });
        // A path of several nodes, a set, every kind of value.
        a.put(&["a", "b", "c"], &json!({"t": true, "z": null, "f": -1.5e-9, "s": "é😀\u{1}\"\\"}));
        let node =
            b.once_until(&["a", "b", "c"], |value| value["t"] == true && value["s"].is_string());
        assert_eq!(node, json!({"t": true, "z": null, "f": -1.5e-9, "s": "é😀\u{1}\"\\"}));
        b.call("map", json!({"path": ["list"]}));
        for n in 0..20 {
            a.put(&["list", &format!("item{n}")], &json!({"n": n}));
        }
        b.seen_until(&["list"], |seen| {
            let items = seen.as_object().unwrap().values();
            items.filter(|item| item["n"].is_number()).count() == 20
        });
    })
    .await;
    assert_eq!(get(&peer, "room", "name").await, Some("cellar".into()));
    let counts = peer.counts();
    assert_eq!(
        (counts.bad_frames, counts.bad_messages, counts.unadmitted),
        (0, 0, 0),
        "{counts:?}"
    );
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_late_gun_client_reads_what_is_only_in_our_store_even_long_nodes() {
    let (peer, relay) = relay().await;
    let mut delta = Delta::of("big", "k", "v".into(), peer.next_state());
    let text = "x".repeat(500);
    let entries =
        (0..100).map(|n| (format!("k{n:03}").into(), text.as_str().into(), peer.next_state()));
    delta.nodes[0].entries.extend(entries);
    peer.put(delta).await.unwrap();
    let url = relay.url();
    beside(move || {
        let mut js = Node::client(&url);
        let node = js
            .once_until(&["big"], |value| value.as_object().is_some_and(|node| node.len() == 101));
        assert_eq!(node["k099"], json!(text));
        assert_eq!(js.once(&["big", "nothing"]), json!(null));
        assert_eq!(js.once(&["nowhere"]), json!(null));
    })
    .await;
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_conflict_ends_the_same_on_all_sides() {
    let (peer, relay) = relay().await;
    let ours = client(&relay.url()).await;
    let url = relay.url();
    let mut js = beside(move || {
        let mut js = Node::client(&url);
        js.call("on", json!({"path": ["duel", "v"]}));
        js
    })
    .await;
    let mut changes = ours.subscribe("duel").await;
    // One state, two values: the higher JSON text wins, by UTF-16 units, wherever it was written.
    let state = peer.next_state();
    for (of, value) in [(&peer, "😀"), (&ours, "～")] {
        of.put(Delta::of("duel", "v", value.into(), state)).await.unwrap();
    }
    changed(&mut changes, "v", &"～".into()).await;
    js = beside(move || {
        js.seen_until(&["duel", "v"], |seen| seen.as_array().unwrap().last() == Some(&json!("～")));
        js
    })
    .await;
    assert_eq!(get(&peer, "duel", "v").await, Some("～".into()));
    // Both sides write at once, many times; afterwards all three hold one value.
    let writer = {
        let ours = ours.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                put(&ours, "duel", "w", format!("ours {n}").as_str().into()).await;
            }
        })
    };
    js = beside(move || {
        for n in 0..50 {
            js.put(&["duel", "w"], &json!(format!("theirs {n}")));
        }
        js
    })
    .await;
    writer.await.unwrap();
    let at_relay = get(&peer, "duel", "w").await.unwrap();
    let Value::Text(text) = &at_relay else { panic!("{at_relay:?}") };
    let text = text.to_string();
    changed(&mut ours.subscribe("duel").await, "w", &at_relay).await;
    beside(move || js.once_until(&["duel", "w"], |value| *value == text)).await;
    peer.stop().await;
    ours.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_gun_client_defers_what_is_from_the_future_as_we_do() {
    let (peer, relay) = relay().await;
    let url = relay.url();
    let mut js = beside(move || {
        let mut js = Node::client(&url);
        js.call("on", json!({"path": ["future", "v"]}));
        js
    })
    .await;
    let mut changes = peer.subscribe("future").await;
    let later = State::new(peer.next_state().millis() + 1_500.0).unwrap();
    peer.put(Delta::of("future", "v", "later".into(), later)).await.unwrap();
    assert!(peer.get(Query::node("future")).await.is_none());
    changed(&mut changes, "v", &"later".into()).await;
    assert!(peer.next_state() >= later, "not before its time");
    beside(move || js.seen_until(&["future", "v"], |seen| *seen == json!(["later"]))).await;
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_gun_client_comes_back_after_our_relay_was_away() {
    let (peer, relay) = relay().await;
    let address = relay.address();
    put(&peer, "room", "name", "first".into()).await;
    let url = relay.url();
    let mut js = beside(move || {
        let mut js = Node::client(&url);
        js.call("on", json!({"path": ["room"]}));
        js.seen_until(&["room"], |seen| {
            seen.as_array().unwrap().last() == Some(&json!({"name": "first"}))
        });
        js
    })
    .await;
    peer.stop().await;
    let again =
        alive_db::gun::Peer::start(alive_db::gun::PeerConfig::default(), alive_db::gun::Anyone)
            .unwrap();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    alive_db::gun::Relay::start(&again, listener, alive_db::gun::RelayLimits::default()).unwrap();
    put(&again, "room", "name", "second".into()).await;
    beside(move || {
        js.seen_until(&["room"], |seen| {
            seen.as_array().unwrap().last() == Some(&json!({"name": "second"}))
        });
    })
    .await;
    again.stop().await;
}
