//! Peers that dial each other.

use super::{net::Net, *};
use crate::gun::{DropReason, NodeDelta, Origin};

#[test]
fn what_is_put_at_a_client_comes_to_one_that_joins_later_and_back() {
    let mut net = Net::new(3);
    net.dial(0, 1);
    net.dial(2, 1);
    let put = net.put(0, "room", "n", "x", 0.0);
    assert_eq!(net.outcome(0, put), None, "not before the relay says so");
    net.settle();
    assert_eq!(net.outcome(0, put), Some(&Outcome::Put(Ok(Stored { elsewhere: true }))));
    let got = net.get(2, Query::node("room"));
    net.settle();
    assert!(matches!(net.outcome(2, got), Some(Outcome::Got(Some(_)))));
    // Now it is told of changes.
    net.put(0, "room", "n", "y", 0.0);
    net.settle();
    assert_eq!(net.texts(2, "room"), [("n".to_owned(), "y".to_owned())]);
    let got = net.get(2, Query::key("room", "n"));
    assert!(matches!(net.outcome(2, got), Some(Outcome::Got(Some(_)))), "without asking again");
}

#[test]
fn what_nobody_has_is_not_found_at_once_and_what_nobody_answers_in_time() {
    let mut net = Net::new(2);
    let (near, _) = net.dial(0, 1);
    let got = net.get(0, Query::node("nothing"));
    net.settle();
    assert_eq!(net.outcome(0, got), Some(&Outcome::Got(None)));
    net.cut(0, near);
    let got = net.get(0, Query::node("other"));
    net.settle();
    assert_eq!(net.outcome(0, got), None, "the relay may come back");
    net.wait(2_001);
    assert_eq!(net.outcome(0, got), Some(&Outcome::Got(None)));
}

#[test]
fn what_was_not_there_is_asked_for_again_however_often_one_looks() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    let got = net.get(0, Query::node("attic"));
    net.settle();
    assert_eq!(net.outcome(0, got), Some(&Outcome::Got(None)));
    // There, and not told: the relay has it from its disk, or lost the message.
    let (now, state) = (net.now, crate::gun::State::new(5.0).unwrap());
    let graph = &mut net.peers[1].hub.graph;
    graph.merge(&"attic".into(), &"n".into(), &"x".into(), state, Origin(1), now.at, now.millis);
    for second in 1..=10 {
        net.wait(1_000);
        let got = net.get(0, Query::node("attic"));
        net.settle();
        let is_found = matches!(net.outcome(0, got), Some(Outcome::Got(Some(_))));
        assert_eq!(is_found, second > 9, "after {second} s");
    }
}

#[test]
fn after_a_broken_connection_all_is_asked_and_put_again() {
    let mut net = Net::new(3);
    let (near, _) = net.dial(0, 1);
    net.dial(2, 1);
    net.peers[0].hub.watch(WatchId(1), "room".into(), net.now);
    net.settle();
    net.cut(0, near);
    let put = net.put(0, "attic", "n", "mine", 0.0);
    net.put(2, "room", "n", "theirs", 0.0);
    net.settle();
    assert!(net.peers[0].changes.is_empty());
    assert_eq!(net.outcome(0, put), None);
    net.wait(9_001);
    assert_eq!(net.outcome(0, put), Some(&Outcome::Put(Err(PutError::NoAck))));
    net.dial(0, 1);
    net.settle();
    assert_eq!(net.peers[0].changes.len(), 1, "what was missed");
    assert_eq!(net.texts(1, "attic"), [("n".to_owned(), "mine".to_owned())]);
}

#[test]
fn a_put_without_an_acknowledgement_is_over_when_the_disk_has_it() {
    let mut net = Net::with(1, |config| config.has_disk(true));
    net.peers[0].hub.set_upstreams(1);
    let put = net.put(0, "room", "n", "mine", 0.0);
    net.settle();
    for soul in std::mem::take(&mut net.peers[0].loads) {
        let node = NodeDelta { soul, entries: Vec::new() };
        net.peers[0].hub.handle_loaded(node, net.now);
    }
    net.settle();
    net.wait(9_001);
    assert_eq!(net.outcome(0, put), None, "the disk is still at it");
    let (batch, _) = net.peers[0].stores.remove(0);
    net.peers[0].hub.handle_stored(batch, true);
    net.settle();
    assert_eq!(net.outcome(0, put), Some(&Outcome::Put(Err(PutError::NoAck))));
}

#[test]
fn a_refusal_comes_back_to_the_writer() {
    let limits = crate::gun::GraphLimits::default().bytes_per_origin(500);
    let mut net = Net::with(2, |config| config.graph(limits.clone()));
    net.dial(0, 1);
    let put = net.put(0, "s", "k", &"x".repeat(1_000), 0.0);
    net.settle();
    let refused = PutError::RefusedThere("Quota exceeded.".into());
    assert_eq!(net.outcome(0, put), Some(&Outcome::Put(Err(refused))));
}

