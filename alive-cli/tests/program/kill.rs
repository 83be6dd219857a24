//! Publisher and node are killed at random moments, again and again, on good chains and on bad ones, and nothing comes to
//! harm.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    path::Path,
    process::Command,
    time::Duration,
};

use crate::support::{Running, alive, free_port, get, playlist, run, sample, stdout};
use alive_core::{Op, SignedOp};
use serde_json::{Value, json};

const SEGMENTS: usize = 60;
/// Answers that are lost, refused or late, and forks after which transactions are gone as if nobody had sent them.
const ROUGH: &str = r#"{"answers": [
    {"fault": {"kind": "lost"}, "method": "condenser_api.broadcast", "per_mille": 200},
    {"fault": {"kind": "status", "status": 503}, "per_mille": 60},
    {"fault": {"kind": "delay", "millis": 300}, "per_mille": 100}
], "forks": {"blocks": 3, "per_mille": 120, "fate": "lose"}}"#;

/// A segment that is like no other: a sample's, with a null packet that carries its number.
fn segment(number: usize) -> Vec<u8> {
    let path = sample("ts-6x10s").join(format!("stream{}.ts", number % 6));
    let mut bytes = std::fs::read(path).unwrap();
    let mut null = [0xff_u8; 188];
    null[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    null[4..12].copy_from_slice(&(number as u64).to_be_bytes());
    bytes.extend_from_slice(&null);
    bytes
}

/// Writes segments as a recorder does, one after the other.
fn record(folder: &Path) {
    let mut list = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n".to_owned();
    for number in 0..SEGMENTS {
        std::fs::write(folder.join(format!("stream{number}.ts")), segment(number)).unwrap();
        list.extend(["#EXTINF:10.000000,\n", &format!("stream{number}.ts\n")]);
        if number + 1 == SEGMENTS {
            list += "#EXT-X-ENDLIST\n";
        }
        std::fs::write(folder.join("stream.m3u8.tmp"), &list).unwrap();
        std::fs::rename(folder.join("stream.m3u8.tmp"), folder.join("stream.m3u8")).unwrap();
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The parts of the system and where they are.
struct Setting {
    folder: tempfile::TempDir,
    chain: String,
    wif: String,
    content_port: u16,
    node_port: u16,
}

impl Setting {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = alive(args);
        command
            .current_dir(self.folder.path())
            .env("ALIVE_NETWORK", "devnet")
            .env("ALIVE_HIVE_NODE", &self.chain)
            .env("ALIVE_CHAIN_POLL_MS", "20")
            .env("ALIVE_ACCOUNT", "alice")
            .env("ALIVE_LINK", "kill")
            .env("ALIVE_POSTING_KEY", &self.wif);
        command
    }

    fn stream(&self) -> Running {
        let (folder, data) = (self.path("recording"), self.path("streamer"));
        let serve = format!("127.0.0.1:{}", self.content_port);
        let args = [
            "stream",
            "--folder",
            &folder,
            "--data",
            &data,
            "--serve",
            &serve,
            "--keep-serving",
            "--from-block",
            "1",
            "--interval",
            "0.7",
            "--end",
            "--accept-old",
        ];
        Running::start(self.command(&args))
    }

    fn node(&self) -> Running {
        let (data, content) = (self.path("node"), self.content_url());
        let listen = format!("127.0.0.1:{}", self.node_port);
        Running::start(self.command(&[
            "node",
            "--data",
            &data,
            "--content",
            &content,
            "--listen",
            &listen,
        ]))
    }

    fn content_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.content_port)
    }

    fn playlist_url(&self) -> String {
        format!("http://127.0.0.1:{}/stream/alice/kill.m3u8", self.node_port)
    }

    /// Every push that is on the chain, accepted or not, by its sequence number.
    async fn pushes(&self) -> BTreeMap<u16, HashSet<String>> {
        let mut pushes: BTreeMap<u16, HashSet<String>> = BTreeMap::new();
        let client = reqwest::Client::new();
        for first in (1..).step_by(1000) {
            let params = json!({"starting_block_num": first, "count": 1000});
            let ask = json!({"jsonrpc": "2.0", "method": "block_api.get_block_range", "params": params, "id": 1});
            let answer: Value = loop {
                let answer = client.post(&self.chain).json(&ask).send().await.unwrap();
                // The node may be a bad one.
                if let Ok(answer) = answer.json().await {
                    break answer;
                }
            };
            let blocks = answer["result"]["blocks"].as_array().unwrap();
            let transactions = blocks.iter().flat_map(|b| b["transactions"].as_array().unwrap());
            for operation in transactions.flat_map(|t| t["operations"].as_array().unwrap()) {
                let op = SignedOp::from_operation_json(&operation.to_string(), "alive-test");
                if let Ok(SignedOp { op: Op::Push(push), .. }) = op {
                    pushes.entry(push.seq.as_u16()).or_default().insert(push.src.to_string());
                }
            }
            if blocks.len() < 1000 {
                break;
            }
        }
        pushes
    }
}

