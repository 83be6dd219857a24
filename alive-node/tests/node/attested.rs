//! What each chain says of a stream, and whether that can still be taken back.

use alive_core::{
    Network, Timestamp,
    backend::{SharedBlockSource, SharedStorage},
    memory::{MemoryChain, MemoryStorage},
};
use serde_json::{Value, json};

use crate::support::{Bench, config, end, push, push_segment, segments};

const LIST: &str = "/stream/alice/s";

/// A node over Hive and Avalon, where bob's `show` and alice's `s` are one stream.
async fn both() -> (Bench, MemoryChain) {
    let avalon = MemoryChain::new(Network::avalon());
    let storage = MemoryStorage::default();
    let source = SharedBlockSource::new(avalon.clone());
    let chunks = SharedStorage::new(storage.clone());
    let mut bench =
        Bench::over(config(), storage, chunks, |backends| backends.source(source)).await;
    bench.block(&[r#"{"op":2,"link":"s","also":"avalon/bob/show"}"#.to_owned()]).await;
    avalon_block(&avalon, &[r#"{"op":2,"link":"s","also":"hive/alice/s"}"#.to_owned()]);
    (bench, avalon)
}

fn avalon_block(avalon: &MemoryChain, payloads: &[String]) {
    for payload in payloads {
        let payload = payload.replace(r#""link":"s""#, r#""link":"show""#);
        assert!(avalon.submit("bob".parse().unwrap(), payload));
    }
    avalon.produce(Timestamp::from_unix_secs(1_700_000_000));
}

/// Asks until the answer is as wanted.
async fn until(bench: &Bench, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let answer = bench.get(path).await;
        let told = if answer.status == 200 { answer.json() } else { Value::Null };
        if wanted(&told) {
            return told;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_chain_tells_its_own_pushes_and_how_far_they_stand() {
    let (mut bench, avalon) = both().await;
    let all = segments(0..3);
    bench.block(&[push_segment(0, &all[0]), push_segment(1, &all[1])]).await;
    let chunk = bench.chunk(&all).await;
    avalon_block(&avalon, &[push(0, chunk)]);
    bench.list_until(LIST, |list| list.listed().len() == 3).await;
    let info =
        until(&bench, "/v1/streams/alice/s", |info| info["attestations"][1]["pushes"] == 1).await;
    let want = json!([
        {
            "network": "hive", "stream": "hive/alice/s", "number": 1, "pushes": 2, "reversible_pushes": 2,
            "finalized": 1, "head": 1, "ended": false, "last_block": 2, "irreversible_block": 0,
        },
        {
            "network": "avalon", "stream": "avalon/bob/show", "number": 1, "pushes": 1, "reversible_pushes": 1,
            "finalized": 0, "head": 0, "ended": false, "last_block": 2, "irreversible_block": 0,
        },
    ]);
    assert_eq!(info["attestations"], want);
    // The other name tells the same, itself first.
    let other = bench.get("/v1/networks/avalon/streams/bob/show").await.json();
    assert_eq!(other["attestations"], json!([want[1], want[0]]));

    let segments = "/v1/streams/alice/s/segments";
    let rows = bench.get(segments).await.json()["segments"].take();
    let open = |network: &str, seq: u64| json!({"network": network, "seq": seq, "irreversible": false, "block": 2});
    assert_eq!(rows[0]["attestations"], json!([open("hive", 0), open("avalon", 0)]));
    assert_eq!(rows[1]["attestations"], json!([open("hive", 1), open("avalon", 0)]));
    assert_eq!(rows[2]["attestations"], json!([open("avalon", 0)]));

    // Blocks pass that no fork can take back, on one chain only.
    bench.chain.set_irreversible(2);
    bench.block(&[push_segment(2, &all[2])]).await;
    let settled =
        |row: &Value| row["segments"][2]["attestations"].as_array().map(Vec::len) == Some(2);
    let rows = until(&bench, segments, settled).await["segments"].take();
    let kept =
        |seq: u64| json!({"network": "hive", "seq": seq, "irreversible": true, "block": null});
    assert_eq!(rows[0]["attestations"], json!([kept(0), open("avalon", 0)]));
    let newest = json!({"network": "hive", "seq": 2, "irreversible": false, "block": 3});
    assert_eq!(rows[2]["attestations"], json!([newest, open("avalon", 0)]));
    let info = bench.get("/v1/streams/alice/s").await.json();
    let hive = &info["attestations"][0];
    assert_eq!((&hive["reversible_pushes"], &hive["irreversible_block"]), (&json!(1), &json!(2)));

    // What is taken back is attested no more.
    bench.undo(1).await;
    let only = |row: &Value| row["segments"][2]["attestations"] == json!([open("avalon", 0)]);
    until(&bench, segments, only).await;
    let info = bench.get("/v1/streams/alice/s").await.json();
    assert_eq!(info["attestations"][0]["reversible_pushes"], 0);
    assert_eq!(info["attestations"][0]["pushes"], 2);
}

#[tokio::test]
async fn an_end_is_that_of_the_chain_which_is_asked() {
    let (mut bench, avalon) = both().await;
    let all = segments(0..1);
    bench.block(&[push_segment(0, &all[0])]).await;
    avalon_block(&avalon, &[push_segment(0, &all[0]), end()]);
    // The list ends as soon as one chain says so.
    bench.list_until(LIST, crate::support::Answer::ended).await;
    let ended = async |path: &str| bench.get(path).await.json()["ended"].clone();
    assert_eq!(ended("/streaminfo/alice/s").await, false);
    let hive = "/get_stream_info?stream_author=alice&stream_link=s";
    assert_eq!(ended(hive).await, false);
    let info = bench.get("/v1/streams/alice/s").await.json();
    assert_eq!((&info["ended"], &info["attestations"][0]["ended"]), (&json!(false), &json!(false)));
    assert_eq!(info["attestations"][1]["ended"], true);
    assert_eq!(ended("/v1/networks/avalon/streams/bob/show").await, true);
    bench.block(&[end()]).await;
    until(&bench, "/streaminfo/alice/s", |info| info["ended"] == true).await;
}