#[test]
fn a_client_keeps_only_what_it_has_asked_for() {
    let mut net = Net::new(2);
    let (_, far) = net.dial(0, 1);
    net.settle();
    let put = r##"{"#":"p","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":1}}}"##;
    let reply = r##"{"#":"r","@":"guess","put":{"t":{"_":{"#":"t",">":{"k":1}},"k":1}}}"##;
    for text in [put, reply] {
        net.peers[1].hub.effects.push_back(Effect::Send { links: vec![far], text: text.into() });
    }
    net.settle();
    assert!(net.texts(0, "s").is_empty() && net.texts(0, "t").is_empty());
    assert_eq!(net.peers[0].counters.read().unasked, 2);
}

#[test]
fn an_answer_that_nobody_asked_for_is_dropped() {
    let mut net = Net::new(1);
    let link = net.client(0);
    net.say(0, link, r##"{"#":"r","@":"x","put":{"t":{"_":{"#":"t",">":{"k":1}},"k":1}}}"##);
    assert!(net.texts(0, "t").is_empty());
}

#[test]
fn a_relay_that_lost_its_graph_asks_those_who_had_asked_for_it() {
    let mut net = Net::new(3);
    net.dial(0, 1);
    net.dial(2, 1);
    net.peers[0].hub.watch(WatchId(1), "room".into(), net.now);
    net.put(0, "room", "n", "x", 0.0);
    net.settle();
    net.peers[1].hub.graph.remove(&"room".into());
    let got = net.get(2, Query::node("room"));
    net.settle();
    assert!(matches!(net.outcome(2, got), Some(Outcome::Got(Some(_)))));
}

#[test]
fn a_peer_that_dials_itself_drops_the_link() {
    let mut net = Net::new(1);
    net.dial(0, 0);
    net.settle();
    assert!(net.closed.iter().any(|(_, _, reason)| *reason == DropReason::Oneself));
    assert_eq!(net.peers[0].hub.links(), 0);
}

#[test]
fn of_two_relays_that_dialled_each_other_one_connection_stays() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.dial(1, 0);
    net.settle();
    assert_eq!(net.closed.len(), 1);
    assert_eq!((net.peers[0].hub.links(), net.peers[1].hub.links()), (1, 1));
    // Both ways it still carries everything.
    net.put(0, "a", "k", "x", 0.0);
    let got = net.get(1, Query::node("a"));
    net.settle();
    assert!(matches!(net.outcome(1, got), Some(Outcome::Got(Some(_)))));
}

#[test]
fn a_stranger_cannot_have_a_dialled_link_closed() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.settle();
    let stranger = net.client(0);
    net.say(0, stranger, r##"{"#":"h","dam":"?","pid":"peer00001"}"##);
    let dropped: Vec<_> = net.closed.iter().map(|(_, link, _)| *link).collect();
    assert_eq!(dropped, [stranger]);
}

#[test]
fn a_peer_that_connects_anew_replaces_its_dead_connection() {
    let mut net = Net::new(2);
    let (_, old) = net.dial(0, 1);
    net.settle();
    // The other end of the first connection has not noticed yet that it is dead.
    let link = LinkId(500);
    net.peers[1].hub.handle_connect(link, Side::Accepted, Origin(7), net.now);
    net.say(1, link, r##"{"#":"h","dam":"?","pid":"peer00000","@":"x"}"##);
    assert_eq!(net.closed, [(1, old, DropReason::AlreadyConnected)]);
}

#[test]
fn a_forged_ack_counts_for_nothing() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.settle();
    let stranger = net.client(0);
    let put = net.put(0, "s", "k", "v", 0.0);
    let id = {
        let (_, _, text) = net.flying.iter().find(|(to, ..)| *to == 1).unwrap();
        serde_json::from_str::<serde_json::Value>(text).unwrap()["#"].clone()
    };
    let ack = serde_json::json!({"#": "a", "@": id, "ok": true}).to_string();
    // Delivered alone, before the relay has seen the put.
    net.flying.push_front((0, stranger, ack.into()));
    net.carry(0);
    assert_eq!(net.outcome(0, put), None);
}

#[test]
fn a_watch_ends() {
    let mut net = Net::new(1);
    net.peers[0].hub.watch(WatchId(1), "s".into(), net.now);
    net.put(0, "s", "k", "1", 2.0);
    net.peers[0].hub.unwatch(WatchId(1));
    net.put(0, "s", "k", "2", 1.0);
    let [(WatchId(1), NodeDelta { entries, .. })] = &net.peers[0].changes[..] else {
        panic!("{:?}", net.peers[0].changes)
    };
    assert_eq!(entries[0].1, "1".into());
}
