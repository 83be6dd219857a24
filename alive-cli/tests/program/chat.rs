//! `alive chat`: people, a streamer, an archive and its replay, in processes of their own.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use alive_db::{
    gun::{Peer, PeerConfig, Relay, RelayLimits},
    sea::{KeyPair, UserSpace},
};
use alive_hive::{PrivateKey, Role};

use crate::support::{Running, alive, stdout};

const CHAT: &str = "hive/alice/launch";
const AVALON_CHAT: &str = "avalon/alice/launch";
/// A loaded machine may take its time.
const DEADLINE: Duration = Duration::from_mins(1);

/// A chain, a relay, and a streamer who has configured a stream and made its post.
pub(crate) struct Setting {
    _devnet: Running,
    chat: &'static str,
    /// The chain's node.
    pub(crate) node: String,
    /// Where programs find AliveDB.
    pub(crate) relay: String,
    pub(crate) peer: Peer,
    pub(crate) runtime: tokio::runtime::Runtime,
    keys: KeyPair,
    folder: tempfile::TempDir,
}

impl Setting {
    /// Hive with a post, which names archives there.
    pub(crate) fn new() -> Self {
        let setting = Self::of(CHAT);
        let post = ["post", "create", "--title", "We launch", "--body", "Now."];
        let mut post = setting.signed("alice", &post);
        assert_good(&post.args(["--account", "alice", "--link", "launch"]).output().unwrap());
        setting
    }

    fn of(chat: &'static str) -> Self {
        let network = if chat == CHAT { "hive" } else { "avalon" };
        let mut devnet = Running::start(alive(&[
            "devnet",
            "--network",
            network,
            "--listen",
            "127.0.0.1:0",
            "--block-time",
            "50ms",
            "--account",
            "alice:alice",
            "--account",
            "bob:bob",
            "--account",
            "carol:carol",
        ]));
        let node = devnet.line("listening on ");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (peer, relay) = runtime.block_on(async {
            let peer = Peer::start(PeerConfig::default(), UserSpace::default()).unwrap();
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
            (peer, relay.url())
        });
        let (keys, folder) = (KeyPair::generate().unwrap(), tempfile::tempdir().unwrap());
        let setting = Self { _devnet: devnet, chat, node, relay, peer, runtime, keys, folder };
        let file = format!(
            r#"{{"priv":"{}","epriv":"{}"}}"#,
            *setting.keys.private_text(),
            *setting.keys.exchange_private_text()
        );
        std::fs::write(setting.path("streamer.json"), file).unwrap();
        setting.protect("streamer.json", 0o600);
        let public = setting.keys.public().to_string();
        let link = ["--account", "alice", "--link", "launch"];
        let configured = setting.signed("alice", &["configure", "--l2", "gundb", "--pub", &public]);
        assert_good(&{ configured }.args(link).output().unwrap());
        setting
    }

