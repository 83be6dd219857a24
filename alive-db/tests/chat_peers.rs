//! Who has brought what in a chat: limits of one connection's address are not those of the others.
#![cfg(test)]
// Other systems have one loopback address only.
#![cfg(all(feature = "chat", feature = "client", feature = "relay", target_os = "linux"))]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alive_chat::{
    Arrival, ChatEvent, ChatEvents, ChatTransport, Delivery, Entry, Family, Item, Moment, Networks,
    Peer as ChatPeer, Rate, Refusal, Room, RoomConfig, Rule, StreamChat,
};
use alive_core::{LiveKey, Network, StreamId};
use alive_db::{
    chat::ChatDb,
    gun::{Peer, PeerConfig, Relay, RelayLimits},
    sea::UserSpace,
};
use alive_hive::{GraphenePlain, is_account_name};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

const DEADLINE: Duration = Duration::from_secs(30);
const LIST: &str = "alivedb_chat/hive/techcoderx/live-1";

fn networks() -> Networks {
    Networks::new([Family::new(Network::hive(), GraphenePlain, is_account_name)]).unwrap()
}

fn stream() -> StreamId {
    "hive/techcoderx/live-1".parse().unwrap()
}

fn millis() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

fn now() -> Moment {
    Moment::from_ms(millis()).unwrap()
}

async fn relay() -> (Peer, Relay) {
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
    (peer, relay)
}

/// A connection from this address.
async fn connect(relay: &Relay, from: [u8; 4]) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::from(from), 0))).unwrap();
    let stream = socket.connect(relay.address()).await.unwrap();
    client_async(format!("ws://{}/gun", relay.address()), stream).await.unwrap().0
}

/// Puts a message of this account, and the link to it.
async fn say(socket: &mut WebSocketStream<TcpStream>, user: &str, n: usize) {
    let (soul, state) = (format!("{user}{n}"), millis().floor());
    let item = serde_json::json!({ "u": user, "n": "hive", "s": "1f", "t": state, "m": soul });
    let states: serde_json::Map<_, _> =
        item.as_object().unwrap().keys().map(|key| (key.clone(), state.into())).collect();
    let mut node = item.as_object().unwrap().clone();
    node.insert("_".into(), serde_json::json!({ "#": soul, ">": states }));
    let list =
        serde_json::json!({ "_": { "#": LIST, ">": { &*soul: state } }, &*soul: { "#": soul } });
    let put = serde_json::json!({ "#": format!("{soul}put"), "put": { &*soul: node, LIST: list } });
    socket.feed(Message::text(put.to_string())).await.unwrap();
}

