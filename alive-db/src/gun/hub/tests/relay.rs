//! One relay and clients that talk GUN.

use serde_json::json;

use super::{
    net::{EPOCH, Net},
    *,
};
use crate::gun::{GraphLimits, NodeDelta, State};

fn put(id: &str, soul: &str, keys: &[(&str, &str, f64)]) -> String {
    let states: serde_json::Map<_, _> =
        keys.iter().map(|(key, _, state)| ((*key).to_owned(), json!(state))).collect();
    let mut node = json!({"_": {"#": soul, ">": states}});
    for (key, value, _) in keys {
        node[key] = json!(value);
    }
    json!({"#": id, "put": {soul: node}}).to_string()
}

fn get(id: &str, soul: &str) -> String {
    json!({"#": id, "get": {"#": soul}}).to_string()
}

/// Keys of the nodes that were sent, but for `_`.
fn keys(message: &serde_json::Value, soul: &str) -> Vec<String> {
    let node = message["put"][soul].as_object().unwrap();
    node.keys().filter(|key| *key != "_").cloned().collect()
}

#[test]
fn the_relay_greets_and_answers_a_greeting_that_is_no_answer() {
    let mut net = Net::new(1);
    let link = LinkId(99);
    net.peers[0].hub.handle_connect(link, Side::Accepted, crate::gun::Origin(1), net.now);
    net.collect();
    let hello = net.sent(0, link);
    assert_eq!((&hello[0]["dam"], &hello[0]["pid"]), (&json!("?"), &json!("peer00000")));
    net.say(0, link, r##"{"dam":"?","pid":"x","@":"their","#":"a"}"##);
    assert_eq!(net.sent(0, link), Vec::<serde_json::Value>::new());
    net.say(0, link, r##"{"dam":"?","pid":"x","#":"b"}"##);
    let answer = net.sent(0, link);
    assert_eq!((&answer[0]["dam"], &answer[0]["@"]), (&json!("?"), &json!("b")));
}

#[test]
fn a_put_is_acknowledged_once_and_goes_to_all_subscribers_but_its_writer() {
    let mut net = Net::new(1);
    let [writer, reader, other] = [(); 3].map(|()| net.client(0));
    net.say(0, reader, &get("g1", "room"));
    net.say(0, writer, &get("g2", "room"));
    net.say(0, other, &get("g3", "attic"));
    assert_eq!(net.sent(0, reader)[1]["get"], json!({"#": "room"}), "it may have what we have not");
    net.say(0, reader, r##"{"#":"n","@":"nonsense"}"##);
    net.wait(301);
    for (link, id) in [(writer, "g2"), (other, "g3")] {
        let sent = net.sent(0, link);
        assert_eq!((sent.len(), &sent[0]["@"]), (1, &json!(id)), "not found");
    }
    net.say(0, writer, &put("p1", "room", &[("n", "x", EPOCH)]));
    let acks = net.sent(0, writer);
    assert_eq!(acks.len(), 1);
    assert_eq!((&acks[0]["@"], &acks[0]["ok"]), (&json!("p1"), &json!({"": 1})));
    let news = net.sent(0, reader);
    assert_eq!(news.len(), 1);
    assert_eq!(news[0]["put"]["room"]["n"], "x");
    assert_eq!(net.sent(0, other).len(), 0);
    // The same again: acknowledged, and no news.
    net.say(0, writer, &put("p2", "room", &[("n", "x", EPOCH)]));
    assert_eq!(net.sent(0, writer).len(), 1);
    assert_eq!(net.sent(0, reader).len(), 0);
}

#[test]
fn who_asked_for_a_key_gets_that_key_and_only_changes_are_told() {
    let mut net = Net::new(1);
    let [writer, key, all] = [(); 3].map(|()| net.client(0));
    net.say(0, writer, &put("p0", "s", &[("a", "1", 5.0), ("b", "1", 5.0)]));
    net.say(0, key, r##"{"#":"g1","get":{"#":"s",".":"b"}}"##);
    net.say(0, all, &get("g2", "s"));
    assert_eq!(keys(&net.sent(0, key)[0], "s"), ["b"]);
    assert_eq!(keys(&net.sent(0, all)[0], "s"), ["a", "b"]);
    net.say(0, writer, &put("p1", "s", &[("a", "2", 6.0), ("b", "0", 4.0), ("c", "1", 5.0)]));
    assert_eq!(net.sent(0, key).len(), 0, "b is older than what was there");
    assert_eq!(keys(&net.sent(0, all)[0], "s"), ["a", "c"]);
    net.say(0, writer, &put("p2", "s", &[("a", "3", 7.0), ("b", "3", 7.0)]));
    assert_eq!(keys(&net.sent(0, key)[0], "s"), ["b"]);
    assert_eq!(keys(&net.sent(0, all)[0], "s"), ["a", "b"]);
}

#[test]
fn a_bad_put_is_refused_as_a_whole_and_told_to_nobody() {
    let mut net = Net::new(1);
    let [writer, reader] = [(); 2].map(|()| net.client(0));
    net.say(0, reader, &get("g", "s"));
    net.sent(0, reader);
    net.say(0, writer, r##"{"#":"p","put":{"s":{"_":{"#":"s",">":{"a":1,"b":1}},"a":1,"b":[]}}}"##);
    let sent = net.sent(0, writer);
    assert_eq!((&sent[0]["@"], &sent[0]["err"]), (&json!("p"), &json!("Invalid data.")));
    assert_eq!(net.sent(0, reader).len(), 0);
    assert!(net.texts(0, "s").is_empty());
}

#[test]
fn an_asker_that_has_the_same_gets_no_answer() {
    let mut net = Net::new(1);
    let link = net.client(0);
    net.say(0, link, &put("p", "s", &[("k", "v", 5.0)]));
    net.say(0, link, &get("g1", "s"));
    let hash = net.sent(0, link)[1]["##"].clone();
    assert!(hash.is_i64());
    net.say(0, link, &json!({"#": "g2", "##": hash, "get": {"#": "s", ".": "k"}}).to_string());
    assert_eq!(net.sent(0, link).len(), 0);
    net.say(0, link, &json!({"#": "g3", "##": 1, "get": {"#": "s", ".": "k"}}).to_string());
    assert_eq!(net.sent(0, link).len(), 1);
}

#[test]
fn a_long_node_is_answered_in_parts_that_name_the_next() {
    let mut net = Net::new(1);
    let link = net.client(0);
    let text = "x".repeat(1000);
    for n in 0..25 {
        net.say(0, link, &put(&format!("p{n}"), "s", &[(&format!("k{n:02}"), &text, 5.0)]));
    }
    net.sent(0, link);
    net.say(0, link, &get("g", "s"));
    let parts = net.sent(0, link);
    assert!(parts.len() > 2, "{} parts", parts.len());
    let all: Vec<_> = parts.iter().flat_map(|part| keys(part, "s")).collect();
    assert_eq!(all, (0..25).map(|n| format!("k{n:02}")).collect::<Vec<_>>());
    for (n, part) in parts.iter().enumerate() {
        assert_eq!(part["@"], "g");
        assert_eq!(part.get("%"), parts.get(n + 1).map(|next| &next["#"]));
        assert!(part.to_string().len() < 9_900);
    }
}

#[test]
fn a_value_from_the_future_is_told_at_once_and_holds_in_its_time() {
    let mut net = Net::new(1);
    let [writer, reader] = [(); 2].map(|()| net.client(0));
    net.peers[0].hub.watch(WatchId(1), "s".into(), net.now);
    net.say(0, reader, &get("g", "s"));
    net.sent(0, reader);
    net.say(0, writer, &put("p1", "s", &[("k", "now", EPOCH)]));
    net.say(0, writer, &put("p2", "s", &[("k", "later", EPOCH + 5000.0)]));
    net.say(0, writer, &put("p3", "s", &[("k", "later", EPOCH + 5000.0)]));
    assert_eq!(net.sent(0, writer).len(), 3, "all are acknowledged");
    assert_eq!(net.sent(0, reader).len(), 2, "and told once");
    assert_eq!(net.texts(0, "s"), [("k".to_owned(), "now".to_owned())]);
    net.wait(4_999);
    assert_eq!(net.texts(0, "s")[0].1, "now");
    assert_eq!(net.peers[0].changes.len(), 1);
    net.wait(2);
    assert_eq!(net.texts(0, "s")[0].1, "later");
    assert_eq!(net.peers[0].changes.len(), 2);
    assert_eq!(net.peers[0].counters.read().deferred, 1);
}

#[test]
fn who_asks_before_the_time_of_a_value_is_told_then() {
    let mut net = Net::new(1);
    let [writer, reader] = [(); 2].map(|()| net.client(0));
    net.say(0, writer, &put("p", "s", &[("k", "later", EPOCH + 5000.0)]));
    net.say(0, reader, &get("g", "s"));
    assert_eq!(net.sent(0, reader)[0].get("put"), None);
    net.wait(5_001);
    assert_eq!(net.sent(0, reader)[0]["put"]["s"]["k"], "later");
}

#[test]
fn values_from_the_future_are_bounded() {
    let mut net = Net::with(1, |mut config| {
        config.deferred = 2;
        config
    });
    let link = net.client(0);
    for n in 0..5 {
        net.say(0, link, &put(&format!("p{n}"), &format!("s{n}"), &[("k", "x", EPOCH + 100.0)]));
    }
    let counts = net.peers[0].counters.read();
    assert_eq!((counts.deferred, counts.deferred_dropped), (2, 3));
    net.wait(200);
    let held = (0..5).filter(|n| !net.texts(0, &format!("s{n}")).is_empty()).count();
    assert_eq!(held, 2);
}

#[test]
fn quotas_refuse_and_subscriptions_are_bounded() {
    let limits = GraphLimits::default().bytes_per_origin(1_000);
    let mut net = Net::with(1, |config| config.graph(limits.clone()).subscriptions(2));
    let [writer, reader] = [(); 2].map(|()| net.client(0));
    for soul in ["a", "b", "c"] {
        net.say(0, reader, &get(soul, soul));
    }
    net.sent(0, reader);
    net.say(0, writer, &put("p1", "c", &[("k", "x", 5.0)]));
    assert_eq!(net.sent(0, reader).len(), 0, "a third subscription is none");
    net.say(0, writer, &put("p2", "a", &[("k", &"x".repeat(2_000), 5.0)]));
    let acks = net.sent(0, writer);
    assert_eq!(acks[1]["err"], "Quota exceeded.");
    let counts = net.peers[0].counters.read();
    assert_eq!((counts.quota_refused, counts.subscriptions_refused), (1, 1));
}

#[test]
fn strange_gets_find_nothing_and_opt_is_ignored() {
    let mut net = Net::new(1);
    let link = net.client(0);
    net.say(0, link, &put("p", "s", &[("k", "v", 5.0)]));
    net.sent(0, link);
    for (n, get) in [r##"{"#":{"*":""}}"##, "{}", r##"{"#":""}"##].iter().enumerate() {
        net.say(0, link, &format!(r##"{{"#":"g{n}","get":{get},"%":50000}}"##));
        let sent = net.sent(0, link);
        assert_eq!((sent.len(), sent[0].get("put")), (1, None), "{get}");
    }
    net.say(0, link, r##"{"#":"o","dam":"opt","opt":{"peers":"http://evil/gun"}}"##);
    net.say(0, link, r##"{"#":"m","dam":"mob","peers":{}}"##);
    assert_eq!((net.sent(0, link).len(), net.closed.len()), (0, 0));
}

#[test]
fn an_ack_waits_for_the_disk_and_a_get_for_what_it_holds() {
    let mut net = Net::with(1, |config| config.has_disk(true));
    let link = net.client(0);
    net.say(0, link, &put("p1", "s", &[("k", "new", 7.0)]));
    assert_eq!(net.sent(0, link).len(), 0);
    assert_eq!(net.peers[0].loads, ["s"]);
    let held = |state: f64| NodeDelta {
        soul: "s".into(),
        entries: vec![("k".into(), "old".into(), State::new(state).unwrap())],
    };
    let now = net.now;
    net.peers[0].hub.handle_loaded(held(5.0), now);
    net.collect();
    assert_eq!(net.sent(0, link).len(), 0, "not yet on disk");
    let (batch, writes) = net.peers[0].stores.remove(0);
    assert_eq!(writes.len(), 1);
    // Again the same value: it is no write, but not safe before the first one is.
    net.say(0, link, &put("p2", "s", &[("k", "new", 7.0)]));
    assert_eq!((net.sent(0, link).len(), net.peers[0].stores.len()), (0, 0));
    net.peers[0].hub.handle_stored(batch, true);
    net.collect();
    let acks = net.sent(0, link);
    assert_eq!(acks.len(), 2);
    assert!(acks.iter().all(|ack| ack["ok"] == true));
    // An older value than that of the disk changes nothing.
    net.say(0, link, &get("g", "t"));
    net.say(0, link, &put("p3", "t", &[("k", "older", 3.0)]));
    assert_eq!(net.peers[0].loads, ["s", "t"], "read once for both");
    net.peers[0].hub.handle_loaded(NodeDelta { soul: "t".into(), ..held(5.0) }, now);
    net.collect();
    let sent = net.sent(0, link);
    assert_eq!(sent[0]["put"]["t"]["k"], "old");
    assert_eq!(sent[1]["ok"], true);
    // What the disk does not take is not acknowledged.
    net.say(0, link, &put("p4", "s", &[("k", "newer", 9.0)]));
    let (batch, _) = net.peers[0].stores.remove(0);
    net.peers[0].hub.handle_stored(batch, false);
    net.collect();
    assert_eq!(net.sent(0, link)[0]["err"], "Disk error.");
    assert_eq!(net.peers[0].counters.read().disk_errors, 1);
}

#[test]
fn what_is_too_large_for_memory_is_refused_and_does_not_run_for_ever() {
    let limits = GraphLimits::default().bytes(1_000);
    let mut net = Net::with(1, |config| config.has_disk(true).graph(limits.clone()));
    let link = net.client(0);
    let node = |soul: &str| NodeDelta {
        soul: soul.into(),
        entries: vec![("k".into(), "x".repeat(1_000).as_str().into(), State::new(1.0).unwrap())],
    };
    net.say(0, link, r##"{"#":"p","put":{"a":{"_":{"#":"a",">":{"j":1}},"j":1},"b":{"_":{"#":"b",">":{"j":1}},"j":1}}}"##);
    for _ in 0..20 {
        for soul in std::mem::take(&mut net.peers[0].loads) {
            let now = net.now;
            net.peers[0].hub.handle_loaded(node(&soul.to_string()), now);
            net.collect();
        }
    }
    assert_eq!(net.sent(0, link)[0]["err"], "Busy.");
}

#[test]
fn a_disk_that_does_not_keep_up_bounds_what_waits_for_it_in_bytes() {
    let limit = 100_000;
    let mut net = Net::with(1, |config| config.has_disk(true).jobs_bytes(limit));
    let link = net.client(0);
    let value = "x".repeat(1_000);
    let flood = |net: &mut Net, name: &str, soul: &dyn Fn(usize) -> String| {
        for n in 0..300 {
            let (id, soul) = (format!("{name}{n}"), soul(n));
            net.say(0, link, &put(&id, &soul, &[(&*format!("k{n}"), &*value, 7.0)]));
        }
    };
    // Nodes that are not in memory: each put waits until its node is read.
    flood(&mut net, "a", &|n| format!("s{n}"));
    let parked = net.peers[0].loads.len();
    assert!((50..100).contains(&parked), "{parked} wait");
    let refused = net.sent(0, link);
    assert_eq!(refused.len(), 300 - parked);
    assert!(refused.iter().all(|ack| ack["err"] == "Busy."));
    // The own process is told so, too, and may try again.
    let own = net.put(0, "own", "k", &value.repeat(2), 0.0);
    assert_eq!(net.outcome(0, own), Some(&Outcome::Put(Err(PutError::Busy))));
    for soul in std::mem::take(&mut net.peers[0].loads) {
        net.peers[0].hub.handle_loaded(NodeDelta { soul, entries: Vec::new() }, net.now);
    }
    net.collect();
    assert!(net.peers[0].stores.len() >= parked, "all that waited are written");
    // Now one node that is in memory: its writes wait for the disk.
    flood(&mut net, "b", &|_| "s0".to_owned());
    let batches = net.peers[0].stores.len();
    assert!(batches < 100, "{batches} wait");
    assert!(net.peers[0].hub.stores.bytes <= limit);
    let busy = net.peers[0].counters.read().busy;
    assert!(busy >= 500, "{busy}");
    // What is held is given all the same.
    net.sent(0, link);
    net.say(0, link, &get("g", "s0"));
    assert_eq!(net.sent(0, link)[0]["@"], "g");
    // And once the disk has caught up, there is room.
    for (batch, _) in std::mem::take(&mut net.peers[0].stores) {
        net.peers[0].hub.handle_stored(batch, true);
    }
    assert_eq!((net.peers[0].hub.jobs.bytes, net.peers[0].hub.stores.bytes), (0, 0));
    net.collect();
    net.sent(0, link);
    net.say(0, link, &put("c", "s0", &[("c", "x", 7.0)]));
    assert_eq!(net.peers[0].stores.len(), 1);
    assert_eq!(net.peers[0].counters.read().busy, busy);
}