    fn protect(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn chained(&self, args: &[&str]) -> Command {
        let mut command = alive(args);
        command.current_dir(self.folder.path());
        let (network, node) = match self.chat {
            CHAT => ("devnet", "--hive-node"),
            _ => ("avalon", "--avalon-node"),
        };
        command.args(["--network", network, node, &self.node, "--chain-poll-ms", "10"]);
        command
    }

    pub(crate) fn signed(&self, account: &str, args: &[&str]) -> Command {
        let key = PrivateKey::from_password(account, Role::Posting, account).unwrap();
        let avalon_key = alive_avalon::devnet::dev_key(account, account);
        let mut command = self.chained(args);
        command.env("ALIVE_POSTING_KEY", key.to_wif().as_str());
        command.env("ALIVE_AVALON_KEY", avalon_key.to_base58().as_str());
        command
    }

    pub(crate) fn join(&self, account: &str, args: &[&str]) -> Command {
        let join = ["chat", "join", self.chat, "--live-peer", &self.relay];
        let mut command = self.signed(account, &[&join, args].concat());
        command.args(["--as", account]);
        command
    }

    /// Says something and leaves.
    pub(crate) fn say(&self, account: &str, text: &str) -> Output {
        let mut command = self.join(account, &["--leave", "--wait", "20"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{text}").unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.runtime.block_on(self.peer.stop());
    }
}

fn assert_good(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}{}", stdout(output));
    stdout(output)
}

/// Somebody who sits in a chat.
pub(crate) struct Sitter {
    child: Child,
    input: ChildStdin,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Sitter {
    pub(crate) fn start(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, input, lines }
    }

    pub(crate) fn types(&mut self, text: &str) {
        writeln!(self.input, "{text}").unwrap();
    }

    /// All lines so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line with these words, and gives it.
    pub(crate) fn sees(&self, words: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let lines = self.lines.lock().unwrap().clone();
            if let Some(line) = lines.iter().find(|line| line.contains(words)) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "no {words:?} in {lines:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Sitter {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn people_chat_are_banned_and_are_replayed_from_the_chain_alone() {
    let setting = Setting::new();
    let keys = setting.path("streamer.json");
    let mut streamer =
        Sitter::start(setting.join("alice", &["--live-key-file", keys.to_str().unwrap()]));
    streamer.types("welcome");
    streamer.sees("hive/alice (streamer): welcome");
    assert_good(&setting.say("bob", "hello \u{202e}evil\u{1b}[2J é😀"));
    let hello = streamer.sees("hive/bob: hello");
    assert!(hello.ends_with("hive/bob: hello <202E>evil<1B>[2J é😀"), "{hello}");
    streamer.sees("by the streamer: hive/bob may write");
    assert_good(&setting.say("carol", "good evening"));
    let line = streamer.sees("hive/carol: good evening");

    let id = line.split(' ').next().unwrap();
    streamer.types(&format!("/hide {id}"));
    streamer.sees(&format!("message {id} is hidden"));
    streamer.types("/ban bob");
    streamer.sees("by the streamer: hive/bob is banned");
    let banned = setting.say("bob", "still here");
    let said = format!("{}{}", stdout(&banned), String::from_utf8_lossy(&banned.stderr));
    assert!(!banned.status.success() && said.contains("banned"), "{said}");

    // Anybody may listen.
    let listen = ["chat", "join", CHAT, "--live-peer", &setting.relay, "--once"];
    let heard = assert_good(&setting.chained(&listen).output().unwrap());
    assert!(heard.contains("alice (streamer): welcome"), "{heard}");
    assert!(!heard.contains("bob: hello") && !heard.contains("good evening"), "{heard}");

    let archive = |more: &[&str]| {
        let args = ["chat", "archive", CHAT, "--live-peer", &setting.relay];
        // The chain takes one edit of a post in three seconds.
        loop {
            let output = setting.signed("alice", &[&args, more].concat()).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            if !errors.contains("HIVE_MIN_COMMENT_EDIT_INTERVAL") {
                return assert_good(&output);
            }
        }
    };
    let said = archive(&["--keep-banned"]);
    assert!(said.contains("2 messages") && said.contains("named in block"), "{said}");
    let store = ["chat", "replay", CHAT, "--store", "alive-streamer-data/store"];
    let replayed = assert_good(&setting.chained(&store).output().unwrap());
    assert!(replayed.contains("alice (streamer): welcome"), "{replayed}");
    assert!(replayed.contains("hive/bob: hello <202E>evil<1B>[2J é😀"), "{replayed}");
    assert!(replayed.contains("2 messages verified, 0 refused"), "{replayed}");
    assert!(!replayed.contains("good evening"), "what is hidden is not archived");

    let file = setting.path("chat.txt");
    archive(&["--local", "--out", file.to_str().unwrap()]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1, "without what the banned said: {text}");
    let from_file = ["chat", "replay", CHAT, "--file", file.to_str().unwrap()];
    let replayed = assert_good(&setting.chained(&from_file).output().unwrap());
    assert!(replayed.contains("1 messages verified, 0 refused"), "{replayed}");
    std::fs::write(&file, text.replace("welcome", "WELCOME")).unwrap();
    let forged = setting.chained(&from_file).output().unwrap();
    assert!(!forged.status.success() && stdout(&forged).contains("line 1 does not count"));
    std::fs::write(&file, text.trim_end()).unwrap();
    assert!(!setting.chained(&from_file).output().unwrap().status.success(), "no end of line");
}

/// The same on Avalon: the archives stand in the json of the playlist.
#[test]
fn a_chat_of_avalon_is_replayed_from_the_chain_alone() {
    let setting = Setting::of(AVALON_CHAT);
    let keys = setting.path("streamer.json");
    let mut streamer =
        Sitter::start(setting.join("alice", &["--live-key-file", keys.to_str().unwrap()]));
    streamer.types("welcome");
    streamer.sees("avalon/alice (streamer): welcome");
    assert_good(&setting.say("bob", "hello é😀"));
    streamer.sees("avalon/bob: hello é😀");
    let archive = || {
        let args = ["chat", "archive", AVALON_CHAT, "--live-peer", &setting.relay];
        let said = assert_good(&setting.signed("alice", &args).output().unwrap());
        assert!(said.contains("named in block"), "{said}");
        let id = said.lines().find_map(|line| line.strip_prefix("archive ")).unwrap();
        (id.to_owned(), said)
    };
    let replay = || {
        let args = ["chat", "replay", AVALON_CHAT, "--store", "alive-streamer-data/store"];
        setting.chained(&args).output().unwrap()
    };
    let (first, said) = archive();
    assert!(said.contains("2 messages"), "{said}");
    let replayed = assert_good(&replay());
    assert!(replayed.contains(&format!("archive {first}")), "{replayed}");
    assert!(replayed.contains("avalon/alice (streamer): welcome"), "{replayed}");
    assert!(replayed.contains("avalon/bob: hello é😀"), "{replayed}");
    assert!(replayed.contains("2 messages verified, 0 refused"), "{replayed}");

    // After the end another one may be named: the json keeps what it says.
    let end = ["end", "--account", "alice", "--link", "launch"];
    assert_good(&setting.signed("alice", &end).output().unwrap());
    assert_good(&setting.say("bob", "good night"));
    streamer.sees("avalon/bob: good night");
    let (second, _) = archive();
    assert_ne!(first, second);
    let url = format!("{}/playlist/alice/launch", setting.node);
    let playlist = setting.runtime.block_on(async {
        reqwest::get(url).await.unwrap().json::<serde_json::Value>().await.unwrap()
    });
    let json = &playlist["json"];
    assert_eq!(json["chat"], serde_json::json!([first, second]));
    assert_eq!((&json["live"], &json["ended"]), (&true.into(), &true.into()));
    assert_eq!(json["pub"], setting.keys.public().to_string());
    let replayed = assert_good(&replay());
    assert!(replayed.contains("3 messages verified, 0 refused"), "{replayed}");
}

#[test]
fn keys_of_the_streamer_that_others_can_read_are_refused() {
    let setting = Setting::of(AVALON_CHAT);
    setting.protect("streamer.json", 0o644);
    let args = ["--live-key-file", "streamer.json", "--once"];
    let listen =
        [&["chat", "join", AVALON_CHAT, "--live-peer", &setting.relay][..], &args].concat();
    let output = setting.chained(&listen).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("mode 644"), "{errors}");
    setting.protect("streamer.json", 0o600);
    assert_good(&setting.chained(&listen).output().unwrap());
}

#[test]
fn what_cannot_be_said_is_an_error_of_the_script() {
    let setting = Setting::new();
    // Nobody approves.
    let mut command = setting.join("bob", &["--leave", "--wait", "1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("nobody has approved"), "{errors}");
    assert!(stdout(&output).contains("asked the streamer for access"));
    for (args, words) in [
        (&["chat", "join", "hive/alice"][..], "NETWORK/AUTHOR/LINK"),
        (
            &["chat", "join", "hive/alice/other", "--live-peer", "http://127.0.0.1:1/gun"],
            "hive/alice/other",
        ),
        (&["chat", "replay", CHAT, "--store", "none"], "names no archive"),
    ] {
        let output = setting.chained(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(words), "{args:?}: {errors}");
    }
}