async fn next(events: &mut ChatEvents) -> Delivery {
    match timeout(DEADLINE, events.next()).await.unwrap().unwrap() {
        ChatEvent::Came(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

fn user(delivery: &Delivery) -> &str {
    match &delivery.item {
        Item::Message(message) => message.account().name().as_str(),
        other => panic!("{other:?}"),
    }
}

/// A room in which a peer may bring 20 messages at once, and accounts what they like.
fn room() -> Room {
    let chat = StreamChat::new(networks(), stream()).unwrap();
    let streamer: LiveKey = "streamers.key".parse().unwrap();
    let config =
        RoomConfig::default().account_rate(Rate::new(1e6, 1e6)).peer_rate(Rate::new(0.001, 20.0));
    let mut room = Room::new(chat, streamer.clone(), config);
    for user in ["mallory", "alice"] {
        let rule = Rule::Participant(networks().account("hive", user).unwrap());
        let author = streamer.clone();
        room.handle_entry(Entry { author, rule, value: 1.0, state: Moment::EPOCH });
    }
    room
}

#[tokio::test]
async fn a_flood_by_one_peer_is_limited_and_the_messages_of_another_pass() {
    let (peer, relay) = relay().await;
    let chat = ChatDb::new(Arc::new(peer.clone()), networks());
    let mut events = chat.subscribe(&stream()).await.unwrap();
    // Three connections of the one who floods, and one of another between them.
    let mut flood = Vec::new();
    for _ in 0..3 {
        flood.push(connect(&relay, [127, 0, 0, 2]).await);
    }
    let mut other = connect(&relay, [127, 0, 0, 3]).await;
    let (mut deliveries, mut said) = (Vec::new(), 0);
    for round in 0..10 {
        for (n, socket) in flood.iter_mut().enumerate() {
            for of_round in 0..10 {
                say(socket, "mallory", (round * 3 + n) * 10 + of_round).await;
            }
            socket.flush().await.unwrap();
        }
        say(&mut other, "alice", round).await;
        other.flush().await.unwrap();
        said += 31;
        while deliveries.len() < said {
            deliveries.push(next(&mut events).await);
        }
    }
    let mut room = room();
    let (mut passed, mut refused) = ([0, 0], [0, 0]);
    for Delivery { peer, item, state, .. } in &deliveries {
        let Item::Message(message) = item.clone() else { panic!("{item:?}") };
        let who = usize::from(message.account().name().as_str() == "alice");
        match room.handle_message(*peer, message, *state, Arrival::Live(now())) {
            Ok(()) => passed[who] += 1,
            Err(Refusal::Rate("the peer")) => refused[who] += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((passed, refused), ([20, 10], [280, 0]), "of mallory, of alice");
    peer.stop().await;
}

#[tokio::test]
async fn own_messages_those_of_a_relay_and_those_of_an_address_are_of_different_peers() {
    let (far, far_relay) = relay().await;
    let (near, near_relay) = relay().await;
    near.dial(&far_relay.url()).await.unwrap();
    let chat = ChatDb::new(Arc::new(near.clone()), networks());
    let mut events = chat.subscribe(&stream()).await.unwrap();

    let message = |user: &str| {
        let json =
            format!(r#"{{"u":"{user}","n":"hive","s":"1f","t":{},"m":"m"}}"#, millis().floor());
        Item::Message(alive_chat::Message::from_json(&networks(), &json).unwrap())
    };
    chat.publish(&stream(), message("alice")).await.unwrap();
    let own = next(&mut events).await;
    assert_eq!((user(&own), own.peer), ("alice", ChatPeer(0)));

    let elsewhere = ChatDb::new(Arc::new(far.clone()), networks());
    elsewhere.publish(&stream(), message("bobby")).await.unwrap();
    let relayed = next(&mut events).await;
    assert_eq!(user(&relayed), "bobby");

    let mut direct = connect(&near_relay, [127, 0, 0, 2]).await;
    say(&mut direct, "carol", 0).await;
    direct.flush().await.unwrap();
    let direct_one = next(&mut events).await;
    assert_eq!(user(&direct_one), "carol");
    assert!(relayed.peer != own.peer && direct_one.peer != own.peer);
    assert_ne!(relayed.peer, direct_one.peer);

    // A new connection from the same address is no new peer.
    let mut again = connect(&near_relay, [127, 0, 0, 2]).await;
    say(&mut again, "carol", 1).await;
    again.flush().await.unwrap();
    assert_eq!(next(&mut events).await.peer, direct_one.peer);

    // Nobody remembers who has brought what is held.
    let held = chat.history(&stream(), None, 10).await.unwrap();
    let held = chat.history(&stream(), held.next, 10).await.unwrap();
    let held = chat.history(&stream(), held.next, 10).await.unwrap();
    let peers: Vec<_> = held.items.iter().map(|delivery| delivery.peer).collect();
    assert_eq!(peers, [ChatPeer(0); 4]);
    for peer in [near, far] {
        peer.stop().await;
    }
}

#[tokio::test]
async fn links_to_nothing_by_one_peer_keep_places_free_for_others() {
    let (peer, relay) = relay().await;
    let chat = ChatDb::new(Arc::new(peer.clone()), networks());
    let mut events = chat.subscribe(&stream()).await.unwrap();
    let mut flood = connect(&relay, [127, 0, 0, 2]).await;
    // More than there are places at all.
    for part in 0..5 {
        let states: serde_json::Map<_, _> =
            (0..900).map(|n| (format!("dead{part}x{n}"), 1.into())).collect();
        let mut list = serde_json::json!({ "_": { "#": LIST, ">": states } });
        for soul in states.keys() {
            list[soul] = serde_json::json!({ "#": soul });
        }
        let put = serde_json::json!({ "#": format!("dead{part}put"), "put": { LIST: list } });
        flood.send(Message::text(put.to_string())).await.unwrap();
    }
    let mut missed = 0;
    while missed == 0 {
        match timeout(DEADLINE, events.next()).await.unwrap().unwrap() {
            ChatEvent::Missed(more) => missed += more,
            other => panic!("{other:?}"),
        }
    }
    let mut other = connect(&relay, [127, 0, 0, 3]).await;
    say(&mut other, "alice", 0).await;
    other.flush().await.unwrap();
    loop {
        match timeout(DEADLINE, events.next()).await.unwrap().unwrap() {
            ChatEvent::Came(delivery) => break assert_eq!(user(&delivery), "alice"),
            ChatEvent::Missed(more) => missed += more,
            _ => {}
        }
    }
    assert!(missed <= 4500 - 1024, "{missed} missed");
    peer.stop().await;
}

/// Hole 4 of the original: each of these ended a process that follows a chat.
#[tokio::test]
async fn nothing_that_ended_the_original_keeps_a_chat_from_its_messages() {
    let (peer, relay) = relay().await;
    let chat = ChatDb::new(Arc::new(peer.clone()), networks());
    let mut events = chat.subscribe(&stream()).await.unwrap();
    let mut socket = connect(&relay, [127, 0, 0, 1]).await;
    let frames = [
        r##"{"#":"e1","put":{}}"##,
        r##"[{"#":"e2","put":{}},"##,
        "[",
        r##"{"#":"e3","put":null}"##,
        r##"{"#":"e4","put":{"alivedb_chat/hive/techcoderx/live-1":null}}"##,
        r##"{"#":"e5","put":{"alivedb_chat_request/hive":{"_":{"#":"alivedb_chat_request/hive",">":{}}}}}"##,
        r##"{"#":"e6","put":{"alivedb_chat_request":{"_":{"#":"alivedb_chat_request",">":{"hive":1}},"hive":{"#":"alivedb_chat_request"}}}}"##,
    ];
    for (n, frame) in frames.into_iter().enumerate() {
        socket.send(Message::text(frame)).await.unwrap();
        let user = format!("user{n}");
        say(&mut socket, &user, 0).await;
        socket.flush().await.unwrap();
        assert_eq!(self::user(&next(&mut events).await), user, "after {frame}");
    }
    peer.stop().await;
}
