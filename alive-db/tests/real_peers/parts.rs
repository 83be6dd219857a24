//! Parts of the segment that is being recorded, in a GUN relay of npm and beside a GUN client that knows nothing of them.

use std::sync::Arc;

use alive_core::{
    Quality, Renditions, Segment, StreamId, Timestamp,
    backend::{LiveCache as _, LivePart, LiveSegment},
};
use alive_db::{
    gun::{Peer, PeerConfig, Query},
    live_cache::AliveDb,
    schema::{PartSpace, StreamSpace},
    sea::{KeyPair, UserSpace},
};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::{
    node::Node,
    support::{DEADLINE, beside},
};

const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

async fn client(url: &str) -> Peer {
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    peer.dial(url).await.unwrap();
    peer
}

fn part(number: u64, index: u8) -> LivePart {
    let (content, duration) = (CID.parse().unwrap(), "0.5".parse().unwrap());
    let (quality, section, at) = (Quality::Src, None, Timestamp::EPOCH);
    let (after, independent) = (content, true);
    LivePart { number, index, after, duration, content, quality, section, independent, at }
}

/// What is pushed reaches a reader through the relay, the node of the parts stays small there, and who reads the list as
/// the original does sees its segments and nothing else.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn parts_go_through_a_gun_relay_and_its_clients_see_segments_only() {
    let relay = beside(Node::relay).await;
    let (url, stream) = (relay.url(), "hive/alice/s".parse::<StreamId>().unwrap());
    let keys = Arc::new(KeyPair::generate().unwrap());
    let streamer = client(&url).await;
    let cache = AliveDb::writer(Arc::new(streamer), Arc::clone(&keys));
    let list = StreamSpace::new(keys.public(), &stream).list_soul().to_string();
    let mut js = beside({
        let (url, list) = (url.clone(), list.clone());
        move || {
            let mut js = Node::client(&url);
            js.call("map", serde_json::json!({"path": [list]}));
            js
        }
    })
    .await;
    for number in 0..6 {
        let segment = Segment::new(CID.parse().unwrap(), "2.0".parse().unwrap());
        let renditions = Renditions::default();
        let live = LiveSegment { segment, renditions, at: Timestamp::EPOCH };
        timeout(DEADLINE, cache.push(&stream, live)).await.unwrap().unwrap();
        for index in 0..4 {
            let pushed = cache.push_part(&stream, part(number + 1, index));
            timeout(DEADLINE, pushed).await.unwrap().unwrap();
        }
    }
    // A GUN client that follows the list: six items, each with a source and a length as always.
    beside(move || {
        js.seen_until(&[&list], |seen| seen.as_object().is_some_and(|seen| seen.len() == 6));
        let seen = js.seen(&[&list]);
        for item in seen.as_object().unwrap().values() {
            let names: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
            assert!(names.contains(&"src") && names.contains(&"len"), "{item}");
        }
    })
    .await;
    let reader = client(&url).await;
    let soul = PartSpace::new(keys.public(), &stream).soul().clone();
    let node = async {
        loop {
            if let Some(node) = reader.get(Query::node(soul.clone())).await
                && node.entries.len() >= 12
            {
                return node;
            }
        }
    };
    let node = timeout(DEADLINE, node).await.unwrap();
    assert_eq!(node.entries.len(), 12, "three segments of four parts");
    let reader = AliveDb::writer(Arc::new(reader), Arc::clone(&keys));
    let parts = reader.subscribe_parts(&stream).await.unwrap();
    let got = timeout(DEADLINE, parts.take(12).collect::<Vec<_>>()).await.unwrap();
    let mut got: Vec<_> = got.iter().map(|part| (part.number, part.index)).collect();
    got.sort_unstable();
    let want: Vec<_> = (4..7).flat_map(|number| (0..4).map(move |index| (number, index))).collect();
    assert_eq!(got, want);
}
