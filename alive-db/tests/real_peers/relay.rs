//! A GUN peer of npm as relay, ours as client.

use alive_db::gun::{Peer, Query, Value};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    node::Node,
    support::{DEADLINE, beside, changed, client, get, put, value},
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn what_we_put_is_acknowledged_and_read_by_a_gun_client_and_back() {
    let relay = beside(Node::relay).await;
    let (url, peer) = (relay.url(), client(&relay.url()).await);
    put(&peer, "room", "name", "attic".into()).await;
    let mut js = beside(move || {
        let mut js = Node::client(&url);
        js.once_until(&["room", "name"], |value| *value == "attic");
        js
    })
    .await;
    let js = beside(move || {
        let ack = js.put(&["room"], &json!({"n": 1.5, "gone": null, "yes": true}));
        assert_eq!(ack["err"], json!(null), "{ack}");
        js
    })
    .await;
    let node = peer.get(Query::node("room")).await.unwrap();
    assert_eq!(value(&node, "name"), Some("attic".into()));
    assert_eq!(get(&peer, "room", "yes").await, Some(Value::Bool(true)));
    assert_eq!(get(&peer, "room", "gone").await, Some(Value::Null));
    assert_eq!(get(&peer, "room", "nothing").await, None);
    drop(js);
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_subscription_through_the_relay_tells_both_ways() {
    let relay = beside(Node::relay).await;
    let peer = client(&relay.url()).await;
    let url = relay.url();
    let mut changes = peer.subscribe("live").await;
    let mut js = beside(move || {
        let mut js = Node::client(&url);
        js.call("on", json!({"path": ["live", "title"]}));
        js.put(&["live", "title"], &json!("one"));
        js
    })
    .await;
    changed(&mut changes, "title", &"one".into()).await;
    put(&peer, "live", "title", "two".into()).await;
    beside(move || {
        js.seen_until(&["live", "title"], |seen| {
            seen.as_array().unwrap().last() == Some(&json!("two"))
        });
    })
    .await;
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js"]
async fn a_late_joiner_reads_a_list_and_its_items() {
    let relay = beside(Node::relay).await;
    let url = relay.url();
    let js = beside(move || {
        let mut js = Node::client(&url);
        for n in 0..30 {
            js.put(&["list", &format!("item{n}")], &json!({"n": n, "text": "é😀"}));
        }
        js
    })
    .await;
    let early = client(&relay.url()).await;
    let items = async |peer: &Peer| {
        let mut numbers = Vec::new();
        for (key, link, _) in
            peer.get(Query::node("list")).await.map(|list| list.entries).unwrap_or_default()
        {
            assert_eq!(link, Value::Link(format!("list/{key}").into()));
            let Some(item) = peer.get(Query::node(format!("list/{key}"))).await else { continue };
            if value(&item, "text") == Some("é😀".into())
                && let Some(Value::Number(n)) = value(&item, "n")
            {
                numbers.push(n);
            }
        }
        numbers.sort();
        numbers.iter().map(|n| n.get()).collect::<Vec<_>>()
    };
    let all: Vec<_> = (0..30).map(f64::from).collect();
    timeout(DEADLINE, async { while items(&early).await != all {} }).await.unwrap();
    // The writer is gone; the relay answers in parts, and what it has to ask others for it may take its time.
    drop(js);
    early.stop().await;
    let late = client(&relay.url()).await;
    timeout(DEADLINE, async { while items(&late).await != all {} }).await.unwrap();
    late.stop().await;
}
