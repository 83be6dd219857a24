//! The live layer between processes: a node lists segments before the chain has them, whoever goes away meanwhile.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use alive_db::{
    gun::{Peer, PeerConfig, Put, Query},
    schema::PartSpace,
    sea::{PublicKey, UserSpace},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Running, alive, free_port, get, playlist, run, sample, stdout};

/// A chain that is too slow in taking segments: whatever a node lists has come over the live layer.
pub(crate) struct Setting {
    folder: tempfile::TempDir,
    _devnet: Running,
    network: &'static str,
    chain: String,
    key: String,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::on("devnet")
    }

    fn on(network: &'static str) -> Self {
        let args = ["devnet", "--listen", "127.0.0.1:0", "--account", "alice:secret"];
        let time = ["--block-time", "100ms", "--network", network];
        let mut devnet = Running::start(alive(&[&args[..], &time].concat()));
        let chain = devnet.line("listening on ");
        let key = match network {
            "avalon" => alive_avalon::devnet::dev_key("alice", "secret").to_base58().to_string(),
            _ => {
                let derived = alive(&["key", "derive", "--account", "alice"])
                    .env("ALIVE_MASTER_PASSWORD", "secret")
                    .output()
                    .unwrap();
                stdout(&derived).lines().next().unwrap().replace("private ", "")
            }
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("recording")).unwrap();
        Self { folder, _devnet: devnet, network, chain, key }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = alive(args);
        command
            .current_dir(self.folder.path())
            .env("ALIVE_NETWORK", self.network)
            .env("ALIVE_HIVE_NODE", &self.chain)
            .env("ALIVE_AVALON_NODE", &self.chain)
            .env("ALIVE_CHAIN_POLL_MS", "20")
            .env("ALIVE_ACCOUNT", "alice")
            .env("ALIVE_LINK", "live")
            .env("ALIVE_POSTING_KEY", &self.key)
            .env("ALIVE_AVALON_KEY", &self.key);
        command
    }

    pub(crate) fn configure(&self, more: &[&str]) {
        let configured = self.command(&[&["configure"], more].concat()).output().unwrap();
        assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
    }

    fn stream(&self, data: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["stream", "--folder", "recording", "--data", data]);
        command.args(["--from-block", "1", "--interval", "300", "--planned-hours", "0"]).args(more);
        command
    }

    pub(crate) fn node(&self, port: u16, more: &[&str]) -> Running {
        let listen = format!("127.0.0.1:{port}");
        let mut command = self.command(&["node", "--data", "node", "--listen", &listen]);
        command.args(more);
        let mut node = Running::start(command);
        node.line("listening on ");
        node
    }

    fn db(&self, gun_port: u16) -> Running {
        let port = gun_port.to_string();
        let args = ["db", "--data", "db", "--http-port", "0", "--gun-port", &port];
        let mut db = Running::start(self.command(&args));
        db.line("peers at ");
        db
    }

    /// Adds a segment to the recording.
    fn record(&self, number: usize) {
        record(&self.path("recording"), number);
    }
}

fn record(folder: &Path, number: usize) {
    let from = sample("ts-6x10s").join(format!("stream{number}.ts"));
    std::fs::copy(from, folder.join(format!("stream{number}.ts"))).unwrap();
    let mut list = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n".to_owned();
    for number in 0..=number {
        list.extend(["#EXTINF:10.000000,\n", &format!("stream{number}.ts\n")]);
    }
    std::fs::write(folder.join("list.tmp"), &list).unwrap();
    std::fs::rename(folder.join("list.tmp"), folder.join("stream.m3u8")).unwrap();
}

