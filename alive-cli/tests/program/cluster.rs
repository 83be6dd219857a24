//! Several nodes on one PostgreSQL: whichever leads is killed or frozen, and every list comes to its end all the same.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio_postgres::NoTls;

use crate::{
    postgres::Server,
    support::{Running, alive, free_port, playlist, sample, stdout},
};

const SEGMENTS: usize = 6;

/// All that runs, and where it is.
struct Setting {
    folder: tempfile::TempDir,
    server: Server,
    chain: String,
    content_port: u16,
}

impl Setting {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = alive(args);
        command
            .current_dir(self.folder.path())
            .env("ALIVE_NETWORK", "devnet")
            .env("ALIVE_HIVE_NODE", &self.chain)
            .env("ALIVE_CHAIN_POLL_MS", "20")
            .env("ALIVE_ACCOUNT", "alice")
            .env("ALIVE_LINK", "shared");
        command
    }

    /// The database as this node names itself there.
    fn store(&self, name: &str) -> String {
        format!("{} application_name={name}", self.server.address())
    }

    fn node(&self, name: &str, args: &[&str]) -> Node {
        let mut command = self.command(&["node", "--listen", "127.0.0.1:0", "--data", name]);
        command.env("ALIVE_NODE_STORE", self.store(name)).args(args);
        command.args(["--content", &format!("http://127.0.0.1:{}", self.content_port)]);
        let mut running = Running::start(command);
        let url = running.line("listening on ");
        Node { name: name.to_owned(), url, running }
    }

    /// Who leads, once somebody does.
    async fn leader(&self) -> String {
        let (client, connection) =
            tokio_postgres::connect(&self.server.address(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let leads = "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'advisory' AND granted";
        let found = async {
            loop {
                if let Some(row) = client.query_opt(leads, &[]).await.unwrap() {
                    return row.get(0);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), found).await.expect("somebody leads")
    }
}

struct Node {
    name: String,
    url: String,
    running: Running,
}

impl Node {
    /// Waits until its list is so long; gives its addresses when that is its end.
    async fn lists(&self, segments: usize, ended: bool) -> Vec<String> {
        let url = format!("{}/stream/alice/shared.m3u8", self.url);
        let listed = async {
            loop {
                match playlist(&url).await {
                    Some((uris, end)) if uris.len() >= segments && end >= ended => return uris,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let Ok(uris) = tokio::time::timeout(Duration::from_mins(1), listed).await else {
            panic!("{}: {:?}", self.name, playlist(&url).await);
        };
        uris
    }
}

/// Adds one segment to a recording and lists it.
fn record(folder: &Path, number: usize) {
    let from = sample("ts-6x10s").join(format!("stream{number}.ts"));
    std::fs::copy(from, folder.join(format!("stream{number}.ts"))).unwrap();
    let mut list = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n".to_owned();
    for number in 0..=number {
        list.extend(["#EXTINF:10.000000,\n", &format!("stream{number}.ts\n")]);
    }
    if number + 1 == SEGMENTS {
        list += "#EXT-X-ENDLIST\n";
    }
    std::fs::write(folder.join("list.tmp"), &list).unwrap();
    std::fs::rename(folder.join("list.tmp"), folder.join("stream.m3u8")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql"]
async fn a_leader_that_is_killed_or_frozen_is_replaced_and_no_list_is_the_worse_for_it() {
    let args =
        ["devnet", "--listen", "127.0.0.1:0", "--account", "alice=secret", "--block-time", "100ms"];
    let mut devnet = Running::start(alive(&args));
    let chain = devnet.line("listening on ");
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting { folder, server: Server::start(), chain, content_port: free_port() };
    let recording = setting.path("recording");
    std::fs::create_dir(&recording).unwrap();
    let derived = alive(&["key", "derive", "--account", "alice"])
        .env("ALIVE_MASTER_PASSWORD", "secret")
        .output()
        .unwrap();
    let wif = stdout(&derived).lines().next().unwrap().replace("private ", "");
    let configured =
        setting.command(&["configure"]).env("ALIVE_POSTING_KEY", &wif).output().unwrap();
    assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
    let serve = format!("127.0.0.1:{}", setting.content_port);
    let mut stream = setting.command(&["stream", "--folder", "recording", "--data", "streamer"]);
    stream.args(["--serve", &serve, "--keep-serving", "--from-block", "1", "--interval", "0.2"]);
    stream.args(["--end", "--accept-old"]).env("ALIVE_POSTING_KEY", &wif);
    record(&recording, 0);
    let _stream = Running::start(stream);

    let reader = setting.node("reader", &["--reader"]);
    let mut nodes = vec![setting.node("one", &[]), setting.node("other", &[])];
    reader.lists(1, false).await;
    // Killed in the middle of whatever it does, three times.
    for number in 1..4 {
        record(&recording, number);
        let leader = setting.leader().await;
        let at = nodes.iter().position(|node| node.name == leader).expect("the reader never leads");
        let killed = nodes.remove(at);
        killed.running.kill();
        reader.lists(number + 1, false).await;
        assert_eq!(setting.leader().await, nodes[0].name);
        nodes.push(setting.node(&leader, &[]));
    }
    // Frozen, so that its connections are as alive as ever.
    let frozen = setting.leader().await;
    let at = nodes.iter().position(|node| node.name == frozen).unwrap();
    nodes[at].running.signal("-STOP");
    record(&recording, 4);
    reader.lists(5, false).await;
    assert_ne!(setting.leader().await, frozen);
    nodes[at].running.signal("-CONT");
    record(&recording, 5);
    let all = reader.lists(SEGMENTS, true).await;
    assert_eq!(all.len(), SEGMENTS, "{all:?}");
    for node in &nodes {
        assert_eq!(node.lists(SEGMENTS, true).await, all, "{}", node.name);
    }
}

#[test]
fn authorities_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for told in ["ca.pem", "certificate authorities: it has no certificate"] {
        for flags in [["--store", "--store-ca"], ["--haf", "--haf-ca"]] {
            let mut command = alive(&["node", "--network", "hive", "--listen", "127.0.0.1:0"]);
            command.arg("--data").arg(folder.path().join("data"));
            command.args([flags[0], "postgresql://alive@127.0.0.1:1/alive?sslmode=require"]);
            let output = command.arg(flags[1]).arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(told), "{flags:?}: {said}");
        }
        std::fs::write(&file, "no certificate").unwrap();
    }
}

#[test]
fn a_database_that_cannot_be_used_is_told_and_its_password_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for (address, told) in [
        ("postgresql://alive:hunter2@127.0.0.1:1/alive", "connecting to PostgreSQL failed"),
        ("postgresql://alive:hunter2@127.0.0.1:x/alive", "connection to PostgreSQL"),
        (
            "postgresql://alive:hunter2@127.0.0.1:1/alive?sslmode=require",
            "connecting to PostgreSQL",
        ),
    ] {
        let mut command = alive(&["node", "--network", "devnet", "--data"]);
        command.arg(folder.path()).args(["--listen", "127.0.0.1:0", "--store", address]);
        let output = command.env("RUST_LOG", "trace").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &stdout(&output);
        assert!(!output.status.success());
        assert!(said.contains(told), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
