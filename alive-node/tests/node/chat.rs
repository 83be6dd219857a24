//! The chat over HTTP: what is seen, what may be posted, and what is refused.

use std::{num::NonZeroU32, time::Duration};

use alive_chat::{Item, Rule};
use alive_core::{backend::SharedStorage, memory::MemoryStorage};
use alive_node::{ChatConfig, ChatRooms, Rate};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    chatters::{Chatters, configure_chat},
    support::{Answer, Bench, config, configure, stream_id},
};

const CHAT: &str = "/v1/streams/alice/s/chat";

/// A node whose stream has a chat.
struct Stage {
    bench: Bench,
    chatters: Chatters,
    rooms: ChatRooms,
}

impl Stage {
    async fn new() -> Self {
        Self::with(ChatConfig::default()).await
    }

    async fn with(chat: ChatConfig) -> Self {
        let chatters = Chatters::new(stream_id());
        let rooms = chatters.rooms(chat);
        let (storage, own) = (MemoryStorage::default(), rooms.clone());
        let shared = SharedStorage::new(storage.clone());
        let mut bench = Bench::over(config(), storage, shared, |b| b.chat(own)).await;
        bench.block(&[configure_chat()]).await;
        Self { bench, chatters, rooms }
    }

    /// With bob let in, and all read.
    async fn ready() -> Self {
        let stage = Self::new().await;
        stage.chatters.rule_on("bob", 1.0).await;
        stage.until(|chat| chat["caught_up"] == true).await;
        stage
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.post_from(path, body, "").await
    }

    async fn post_from(&self, path: &str, body: &str, headers: &str) -> Answer {
        let len = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}");
        self.bench.send(&format!("{head}Content-Length: {len}\r\n\r\n{body}")).await
    }

    async fn say(&self, message: &Value) -> Answer {
        self.post(CHAT, &message.to_string()).await
    }

    /// The chat, asked for until it is as wanted.
    async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let chat = self.bench.get(CHAT).await;
            assert_eq!(chat.status, 200, "{chat:?}");
            let chat = chat.json();
            if wanted(&chat) {
                return chat;
            }
            tokio::task::yield_now().await;
        }
    }

    /// How many messages the transport carries.
    async fn carried(&self) -> usize {
        let items = self.chatters.carried().await;
        items.iter().filter(|item| matches!(item, Item::Message(_))).count()
    }
}

