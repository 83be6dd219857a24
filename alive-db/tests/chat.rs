//! Chats in a graph: the promises of a transport, the original's paths, what others may do to public nodes.
#![cfg(test)]
#![cfg(all(feature = "chat", feature = "client", feature = "relay", feature = "testing"))]

use std::{sync::Arc, time::Duration};

use alive_chat::{
    AccessRequest, ChatEvent, ChatEvents, ChatTransport, Delivery, Entry, Family, Item, Message,
    Moment, Networks, Rule,
};
use alive_core::{LiveKey, Network, StreamId, backend::BackendError};
use alive_db::{
    chat::ChatDb,
    database::Database,
    gun::{Delta, NodeDelta, Peer, PeerConfig, Query, Relay, RelayLimits, Value},
    json::Text,
    memory::MemoryDatabase,
    sea::{KeyPair, UserSpace, sign_node},
};
use alive_hive::{GraphenePlain, is_account_name};
use futures_util::StreamExt as _;
use proptest::prelude::*;
use tokio::{net::TcpListener, time::timeout};

const DEADLINE: Duration = Duration::from_secs(30);
const LIST: &str = "alivedb_chat/hive/techcoderx/live-1";

fn networks() -> Networks {
    Networks::new([
        Family::new(Network::hive(), GraphenePlain, is_account_name),
        Family::new(Network::avalon(), GraphenePlain, |name| name.len() > 1).with_recovery_id(),
    ])
    .unwrap()
}

fn stream() -> StreamId {
    "hive/techcoderx/live-1".parse().unwrap()
}

fn message(n: u32) -> Message {
    let json = format!(r#"{{"u":"alice","n":"hive","s":"1f","t":{},"m":"m{n}"}}"#, 1000 + n);
    Message::from_json(&networks(), &json).unwrap()
}

fn avalon_message() -> Message {
    let json = r#"{"u":"carol","n":"avalon","s":"ab","r":2,"t":5,"m":"é\n\"x\""}"#;
    Message::from_json(&networks(), json).unwrap()
}

fn request(network: &str, name: &str, time: u32) -> AccessRequest {
    let account = networks().account(network, name).unwrap();
    AccessRequest::from_json(&networks(), account, &format!(r#"{{"s":"1f","r":1,"t":{time}}}"#))
        .unwrap()
}

fn keys() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate().unwrap())
}

fn live_key(keys: &KeyPair) -> LiveKey {
    keys.public().to_string().parse().unwrap()
}

fn entry(keys: &KeyPair, rule: Rule, value: f64) -> Entry {
    Entry { author: live_key(keys), rule, value, state: Moment::EPOCH }
}

fn alice() -> Rule {
    Rule::Participant(networks().account("hive", "alice").unwrap())
}

fn local() -> (Arc<MemoryDatabase>, ChatDb<MemoryDatabase>) {
    let database = Arc::new(MemoryDatabase::default());
    (Arc::clone(&database), ChatDb::new(database, networks()))
}

async fn next(events: &mut ChatEvents) -> ChatEvent {
    timeout(DEADLINE, events.next()).await.unwrap().unwrap()
}

async fn next_item(events: &mut ChatEvents) -> Item {
    match next(events).await {
        ChatEvent::Came(delivery) => delivery.item,
        other => panic!("{other:?}"),
    }
}

async fn all(chat: &impl ChatTransport, limit: usize) -> Vec<Delivery> {
    let (mut items, mut from) = (Vec::new(), None);
    loop {
        let page = chat.history(&stream(), from, limit).await.unwrap();
        assert!(page.items.len() <= limit);
        items.extend(page.items);
        from = page.next;
        if from.is_none() {
            return items;
        }
    }
}

async fn texts(chat: &impl ChatTransport) -> Vec<String> {
    let items = all(chat, 7).await.into_iter();
    let text = |delivery: Delivery| match delivery.item {
        Item::Message(message) => Some(message.text().to_owned()),
        _ => None,
    };
    items.filter_map(text).collect()
}

async fn put_plain(database: &impl Database, soul: &str, entries: Vec<(&str, Value)>) {
    let state = database.next_state();
    let entries = entries.into_iter().map(|(key, value)| (key.into(), value, state)).collect();
    let node = NodeDelta { soul: soul.into(), entries };
    database.put(Delta { nodes: vec![node] }).await.unwrap();
}

fn number(n: f64) -> Value {
    Value::Number(alive_db::gun::Number::new(n).unwrap())
}

fn fields(text: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("u", "alice".into()),
        ("n", "hive".into()),
        ("s", "1f".into()),
        ("t", number(7.0)),
        ("m", text.into()),
    ]
}