/// A number from `low` to below `high`.
fn random(state: &mut u64, low: u64, high: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    low + *state % (high - low)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_reused_however_often_it_dies() {
    survives(60, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_reused_on_a_chain_of_forks_behind_a_bad_node() {
    survives(24, &["--irreversible-distance", "6", "--faults", ROUGH]).await;
}

#[expect(clippy::print_stdout, reason = "a failure must tell its seed")]
async fn survives(kills: usize, chain: &[&str]) {
    let mut seed = RandomState::new().hash_one(0) | 1;
    println!("seed {seed}");
    let args =
        ["devnet", "--listen", "127.0.0.1:0", "--account", "alice=secret", "--block-time", "150ms"];
    let mut devnet = Running::start(alive(&[&args[..], chain].concat()));
    let chain = devnet.line("listening on ");
    let derived = alive(&["key", "derive", "--account", "alice"])
        .env("ALIVE_MASTER_PASSWORD", "secret")
        .output()
        .unwrap();
    let wif = stdout(&derived).lines().next().unwrap().replace("private ", "");
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting { folder, chain, wif, content_port: free_port(), node_port: free_port() };
    std::fs::create_dir(setting.path("recording")).unwrap();
    let gateway = setting.content_url();
    let configured = setting.command(&["configure", "--gw", &gateway]).output().unwrap();
    assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));

    let recording = setting.folder.path().join("recording");
    let recorder = std::thread::spawn(move || record(&recording));
    let (mut stream, mut node) = (setting.stream(), setting.node());
    for kill in 0..kills {
        tokio::time::sleep(Duration::from_millis(random(&mut seed, 10, 500))).await;
        if kill % 2 == 0 {
            stream.kill();
            stream = setting.stream();
        } else {
            node.kill();
            node = setting.node();
        }
    }
    recorder.join().unwrap();

    let url = setting.playlist_url();
    let uris = tokio::time::timeout(Duration::from_mins(2), async {
        loop {
            match playlist(&url).await {
                Some((uris, true)) if uris.len() >= SEGMENTS => return uris,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    let Ok(uris) = uris.await else {
        let health = get(&url.replace(".m3u8", "/health")).await.unwrap().text().await.unwrap();
        let listed = playlist(&url).await;
        let pushes = setting.pushes().await;
        panic!(
            "the stream does not come to its end: {listed:?}, {health}, on the chain: {pushes:?}"
        );
    };
    assert_eq!(uris.len(), SEGMENTS, "a segment is listed twice");
    for (number, uri) in uris.iter().enumerate() {
        let bytes = get(uri).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes, segment(number), "segment {number} is not in its place");
    }
    for (seq, contents) in setting.pushes().await {
        assert_eq!(contents.len(), 1, "sequence number {seq} was used for several contents");
    }
    let verified = run(&[
        "verify",
        "alice/kill",
        "--network",
        "devnet",
        "--hive-node",
        &setting.chain,
        "--gateway",
        &gateway,
    ]);
    let text = stdout(&verified);
    assert!(verified.status.success(), "{text}");
    assert!(text.contains(&format!("{SEGMENTS} segments")), "{text}");
    drop((stream, node));
}
