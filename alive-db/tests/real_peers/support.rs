//! Our peers.

use std::time::Duration;

use alive_db::gun::{
    Anyone, Delta, NodeDelta, Peer, PeerConfig, Query, Relay, RelayLimits, Subscription, Value,
};
use tokio::{net::TcpListener, time::timeout};

pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

pub(crate) async fn relay() -> (Peer, Relay) {
    let peer = Peer::start(PeerConfig::default(), Anyone).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
    (peer, relay)
}

pub(crate) async fn client(url: &str) -> Peer {
    let peer = Peer::start(PeerConfig::default(), Anyone).unwrap();
    peer.dial(url).await.unwrap();
    peer
}

pub(crate) async fn put(peer: &Peer, soul: &str, key: &str, value: Value) {
    let delta = Delta::of(soul, key, value, peer.next_state());
    timeout(DEADLINE, peer.put(delta)).await.unwrap().unwrap();
}

pub(crate) async fn get(peer: &Peer, soul: &str, key: &str) -> Option<Value> {
    let node = timeout(DEADLINE, peer.get(Query::key(soul, key))).await.unwrap()?;
    value(&node, key)
}

pub(crate) fn value(node: &NodeDelta, key: &str) -> Option<Value> {
    node.entries.iter().find(|(name, ..)| *name == key).map(|(_, value, _)| value.clone())
}

/// Waits for a change of a key to this value.
pub(crate) async fn changed(changes: &mut Subscription, key: &str, to: &Value) {
    let change = async {
        while let Some(change) = changes.next().await {
            if value(&change, key).as_ref() == Some(to) {
                return;
            }
        }
        panic!("the peer has stopped");
    };
    timeout(DEADLINE, change).await.unwrap();
}

/// Lets a blocking conversation with Node.js run beside ours.
pub(crate) async fn beside<T: Send + 'static>(talk: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(talk).await.unwrap()
}