/// Waits until a node lists so many segments.
async fn listed(port: u16, count: usize) -> Vec<String> {
    let url = format!("http://127.0.0.1:{port}/stream/alice/live.m3u8");
    let waiting = async {
        loop {
            match playlist(&url).await {
                Some((uris, _)) if uris.len() >= count => return uris,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let Ok(uris) = tokio::time::timeout(Duration::from_secs(90), waiting).await else {
        panic!("the node does not list {count} segments: {:?}", playlist(&url).await);
    };
    assert_eq!(uris.len(), count, "a segment is listed twice");
    uris
}

/// What a node says of the stream.
async fn info(port: u16, route: &str) -> Value {
    let url = format!("http://127.0.0.1:{port}/{route}?stream_author=alice&stream_link=live");
    get(&url).await.unwrap().json().await.unwrap()
}

/// No push is on the chain: the node cannot have its list from there.
async fn assert_nothing_pushed(port: u16) {
    assert_eq!(info(port, "get_stream_chunks").await["chunks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_reaches_a_node_through_a_server_of_its_own() {
    let setting = Setting::new();
    setting.configure(&[]);
    let (gun, port) = (free_port(), free_port());
    let url = format!("http://127.0.0.1:{gun}/gun");
    let _db = setting.db(gun);
    let _node = setting.node(port, &["--live-peer", &url]);
    let mut stream = Running::start(setting.stream("streamer", &["--live-peer", &url]));
    let key = stream.line("live key ");
    assert!(stream.line("live key in block ").ends_with(" of hive"));
    setting.record(0);
    setting.record(1);
    stream.line("stream0.ts: cached");
    let uris = listed(port, 2).await;
    assert_nothing_pushed(port).await;
    assert_eq!(info(port, "get_stream_info").await["l2_pub"], *key);
    for number in 2..5 {
        setting.record(number);
        assert_eq!(listed(port, number + 1).await[..2], uris, "in order");
    }
    assert_nothing_pushed(port).await;

    // The keys are in a file for their owner only.
    let file = setting.path("streamer/live-key.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // Somebody else's keys do not take the stream over by chance.
    let other = setting.stream("elsewhere", &["--live-peer", &url]).output().unwrap();
    let said = String::from_utf8_lossy(&other.stderr);
    assert_eq!(other.status.code(), Some(1));
    assert!(said.contains(&key) && said.contains("--live-replace-key"), "{said}");

    // The same ones go on, without another operation.
    stream.kill();
    let mut stream = Running::start(setting.stream("streamer", &["--live-peer", &url]));
    assert_eq!(stream.line("live key "), key);
    stream.kill();

    // Told to, others do take it over, and whoever watches follows them.
    let more = ["--live-peer", &url, "--live-replace-key", "--accept-old"];
    let mut stream = Running::start(setting.stream("elsewhere", &more));
    assert_ne!(stream.line("live key "), key);
    stream.line("live key in block ");
    setting.record(5);
    stream.line("stream5.ts: cached");
    assert_eq!(listed(port, 6).await[..2], uris, "in order");
    assert_nothing_pushed(port).await;
}

/// Avalon keeps how far a stream is, and its live key.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_avalon_reaches_a_node_in_the_same_way() {
    let setting = Setting::on("avalon");
    setting.configure(&[]);
    let (gun, port) = (free_port(), free_port());
    let url = format!("http://127.0.0.1:{gun}/gun");
    let _node = setting.node(port, &["--live-listen", &format!("127.0.0.1:{gun}")]);
    let command = |data: &str| {
        let stream = ["stream", "--folder", "recording", "--live-peer", &url, "--data", data];
        let mut command = setting.command(&stream);
        command.args(["--interval", "300", "--planned-hours", "0"]);
        command
    };
    let mut stream = Running::start(command("streamer"));
    let key = stream.line("live key ");
    assert!(stream.line("live key in block ").ends_with(" of avalon"));
    setting.record(0);
    setting.record(1);
    listed(port, 2).await;
    assert_nothing_pushed(port).await;
    assert_eq!(info(port, "get_stream_info").await["l2_pub"], *key);

    // Somebody else's keys do not take the stream over by chance.
    let other = command("elsewhere").output().unwrap();
    let said = String::from_utf8_lossy(&other.stderr);
    assert_eq!(other.status.code(), Some(1));
    assert!(said.contains(&key) && said.contains("--live-replace-key"), "{said}");
}

/// Who dies in the middle: the node, which is the relay itself, or the server between streamer and node.
#[rstest]
#[case::node("node")]
#[case::server("server")]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_a_peer_is_away_for_a_while(#[case] dies: &str) {
    let setting = Setting::new();
    setting.configure(&[]);
    let (gun, port) = (free_port(), free_port());
    let (listen, url) = (format!("127.0.0.1:{gun}"), format!("http://127.0.0.1:{gun}/gun"));
    let start = || match dies {
        "node" => setting.node(port, &["--live-listen", &listen]),
        _ => setting.db(gun),
    };
    let mortal = start();
    let _node = (dies != "node").then(|| setting.node(port, &["--live-peer", &url]));
    // Somebody watches before the stream has its key.
    listed(port, 0).await;
    let mut stream = Running::start(setting.stream("streamer", &["--live-peer", &url]));
    setting.record(0);
    setting.record(1);
    stream.line("stream1.ts: cached");
    let before = listed(port, 2).await;
    mortal.kill();
    setting.record(2);
    stream.line("stream2.ts: stored");
    let _reborn = start();
    setting.record(3);
    stream.line("stream3.ts: cached");
    let after = listed(port, 4).await;
    assert_eq!(after[..2], before, "what was there before is there again, in its place");
    assert_nothing_pushed(port).await;
}

/// The streamer is the peer that others connect to; he signs with keys that he has brought.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_connects_to_the_streamer_itself() {
    let setting = Setting::new();
    let (gun, port) = (free_port(), free_port());
    let (listen, url) = (format!("127.0.0.1:{gun}"), format!("http://127.0.0.1:{gun}/gun"));
    let keys = alive_db::sea::KeyPair::generate().unwrap();
    let file = setting.path("pair.json");
    // As gun keeps a pair that somebody saved; others must not be able to read it.
    let pair = json!({ "priv": *keys.private_text(), "epriv": *keys.exchange_private_text() });
    std::fs::write(&file, pair.to_string()).unwrap();
    let own = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode;
    std::fs::set_permissions(&file, own(0o644)).unwrap();
    setting.configure(&["--pub", &keys.public().to_string()]);
    let more = ["--live-listen", &listen, "--live-key-file", file.to_str().unwrap()];
    let refused = setting.stream("streamer", &more).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("others can read it"), "{said}");
    std::fs::set_permissions(&file, own(0o600)).unwrap();

    let mut stream = Running::start(setting.stream("streamer", &more));
    stream.line("live peers at ");
    assert_eq!(stream.line("live key "), keys.public().to_string());
    setting.record(0);
    stream.line("stream0.ts: cached");
    let node = setting.node(port, &["--live-peer", &url]);
    let first = listed(port, 1).await;
    setting.record(1);
    stream.line("stream1.ts: cached");
    assert_eq!(listed(port, 2).await[..1], first);
    // The node has them on disk, and finds the streamer again.
    node.kill();
    setting.record(2);
    stream.line("stream2.ts: cached");
    let _node = setting.node(port, &["--live-peer", &url]);
    assert_eq!(listed(port, 3).await[..1], first);
    assert_nothing_pushed(port).await;
}

/// A recorder that lists parts: they are with the node before their segment is whole, under the streamer's key.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_the_next_segment_reach_a_node_before_it_is_whole() {
    let setting = Setting::new();
    setting.configure(&[]);
    let (gun, port) = (free_port(), free_port());
    let url = format!("http://127.0.0.1:{gun}/gun");
    let _node = setting.node(port, &["--live-listen", &format!("127.0.0.1:{gun}")]);
    let mut stream = Running::start(setting.stream("streamer", &["--live-peer", &url]));
    let key: PublicKey = stream.line("live key ").parse().unwrap();
    stream.line("live key in block ");
    setting.record(0);
    let first = listed(port, 1).await;

    let folder = setting.path("recording");
    let whole = std::fs::read(sample("ts-6x10s").join("stream1.ts")).unwrap();
    let ranges = [(0, 1880), (1880, 3760)];
    let list = std::fs::read_to_string(folder.join("stream.m3u8")).unwrap();
    let mut list = list.replace("#EXTINF", "#EXT-X-PART-INF:PART-TARGET=0.5\n#EXTINF");
    for (from, len) in ranges {
        std::fs::write(folder.join("stream1.ts"), &whole[..from + len]).unwrap();
        let part = format!("URI=\"stream1.ts\",BYTERANGE=\"{len}@{from}\"\n");
        list.extend(["#EXT-X-PART:DURATION=0.5,", &part]);
        std::fs::write(folder.join("list.tmp"), &list).unwrap();
        std::fs::rename(folder.join("list.tmp"), folder.join("stream.m3u8")).unwrap();
    }
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    peer.dial(&url).await.unwrap();
    let space = PartSpace::new(&key, &"hive/alice/live".parse().unwrap());
    let shared = async {
        loop {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() * 1000.0;
            let node = peer.get(Query::node(space.soul().clone())).await;
            let plain = |put: Put<'_>| UserSpace::default().plain(put);
            let parts = node.map(|node| space.parts(&node, now, plain)).unwrap_or_default();
            if parts.len() >= ranges.len() {
                return parts;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let shared = tokio::time::timeout(Duration::from_secs(90), shared).await.unwrap();
    assert_eq!(shared.len(), ranges.len());
    for (index, ((_, part), (from, len))) in shared.iter().zip(ranges).enumerate() {
        assert_eq!((part.number, usize::from(part.index)), (1, index));
        assert!(first[0].contains(part.after.as_str()), "behind the segment that is listed");
        let file = setting.path("part");
        std::fs::write(&file, &whole[from..from + len]).unwrap();
        let id = stdout(&run(&["cid", file.to_str().unwrap()]));
        assert_eq!(id.split_whitespace().next(), Some(part.content.as_str()), "exactly its bytes");
    }
    assert_eq!(listed(port, 1).await, first, "the segment itself is not there yet");
    setting.record(1);
    assert_eq!(listed(port, 2).await[..1], first);
    assert_nothing_pushed(port).await;
    peer.stop().await;
}

/// A client of the original's API pushes, knowing nothing of this program, and a node lists it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_of_the_api_pushes_reaches_a_node() {
    let setting = Setting::new();
    let args = ["db", "--data", "db", "--http-port", "0", "--gun-port", "0"];
    let mut db = Running::start(setting.command(&args));
    let (gun, api) = (db.line("peers at "), db.line("API at "));
    let client = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        let answer = client.post(format!("{api}{path}")).json(&body).send().await.unwrap();
        answer.error_for_status().unwrap().json::<Value>().await.unwrap()
    };
    let user = post("/createUser", json!({ "id": "original", "key": "correct horse" })).await;
    setting.configure(&["--l2", "gundb", "--pub", user["pub"].as_str().unwrap()]);
    let port = free_port();
    let _node = setting.node(port, &["--live-peer", &gun]);
    let mut ids = Vec::new();
    for number in 0..3 {
        let file = sample("ts-6x10s").join(format!("stream{number}.ts"));
        let said = stdout(&run(&["cid", file.to_str().unwrap()]));
        let id = said.split_whitespace().next().unwrap().to_owned();
        let stream = json!({ "src": id, "len": 10.02 });
        let body =
            json!({ "network": "hive", "streamer": "alice", "link": "live", "stream": stream });
        assert_eq!(post("/pushStream", body).await, json!({ "success": true }));
        ids.push(id);
        let uris = listed(port, ids.len()).await;
        assert!(uris.iter().zip(&ids).all(|(uri, id)| uri.contains(id)), "{uris:?}");
    }
    assert_nothing_pushed(port).await;
}

/// A user of AliveDB that was made over the REST API signs for `alive stream`.
#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_signs_as_his_user() {
    let setting = Setting::new();
    setting.configure(&[]);
    let args = ["db", "--data", "db", "--http-port", "0", "--gun-port", "0"];
    let mut db = Running::start(setting.command(&args));
    let (gun, api) = (db.line("peers at "), db.line("API at "));
    let user = json!({ "id": "streamer", "key": "correct horse" });
    let client = reqwest::Client::new();
    let made = client.post(format!("{api}/createUser")).json(&user).send().await.unwrap();
    let public = made.json::<Value>().await.unwrap()["pub"].as_str().unwrap().to_owned();
    for (user, data) in [("streamer", "one"), (&*public, "two")] {
        let wrong = setting
            .stream(data, &["--live-peer", &gun, "--live-user", user])
            .env("ALIVE_LIVE_PASSWORD", "wrong horse")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&wrong.stderr);
        assert!(said.contains("Wrong user or password."), "{said}");
    }
    let mut command = setting.stream("three", &["--live-peer", &gun, "--live-user", "streamer"]);
    command.env("ALIVE_LIVE_PASSWORD", "correct horse");
    let mut stream = Running::start(command);
    assert_eq!(stream.line("live key "), public);
    setting.record(0);
    stream.line("stream0.ts: cached");
    let list = format!("{api}/getStream?pub={public}&network=hive&streamer=alice&link=live");
    let items: Value = client.get(list).send().await.unwrap().json().await.unwrap();
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert!((items[0]["len"].as_f64().unwrap() - 10.0).abs() < 0.1, "{items}");
}

#[test]
fn the_demo_goes_over_the_wire() {
    let recording = sample("ts-6x10s");
    let args = ["demo", "--speed", "40", "--recording", recording.to_str().unwrap()];
    let output = alive(&args).output().unwrap();
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("live layer   6 segments over the wire"), "{text}");
}
