//! The pages as HTTP answers, without a browser.

use std::time::SystemTime;

use alive_core::{
    Network, Timestamp,
    backend::{SharedBlockSource, SharedStorage},
    memory::{MemoryChain, MemoryStorage},
};
use alive_node::PagesConfig;

use crate::support::{Answer, Bench, config, configure, end, push_segment, segments, stream_id};

/// An account that wants to be markup, and a part of an address that names it.
const HOSTILE: &str = "\"><script>alert(1)</script>";
const HOSTILE_PART: &str = "%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E";

async fn with_stream() -> Bench {
    let mut bench = Bench::start().await;
    bench.block(&[configure()]).await;
    bench
}

/// A page as a browser asks for it.
async fn page(bench: &Bench, path: &str) -> Answer {
    let headers = [("Accept", "text/html,application/xhtml+xml"), ("Host", "tv.example")];
    let lines = headers.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    bench.send(&format!("GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")).await
}

/// The value of an attribute, as it stands in the page.
fn attribute<'t>(text: &'t str, start: &str) -> &'t str {
    let at = text.find(start).unwrap_or_else(|| panic!("no {start} in {text}"));
    text[at + start.len()..].split('"').next().unwrap()
}

#[tokio::test]
async fn the_page_of_a_stream_is_small_cacheable_and_runs_no_script_of_its_own() {
    let bench = with_stream().await;
    let answer = page(&bench, "/watch/hive/alice/s").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), "public, max-age=60");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'none'; script-src 'self'; ",
        "connect-src 'self'; media-src 'self' blob:; ",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe"));
    let text = answer.text();
    assert!(text.len() < 8000, "{} bytes", text.len());
    let script =
        format!("<script type=\"module\" src=\"{}\"></script>", asset_of(text, "watch.mjs"));
    assert!(text.contains(&script));
    assert_eq!(text.matches("<script").count(), 1);
    assert!(!text.contains("style=") && !text.contains("onclick"));

    let etag = [("If-None-Match", answer.header("etag"))];
    let again = bench.ask("GET", "/watch/hive/alice/s", &etag).await;
    // The bench asks another host, whose page names another address.
    assert_eq!(again.status, 200);
    let etag = [("If-None-Match", again.header("etag"))];
    let same = bench.ask("GET", "/watch/hive/alice/s", &etag).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert!(!same.header("content-security-policy").is_empty());
    let head = bench.ask("HEAD", "/watch/hive/alice/s", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), again.header("content-length"));
    assert_eq!(bench.ask("POST", "/watch/hive/alice/s", &[]).await.status, 405);
    let squeezed = bench.ask("GET", "/watch/hive/alice/s", &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(squeezed.header("content-encoding"), "gzip");
    assert!(squeezed.body.len() * 2 < again.body.len(), "{} bytes", squeezed.body.len());
}

/// The address of a file that a page names.
fn asset_of(text: &str, name: &str) -> String {
    let start = text.find("/assets/").unwrap();
    let version = text[start + "/assets/".len()..].split('/').next().unwrap();
    format!("/assets/{version}/{name}")
}

#[tokio::test]
async fn links_and_what_other_sites_show_name_the_whole_address() {
    let bench = with_stream().await;
    let answer = page(&bench, "/watch/hive/alice/s").await;
    let text = answer.text();
    let want = [
        ("<link rel=\"canonical\" href=\"", "http://tv.example/watch/hive/alice/s"),
        ("property=\"og:url\" content=\"", "http://tv.example/watch/hive/alice/s"),
        ("property=\"og:video\" content=\"", "http://tv.example/embed/hive/alice/s"),
        ("property=\"og:title\" content=\"", "alice/s · Not started"),
        ("property=\"og:type\" content=\"", "video.other"),
        ("name=\"twitter:card\" content=\"", "player"),
        ("name=\"twitter:player\" content=\"", "http://tv.example/embed/hive/alice/s"),
        ("id=\"share-link\" readonly value=\"", "http://tv.example/watch/hive/alice/s"),
        ("data-list=\"", "/v1/networks/hive/streams/alice/s/master.m3u8"),
        ("data-gateways=\"", "[&quot;&quot;]"),
    ];
    for (start, value) in want {
        assert_eq!(attribute(text, start), value, "{start}");
    }
    assert!(text.contains("&lt;iframe src=&quot;http://tv.example/embed/hive/alice/s&quot;"));

    let pages = PagesConfig::default().public_url("https://alive.example/tv/".parse().unwrap());
    let mut bench = Bench::with(config().pages(pages)).await;
    bench.block(&[configure()]).await;
    let answer = page(&bench, "/watch/hive/alice/s").await;
    let url = attribute(answer.text(), "property=\"og:url\" content=\"");
    assert_eq!(url, "https://alive.example/tv/watch/hive/alice/s");
}