fn texts(chat: &Value) -> Vec<&str> {
    chat["messages"].as_array().unwrap().iter().map(|m| m["m"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_posted_is_seen_as_it_was_signed() {
    let stage = Stage::ready().await;
    let message = stage.chatters.message("bob", "<b>h\u{202e}i</b>\u{1}");
    let taken = stage.say(&message).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    assert_eq!(taken.json()["digest"].as_str().unwrap().len(), 64);
    let chat = stage.until(|chat| !texts(chat).is_empty()).await;
    let mut seen = chat["messages"][0].clone();
    assert_eq!(seen["t"].as_f64(), message["t"].as_f64());
    seen["t"] = message["t"].clone();
    assert_eq!(seen, message);
    assert_eq!((&chat["connected"], &chat["slow_seconds"]), (&json!(true), &json!(0.0)));
    assert!(chat["now"].as_f64().unwrap() >= message["t"].as_f64().unwrap());

    let again = stage.say(&message).await;
    assert_eq!((again.status, again.json()["detail"].as_str()), (409, Some("it has been seen")));
    assert_eq!(stage.carried().await, 1, "it is not carried twice");
}

#[tokio::test]
async fn what_does_not_count_never_reaches_the_transport() {
    let stage = Stage::ready().await;
    stage.chatters.rule_on("carol", 0.0).await;
    let c = &stage.chatters;
    let now = alive_chat::system_clock().as_ms();
    let mut forged = c.message("bob", "mine");
    forged["m"] = "not mine".into();
    let mut unsigned = c.message("bob", "a");
    unsigned["s"] = "1f".into();
    let mut more = c.message("bob", "a");
    more["x"] = 1.into();
    let elsewhere = Chatters { id: "hive/alice/other".parse().unwrap(), ..c.clone() };
    let refused = [
        (c.message_by("carol", "bob", "a", now), 403, "a key that the account does not have"),
        (c.message("carol", "a"), 403, "the account is banned"),
        (c.message("dave", "a"), 403, "does not take part"),
        (forged, 403, "a key that the account does not have"),
        (elsewhere.message("bob", "a"), 403, "a key that the account does not have"),
        (unsigned, 400, "its signature"),
        (more, 400, "unknown field \"x\""),
        (c.message_by("bob", "bob", "a", now - 90_000.0), 400, "more than 30 s from"),
        (c.message_by("bob", "bob", "a", now + 90_000.0), 400, "more than 30 s from"),
        (c.message("bob", &"a".repeat(2001)), 413, "2001 characters"),
        (json!({}), 400, "missing"),
        (json!([]), 400, "not a JSON object"),
    ];
    for (message, status, why) in &refused {
        let answer = stage.say(message).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(answer.status == *status && detail.contains(why), "{message}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let long = stage.post(CHAT, &"a".repeat((32 << 10) + 1)).await;
    assert_eq!(long.status, 413);
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    let request = [head.as_bytes(), b"Content-Length: 2\r\n\r\n\xff\xfe"].concat();
    let bytes = stage.bench.exchange(&request);
    assert_eq!(Answer::parse(&bytes.await).status, 400);
    assert_eq!(stage.carried().await, 0);
}

#[tokio::test]
async fn access_is_asked_for_and_given_and_taken_away() {
    let stage = Stage::new().await;
    let desk = stage.chatters.desk();
    stage.until(|chat| chat["caught_up"] == true).await;
    let accounts = format!("{CHAT}/accounts?names=hive/bob");
    let standing = async || {
        let told = stage.bench.get(&accounts).await.json();
        told["accounts"][0]["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing().await, "unknown");
    let requests = format!("{CHAT}/requests");
    for (request, status) in [
        (stage.chatters.request_by("carol", "bob"), 403),
        (json!({ "u": "bob", "n": "hive", "s": "1f", "t": 5 }), 400),
        (json!({ "u": "bob", "n": "nostr", "s": "1f", "t": 5 }), 400),
        (json!({ "n": "hive", "s": "1f", "t": 5 }), 400),
        (json!({ "u": "bob", "n": "hive", "s": {}, "t": 5 }), 400),
        (stage.chatters.request_by("nobody", "nobody"), 403),
    ] {
        let answer = stage.post(&requests, &request.to_string()).await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
    }
    let request = stage.chatters.request_by("bob", "bob").to_string();
    assert_eq!(stage.post(&requests, &request).await.status, 201);
    while standing().await != "approved" {
        tokio::task::yield_now().await;
    }
    let again = stage.post(&requests, &stage.chatters.request_by("bob", "bob").to_string()).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(stage.say(&stage.chatters.message("bob", "thanks")).await.status, 201);
    stage.until(|chat| texts(chat) == ["thanks"]).await;
    stage.chatters.rule_on("bob", 0.0).await;
    stage.until(|chat| texts(chat).is_empty()).await;
    assert_eq!(standing().await, "banned");
    assert_eq!(stage.say(&stage.chatters.message("bob", "hey")).await.status, 403);
    let begs = stage.post(&requests, &stage.chatters.request_by("bob", "bob").to_string()).await;
    assert_eq!(begs.status, 403);
    desk.stop().await;
}

#[tokio::test]
async fn a_visitor_hears_what_is_shown_hidden_and_ruled() {
    let stage = Stage::ready().await;
    let first = stage.chatters.message("bob", "before");
    assert_eq!(stage.say(&first).await.status, 201);
    stage.until(|chat| texts(chat) == ["before"]).await;

    let mut listener = Listener::open(&stage.bench, &format!("{CHAT}/events")).await;
    assert!(listener.head.contains("content-type: text/event-stream"), "{}", listener.head);
    assert!(listener.head.contains("cache-control: no-store"));
    let whole = listener.next("chat").await;
    assert_eq!(texts(&whole), ["before"]);
    let second = stage.chatters.message("bob", "after\n\nevent: hide\ndata: {}");
    assert_eq!(stage.say(&second).await.status, 201);
    let shown = listener.next("show").await;
    assert_eq!(shown["m"], second["m"], "nobody speaks as the node");
    stage.chatters.rule(Rule::SlowMode, 60.0).await;
    assert_eq!(listener.next("slow").await, json!({ "seconds": 60.0 }));
    let slow = stage.say(&stage.chatters.message("bob", "too soon")).await;
    assert_eq!(slow.status, 429, "{slow:?}");
    let wait: u64 = slow.header("retry-after").parse().unwrap();
    assert!((50..=61).contains(&wait), "{wait}");
    let streamer = stage.say(&stage.chatters.message("alice", "one")).await;
    assert_eq!(streamer.status, 201, "{streamer:?}");
    assert_eq!(listener.next("show").await["m"], "one");
    let streamer = stage.say(&stage.chatters.message("alice", "two")).await;
    assert_eq!(streamer.status, 201, "slow mode is not for the streamer");
    listener.next("show").await;
    stage.chatters.rule(Rule::Word("before".into()), 1.0).await;
    assert_eq!(listener.next("hide").await["why"], "word");
    stage.chatters.rule_on("bob", 0.0).await;
    assert_eq!(listener.next("account").await, json!({ "account": "hive/bob" }));
    assert_eq!(listener.next("hide").await["why"], "banned");
    drop(listener);
    let chat = stage.until(|chat| texts(chat).len() == 2).await;
    assert_eq!(chat["slow_seconds"], 60.0);
}

#[tokio::test]
async fn accounts_are_told_with_the_keys_that_messages_are_checked_by() {
    let stage = Stage::ready().await;
    stage.chatters.rule_on("gone", 1.0).await;
    stage.until(|_| true).await;
    let accounts = |names: &str| format!("{CHAT}/accounts?names={names}");
    let told = stage.bench.get(&accounts("hive/bob,hive/BOB,nostr/bob,hive/alice")).await.json();
    let told = told["accounts"].as_array().unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(
        (&told[0]["account"], &told[0]["standing"]),
        (&json!("hive/bob"), &json!("approved"))
    );
    for role in ["posting", "active", "owner"] {
        let key = told[0]["keys"][role][0].as_str().unwrap();
        assert!(key.len() == 66 && key.starts_with('0'), "{role}: {key}");
    }
    assert_eq!(told[1]["standing"], "approved", "the streamer takes part");
    let none = stage.bench.get(&accounts("hive/nobody")).await.json();
    assert_eq!(
        none["accounts"][0],
        json!({ "account": "hive/nobody", "standing": "unknown", "keys": null })
    );
    // Of those whom nobody speaks of one is told at a time: the chain is asked for each.
    let strangers = stage.bench.get(&accounts("hive/nobody,hive/carol,hive/bob")).await.json();
    let names: Vec<_> =
        strangers["accounts"].as_array().unwrap().iter().map(|a| &a["account"]).collect();
    assert_eq!(names, ["hive/nobody", "hive/bob"]);
    let many = vec!["hive/bob"; 33].join(",");
    assert_eq!(stage.bench.get(&accounts(&many)).await.status, 400);
    assert_eq!(stage.bench.get(&format!("{}&names=x", accounts("x"))).await.status, 400);
    assert_eq!(
        stage.bench.get(&format!("{CHAT}/accounts")).await.json(),
        json!({ "accounts": [] })
    );
}

#[tokio::test]
async fn an_address_that_posts_too_often_is_refused_before_anything_is_looked_at() {
    let rate = Rate { per_second: NonZeroU32::MIN, burst: 3.try_into().unwrap() };
    let stage = Stage::with(ChatConfig::default().rate(Some(rate))).await;
    stage.until(|chat| chat["caught_up"] == true).await;
    // A proxy on the machine says for whom it asks.
    let from = "X-Forwarded-For: 203.0.113.7\r\n";
    for _ in 0..3 {
        assert_eq!(stage.post_from(CHAT, "{}", from).await.status, 400);
    }
    let refused = stage.post_from(CHAT, "{}", from).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    let stranger = format!("{CHAT}/accounts?names=hive/carol");
    let asked = stage.bench.ask("GET", &stranger, &[("X-Forwarded-For", "203.0.113.7")]).await;
    assert_eq!(asked.status, 429, "looking up strangers counts");
    let other = "X-Forwarded-For: 203.0.113.8\r\n";
    assert_eq!(stage.post_from(CHAT, "{}", other).await.status, 400, "others are not concerned");
    assert_eq!(stage.post(CHAT, "{}").await.status, 400, "nor is the machine itself");
}

#[tokio::test]
async fn what_becomes_of_messages_and_listeners_is_counted() {
    let rate = Rate { per_second: NonZeroU32::MIN, burst: 1.try_into().unwrap() };
    let stage = Stage::with(ChatConfig::default().rate(Some(rate))).await;
    let count = async |name: &str| {
        let text = stage.bench.get("/metrics").await.text().to_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse::<f64>().unwrap())
    };
    let page =
        |reason: &str| format!("alive_chat_refused_total{{way=\"page\",reason=\"{reason}\"}}");
    assert_eq!(count("alive_chat_rooms").await, Some(0.0), "nobody has looked");
    stage.chatters.rule_on("bob", 1.0).await;
    stage.until(|chat| chat["caught_up"] == true).await;
    assert_eq!(count("alive_chat_rooms").await, Some(1.0));
    assert_eq!(count("alive_chat_listeners").await, Some(0.0));
    let mut listener = Listener::open(&stage.bench, &format!("{CHAT}/events")).await;
    listener.next("chat").await;
    assert_eq!(count("alive_chat_listeners").await, Some(1.0));

    let good = stage.chatters.message("bob", "hello");
    assert_eq!(stage.say(&good).await.status, 201);
    listener.next("show").await;
    assert_eq!(count("alive_chat_messages_accepted_total").await, Some(1.0));
    assert_eq!(stage.say(&good).await.status, 409);
    assert_eq!(count(&page("duplicate")).await, Some(1.0));
    let forged = stage.chatters.message_by("carol", "bob", "x", alive_chat::system_clock().as_ms());
    assert_eq!(stage.say(&forged).await.status, 403);
    assert_eq!(count(&page("key")).await, Some(1.0));
    assert_eq!(stage.say(&json!({})).await.status, 400);
    assert_eq!(stage.post(&format!("{CHAT}/requests"), "[]").await.status, 400);
    assert_eq!(count(&page("form")).await, Some(2.0));
    assert_eq!(stage.post(CHAT, &"a".repeat((32 << 10) + 1)).await.status, 413);
    assert_eq!(count(&page("long")).await, Some(1.0));
    let from = "X-Forwarded-For: 203.0.113.7\r\n";
    let statuses = [400, 429];
    for status in statuses {
        assert_eq!(stage.post_from(CHAT, "{}", from).await.status, status);
    }
    assert_eq!(count(&page("address")).await, Some(1.0));
    // What comes past the node is counted on its own.
    stage.chatters.publish(&forged).await;
    let key = r#"alive_chat_refused_total{way="alivedb",reason="key"}"#;
    while count(key).await != Some(1.0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(count(&page("key")).await, Some(1.0));
    assert_eq!(count("alive_chat_messages_accepted_total").await, Some(1.0));

    drop(listener);
    // The node finds out that a listener has gone when it next sends him something.
    while count("alive_chat_listeners").await != Some(0.0) {
        stage.chatters.rule_on("bob", 1.0).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(count("alive_chat_listeners_dropped_total").await, Some(0.0), "nobody was slow");
}

#[tokio::test]
async fn an_account_speaks_no_faster_than_readers_take_it() {
    let stage = Stage::ready().await;
    let mut statuses = Vec::new();
    for n in 0..6 {
        let message = stage.chatters.message("bob", &format!("m{n}"));
        statuses.push(stage.say(&message).await.status);
    }
    assert_eq!(statuses[..5], [201; 5]);
    assert_eq!(statuses[5], 429);
    // A flood in his name by others does not use up his rate.
    let stage = Stage::ready().await;
    let now = alive_chat::system_clock().as_ms();
    for n in 0..20 {
        let forged = stage.chatters.message_by("carol", "bob", &format!("f{n}"), now);
        assert_eq!(stage.say(&forged).await.status, 403);
    }
    assert_eq!(stage.say(&stage.chatters.message("bob", "still here")).await.status, 201);
}

#[tokio::test]
async fn a_stream_without_a_key_of_its_streamer_has_no_chat() {
    let stage = Stage::new().await;
    for path in ["/v1/streams/alice/other/chat", "/v1/streams/alice/other/chat/events"] {
        assert_eq!(stage.bench.get(path).await.status, 404, "{path}");
    }
    let mut bench = Bench::start().await;
    bench.block(&[configure_chat()]).await;
    assert_eq!(bench.get(CHAT).await.status, 404, "this node shows no chats");
    let chatters = Chatters::new(stream_id());
    let storage = MemoryStorage::default();
    let shared = SharedStorage::new(storage.clone());
    let rooms = chatters.rooms(ChatConfig::default());
    let mut bench = Bench::over(config(), storage, shared, |b| b.chat(rooms.clone())).await;
    bench.block(&[configure()]).await;
    let answer = bench.get(CHAT).await;
    assert_eq!(
        (answer.status, &answer.json()["detail"]),
        (404, &json!("the stream has no chat here"))
    );
    let page = bench.ask("GET", "/watch/hive/alice/s", &[("Accept", "text/html")]).await;
    assert!(!page.text().contains("chat.mjs"));
    assert_eq!(rooms.count(), 0, "nothing is followed for nothing");
}

#[tokio::test]
async fn the_methods_that_a_route_takes_are_named() {
    let stage = Stage::new().await;
    for (method, path, allow) in [
        ("DELETE", CHAT.to_owned(), "GET, HEAD, POST"),
        ("GET", format!("{CHAT}/requests"), "POST"),
        ("POST", format!("{CHAT}/accounts"), "GET, HEAD"),
        ("POST", format!("{CHAT}/events"), "GET, HEAD"),
    ] {
        let answer = stage.bench.ask(method, &path, &[("Content-Length", "0")]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
    }
    let preflight = [
        ("Origin", "https://dapp.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    let answer = stage.bench.ask("OPTIONS", CHAT, &preflight).await;
    assert!(answer.header("access-control-allow-methods").contains("POST"), "{answer:?}");
    assert!(answer.header("access-control-allow-headers").contains("content-type"), "{answer:?}");
}

#[tokio::test]
async fn as_many_chats_are_followed_as_are_allowed_and_the_forgotten_make_room() {
    let chat = ChatConfig::default().chats(1).idle(Duration::from_millis(20));
    let mut stage = Stage::with(chat).await;
    stage.bench.block(&[configure_chat().replace("\"s\"", "\"t\"")]).await;
    let listener = Listener::open(&stage.bench, &format!("{CHAT}/events")).await;
    let other = "/v1/streams/alice/t/chat";
    let full = stage.bench.get(other).await;
    assert_eq!((full.status, full.header("retry-after")), (503, "2"), "{full:?}");
    assert_eq!(stage.rooms.count(), 1);
    drop(listener);
    // The node finds out that a listener has gone when it next sends him something.
    while stage.bench.get(other).await.status != 200 {
        stage.chatters.rule_on("bob", 1.0).await;
        tokio::task::yield_now().await;
    }
    while stage.rooms.count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.bench.get(CHAT).await.status, 200, "it is followed again");
}

#[tokio::test]
async fn a_streamer_who_names_another_key_gets_another_room() {
    let mut stage = Stage::ready().await;
    assert_eq!(stage.say(&stage.chatters.message("bob", "hello")).await.status, 201);
    stage.until(|chat| texts(chat) == ["hello"]).await;
    let mut listener = Listener::open(&stage.bench, &format!("{CHAT}/events")).await;
    listener.next("chat").await;
    stage.bench.block(&[configure_chat().replace("streamers.key", "other.key")]).await;
    // Under the new key nobody has let bob in.
    let chat = stage.until(|chat| chat["caught_up"] == true && texts(chat).is_empty()).await;
    assert_eq!(chat["connected"], true);
    assert_eq!(stage.say(&stage.chatters.message("bob", "again")).await.status, 403);
    listener.ended().await;
    assert_eq!(stage.rooms.count(), 1);
}

#[tokio::test]
async fn a_node_that_stops_lets_no_listener_wait() {
    let stage = Stage::ready().await;
    let mut listener = Listener::open(&stage.bench, &format!("{CHAT}/events")).await;
    listener.next("chat").await;
    let Stage { bench, rooms, .. } = stage;
    bench.node.shutdown().await;
    listener.ended().await;
    assert_eq!(rooms.count(), 0);
}

/// Somebody who listens to events.
struct Listener {
    stream: tokio::net::TcpStream,
    head: String,
    heard: String,
}

impl Listener {
    async fn open(bench: &Bench, path: &str) -> Self {
        let mut stream = tokio::net::TcpStream::connect(bench.node.address()).await.unwrap();
        // The older version of HTTP has no chunks between what is sent.
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self { stream, head: String::new(), heard: String::new() };
        let head = listener.until("\r\n\r\n").await.expect("an answer");
        assert!(head.contains(" 200 "), "{head}");
        listener.head = head.to_lowercase();
        listener
    }

    /// The data of the next event of this name.
    async fn next(&mut self, name: &str) -> Value {
        loop {
            let event = self.until("\n\n").await.expect("an event");
            let data = event.strip_prefix(&format!("event: {name}\ndata: "));
            if let Some(data) = data {
                return serde_json::from_str(data).unwrap();
            }
        }
    }

    /// Waits until the node ends it.
    async fn ended(&mut self) {
        while self.until("\n\n").await.is_some() {}
    }

    /// What comes before a mark; `None` at the end.
    async fn until(&mut self, mark: &str) -> Option<String> {
        let mut bytes = [0; 4096];
        loop {
            if let Some((text, rest)) = self.heard.split_once(mark) {
                let (text, rest) = (text.to_owned(), rest.to_owned());
                self.heard = rest;
                return Some(text);
            }
            let read = self.stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
            self.heard.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }
}
