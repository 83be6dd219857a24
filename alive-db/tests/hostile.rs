//! Peers that mean no good, over real sockets: what they send is refused or bounded, counted, and ends nobody else's service.
#![cfg(test)]
#![cfg(all(feature = "client", feature = "relay"))]

mod sockets;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alive_db::{
    gun::{
        Delta, DropReason, GraphLimits, IntakeLimits, NodeDelta, Peer, PeerConfig, Query, Relay,
        RelayLimits, Value as GunValue,
    },
    json::Text,
    sea::{KeyPair, UserSpace, sign_node},
};
use futures_util::SinkExt as _;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use sockets::{DEADLINE, Socket, closed, connect, next, say, until};

async fn relay(config: PeerConfig) -> (Peer, Relay) {
    let peer = Peer::start(config, UserSpace::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
    (peer, relay)
}

/// Says something and gives the answer to it.
async fn ask(socket: &mut Socket, message: &Value) -> Value {
    say(socket, message).await;
    loop {
        let answer = next(socket).await;
        let all = answer.as_array().cloned().unwrap_or_else(|| vec![answer]);
        if let Some(answer) = all.into_iter().find(|answer| answer["@"] == message["#"]) {
            return answer;
        }
    }
}

fn millis() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

fn put(id: &str, soul: &str, key: &str, value: &Value, state: f64) -> Value {
    json!({ "#": id, "put": { soul: { "_": { "#": soul, ">": { key: state } }, key: value } } })
}

async fn held(peer: &Peer, soul: &str, key: &str) -> Option<GunValue> {
    Some(peer.get(Query::key(soul, key)).await?.entries[0].1.clone())
}

#[tokio::test]
async fn an_id_counts_once_whoever_repeats_it() {
    let (peer, relay) = relay(PeerConfig::default()).await;
    let (mut one, mut other) = (connect(&relay).await, connect(&relay).await);
    let first = ask(&mut one, &put("same", "s", "k", &json!("first"), 1.0)).await;
    assert_eq!(first["err"], Value::Null);
    for _ in 0..50 {
        say(&mut other, &put("same", "s", "k", &json!("second"), 2.0)).await;
    }
    let counts = until(&peer, |counts| counts.duplicates == 50).await;
    assert_eq!((counts.puts, held(&peer, "s", "k").await), (1, Some("first".into())));
    peer.stop().await;
}

#[tokio::test]
async fn old_values_replayed_under_new_ids_change_nothing_and_are_told_to_nobody() {
    let (peer, relay) = relay(PeerConfig::default()).await;
    let keys = KeyPair::generate().unwrap();
    let soul = format!("~{}/hive/alice", keys.public());
    let signed = |value: &str, n: f64| {
        let state = alive_db::gun::State::new(millis().floor() - 1000.0 + n).unwrap();
        let node = sign_node(&keys, soul.as_str().into(), [(Text::from("k"), value.into())], state);
        let NodeDelta { entries, .. } = node.unwrap();
        let (_, GunValue::Text(text), state) = &entries[0] else { panic!("{entries:?}") };
        (json!(text.to_string()), state.millis())
    };
    let (old, new) = (signed("old", 0.0), signed("new", 1.0));
    let (mut owner, mut reader) = (connect(&relay).await, connect(&relay).await);
    ask(&mut reader, &json!({ "#": "get", "get": { "#": soul } })).await;
    for (n, (value, state)) in [&old, &new].into_iter().enumerate() {
        let ack = ask(&mut owner, &put(&format!("own{n}"), &soul, "k", value, *state)).await;
        assert_eq!(ack["err"], Value::Null, "{ack}");
        next(&mut reader).await;
    }
    let mut thief = connect(&relay).await;
    for n in 0..20 {
        let ack = ask(&mut thief, &put(&format!("replay{n}"), &soul, "k", &old.0, old.1)).await;
        assert_eq!(ack["err"], Value::Null, "it is there already, and no fault: {ack}");
    }
    // The same signature says nothing of another time, place or key.
    for (n, (soul, key, state)) in [
        (soul.clone(), "k", new.1 + 1.0),
        (format!("{soul}/other"), "k", old.1),
        (soul.clone(), "other", old.1),
    ]
    .iter()
    .enumerate()
    {
        let ack = ask(&mut thief, &put(&format!("moved{n}"), soul, key, &old.0, *state)).await;
        assert_eq!(ack["err"], "Unverified data.", "{soul} {key}");
    }
    // What the reader is told next is what comes next.
    let last = signed("last", 2.0);
    ask(&mut owner, &put("own2", &soul, "k", &last.0, last.1)).await;
    assert_eq!(next(&mut reader).await["put"][&soul]["k"], last.0);
    let counts = peer.counts();
    assert_eq!((counts.stale, counts.unadmitted), (20, 3));
    peer.stop().await;
}

#[tokio::test]
async fn who_writes_into_a_space_that_is_not_his_is_refused_and_dropped_in_the_end() {
    let config = PeerConfig::default().intake(IntakeLimits::default().faults(9));
    let (peer, relay) = relay(config).await;
    let (owner, stranger) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let soul = format!("~{}", owner.public());
    let state = alive_db::gun::State::new(5.0).unwrap();
    // Signed by another; and, as the original takes, with his own key beside it.
    let theirs = format!("~{}", stranger.public());
    let node = sign_node(&stranger, theirs.as_str().into(), [(Text::from("k"), "v".into())], state);
    let GunValue::Text(forged) = node.unwrap().entries[0].1.clone() else { panic!() };
    let mut certified: Value = serde_json::from_str(&forged.to_string()).unwrap();
    certified["*"] = json!(stranger.public().to_string());
    let mut mallory = connect(&relay).await;
    let values = [
        json!("plain"),
        json!(7),
        Value::Null,
        json!({ "#": "elsewhere" }),
        json!(forged.to_string()),
        json!(certified.to_string()),
        json!(r#"{":":"v","~":""}"#),
        json!(r#"{":":"v","~":"AAAA"}"#),
    ];
    for (n, value) in values.iter().enumerate() {
        let ack = ask(&mut mallory, &put(&format!("forged{n}"), &soul, "k", value, 5.0)).await;
        let is_certified = value.as_str().is_some_and(|text| text.contains("\"*\""));
        let reason =
            if is_certified { "Certificates are not taken here." } else { "Unverified data." };
        assert_eq!(ack["err"], reason, "{value}");
    }
    let ack = ask(&mut mallory, &put("key", &soul, "pub", &json!("another"), 5.0)).await;
    assert!(ack["err"].is_string(), "{ack}");
    say(&mut mallory, &put("last", &soul, "k", &json!("plain"), 5.0)).await;
    let reason = closed(&mut mallory).await;
    assert_eq!(reason.as_deref(), Some("it sent too much that had to be refused"));
    let counts = peer.counts();
    assert_eq!((counts.unadmitted, counts.links_dropped), (10, 1));
    assert_eq!(peer.holdings().nodes, 0);
    peer.stop().await;
}

#[tokio::test]
async fn names_of_hostile_length_and_states_far_ahead_are_refused() {
    let (peer, relay) = relay(PeerConfig::default()).await;
    let mut socket = connect(&relay).await;
    let long = "x".repeat(Delta::MAX_NAME_BYTES + 1);
    let now = millis();
    for (n, (soul, key, state, reason)) in [
        (&*long, "k", 1.0, "Invalid data."),
        ("s", &*long, 1.0, "Invalid data."),
        ("", "k", 1.0, "Invalid data."),
        ("s", "k", now + 700_000.0, "State too far in the future."),
        ("s", "k", 1e300, "State too far in the future."),
    ]
    .into_iter()
    .enumerate()
    {
        let ack = ask(&mut socket, &put(&format!("put{n}"), soul, key, &json!(1), state)).await;
        assert_eq!(ack["err"], reason);
    }
    // A get of such a name asks for nothing.
    ask(&mut socket, &json!({ "#": "get", "get": { "#": long } })).await;
    let ack = ask(&mut socket, &put("soon", "s", "k", &json!(1), now + 300_000.0)).await;
    assert_eq!(ack["err"], Value::Null);
    let counts = peer.counts();
    assert_eq!((counts.bad_messages, counts.unadmitted, counts.deferred), (4, 2, 1));
    assert_eq!((held(&peer, "s", "k").await, peer.holdings().nodes), (None, 0));
    peer.stop().await;
}

#[tokio::test]
async fn values_from_the_future_take_no_more_memory_than_they_may() {
    let (peer, relay) = relay(PeerConfig::default()).await;
    let mut socket = connect(&relay).await;
    let (text, state) = (json!("x".repeat(900_000)), millis() + 500_000.0);
    for n in 0..40 {
        let put = put(&format!("put{n}"), &format!("s{n}"), "k", &text, state);
        assert_eq!(ask(&mut socket, &put).await["err"], Value::Null);
    }
    let counts = peer.counts();
    // 16 MiB have room for 18.
    assert_eq!((counts.deferred, counts.deferred_dropped), (18, 22));
    peer.stop().await;
}

#[tokio::test]
async fn what_one_address_brings_and_asks_for_is_bounded() {
    let config = PeerConfig::default().graph(GraphLimits::default().bytes_per_origin(100_000));
    let (peer, relay) = relay(config).await;
    let mut socket = connect(&relay).await;
    let text = json!("x".repeat(9_000));
    let mut refused = 0;
    for n in 0..20 {
        let ack =
            ask(&mut socket, &put(&format!("put{n}"), &format!("s{n}"), "k", &text, 1.0)).await;
        refused += u64::from(ack["err"] == "Quota exceeded.");
    }
    assert!((8..12).contains(&refused), "{refused}");
    for n in 0..1_100 {
        let get = json!({ "#": format!("get{n}"), "get": { "#": format!("g{n}") } });
        say(&mut socket, &get).await;
    }
    let counts = until(&peer, |counts| counts.gets == 1_100).await;
    assert_eq!((counts.quota_refused, counts.subscriptions_refused), (refused, 100));
    peer.stop().await;
}

#[rstest]
#[case::empty_batches("[]", false)]
#[case::nonsense("hello", false)]
#[case::pings("", true)]
#[tokio::test(start_paused = true)]
async fn a_flood_of_frames_without_messages_is_slowed_too(#[case] text: &str, #[case] ping: bool) {
    let config = PeerConfig::default().intake(IntakeLimits::default().rate(100, 100));
    let (peer, relay) = relay(config).await;
    let mut socket = connect(&relay).await;
    let start = Instant::now();
    for _ in 0..1_000 {
        let frame =
            if ping { Message::Ping(Bytes::from_static(b"x")) } else { Message::text(text) };
        socket.send(frame).await.unwrap();
    }
    // It comes behind all of them: 900 beyond what may come at once, at 100 a second.
    ask(&mut socket, &json!({ "#": "get", "get": { "#": "s" } })).await;
    assert!(start.elapsed() >= Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(peer.counts().throttled > 0);
    peer.stop().await;
}

/// A connection that speaks WebSocket by hand, past its handshake and our greeting.
async fn raw(relay: &Relay) -> TcpStream {
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    let request = "GET /gun HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        answer.push(timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap());
    }
    stream
}

/// A frame with a mask of zeros.
fn frame(head: u8, data: &[u8]) -> Vec<u8> {
    let len = u64::try_from(data.len()).unwrap();
    [&[head, 0xff][..], &len.to_be_bytes(), &[0; 4], data].concat()
}

#[rstest]
#[case::announced_too_long([&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat(), DropReason::Oversized)]
#[case::pieces_without_end(
    [frame(0x01, b"x"), frame(0x00, &b"x".repeat(300_000)).repeat(5)].concat(),
    DropReason::Oversized
)]
#[case::no_mask(b"\x81\x02[]".to_vec(), DropReason::Broken)]
#[case::no_utf8(frame(0x81, b"{\xff}"), DropReason::Broken)]
#[case::unknown_kind(frame(0x83, b"x"), DropReason::Broken)]
#[case::reserved_bits(frame(0xf1, b"x"), DropReason::Broken)]
#[case::long_ping(frame(0x89, &[0; 200]), DropReason::Broken)]
#[case::piece_of_nothing(frame(0x80, b"x"), DropReason::Broken)]
#[tokio::test]
async fn who_breaks_the_rules_of_websocket_is_dropped_and_told_why(
    #[case] bytes: Vec<u8>,
    #[case] reason: DropReason,
) {
    let (peer, relay) = relay(PeerConfig::default()).await;
    let mut other = connect(&relay).await;
    let mut stream = raw(&relay).await;
    // It may be cut before it has said all of it.
    let _cut = stream.write_all(&bytes).await;
    let counts = until(&peer, |counts| counts.links_dropped == 1).await;
    let counted =
        if reason == DropReason::Oversized { counts.oversized } else { counts.bad_frames };
    assert_eq!((counted, counts.puts), (1, 0));
    let mut rest = Vec::new();
    let _reset = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    let text = reason.to_string();
    let told = rest.windows(text.len()).any(|part| part == text.as_bytes());
    // Where bytes are left unread, the system may cut the connection before the reason is read.
    assert!(told || bytes.len() > 300_000, "{:?}", String::from_utf8_lossy(&rest));
    // Nobody else is touched.
    ask(&mut other, &json!({ "#": "get", "get": { "#": "s" } })).await;
    peer.stop().await;
}

#[tokio::test]
async fn a_ping_between_the_pieces_of_a_message_is_answered_and_the_message_read() {
    let (peer, relay) = relay(PeerConfig::default()).await;
    let mut stream = raw(&relay).await;
    let text = put("p", "s", "k", &json!("v"), 1.0).to_string();
    let (first, second) = text.as_bytes().split_at(10);
    let ping = [&[0x89, 0x82, 0, 0, 0, 0][..], b"hi"].concat();
    let bytes = [frame(0x01, first), ping, frame(0x80, second)].concat();
    stream.write_all(&bytes).await.unwrap();
    until(&peer, |counts| counts.puts == 1).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x8a\x02hi") {
        answer.push(timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap());
    }
    peer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_opens_a_connection_and_says_nothing_loses_it_in_ten_seconds() {
    let (peer, relay) = relay(PeerConfig::default()).await;
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    // A letter a second is no more than nothing.
    let (start, mut rest) = (Instant::now(), Vec::new());
    stream.write_all(b"GET /gun").await.unwrap();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest.len(), start.elapsed().as_secs()), (0, 10));
    assert_eq!((peer.counts().handshakes_failed, peer.holdings().links), (1, 0));
    peer.stop().await;
}