async fn plain(database: &impl Database, soul: &str) -> Vec<(String, Value)> {
    let node = database.node(&Text::from(soul)).await.unwrap().unwrap();
    let mut entries: Vec<_> =
        node.entries.into_iter().map(|(key, value, _)| (key.to_string(), value)).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries
}

#[tokio::test]
async fn keeps_every_promise_of_a_transport() {
    let other = "hive/techcoderx/live-2".parse().unwrap();
    let messages: Vec<_> = (0..9).map(message).collect();
    let (_, chat) = local();
    alive_chat::testing::chat_transport(&chat, &stream(), &other, &messages).await;
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    let chat = ChatDb::new(Arc::new(peer.clone()), networks());
    alive_chat::testing::chat_transport(&chat, &stream(), &other, &messages).await;
    peer.stop().await;
}

#[tokio::test]
async fn keeps_every_promise_across_a_relay() {
    let (peer, relay) = relay().await;
    let client = dial(&relay).await;
    let chat = ChatDb::new(Arc::new(client.clone()), networks());
    let other = "hive/techcoderx/live-2".parse().unwrap();
    let messages: Vec<_> = (0..6).map(message).collect();
    alive_chat::testing::chat_transport(&chat, &stream(), &other, &messages).await;
    client.stop().await;
    peer.stop().await;
}

async fn relay() -> (Peer, Relay) {
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
    (peer, relay)
}

async fn dial(relay: &Relay) -> Peer {
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    peer.dial(&relay.url()).await.unwrap();
    peer
}

#[tokio::test]
async fn two_peers_and_a_late_joiner_talk_through_a_relay() {
    let (hub, relay) = relay().await;
    let (one, two) = (dial(&relay).await, dial(&relay).await);
    let streamer = keys();
    let chat = |peer: &Peer| {
        ChatDb::new(Arc::new(peer.clone()), networks()).with_streamer(streamer.public().clone())
    };
    let (own, other) = (chat(&one).with_user(Arc::clone(&streamer)), chat(&two));
    let mut events = other.subscribe(&stream()).await.unwrap();
    let mut asked = own.subscribe(&stream()).await.unwrap();

    own.publish(&stream(), Item::Message(message(1))).await.unwrap();
    assert_eq!(next_item(&mut events).await, Item::Message(message(1)));
    assert_eq!(next_item(&mut asked).await, Item::Message(message(1)), "its own, too");
    other.publish(&stream(), Item::Request(request("hive", "alice", 5))).await.unwrap();
    assert_eq!(next_item(&mut asked).await, Item::Request(request("hive", "alice", 5)));
    own.publish(&stream(), Item::Entry(entry(&streamer, alice(), 1.0))).await.unwrap();
    let Item::Entry(approved) = next_item(&mut events).await else { panic!("an entry") };
    assert_eq!((approved.rule, approved.value.to_bits()), (alice(), 1.0_f64.to_bits()));
    assert_eq!(approved.author, live_key(&streamer));

    let late = dial(&relay).await;
    let items: Vec<_> = all(&chat(&late), 2).await.into_iter().map(|held| held.item).collect();
    assert!(matches!(&items[0], Item::Entry(entry) if entry.rule == alice()), "rules come first");
    assert_eq!(items[1..], [Item::Message(message(1))], "requests are for the streamer only");
    for peer in [one, two, late, hub] {
        peer.stop().await;
    }
}

