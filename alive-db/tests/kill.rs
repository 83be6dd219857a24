//! The graph on disk survives `kill -9`: what was acknowledged is there.
#![cfg(test)]
#![cfg(all(feature = "disk", unix))]

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use alive_db::gun::{Anyone, Delta, DiskGraph, Peer, PeerConfig, Query, State, Value};

/// Where the writer that is to be killed finds its file; without it the test of that name does nothing.
const FILE: &str = "ALIVE_DB_KILL_FILE";
const ROUNDS: u64 = 4;

fn peer(path: &Path) -> Peer {
    Peer::start(PeerConfig::default().disk(DiskGraph::open(path).unwrap()), Anyone).unwrap()
}

/// The writer: says every number once its value is acknowledged, until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn writer() {
    let Some(path) = env::var_os(FILE) else { return };
    let peer = peer(Path::new(&path));
    let mut out = std::io::stdout();
    for n in 0_u64.. {
        // Some rewrite one key, some make a new node, some are from the future.
        let key = format!("k{}", n % 7);
        let mut delta = Delta::of("list", key, format!("{n}").as_str().into(), peer.next_state());
        delta.nodes.extend(Delta::of(format!("item{n}"), "n", "x".into(), peer.next_state()).nodes);
        let later = State::new(peer.next_state().millis() + 300_000.0).unwrap();
        delta.nodes.extend(Delta::of(format!("later{n}"), "n", "x".into(), later).nodes);
        peer.put(delta).await.unwrap();
        writeln!(out, "acknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_is_there_after_a_kill() {
    if env::var_os(FILE).is_some() {
        return;
    }
    for round in 0..ROUNDS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graph");
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["writer", "--exact", "--nocapture", "--test-threads", "1"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        // Killed at another moment each time, and while it writes.
        while last < Some(5 + 13 * round) {
            let line = lines.next().unwrap().unwrap();
            last = line.split_once("acknowledged ").map_or(last, |(_, n)| n.parse().ok());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What was on its way when it died counts, too.
        for line in lines.map_while(Result::ok) {
            last = line.split_once("acknowledged ").map_or(last, |(_, n)| n.parse().ok());
        }
        let last = last.unwrap();
        let deferred = DiskGraph::open(&path).unwrap().deferred().unwrap();
        let peer = peer(&path);
        for n in 0..=last {
            assert!(
                peer.get(Query::node(format!("item{n}"))).await.is_some(),
                "item {n} of {last}"
            );
            let soul = format!("later{n}");
            assert!(deferred.iter().any(|(held, ..)| *held == *soul), "later {n} of {last}");
        }
        let list = peer.get(Query::node("list")).await.unwrap();
        let newest = list.entries.iter().filter_map(|(_, value, _)| match value {
            Value::Text(text) => text.as_str()?.parse::<u64>().ok(),
            _ => None,
        });
        assert!(newest.max() >= Some(last), "the newest value of {last}");
        peer.stop().await;
    }
}
