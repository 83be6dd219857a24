//! Tests of the transport in memory, and of rooms over it.

use alive_core::{
    StreamId,
    backend::{AccountAuthority, Authority, BackendError},
};
use futures_util::StreamExt as _;

use crate::{
    Arrival, ChatEvent, ChatTransport, Entry, Item, MemoryChat, Message, Moment, Peer, Room,
    RoomConfig, RoomEffect, Rule, SharedChatTransport,
    fixtures::{STREAM, account, chat, key, message, ms},
    testing::chat_transport,
};

const NOW: f64 = 1_000_000.0;

fn stream() -> StreamId {
    STREAM.parse().unwrap()
}

fn messages(count: u32) -> Vec<Message> {
    (0..count).map(|n| message("hive/alice", NOW + f64::from(n), &format!("m{n}"))).collect()
}

fn clock() -> Moment {
    ms(NOW)
}

fn publish(item: Message) -> Item {
    Item::Message(item)
}

#[tokio::test]
async fn it_keeps_the_promises_of_a_transport() {
    let other = "hive/techcoderx/other".parse().unwrap();
    let transport = MemoryChat::new(clock);
    chat_transport(&transport, &stream(), &other, &messages(7)).await;
    let shared = SharedChatTransport::new(MemoryChat::new(clock));
    chat_transport(&shared, &stream(), &other, &messages(4)).await;
}

#[tokio::test]
async fn a_slow_subscriber_holds_up_nobody_and_is_told() {
    let transport = MemoryChat::with_limits(1, 100, 3, clock);
    let mut slow = transport.subscribe(&stream()).await.unwrap();
    for message in messages(10) {
        transport.publish(&stream(), publish(message)).await.unwrap();
    }
    assert_eq!(slow.next().await, Some(ChatEvent::Missed(7)));
    let Some(ChatEvent::Came(next)) = slow.next().await else { panic!("three are left") };
    assert_eq!(next.item, publish(messages(8).remove(7)));
    assert_eq!(transport.history(&stream(), None, 100).await.unwrap().items.len(), 10);
}

#[tokio::test]
async fn it_is_bounded_and_ends() {
    let transport = MemoryChat::with_limits(1, 3, 10, clock);
    let mut events = transport.subscribe(&stream()).await.unwrap();
    for message in messages(5) {
        transport.publish(&stream(), publish(message)).await.unwrap();
    }
    let held = transport.history(&stream(), Some(0), 100).await.unwrap();
    assert_eq!(held.items.len(), 3, "the oldest go");
    let other = "hive/techcoderx/other".parse().unwrap();
    assert!(transport.publish(&other, publish(messages(1).remove(0))).await.is_err());
    assert!(transport.subscribe(&other).await.is_err());
    drop(transport);
    assert_eq!(events.by_ref().take(5).count().await, 5);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn nobody_writes_into_the_space_of_another() {
    let transport = MemoryChat::new(clock);
    let entry = |author: &str| {
        let rule = Rule::Participant(account("hive/alice"));
        Item::Entry(Entry { author: author.parse().unwrap(), rule, value: 1.0, state: ms(NOW) })
    };
    let mallory = transport.as_user(Peer(9), Some("mallory".parse().unwrap()));
    let forged = mallory.publish(&stream(), entry("streamer")).await;
    assert!(matches!(forged, Err(BackendError::Refused { .. })));
    assert!(transport.publish(&stream(), entry("streamer")).await.is_err(), "nobody is logged in");
    let streamer = transport.as_user(Peer(1), Some("streamer".parse().unwrap()));
    streamer.publish(&stream(), entry("streamer")).await.unwrap();
}

/// A reader who comes late sees what one sees who was there, the ban in between included.
#[tokio::test]
async fn late_joiners_and_early_ones_see_the_same() {
    let transport = MemoryChat::new(clock);
    let streamer = transport.as_user(Peer(1), Some("streamer".parse().unwrap()));
    let say = |who: &str, value: f64, at: f64| {
        let rule = Rule::Participant(account(who));
        Item::Entry(Entry { author: "streamer".parse().unwrap(), rule, value, state: ms(at) })
    };
    let mut early = Room::new(chat(STREAM), "streamer".parse().unwrap(), RoomConfig::default());
    let mut events = transport.subscribe(&stream()).await.unwrap();
    let script = [
        say("hive/alice", 1.0, 1.0),
        say("hive/bobby", 1.0, 1.0),
        publish(message("hive/alice", NOW, "a1")),
        publish(message("hive/bobby", NOW + 1.0, "b1")),
        say("hive/bobby", 0.0, 2.0),
        publish(message("hive/alice", NOW + 2.0, "a2")),
        publish(message("hive/bobby", NOW + 3.0, "b2")),
    ];
    for item in script {
        streamer.publish(&stream(), item).await.unwrap();
        let Some(ChatEvent::Came(delivery)) = events.next().await else { panic!("it came") };
        take(&mut early, delivery, Arrival::Live(ms(NOW)));
    }
    let mut late = Room::new(chat(STREAM), "streamer".parse().unwrap(), RoomConfig::default());
    for delivery in transport.history(&stream(), None, 100).await.unwrap().items {
        take(&mut late, delivery, Arrival::History);
    }
    for room in [&early, &late] {
        let texts: Vec<_> = room.messages().map(|m| m.signed().text().to_owned()).collect();
        assert_eq!(texts, ["a1", "a2"]);
    }
}

fn take(room: &mut Room, delivery: crate::Delivery, arrival: Arrival) {
    match delivery.item {
        Item::Entry(entry) => {
            room.handle_entry(entry);
        }
        Item::Message(message) => {
            let _ = room.handle_message(delivery.peer, message, delivery.state, arrival);
        }
        Item::Request(_) => {}
    }
    room.handle_work(100, ms(NOW));
    while let Some(effect) = room.poll_effect() {
        if let RoomEffect::AskKeys { account, .. } = effect {
            let key = key(&account.to_string()).1;
            let posting = Authority { threshold: 1, keys: vec![(key, 1)], accounts: Vec::new() };
            let authority = AccountAuthority { posting, ..AccountAuthority::default() };
            room.handle_keys(&account, Some(&authority), ms(NOW));
        }
    }
}
