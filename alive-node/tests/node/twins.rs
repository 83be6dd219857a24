//! One stream on two networks at one node.

use alive_core::{
    Network, Renditions, StreamId, Timestamp,
    backend::{LiveCache as _, LiveSegment, SharedBlockSource, SharedStorage},
    memory::{MemoryChain, MemoryStorage},
};
use serde_json::{Value, json};

use crate::support::{Bench, config, end, names, push, push_segment, segments};

/// Alice's stream on Hive names another.
const NAMES_AVALON: &str = r#"{"op":2,"link":"s","also":"avalon/bob/show"}"#;
const LIST: &str = "/stream/alice/s";

/// A node over Hive and Avalon.
async fn both() -> (Bench, MemoryChain) {
    let avalon = MemoryChain::new(Network::avalon());
    let storage = MemoryStorage::default();
    let source = SharedBlockSource::new(avalon.clone());
    let chunks = SharedStorage::new(storage.clone());
    (Bench::over(config(), storage, chunks, |backends| backends.source(source)).await, avalon)
}

/// Makes a block of Avalon with these payloads of bob, about his stream `show`.
fn avalon_block(avalon: &MemoryChain, payloads: &[String]) {
    for payload in payloads {
        let payload = payload.replace(r#""link":"s""#, r#""link":"show""#);
        assert!(avalon.submit("bob".parse().unwrap(), payload));
    }
    avalon.produce(Timestamp::from_unix_secs(1_700_000_000));
}

fn names_hive() -> String {
    r#"{"op":2,"link":"s","also":"hive/alice/s"}"#.to_owned()
}

/// Which push of which chain attests each segment of the list.
async fn attested(bench: &Bench) -> Vec<Value> {
    let page = bench.get("/v1/streams/alice/s/segments").await.json();
    page["segments"].as_array().unwrap().iter().map(|row| row["attested"].clone()).collect()
}

#[tokio::test]
async fn two_that_name_each_other_are_one_list_that_goes_on_when_one_chain_stops() {
    let (mut bench, avalon) = both().await;
    let all = segments(0..5);
    bench.block(&[NAMES_AVALON.to_owned(), push_segment(0, &all[0])]).await;
    let alone = bench.list_until(LIST, |list| list.status == 200).await;
    assert_eq!(alone.listed(), names(&all[..1]));
    assert_eq!(attested(&bench).await, [json!({"hive": 0})]);
    // The twin appears while the list is watched.
    let chunk = bench.chunk(&all[..3]).await;
    avalon_block(&avalon, &[names_hive(), push(0, chunk)]);
    let list = bench.list_until(LIST, |list| list.listed().len() == 3).await;
    assert_eq!(list.listed(), names(&all[..3]));
    assert_eq!(
        attested(&bench).await,
        [json!({"hive": 0, "avalon": 0}), json!({"avalon": 0}), json!({"avalon": 0})]
    );
    // Hive has stopped; Avalon goes on, and ends.
    avalon_block(&avalon, &[push_segment(1, &all[3])]);
    bench.list_until(LIST, |list| list.listed().len() == 4).await;
    avalon_block(&avalon, &[push_segment(2, &all[4]), end()]);
    let archive = bench.list_until(LIST, super::support::Answer::ended).await;
    assert_eq!(archive.listed(), names(&all));
    // Hive is back and catches up.
    let rest = bench.chunk(&all[1..5]).await;
    bench.block(&[push(1, rest), end()]).await;
    loop {
        let attested = attested(&bench).await;
        if attested.iter().all(|attested| attested.get("hive").is_some()) {
            assert_eq!(attested[4], json!({"hive": 1, "avalon": 2}));
            break;
        }
    }
    assert_eq!(bench.get(LIST).await.listed(), names(&all));
}

#[tokio::test]
async fn a_stream_cannot_make_itself_part_of_another() {
    let (mut bench, avalon) = both().await;
    let (ours, theirs) = (segments(0..2), segments(7..9));
    // Alice names nobody; bob says that he is alice.
    bench.block(&[r#"{"op":2,"link":"s"}"#.to_owned(), push_segment(0, &ours[0])]).await;
    avalon_block(&avalon, &[names_hive(), push_segment(0, &theirs[0])]);
    // Carol is named and says nothing about it.
    let named = r#"{"op":2,"link":"s","also":"avalon/carol/show"}"#.to_owned();
    avalon.submit("carol".parse().unwrap(), r#"{"op":2,"link":"show"}"#.to_owned());
    let seg = push_segment(0, &theirs[1]).replace(r#""link":"s""#, r#""link":"show""#);
    avalon.submit("carol".parse().unwrap(), seg);
    avalon_block(&avalon, &[push_segment(1, &theirs[1])]);
    bench.block(&[named, push_segment(1, &ours[1])]).await;
    let list = bench.list_until(LIST, |list| list.listed().len() >= 2).await;
    assert_eq!(list.listed(), names(&ours));
    assert_eq!(attested(&bench).await, [json!({"hive": 0}), json!({"hive": 1})]);
}

#[tokio::test]
async fn names_that_are_taken_back_end_it_and_an_undone_block_brings_it_back() {
    let (mut bench, avalon) = both().await;
    let all = segments(0..3);
    bench.block(&[NAMES_AVALON.to_owned(), push_segment(0, &all[0])]).await;
    avalon_block(&avalon, &[names_hive(), push_segment(0, &all[0]), push_segment(1, &all[1])]);
    bench.list_until(LIST, |list| list.listed().len() == 2).await;
    bench.block(&[r#"{"op":2,"link":"s","also":""}"#.to_owned()]).await;
    loop {
        // What is listed of a live stream stays listed.
        if attested(&bench).await == [json!({"hive": 0}), json!({})] {
            break;
        }
    }
    assert_eq!(bench.get(LIST).await.listed(), names(&all[..2]));
    bench.undo(1).await;
    loop {
        if attested(&bench).await == [json!({"hive": 0, "avalon": 0}), json!({"avalon": 1})] {
            break;
        }
    }
}

#[tokio::test]
async fn live_segments_come_under_either_name() {
    let (mut bench, avalon) = both().await;
    let all = segments(0..3);
    bench.block(&[NAMES_AVALON.to_owned()]).await;
    avalon_block(&avalon, &[names_hive(), push_segment(0, &all[0])]);
    bench.list_until(LIST, |list| list.status == 200 && list.listed().len() == 1).await;
    let twin: StreamId = "avalon/bob/show".parse().unwrap();
    for segment in &all[..2] {
        let at = Timestamp::from_unix_secs(1_700_000_001);
        let segment = LiveSegment { segment: *segment, renditions: Renditions::default(), at };
        bench.live.push(&twin, segment).await.unwrap();
    }
    bench.live(&all[..3]).await;
    let list = bench.list_until(LIST, |list| list.listed().len() == 3).await;
    assert_eq!(list.listed(), names(&all));
    let chain_only = bench.get("/stream/alice/s?l1only=1").await;
    assert_eq!(chain_only.listed(), names(&all[..1]));
}
