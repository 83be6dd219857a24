//! The HTTP face, over a real socket.

use std::time::Duration;

use alive_core::{
    backend::{SharedAccountKeys, SharedStorage, SharedStreamStore},
    memory::{MemoryAccountKeys, MemoryStorage, MemoryStreamStore},
    testing::{Call, Fault, Flaky},
};
use alive_node::{Backends, ServerLimits};
use proptest::prelude::*;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{Bench, config, configure, names, push_segment, segments};

async fn with_a_stream() -> Bench {
    let mut bench = Bench::start().await;
    bench.block(&[configure(), push_segment(0, &segments(0..1)[0])]).await;
    bench
}

#[tokio::test]
async fn parameters_that_ended_the_original_name_nothing() {
    let bench = with_a_stream().await;
    let cases = [
        ("/get_stream_info?stream_author=alice&stream_link=%00", 200, "Stream does not exist"),
        ("/get_stream_info?stream_author=%00&stream_link=s", 200, "Streamer does not exist"),
        ("/get_stream_info?stream_author=alice%00&stream_link=s", 200, "Streamer does not exist"),
        ("/get_stream_chunks?stream_author=alice&stream_link=%ff%fe", 200, "Stream does not exist"),
        ("/get_stream_chunks?stream_author=%c3%28&stream_link=s", 200, "Streamer does not exist"),
        ("/stream/alice/%00", 404, "stream not found"),
        ("/stream/%00/s", 404, "stream not found"),
        ("/stream/alice/%ff", 404, "stream not found"),
        ("/stream/alice/%ff/health", 404, "stream not found"),
        ("/stream/alice/s.m3u8/health", 404, "stream not found"),
        ("/stream/alice/s.m3u8.m3u8", 404, "stream not found"),
        ("/nowhere", 404, "not found"),
        ("/stream/alice", 404, "not found"),
    ];
    for (path, status, error) in cases {
        let answer = bench.get(path).await;
        assert_eq!((answer.status, &answer.json()), (status, &json!({ "error": error })), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
    }
    assert_eq!(bench.get("/").await.json(), json!({"db_version": 1, "last_processed_block": 1}));
}

#[tokio::test]
async fn a_gateway_cannot_inject_anything() {
    let bench = with_a_stream().await;
    let name = &names(&segments(0..1))[0];
    let good = bench.get("/stream/alice/s?gw=https://gw.example/x//").await;
    assert!(good.text().contains(&format!("\nhttps://gw.example/x/ipfs/{name}?filename=0.ts\n")));
    assert_ne!(good.header("etag"), bench.get("/stream/alice/s").await.header("etag"));
    for bad in [
        "https://x%0a%23EXT-X-ENDLIST",
        "javascript:alert(1)",
        "https://a@b",
        "https://x?y",
        "",
        "%ff",
        "%00",
        "https://a&gw=https://b",
        &format!("https://{}", "x".repeat(93)),
    ] {
        let answer = bench.get(&format!("/stream/alice/s?gw={bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.json()["error"].as_str().unwrap().starts_with("gw: "), "{bad}");
    }
}

#[tokio::test]
async fn who_has_the_list_is_told_so() {
    let bench = with_a_stream().await;
    let path = "/stream/alice/s.m3u8";
    let whole = bench.get(path).await;
    let etag = whole.header("etag").to_owned();
    for known in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let same = bench.ask("GET", path, &[("If-None-Match", &known)]).await;
        assert_eq!((same.status, same.body.len()), (304, 0), "{known}");
        assert_eq!(same.header("etag"), etag);
        assert_eq!(same.header("cache-control"), "public, max-age=1");
    }
    let other = bench.ask("GET", path, &[("If-None-Match", "\"other\"")]).await;
    assert_eq!((other.status, other.body), (200, whole.body.clone()));
    let head = bench.ask("HEAD", path, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-length", "content-type", "etag", "x-alive-health"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
        assert!(!head.header(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn pages_of_any_origin_may_read_and_nobody_may_write() {
    let bench = with_a_stream().await;
    let asked = [
        ("Origin", "https://page.example"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "range"),
    ];
    let preflight = bench.ask("OPTIONS", "/stream/alice/s", &asked).await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert!(preflight.header("access-control-allow-headers").contains("range"));
    let list = bench.get("/stream/alice/s").await;
    assert!(list.header("access-control-expose-headers").contains("x-alive-health"));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = bench.ask(method, "/stream/alice/s", &[("Content-Length", "0")]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method}");
    }
}

#[tokio::test]
async fn accounts_that_the_chain_knows_exist_without_a_stream() {
    let keys = MemoryAccountKeys::new(alive_core::Network::hive());
    keys.set("carol".parse().unwrap(), alive_core::backend::AccountAuthority::default());
    let keys = Flaky::new(keys, |call: Call| match call.number {
        2 => Fault::Unavailable,
        _ => Fault::Pass,
    });
    let storage = MemoryStorage::default();
    let accounts = keys.clone();
    let more = move |backends: Backends| backends.accounts(SharedAccountKeys::new(accounts));
    let bench = Bench::over(config(), storage.clone(), SharedStorage::new(storage), more).await;
    let ask = |author: &str| format!("/get_stream_info?stream_author={author}&stream_link=s");
    let carol = json!({"error": "Stream does not exist"});
    let nobody = json!({"error": "Streamer does not exist"});
    for _ in 0..3 {
        assert_eq!(bench.get(&ask("carol")).await.json(), carol);
        assert_eq!(bench.get(&ask("nobody")).await.json(), nobody);
    }
    assert_eq!(keys.calls(), 2, "the chain is not asked for every request");
    let failed = bench.get(&ask("somebody")).await;
    assert_eq!((failed.status, failed.header("retry-after")), (503, "2"));
    assert_eq!(bench.get(&ask("somebody")).await.json(), nobody);
}

#[tokio::test]
async fn a_store_that_is_gone_is_told_and_comes_back() {
    let gone = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = std::sync::Arc::clone(&gone);
    let store = Flaky::new(MemoryStreamStore::default(), move |_: Call| {
        if switch.load(std::sync::atomic::Ordering::Relaxed) {
            Fault::Unavailable
        } else {
            Fault::Pass
        }
    });
    let storage = MemoryStorage::default();
    let more = move |backends: Backends| {
        let mut backends = backends;
        backends.store = SharedStreamStore::new(store);
        backends
    };
    let mut bench = Bench::over(config(), storage.clone(), SharedStorage::new(storage), more).await;
    bench.block(&[configure(), r#"{"op":2,"link":"t"}"#.to_owned()]).await;
    let watched = bench.get("/stream/alice/s").await;
    assert_eq!(watched.status, 200);
    gone.store(true, std::sync::atomic::Ordering::Relaxed);
    for path in ["/", "/stream/alice/t", "/get_stream_info?stream_author=alice&stream_link=s"] {
        let answer = bench.get(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{path}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(bench.get("/stream/alice/s").await.body, watched.body, "what is ready is served");
    gone.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(bench.get("/stream/alice/t").await.status, 200);
}

#[tokio::test]
async fn requests_beyond_the_limits_are_refused() {
    let bench = with_a_stream().await;
    let long = bench.get(&format!("/?{}", "x".repeat(9000))).await;
    assert_eq!(long.status, 414);
    let huge = format!("GET /?{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    assert!(!bench.exchange(huge.as_bytes()).await.starts_with(b"HTTP/1.1 200"));
    let headers: Vec<_> = (0..100).map(|n| format!("x-{n}: 1")).collect();
    let headers = headers.join("\r\n");
    let many =
        bench.exchange(format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n").as_bytes()).await;
    assert!(many.starts_with(b"HTTP/1.1 431"), "{:?}", String::from_utf8_lossy(&many));
    let body = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n{}",
        "x".repeat(1000)
    );
    assert!(bench.exchange(body.as_bytes()).await.starts_with(b"HTTP/1.1 200"));
    assert_eq!(bench.get("/").await.status, 200);
}

#[tokio::test]
async fn clients_that_dawdle_lose_their_place() {
    let limits = ServerLimits::default().head_timeout(Duration::from_millis(20)).connections(3);
    let bench = Bench::with(config().limits(limits)).await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(bench.node.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        slow.push(stream);
    }
    // It would wait for ever if the ten were never closed.
    assert_eq!(bench.get("/").await.status, 200);
}

#[tokio::test]
async fn clients_that_take_nothing_lose_their_place() {
    let limits = ServerLimits::default().write_timeout(Duration::from_millis(20)).connections(1);
    let storage = MemoryStorage::default();
    let content = alive_storage::MemoryStorage::default();
    let id = alive_core::backend::Storage::put(&content, vec![7; 32 << 20].into()).await.unwrap();
    let content = alive_node::SharedContentReader::new(content);
    let more = move |backends: Backends| backends.content(content);
    let config = config().limits(limits);
    let bench = Bench::over(config, storage.clone(), SharedStorage::new(storage), more).await;
    let mut greedy = TcpStream::connect(bench.node.address()).await.unwrap();
    let request = format!("GET /ipfs/{id} HTTP/1.1\r\nHost: x\r\n\r\n");
    greedy.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(bench.get("/").await.status, 200);
    drop(greedy);
}

#[tokio::test]
async fn answers_under_way_are_finished_before_it_stops() {
    let bench = with_a_stream().await;
    let address = bench.node.address();
    let idle = TcpStream::connect(address).await.unwrap();
    assert_eq!(bench.get("/").await.status, 200);
    bench.node.shutdown().await;
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// Paths and queries made of what could hurt.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just("stream".to_owned()),
        Just("alice".to_owned()),
        Just("s.m3u8".to_owned()),
        Just("s".to_owned()),
        Just("health".to_owned()),
        Just("ipfs".to_owned()),
        Just("get_stream_info".to_owned()),
        Just("get_stream_chunks".to_owned()),
        Just("?".to_owned()),
        Just("&".to_owned()),
        Just("=".to_owned()),
        Just("stream_author=alice".to_owned()),
        Just("stream_link=s".to_owned()),
        Just("gw=https://x".to_owned()),
        Just("quality=240".to_owned()),
        Just("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".to_owned()),
        Just("..".to_owned()),
        Just("%2e%2e%2f".to_owned()),
        Just("%00".to_owned()),
        Just("%0d%0a".to_owned()),
        any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        "[!-~]{0,20}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_request_stops_it(
        paths in prop::collection::vec(hostile(), 60),
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = with_a_stream().await;
            for path in &paths {
                let answer = bench.get(path).await;
                prop_assert!(answer.status < 500, "{path}: {answer:?}");
            }
            for noise in &noise {
                let mut stream = TcpStream::connect(bench.node.address()).await.unwrap();
                // Broken off where it is, or behind something that may end a head.
                let _ = stream.write_all(noise).await;
                let _ = stream.write_all(b"\r\n\r\n").await;
            }
            prop_assert_eq!(bench.get("/stream/alice/s").await.status, 200);
            Ok(())
        })?;
    }
}
