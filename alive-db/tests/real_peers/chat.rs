//! Chats between an unmodified GUN peer and ours, under the original's paths.

use std::sync::Arc;

use alive_chat::{
    AccessRequest, ChatEvent, ChatEvents, ChatTransport as _, Entry, Family, Item, Message, Moment,
    Networks, Rule,
};
use alive_core::{Network, StreamId};
use alive_db::{
    chat::ChatDb,
    gun::{Peer, PeerConfig, Relay, RelayLimits},
    sea::{KeyPair, UserSpace},
};
use alive_hive::{GraphenePlain, is_account_name};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    node::Node,
    support::{DEADLINE, beside},
};

const LIST: [&str; 4] = ["alivedb_chat", "hive", "techcoderx", "live-1"];

fn networks() -> Networks {
    Networks::new([Family::new(Network::hive(), GraphenePlain, is_account_name)]).unwrap()
}

fn stream() -> StreamId {
    "hive/techcoderx/live-1".parse().unwrap()
}

fn message(text: &str) -> Message {
    let json =
        json!({ "u": "alice", "n": "hive", "s": "1f", "t": 1_795_219_380_221_u64, "m": text });
    Message::from_json(&networks(), &json.to_string()).unwrap()
}

fn start() -> Peer {
    Peer::start(PeerConfig::default(), UserSpace::default()).unwrap()
}

/// The next message or request.
async fn next(events: &mut ChatEvents) -> Item {
    match timeout(DEADLINE, events.next()).await.unwrap().unwrap() {
        ChatEvent::Came(delivery) => delivery.item,
        other => panic!("{other:?}"),
    }
}

/// What a peer sees that walks the path as the original's page does, until it has seen this many messages.
fn read_list(js: &mut Node, count: usize) -> Vec<String> {
    let seen = js.seen_until(&LIST, |seen| {
        let whole = |item: &&Value| item["m"].is_string() && item["s"].is_string();
        seen.as_object().is_some_and(|items| items.values().filter(whole).count() >= count)
    });
    let mut texts: Vec<_> = seen
        .as_object()
        .unwrap()
        .values()
        .filter_map(|item| {
            let (m, keys) = (item["m"].as_str()?, item.as_object()?);
            let known = keys.keys().all(|key| ["u", "n", "s", "t", "m"].contains(&&**key));
            assert!(known, "{item}");
            Some(m.to_owned())
        })
        .collect();
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_gun_peer_and_ours_chat_through_our_relay() {
    let streamer = Arc::new(KeyPair::generate().unwrap());
    let hub = start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&hub, listener, RelayLimits::default()).unwrap();
    let chat = ChatDb::new(Arc::new(hub.clone()), networks())
        .with_user(Arc::clone(&streamer))
        .with_streamer(streamer.public().clone());
    let mut events = chat.subscribe(&stream()).await.unwrap();
    chat.publish(&stream(), Item::Message(message("é 1 \"x\""))).await.unwrap();
    assert_eq!(next(&mut events).await, Item::Message(message("é 1 \"x\"")));

    let url = relay.url();
    let js = beside(move || {
        let mut js = Node::client(&url);
        js.call("map", json!({ "path": LIST }));
        assert_eq!(read_list(&mut js, 1), ["é 1 \"x\""], "a late joiner in JavaScript");
        // As the original's page sends: a set at the nested path.
        let sent = json!({ "u": "alice", "n": "hive", "s": "1f", "t": 1_795_219_380_221_u64, "m": "from gun" });
        let ack = js.call("set", json!({ "path": LIST, "value": sent }));
        assert_eq!(ack["err"], json!(null), "{ack}");
        js
    })
    .await;
    assert_eq!(next(&mut events).await, Item::Message(message("from gun")));

    // A request in one put of six nodes, as gun writes it; then the approval that the page waits for.
    let mut js = beside(move || {
        let mut js = js;
        let mut path = vec!["alivedb_chat_request"];
        path.extend(["hive", "techcoderx", "live-1", "hive", "alice"]);
        js.put(&path, &json!({ "s": "1f", "t": 1_795_219_380_221_u64 }));
        js
    })
    .await;
    let alice = networks().account("hive", "alice").unwrap();
    let json = r#"{"s":"1f","t":1795219380221}"#;
    let request = AccessRequest::from_json(&networks(), alice.clone(), json).unwrap();
    assert_eq!(next(&mut events).await, Item::Request(request.clone()));
    let author = streamer.public().to_string().parse().unwrap();
    let approval =
        Entry { author, rule: Rule::Participant(alice), value: 1.0, state: Moment::EPOCH };
    chat.publish(&stream(), Item::Entry(approval)).await.unwrap();
    chat.publish(&stream(), Item::Request(request)).await.unwrap();
    chat.publish(&stream(), Item::Message(message("late"))).await.unwrap();
    let public = streamer.public().to_string();
    beside(move || {
        // `Gun.user(PUB).get(…)`, whose values gun verifies by itself.
        let node = format!("~{public}");
        let path = [&*node, "hive/techcoderx/live-1/participants", "hive", "alice"];
        js.once_until(&path, |value| *value == json!(1));
        let path = ["alivedb_chat_request", "hive", "techcoderx", "live-1", "hive", "alice"];
        js.once_until(&path, |value| value["s"] == "1f");
        assert_eq!(read_list(&mut js, 3), ["from gun", "late", "é 1 \"x\""]);
    })
    .await;
    let counts = hub.counts();
    assert_eq!(
        (counts.bad_frames, counts.bad_messages, counts.unadmitted),
        (0, 0, 0),
        "{counts:?}"
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn our_peers_chat_through_a_gun_relay() {
    let relay = beside(Node::relay).await;
    let (one, two) = (start(), start());
    for peer in [&one, &two] {
        peer.dial(&relay.url()).await.unwrap();
    }
    let chat = |peer: &Peer| ChatDb::new(Arc::new(peer.clone()), networks());
    let mut events = chat(&two).subscribe(&stream()).await.unwrap();
    chat(&one).publish(&stream(), Item::Message(message("hello"))).await.unwrap();
    assert_eq!(next(&mut events).await, Item::Message(message("hello")));
    let late = start();
    late.dial(&relay.url()).await.unwrap();
    let read = async {
        loop {
            let (mut texts, mut from) = (Vec::new(), None);
            loop {
                let page = chat(&late).history(&stream(), from, 100).await.unwrap();
                texts.extend(page.items.into_iter().map(|held| held.item));
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            if texts == [Item::Message(message("hello"))] {
                return;
            }
        }
    };
    timeout(DEADLINE, read).await.unwrap();
    for peer in [one, two, late] {
        peer.stop().await;
    }
}
