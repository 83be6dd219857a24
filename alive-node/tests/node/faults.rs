//! What goes wrong around a node: storage that is slow, lying or gone, an index that is locked or removed, a fork under
//! waiting viewers, and clients that hold on to their places.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_core::{
    Chunk, GatewayUrl,
    backend::{SharedStorage, SharedStreamStore, Storage as _},
    memory::MemoryStorage,
};
use alive_node::{Backends, PlaylistConfig, ServerLimits, SharedContentReader, SqliteStore};
use alive_storage::{GatewayOptions, GatewayStorage};
use rusqlite::Connection;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::support::{Answer, Bench, config, configure, names, push, push_segment, segments};

const LIST: &str = "/stream/alice/s";

/// Far longer than anything here may take.
const LONG: Duration = Duration::from_mins(1);

/// What a server does with whoever comes.
#[derive(Clone)]
enum Manner {
    /// Answers whatever it is asked for with this.
    Lies(Vec<u8>),
    /// Takes the request and says nothing.
    Silent,
}

/// A gateway that is none, and how many came to it.
async fn gateway(manner: Manner) -> (GatewayUrl, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let came = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&came);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            if let Manner::Lies(body) = &manner {
                let mut head = vec![0; 4096];
                let _ = stream.read(&mut head).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(body).await;
            } else {
                open.push(stream);
            }
        }
    });
    (url, came, tasks)
}

/// A port that nobody listens on.
async fn gone() -> GatewayUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn of_gateways_that_are_gone_slow_and_lying_the_honest_one_fills_the_list() {
    let all = segments(0..3);
    let forged = Chunk::encode(&segments(100..102)).unwrap();
    let (liar, lies, _lying) = gateway(Manner::Lies(forged.into())).await;
    let (silent, waits, _waiting) = gateway(Manner::Silent).await;
    // The honest one is another node.
    let content = alive_storage::MemoryStorage::default();
    let chunk = content.put(Chunk::encode(&all[..2]).unwrap().into()).await.unwrap();
    let reader = SharedContentReader::new(content);
    let none = MemoryStorage::default();
    let more = |backends: Backends| backends.content(reader);
    let honest = Bench::over(config(), none.clone(), SharedStorage::new(none.clone()), more).await;
    let url = format!("http://{}", honest.node.address()).parse().unwrap();

    let gateways = [gone().await, silent, liar, url];
    let gateways = GatewayStorage::of(gateways, &GatewayOptions::default()).unwrap();
    let lists = PlaylistConfig::default().first_wait(Duration::ZERO).patience(LONG);
    let config = config().playlists(lists);
    let mut bench = Bench::over(config, none, SharedStorage::new(gateways), |b| b).await;
    bench.block(&[configure(), push(0, chunk), push_segment(1, &all[2])]).await;
    let list = timeout(
        LONG,
        bench.list_until(LIST, |list| {
            let forged = names(&segments(100..102));
            assert!(list.listed().iter().all(|name| !forged.contains(name)), "{list:?}");
            list.listed().len() == 3
        }),
    );
    assert_eq!(list.await.expect("the honest gateway is asked").listed(), names(&all));
    // The test shows nothing if it was only the honest one that was asked.
    assert!(lies.load(Ordering::Relaxed) > 0 && waits.load(Ordering::Relaxed) > 0);
}

/// A node whose index is a file.
async fn indexed_in(folder: &tempfile::TempDir) -> Bench {
    let index = SqliteStore::open(folder.path().join("index.sqlite")).unwrap();
    let storage = MemoryStorage::default();
    let more = |mut backends: Backends| {
        backends.store = SharedStreamStore::new(index);
        backends
    };
    Bench::over(config(), storage.clone(), SharedStorage::new(storage), more).await
}

#[tokio::test]
async fn an_index_that_another_program_locks_is_read_meanwhile_and_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = indexed_in(&folder).await;
    let all = segments(0..2);
    bench.block(&[configure(), push_segment(0, &all[0])]).await;
    let other = Connection::open(folder.path().join("index.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(bench.chain.submit("alice".parse().unwrap(), push_segment(1, &all[1])));
    let made = bench.chain.produce(alive_core::Timestamp::from_unix_secs(1_700_000_100));
    for _ in 0..100 {
        assert_eq!(bench.get(LIST).await.listed(), names(&all[..1]));
        assert_eq!(bench.get("/v1/streams/alice/s/chunks").await.json()["count"], 1);
    }
    assert_ne!(bench.node.cursor().await.unwrap().unwrap().last, made);
    other.execute_batch("ROLLBACK").unwrap();
    let list = bench.list_until(LIST, |list| list.listed().len() == 2);
    assert_eq!(timeout(LONG, list).await.expect("it goes on").listed(), names(&all));
    assert_eq!(bench.node.cursor().await.unwrap().unwrap().last, made);
}

#[tokio::test]
async fn an_index_that_is_removed_is_never_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = indexed_in(&folder).await;
    let all = segments(0..2);
    bench.block(&[configure(), push_segment(0, &all[0])]).await;
    let served = bench.get(LIST).await;
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    // Many at once, so that connections are opened which were not needed before.
    for _ in 0..20 {
        let asked = ["/v1/streams", "/v1/streams/alice/s", "/v1/streams/alice/s/chunks", "/"];
        for answer in futures_util::future::join_all(asked.map(|path| bench.get(path))).await {
            let is_told = answer.status == 503 && answer.json()["detail"].is_string();
            let is_there = answer.status == 200 && !answer.text().contains(r#""streams":[]"#);
            assert!(is_told || is_there || answer.json()["error"].is_string(), "{answer:?}");
            assert_ne!(answer.status, 404, "{answer:?}");
        }
    }
    assert_eq!(bench.get(LIST).await.body, served.body, "what is ready is served");
    assert!(!folder.path().join("index.sqlite").exists(), "no empty one was made in its place");
    bench.node.shutdown().await;
}

/// Asks and waits in a task of its own.
fn viewer(bench: &Bench, path: &str, viewers: &mut JoinSet<(String, Answer)>) {
    let (address, path) = (bench.node.address(), path.to_owned());
    viewers.spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        (path, Answer::parse(&answer))
    });
}

