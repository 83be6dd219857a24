//! How lists reach players: portions, compression, waiting for a segment, and what many viewers at once make of it.

use std::{io::Read as _, time::Duration};

use alive_core::{
    Segment,
    backend::{SharedStorage, SharedStreamStore},
    memory::{MemoryStorage, MemoryStreamStore},
    testing::{Call, Fault, Flaky},
};
use alive_node::{Backends, PlaylistConfig, ServerLimits};
use alive_playlist::{ListSettings, MediaPlaylist};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

use crate::support::{Answer, Bench, config, configure, end, names, push_segment, segments};

const LIST: &str = "/stream/alice/s.m3u8";

/// A live stream of these segments, all from the live cache.
async fn live(count: u8) -> Bench {
    live_with(count, config()).await
}

async fn live_with(count: u8, config: alive_node::NodeConfig) -> Bench {
    let mut bench = Bench::with(config).await;
    bench.block(&[configure()]).await;
    bench.live(&segments(0..count)).await;
    let count = usize::from(count);
    bench.list_until(LIST, |list| list.listed().len() == count).await;
    bench
}

/// A viewer whose request is sent, and who waits for the answer.
async fn viewer(bench: &Bench, path: &str) -> JoinHandle<Vec<u8>> {
    let mut stream = TcpStream::connect(bench.node.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::spawn(async move {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    })
}

/// Lets everything happen that can happen without anything new: another client is answered many times meanwhile.
async fn settle(bench: &Bench) {
    for _ in 0..50 {
        bench.get("/").await;
    }
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    text
}

#[tokio::test]
async fn a_list_is_compressed_for_who_takes_it() {
    let bench = live(40).await;
    for path in [LIST, "/stream/alice/s?window=60", "/stream/alice/s?gw=https://x&_HLS_skip=YES"] {
        let plain = bench.get(path).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (200, ""), "{path}");
        let gzip = bench.ask("GET", path, &[("Accept-Encoding", "br, gzip")]).await;
        assert_eq!(gzip.header("content-encoding"), "gzip", "{path}");
        assert_eq!(gzip.header("content-type"), plain.header("content-type"));
        assert_eq!(gunzip(&gzip.body), plain.body, "{path}");
        assert!(gzip.body.len() < plain.body.len());
        assert!(gzip.header("etag").starts_with("W/\""), "{}", gzip.header("etag"));
        // Who has one of them has the list, and is told the name of the one that it would get.
        for (known, encoding, named) in [(&plain, "gzip", &gzip), (&gzip, "identity", &plain)] {
            let asked = [("If-None-Match", known.header("etag")), ("Accept-Encoding", encoding)];
            let same = bench.ask("GET", path, &asked).await;
            assert_eq!((same.status, same.header("etag")), (304, named.header("etag")), "{path}");
        }
        let head = bench.ask("HEAD", path, &[("Accept-Encoding", "gzip")]).await;
        assert_eq!(head.header("content-length"), gzip.body.len().to_string());
        assert_eq!(head.body.len(), 0);
    }
    let request = format!("GET {LIST} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let raw = String::from_utf8(bench.exchange(request.as_bytes()).await).unwrap();
    assert!(raw.to_lowercase().contains("vary: accept-encoding"), "{raw}");
}

#[tokio::test]
async fn a_live_list_offers_deltas_and_windows_that_fit_it() {
    let bench = live(40).await;
    let whole = bench.get(LIST).await;
    let whole = MediaPlaylist::read(&whole.body).unwrap();
    assert!(whole.header().server_control.can_block_reload);
    let all = names(&segments(0..40));

    let delta = bench.get("/stream/alice/s?_HLS_skip=YES").await;
    let list = MediaPlaylist::read(&delta.body).unwrap();
    assert_eq!((list.header().media_sequence, list.header().skipped_segments), (0, 32));
    assert_eq!(delta.listed(), all[32..]);
    assert_ne!(delta.header("etag"), bench.get(LIST).await.header("etag"));

    let window = bench.get("/stream/alice/s?window=100").await;
    let list = MediaPlaylist::read(&window.body).unwrap();
    assert_eq!((list.header().media_sequence, list.header().playlist_type), (30, None));
    assert_eq!(window.listed(), all[30..]);
    assert!(window.text().contains("?filename=30.ts\n"));

    let both = bench.get("/stream/alice/s?window=200&_HLS_skip=v2&gw=https://gw.example").await;
    let list = MediaPlaylist::read(&both.body).unwrap();
    assert_eq!((list.header().media_sequence, list.header().skipped_segments), (20, 12));
    let uris: Vec<_> = list.segments().iter().map(|segment| segment.uri.as_str()).collect();
    assert!(uris.iter().all(|uri| uri.starts_with("https://gw.example/ipfs/")), "{uris:?}");
    assert_eq!(both.listed(), all[32..]);
}

#[tokio::test]
async fn a_window_of_the_whole_stream_and_more_is_the_whole_stream() {
    let mut bench = live(12).await;
    let all = names(&segments(0..12));
    assert_eq!(bench.get("/stream/alice/s?window=4294967295").await.listed(), all);
    assert_eq!(bench.get("/stream/alice/s?window=1").await.listed(), all[8..], "three targets");
    bench.block(&[push_segment(0, &segments(0..1)[0]), end()]).await;
    let ended = bench.list_until("/stream/alice/s?window=1&_HLS_skip=YES", Answer::ended).await;
    assert_eq!(ended.listed(), all[..1]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let bench = live(3).await;
    let long = format!("window={}", "9".repeat(8000));
    for query in [
        "window=0",
        "window=",
        "window=-1",
        "window=1.5",
        "window=4294967296",
        "window=%ff",
        "window=60&window=60",
        "_HLS_msn=x",
        "_HLS_msn=%00",
        "_HLS_msn=1&_HLS_msn=1",
        "_HLS_part=1",
        "_HLS_skip=YES&_HLS_skip=YES",
        "_HLS_msn=5",
        "_HLS_msn=18446744073709551615",
        &long,
    ] {
        let answer = bench.get(&format!("{LIST}?{query}")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (400, "no-cache"), "{query}");
        assert!(answer.json()["error"].as_str().unwrap().len() < 200, "{query}");
    }
    // What is not known changes nothing.
    let plain = bench.get(LIST).await;
    let other = bench.get(&format!("{LIST}?_HLS_push=x&_HLS_report=y&fetchtimeout=5&z=%00")).await;
    assert_eq!(other.body, plain.body);
}

#[tokio::test]
async fn no_gateway_is_ever_asked_for_anything() {
    let bench = live(3).await;
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = format!("http://{}", inside.local_addr().unwrap());
    for query in ["", "&window=60", "&_HLS_skip=YES"] {
        let answer = bench.get(&format!("/stream/alice/s?gw={gateway}{query}")).await;
        assert!(answer.text().contains(&gateway), "{query}");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(50), inside.accept()).await;
    assert!(accepted.is_err(), "the node called a gateway that a viewer named");
}

#[tokio::test]
async fn who_waits_is_answered_by_the_segment() {
    let bench = live(3).await;
    let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=3&_HLS_skip=YES")).await;
    let two_ahead = viewer(&bench, &format!("{LIST}?_HLS_msn=4")).await;
    settle(&bench).await;
    assert!(!waiting.is_finished() && !two_ahead.is_finished());
    bench.live(&segments(3..4)).await;
    let answer = Answer::parse(&waiting.await.unwrap());
    assert_eq!((answer.status, answer.listed().len()), (200, 4));
    assert_eq!(answer.header("cache-control"), "public, max-age=72", "it names one version");
    assert!(!two_ahead.is_finished());
    bench.live(&segments(4..5)).await;
    assert_eq!(Answer::parse(&two_ahead.await.unwrap()).listed().len(), 5);
    let at_once = bench.get(&format!("{LIST}?_HLS_msn=4")).await;
    assert_eq!((at_once.status, at_once.listed().len()), (200, 5));
}

#[tokio::test]
async fn the_end_of_the_stream_answers_all_who_wait() {
    let mut bench = live(1).await;
    let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=2")).await;
    settle(&bench).await;
    bench.block(&[push_segment(0, &segments(0..1)[0]), end()]).await;
    let answer = Answer::parse(&waiting.await.unwrap());
    assert!(answer.status == 200 && answer.ended());
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
    let far = bench.get(&format!("{LIST}?_HLS_msn=1000000")).await;
    assert_eq!(far.status, 200, "an archive waits for nothing");
}

#[tokio::test]
async fn who_waits_too_long_is_sent_away() {
    // Three target durations of one second.
    let list = ListSettings::default().target_seconds(1.try_into().unwrap());
    let config = config().playlists(PlaylistConfig::default().list(list));
    let mut bench = Bench::with(config).await;
    bench.block(&[configure()]).await;
    let answer = bench.get(&format!("{LIST}?_HLS_msn=0")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
}

#[tokio::test]
async fn waiting_outlasts_the_time_for_other_answers() {
    let limits = ServerLimits::default().request_timeout(Duration::from_millis(500));
    let bench = live_with(1, config().limits(limits)).await;
    let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=1")).await;
    tokio::time::timeout(Duration::from_millis(700), std::future::pending::<()>()).await.ok();
    assert!(!waiting.is_finished());
    bench.live(&segments(1..2)).await;
    assert_eq!(Answer::parse(&waiting.await.unwrap()).status, 200);
}

#[tokio::test]
async fn a_stream_that_is_undone_while_viewers_wait_is_gone_for_them() {
    let bench = live(1).await;
    let mut bench = bench;
    let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=1")).await;
    settle(&bench).await;
    bench.undo(1).await;
    let answer = Answer::parse(&waiting.await.unwrap());
    assert_eq!((answer.status, answer.json()["error"].as_str()), (404, Some("stream not found")));
}

#[tokio::test]
async fn a_reorganisation_leaves_what_waiting_viewers_have_and_goes_on() {
    let mut bench = Bench::start().await;
    let all = segments(0..4);
    bench.block(&[configure(), push_segment(0, &all[0])]).await;
    bench.block(&[push_segment(1, &all[1])]).await;
    bench.list_until(LIST, |list| list.listed().len() == 2).await;
    let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=2")).await;
    settle(&bench).await;
    bench.undo(1).await;
    settle(&bench).await;
    assert!(!waiting.is_finished(), "nothing new has come");
    bench.block(&[push_segment(1, &all[2])]).await;
    let answer = Answer::parse(&waiting.await.unwrap());
    assert_eq!(answer.listed(), names(&all[..3]), "what was listed stays under its number");
}

#[tokio::test]
async fn viewers_who_wait_end_with_the_node() {
    let bench = live(1).await;
    let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=1")).await;
    settle(&bench).await;
    bench.node.shutdown().await;
    assert!(waiting.await.unwrap().starts_with(b"HTTP/1.1 503"));
}

#[tokio::test]
async fn viewers_who_leave_make_place_for_others() {
    let limits = ServerLimits::default().connections(5);
    let bench = live_with(1, config().limits(limits)).await;
    for _ in 0..20 {
        let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=1")).await;
        waiting.abort();
    }
    // It would wait for ever if those who left kept their places.
    assert_eq!(bench.get("/").await.status, 200);
}

#[tokio::test]
async fn a_thousand_viewers_wait_and_are_answered_together() {
    let bench = live(20).await;
    let mut waiting = Vec::new();
    for _ in 0..1000 {
        waiting.push(viewer(&bench, &format!("{LIST}?_HLS_msn=20&_HLS_skip=YES")).await);
    }
    settle(&bench).await;
    assert!(waiting.iter().all(|viewer| !viewer.is_finished()));
    bench.live(&segments(20..21)).await;
    for viewer in waiting {
        let answer = Answer::parse(&viewer.await.unwrap());
        assert_eq!(answer.listed().last(), names(&segments(20..21)).last());
        assert!(answer.body.len() < 2000);
    }
}

#[tokio::test]
async fn many_at_once_read_the_store_once_they_share_a_list() {
    let store = Flaky::new(MemoryStreamStore::default(), |_: Call| Fault::Pass);
    let counted = store.clone();
    let storage = MemoryStorage::default();
    let more = move |backends: Backends| {
        let mut backends = backends;
        backends.store = SharedStreamStore::new(store);
        backends
    };
    let mut bench = Bench::over(config(), storage.clone(), SharedStorage::new(storage), more).await;
    let all: Vec<Segment> = segments(0..2);
    bench.block(&[configure(), push_segment(0, &all[0])]).await;
    bench.list_until(LIST, |list| list.listed().len() == 1).await;
    let before = counted.calls();
    for _ in 0..200 {
        assert_eq!(bench.get(LIST).await.listed().len(), 1);
        assert_eq!(bench.get(&format!("{LIST}?window=60&gw=https://x")).await.listed().len(), 1);
    }
    assert_eq!(counted.calls(), before, "a list that is ready costs no look at the store");
}