#[tokio::test]
async fn what_was_put_while_the_relay_was_away_reaches_it_however_much_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/gun", listener.local_addr().unwrap());
    let client = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    client.dial(&url).await.unwrap();
    // 8 MB: twice what may wait to be sent to one peer.
    let puts: Vec<_> = (0..400)
        .map(|n| {
            let text = "x".repeat(20_000);
            let soul = format!("s{n}");
            let delta = Delta::of(soul, "k", text.as_str().into(), client.next_state());
            let client = client.clone();
            tokio::spawn(async move { client.put(delta).await })
        })
        .collect();
    let deadline = Instant::now() + DEADLINE;
    while client.holdings().nodes < 400 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(5)).await;
    }
    let served = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    Relay::start(&served, listener, RelayLimits::default()).unwrap();
    for put in puts {
        // Some may have waited too long on a busy machine; they are sent all the same.
        let _late = timeout(DEADLINE, put).await.unwrap().unwrap();
    }
    let deadline = Instant::now() + DEADLINE;
    while served.holdings().nodes < 400 {
        assert!(Instant::now() < deadline, "{:?}", served.holdings());
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(client.counts().links_slow, 0);
    client.stop().await;
    served.stop().await;
}

#[tokio::test]
async fn what_waits_for_the_engine_is_bounded_in_bytes_and_all_of_it_has_its_turn() {
    let intake = IntakeLimits::default().waiting_bytes(10_000);
    let (peer, relay) = relay(PeerConfig::default().intake(intake)).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(connect(&relay).await);
    }
    // Each frame takes half of the room, and the last is larger than all of it.
    let value = json!("x".repeat(5_000));
    for round in 0..20 {
        for (n, socket) in sockets.iter_mut().enumerate() {
            let key = format!("{round}x{n}");
            say(socket, &put(&format!("id{key}"), "s", &key, &value, 1.0)).await;
        }
    }
    let large = put("large", "s", "large", &json!("x".repeat(50_000)), 1.0);
    assert_eq!(ask(&mut sockets[0], &large).await["err"], Value::Null);
    let counts = until(&peer, |counts| counts.puts == 401).await;
    assert!(counts.backlogged > 0, "{counts:?}");
    let own = Delta::of("own", "k", "x".repeat(50_000).as_str().into(), peer.next_state());
    timeout(DEADLINE, peer.put(own)).await.unwrap().unwrap();
    assert_eq!(peer.get(Query::node("s")).await.unwrap().entries.len(), 401);
    peer.stop().await;
}

/// The sockets for datagrams that this process has open, by the inodes of its files. Multicast would need one.
#[cfg(target_os = "linux")]
fn datagram_sockets() -> usize {
    let known: Vec<String> = ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .flat_map(|text| {
            let inode = |line: &str| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?));
            text.lines().skip(1).filter_map(inode).collect::<Vec<_>>()
        })
        .collect();
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    links.filter(|link| known.iter().any(|socket| *link == *std::path::Path::new(socket))).count()
}

/// Hole 14 of the original: whoever starts it is a member of a multicast group from then on.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_opens_no_socket_for_datagrams() {
    let (far, far_relay) = relay(PeerConfig::default()).await;
    let (peer, relay) = relay(PeerConfig::default()).await;
    peer.dial(&far_relay.url()).await.unwrap();
    let mut socket = connect(&relay).await;
    let acknowledged = ask(&mut socket, &put("p", "s", "k", &json!("v"), 1.0)).await;
    assert_eq!(acknowledged["err"], Value::Null);
    until(&far, |counts| counts.puts == 1).await;
    let before = datagram_sockets();
    let own = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(datagram_sockets(), before + 1, "it would be seen");
    drop(own);
    assert_eq!(before, 0);
    peer.stop().await;
    far.stop().await;
}