#[tokio::test]
async fn a_late_joiner_reads_a_list_that_comes_in_many_parts_whole() {
    let (hub, relay) = relay().await;
    let own = ChatDb::new(Arc::new(hub.clone()), networks());
    for n in 0..700 {
        own.publish(&stream(), Item::Message(message(n))).await.unwrap();
    }
    let late = dial(&relay).await;
    let chat = ChatDb::new(Arc::new(late.clone()), networks());
    let mut events = chat.subscribe(&stream()).await.unwrap();
    let want: Vec<_> = (0..700).map(|n| format!("m{n}")).collect();
    assert_eq!(texts(&chat).await, want);
    own.publish(&stream(), Item::Message(message(1000))).await.unwrap();
    assert_eq!(next_item(&mut events).await, Item::Message(message(1000)), "none of the old ones");
    late.stop().await;
    hub.stop().await;
}

#[tokio::test]
async fn messages_lie_where_the_original_looks_for_them() {
    let (database, chat) = local();
    chat.publish(&stream(), Item::Message(avalon_message())).await.unwrap();
    let link = |soul: &str| Value::Link(soul.into());
    let steps = [("alivedb_chat", "hive"), ("alivedb_chat/hive", "techcoderx")];
    for (soul, step) in steps {
        let want = vec![(step.to_owned(), link(&format!("{soul}/{step}")))];
        assert_eq!(plain(&*database, soul).await, want);
    }
    assert_eq!(
        plain(&*database, "alivedb_chat/hive/techcoderx").await,
        [("live-1".to_owned(), link(LIST))]
    );
    let list = plain(&*database, LIST).await;
    let [(key, Value::Link(soul))] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!(soul, key.as_str(), "a bare name, as GUN gives since 2020.1232");
    assert!(key.bytes().all(|b| b.is_ascii_alphanumeric()) && key.len() > 16, "{key}");
    let want = [
        ("m", "é\n\"x\"".into()),
        ("n", "avalon".into()),
        ("r", number(2.0)),
        ("s", "ab".into()),
        ("t", number(5.0)),
        ("u", "carol".into()),
    ];
    let want = want.map(|(key, value): (&str, Value)| (key.to_owned(), value));
    assert_eq!(plain(&*database, key).await, want);
    chat.publish(&stream(), Item::Message(message(1))).await.unwrap();
    let list = plain(&*database, LIST).await;
    let (hive, _) = list.iter().find(|(name, _)| name != key).unwrap();
    let hive = plain(&*database, hive).await;
    assert!(hive.iter().all(|(key, _)| key != "r"), "no recovery id where it says nothing");
}

#[tokio::test]
async fn requests_lie_where_the_original_looks_for_them_and_leaf_first() {
    let (database, chat) = local();
    chat.publish(&stream(), Item::Request(request("avalon", "carol", 5))).await.unwrap();
    let mut soul = "alivedb_chat_request".to_owned();
    for step in ["hive", "techcoderx", "live-1", "avalon", "carol"] {
        let below = format!("{soul}/{step}");
        let want = (step.to_owned(), Value::Link(below.as_str().into()));
        assert_eq!(plain(&*database, &soul).await, [want]);
        soul = below;
    }
    let want = [("r", number(1.0)), ("s", "1f".into()), ("t", number(5.0))];
    let want = want.map(|(key, value): (&str, Value)| (key.to_owned(), value));
    assert_eq!(plain(&*database, &soul).await, want);
}

