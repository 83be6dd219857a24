//! The rules of lists, from the chain to the player: what a list shows, waits for, passes over, and heals.

use std::time::Duration;

use crate::support::{
    Answer, Bench, config, configure, content, end, names, push, push_segment, segments,
};
use alive_core::{
    Segment, Timestamp,
    backend::{SharedStorage, Storage as _},
    memory::MemoryStorage,
    testing::{Call, Fault, Flaky},
};
use alive_node::{NodeConfig, PlaylistConfig};
use futures_util::future::join_all;
use serde_json::json;

const LIST: &str = "/stream/alice/s";

#[tokio::test]
async fn a_live_list_grows_and_becomes_an_archive() {
    let mut bench = Bench::start().await;
    bench.block(&[configure()]).await;
    let empty = bench.get(LIST).await;
    assert_eq!((empty.status, empty.listed().len()), (200, 0));
    assert!(empty.text().contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"));

    let all = segments(0..6);
    let chunk = bench.chunk(&all[0..3]).await;
    bench.block(&[push(0, chunk)]).await;
    let live = bench.list_until(LIST, |list| list.listed().len() == 3).await;
    assert_eq!(live.listed(), names(&all[0..3]));
    assert_eq!(live.header("content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(live.header("cache-control"), "public, max-age=1");
    assert_eq!(live.header("x-alive-health"), "complete");
    assert!(!live.ended());
    let relative = format!("\n/ipfs/{}?filename=0.ts\n", all[0].content);
    assert!(live.text().contains(&relative), "{}", live.text());

    bench.block(&[push_segment(1, &all[3])]).await;
    bench.list_until(LIST, |list| list.listed() == names(&all[0..4])).await;
    let chunk = bench.chunk(&all[4..6]).await;
    bench.block(&[push(2, chunk), end()]).await;
    let ended = bench.list_until(LIST, Answer::ended).await;
    assert_eq!(ended.listed(), names(&all));
    assert!(ended.text().contains("#EXT-X-PLAYLIST-TYPE:VOD\n"));
    assert_eq!(ended.header("cache-control"), "public, max-age=3600");
    assert_ne!(ended.header("etag"), live.header("etag"));
    let with_suffix = bench.get("/stream/alice/s.m3u8").await;
    assert_eq!(with_suffix.body, ended.body);
    bench.node.shutdown().await;
}

#[tokio::test]
async fn the_live_tail_is_listed_at_once_and_only_once() {
    let mut bench = Bench::start().await;
    let all = segments(0..5);
    bench.block(&[configure()]).await;
    bench.live(&all[0..2]).await;
    let live = bench.get(LIST).await;
    assert_eq!(live.listed(), names(&all[0..2]), "what the cache holds is in the first answer");
    bench.live(&all[2..4]).await;
    bench.list_until(LIST, |list| list.listed() == names(&all[0..4])).await;
    assert_eq!(bench.get("/stream/alice/s?l1only=1").await.listed().len(), 0);

    let chunk = bench.chunk(&all[0..3]).await;
    bench.block(&[push(0, chunk)]).await;
    bench.live(&all[4..5]).await;
    let list = bench.list_until(LIST, |list| list.listed().len() == 5).await;
    assert_eq!(list.listed(), names(&all));
    let chain = bench.list_until("/stream/alice/s?l1only=1", |list| list.listed().len() == 3).await;
    assert_eq!(chain.listed(), names(&all[0..3]));
}

#[tokio::test]
async fn a_live_list_waits_for_a_missing_chunk_and_says_so_and_heals() {
    let mut bench = Bench::start().await;
    let all = segments(0..6);
    let other = MemoryStorage::default();
    let csv = alive_core::Chunk::encode(&all[2..4]).unwrap();
    let missing = other.put(csv.clone().into()).await.unwrap();
    let (first, last) = (bench.chunk(&all[0..2]).await, bench.chunk(&all[4..6]).await);
    bench.block(&[configure(), push(0, first), push(1, missing), push(2, last)]).await;

    let list = bench.list_until(LIST, |list| list.listed().len() == 2).await;
    assert_eq!(list.header("x-alive-health"), "waiting=1");
    let health = bench.get("/stream/alice/s/health").await.json();
    assert_eq!(health["complete"], false);
    assert_eq!(health["waiting"]["seq"], 1);
    assert_eq!(health["waiting"]["content"], missing.to_string());
    assert_eq!(health["waiting"]["state"], "missing");
    assert!(health["waiting"]["reason"].as_str().unwrap().contains("not found"), "{health}");

    bench.storage.put(csv.into()).await.unwrap();
    let healed = bench.list_until(LIST, |list| list.listed().len() == 6).await;
    assert_eq!(healed.listed(), names(&all), "in order, without a discontinuity");
    assert_eq!(healed.header("x-alive-health"), "complete");
    let health = bench.get("/stream/alice/s/health").await.json();
    assert_eq!((&health["complete"], &health["waiting"]), (&json!(true), &json!(null)));
}

fn impatient() -> NodeConfig {
    let playlists = PlaylistConfig::default().patience(Duration::from_millis(1));
    config().playlists(playlists)
}

#[tokio::test]
async fn patience_ends_and_what_was_passed_over_returns_in_the_archive() {
    let mut bench = Bench::with(impatient()).await;
    let all = segments(0..5);
    let other = MemoryStorage::default();
    let csv = alive_core::Chunk::encode(&all[2..4]).unwrap();
    let missing = other.put(csv.clone().into()).await.unwrap();
    let first = bench.chunk(&all[0..2]).await;
    bench.block(&[configure(), push(0, first), push(1, missing), push_segment(2, &all[4])]).await;

    let list = bench.list_until(LIST, |list| list.listed().len() == 3).await;
    let mut want = names(&[all[0], all[1], all[4]]);
    want[2].insert(0, '|');
    assert_eq!(list.listed(), want);
    assert_eq!(list.header("x-alive-health"), "lacking=1");

    bench.storage.put(csv.into()).await.unwrap();
    let state = |health: &serde_json::Value| health["passed"][0]["state"].clone();
    let late =
        bench.list_until("/stream/alice/s/health", |answer| state(&answer.json()) == "late").await;
    assert_eq!(late.json()["passed_count"], 1);
    assert_eq!(bench.get(LIST).await.listed(), want, "a live list never changes in its middle");

    bench.block(&[end()]).await;
    let ended = bench.list_until(LIST, Answer::ended).await;
    assert_eq!(ended.listed(), names(&all));
}

#[tokio::test]
async fn an_archive_heals_when_a_chunk_turns_up() {
    let mut bench = Bench::start().await;
    let all = segments(0..5);
    let other = MemoryStorage::default();
    let csv = alive_core::Chunk::encode(&all[1..3]).unwrap();
    let missing = other.put(csv.clone().into()).await.unwrap();
    bench
        .block(&[
            configure(),
            push_segment(0, &all[0]),
            push(1, missing),
            push_segment(2, &all[3]),
            push_segment(3, &all[4]),
            end(),
        ])
        .await;
    let list = bench.get(LIST).await;
    assert!(list.ended());
    let mut want = names(&[all[0], all[3], all[4]]);
    want[1].insert(0, '|');
    assert_eq!(list.listed(), want);
    assert_eq!(list.header("cache-control"), "public, max-age=12", "it may be repaired soon");
    bench.storage.put(csv.into()).await.unwrap();
    let healed = bench.list_until(LIST, |list| list.listed().len() == 5).await;
    assert_eq!(healed.listed(), names(&all));
    assert_eq!(healed.header("cache-control"), "public, max-age=3600");
}

#[tokio::test]
async fn refused_chunks_and_gaps_are_passed_over_and_named() {
    let mut bench = Bench::start().await;
    let all = segments(0..3);
    let no_chunk = bench.storage.put("not a chunk".into()).await.unwrap();
    let too_large = bench.storage.put("x".repeat(4201).into()).await.unwrap();
    let skylink = "AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q,4";
    let foreign = bench.storage.put(skylink.into()).await.unwrap();
    bench
        .block(&[
            configure(),
            push_segment(0, &all[0]),
            push(1, no_chunk),
            push(2, too_large),
            push(3, foreign),
            push_segment(4, &all[1]),
            push_segment(7, &all[2]),
        ])
        .await;
    let list = bench.list_until(LIST, |list| list.listed().len() == 2).await;
    assert_eq!(list.header("x-alive-health"), "lacking=3, gap");
    bench.block(&[end()]).await;
    let list = bench.list_until(LIST, Answer::ended).await;
    let mut want = names(&all);
    want[1].insert(0, '|');
    want[2].insert(0, '|');
    assert_eq!(list.listed(), want);
    let health = bench.get("/stream/alice/s/health").await.json();
    assert_eq!(health["absent"], json!([{"first": 5, "last": 6}]));
    let reasons: Vec<_> = (0..3).map(|n| health["passed"][n]["reason"].to_string()).collect();
    assert!(reasons[0].contains("not a chunk"), "{health}");
    assert!(reasons[1].contains("4200"), "{health}");
    assert!(reasons[2].contains("another storage"), "{health}");
}

#[tokio::test]
async fn a_fork_takes_back_an_end_and_a_whole_stream() {
    let mut bench = Bench::start().await;
    let all = segments(0..3);
    bench.block(&[configure(), push_segment(0, &all[0])]).await;
    bench.block(&[end()]).await;
    assert!(bench.get(LIST).await.ended());
    bench.undo(1).await;
    let list = bench.list_until(LIST, |list| !list.ended()).await;
    assert_eq!(list.listed(), names(&all[0..1]));
    bench.block(&[push_segment(1, &all[1])]).await;
    bench.live(&all[2..3]).await;
    bench.list_until(LIST, |list| list.listed() == names(&all)).await;
    bench.undo(2).await;
    let gone = bench.list_until(LIST, |list| list.status != 200).await;
    assert_eq!(gone.status, 404);
    bench.block(&[configure(), push_segment(0, &all[1])]).await;
    let again = bench.list_until(LIST, |list| list.status == 200).await;
    assert_eq!(again.listed()[0], all[1].content.to_string());
}

#[tokio::test]
async fn each_quality_has_its_own_list() {
    let mut bench = Bench::start().await;
    let (src, low) = (content(1), content(2));
    let push = format!(r#"{{"op":0,"link":"s","seq":0,"src":"{src}","len":4,"480":"{low}"}}"#);
    bench.block(&[configure(), push]).await;
    assert_eq!(bench.get("/stream/alice/s?quality=src").await.listed(), [src.to_string()]);
    assert_eq!(bench.get("/stream/alice/s?quality=480").await.listed(), [low.to_string()]);
    for unknown in ["720", "", "SRC", "480&quality=480", "%ff"] {
        let answer = bench.get(&format!("/stream/alice/s?quality={unknown}")).await;
        let want = if unknown.contains('&') { 400 } else { 404 };
        assert_eq!(answer.status, want, "{unknown}");
    }
}

#[tokio::test]
async fn lists_that_nobody_asks_for_make_room() {
    let config = config().playlists(PlaylistConfig::default().max_lists(2));
    let mut bench = Bench::with(config).await;
    let configures: Vec<_> = (0..5).map(|n| format!(r#"{{"op":2,"link":"s{n}"}}"#)).collect();
    bench.block(&configures).await;
    for _ in 0..3 {
        for n in 0..5 {
            assert_eq!(bench.get(&format!("/stream/alice/s{n}")).await.status, 200);
            assert!(bench.node.playlists().count() <= 2);
        }
    }
}

/// A node whose storage takes everything and gives nothing back.
async fn over_a_storage_that_hangs(lists: PlaylistConfig) -> Bench {
    let storage = MemoryStorage::default();
    let hangs = Flaky::new(storage.clone(), |_: Call| Fault::Hang);
    Bench::over(config().playlists(lists), storage, SharedStorage::new(hangs), |b| b).await
}

#[tokio::test]
async fn room_for_no_list_is_room_for_one() {
    let mut config = config();
    config.playlists.max_lists = 0;
    let mut bench = Bench::with(config).await;
    bench.block(&[configure()]).await;
    assert_eq!(bench.get(LIST).await.status, 200);
}

#[tokio::test]
async fn a_list_that_is_being_made_does_not_make_room_for_others() {
    let lists = PlaylistConfig::default().max_lists(2).first_wait(Duration::from_millis(300));
    let mut bench = over_a_storage_that_hangs(lists).await;
    let chunk = bench.chunk(&segments(0..1)).await;
    let others = (0..5).map(|n| format!(r#"{{"op":2,"link":"s{n}"}}"#));
    let payloads: Vec<_> = [configure(), push(0, chunk)].into_iter().chain(others).collect();
    bench.block(&payloads).await;
    let crowd = async {
        for n in (0..5).cycle() {
            assert_eq!(bench.get(&format!("/stream/alice/s{n}")).await.status, 200);
        }
    };
    tokio::select! {
        waited = bench.get(LIST) => assert_eq!(waited.status, 200),
        () = crowd => {}
    }
}

#[tokio::test]
async fn who_asks_for_more_lists_at_once_than_there_may_be_gets_them_all() {
    let lists = PlaylistConfig::default().max_lists(2).first_wait(Duration::from_millis(300));
    let mut bench = over_a_storage_that_hangs(lists).await;
    let chunk = bench.chunk(&segments(0..1)).await;
    let streams: Vec<_> = (0..8).map(|n| format!("s{n}")).collect();
    let payloads = streams.iter().flat_map(|link| {
        [configure(), push(0, chunk)]
            .map(|payload| payload.replace(r#""s""#, &format!("\"{link}\"")))
    });
    bench.block(&payloads.collect::<Vec<_>>()).await;
    let paths: Vec<_> = streams.iter().map(|link| format!("/stream/alice/{link}")).collect();
    for answer in join_all(paths.iter().map(|path| bench.get(path))).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(bench.node.playlists().count() <= 4);
}

#[tokio::test]
async fn a_list_whose_next_segment_is_waited_for_does_not_make_room_for_others() {
    let config = config().playlists(PlaylistConfig::default().max_lists(2));
    let mut bench = Bench::with(config).await;
    let all = segments(0..2);
    let others = (0..5).map(|n| format!(r#"{{"op":2,"link":"s{n}"}}"#));
    let payloads = [configure(), push_segment(0, &all[0])].into_iter().chain(others);
    bench.block(&payloads.collect::<Vec<_>>()).await;
    let crowd = async {
        for n in 0..100 {
            let other = bench.get(&format!("/stream/alice/s{}", n % 5)).await;
            assert_eq!(other.status, 200);
        }
        assert!(bench.chain.submit("alice".parse().unwrap(), push_segment(1, &all[1])));
        bench.chain.produce(Timestamp::from_unix_secs(1_800_000_000));
    };
    let waiting = format!("{LIST}?_HLS_msn=1");
    let (waited, ()) = tokio::join!(bench.get(&waiting), crowd);
    assert_eq!((waited.status, waited.listed()), (200, names(&all)));
}

#[tokio::test]
async fn a_storage_that_hangs_keeps_no_viewer_waiting() {
    let lists = PlaylistConfig::default().first_wait(Duration::from_millis(1));
    let mut bench = over_a_storage_that_hangs(lists).await;
    let all: Vec<Segment> = segments(0..3);
    let chunk = bench.chunk(&all[1..2]).await;
    bench.block(&[configure(), push_segment(0, &all[0]), push(1, chunk)]).await;
    bench.live(&all[2..3]).await;
    let list = bench.list_until(LIST, |list| list.listed().len() == 2).await;
    assert_eq!(list.listed(), names(&[all[0], all[2]]), "the live cache helps meanwhile");
    assert_eq!(list.header("x-alive-health"), "waiting=1");
}
