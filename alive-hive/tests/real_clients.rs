//! Unmodified Hive clients broadcast to the development node, and our block source reads what they sent.
#![cfg(test)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use alive_core::{
    Op,
    backend::{BlockSource, Next},
};
use alive_hive::{
    devnet::{DevAccount, DevnetConfig, DevnetServer, serve},
    rpc::{HiveBlockSource, HiveBlockSourceConfig, RpcClient, RpcConfig},
};
use serde_json::Value;

const PASSWORD: &str = "a password that everybody knows";
const PAYLOADS: [&str; 3] = [
    r#"{"op":2,"link":"stream1","l2":"gundb"}"#,
    r#"{"op":0,"seq":0,"link":"stream1","src":"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG","len":10.033}"#,
    r#"{"op":1,"link":"stream1"}"#,
];

fn succeeded(output: &Output, what: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed:\n{text}");
}

/// The scripts with their packages, in a folder of the build: nothing of them is in the sources.
fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hive-js");
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["package.json", "broadcast.mjs"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js").join(file);
        std::fs::copy(from, folder.join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
    succeeded(&npm.output().unwrap(), "npm install");
    folder
}

/// The ids that a client says its transactions have.
fn broadcast(folder: &Path, client: &str, account: &str, url: &str, chain: &str) -> Vec<String> {
    let mut node = Command::new("node");
    node.arg("broadcast.mjs").args([client, url, chain, account, PASSWORD, "alive-test"]);
    let output = node.args(PAYLOADS).current_dir(folder).output().unwrap();
    succeeded(&output, client);
    let lines = String::from_utf8(output.stdout).unwrap();
    let id = |line: &str| {
        let said: Value = serde_json::from_str(line).unwrap();
        said["id"].as_str().unwrap().to_owned()
    };
    lines.lines().map(id).collect()
}

async fn started() -> DevnetServer {
    let account = |name| DevAccount::from_password(name, PASSWORD).unwrap();
    let config = DevnetConfig::default()
        .account(account("alice"))
        .account(account("bob"))
        .block_interval(Duration::from_millis(200));
    serve(config).await.unwrap()
}

/// Everything that one account has on the chain.
async fn ops_of(account: &str, server: &DevnetServer) -> Vec<Op> {
    let client = RpcClient::new(RpcConfig::new([server.url()]).unwrap()).unwrap();
    let network = DevnetConfig::default().network;
    let source = HiveBlockSource::new(client, network, HiveBlockSourceConfig::default());
    let (mut after, mut ops) = (None, Vec::new());
    while let Next::Blocks { blocks, .. } = source.next(after.as_ref(), 1000).await.unwrap() {
        let Some(last) = blocks.last() else { break };
        after = Some(last.at.clone());
        let signed = blocks.iter().flat_map(|block| &block.ops).map(|op| op.clone().unwrap());
        ops.extend(signed.filter(|one| one.account.as_str() == account).map(|one| one.op));
    }
    ops
}

async fn client_streams(client: &'static str, account: &'static str) {
    let folder = tokio::task::spawn_blocking(installed).await.unwrap();
    let server = started().await;
    let (url, chain) = (server.url(), DevnetConfig::default().network.chain_id.to_string());
    let sent =
        tokio::task::spawn_blocking(move || broadcast(&folder, client, account, &url, &chain));
    let ids = sent.await.unwrap();
    // The last one may still wait for its block.
    while server.with(|node| node.pending()) > 0 {
        tokio::task::yield_now().await;
    }
    let want: Vec<Op> = PAYLOADS.iter().map(|payload| Op::from_json(payload).unwrap()).collect();
    assert_eq!(ops_of(account, &server).await, want);
    let is_in_block = |id: &String| {
        let status = server.with(|node| node.status(&id.parse().unwrap(), None));
        format!("{status:?}").starts_with("Within")
    };
    assert!(ids.len() >= PAYLOADS.len() && ids.iter().all(is_in_block), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node.js and npm packages"]
async fn real_clients_stream_over_the_development_node() {
    // One after the other: they share the folder of packages.
    client_streams("hive-tx", "alice").await;
    client_streams("dhive", "bob").await;
}