#[tokio::test]
async fn rules_lie_signed_in_the_streamers_space_where_the_original_looks_for_them() {
    let (database, chat) = local();
    let streamer = keys();
    let chat = chat.with_user(Arc::clone(&streamer)).with_streamer(streamer.public().clone());
    let rules = UserSpace::default();
    let public = streamer.public();
    chat.publish(&stream(), Item::Entry(entry(&streamer, alice(), 0.0))).await.unwrap();
    let slow = entry(&streamer, Rule::SlowMode, 30.0);
    chat.publish(&stream(), Item::Entry(slow)).await.unwrap();
    let steps = [
        (format!("~{public}"), "hive/techcoderx/live-1/participants"),
        (format!("~{public}/hive/techcoderx/live-1/participants"), "hive"),
        (format!("~{public}"), "hive/techcoderx/live-1/moderation"),
        (format!("~{public}/hive/techcoderx/live-1/moderation"), "settings"),
    ];
    let open = async |soul: &str, key: &str| {
        let node = database.node(&soul.into()).await.unwrap().unwrap();
        let (key, value, state) = node.entries.iter().find(|(name, ..)| *name == key).unwrap();
        let put = alive_db::gun::Put { soul: &node.soul, key, value, state: *state };
        assert!(matches!(value, Value::Text(_)), "a signed wrapper");
        rules.open(put, 1e13).unwrap().unwrap()
    };
    for (soul, step) in steps {
        let below = format!("{soul}/{step}");
        assert_eq!(open(&soul, step).await, Value::Link(below.as_str().into()));
    }
    let participants = format!("~{public}/hive/techcoderx/live-1/participants/hive");
    assert_eq!(open(&participants, "alice").await, number(0.0));
    let settings = format!("~{public}/hive/techcoderx/live-1/moderation/settings");
    assert_eq!(open(&settings, "slow").await, number(30.0));
}

#[tokio::test]
async fn only_the_own_user_writes_entries_and_the_last_one_holds() {
    let (_, chat) = local();
    let (streamer, other) = (keys(), keys());
    let own = chat.clone().with_user(Arc::clone(&streamer));
    let own = own.with_streamer(streamer.public().clone());
    for (who, author) in [(&chat, &streamer), (&own, &other)] {
        let refused = who.publish(&stream(), Item::Entry(entry(author, alice(), 1.0))).await;
        assert!(matches!(refused, Err(BackendError::Refused { .. })), "{refused:?}");
    }
    for value in [1.0, 0.0, 2.0, 0.0] {
        own.publish(&stream(), Item::Entry(entry(&streamer, alice(), value))).await.unwrap();
    }
    let held = all(&own, 10).await;
    let [Delivery { item: Item::Entry(held), .. }] = held.as_slice() else { panic!("{held:?}") };
    assert_eq!(held.value.to_bits(), 0.0_f64.to_bits(), "within one millisecond, too");
    assert!(held.state > Moment::EPOCH);
}

#[tokio::test]
async fn items_of_old_and_new_gun_count_and_links_elsewhere_do_not() {
    let (database, chat) = local();
    let mut events = chat.subscribe(&stream()).await.unwrap();
    let old = format!("{LIST}/mwpn9q28gX96a5ZVCar9");
    let elsewhere = "alivedb_chat/hive/techcoderx/live-2/abc";
    for (soul, text) in [("abc123", "new"), (&*old, "old"), (elsewhere, "elsewhere")] {
        put_plain(&*database, soul, fields(text)).await;
        put_plain(&*database, LIST, vec![(soul, Value::Link(soul.into()))]).await;
    }
    let mut more = fields("one field too many");
    more.push(("x", number(1.0)));
    put_plain(&*database, "more", more).await;
    put_plain(&*database, LIST, vec![("more", Value::Link("more".into()))]).await;
    put_plain(&*database, LIST, vec![("none", "no link".into())]).await;
    chat.publish(&stream(), Item::Message(message(3))).await.unwrap();
    for text in ["new", "old", "m3"] {
        let Item::Message(message) = next_item(&mut events).await else { panic!() };
        assert_eq!(message.text(), text);
    }
    assert_eq!(texts(&chat).await, ["new", "old", "m3"]);
}

