//! Parts of the segment that is being recorded: from the live cache to the players who wait for them.

use alive_core::{
    Quality, Segment, Timestamp,
    backend::{LiveCache as _, LivePart},
};
use alive_playlist::MediaPlaylist;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Answer, Bench, configure, content, end, push_segment, segments, stream_id};

const LIST: &str = "/stream/alice/s.m3u8";

/// A live stream of so many segments, all from the live cache.
async fn live(count: u8) -> Bench {
    let mut bench = Bench::start().await;
    bench.block(&[configure()]).await;
    bench.live(&segments(0..count)).await;
    let count = usize::from(count);
    bench.list_until(LIST, |list| list.listed().len() == count).await;
    bench
}

/// A part of the `number`th segment, five seconds long.
fn part(number: u8, index: u8) -> LivePart {
    LivePart {
        number: number.into(),
        index,
        after: content(number - 1),
        duration: "5".parse().unwrap(),
        content: content(100 + 10 * number + index),
        quality: Quality::Src,
        section: None,
        independent: true,
        at: Timestamp::EPOCH,
    }
}

async fn push(bench: &Bench, part: LivePart) {
    bench.live.push_part(&stream_id(), part).await.unwrap();
}

/// How many parts a list shows of each segment, the open one last.
fn counts(answer: &Answer) -> Vec<usize> {
    let list = MediaPlaylist::read(&answer.body).unwrap();
    let whole = list.segments().iter().map(|segment| segment.parts.len());
    whole.chain([list.open().map_or(0, |open| open.parts.len())]).collect()
}

/// A viewer whose request is sent, and who waits for the answer.
async fn viewer(bench: &Bench, path: &str) -> tokio::task::JoinHandle<Answer> {
    let mut stream = TcpStream::connect(bench.node.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::spawn(async move {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Answer::parse(&answer)
    })
}

/// Lets everything happen that can happen without anything new.
async fn settle(bench: &Bench) {
    for _ in 0..50 {
        bench.get("/").await;
    }
}

#[tokio::test]
async fn who_waits_for_a_part_is_answered_by_it() {
    let bench = live(3).await;
    let wait = async |query: &str| viewer(&bench, &format!("{LIST}?{query}")).await;
    let first = wait("_HLS_msn=3&_HLS_part=0").await;
    let second = wait("_HLS_msn=3&_HLS_part=1&_HLS_skip=YES").await;
    let beyond = wait("_HLS_msn=3&_HLS_part=2").await;
    let whole = wait("_HLS_msn=3").await;
    settle(&bench).await;
    assert!(!first.is_finished());
    push(&bench, part(3, 0)).await;
    let answer = first.await.unwrap();
    assert_eq!((answer.status, counts(&answer)), (200, vec![0, 0, 0, 1]));
    assert_eq!(answer.header("cache-control"), "public, max-age=72", "it names one version");
    let uri = format!("URI=\"/ipfs/{}?filename=3.0.ts\",INDEPENDENT=YES", content(130));
    assert!(answer.text().contains(&uri), "{}", answer.text());
    settle(&bench).await;
    assert!(!second.is_finished());
    push(&bench, part(3, 1)).await;
    assert_eq!(counts(&second.await.unwrap()), [0, 0, 0, 2]);
    settle(&bench).await;
    assert!(!beyond.is_finished() && !whole.is_finished());
    // The segment has two parts, so a third one is the first of the next segment.
    bench.live(&segments(3..4)).await;
    assert_eq!(counts(&whole.await.unwrap()), [0, 0, 0, 2, 0]);
    settle(&bench).await;
    assert!(!beyond.is_finished());
    push(&bench, part(4, 0)).await;
    assert_eq!(counts(&beyond.await.unwrap()), [0, 0, 0, 2, 1]);
}

#[tokio::test]
async fn the_list_of_the_chain_alone_and_the_archive_have_no_parts() {
    let mut bench = live(1).await;
    push(&bench, part(1, 0)).await;
    bench.list_until(LIST, |list| counts(list) == [0, 1]).await;
    bench.block(&[push_segment(0, &segments(0..1)[0])]).await;
    let chain = "/stream/alice/s.m3u8?l1only=1";
    let plain = bench.list_until(chain, |list| list.listed().len() == 1).await;
    assert_eq!(counts(&plain), [0, 0]);
    assert!(!plain.text().contains("PART"), "{}", plain.text());
    let waiting = viewer(&bench, &format!("{LIST}?_HLS_msn=1&_HLS_part=1")).await;
    bench.block(&[end()]).await;
    let archive = waiting.await.unwrap();
    assert!(archive.ended() && !archive.text().contains("PART"), "{}", archive.text());
}

#[tokio::test]
async fn who_follows_the_events_hears_of_segments_and_not_of_parts() {
    let bench = live(1).await;
    let mut stream = TcpStream::connect(bench.node.address()).await.unwrap();
    let request = "GET /v1/streams/alice/s/events HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    let mut events = async |count: usize| {
        while String::from_utf8_lossy(&told).matches("event: list").count() < count {
            let mut bytes = [0; 1024];
            let n = stream.read(&mut bytes).await.unwrap();
            told.extend_from_slice(&bytes[..n]);
        }
        String::from_utf8_lossy(&told).into_owned()
    };
    events(1).await;
    for index in 0..2 {
        push(&bench, part(1, index)).await;
        let count = usize::from(index) + 1;
        bench.list_until(LIST, |list| counts(list) == [0, count]).await;
    }
    bench.live(&segments(1..2)).await;
    let told = events(2).await;
    assert_eq!(told.matches("\"segments\":1,").count(), 1, "{told}");
    assert_eq!(told.matches("\"segments\":2,").count(), 1, "{told}");
}

#[tokio::test]
async fn a_flood_of_parts_costs_a_list_nothing() {
    let bench = live(2).await;
    for n in 0..20_000_u32 {
        let [after, index] = [n % 50, n % 251].map(|n| u8::try_from(n).unwrap());
        let after = content(200 + after);
        let useless = LivePart { number: n.into(), index, after, ..part(1, 0) };
        push(&bench, useless).await;
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    push(&bench, part(2, 0)).await;
    let list = bench.list_until(LIST, |list| counts(list) == [0, 0, 1]).await;
    assert!(list.body.len() < 1500, "{}", list.text());
    // Parts that would make a segment longer than any are not shown, however many come.
    for index in 1..=255 {
        push(&bench, LivePart { content: content(index), index, ..part(2, 0) }).await;
    }
    settle(&bench).await;
    let list = bench.get(LIST).await;
    assert_eq!(counts(&list), [0, 0, 2], "five seconds each of twelve at most");
}

#[tokio::test]
async fn a_part_that_is_late_or_lost_costs_only_latency() {
    let bench = live(2).await;
    push(&bench, part(2, 1)).await;
    let whole: Vec<Segment> = segments(2..3);
    bench.live(&whole).await;
    let list = bench.list_until(LIST, |list| list.listed().len() == 3).await;
    assert_eq!(counts(&list), [0, 0, 0, 0], "the first part never came");
    push(&bench, part(2, 0)).await;
    settle(&bench).await;
    assert_eq!(bench.get(LIST).await.body, list.body);
    push(&bench, part(3, 0)).await;
    bench.list_until(LIST, |list| counts(list) == [0, 0, 0, 1]).await;
}
