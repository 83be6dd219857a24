//! The routes that clients of the original know, each with its shape and its faults repaired. Source:
//! `spec/indexer.md`, section 5.

use serde_json::json;

use crate::support::{Bench, configure, content, end, push, segments};

const ASKED: &str = "stream_author=alice&stream_link=s";

async fn streamed() -> Bench {
    let mut bench = Bench::start().await;
    let configure = configure().replace('}', r#","pub":"key","gw":"https://gw.example"}"#);
    bench.block(&[configure]).await;
    let segment = format!(r#"{{"op":0,"link":"s","seq":0,"src":"{}","len":10.033}}"#, content(0));
    let chunk = bench.chunk(&segments(1..3)).await;
    bench.block(&[segment, push(1, chunk), push(5, chunk)]).await;
    bench
}

#[tokio::test]
async fn info_and_chunks_have_all_fields_in_both_forms() {
    let bench = streamed().await;
    let info = json!({
        "id": 1, "link": "s", "ended": false, "st_id": 0, "l2_pub": "key", "created": "2023-11-14T22:13:23",
        "streamer": "alice", "chunk_head": 5, "storage_gw": "https://gw.example", "l2_protocol": null,
        "last_updated": "2023-11-14T22:13:23", "last_streamed": "2023-11-14T22:13:26",
        "first_streamed": "2023-11-14T22:13:26", "chunk_finalized": 1, "storage_protocol": "ipfs"
    });
    for root in ["", "/rpc"] {
        let answer = bench.get(&format!("{root}/get_stream_info?{ASKED}&more=1")).await;
        assert_eq!((answer.status, answer.json()), (200, info.clone()), "{root}");
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
        let missing = bench.get(&format!("{root}/get_stream_chunks?stream_author=alice")).await;
        let error = json!({"error": "stream_author and stream_link are required"});
        assert_eq!((missing.status, missing.json()), (400, error));
        let nobody = format!("{root}/get_stream_chunks?stream_author=bob&stream_link=s");
        assert_eq!(bench.get(&nobody).await.json(), json!({"error": "Streamer does not exist"}));
    }
    let chunks = bench.get(&format!("/get_stream_chunks?{ASKED}")).await;
    let chunk = bench.chunk(&segments(1..3)).await;
    let want = json!({"id": 1, "chunks": [
        {"len": 10.033, "seq": 0, "src_hash": content(0)},
        {"len": null, "seq": 1, "src_hash": chunk},
        {"len": null, "seq": 5, "src_hash": chunk},
    ]});
    assert_eq!(chunks.json(), want);
    // The same numbers, but with six decimals.
    let rpc = bench.get(&format!("/rpc/get_stream_chunks?{ASKED}")).await;
    assert_eq!(rpc.json(), want);
    assert!(rpc.text().contains(r#""len":10.033000,"#), "{}", rpc.text());
}

#[tokio::test]
async fn the_list_takes_the_parameters_of_the_original() {
    let mut bench = streamed().await;
    let listed =
        |numbers: &[u8]| numbers.iter().map(|n| content(*n).to_string()).collect::<Vec<_>>();
    let whole = bench.list_until("/stream/alice/s", |list| list.listed().len() == 3).await;
    assert_eq!(whole.listed(), listed(&[0, 1, 2]), "what is above the gap waits");
    assert!(whole.text().contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"));
    assert!(whole.text().contains("\n#EXTINF:10.033"));
    assert_eq!(whole.header("content-type"), "application/vnd.apple.mpegurl");
    // `fetchtimeout` never did anything; `l1only` leaves out what the chain does not have.
    bench.live(&segments(7..8)).await;
    let live = |path: &'static str| bench.list_until(path, |list| !list.listed().is_empty());
    assert_eq!(live("/stream/alice/s?l1only=1").await.listed(), listed(&[0, 1, 2]));
    let same = live("/stream/alice/s?l1only=1&fetchtimeout=5").await;
    assert_eq!(same.listed(), listed(&[0, 1, 2]));
    let gateway =
        live("/stream/alice/s?l1only=1&quality=src&gw=https%3A%2F%2Fother.example%2F").await;
    assert!(gateway.text().contains("\nhttps://other.example/ipfs/"), "{}", gateway.text());
    assert_eq!(bench.get("/stream/alice/s?quality=720").await.status, 404);
    assert_eq!(bench.get("/stream/alice/s?quality=best").await.status, 404);
    bench.block(&[end()]).await;
    let ended = bench.list_until("/stream/alice/s?l1only=1", super::support::Answer::ended).await;
    assert!(ended.text().contains("#EXT-X-PLAYLIST-TYPE:VOD\n"));
}
