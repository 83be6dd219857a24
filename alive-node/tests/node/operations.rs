//! For those who run the node: counts, limits for each address, and who may see what.

use std::num::NonZeroU32;

use alive_node::{NodeConfig, Rate, ServerLimits};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{Answer, Bench, config, configure, end, push_segment, segments};

/// The value of a count; `None` when it was never counted.
fn count(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

async fn metrics(bench: &Bench) -> String {
    let answer = bench.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    answer.text().to_owned()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let mut bench = Bench::start().await;
    bench.block(&[configure(), push_segment(0, &segments(0..1)[0])]).await;
    for _ in 0..3 {
        assert_eq!(bench.get("/stream/alice/s.m3u8").await.status, 200);
    }
    bench.get("/v1/streams/alice/s/chunks").await;
    bench.get("/v1/streams/nobody/s/chunks").await;
    bench.ask("HEAD", "/stream/alice/none", &[]).await;
    bench.ask("BREW", "/some/where/else", &[]).await;
    let text = metrics(&bench).await;
    let playlist = r#"route="/stream/{author}/{link}""#;
    let chunks = r#"route="/v1/streams/{author}/{link}/chunks""#;
    let requests = |route, method, status| {
        let labels = format!("{route},method=\"{method}\",status=\"{status}\"");
        count(&text, &format!("alive_http_requests_total{{{labels}}}"))
    };
    assert_eq!(requests(playlist, "GET", 200), Some(3.0), "{text}");
    assert_eq!(requests(chunks, "GET", 200), Some(1.0));
    assert_eq!(requests(chunks, "GET", 404), Some(1.0));
    assert_eq!(requests(playlist, "HEAD", 404), Some(1.0));
    // What anybody makes up does not make up a count.
    assert_eq!(requests(r#"route="none""#, "other", 404), Some(1.0));
    assert!(!text.contains("BREW") && !text.contains("nobody"));
    assert_eq!(count(&text, &format!("alive_http_request_seconds_count{{{playlist}}}")), Some(4.0));
    assert_eq!(count(&text, r#"alive_index_last_block{network="hive"}"#), Some(1.0));
    assert_eq!(count(&text, r#"alive_index_streams{network="hive"}"#), Some(1.0));
    assert_eq!(count(&text, "alive_playlists"), Some(1.0));
    assert!(count(&text, "alive_http_connections").unwrap() >= 1.0);
    assert!(text.ends_with("# EOF\n"));

    bench.block(&[end()]).await;
    bench.undo(1).await;
    let undone = r#"alive_index_blocks_undone_total{network="hive"}"#;
    while count(&metrics(&bench).await, undone) != Some(1.0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        count(&metrics(&bench).await, r#"alive_index_last_block{network="hive"}"#),
        Some(1.0)
    );
}

#[tokio::test]
async fn metrics_are_for_the_machine_itself_or_have_an_address_of_their_own() {
    let mut bench = Bench::with(config().metrics_address(Some(([127, 0, 0, 1], 0).into()))).await;
    bench.block(&[configure()]).await;
    let stranger = [("X-Forwarded-For", "192.0.2.1")];
    let refused = bench.ask("GET", "/metrics", &stranger).await;
    assert_eq!((refused.status, refused.json()), (404, json!({"error": "not found"})));
    assert_eq!(bench.get("/metrics").await.status, 200);

    let address = bench.node.metrics_address().unwrap();
    assert_ne!(address, bench.node.address());
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Answer::parse(&answer)
    };
    assert!(ask("/metrics").await.text().contains("alive_index_last_block"));
    for path in ["/", "/stream/alice/s", "/v1/streams"] {
        assert_eq!(ask(path).await.status, 404, "{path}");
    }
    bench.node.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

fn rarely() -> NodeConfig {
    let number = |number| NonZeroU32::new(number).unwrap();
    config().limits(
        ServerLimits::default().rate(Some(Rate { per_second: number(1), burst: number(3) })),
    )
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_to_wait() {
    let mut bench = Bench::with(rarely()).await;
    bench.block(&[configure()]).await;
    let from = |address| [("X-Forwarded-For", address)];
    let mut refused = Vec::new();
    // Faster than one a second by far: 200 answers take much less than 100 seconds.
    for _ in 0..200 {
        let answer = bench.ask("GET", "/v1/networks", &from("192.0.2.1")).await;
        assert!([200, 429].contains(&answer.status));
        refused.extend(Some(answer).filter(|answer| answer.status == 429));
    }
    assert!(refused.len() >= 100, "{} of 200 refused", refused.len());
    let problem = &refused[0];
    assert_eq!(problem.header("retry-after"), "1");
    assert_eq!(problem.header("access-control-allow-origin"), "*");
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(problem.json()["detail"], "too many requests from this address");
    let limited = count(&metrics(&bench).await, "alive_http_requests_limited_total");
    assert_eq!(limited, u32::try_from(refused.len()).ok().map(f64::from));

    // Lists, which go a way of their own, are limited with everything else.
    let list = bench.ask("GET", "/stream/alice/s", &from("192.0.2.3")).await;
    assert_eq!(list.status, 200);
    let mut lists = Vec::new();
    for _ in 0..200 {
        lists.push(bench.ask("GET", "/stream/alice/s", &from("192.0.2.3")).await.status);
    }
    assert!(lists.iter().filter(|status| **status == 429).count() >= 100, "{lists:?}");

    // Others are not concerned, a proxy that does not say for whom it asks is not limited, and whether the node is alive
    // may always be asked.
    assert_eq!(bench.ask("GET", "/", &from("192.0.2.2")).await.status, 200);
    for _ in 0..20 {
        assert_eq!(bench.get("/v1/networks").await.status, 200);
        assert_eq!(bench.ask("GET", "/health", &from("192.0.2.1")).await.status, 200);
        assert_eq!(bench.ask("GET", "/ready", &from("192.0.2.1")).await.status, 200);
    }
}
