//! One stream on Hive and Avalon at once, while one of the two chains dies.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{Running, alive, free_port, get, playlist, run, sample, stdout};
use rstest::rstest;

/// Both chains and the streamer's folders.
struct Setting {
    folder: tempfile::TempDir,
    hive_port: u16,
    avalon_port: u16,
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("recording")).unwrap();
        Self { folder, hive_port: free_port(), avalon_port: free_port() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A development chain that goes on where it was killed.
    fn devnet(&self, network: &str) -> Running {
        let port = if network == "avalon" { self.avalon_port } else { self.hive_port };
        let (listen, data) = (format!("127.0.0.1:{port}"), self.path(network));
        let mut command = alive(&["devnet", "--network", network, "--listen", &listen]);
        command.args(["--account", "alice:secret", "--block-time", "100ms", "--data"]).arg(data);
        let mut devnet = Running::start(command);
        devnet.line("listening on ");
        devnet
    }

    /// A command that speaks to both chains with a key for each.
    fn both(&self, args: &[&str]) -> Command {
        let mut command = alive(args);
        command.current_dir(self.folder.path());
        command.args(["--network", "hive", "--network", "avalon"]);
        command.args(["--chain-poll-ms", "20"]);
        command.args(["--hive-node", &format!("http://127.0.0.1:{}", self.hive_port)]);
        command.args(["--avalon-node", &format!("http://127.0.0.1:{}", self.avalon_port)]);
        command
    }

    fn signed(&self, args: &[&str]) -> Command {
        let mut command = self.both(args);
        let derived = alive(&["key", "derive", "--account", "alice"])
            .env("ALIVE_MASTER_PASSWORD", "secret")
            .output()
            .unwrap();
        let wif = stdout(&derived).lines().next().unwrap().replace("private ", "");
        let key = alive_avalon::devnet::dev_key("alice", "secret");
        command.args(["--account", "alice", "--link", "twice"]);
        command.env("ALIVE_POSTING_KEY", wif).env("ALIVE_AVALON_KEY", key.to_base58().as_str());
        command
    }
}

impl Setting {
    /// The streamer, who serves the content at a port.
    fn stream(&self, content_port: u16) -> Command {
        let mut stream =
            self.signed(&["stream", "--from-block", "1", "--interval", "0.2", "--end"]);
        stream.arg("--folder").arg(self.path("recording")).arg("--data").arg(self.path("streamer"));
        stream.args(["--serve", &format!("127.0.0.1:{content_port}"), "--keep-serving"]);
        stream.env("ALIVE_ACCEPT_OLD", "true");
        stream
    }
}

/// Adds one segment to a recording and lists it.
fn record(folder: &Path, number: usize, last: bool) {
    let from = sample("ts-6x10s").join(format!("stream{number}.ts"));
    std::fs::copy(from, folder.join(format!("stream{number}.ts"))).unwrap();
    let mut list = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n".to_owned();
    for number in 0..=number {
        list.extend(["#EXTINF:10.000000,\n", &format!("stream{number}.ts\n")]);
    }
    if last {
        list += "#EXT-X-ENDLIST\n";
    }
    std::fs::write(folder.join("list.tmp"), &list).unwrap();
    std::fs::rename(folder.join("list.tmp"), folder.join("stream.m3u8")).unwrap();
}

/// A node over both chains, whose content a streamer serves, and the address of the stream's list there.
fn node(setting: &Setting, content_port: u16) -> (Running, String) {
    let content = format!("http://127.0.0.1:{content_port}");
    let mut command = setting.both(&["node", "--listen", "127.0.0.1:0", "--content", &content]);
    command.arg("--data").arg(setting.path("node"));
    let mut node = Running::start(command);
    let url = node.line("listening on ");
    (node, url)
}

