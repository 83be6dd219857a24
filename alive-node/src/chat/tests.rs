//! How rooms begin and end is tested over HTTP, in `tests/node/chat.rs`; here is what no clock of the system can show.

use std::time::Duration;

use alive_chat::{Account, Family, MemoryChat, Moment, SessionEvent};
use alive_core::{Network, backend::SharedAccountKeys, memory::MemoryAccountKeys};
use alive_hive::{GraphenePlain, is_account_name};

use super::{board::Board, *};

fn rooms(config: ChatConfig) -> ChatRooms {
    let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
    let networks = Networks::new([hive]).unwrap();
    let transport = SharedChatTransport::new(MemoryChat::new(|| Moment::EPOCH));
    let keys = SharedAccountKeys::new(MemoryAccountKeys::new(Network::hive()));
    ChatRooms::new(networks, transport, [keys], config)
}

fn id(link: &str) -> StreamId {
    format!("hive/alice/{link}").parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_chat_is_given_up_when_nobody_has_looked_for_long_and_not_before() {
    let rooms = rooms(ChatConfig::default().idle(Duration::from_mins(4)));
    let key: LiveKey = "a.b".parse().unwrap();
    let visit = rooms.visit(&id("s"), &key).unwrap();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(rooms.count(), 1, "somebody looks");
    drop(visit);
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert_eq!(rooms.count(), 1, "he may come back");
    drop(rooms.visit(&id("s"), &key).unwrap());
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert_eq!(rooms.count(), 1, "he did");
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert_eq!(rooms.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_longest_forgotten_chat_makes_room_for_another() {
    let rooms = rooms(ChatConfig::default().chats(2));
    let key: LiveKey = "a.b".parse().unwrap();
    drop(rooms.visit(&id("a"), &key).unwrap());
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(rooms.visit(&id("b"), &key).unwrap());
    let c = rooms.visit(&id("c"), &key).unwrap();
    let has = |link: &str| rooms.lock().contains_key(&id(link));
    assert!(!has("a") && has("b") && has("c"));
    let b = rooms.visit(&id("b"), &key).unwrap();
    assert_eq!(rooms.visit(&id("a"), &key).unwrap_err(), AllTaken);
    drop((b, c));
    rooms.stop().await;
    assert_eq!(rooms.count(), 0);
    assert_eq!(
        rooms.visit(&id("a"), &key).unwrap_err(),
        AllTaken,
        "a node that stops follows none"
    );
}

#[tokio::test(start_paused = true)]
async fn a_quiet_listener_is_told_that_the_connection_lives() {
    let rooms = rooms(ChatConfig::default());
    let visit = rooms.visit(&id("s"), &"a.b".parse().unwrap()).unwrap();
    let mut frames = visit.frames();
    let mut heard = String::new();
    let since = tokio::time::Instant::now();
    while !heard.ends_with("\n\n:\n\n") {
        let Ok(frame) = futures_util::StreamExt::next(&mut frames).await.unwrap();
        heard.push_str(std::str::from_utf8(&frame).unwrap());
    }
    assert!(heard.starts_with("retry: 2000\n\nevent: chat\ndata: {"), "{heard}");
    assert!(since.elapsed() <= Duration::from_secs(16), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_listener_who_does_not_listen_is_dropped_and_counted() {
    let rooms = rooms(ChatConfig::default());
    let key: LiveKey = "a.b".parse().unwrap();
    let visit = rooms.visit(&id("s"), &key).unwrap();
    let told = rooms.visit(&id("s"), &key).unwrap();
    let (mut slow, mut quick) = (visit.frames(), rooms.visit(&id("s"), &key).unwrap().frames());
    let count = |name: &str| {
        let mut registry = prometheus_client::registry::Registry::default();
        rooms.counts().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().parse::<u32>().unwrap()
    };
    assert_eq!((count("chat_listeners"), count("chat_rooms")), (2, 1));
    let frame = bytes::Bytes::from_static(b"event: x\ndata: {}\n\n");
    for _ in 0..1000 {
        told.tell(frame.clone());
        let mut heard = futures_util::StreamExt::next(&mut quick).await.unwrap().unwrap();
        while heard != frame {
            heard = futures_util::StreamExt::next(&mut quick).await.unwrap().unwrap();
        }
        assert_eq!(heard.as_ptr(), frame.as_ptr(), "every listener is sent the same bytes");
    }
    // What he begins with is there; then he is sent away, and 1000 frames do not wait for him.
    let heard: Vec<_> = futures_util::StreamExt::collect(&mut slow).await;
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert_eq!(count("chat_listeners_dropped_total"), 1);
    drop(slow);
    assert_eq!(count("chat_listeners"), 1);
    drop((quick, told));
    rooms.stop().await;
    assert_eq!((count("chat_listeners"), count("chat_rooms")), (0, 0));
}

#[test]
fn states_and_pauses_are_told_once() {
    let mut board = Board::new(3);
    assert!(board.handle_event(&SessionEvent::Connected).is_none());
    assert!(board.handle_event(&SessionEvent::CaughtUp).is_some());
    assert!(board.handle_event(&SessionEvent::CaughtUp).is_none());
    let lost = board.handle_event(&SessionEvent::Disconnected { why: "x".into() }).unwrap();
    assert_eq!(&lost[..], b"event: state\ndata: {\"caught_up\":false,\"connected\":false}\n\n");
    assert!(!board.is_caught_up());
    let slow = Some((10_000.0, Moment::EPOCH));
    assert_eq!(&board.set_slow(slow).unwrap()[..], b"event: slow\ndata: {\"seconds\":10.0}\n\n");
    assert!(board.set_slow(slow).is_none());
    assert_eq!(
        board.text(Moment::EPOCH.after_ms(7.0)),
        r#"{"caught_up":false,"connected":false,"slow_seconds":10.0,"now":7,"messages":[]}"#
    );
}

#[test]
fn an_account_is_told_by_its_full_name() {
    let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
    let account: Account = Networks::new([hive]).unwrap().account("hive", "bob").unwrap();
    let entry = alive_chat::Entry {
        author: "a.b".parse().unwrap(),
        rule: alive_chat::Rule::Participant(account),
        value: 0.0,
        state: Moment::EPOCH,
    };
    let told = Board::new(1).handle_event(&SessionEvent::Ruled(entry)).unwrap();
    assert_eq!(&told[..], b"event: account\ndata: {\"account\":\"hive/bob\"}\n\n");
}
