//! From a segment that is stored to the list of a node, over the wire and over HTTP.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alive_core::{
    Renditions, Segment, StreamId, Timestamp,
    backend::{LiveCache as _, LiveSegment, Storage as _},
};
use alive_db::{
    gun::{Peer, PeerConfig},
    live_cache::AliveDb,
    sea::{KeyPair, UserSpace},
};
use alive_storage::DiskStorage;
use reqwest::Client;

use crate::{
    live::Setting,
    support::{free_port, get},
};

const SEGMENTS: u32 = 100;

/// Asks for the list as soon as it has segment `number`, as players do, and gives its text.
async fn list_with(client: &Client, url: &str, number: u32) -> String {
    let url = format!("{url}?_HLS_msn={number}");
    let answer = client.get(&url).send().await.unwrap().error_for_status().unwrap();
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures: cargo test --release -p alive-cli --test program latency -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "its result is a figure")]
async fn from_stored_to_listed() {
    let setting = Setting::new();
    let keys = Arc::new(KeyPair::generate().unwrap());
    setting.configure(&["--l2", "gundb", "--pub", &keys.public().to_string()]);
    let (port, gun) = (free_port(), free_port());
    let _node = setting.node(port, &["--live-listen", &format!("127.0.0.1:{gun}")]);
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    peer.dial(&format!("http://127.0.0.1:{gun}/gun")).await.unwrap();
    let cache = AliveDb::writer(Arc::new(peer.clone()), keys);
    let storage = DiskStorage::open_dir(setting.path("store")).unwrap();
    let stream: StreamId = "hive/alice/live".parse().unwrap();
    let push = async |number: u32| {
        let content = storage.put(number.to_be_bytes().to_vec().into()).await.unwrap();
        let stored = Instant::now();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let segment = Segment::new(content, "2.0".parse().unwrap());
        let at = Timestamp::EPOCH.after(now);
        let live = LiveSegment { segment, renditions: Renditions::default(), at };
        cache.push(&stream, live).await.unwrap();
        stored
    };
    let url = format!("http://127.0.0.1:{port}/stream/alice/live.m3u8");
    push(0).await;
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    while !get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    list_with(&client, &url, 0).await;
    let mut took = Vec::new();
    for number in 1..=SEGMENTS {
        let asked = {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let text = list_with(&client, &url, number).await;
                (Instant::now(), text)
            })
        };
        // The request is at the node by then; if not, the figure is the worse for it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let stored = push(number).await;
        let (seen, text) = asked.await.unwrap();
        assert_eq!(text.matches("#EXTINF").count(), number as usize + 1);
        took.push(seen.saturating_duration_since(stored));
    }
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "from stored to listed, {SEGMENTS} segments: median {:.1?}, 90 % {:.1?}, longest {:.1?}",
        at(50),
        at(90),
        at(100)
    );
    peer.stop().await;
}
