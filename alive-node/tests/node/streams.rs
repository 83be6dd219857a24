//! Renditions, the routes of 2021, and our own ones with their events.

use std::{fs, path::Path};

use alive_core::{ContentId, Segment, backend::SharedStorage, memory::MemoryStorage};
use alive_node::{Backends, PlaylistConfig, SharedContentReader};
use alive_playlist::MultivariantPlaylist;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
};

use crate::support::{Answer, Bench, config, configure, end, names, push_segment, segments};

const FOLDERS: [(&str, &str); 3] = [("src", "src"), ("240", "240p"), ("480", "480p")];

/// A recorded stream of three renditions that the node has.
async fn recorded() -> Bench {
    let content = alive_storage::MemoryStorage::default();
    let reader = SharedContentReader::new(content.clone());
    let storage = MemoryStorage::default();
    let more = move |backends: Backends| backends.content(reader);
    let mut bench = Bench::over(config(), storage.clone(), SharedStorage::new(storage), more).await;
    let media = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/abr-3"));
    let mut payloads = vec![configure()];
    for number in 0..6 {
        let mut fields = Vec::new();
        for (name, folder) in FOLDERS {
            let data = fs::read(media.join(folder).join(format!("stream{number}.ts"))).unwrap();
            let id: ContentId =
                alive_core::backend::Storage::put(&content, data.into()).await.unwrap();
            fields.push(format!(r#""{name}":"{id}""#));
        }
        let fields = fields.join(",");
        payloads.push(format!(r#"{{"op":0,"link":"s","seq":{number},"len":10,{fields}}}"#));
    }
    bench.block(&payloads).await;
    bench.list_until("/stream/alice/s", |list| list.listed().len() == 6).await;
    bench
}

#[tokio::test]
async fn renditions_are_described_as_their_segments_are() {
    let bench = recorded().await;
    let answer = bench.get("/stream/alice/s/master.m3u8?gw=https://gw.example/a").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/vnd.apple.mpegurl")
    );
    assert_eq!(answer.header("cache-control"), "public, max-age=6");
    let list = MultivariantPlaylist::read(&answer.body).unwrap();
    let described: Vec<_> = list
        .variants
        .iter()
        .map(|variant| {
            let size = variant.resolution.unwrap();
            (variant.codecs.as_ref().unwrap().as_str(), (size.width, size.height))
        })
        .collect();
    let want = [
        ("avc1.4d401f,mp4a.40.2", (1280, 720)),
        ("avc1.4d4015,mp4a.40.2", (426, 240)),
        ("avc1.4d4016,mp4a.40.2", (854, 480)),
    ];
    assert_eq!(described, want);
    // What the recorder wrote is 13200 for each.
    assert!(list.variants.iter().all(|variant| variant.bandwidth > 30_000));
    assert!(list.variants[0].average_bandwidth > list.variants[1].average_bandwidth);

    let uris: Vec<_> = list.variants.iter().map(|variant| variant.uri.as_str()).collect();
    let gateway = "&gw=https%3A%2F%2Fgw%2Eexample%2Fa";
    let uri = |quality: &str| format!("../../alice/s.m3u8?quality={quality}{gateway}");
    assert_eq!(uris, [uri("src"), uri("240"), uri("480")]);
    for uri in uris {
        let path = format!("/stream{}", uri.strip_prefix("../..").unwrap());
        let media = bench.get(&path).await;
        assert_eq!((media.status, media.listed().len()), (200, 6), "{path}");
        assert!(media.text().contains("https://gw.example/a/ipfs/"));
    }
    let again = bench.get("/stream/alice/s/master?gw=https://gw.example/a").await;
    assert_eq!(again.body, answer.body, "nothing is measured twice");
    let same = [("If-None-Match", again.header("etag"))];
    let same = bench.ask("GET", "/stream/alice/s/master?gw=https://gw.example/a", &same).await;
    assert_eq!(same.status, 304);
    let refused = bench.get("/stream/alice/s/master?gw=https://x%0a%23EXT").await;
    assert_eq!(refused.status, 400);
    assert_eq!(bench.get("/stream/alice/t/master").await.status, 404);
}

#[tokio::test]
async fn renditions_that_are_not_here_have_the_usual_rates() {
    let mut bench = Bench::start().await;
    let all = segments(0..2);
    let (src, low) = (all[0].content, all[1].content);
    let push = format!(r#"{{"op":0,"link":"s","seq":0,"src":"{src}","len":4,"480":"{low}"}}"#);
    bench.block(&[configure(), push]).await;
    let answer = bench.get("/stream/alice/s/master").await;
    let list = MultivariantPlaylist::read(&answer.body).unwrap();
    let rates: Vec<_> = list.variants.iter().map(|v| (v.bandwidth, v.codecs.is_some())).collect();
    assert_eq!(rates, [(6_000_000, false), (1_400_000, false)]);
}

#[tokio::test]
async fn the_shape_of_2021_is_answered() {
    let mut bench = Bench::start().await;
    let all: Vec<Segment> = segments(0..3);
    let chunk = bench.chunk(&all[..2]).await;
    bench.block(&[configure(), crate::support::push(0, chunk), push_segment(1, &all[2])]).await;
    bench.list_until("/stream/alice/s", |list| list.listed().len() == 3).await;
    let info = bench.get("/streaminfo/alice/s").await.json();
    let created = info["createdTs"].as_i64().unwrap();
    let want = json!({
        "_id": "alice/s", "author": "alice", "link": "s", "pub": null, "createdTs": created,
        "lastTs": created, "ended": false, "len": 30.0, "segmentCount": 3, "chunkCount": 1,
    });
    assert_eq!(info, want);
    assert_eq!(created % 1000, 0);
    let none = bench.get("/streaminfo/alice/t").await;
    assert_eq!((none.status, none.body.len()), (404, 0));
}

#[tokio::test]
async fn segments_are_told_page_by_page() {
    let mut bench = Bench::start().await;
    bench.block(&[configure()]).await;
    bench.live(&segments(0..5)).await;
    bench.list_until("/stream/alice/s", |list| list.listed().len() == 5).await;
    let page = bench.get("/v1/streams/alice/s/segments?from=3").await.json();
    assert_eq!((&page["count"], &page["ended"]), (&json!(5), &json!(false)));
    let rows = page["segments"].as_array().unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["number"].as_u64().unwrap(), row["content"].as_str().unwrap().to_owned()))
        .collect();
    let all = names(&segments(0..5));
    assert_eq!(told, [(3, all[3].clone()), (4, all[4].clone())]);
    let behind = bench.get("/v1/streams/alice/s/segments?from=99").await.json();
    assert_eq!(behind["segments"], json!([]));
    for bad in ["x", "-1", "%2B1", "18446744073709551616", "1&from=2"] {
        let answer = bench.get(&format!("/v1/streams/alice/s/segments?from={bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    assert_eq!(bench.get("/v1/streams/alice/t/segments").await.status, 404);
}

/// A client of server-sent events.
struct Listener(Lines<BufReader<TcpStream>>);

impl Listener {
    async fn start(bench: &Bench, path: &str) -> Self {
        let mut stream = TcpStream::connect(bench.node.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut head = Vec::new();
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if line.is_empty() {
                break;
            }
            head.push(line.to_lowercase());
        }
        assert!(head[0].contains("200"), "{head:?}");
        assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
        assert!(head.contains(&"access-control-allow-origin: *".to_owned()), "{head:?}");
        Self(lines)
    }

    /// The next event and its data; `None` when there are no more.
    async fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        while let Ok(Some(line)) = self.0.next_line().await {
            // The chunk of no bytes is the end of the answer; the connection stays.
            if line == "0" {
                return None;
            }
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
        None
    }
}

#[tokio::test]
async fn events_of_a_list_tell_its_segments_and_its_end() {
    let mut bench = Bench::start().await;
    bench.block(&[configure()]).await;
    let mut listener = Listener::start(&bench, "/v1/streams/alice/s/events").await;
    let (name, data) = listener.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &data["segments"], &data["ended"]),
        ("list", &json!(0), &json!(false))
    );
    bench.live(&segments(0..1)).await;
    assert_eq!(listener.next().await.unwrap().1["segments"], json!(1));
    bench.block(&[push_segment(0, &segments(0..1)[0]), end()]).await;
    let last = loop {
        match listener.next().await {
            Some((_, data)) if data["ended"] == json!(true) => break data,
            Some(_) => {}
            None => panic!("the end was not told"),
        }
    };
    assert_eq!(last["segments"], json!(1));
    assert_eq!(listener.next().await, None, "nothing follows the end");
}

#[tokio::test]
async fn events_of_a_list_go_on_when_it_had_to_make_room() {
    // Room for one list alone, whoever waits for others.
    let config = config().playlists(PlaylistConfig::default().max_bytes(1));
    let mut bench = Bench::with(config).await;
    let all = segments(0..3);
    let other = push_segment(0, &all[0]).replace(r#""s""#, r#""t""#);
    let payloads = [configure(), configure().replace(r#""s""#, r#""t""#), other];
    bench.block(&payloads).await;
    let mut listener = Listener::start(&bench, "/v1/streams/alice/s/events").await;
    assert_eq!(listener.next().await.unwrap().1["segments"], json!(0));
    for count in 1..=all.len() {
        bench.list_until("/stream/alice/t", |list| list.listed().len() == 1).await;
        bench.live(&all[count - 1..count]).await;
        assert_eq!(listener.next().await.unwrap().1["segments"], json!(count));
    }
    bench.list_until("/stream/alice/t", |list| list.listed().len() == 1).await;
    bench.block(&[end()]).await;
    assert_eq!(listener.next().await.unwrap().1["ended"], json!(true));
    assert_eq!(listener.next().await, None, "nothing follows the end");
}

#[tokio::test]
async fn events_of_the_node_tell_changes_ends_and_reorganisations() {
    let mut bench = Bench::start().await;
    let mut listener = Listener::start(&bench, "/v1/events").await;
    bench.block(&[configure()]).await;
    let stream = json!({ "stream": "hive/alice/s" });
    assert_eq!(listener.next().await, Some(("stream".to_owned(), stream.clone())));
    bench.block(&[end()]).await;
    assert_eq!(listener.next().await, Some(("stream".to_owned(), stream.clone())));
    assert_eq!(listener.next().await, Some(("end".to_owned(), stream)));
    bench.undo(1).await;
    let mut told = Vec::new();
    while !told.iter().any(|name| name == "undo") {
        let (name, data) = listener.next().await.unwrap();
        if name == "undo" {
            assert_eq!(data["network"], json!("hive"));
        }
        told.push(name);
    }
    bench.node.shutdown().await;
    assert_eq!(listener.next().await, None, "listeners end with the node");
}

#[tokio::test]
async fn the_renditions_of_an_ended_stream_stay() {
    let mut bench = recorded().await;
    let live = bench.get("/stream/alice/s/master").await;
    bench.block(&[end()]).await;
    bench.list_until("/stream/alice/s", Answer::ended).await;
    assert_eq!(bench.get("/stream/alice/s/master").await.body, live.body);
}
