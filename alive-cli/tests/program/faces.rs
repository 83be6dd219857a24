//! The original streamer against `alive node`: with its endpoints for Hive, HAlive, AliveDB and IPFS pointed there, the calls
//! that it makes publish a recording, which plays while it is live and after its end. Source: `spec/indexer.md`, section 8.

use std::{
    fmt::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use alive_hive::{
    CustomJson, HiveNetwork, JsonForm, PrivateKey, Role, SignAlgorithm, Tapos, TimePoint,
    Transaction,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    db::{account_keys, login_message},
    hive_clients::Packages,
    live::Setting,
    players::frames,
    support::{Running, alive, free_port, get, has, playlist, sample},
};

const PASSWORD: &str = "correct horse";
const FACES: [&str; 6] = [
    "--ipfs-listen",
    "127.0.0.1:0",
    "--hive-listen",
    "127.0.0.1:0",
    "--alivedb-listen",
    "127.0.0.1:0",
];

/// A node with all faces, and where each is.
struct Node {
    running: Running,
    setting: Setting,
    port: u16,
    ipfs: String,
    hive: String,
    alivedb: String,
}

impl Node {
    fn start(more: &[&str]) -> Self {
        Self::of(Setting::new(), more, &[])
    }

    fn of(setting: Setting, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let mut command = setting.command(&["node", "--data", "node", "--listen", &listen]);
        command.args(FACES).args(more).envs(environment.iter().copied());
        let mut running = Running::start(command);
        let ipfs = running.line("ipfs on ");
        let hive = running.line("hive on ");
        let alivedb = running.line("AliveDB on ");
        Self { running, setting, port, ipfs, hive, alivedb }
    }

    fn halive(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn list_url(&self) -> String {
        format!("{}/stream/alice/live.m3u8", self.halive())
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let request = client().post(format!("{}{path}", self.alivedb)).json(body);
        let request = token.into_iter().fold(request, |request, token| {
            request.header("authorization", format!("Bearer {token}"))
        });
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn create_user(&self) -> String {
        let (status, user) =
            self.post("/createUser", None, &json!({ "id": "streamer", "key": PASSWORD })).await;
        assert_eq!(status, 200, "{user}");
        user["pub"].as_str().unwrap().to_owned()
    }

    async fn user(&self) -> Value {
        get(&format!("{}/currentUser", self.alivedb)).await.unwrap().json().await.unwrap()
    }

    /// What the route of the indexer says of the stream.
    async fn told(&self, route: &str) -> Value {
        let url = format!("{}/{route}?stream_author=alice&stream_link=live", self.halive());
        get(&url).await.unwrap().json().await.unwrap()
    }

    async fn chunks(&self) -> Vec<Value> {
        self.told("get_stream_chunks").await["chunks"].as_array().unwrap().clone()
    }

    /// Waits until the indexer's route says what is wanted.
    async fn until(&self, route: &str, what: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let said = self.told(route).await;
                if what(&said) {
                    return said;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let Ok(said) = tokio::time::timeout(Duration::from_secs(90), waiting).await else {
            panic!("{route} says {}", self.told(route).await);
        };
        said
    }

    /// Waits until the playlist lists so many segments, no more.
    async fn listed(&self, count: usize) -> Vec<String> {
        let waiting = async {
            loop {
                match playlist(&self.list_url()).await {
                    Some((uris, _)) if uris.len() >= count => return uris,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let Ok(uris) = tokio::time::timeout(Duration::from_secs(90), waiting).await else {
            panic!("not {count} segments: {:?}", playlist(&self.list_url()).await);
        };
        assert_eq!(uris.len(), count, "a segment is listed twice: {uris:?}");
        uris
    }

    /// Waits until the playlist has its end.
    async fn listed_to_the_end(&self) {
        let waiting = async {
            while !playlist(&self.list_url()).await.is_some_and(|(_, ended)| ended) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_mins(1), waiting).await;
        assert!(ended.is_ok(), "{:?}", playlist(&self.list_url()).await);
    }

    /// The whole recording plays: every byte and every picture of it.
    async fn assert_plays_whole(&self) {
        let (uris, ended) = playlist(&self.list_url()).await.unwrap();
        assert!(ended);
        assert_eq!(uris.len(), 6);
        for (number, uri) in uris.iter().enumerate() {
            let bytes = get(uri).await.unwrap().bytes().await.unwrap();
            assert!(bytes == segment(number), "segment {number} is another one");
        }
        if has("ffprobe", "the pictures of a stream of the original's calls") {
            let url = self.list_url();
            let shown = tokio::task::spawn_blocking(move || frames(&url)).await.unwrap();
            let recorded = sample("ts-6x10s").join("stream.m3u8");
            assert_eq!(shown, frames(recorded.to_str().unwrap()));
        }
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap()
}

fn segment(number: usize) -> Vec<u8> {
    std::fs::read(sample("ts-6x10s").join(format!("stream{number}.ts"))).unwrap()
}

fn posting_key() -> PrivateKey {
    PrivateKey::from_password("alice", Role::Posting, "secret").unwrap()
}

/// The streamer's calls, made by hand.
struct ByHand<'n>(&'n Node);

impl ByHand<'_> {
    async fn rpc(&self, method: &str, params: Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 });
        let answer = client().post(&self.0.hive).json(&call).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer.get("error"), None, "{method}: {answer}");
        answer["result"].clone()
    }

    async fn check_key(&self) {
        let accounts = self.rpc("condenser_api.get_accounts", json!([["alice"]])).await;
        let key = posting_key().public_key().to_text(&HiveNetwork::hive().key_prefix);
        assert_eq!(accounts[0]["posting"]["key_auths"], json!([[key, 1]]));
    }

    async fn broadcast(&self, payload: Value) {
        let method = "condenser_api.get_dynamic_global_properties";
        let properties = self.rpc(method, json!([])).await;
        let text = |name: &str| properties[name].as_str().unwrap();
        let head = text("head_block_id").parse().unwrap();
        let time: TimePoint = text("time").parse().unwrap();
        let op = CustomJson::posting("alice", "alive-test", payload.to_string());
        let transaction = Transaction::new(Tapos::of(&head), time.after_secs(30), vec![op.into()]);
        let network = HiveNetwork::hive();
        let signed = transaction.sign(&[&posting_key()], &network.chain_id, SignAlgorithm::Dhive);
        let json = signed.to_json(JsonForm::Legacy, &network.key_prefix);
        let done = self.rpc("condenser_api.broadcast_transaction", json!([json])).await;
        assert_eq!(done, json!({}));
    }

    /// `POST /api/v0/add` with the field `file`, as an HTML form sends it.
    async fn add(&self, name: &str, content: &[u8]) -> String {
        let boundary = "a-boundary-that-is-in-no-segment";
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let request = client().post(format!("{}/api/v0/add", self.0.ipfs));
        let answer = request.header("content-type", kind).body(body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["Name"], name);
        answer["Hash"].as_str().unwrap().to_owned()
    }

    async fn upload(&self, number: usize) -> String {
        let src = self.add(&format!("stream{number}.ts"), &segment(number)).await;
        assert!(src.len() >= 46, "{src}");
        let (status, done) = self.0.post("/pushStream", None, &live_entry(&src)).await;
        assert_eq!((status, done), (200, json!({ "success": true })));
        src
    }

    async fn push_chunk(&self, seq: u16, segments: &[String]) {
        let mut csv = String::new();
        for (number, src) in segments.iter().enumerate() {
            let end = if number + 1 < segments.len() { "\n" } else { "" };
            write!(csv, "{src},10.0{end}").unwrap();
        }
        let src = self.add("chunk.csv", csv.as_bytes()).await;
        self.broadcast(json!({ "op": 0, "seq": seq, "link": "live", "src": src })).await;
    }
}

fn live_entry(src: &str) -> Value {
    let stream = json!({ "src": src, "len": 10.0 });
    json!({ "network": "hive", "streamer": "alice", "link": "live", "stream": stream })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_the_original_streamer_publish_a_stream_that_plays() {
    let node = Node::start(&[]);
    let streamer = ByHand(&node);
    streamer.check_key().await;
    let nobody = json!({ "error": "Streamer does not exist" });
    assert_eq!(node.told("get_stream_info").await, nobody);
    assert_eq!(node.user().await, json!({ "loggedIn": false }));
    let public = node.create_user().await;
    let configure = json!({ "op": 2, "link": "live", "pub": public, "l2": "gundb" });
    streamer.broadcast(configure).await;
    let info = node.until("get_stream_info", |info| info["l2_pub"] == *public).await;
    assert_eq!((&info["chunk_finalized"], &info["l2_protocol"]), (&Value::Null, &json!("gundb")));

    // Segments that are nowhere but on AliveDB are listed.
    let mut segments = Vec::new();
    for number in 0..3 {
        segments.push(streamer.upload(number).await);
        let uris = node.listed(number + 1).await;
        for (uri, src) in uris.iter().zip(&segments) {
            assert!(uri.contains(src.as_str()), "{uri} is not {src}");
        }
    }
    assert_eq!(node.chunks().await, Vec::<Value>::new());
    let live = node.listed(3).await;

    // One segment alone is pushed with its length, several as a chunk.
    let first = json!({ "op": 0, "seq": 0, "link": "live", "src": segments[0], "len": 10.0 });
    streamer.broadcast(first).await;
    streamer.push_chunk(1, &segments[1..]).await;
    node.until("get_stream_info", |info| info["chunk_finalized"] == 1).await;
    let chunks = node.chunks().await;
    assert_eq!((&chunks[0]["len"], &chunks[0]["src_hash"]), (&json!(10), &json!(segments[0])));
    assert_eq!(chunks[1]["len"], Value::Null);
    assert_eq!(node.listed(3).await, live, "the same, in the same order");

    for number in 3..6 {
        segments.push(streamer.upload(number).await);
    }
    assert_eq!(node.listed(6).await[..3], live);
    streamer.push_chunk(2, &segments[3..]).await;
    node.until("get_stream_info", |info| info["chunk_finalized"] == 2).await;
    streamer.broadcast(json!({ "op": 1, "link": "live" })).await;
    node.until("get_stream_info", |info| info["ended"] == true).await;
    node.listed_to_the_end().await;
    node.assert_plays_whole().await;
    assert!(node.running.terminate().success());
}

/// Killed and started again: the user is logged in by the settings, and what he had pushed is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_again_goes_on_as_the_same_user() {
    let node = Node::start(&[]);
    let public = node.create_user().await;
    let streamer = ByHand(&node);
    let configure = json!({ "op": 2, "link": "live", "pub": public, "l2": "gundb" });
    streamer.broadcast(configure).await;
    streamer.upload(0).await;
    let before = node.listed(1).await;
    let Node { running, setting, .. } = node;
    running.kill();
    let login = ["--alivedb-user", "streamer"];
    let node = Node::of(setting, &login, &[("ALIVE_ALIVEDB_PASSWORD", PASSWORD)]);
    let user = node.user().await;
    assert_eq!((&user["pub"], &user["loggedIn"]), (&json!(public), &json!(true)));
    let after = node.listed(1).await;
    let content = |uri: &String| uri.split("/ipfs/").last().unwrap().to_owned();
    assert_eq!(content(&after[0]), content(&before[0]));
    ByHand(&node).upload(1).await;
    node.listed(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tokens_accounts_of_the_chain_push_and_nobody_else() {
    let node = Node::start(&["--alivedb-tokens"]);
    let public = node.create_user().await;
    let user = node.user().await;
    assert_eq!(user["requiresAccessToken"], true, "{user}");
    let configure = json!({ "op": 2, "link": "live", "pub": public, "l2": "gundb" });
    ByHand(&node).broadcast(configure).await;
    let src = ByHand(&node).add("stream0.ts", &segment(0)).await;
    let missing = json!({ "error": "Missing authentication header" });
    assert_eq!(node.post("/pushStream", None, &live_entry(&src)).await, (401, missing));
    let forged = node.post("/pushStream", Some("a.b.c"), &live_entry(&src)).await;
    assert_eq!(forged.0, 401, "{}", forged.1);
    // Blocks come fast here, and what was signed over one is soon too old.
    let mut token = None;
    for _ in 0..20 {
        let message = login_message(&node.hive, "secret", "live", 0).await;
        let asked = client().post(format!("{}/getToken", node.alivedb)).body(message).send().await;
        let answer: Value = asked.unwrap().json().await.unwrap();
        token = answer["access_token"].as_str().map(str::to_owned);
        if token.is_some() {
            break;
        }
    }
    let pushed = node.post("/pushStream", token.as_deref(), &live_entry(&src)).await;
    assert_eq!(pushed, (200, json!({ "success": true })));
    node.listed(1).await;
}

/// The same listener as that of `alive db`.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_who_takes_part_in_the_chat_that_it_follows() {
    let node = Node::start(&["--chat-listener", "hive/alice/live"]);
    let url = format!("{}/fetchParticipantsKeys", node.alivedb);
    assert_eq!(client().get(&url).send().await.unwrap().status(), 401);
    node.create_user().await;
    let told: Value = get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(told, json!({ "hive": { "alice": account_keys("alice", "secret") } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_has_no_faces_unless_asked_for() {
    let setting = Setting::new();
    let port = free_port();
    let node = setting.node(port, &[]);
    for path in ["/api/v0/add", "/pushStream", "/createUser", "/"] {
        let url = format!("http://127.0.0.1:{port}{path}");
        let call = json!({ "jsonrpc": "2.0", "method": "condenser_api.get_config", "params": [], "id": 1 });
        let status = client().post(url).json(&call).send().await.unwrap().status();
        assert!(matches!(status.as_u16(), 404 | 405), "{path}: {status}");
    }
    drop(node);
}

#[rstest]
#[case(&["--hive-listen", "0.0.0.0:0"], "--hive-listen 0.0.0.0:0 is no loopback address")]
#[case(&["--ipfs-listen", "0.0.0.0:0"], "--ipfs-listen 0.0.0.0:0 is no loopback address")]
#[case(&["--hive-listen", "127.0.0.1:0", "--network", "avalon"], "network of Hive's family")]
#[case(&["--alivedb-listen", "127.0.0.1:0", "--alivedb-tokens", "--network", "avalon"], "accounts of Hive")]
#[case(&["--alivedb-listen", "127.0.0.1:0", "--alivedb-user", "nobody"], "user nobody: Wrong user or password.")]
#[case(&["--alivedb-listen", "127.0.0.1:0", "--chat-listener", "blurt/alice/live"], "needs a node of its network")]
fn a_face_that_cannot_work_ends_the_start(#[case] args: &[&str], #[case] what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = alive(&["node", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(folder.path()).args(args).env("ALIVE_ALIVEDB_PASSWORD", PASSWORD);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(what), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[rstest]
#[case(&["--ipfs-listen", "127.0.0.1:0", "--content", "https://gateway.example"])]
#[case(&["--alivedb-tokens"])]
#[case(&["--alivedb-user", "alice"])]
#[case(&["--chat-listener", "hive/alice/live"])]
fn flags_that_make_no_sense_together_are_refused(#[case] args: &[&str]) {
    let output = alive(&["node"]).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The streamer's calls, made by beem and by Python's usual HTTP client.
struct Daemon<'n> {
    node: &'n Node,
    packages: &'static Packages,
    job: Value,
}

impl<'n> Daemon<'n> {
    fn new(node: &'n Node, public: &str) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alive-hive/tests");
        let packages = Packages::ready(&sources, Path::new(env!("CARGO_TARGET_TMPDIR")));
        let job = json!({
            "account": "alice",
            "wif": posting_key().to_wif().as_str(),
            "link": "live",
            "pub": public,
            "user": "streamer",
            "password": PASSWORD,
            "hive": node.hive,
            "halive": node.halive(),
            "alivedb": node.alivedb,
            "ipfs": node.ipfs,
        });
        Self { node, packages, job }
    }

    fn start(&self, work: &str, more: &Value) -> Running {
        let mut job = self.job.clone();
        job.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let file = self.node.setting.path(&format!("{work}.json"));
        std::fs::write(&file, job.to_string()).unwrap();
        let mut python = Command::new(&self.packages.python);
        python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/daemon.py"));
        python.arg(work).arg(file).stdin(Stdio::null());
        // beem keeps its settings in a database of the user's home.
        python.env("HOME", &self.packages.py).env_remove("XDG_DATA_HOME");
        // What interrupts it must not interrupt the test.
        python.process_group(0);
        Running::start(python)
    }

    fn stream(&self, folder: &Path, interval: u32) -> Running {
        self.start("stream", &json!({ "folder": folder, "interval": interval }))
    }
}

/// A folder that a recorder writes to, one segment of the sample after the other, under numbers of its own.
struct Recorder {
    folder: PathBuf,
    list: String,
    count: usize,
}

impl Recorder {
    fn new(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let list = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n".to_owned();
        Self { folder, list, count: 0 }
    }

    fn record(&mut self, number: usize) {
        let name = format!("rec{}.ts", self.count);
        std::fs::write(self.folder.join(&name), segment(number)).unwrap();
        write!(self.list, "#EXTINF:10.000000,\n{name}\n").unwrap();
        self.count += 1;
        self.write();
    }

    fn end(&mut self) {
        self.list.push_str("#EXT-X-ENDLIST\n");
        self.write();
    }

    fn write(&self) {
        std::fs::write(self.folder.join("list.tmp"), &self.list).unwrap();
        std::fs::rename(self.folder.join("list.tmp"), self.folder.join("rec.m3u8")).unwrap();
    }
}

#[rstest]
#[case::own_user(&[])]
#[case::with_tokens(&["--alivedb-tokens"])]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3, beem and ffmpeg"]
async fn the_original_streamer_works_unchanged_with_beem(#[case] more: &[&str]) {
    let node = Node::start(more);
    let public = node.create_user().await;
    let daemon = Daemon::new(&node, &public);

    // A stream that nobody has configured is none: the indexer says so.
    let folder = node.setting.path("first");
    let mut first = Recorder::new(folder.clone());
    let mut early = daemon.stream(&folder, 300);
    early.line("key is good");
    assert!(!early.wait().success());
    daemon.start("configure", &json!({})).line("configured");
    node.until("get_stream_info", |info| info["l2_pub"] == *public).await;

    // It pushes to the chain much later: what is listed is on AliveDB only.
    let mut stream = daemon.stream(&folder, 300);
    stream.line("next push 0");
    if !more.is_empty() {
        stream.line("token");
    }
    assert_eq!(stream.line("user "), public);
    first.record(0);
    first.record(1);
    stream.line("uploaded rec0.ts");
    let live = node.listed(1).await;
    first.end();
    stream.line("uploaded rec1.ts");
    let both = node.listed(2).await;
    assert_eq!(both[..1], live);
    assert_eq!(node.chunks().await, Vec::<Value>::new());
    // Told to stop, it shares what it has, as one chunk.
    stream.signal("-INT");
    stream.line("shared 2 as 0");
    assert!(stream.wait().success());
    node.until("get_stream_info", |info| info["chunk_finalized"] == 0).await;
    assert_eq!(node.chunks().await[0]["len"], Value::Null);
    assert_eq!(node.listed(2).await, both);

    // The recorder starts again elsewhere, the stream goes on where it was, and each segment is pushed as it comes.
    let mut second = Recorder::new(node.setting.path("second"));
    let mut stream = daemon.stream(&second.folder, 0);
    stream.line("next push 1");
    second.record(2);
    second.record(3);
    stream.line("shared 1 as 1");
    node.until("get_stream_info", |info| info["chunk_finalized"] == 1).await;
    assert_eq!(node.chunks().await[1]["len"], 10);
    second.record(4);
    second.record(5);
    second.end();
    node.listed(6).await;
    stream.signal("-INT");
    stream.line("stopped");
    assert!(stream.wait().success());
    daemon.start("end", &json!({})).line("ended");
    node.until("get_stream_info", |info| info["ended"] == true).await;
    node.listed_to_the_end().await;
    node.assert_plays_whole().await;
}

/// A key that may not sign for the account goes no further than the check.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 and beem"]
async fn the_original_streamer_sees_that_its_key_is_wrong() {
    let node = Node::start(&[]);
    let public = node.create_user().await;
    let daemon = Daemon::new(&node, &public);
    let other = PrivateKey::from_password("alice", Role::Memo, "secret").unwrap();
    let configure = daemon.start("configure", &json!({ "wif": other.to_wif().as_str() }));
    assert!(!configure.wait().success());
    assert_eq!(node.told("get_stream_info").await, json!({ "error": "Streamer does not exist" }));
}
