//! Our own routes: streams by the page, their state and pushes, of any network; errors as problem details.

use alive_core::{
    AccountName, BlockChanges, Index, Network, SignedOp, Timestamp,
    backend::{BlockRef, Commit, SharedStorage, SharedStreamStore, StreamStore as _},
    memory::{MemoryStorage, MemoryStreamStore},
};
use alive_node::Backends;
use serde_json::{Value, json};

use crate::support::{Answer, Bench, config, configure, content, end, push_segment, segments};

/// Puts operations into a store, one block for each, two seconds apart from `start` on.
pub(crate) async fn index(
    store: &MemoryStreamStore,
    network: &str,
    start: Timestamp,
    ops: &[(&str, String)],
) {
    let network: Network = network.parse().unwrap();
    let mut index = Index::default();
    let id = |num: usize| format!("{num:040x}").parse().unwrap();
    let at = |num: usize| BlockRef { num: num as u64, id: id(num) };
    let mut blocks = Vec::new();
    for (num, (account, json)) in ops.iter().enumerate() {
        let account: AccountName = account.parse().unwrap();
        let time = start.after(std::time::Duration::from_secs(2 * num as u64));
        let signed = SignedOp::from_parts(&[account.as_str()], json).unwrap();
        let changes = vec![index.apply(&signed, time).unwrap()];
        let (previous, at) = (at(num), at(num + 1));
        blocks.push(BlockChanges { at, previous, changes, new_accounts: Vec::new() });
    }
    let step = Commit::Apply { blocks, irreversible: ops.len() as u64 };
    store.commit(&network, &step).await.unwrap();
}

/// A node over a store that somebody else has filled.
pub(crate) async fn over(store: MemoryStreamStore) -> Bench {
    with(store, |backends| backends).await
}

/// The same with further backends.
pub(crate) async fn with(
    store: MemoryStreamStore,
    more: impl FnOnce(Backends) -> Backends,
) -> Bench {
    let storage = MemoryStorage::default();
    let more = |mut backends: Backends| {
        backends.store = SharedStreamStore::new(store);
        more(backends)
    };
    Bench::over(config(), storage.clone(), SharedStorage::new(storage), more).await
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::EPOCH.after(since)
}

