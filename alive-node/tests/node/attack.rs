//! What people try: injections into the store, into paths, heads and lists, and making the node ask for something.

use alive_core::{
    backend::{SharedStorage, SharedStreamStore},
    memory::MemoryStorage,
};
use alive_node::{Backends, SqliteStore};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{Bench, config, configure, names, push_segment, segments};

/// A node whose index is a real database with a stream of alice.
async fn with_sqlite(folder: &tempfile::TempDir) -> Bench {
    let index = SqliteStore::open(folder.path().join("index.sqlite")).unwrap();
    let storage = MemoryStorage::default();
    let more = |mut backends: Backends| {
        backends.store = SharedStreamStore::new(index);
        backends
    };
    let mut bench = Bench::over(config(), storage.clone(), SharedStorage::new(storage), more).await;
    bench.block(&[configure(), push_segment(0, &segments(0..1)[0])]).await;
    bench
}

#[tokio::test]
async fn names_are_values_and_never_a_part_of_a_question() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_sqlite(&folder).await;
    let none = json!({"streams": [], "next": null});
    for name in [
        "';DROP+TABLE+streams;--",
        "alice'--",
        "alice'+OR+'1'='1",
        "alice%22+OR+1=1--",
        "x'+UNION+SELECT+name,1,1+FROM+sqlite_schema--",
        "%25",
        "_lice",
        "a*",
        "ALICE",
        "alice%20",
        "?1",
        ":name",
    ] {
        for parameter in ["author", "author_prefix"] {
            let answer = bench.get(&format!("/v1/streams?{parameter}={name}")).await;
            assert_eq!((answer.status, answer.json()), (200, none.clone()), "{parameter}={name}");
        }
        let asked = format!("/get_stream_info?stream_author={name}&stream_link=s");
        assert_eq!(bench.get(&asked).await.json(), json!({"error": "Streamer does not exist"}));
        let name = name.replace('+', "%20").replace('?', "%3F");
        assert_eq!(bench.get(&format!("/stream/{name}/s")).await.status, 404, "{name}");
        assert_eq!(bench.get(&format!("/v1/streams/{name}/s/chunks")).await.status, 404, "{name}");
        assert_eq!(bench.get(&format!("/v1/streams/alice/{name}")).await.status, 404, "{name}");
        let network = bench.get(&format!("/v1/networks/{name}/streams/alice/s")).await;
        assert_eq!(network.status, 404, "{name}");
    }
    let listed = bench.get("/v1/streams?author_prefix=ali").await.json();
    assert_eq!(listed["streams"][0]["id"], "hive/alice/s", "nothing happened to the stream");
}

#[tokio::test]
async fn paths_lead_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_sqlite(&folder).await;
    for path in [
        "/../../../etc/passwd",
        "/ipfs/../../../etc/passwd",
        "/ipfs/%2e%2e%2f%2e%2e%2findex.sqlite",
        "/ipfs/..%5c..%5cindex.sqlite",
        "/stream/..%2f..%2f..%2fetc/passwd",
        "/stream/alice/..%2fs",
        "/stream/alice/s%00.m3u8",
        "/v1/../../etc/passwd",
        "/v1/streams/alice/s/../../../../metrics",
        "/v1/streams/%2e%2e/%2e%2e",
        "//etc/passwd",
        "/stream//s",
        "/stream/alice//s",
    ] {
        let answer = bench.get(path).await;
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.text().contains("root:"), "{path}");
    }
}

#[tokio::test]
async fn what_is_asked_for_ends_up_in_no_head_and_no_other_line() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_sqlite(&folder).await;
    let injected = "%0d%0aX-Injected:%201%0d%0a%0d%0a%23EXT-X-ENDLIST";
    for path in [
        format!("/stream/alice/s?gw=https://x{injected}"),
        format!("/stream/alice/s?quality={injected}"),
        format!("/stream/alice/s?window={injected}"),
        format!("/stream/alice/s?_HLS_msn={injected}"),
        format!("/stream/alice/s/master?gw=https://x{injected}"),
        format!("/stream/alice{injected}/s"),
        format!("/stream/alice/s{injected}"),
        format!("/v1/streams?cursor={injected}"),
        format!("/v1/streams?network={injected}"),
        format!("/ipfs/{injected}?filename=0.ts"),
        format!("/v1/streams/alice/s/playlist.m3u8?gw=https://x{injected}"),
    ] {
        let answer = bench.get(&path).await;
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert_eq!(answer.header("x-injected"), "", "{path}");
        assert!(!answer.text().contains("\n#EXT-X-ENDLIST"), "{path}");
    }
    // Names of files are told apart from heads, too.
    let name = &names(&segments(0..1))[0];
    let answer = bench.get(&format!("/ipfs/{name}?filename=x%22%0d%0aX-Injected:1.ts")).await;
    assert_eq!(answer.header("x-injected"), "");
    // Heads that a client repeats or makes up change nothing.
    let heads = [
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-For", "127.0.0.1, 127.0.0.1"),
        ("X-HTTP-Method-Override", "DELETE"),
    ];
    let plain = bench.get("/stream/alice/s").await;
    assert_eq!(bench.ask("GET", "/stream/alice/s", &heads).await.body, plain.body);
}

#[tokio::test]
async fn a_gateway_that_a_viewer_names_is_never_asked() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_sqlite(&folder).await;
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = trap.local_addr().unwrap().port();
    for path in [
        format!("/stream/alice/s?gw=http://127.0.0.1:{port}"),
        format!("/stream/alice/s?gw=http://localhost:{port}/x"),
        format!("/stream/alice/s/master?gw=http://[::1]:{port}"),
        format!("/v1/streams/alice/s/playlist.m3u8?gw=http://127.0.0.1:{port}&window=30"),
        format!("/v1/streams/alice/s/segments?gw=http://127.0.0.1:{port}"),
        format!("/stream/alice/s/health?gw=http://127.0.0.1:{port}"),
    ] {
        let answer = bench.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    bench.node.shutdown().await;
    // Nobody came while the node was there: a connection would wait in the queue.
    let came = tokio::select! {
        biased;
        came = trap.accept() => came.is_ok(),
        () = tokio::task::yield_now() => false,
    };
    assert!(!came);
}
