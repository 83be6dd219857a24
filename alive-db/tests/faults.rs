//! A relay and clients over real sockets: hostile input, faults, limits.
#![cfg(test)]
#![cfg(all(feature = "client", feature = "relay"))]

mod sockets;

use std::time::Duration;

use alive_db::gun::{
    Anyone, Delta, IntakeLimits, LinkLimits, Peer, PeerConfig, PutError, Query, Relay, RelayLimits,
};
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use sockets::{DEADLINE, closed, connect, next, say, until};

async fn relay(config: PeerConfig, limits: RelayLimits) -> (Peer, Relay) {
    let peer = Peer::start(config, Anyone).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, limits).unwrap();
    (peer, relay)
}

#[tokio::test]
async fn broken_and_oversized_frames_are_answered_and_their_sender_dropped_in_the_end() {
    let config = PeerConfig::default().intake(IntakeLimits::default().frame_bytes(1_000).faults(5));
    let (peer, relay) = relay(config, RelayLimits::default()).await;
    let mut socket = connect(&relay).await;
    say(&mut socket, "[{\"get\":").await;
    assert_eq!(next(&mut socket).await["err"], "DAM JSON parse error.");
    say(&mut socket, format!("[\"{}\"]", "x".repeat(2_000))).await;
    assert_eq!(next(&mut socket).await["err"], "Message too big!");
    say(&mut socket, "[".repeat(900)).await;
    assert_eq!(next(&mut socket).await["err"], "DAM JSON parse error.");
    for _ in 0..4 {
        say(&mut socket, "{").await;
    }
    let reason = closed(&mut socket).await;
    assert_eq!(reason.as_deref(), Some("it sent too much that had to be refused"));
    let counts = peer.counts();
    assert_eq!((counts.oversized, counts.links_dropped), (1, 1));
    // Far too long: not even read.
    let mut socket = connect(&relay).await;
    let _broken = socket.send(Message::text("x".repeat(1 << 20))).await;
    closed(&mut socket).await;
    peer.stop().await;
}

#[tokio::test]
async fn a_frame_that_arrives_byte_by_byte_is_read() {
    let (peer, relay) = relay(PeerConfig::default(), RelayLimits::default()).await;
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = "GET /gun HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // The relay's greeting comes behind its answer; nothing may be sent before that.
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        answer.push(timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap());
    }
    let put = r##"{"#":"p","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":"v"}}}"##;
    let (first, second) = put.as_bytes().split_at(20);
    // Two fragments of one message, masked with zeros, a byte at a time.
    let fragment = |head: u8, data: &[u8]| {
        [&[head, 0x80 | u8::try_from(data.len()).unwrap(), 0, 0, 0, 0], data].concat()
    };
    for byte in [fragment(0x01, first), fragment(0x80, second)].concat() {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    until(&peer, |counts| counts.puts == 1).await;
    assert!(peer.get(Query::key("s", "k")).await.is_some());
    peer.stop().await;
}

#[tokio::test]
async fn only_gun_is_served_and_only_so_many_times() {
    let limits = RelayLimits::default().links_per_address(2);
    let (peer, relay) = relay(PeerConfig::default(), limits).await;
    let wrong = connect_async(format!("ws://{}/other", relay.address())).await;
    assert!(wrong.unwrap_err().to_string().contains("404"));
    let mut plain = TcpStream::connect(relay.address()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    timeout(DEADLINE, plain.read_to_end(&mut answer)).await.unwrap().ok();
    let (_one, two) = (connect(&relay).await, connect(&relay).await);
    let mut third = TcpStream::connect(relay.address()).await.unwrap();
    let read = timeout(DEADLINE, third.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "closed at once");
    until(&peer, |counts| counts.links_refused == 1).await;
    drop(two);
    let deadline = Instant::now() + DEADLINE;
    while peer.holdings().links > 1 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(5)).await;
    }
    connect(&relay).await;
    peer.stop().await;
}