#[tokio::test(start_paused = true)]
async fn an_item_may_come_after_its_link_and_dead_links_hold_up_nobody() {
    let (database, chat) = local();
    let mut events = chat.subscribe(&stream()).await.unwrap();
    for n in 0..100 {
        let dead = format!("dead{n}");
        put_plain(&*database, LIST, vec![(&*dead, Value::Link(dead.as_str().into()))]).await;
    }
    put_plain(&*database, LIST, vec![("late", Value::Link("late".into()))]).await;
    let start = tokio::time::Instant::now();
    chat.publish(&stream(), Item::Message(message(3))).await.unwrap();
    assert_eq!(next_item(&mut events).await, Item::Message(message(3)));
    assert!(start.elapsed() < Duration::from_millis(100), "not behind those that lead nowhere");
    // In two parts, as a slow writer's.
    let (first, second) = (fields("late")[..3].to_vec(), fields("late")[3..].to_vec());
    put_plain(&*database, "late", first).await;
    tokio::task::yield_now().await;
    put_plain(&*database, "late", second).await;
    let Item::Message(message) = next_item(&mut events).await else { panic!() };
    assert_eq!(message.text(), "late");
}

#[tokio::test(start_paused = true)]
async fn who_reads_too_slowly_is_told_what_he_misses() {
    let (database, chat) = local();
    let mut events = chat.subscribe(&stream()).await.unwrap();
    let entries: Vec<_> = (0..1500).map(|n| format!("dead{n}")).collect();
    let links = entries.iter().map(|soul| (&**soul, Value::Link(soul.as_str().into()))).collect();
    put_plain(&*database, LIST, links).await;
    assert_eq!(next(&mut events).await, ChatEvent::Missed(1500 - 1024));
}

#[tokio::test]
async fn moderators_are_heard_from_their_appointment_to_their_dismissal() {
    let (database, chat) = local();
    let (streamer, moderator, stranger) = (keys(), keys(), keys());
    let chat = chat.with_streamer(streamer.public().clone());
    let own = chat.clone().with_user(Arc::clone(&streamer));
    let theirs = chat.clone().with_user(Arc::clone(&moderator));
    let ban = |keys: &KeyPair, value| Item::Entry(entry(keys, alice(), value));
    let appoint =
        |value| Item::Entry(entry(&streamer, Rule::Moderator(live_key(&moderator)), value));
    theirs.publish(&stream(), ban(&moderator, 0.0)).await.unwrap();
    let space = format!("~{}/hive/techcoderx/live-1/participants/hive", stranger.public());
    let node = sign_node(&stranger, space.into(), [("alice", number(0.0))], database.next_state());
    database.put(Delta { nodes: vec![node.unwrap()] }).await.unwrap();
    assert!(all(&chat, 10).await.is_empty(), "nobody appointed them");

    let mut events = chat.subscribe(&stream()).await.unwrap();
    own.publish(&stream(), appoint(1.0)).await.unwrap();
    let by = |item: Item| match item {
        Item::Entry(entry) => (entry.author, entry.value.to_bits()),
        other => panic!("{other:?}"),
    };
    let authors: Vec<_> =
        [by(next_item(&mut events).await).0, by(next_item(&mut events).await).0].into();
    assert_eq!(authors, [live_key(&streamer), live_key(&moderator)], "what he said before counts");
    theirs.publish(&stream(), ban(&moderator, 1.0)).await.unwrap();
    assert_eq!(by(next_item(&mut events).await), (live_key(&moderator), 1.0_f64.to_bits()));
    assert_eq!(all(&chat, 1).await.len(), 2);

    own.publish(&stream(), appoint(0.0)).await.unwrap();
    assert_eq!(by(next_item(&mut events).await).0, live_key(&streamer));
    theirs.publish(&stream(), ban(&moderator, 0.0)).await.unwrap();
    own.publish(&stream(), Item::Entry(entry(&streamer, Rule::SlowMode, 5.0))).await.unwrap();
    assert_eq!(by(next_item(&mut events).await), (live_key(&streamer), 5.0_f64.to_bits()));
    assert_eq!(all(&chat, 10).await.len(), 2, "the dismissed are not asked");
}