fn conf(link: &str) -> String {
    format!(r#"{{"op":2,"link":"{link}"}}"#)
}

/// Streams of two networks: old ones, live ones, one that has ended, names that need care.
async fn filled() -> Bench {
    let store = MemoryStreamStore::default();
    let segment = segments(0..1)[0];
    let push = |link: &str| {
        let op = push_segment(0, &segment);
        op.replace(r#""link":"s""#, &format!(r#""link":"{link}""#))
    };
    let minutes_ago = |minutes: i64| Timestamp::from_unix_ms(now().as_unix_ms() - minutes * 60_000);
    let old: Vec<_> = (0..5).map(|n| ("alice", conf(&format!("old{n}")))).collect();
    let ops = [
        &old[..],
        &[("alice", push("old4")), ("al/ö b", conf("s")), ("al/ö b", push("s"))],
        &[("bob", conf("s")), ("bob", push("s")), ("bob", end())],
    ];
    index(&store, "hive", minutes_ago(5), &ops.concat()).await;
    let ops = [("alice", conf("other")), ("alice", push("other"))];
    index(&store, "avalon", minutes_ago(20), &ops).await;
    over(store).await
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let streams = answer.json()["streams"].as_array().unwrap().clone();
    streams.iter().map(|stream| stream["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn streams_are_listed_in_each_way() {
    let bench = filled().await;
    let newest = [
        "hive/bob/s",
        "hive/al/ö b/s",
        "hive/alice/old4",
        "hive/alice/old3",
        "hive/alice/old2",
        "hive/alice/old1",
        "hive/alice/old0",
        "avalon/alice/other",
    ];
    let cases: [(&str, &[&str]); 9] = [
        ("", &newest),
        ("?network=hive", &newest[..7]),
        ("?network=avalon", &newest[7..]),
        ("?network=blurt", &[]),
        ("?live=true", &["hive/al/ö b/s", "hive/alice/old4"]),
        ("?live=1&network=avalon", &[]),
        ("?author=al/%C3%B6+b", &["hive/al/ö b/s"]),
        ("?author=alice&limit=100", &newest[2..]),
        ("?author_prefix=b&live=false", &newest[..1]),
    ];
    for (query, want) in cases {
        assert_eq!(ids(&bench.get(&format!("/v1/streams{query}")).await), want, "{query}");
    }
    // By author, then network, then age.
    let by_name = bench.get("/v1/streams?author_prefix=al").await;
    let want = [&["hive/al/ö b/s", "avalon/alice/other"][..], &newest[2..7]].concat();
    assert_eq!(ids(&by_name), want);

    for limit in [1, 3, 7, 8] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        for pages in 0.. {
            assert!(pages < 9, "pages without end");
            let page = bench.get(&format!("/v1/streams?limit={limit}{cursor}")).await;
            all.extend(ids(&page));
            let Value::String(next) = &page.json()["next"] else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(all, newest, "{limit} at a time");
    }
}

#[tokio::test]
async fn a_stream_tells_its_state_on_any_network() {
    let bench = filled().await;
    let answer = bench.get("/v1/networks/hive/streams/al%2F%C3%B6%20b/s").await;
    let stream = answer.json();
    let listed = bench.get("/v1/streams?author=al/%C3%B6+b").await.json();
    for (name, value) in listed["streams"][0].as_object().unwrap() {
        if name != "age_seconds" {
            assert_eq!(&stream[name], value, "{name}");
        }
    }
    assert_eq!(stream["id"], "hive/al/ö b/s");
    assert_eq!((&stream["pushes"], &stream["finalized"]), (&json!(1), &json!(0)));
    assert!(stream["created"].as_str().unwrap().ends_with('Z'));
    assert!((280..400).contains(&stream["age_seconds"].as_u64().unwrap()), "{stream}");
    let attested = json!([{
        "network": "hive", "stream": "hive/al/ö b/s", "number": 6, "pushes": 1, "reversible_pushes": 0,
        "finalized": 0, "head": 0, "ended": false, "last_block": 11, "irreversible_block": 11,
    }]);
    assert_eq!(stream["attestations"], attested);
    let playlist = stream["playlist"].as_str().unwrap();
    assert_eq!(bench.get(playlist).await.listed(), [content(0).to_string()]);

    // The short way is that of the node's own network.
    let short = bench.get("/v1/streams/alice/old4").await;
    let mut short = (short.status, short.json());
    let mut long = bench.get("/v1/networks/hive/streams/alice/old4").await.json();
    for answer in [&mut short.1, &mut long] {
        assert!(answer["age_seconds"].take().is_u64());
    }
    assert_eq!(short, (200, long));
    assert_eq!(bench.get("/v1/streams/alice/other").await.status, 404);
    let other = bench.get("/v1/networks/avalon/streams/alice/other").await;
    assert_eq!((other.status, &other.json()["network"]), (200, &json!("avalon")));
    let whole = bench.get("/v1/networks/avalon/streams/alice/other/segments").await.json();
    assert_eq!(
        (&whole["count"], &whole["segments"][0]["content"]),
        (&json!(1), &json!(content(0)))
    );
    let health = bench.get("/v1/networks/avalon/streams/alice/other/health").await.json();
    assert_eq!(health["stream"], "avalon/alice/other");
    let master = bench.get("/v1/networks/avalon/streams/alice/other/master.m3u8?l1only=1").await;
    assert!(master.text().ends_with("\nplaylist.m3u8?quality=src&l1only=1\n"), "{}", master.text());
}

#[tokio::test]
async fn pushes_come_by_the_page() {
    let mut bench = Bench::start().await;
    bench.block(&[configure()]).await;
    let chunk = bench.chunk(&segments(0..3)).await;
    let first =
        format!(r#"{{"op":0,"link":"s","seq":0,"src":"{chunk}","240":"{}","d":1}}"#, content(7));
    let segment = segments(5..6)[0];
    let mut ops = vec![first, push_segment(2, &segment)];
    ops.extend((3..1100).map(|seq| push_segment(seq, &segment)));
    bench.block(&ops).await;
    let answer = bench.get("/v1/streams/alice/s/chunks").await.json();
    assert_eq!((&answer["count"], &answer["ended"]), (&json!(1099), &json!(false)));
    let chunks = answer["chunks"].as_array().unwrap();
    assert_eq!((chunks.len(), &answer["next"]), (1000, &json!(1001)));
    let want = json!({
        "seq": 0, "content": chunk, "duration": null, "discontinuity": true, "renditions": {"240": content(7)},
        "sections": {}
    });
    assert_eq!(chunks[0], want);
    let want = json!({
        "seq": 2, "content": content(5), "duration": "10.0", "discontinuity": false, "renditions": {},
        "sections": {}
    });
    assert_eq!(chunks[1], want);
    let rest = bench.get("/v1/streams/alice/s/chunks?from=1001").await.json();
    assert_eq!((rest["chunks"].as_array().unwrap().len(), &rest["next"]), (99, &json!(null)));
    assert_eq!(rest["chunks"][0]["seq"], 1001);
    let none = bench.get("/v1/streams/alice/s/chunks?from=1100").await.json();
    assert_eq!((&none["chunks"], &none["next"]), (&json!([]), &json!(null)));
}

#[tokio::test]
async fn networks_tell_how_far_they_are_indexed() {
    let bench = filled().await;
    let hive = json!({
        "network": "hive", "last_block": 11, "last_block_id": format!("{:040x}", 11), "streams": 7
    });
    assert_eq!(bench.get("/v1/networks/hive").await.json(), hive);
    let all = bench.get("/v1/networks").await.json();
    assert_eq!((&all["own"], &all["networks"][1]), (&json!("hive"), &hive));
    assert_eq!(all["networks"][0]["network"], "avalon");
}

#[tokio::test]
async fn what_is_wrong_is_told_as_a_problem() {
    let bench = filled().await;
    let cases = [
        ("/v1/streams?limit=0", 400, "limit: not a number from 1 to 100"),
        ("/v1/streams?limit=101", 400, "limit: not a number from 1 to 100"),
        ("/v1/streams?limit=%2B5", 400, "limit: not a number from 1 to 100"),
        ("/v1/streams?limit=1&limit=1", 400, "limit: given more than once"),
        ("/v1/streams?cursor=x", 400, "cursor: not the `next` of a page"),
        ("/v1/streams?cursor=MS8yL2hpdmU", 400, "cursor: not the `next` of a page"),
        ("/v1/streams?live=maybe", 400, "live: neither true nor false"),
        (
            "/v1/streams?live=1&author=alice",
            400,
            "author, author_prefix and live: only one of them",
        ),
        (
            "/v1/streams?network=Hive",
            400,
            "network: character 'H' is not allowed in the name of a network",
        ),
        ("/v1/streams/alice/nothing", 404, "stream not found"),
        ("/v1/streams/alice/nothing/chunks", 404, "stream not found"),
        ("/v1/streams/alice/%00", 404, "stream not found"),
        ("/v1/streams/%ff/s", 404, "stream not found"),
        ("/v1/networks/HIVE/streams/bob/s", 404, "stream not found"),
        ("/v1/networks/blurt/streams/bob/s/segments", 404, "stream not found"),
        ("/v1/networks/blurt", 404, "network not found"),
        ("/v1/networks/%2e%2e", 404, "network not found"),
        ("/v1/streams/bob/s/chunks?from=-1", 400, "from: not a number from 0 to 17280"),
        ("/v1/streams/bob/s/chunks?from=17281", 400, "from: not a number from 0 to 17280"),
        ("/v1/streams/bob/s/segments?from=262145", 400, "from: not a number from 0 to 262144"),
        ("/v1/streams/bob/s/segments?quality=720", 404, "stream has no such quality"),
        ("/v1/streams/bob/s/playlist.m3u8?gw=javascript:alert(1)", 400, "gw: "),
        ("/v1/nothing", 404, "not found"),
    ];
    for (path, status, detail) in cases {
        let answer = bench.get(path).await;
        let problem = answer.json();
        assert_eq!((answer.status, &problem["status"]), (status, &json!(status)), "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        assert!(problem["detail"].as_str().unwrap().starts_with(detail), "{path}: {problem}");
        assert_eq!(problem["type"], "about:blank");
        let title = if status == 400 { "Bad Request" } else { "Not Found" };
        assert_eq!(problem["title"], title);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    let long = bench.get(&format!("/v1/streams?author={}", "x".repeat(9000))).await;
    assert_eq!((long.status, &long.json()["status"]), (414, &json!(414)));
    let written = bench.ask("DELETE", "/v1/streams/bob/s", &[("Content-Length", "0")]).await;
    assert_eq!((written.status, &written.json()["status"]), (405, &json!(405)));
    assert_eq!(written.header("allow"), "GET, HEAD");
    let head = bench.ask("HEAD", "/v1/streams/bob/nothing", &[]).await;
    assert_eq!((head.status, head.body.len()), (404, 0));
    // The routes of the original keep their form.
    let original = bench.get("/stream/bob/nothing").await;
    assert_eq!(original.json(), json!({"error": "stream not found"}));
}

#[tokio::test]
async fn every_route_of_ours_is_described_and_every_description_is_a_route() {
    let bench = filled().await;
    let document = bench.get("/v1/openapi.json").await;
    assert_eq!(document.header("content-type"), "application/json; charset=utf-8");
    let document = document.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let paths = document["paths"].as_object().unwrap();
    let chat = ["/chat", "/chat/accounts", "/chat/events", "/chat/requests"];
    let plain =
        ["", "/chunks", "/events", "/health", "/master.m3u8", "/playlist.m3u8", "/segments"];
    let below = [&plain[..], &chat[..]].concat();
    let of = |stream: &str| below.iter().map(|rest| format!("{stream}{rest}")).collect::<Vec<_>>();
    let mut want = of("/v1/streams/{author}/{link}");
    want.extend(of("/v1/networks/{network}/streams/{author}/{link}"));
    let single = [
        "/health",
        "/ready",
        "/v1/events",
        "/v1/networks",
        "/v1/networks/{network}",
        "/v1/streams",
    ];
    want.extend(single.map(str::to_owned));
    want.sort();
    assert_eq!(paths.keys().cloned().collect::<Vec<_>>(), want);
    let mut names = std::collections::HashSet::new();
    let operations = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(m, o)| (path, m, o)));
    for (path, method, operation) in operations {
        let posts = path.ends_with("/chat") || path.ends_with("/chat/requests");
        assert!(method == "get" || method == "post" && posts, "{method} {path}");
        assert!(names.insert(operation["operationId"].to_string()), "{path}: {operation}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(in_path, path.matches('{').count(), "{path}");
        assert_eq!(operation["responses"].get("404").is_some(), in_path > 0, "{path}");
        // What a chat answers is looked at where there is one.
        if path.ends_with("/events") || path.contains("/chat") {
            continue;
        }
        let real = path.replace("{author}", "bob").replace("{link}", "s");
        let answer = bench.get(&real.replace("{network}", "hive")).await;
        assert_eq!(answer.status, 200, "{path}");
        let types = operation["responses"]["200"]["content"].as_object().unwrap();
        let content_type = answer.header("content-type").split(';').next().unwrap();
        assert_eq!(types.keys().collect::<Vec<_>>(), [content_type], "{path}");
    }
}

#[tokio::test]
async fn a_node_is_ready_once_it_has_a_block() {
    let mut bench = Bench::start().await;
    let early = bench.get("/ready").await;
    assert_eq!((early.status, early.header("retry-after")), (503, "2"));
    assert_eq!(bench.get("/health").await.json(), json!({"status": "ok"}));
    bench.block(&[configure()]).await;
    assert_eq!(bench.get("/ready").await.json(), json!({"status": "ok"}));
}

#[tokio::test]
async fn the_chapter_names_every_route_that_is_described() {
    const CHAPTER: &str = include_str!("../../../docs/src/guides/http-api.md");
    let bench = Bench::start().await;
    let document = bench.get("/v1/openapi.json").await.json();
    let ways = ["/v1/streams/{author}/{link}", "/v1/networks/{network}/streams/{author}/{link}"];
    for path in document["paths"].as_object().unwrap().keys() {
        let below = ways.iter().find_map(|way| path.strip_prefix(way)).unwrap_or_default();
        let name = if below.is_empty() { format!("`{path}`") } else { format!("`…{below}") };
        assert!(CHAPTER.contains(&name), "{name}");
    }
}