#[tokio::test]
async fn a_flood_is_slowed_and_a_slow_reader_dropped_while_others_are_served() {
    let config = PeerConfig::default()
        .intake(IntakeLimits::default().rate(1_000, 500))
        .links(LinkLimits::default().queue_bytes(200_000));
    let (peer, relay) = relay(config, RelayLimits::default()).await;
    let (mut writer, mut slow) = (connect(&relay).await, connect(&relay).await);
    let mut reader = connect(&relay).await;
    say(&mut slow, r##"{"#":"g1","get":{"#":"s"}}"##).await;
    say(&mut reader, r##"{"#":"g2","get":{"#":"s"}}"##).await;
    next(&mut reader).await;
    // `slow` reads nothing more from here on.
    let text = "x".repeat(20_000);
    let mut last = 0;
    for n in 1.. {
        let state = n;
        let put = json!({"#": format!("p{n}"), "put": {"s": {"_": {"#": "s", ">": {"k": state}}, "k": text, }}});
        say(&mut writer, put.to_string()).await;
        let news = next(&mut reader).await;
        let new = news["put"]["s"]["_"][">"]["k"].as_u64();
        last = new.unwrap_or(last);
        if peer.counts().links_slow == 1 {
            break;
        }
        assert!(n < 20_000, "the slow reader was never dropped");
    }
    assert!(last > 0);
    // Each frame holds more messages than may come at once, however slowly they are sent.
    for half in 0..2 {
        let gets = (0..1_000).map(
            |n| json!({ "#": format!("f{half}x{n}"), "get": { "#": format!("n{half}x{n}") } }),
        );
        say(&mut writer, gets.collect::<Value>().to_string()).await;
    }
    until(&peer, |counts| counts.gets >= 2_000).await;
    assert!(peer.counts().throttled > 0);
    peer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_gets_heartbeats_and_is_dropped() {
    let (peer, relay) = relay(PeerConfig::default(), RelayLimits::default()).await;
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    let request = "GET /gun HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // It never answers a ping.
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let beats = all.windows(4).filter(|four| *four == b"\x81\x02[]").count();
    assert_eq!(beats, 4, "after 20, 40, 60 and 80 s");
    assert_eq!(peer.counts().links_silent, 1);
    peer.stop().await;
}

#[tokio::test]
async fn a_put_without_its_relay_is_kept_and_sent_when_it_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/gun", listener.local_addr().unwrap());
    let client = Peer::start(PeerConfig::default(), Anyone).unwrap();
    client.dial(&url).await.unwrap();
    let put = tokio::spawn({
        let client = client.clone();
        async move {
            let delta = Delta::of("s", "k", "v".into(), client.next_state());
            client.put(delta).await
        }
    });
    let served = Peer::start(PeerConfig::default(), Anyone).unwrap();
    Relay::start(&served, listener, RelayLimits::default()).unwrap();
    assert!(timeout(DEADLINE, put).await.unwrap().unwrap().unwrap().elsewhere);
    assert!(served.get(Query::key("s", "k")).await.is_some());
    client.stop().await;
    served.stop().await;
    let delta = Delta::of("s", "k", "v".into(), client.next_state());
    assert_eq!(client.put(delta).await, Err(PutError::Stopped));
}

#[tokio::test]
async fn own_values_obey_the_rules_of_others() {
    let peer = Peer::start(PeerConfig::default(), Anyone).unwrap();
    for (soul, key) in [("", "k"), ("s", "_"), (&*"x".repeat(1025), "k")] {
        let put = peer.put(Delta::of(soul, key, "v".into(), peer.next_state())).await;
        assert!(matches!(put, Err(PutError::Refused(_))), "{soul:?} {key:?}");
    }
    peer.stop().await;
}

#[tokio::test]
async fn the_last_handle_ends_everything() {
    let (peer, relay) = relay(PeerConfig::default(), RelayLimits::default()).await;
    let mut socket = connect(&relay).await;
    let mut changes = peer.subscribe("s").await;
    drop(peer);
    closed(&mut socket).await;
    assert!(timeout(DEADLINE, changes.next()).await.unwrap().is_none());
}
