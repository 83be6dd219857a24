//! The short way of lists and the routes give the same answers.

use crate::support::{Answer, Bench, configure, end, push_segment, segments};

/// The same address in escapes, which are for the routes.
const ROUTED: &str = "/stream/%61lice/s";
const SHORT: &str = "/stream/alice/s";

#[tokio::test]
async fn a_list_has_the_same_head_and_body_on_both_ways() {
    let mut bench = Bench::start().await;
    bench.block(&[configure(), push_segment(0, &segments(0..1)[0])]).await;
    bench.live(&segments(1..20)).await;
    bench.list_until(SHORT, |list| list.listed().len() == 20).await;
    let etag = bench.get(SHORT).await.header("etag").to_owned();
    let heads: [&[(&str, &str)]; 6] = [
        &[],
        &[("Accept-Encoding", "gzip")],
        &[("Accept-Encoding", "gzip;q=0")],
        &[("If-None-Match", &etag)],
        &[("If-None-Match", "\"other\""), ("If-None-Match", &etag)],
        &[("Origin", "https://page.example")],
    ];
    for form in [
        "",
        ".m3u8",
        "?_HLS_skip=YES",
        "?_HLS_msn=19&_HLS_skip=YES",
        "?_HLS_msn=99",
        "?window=60&gw=https://gw.example",
        "?window=0",
        "?gw=%0d%0aX:1",
        "?quality=480",
        "?l1only=1",
        ".m3u8.m3u8",
        "?quality=src&quality=src",
        &format!("?{}", "x".repeat(9000)),
    ] {
        for head in heads {
            let mut short = bench.ask("GET", &format!("{SHORT}{form}"), head).await;
            let mut routed = bench.ask("GET", &format!("{ROUTED}{form}"), head).await;
            // A second may pass between them.
            assert!(
                short.headers.remove("date").is_some() && routed.headers.remove("date").is_some()
            );
            assert_eq!(
                (short.status, &short.body),
                (routed.status, &routed.body),
                "{form} {head:?}"
            );
            assert_eq!(short.headers, routed.headers, "{form} {head:?}");
        }
    }
    bench.block(&[end()]).await;
    bench.list_until(SHORT, Answer::ended).await;
    let (short, routed) = (bench.get(SHORT).await, bench.get(ROUTED).await);
    assert_eq!((short.body, &short.headers["etag"]), (routed.body, &routed.headers["etag"]));
}

#[tokio::test]
async fn both_ways_count_as_one_route() {
    let mut bench = Bench::start().await;
    bench.block(&[configure()]).await;
    for path in [SHORT, ROUTED, SHORT, "/stream/alice/none", "/stream/%61lice/none"] {
        bench.get(path).await;
    }
    let text = bench.get("/metrics").await;
    for (status, count) in [(200, 3), (404, 2)] {
        let line = format!(
            "alive_http_requests_total{{route=\"/stream/{{author}}/{{link}}\",method=\"GET\",status=\"{status}\"}} {count}\n"
        );
        assert!(text.text().contains(&line), "{line}{}", text.text());
    }
    let line = "alive_http_request_seconds_count{route=\"/stream/{author}/{link}\"} 5\n";
    assert!(text.text().contains(line), "{}", text.text());
}
