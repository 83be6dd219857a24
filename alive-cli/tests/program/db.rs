//! `alive db` as its operator and its clients meet it: the calls of the original, kills, tokens, settings.

use std::{
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use alive_chat::{ChatTransport as _, Entry, Family, Item, Moment, Networks, Rule};
use alive_core::{Network, StreamId, backend::SignatureScheme as _};
use alive_db::{
    chat::ChatDb,
    gun::{Peer, PeerConfig},
    rest::{RestApi, RestConfig},
    sea::UserSpace,
};
use alive_hive::{
    GraphenePlain, HiveNetwork, PrivateKey, RecoverableSignature, Role, SignAlgorithm,
    is_account_name,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Running, alive, run, stdout};

const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";
const PASSWORD: &str = "correct horse";

/// A server and where it is.
struct Db {
    running: Running,
    gun: String,
    api: String,
}

impl Db {
    fn start(data: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = alive(&["db", "--http-port", "0", "--gun-port", "0", "--data"]);
        command.arg(data).args(more).envs(environment.iter().copied());
        let mut running = Running::start(command);
        let gun = running.line("peers at ");
        let api = running.line("API at ");
        Self { running, gun, api }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = client().get(format!("{}{path}", self.api)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.try_post(path, None, body).await.unwrap()
    }

    async fn try_post(
        &self,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> reqwest::Result<(u16, Value)> {
        let mut request = client().post(format!("{}{path}", self.api)).json(&body);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn create_user(&self) -> String {
        let body = json!({ "id": "streamer", "key": PASSWORD });
        let (status, user) = self.post("/createUser", body).await;
        assert_eq!((status, &user["id"]), (200, &json!("streamer")));
        user["pub"].as_str().unwrap().to_owned()
    }

    /// The lengths of the segments that it has, which tell them apart.
    async fn lengths(&self, public: &str) -> Vec<u64> {
        let path = format!("/getStream?pub={public}&network=hive&streamer=alice&link=s");
        let (status, items) = self.get(&path).await;
        assert_eq!(status, 200);
        let lengths = items.as_array().unwrap().iter().map(|item| item["len"].as_u64().unwrap());
        lengths.collect()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap()
}

fn segment(len: u64) -> Value {
    let stream = json!({ "src": CID, "len": len, "720": CID });
    json!({ "network": "hive", "streamer": "alice", "link": "s", "stream": stream })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_the_original_are_answered_as_it_documents() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::start(folder.path(), &[], &[]);
    assert_eq!(db.get("/").await, (200, json!({ "ok": 1, "message": "AliveDB server" })));
    assert_eq!(db.get("/currentUser").await, (200, json!({ "loggedIn": false })));
    assert_eq!(
        db.post("/pushStream", segment(1)).await,
        (401, json!({ "error": "Not logged in" }))
    );
    let public = db.create_user().await;
    let (_, user) = db.get("/currentUser").await;
    assert_eq!((&user["pub"], &user["alias"]), (&json!(public), &json!("streamer")));
    assert_eq!(db.post("/pushStream", segment(7)).await, (200, json!({ "success": true })));
    let path = format!("/getStream?pub={public}&network=hive&streamer=alice&link=s");
    let (_, items) = db.get(&path).await;
    let item = &items[0];
    assert_eq!((&item["src"], &item["len"], &item["720"]), (&json!(CID), &json!(7), &json!(CID)));
    assert!(item["_"]["#"].as_str().unwrap().starts_with(&format!("~{public}/")), "{item}");
    let wrong = json!({ "id": "streamer", "key": "wrong horse" });
    let refused = json!({ "success": false, "error": "Wrong user or password." });
    assert_eq!(db.post("/loginUser", wrong).await, (400, refused));
    let change = json!({ "pub": public, "key": PASSWORD, "newkey": "another horse" });
    assert_eq!(db.post("/changeKey", change).await, (200, json!({ "success": true })));
    let right = json!({ "pub": public, "key": "another horse" });
    assert_eq!(db.post("/loginUser", right).await, (200, json!({ "success": true })));
    assert_eq!(db.get("/nowhere").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_reads_what_was_done_and_held() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::start(folder.path(), &[], &[]);
    let count = async |name: &str| {
        let answer = client().get(format!("{}/metrics", db.api)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse::<u64>().unwrap()
    };
    assert_eq!(count("alivedb_nodes").await, 0);
    assert_eq!(count("alivedb_bad_frames_total").await, 0);
    db.create_user().await;
    assert!(count("alivedb_nodes").await >= 2);
    // A page of another name must not read it through a browser of this machine.
    let request = client().get(format!("{}/metrics", db.api)).header("host", "evil.example");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 403);
}

/// Killed while segments arrive, again and again: every answered push is there, and so is the user.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let login = [("ALIVEDB_LOGIN_ID", "streamer"), ("ALIVEDB_LOGIN_PASSWORD", PASSWORD)];
    let mut db = Db::start(folder.path(), &[], &[]);
    let public = db.create_user().await;
    let mut next = 1;
    let mut acknowledged = Vec::new();
    for round in 0..4_usize {
        let enough = acknowledged.len() + 3 + 5 * round;
        // Eight at once, so that it dies with some under way.
        let mut pushing = tokio::task::JoinSet::new();
        while acknowledged.len() < enough {
            while pushing.len() < 8 {
                let (url, len) = (format!("{}/pushStream", db.api), next);
                next += 1;
                pushing.spawn(async move {
                    let answer = client().post(url).json(&segment(len)).send().await;
                    (len, answer.is_ok_and(|answer| answer.status().is_success()))
                });
            }
            let (len, is_done) = pushing.join_next().await.unwrap().unwrap();
            assert!(is_done, "segment {len} was refused while all is well");
            acknowledged.push(len);
        }
        db.running.kill();
        while let Some(pushed) = pushing.join_next().await {
            let (len, is_done) = pushed.unwrap();
            acknowledged.extend(is_done.then_some(len));
        }
        db = Db::start(folder.path(), &[], &login);
        let held = db.lengths(&public).await;
        for len in &acknowledged {
            assert!(held.contains(len), "segment {len} is lost: {held:?}");
        }
    }
    let (_, user) = db.get("/currentUser").await;
    assert_eq!(user["pub"], *public);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_well_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::start(folder.path(), &[], &[]);
    let public = db.create_user().await;
    assert_eq!(db.post("/pushStream", segment(3)).await.0, 200);
    assert!(db.running.terminate().success());
    let db = Db::start(folder.path(), &[], &[]);
    assert_eq!(db.lengths(&public).await, [3]);
}

/// Two servers that know each other share what either is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn peers_answer_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let one = Db::start(&folder.path().join("one"), &[], &[]);
    let public = one.create_user().await;
    assert_eq!(one.post("/pushStream", segment(5)).await.0, 200);
    let other = Db::start(&folder.path().join("other"), &["--peer", &one.gun], &[]);
    assert_eq!(other.lengths(&public).await, [5], "a late joiner reads what was there");
    // And the user of one logs in on the other.
    let login = json!({ "id": "streamer", "key": PASSWORD });
    assert_eq!(other.post("/loginUser", login).await, (200, json!({ "success": true })));
    assert_eq!(other.post("/pushStream", segment(6)).await.0, 200);
    assert_eq!(one.lengths(&public).await, [5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variables_of_the_original_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let (data, socket) = (folder.path().join("data"), folder.path().join("db.sock"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut command = alive(&["db"]);
    command
        .env("ALIVEDB_DATA_DIR", text(&data))
        .env("ALIVEDB_HTTP_PORT", text(&socket))
        .env("ALIVEDB_GUN_HOST", "127.0.0.1")
        .env("ALIVEDB_GUN_PORT", "0")
        .env("ALIVEDB_PEERS", "http://127.0.0.1:9/gun, ws://127.0.0.1:9/gun");
    let mut running = Running::start(command);
    assert_eq!(running.line("API at socket "), text(&socket));
    assert!(data.join("graph.redb").exists());
    let stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    std::io::Write::write_all(&mut &stream, b"GET / HTTP/1.0\r\n\r\n").unwrap();
    std::io::Read::read_to_string(&mut &stream, &mut answer).unwrap();
    assert!(answer.contains("AliveDB server"), "{answer}");
    assert!(running.terminate().success());
    assert!(!socket.exists(), "the socket goes with its server");
}

#[rstest]
#[case(&["--require-access-token"], "--hive-node")]
#[case(&["--require-access-token", "--hive-node", "http://127.0.0.1:9", "--network", "avalon"], "accounts of Hive")]
#[case(&["--gun-port", "70000"], "gun_port")]
#[case(&["--peer", "ftp://files.example/gun"], "--peer")]
#[case(&["--chat-listener", "hive/alice"], "chat_listener")]
#[case(&["--chat-listener", "hive/alice/live"], "give --hive-node")]
#[case(&["--chat-listener", "blurt/alice/live", "--hive-node", "http://127.0.0.1:9"], "give --blurt-node")]
#[case(&["--chat-listener", "avalon/alice/live", "--hive-node", "http://127.0.0.1:9"], "needs a node of its network")]
#[case(&["--login-id", "nobody"], "ALIVEDB_LOGIN_PASSWORD")]
fn what_cannot_work_is_said_at_once(#[case] args: &[&str], #[case] what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = alive(&["db", "--http-port", "0", "--gun-port", "0", "--data"]);
    let args: Vec<_> = args.iter().map(std::ffi::OsStr::new).collect();
    // The last of a flag that is given twice would be refused by itself.
    if args.contains(&std::ffi::OsStr::new("--gun-port")) {
        command = alive(&["db", "--http-port", "0", "--data"]);
    }
    let output = command.arg(folder.path()).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(what), "{said}");
}

#[test]
fn one_server_at_a_time_has_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::start(folder.path(), &[], &[]);
    let mut other = alive(&["db", "--http-port", "0", "--gun-port", "0", "--data"]);
    let output = other.arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is another process using it?"), "{said}");
    drop(db);
}

#[test]
fn a_user_who_is_not_there_is_not_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["db", "--http-port", "0", "--gun-port", "0", "--login-id", "nobody", "--data"];
    let mut command = alive(&args);
    command.arg(folder.path()).env("ALIVEDB_LOGIN_PASSWORD", PASSWORD);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("user nobody: Wrong user or password."), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

/// What alice, whose password this is, signs for a token: over the head of the chain, or so many blocks before.
pub(crate) async fn login_message(chain: &str, password: &str, link: &str, before: u64) -> String {
    let ask = async |method: &str, params: Value| {
        let ask = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 });
        let answer = client().post(chain).json(&ask).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["result"].clone()
    };
    let method = "condenser_api.get_dynamic_global_properties";
    let head = ask(method, json!([])).await["head_block_number"].as_u64().unwrap();
    let num = head.saturating_sub(before).max(1);
    let block = ask("condenser_api.get_block", json!([num])).await;
    let id = block["block_id"].as_str().unwrap();
    let signed = format!("alice:{link}:alivedb_login:hive:{num}:{id}");
    let key = PrivateKey::from_password("alice", Role::Posting, password).unwrap();
    let digest = GraphenePlain.digest(signed.as_bytes());
    format!("{signed}:{}", RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive))
}

async fn token(db: &Db, message: String) -> (u16, Value) {
    let answer = client().post(format!("{}/getToken", db.api)).body(message).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_the_chain_push_with_a_token() {
    let devnet = ["devnet", "--account", "alice:alice", "--listen", "127.0.0.1:0"];
    let mut devnet = Running::start(alive(&[&devnet[..], &["--block-time", "200ms"]].concat()));
    let chain = devnet.line("listening on ");
    let folder = tempfile::tempdir().unwrap();
    let args = ["--require-access-token", "--network", "devnet", "--hive-node", &chain];
    let more = [&args[..], &["--auth-timeout-blocks", "200"]].concat();
    let db = Db::start(folder.path(), &more, &[]);
    let public = db.create_user().await;
    let message = login_message(&chain, "alice", "s", 0).await;
    let (status, got) = token(&db, message.clone()).await;
    assert_eq!((status, &got["error"]), (200, &Value::Null), "{got}");
    let token_text = got["access_token"].as_str().unwrap().to_owned();
    let pushed = db.try_post("/pushStream", Some(&token_text), segment(1)).await.unwrap();
    assert_eq!(pushed, (200, json!({ "success": true })));
    let missing = json!({ "error": "Missing authentication header" });
    assert_eq!(db.post("/pushStream", segment(2)).await, (401, missing));
    // Once per signature; no stranger; no block that the chain does not have.
    let why = |text: &str| {
        let text = format!("Could not verify signature and/or recent block info: {text}");
        (400, json!({ "error": text }))
    };
    assert_eq!(token(&db, message.clone()).await, why("Signature was used before"));
    let stolen = login_message(&chain, "alice", "s", 0).await.replace("alice:", "bob:");
    assert_eq!(token(&db, stolen).await, why("Invalid signature"));
    let other = login_message(&chain, "alice", "s", 0).await.replacen(":s:", ":t:", 1);
    assert_eq!(token(&db, other).await, why("Invalid signature"));

    // The secret is in a file of its own, for its owner only, and lasts.
    let secret = folder.path().join("token-secret");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(db.running.terminate().success());
    let login = [("ALIVEDB_LOGIN_ID", "streamer"), ("ALIVEDB_LOGIN_PASSWORD", PASSWORD)];
    let db = Db::start(folder.path(), &more, &login);
    let pushed = db.try_post("/pushStream", Some(&token_text), segment(3)).await.unwrap();
    assert_eq!(pushed, (200, json!({ "success": true })));
    assert_eq!(db.lengths(&public).await, [1, 3]);
    assert!(db.running.terminate().success());

    // Blocks go on; what was signed grows old.
    let strict = [&args[..], &["--auth-timeout-blocks", "1"]].concat();
    let db = Db::start(folder.path(), &strict, &[]);
    let old = login_message(&chain, "alice", "s", 8).await;
    assert_eq!(token(&db, old).await, why("Block info specified timed out"));
    // Without the chain nobody gets in.
    let message = login_message(&chain, "alice", "s", 0).await;
    devnet.kill();
    assert_eq!(token(&db, message).await, why("Failed to verify signature"));
}

/// The keys of an account whose password is its name, as the API lists them.
pub(crate) fn account_keys(name: &str, password: &str) -> Value {
    let key = |role| PrivateKey::from_password(name, role, password).unwrap().public_key();
    let text = |role| key(role).to_text(&HiveNetwork::hive().key_prefix);
    json!([text(Role::Posting), text(Role::Active), text(Role::Owner)])
}

/// A chat on a development chain, followed by a server.
struct Chat {
    _devnet: Running,
    chain: String,
    db: Db,
    public: String,
    _folder: tempfile::TempDir,
}

impl Chat {
    const ID: &str = "hive/alice/live";

    async fn start() -> Self {
        let accounts =
            ["--account", "alice:alice", "--account", "bob:bob", "--account", "carol:carol"];
        let devnet = ["devnet", "--listen", "127.0.0.1:0", "--block-time", "200ms"];
        let mut devnet = Running::start(alive(&[&devnet[..], &accounts].concat()));
        let chain = devnet.line("listening on ");
        let folder = tempfile::tempdir().unwrap();
        let more = ["--network", "devnet", "--hive-node", &chain, "--chat-listener", Self::ID];
        let db = Db::start(folder.path(), &more, &[]);
        let nobody = (401, json!({ "error": "Not logged in" }));
        assert_eq!(db.get("/fetchParticipantsKeys").await, nobody);
        let public = db.create_user().await;
        Self { _devnet: devnet, chain, db, public, _folder: folder }
    }

    /// Asks for access with an account's key, says something once it is there, and leaves.
    fn join(&self, name: &str, key_of: &str, wait: &str) -> Output {
        let key = PrivateKey::from_password(key_of, Role::Posting, key_of).unwrap();
        let mut command =
            alive(&["chat", "join", Self::ID, "--as", name, "--leave", "--wait", wait]);
        command
            .args(["--live-peer", &self.db.gun, "--pub", &self.public])
            .args(["--network", "devnet", "--hive-node", &self.chain])
            .env("ALIVE_POSTING_KEY", key.to_wif().as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "hello").unwrap();
        child.wait_with_output().unwrap()
    }

    /// Waits until these accounts take part, no others, and their keys are told.
    async fn told(&self, names: &[&str]) {
        let accounts = names.iter().map(|name| ((*name).to_owned(), account_keys(name, name)));
        let want = json!({ "hive": accounts.collect::<serde_json::Map<_, _>>() });
        let mut last = Value::Null;
        let waiting = async {
            loop {
                let (status, told) = self.db.get("/fetchParticipantsKeys").await;
                assert_eq!(status, 200, "{told}");
                if told == want {
                    return;
                }
                last = told;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(Duration::from_mins(1), waiting).await.is_ok();
        assert!(done, "not {names:?}: {last}");
    }
}

/// The streamer's server approves whoever asks with a good signature, and tells who takes part; whom he bans does not.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_part_in_the_chat_that_is_followed_is_told_with_his_keys() {
    let chat = Chat::start().await;
    chat.told(&["alice"]).await;
    let forged = chat.join("carol", "bob", "3");
    assert!(!forged.status.success(), "carol's name with bob's key");
    let joined = chat.join("bob", "bob", "60");
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    chat.told(&["alice", "bob"]).await;

    // The streamer bans him from elsewhere, and he stays banned.
    let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
    peer.dial(&chat.db.gun).await.unwrap();
    let user = RestApi::new(Arc::new(peer.clone()), RestConfig::default());
    user.login("streamer", PASSWORD).await.unwrap();
    let keys = user.logins().borrow().clone().unwrap();
    assert_eq!(keys.public().to_string(), chat.public);
    let family = Family::new(Network::hive(), GraphenePlain, is_account_name);
    let networks = Networks::new([family]).unwrap();
    let rules = ChatDb::new(Arc::new(peer.clone()), networks.clone())
        .with_streamer(keys.public().clone())
        .with_user(Arc::clone(&keys));
    let entry = Entry {
        author: chat.public.parse().unwrap(),
        rule: Rule::Participant(networks.account("hive", "bob").unwrap()),
        value: 0.0,
        state: Moment::EPOCH,
    };
    let id: StreamId = Chat::ID.parse().unwrap();
    rules.publish(&id, Item::Entry(entry)).await.unwrap();
    chat.told(&["alice"]).await;
    assert!(!chat.join("bob", "bob", "3").status.success(), "he is banned");
    let joined = chat.join("carol", "carol", "60");
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    chat.told(&["alice", "carol"]).await;

    // Another user has another list, in which nobody is banned: who has asked is approved there, too.
    let other = json!({ "id": "another", "key": PASSWORD });
    assert_eq!(chat.db.post("/createUser", other).await.0, 200);
    chat.told(&["alice", "bob", "carol"]).await;
    let back = json!({ "id": "streamer", "key": PASSWORD });
    assert_eq!(chat.db.post("/loginUser", back).await.0, 200);
    chat.told(&["alice", "carol"]).await;
    peer.stop().await;
    assert!(chat.db.running.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_chat_nobody_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::start(folder.path(), &[], &[]);
    db.create_user().await;
    let off = (500, json!({ "error": "Live chat functionality not enabled" }));
    assert_eq!(db.get("/fetchParticipantsKeys").await, off);
}

/// A chain that is away is said to be, and does not end the server.
#[tokio::test(flavor = "multi_thread")]
async fn participants_are_not_told_while_their_chain_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--hive-node", "http://127.0.0.1:9", "--chat-listener", "hive/alice/live"];
    let db = Db::start(folder.path(), &more, &[]);
    db.create_user().await;
    let away = (503, json!({ "error": "Participants cannot be told now" }));
    assert_eq!(db.get("/fetchParticipantsKeys").await, away);
    assert_eq!(db.get("/").await.0, 200);
    assert!(db.running.terminate().success());
}

#[test]
fn its_settings_may_be_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alive.toml");
    std::fs::write(&file, "[db]\nhttp-port = 0\ngun-port = \"many\"\n").unwrap();
    let output = run(&["db", "--config", file.to_str().unwrap()]);
    assert_eq!(stdout(&output), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("gun_port"), "{said}");
}