#[tokio::test]
async fn when_a_fork_replaces_the_end_all_who_wait_get_what_a_newcomer_gets() {
    let mut bench = Bench::start().await;
    let all = segments(0..5);
    bench.block(&[configure(), push_segment(0, &all[0])]).await;
    bench.block(&[push_segment(1, &all[1])]).await;
    bench.list_until(LIST, |list| list.listed().len() == 2).await;
    let forms = ["", "&_HLS_skip=YES", "&window=60", "&gw=https://gw.example", "&l1only=1"];
    let paths = forms.map(|form| format!("{LIST}?_HLS_msn=2{form}"));
    let mut viewers = JoinSet::new();
    for _ in 0..40 {
        for path in &paths {
            viewer(&bench, path, &mut viewers);
        }
    }
    // Another client is answered many times meanwhile, so that all of them wait.
    for _ in 0..50 {
        bench.get("/").await;
    }
    assert!(viewers.try_join_next().is_none(), "nothing new has come");
    bench.undo(1).await;
    bench.block(&[push_segment(1, &all[3])]).await;
    bench.block(&[push_segment(2, &all[4])]).await;
    while let Some(answered) = viewers.join_next().await {
        let (path, answer) = answered.unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        // What was shown stays under its number; what replaced it comes behind it.
        let shown = answer.listed();
        let newcomer = bench.get(&path).await.listed();
        assert!(shown.len() >= 3 && newcomer.starts_with(&shown), "{path}: {shown:?} {newcomer:?}");
        assert_eq!(shown[..2], names(&all[..2]), "{path}");
    }
}

/// Sends a piece again and again until the server has enough of it.
async fn drip(bench: &Bench, head: &str, piece: &[u8]) {
    let mut stream = TcpStream::connect(bench.node.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut turns = tokio::time::interval(Duration::from_millis(2));
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => {
                if read.is_err() || read.is_ok_and(|read| read == 0) {
                    return;
                }
            }
            _ = turns.tick() => {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn who_sends_a_head_or_a_body_byte_by_byte_loses_its_place() {
    let limits = ServerLimits::default().head_timeout(Duration::from_millis(100)).connections(2);
    let mut bench = Bench::with(config().limits(limits)).await;
    bench.block(&[configure(), push_segment(0, &segments(0..1)[0])]).await;
    for (head, piece) in [
        // Each byte comes in time, the whole never does.
        ("", &b"G"[..]),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a"),
        ("GET /stream/alice/s HTTP/1.1\r\nHost: x\r\n", b"X-More: 1\r\n"),
        // A body that nobody wants, of any announced length.
        ("GET /stream/alice/s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", b"a"),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    ] {
        let ended = timeout(LONG, drip(&bench, head, piece)).await;
        assert!(ended.is_ok(), "{head:?} goes on for ever");
        assert_eq!(bench.get(LIST).await.status, 200);
    }
}

#[tokio::test]
async fn queries_are_read_up_to_the_limit_however_many_parameters_they_have() {
    let mut bench = Bench::start().await;
    bench.block(&[configure(), push_segment(0, &segments(0..1)[0])]).await;
    let plain = bench.get(LIST).await;
    // 8192 bytes of path and query are read, one more is too much.
    let fill = |len: usize, piece: &str| {
        let query: String = piece.chars().cycle().take(len - LIST.len()).collect();
        format!("{LIST}?{query}")
    };
    for piece in ["a&", "a=b&", "&", "=", "%61&", "%", "%00&", "_HLS_msm=1&", "\u{e9}"] {
        let piece = piece.replace('\u{e9}', "%c3%a9&");
        assert_eq!(bench.get(&fill(8192, &piece)).await.body, plain.body, "{piece}");
        let refused = bench.get(&fill(8193, &piece)).await;
        assert_eq!((refused.status, refused.header("cache-control")), (414, "no-cache"), "{piece}");
    }
    let repeated = bench.get(&fill(8000, "window=60&")).await;
    assert_eq!(repeated.status, 400);
    assert!(repeated.body.len() < 200, "{repeated:?}");
}