#[tokio::test]
async fn requests_of_every_network_are_read_by_the_streamer_again_when_they_are_repeated() {
    let (_, chat) = local();
    let streamer = keys();
    let own = chat.clone().with_user(Arc::clone(&streamer));
    let own = own.with_streamer(streamer.public().clone());
    chat.publish(&stream(), Item::Request(request("hive", "alice", 5))).await.unwrap();
    let mut events = own.subscribe(&stream()).await.unwrap();
    for repeated in [request("avalon", "carol", 6), request("hive", "alice", 7)] {
        chat.publish(&stream(), Item::Request(repeated.clone())).await.unwrap();
        assert_eq!(next_item(&mut events).await, Item::Request(repeated));
    }
    let held: Vec<_> = all(&own, 1).await.into_iter().map(|held| held.item).collect();
    let want = [request("avalon", "carol", 6), request("hive", "alice", 7)].map(Item::Request);
    assert_eq!(held, want, "by the time of their links");
}

/// What anybody may put into a public node.
fn any_value() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        "[a-z0-9/~#.<?]{0,20}",
        Just("alice".to_owned()),
        Just("hive".to_owned()),
        Just("1f".to_owned()),
        any::<String>(),
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1e15..1e15).prop_map(number),
        texts.clone().prop_map(|text| Value::Text(text.into())),
        texts
            .prop_filter("a soul", |soul| !soul.is_empty())
            .prop_map(|soul| Value::Link(soul.into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every message that is read has come through the form of one, whatever lies in the graph.
    #[test]
    fn any_graph_is_read(
        items in proptest::collection::vec(proptest::collection::hash_map("u|n|s|r|t|m|x", any_value(), 0..7), 0..6),
        links in proptest::collection::vec(("[a-z0-9/]{1,12}", any_value()), 0..6),
        requests in proptest::collection::vec(("[a-z0-9]{1,8}", any_value()), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (database, chat) = local();
            let streamer = keys();
            let own = chat.with_user(Arc::clone(&streamer)).with_streamer(streamer.public().clone());
            let mut events = own.subscribe(&stream()).await.unwrap();
            for (n, item) in items.iter().enumerate() {
                let soul = format!("item{n}");
                put_plain(&*database, &soul, item.iter().map(|(key, value)| (&**key, value.clone())).collect()).await;
                put_plain(&*database, LIST, vec![(&*soul, Value::Link(soul.as_str().into()))]).await;
            }
            for (key, value) in &links {
                put_plain(&*database, LIST, vec![(&**key, value.clone())]).await;
            }
            let list = "alivedb_chat_request/hive/techcoderx/live-1/hive";
            for (key, value) in &requests {
                put_plain(&*database, list, vec![(&**key, value.clone())]).await;
            }
            own.publish(&stream(), Item::Message(message(7))).await.unwrap();
            let held = all(&own, 3).await;
            let has = held.iter().any(|delivery| delivery.item == Item::Message(message(7)));
            assert!(has, "a good message among any others");
            for delivery in held {
                let Item::Message(read) = delivery.item else { continue };
                assert_eq!(Message::from_json(&networks(), &read.to_string()).unwrap(), read);
            }
            while next_item(&mut events).await != Item::Message(message(7)) {}
        });
    }
}

#[tokio::test]
async fn a_subscription_ends_with_its_peer() {
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    let chat = ChatDb::new(Arc::new(peer.clone()), networks());
    let mut events = chat.subscribe(&stream()).await.unwrap();
    peer.stop().await;
    assert_eq!(timeout(DEADLINE, events.next()).await.unwrap(), None);
    let refused = chat.publish(&stream(), Item::Message(message(1))).await;
    assert!(matches!(refused, Err(BackendError::Unavailable { .. })), "{refused:?}");
    assert!(peer.get(Query::node(LIST)).await.is_none());
}
