//! The node that the visitors come to: [`is_a_node_with_a_chat`].

use alive_core::{backend::SharedStorage, memory::MemoryStorage};
use alive_node::{ChatConfig, ServerLimits};
use serde_json::Value;

use super::{PER_SEC, VISITORS, speaker};
use crate::{
    chatters::{Chatters, configure_chat},
    process,
    support::{Bench, config, stream_id},
};

/// Does nothing unless it runs in the process that is the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_node_with_a_chat() {
    if !process::is_node() {
        return;
    }
    let chatters = Chatters::new(stream_id());
    let storage = MemoryStorage::default();
    let limits = ServerLimits::default();
    let connections = limits.connections.max(VISITORS * 2);
    let limits = limits.connections(connections).connections_per_address(connections);
    let rooms = chatters.rooms(ChatConfig::default());
    let shared = SharedStorage::new(storage.clone());
    let mut bench = Bench::over(config().limits(limits), storage, shared, |b| b.chat(rooms)).await;
    bench.block(&[configure_chat()]).await;
    for n in 0..PER_SEC {
        chatters.add(&speaker(n));
        chatters.rule_on(&speaker(n), 1.0).await;
    }
    let is_ready = |chat: &Value| chat["caught_up"] == true;
    while !is_ready(&bench.get("/v1/streams/alice/s/chat").await.json()) {
        tokio::task::yield_now().await;
    }
    process::say_address(bench.node.address());
    std::future::pending::<()>().await;
}
