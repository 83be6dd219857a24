//! Fragments of MP4: each list names the initialisation sections that its segments need.

use alive_core::{
    ContentId, Quality, Renditions, Segment, Timestamp,
    backend::{LiveCache as _, LiveSegment},
};
use alive_playlist::MediaPlaylist;
use serde_json::json;

use crate::support::{Answer, Bench, configure, content, end, push_segment, segments, stream_id};

const LIST: &str = "/stream/alice/s";

/// A push with the section of its segments.
fn with_map(push: &str, section: &ContentId) -> String {
    format!(r#"{},"map":"{section}"}}"#, push.strip_suffix('}').unwrap())
}

async fn live(bench: &Bench, segment: &Segment, section: &ContentId) {
    let mut renditions = Renditions::default();
    renditions.insert_section(Quality::Src, *section);
    let at = Timestamp::from_unix_secs(1_700_000_000);
    let live = LiveSegment { segment: *segment, renditions, at };
    bench.live.push(&stream_id(), live).await.unwrap();
}

/// Of each segment the file name, and the name of its section.
fn told(list: &Answer) -> Vec<(String, Option<String>)> {
    let playlist = MediaPlaylist::read(&list.body).unwrap();
    let name = |uri: &str| uri.rsplit('=').next().unwrap().to_owned();
    let segments = playlist.segments().iter().map(|segment| {
        let section = segment.map.as_ref().map(|map| {
            let id = map.uri.as_str().strip_prefix("/ipfs/").unwrap();
            id.strip_suffix("?filename=init.mp4").unwrap().to_owned()
        });
        (name(segment.uri.as_str()), section)
    });
    segments.collect()
}

#[tokio::test]
async fn lists_name_the_sections_that_pushes_and_live_entries_name() {
    let mut bench = Bench::start().await;
    let all = segments(0..5);
    let (first, second) = (content(100), content(101));
    let chunk = bench.chunk(&all[1..3]).await;
    let chunk = format!(r#"{{"op":0,"link":"s","seq":1,"src":"{chunk}"}}"#);
    let payloads =
        [configure(), with_map(&push_segment(0, &all[0]), &first), with_map(&chunk, &first)];
    bench.block(&payloads).await;
    bench.list_until(LIST, |list| list.listed().len() == 3).await;
    live(&bench, &all[3], &second).await;
    live(&bench, &all[4], &second).await;
    let list = bench.list_until(LIST, |list| list.listed().len() == 5).await;
    let (a, b) = (Some(first.to_string()), Some(second.to_string()));
    let want = [&a, &a, &a, &b, &b].into_iter().cloned().enumerate();
    let want: Vec<_> = want.map(|(n, map)| (format!("{n}.m4s"), map)).collect();
    assert_eq!(told(&list), want);
    assert!(list.text().contains("#EXT-X-VERSION:7\n"), "{}", list.text());
    assert_eq!(list.text().matches("#EXT-X-MAP").count(), 2);
    // Through another gateway, too, and in a window that begins behind the section's line.
    let other = bench.get(&format!("{LIST}?gw=https://gw.example")).await;
    assert!(
        other
            .text()
            .contains(&format!("URI=\"https://gw.example/ipfs/{first}?filename=init.mp4\""))
    );
    let window = bench.get(&format!("{LIST}?window=36")).await;
    assert!(told(&window).iter().all(|(_, section)| section.is_some()), "{}", window.text());

    let rows = bench.get("/v1/streams/alice/s/segments").await.json();
    let sections: Vec<_> = (0..5).map(|n| rows["segments"][n]["section"].clone()).collect();
    assert_eq!(json!(sections), json!([a, a, a, b, b]));
    let chunks = bench.get("/v1/streams/alice/s/chunks").await.json();
    assert_eq!(chunks["chunks"][1]["sections"], json!({ "src": a }));

    // The archive says what the chain does.
    let rest = all[3..]
        .iter()
        .zip(2..)
        .map(|(segment, seq)| with_map(&push_segment(seq, segment), &second));
    bench.block(&rest.collect::<Vec<_>>()).await;
    bench.block(&[end()]).await;
    let archive = bench.list_until(LIST, Answer::ended).await;
    assert_eq!(told(&archive), want);
}

#[tokio::test]
async fn a_section_that_is_none_makes_segments_of_mpeg_ts() {
    let mut bench = Bench::start().await;
    let one = segments(0..1)[0];
    let bad = push_segment(0, &one).replace('}', r#","map":"\"\n#EXTINF:1,\nhttp://evil/"}"#);
    bench.block(&[configure(), bad]).await;
    let list = bench.list_until(LIST, |list| list.listed().len() == 1).await;
    assert_eq!(told(&list), [("0.ts".to_owned(), None)]);
    assert!(!list.text().contains("evil"));
}

#[tokio::test]
async fn a_stream_that_goes_back_to_mpeg_ts_has_gaps_there() {
    let mut bench = Bench::start().await;
    let (all, map) = (segments(0..5), content(100));
    let with_break = |push: String| format!(r#"{},"d":1}}"#, push.strip_suffix('}').unwrap());
    let payloads = [
        configure(),
        with_map(&push_segment(0, &all[0]), &map),
        with_break(push_segment(1, &all[1])),
        push_segment(2, &all[2]),
        with_break(with_map(&push_segment(3, &all[3]), &map)),
        // Only the name of the section was forgotten: that before it holds.
        push_segment(4, &all[4]),
    ];
    bench.block(&payloads).await;
    let live = bench.list_until(LIST, |list| list.listed().len() == 5).await;
    bench.block(&[end()]).await;
    let archive = bench.list_until(LIST, Answer::ended).await;
    for list in [live, archive] {
        let text = list.text();
        let gaps: Vec<_> =
            MediaPlaylist::read(&list.body).unwrap().segments().iter().map(|s| s.gap).collect();
        assert_eq!(gaps, [false, true, true, false, false], "{text}");
        assert!(text.contains("#EXT-X-VERSION:8\n"), "{text}");
        assert_eq!(text.matches("#EXT-X-MAP").count(), 2, "the section is named again: {text}");
        assert!(text.contains("filename=1.ts\n") && text.contains("filename=3.m4s\n"), "{text}");
    }
}
