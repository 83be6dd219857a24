//! The node in a process of its own: [`Process`] starts it, [`is_a_node_with_a_chat`] is what it does.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use alive_core::{backend::SharedStorage, memory::MemoryStorage};
use alive_node::{ChatConfig, ServerLimits};
use serde_json::Value;

use super::{PER_SEC, VISITORS, speaker};
use crate::{
    chatters::{Chatters, configure_chat},
    support::{Bench, config, stream_id},
};

/// Tells a process of this test's binary that it is the node.
const VARIABLE: &str = "ALIVE_NODE_CHAT_TEST";

/// A node with a chat. It ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "process::is_a_node_with_a_chat", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        // The harness has begun the line with the name of the test.
        let address = lines.find_map(|line| line.split_once("address ")?.1.parse().ok()).unwrap();
        Self { child, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its memory now, in KiB, by the kernel.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Its processor time so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().map(|n| fields[*n].parse::<f64>().unwrap()).sum();
        ticks / 100.0
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Does nothing unless it runs in the process that is the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_node_with_a_chat() {
    if env::var_os(VARIABLE).is_none() {
        return;
    }
    // When the other process is gone, however it went, nobody holds the other end.
    std::thread::spawn(|| {
        let _ = std::io::stdin().lines().count();
        std::process::exit(0);
    });
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
    writeln!(std::io::stdout(), "address {}", bench.node.address()).unwrap();
    std::future::pending::<()>().await;
}