/// Waits until the list at a node has as many segments, and gives their addresses and whether it has ended.
async fn listed(url: &str, segments: usize, ended: bool) -> Vec<String> {
    let list = format!("{url}/stream/alice/twice.m3u8");
    let deadline = std::time::Instant::now() + Duration::from_mins(2);
    loop {
        let found = playlist(&list).await;
        if let Some((uris, _)) =
            found.as_ref().filter(|(uris, end)| uris.len() >= segments && *end == ended)
        {
            return uris.clone();
        }
        assert!(std::time::Instant::now() < deadline, "the list never came so far: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The networks that attest each segment of the list.
async fn attested(url: &str) -> Vec<Vec<String>> {
    let page = get(&format!("{url}/v1/streams/alice/twice/segments")).await.unwrap();
    let page: serde_json::Value = page.json().await.unwrap();
    let rows = page["segments"].as_array().unwrap().iter();
    rows.map(|row| row["attested"].as_object().unwrap().keys().cloned().collect()).collect()
}

#[rstest]
#[case::hive("hive", "avalon")]
#[case::avalon("avalon", "hive")]
#[tokio::test]
async fn a_chain_that_dies_in_the_middle_loses_nothing_and_stops_nobody(
    #[case] dies: &str,
    #[case] lives: &str,
) {
    let setting = Setting::new();
    let (victim, _other) = (setting.devnet(dies), setting.devnet(lives));
    let configured = setting.signed(&["configure"]).output().unwrap();
    assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
    let recording = setting.path("recording");
    let data = setting.path("streamer");
    let content_port = free_port();
    let (_node, url) = node(&setting, content_port);
    record(&recording, 0, false);
    record(&recording, 1, false);
    let mut stream = Running::start(setting.stream(content_port));
    // The first chain that begins is the one whose progress is shown.
    stream.line("push 0 in block ");
    let first = listed(&url, 1, false).await;
    victim.kill();
    for number in 2..6 {
        record(&recording, number, number == 5);
    }
    // The living chain is done while the other is gone, and the node's list with it.
    stream.line(&format!("{lives}: published 6 segments"));
    let uris = listed(&url, 6, true).await;
    assert_eq!(uris.len(), 6);
    assert_eq!(uris[..first.len()], first, "what players have stays");
    assert!(attested(&url).await.iter().all(|networks| networks.contains(&lives.to_owned())));
    let _victim = setting.devnet(dies);
    stream.line(&format!("{dies}: published 6 segments"));
    assert_eq!(listed(&url, 6, true).await, uris, "the chain that is back tells the same");
    while attested(&url).await.iter().any(|networks| networks.len() < 2) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Its store has one user at a time.
    stream.kill();
    let store = data.join("store");
    let verify = ["verify", "alice/twice", "--store", store.to_str().unwrap()];
    let verified = setting.both(&verify).output().unwrap();
    let text = stdout(&verified);
    let errors = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{text}{errors}");
    assert!(text.contains("merged: 6 segments, 6 on every network"), "{text}");
    assert!(!text.contains("do not name each other"), "{text}");
}

/// The chain that cannot be reached at the start joins when it can, with all that was recorded meanwhile.
#[rstest]
#[case::hive("hive", "avalon")]
#[case::avalon("avalon", "hive")]
fn a_chain_that_is_down_at_the_start_joins_later_with_everything(
    #[case] late: &str,
    #[case] there: &str,
) {
    let setting = Setting::new();
    let (victim, _other) = (setting.devnet(late), setting.devnet(there));
    let configured = setting.signed(&["configure"]).output().unwrap();
    assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
    victim.kill();
    let recording = setting.path("recording");
    record(&recording, 0, false);
    let mut command = setting.stream(free_port());
    // A recording that is finished by the time at which the late chain joins is not an old one.
    command.env("ALIVE_ACCEPT_OLD", "false");
    let mut stream = Running::start(command);
    stream.line("push 0 in block ");
    for number in 1..3 {
        record(&recording, number, number == 2);
    }
    stream.line(&format!("{there}: published 3 segments"));
    let _victim = setting.devnet(late);
    stream.line(&format!("{late}: published 3 segments"));
}

#[test]
fn irreversible_blocks_are_waited_for_on_both_chains() {
    let setting = Setting::new();
    let (_hive, _avalon) = (setting.devnet("hive"), setting.devnet("avalon"));
    let mut configure = setting.signed(&["configure", "--confirm", "irreversible"]);
    let configured = configure.output().unwrap();
    let text = stdout(&configured);
    assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
    assert_eq!(text.matches("in block ").count(), 2, "{text}");
    // The configures stand below the last irreversible block, so that who reads those only finds them.
    let store = setting.path("streamer/store");
    std::fs::create_dir_all(&store).unwrap();
    let verify =
        ["verify", "alice/twice", "--follow", "irreversible", "--store", store.to_str().unwrap()];
    let verified = setting.both(&verify).output().unwrap();
    let errors = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{}{errors}", stdout(&verified));
}

#[rstest]
#[case("avalon", &[])]
#[case("both", &["merged: 6 segments, 6 on every network"])]
fn the_demo_plays_on_avalon_and_on_both_chains(#[case] network: &str, #[case] says: &[&str]) {
    let output = run(&["demo", "--network", network, "--speed", "20"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("6 recorded, 6 back, byte for byte and in order"), "{text}");
    for line in says {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn files_are_not_deleted_under_another_chain() {
    let setting = Setting::new();
    let output = setting.signed(&["stream", "--folder", "recording", "--purge"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--purge with several networks"));
}

#[rstest]
#[case::post(&["post", "show", "--account", "alice", "--link", "a"], "post: this is for networks of Hive's family, avalon is none")]
#[case::cost(&["cost", "--example"], "cost: this is for networks of Hive's family, avalon is none")]
#[case::haf(
    &["node", "--listen", "127.0.0.1:0", "--haf", "postgresql://alive@localhost/haf"],
    "--haf is for a network of Hive's family"
)]
fn what_only_hive_has_says_so_on_avalon(#[case] args: &[&str], #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = alive(args);
    let output = command.current_dir(&folder).args(["--network", "avalon"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(says), "{said}");
}

#[rstest]
#[case::post(&["post", "show", "--account", "alice", "--link", "a"], "blurt", "one network")]
#[case::export(&["export", "alice/a", "a.car"], "avalon", "one network")]
#[case::haf(&["node", "--haf", "postgresql://alive@localhost/haf"], "blurt", "--haf reads one chain")]
#[case::twice(&["verify", "alice/a", "--store", "store"], "hive", "network hive is given twice")]
fn two_networks_are_refused_where_one_is_meant(
    #[case] args: &[&str],
    #[case] second: &str,
    #[case] says: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = alive(args);
    command.current_dir(&folder).args(["--network", "hive", "--network", second]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(says), "{said}");
}

/// Over HAF and a node of Avalon at once: it is the wrong address of HAF that is told, not that Avalon has none.
#[test]
fn haf_stands_beside_avalon() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = alive(&["node", "--haf", "postgresql://alive:secret@localhost:x/haf"]);
    command.current_dir(&folder).args(["--network", "avalon", "--network", "hive"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("connection to HAF") && !said.contains("secret"), "{said}");
}

/// A chain that cannot be reached does not keep the other one from an operation.
#[test]
fn an_operation_goes_to_the_chain_that_is_there() {
    let setting = Setting::new();
    let _avalon = setting.devnet("avalon");
    let mut configuring = Running::start(setting.signed(&["configure"]));
    configuring.line("in block ");
}

#[test]
fn a_missing_key_is_the_one_of_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = alive(&["end", "--account", "alice", "--link", "a", "--network", "avalon"]);
    let output = command.current_dir(&folder).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("set ALIVE_AVALON_KEY"));
}