#[tokio::test]
async fn the_page_says_whether_the_stream_is_on() {
    let mut bench = with_stream().await;
    let state = async |bench: &Bench| {
        let answer = page(bench, "/watch/hive/alice/s").await;
        let text = answer.text();
        let title = attribute(text, "property=\"og:title\" content=\"").to_owned();
        assert!(text.contains(&format!(">{}<", title.rsplit(" · ").next().unwrap())));
        title
    };
    assert_eq!(state(&bench).await, "alice/s · Not started");
    bench.block(&[push_segment(0, &segments(0..1)[0])]).await;
    assert_eq!(state(&bench).await, "alice/s · Live");
    bench.block(&[end()]).await;
    assert_eq!(state(&bench).await, "alice/s · Recording");
}

#[tokio::test]
async fn the_embedded_player_may_stand_in_any_page() {
    let bench = with_stream().await;
    let answer = page(&bench, "/embed/hive/alice/s").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-security-policy").ends_with("frame-ancestors *"));
    let text = answer.text();
    assert!(text.contains("<video") && !text.contains("share-link"));
    assert_eq!(attribute(text, "data-list=\""), "/v1/networks/hive/streams/alice/s/master.m3u8");
}

#[tokio::test]
async fn no_name_becomes_markup() {
    let mut bench = Bench::start().await;
    assert!(bench.chain.submit(HOSTILE.parse().unwrap(), configure()));
    bench.block(&[]).await;
    for root in ["watch", "embed"] {
        let answer = page(&bench, &format!("/{root}/hive/{HOSTILE_PART}/s")).await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        assert_eq!(text.matches("<script").count(), 1, "{text}");
        assert!(!text.contains("alert(1)<") && !text.contains("\"><script>a"), "{text}");
        assert!(text.contains("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;/s"));
        let list = format!("/v1/networks/hive/streams/{HOSTILE_PART}/s/master.m3u8");
        assert_eq!(attribute(text, "data-list=\""), list);
        assert_eq!(bench.get(&list).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so_and_names_nothing_that_was_asked_for() {
    let bench = with_stream().await;
    for path in [
        "/watch/hive/alice/other",
        "/watch/hive/bob/s",
        "/watch/avalon/alice/s",
        "/watch/hive/alice/s%00",
        "/watch/HIVE/alice/s",
        "/watch/hive/alice/%3Cscript%3E",
        "/watch/hive/%ff/s",
        "/embed/hive/alice/other",
    ] {
        let answer = page(&bench, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("cache-control"), "public, max-age=1", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        let text = answer.text();
        assert!(text.contains("No such stream") && !text.contains("<script"), "{path}");
    }
    let answer = page(&bench, "/watch/hive/alice/s/more").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (404, "application/json; charset=utf-8")
    );
}

#[tokio::test]
async fn files_of_the_pages_are_kept_for_ever_under_names_that_change_with_them() {
    let bench = with_stream().await;
    let document = page(&bench, "/watch/hive/alice/s").await;
    let types = [
        ("watch.mjs", "text/javascript; charset=utf-8"),
        ("hls.light.min.mjs", "text/javascript; charset=utf-8"),
        ("hls.worker.js", "text/javascript; charset=utf-8"),
        ("hls.LICENSE.txt", "text/plain; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ];
    let mut sent = 0;
    for (name, media_type) in types {
        let path = asset_of(document.text(), name);
        let answer = bench.ask("GET", &path, &[("Accept-Encoding", "gzip")]).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{name}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        sent += answer.body.len();
        let etag = [("If-None-Match", answer.header("etag"))];
        assert_eq!(bench.ask("GET", &path, &etag).await.status, 304);
    }
    assert!(sent < 200_000, "{sent} bytes of scripts and styles");
    let watch = asset_of(document.text(), "watch.mjs");
    for path in [
        watch.replace("watch.mjs", "other.mjs"),
        watch.replace("watch.mjs", "..%2Fwatch.rs"),
        "/assets/0000000000000000/watch.mjs".to_owned(),
    ] {
        let answer = bench.get(&path).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (404, "public, max-age=1"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn gateways_of_the_operator_are_named_in_order_and_in_the_policy() {
    let pages = PagesConfig::default()
        .gateway("https://one.example".parse().unwrap())
        // No policy can name it, so the player does not hear of it.
        .gateway("https://two;script-src".parse().unwrap());
    let mut bench = Bench::with(config().pages(pages.clone())).await;
    bench.block(&[configure()]).await;
    let answer = page(&bench, "/watch/hive/alice/s").await;
    let gateways = attribute(answer.text(), "data-gateways=\"");
    assert_eq!(gateways, "[&quot;&quot;,&quot;https://one.example&quot;]");
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("connect-src 'self' https://one.example https://*.ipfs.one.example;"));

    let mut config = config().pages(pages);
    config.playlists.list = config.playlists.list.gateway("https://list.example".parse().unwrap());
    let mut bench = Bench::with(config).await;
    bench.block(&[configure()]).await;
    let answer = page(&bench, "/watch/hive/alice/s").await;
    let gateways = attribute(answer.text(), "data-gateways=\"");
    let want = "[&quot;https://list.example&quot;,&quot;https://one.example&quot;,&quot;&quot;]";
    assert_eq!(
        gateways, want,
        "the node itself is the last resort of lists that name another gateway"
    );
}

/// A browser's request for what is on.
async fn home(bench: &Bench, query: &str) -> Answer {
    page(bench, &format!("/{query}")).await
}

/// Address and text of each stream in the lists of the page.
fn listed(text: &str) -> Vec<(&str, &str)> {
    text.split("<li><a href=\"")
        .skip(1)
        .map(|rest| {
            let (address, rest) = rest.split_once("\">").unwrap();
            (address, rest.split_once("</a>").unwrap().0)
        })
        .collect()
}

#[tokio::test]
async fn a_browser_sees_what_is_on_and_a_program_how_far_the_index_is() {
    let mut bench = with_stream().await;
    bench.block(&[push_segment(0, &segments(0..1)[0])]).await;
    assert!(bench.chain.submit(HOSTILE.parse().unwrap(), configure()));
    bench.block(&[]).await;
    let answer = home(&bench, "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), "public, max-age=60");
    assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
    let text = answer.text();
    let hostile = format!("/watch/hive/{HOSTILE_PART}/s");
    let shown = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;/s";
    // The bench's blocks are of 2023: the stream of alice has not ended, and is not on.
    assert_eq!(listed(text), [(hostile.as_str(), shown), ("/watch/hive/alice/s", "alice/s")]);
    assert!(text.contains("Nobody streams at the moment.") && text.contains("Paused"));
    assert!(text.contains("Not started") && !text.contains("<script"), "{text}");

    for accept in ["*/*", "application/json", "text/htmlx", ""] {
        let answer = bench.ask("GET", "/", &[("Accept", accept)]).await;
        assert_eq!(answer.json()["db_version"], 1, "{accept}");
        assert_eq!(answer.header("vary"), "accept");
    }
    let whole = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let whole = String::from_utf8(bench.exchange(whole).await).unwrap();
    let vary: Vec<_> = whole.lines().filter_map(|line| line.strip_prefix("vary: ")).collect();
    assert_eq!(vary, ["accept-encoding", "accept"]);
}

#[tokio::test]
async fn a_stream_that_is_on_stands_above_the_others() {
    let bench = Bench::start().await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = Timestamp::from_unix_secs(now.as_secs().try_into().unwrap());
    let block = |payloads: &[String]| {
        for payload in payloads {
            assert!(bench.chain.submit("alice".parse().unwrap(), payload.clone()));
        }
        bench.chain.produce(now);
    };
    let until = async |wanted: &str| loop {
        let answer = home(&bench, "").await;
        if answer.text().contains(wanted) {
            return answer;
        }
        tokio::task::yield_now().await;
    };
    block(&[configure(), push_segment(0, &segments(0..1)[0])]);
    let answer = until("<strong>Live</strong>").await;
    let (live, newest) = answer.text().split_once("Recent streams").unwrap();
    assert_eq!(listed(live), [("/watch/hive/alice/s", "alice/s")]);
    assert_eq!(listed(newest), [("/watch/hive/alice/s", "alice/s")]);
    block(&[end()]);
    let answer = until("Recording").await;
    let (live, newest) = answer.text().split_once("Recent streams").unwrap();
    assert!(listed(live).is_empty() && newest.contains("Recording"));
}

#[tokio::test]
async fn older_streams_are_on_further_pages_each_once() {
    let mut bench = Bench::start().await;
    for number in 0..120 {
        let payload = format!(r#"{{"op":2,"link":"s{number}"}}"#);
        assert!(bench.chain.submit("alice".parse().unwrap(), payload));
    }
    bench.block(&[]).await;
    let (mut seen, mut query) = (Vec::new(), String::new());
    for _ in 0..3 {
        let answer = home(&bench, &query).await;
        let text = answer.text();
        seen.extend(listed(text).iter().map(|(address, _)| (*address).to_owned()));
        let next = text.split_once("rel=\"next\" href=\"/").map(|(_, rest)| rest);
        query = next.map(|rest| rest.split('"').next().unwrap().to_owned()).unwrap_or_default();
    }
    assert_eq!(query, "", "the third page is the last");
    let want: Vec<_> =
        (0..120).rev().map(|number| format!("/watch/hive/alice/s{number}")).collect();
    assert_eq!(seen, want);
    // What is no place is the beginning.
    let answer = home(&bench, "?after=nonsense%00").await;
    assert_eq!((answer.status, listed(answer.text()).len()), (200, 50));
}

#[tokio::test]
async fn a_stream_of_another_network_has_its_page_and_lists() {
    let storage = MemoryStorage::default();
    let chain = MemoryChain::new(Network::avalon());
    let source = SharedBlockSource::new(chain.clone());
    let shared = SharedStorage::new(storage.clone());
    let mut bench = Bench::over(config(), storage, shared, |b| b.source(source)).await;
    assert!(chain.submit("bob".parse().unwrap(), configure()));
    chain.produce(Timestamp::from_unix_secs(1_700_000_000));
    bench.block(&[]).await;
    let path = "/watch/avalon/bob/s";
    while page(&bench, path).await.status != 200 {
        tokio::task::yield_now().await;
    }
    let answer = page(&bench, path).await;
    let list = attribute(answer.text(), "data-list=\"");
    assert_eq!(bench.get(list).await.status, 200, "{list}");
    let segments = attribute(answer.text(), "data-segments=\"");
    assert_eq!(bench.get(segments).await.json()["count"], 0);
    assert_eq!(attribute(answer.text(), "data-network=\""), "avalon");
}

#[tokio::test]
async fn a_node_without_pages_has_none() {
    let mut bench = Bench::with(config().pages(PagesConfig::default().enabled(false))).await;
    bench.block(&[configure()]).await;
    for root in ["watch", "embed"] {
        let path = format!("/{root}/{}", stream_id());
        assert_eq!(page(&bench, &path).await.status, 404, "{path}");
    }
    assert_eq!(home(&bench, "").await.json()["db_version"], 1);
    assert_eq!(bench.get("/stream/alice/s").await.status, 200);
}
