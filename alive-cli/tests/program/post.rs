//! `alive post` and the warning of `alive stream`, on a development chain with a limit of credits.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use alive_hive::{PrivateKey, Role};
use serde_json::Value;

use crate::support::{Running, alive, stdout};

fn devnet(more: &[&str]) -> (Running, String) {
    let args = ["devnet", "--account", "alice:alice", "--listen", "127.0.0.1:0"];
    let time = ["--block-time", "50ms"];
    let mut devnet = Running::start(alive(&[&args[..], &time, more].concat()));
    let url = devnet.line("listening on ");
    (devnet, url)
}

struct Streamer {
    url: String,
    key: String,
}

impl Streamer {
    fn new(url: String) -> Self {
        let key = PrivateKey::from_password("alice", Role::Posting, "alice").unwrap();
        Self { url, key: key.to_wif().to_string() }
    }

    fn post(&self, args: &[&str]) -> Result<String, String> {
        let chain = ["--network", "devnet", "--hive-node", &self.url, "--chain-poll-ms", "10"];
        let name = ["--account", "alice", "--link", "launch"];
        let mut command = alive(&[&["post"], args, &chain, &name].concat());
        let output = command.env("ALIVE_POSTING_KEY", self.key.trim()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(stdout(&output)) } else { Err(said) }
    }

    fn shown(&self) -> Value {
        serde_json::from_str(&self.post(&["show", "--json"]).unwrap()).unwrap()
    }
}

#[test]
fn a_post_is_made_changed_and_shown() {
    let (_devnet, url) = devnet(&["--account", "bob:bob"]);
    let alice = Streamer::new(url);
    assert!(alice.post(&["show"]).unwrap_err().contains("has no post"));
    assert!(alice.post(&["edit", "--ended"]).unwrap_err().contains("alive post create"));

    let made = ["create", "--title", "We launch", "--body", "Tonight.", "--tag", "music,live"];
    let shares = ["--beneficiaries", "bob:2.5", "--power-up"];
    let said = alice.post(&[&made[..], &shares].concat()).unwrap();
    assert!(said.starts_with("@alice/launch in block "), "{said}");
    let shown = alice.shown();
    assert_eq!(
        (shown["title"].as_str(), shown["body"].as_str()),
        (Some("We launch"), Some("Tonight."))
    );
    assert_eq!(
        (shown["stream"].as_str(), shown["ended"].as_bool()),
        (Some("hive/alice/launch"), Some(false))
    );
    assert!(alice.post(&made).unwrap_err().contains("alive post edit"));

    let chat = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    let edit = ["edit", "--ended", "--chat", chat, "--body", "It was nice."];
    // The chain takes one edit of a post in three seconds.
    while let Err(said) = alice.post(&edit) {
        assert!(said.contains("HIVE_MIN_COMMENT_EDIT_INTERVAL"), "{said}");
    }
    let shown = alice.shown();
    assert_eq!(
        (shown["title"].as_str(), shown["body"].as_str()),
        (Some("We launch"), Some("It was nice."))
    );
    assert_eq!((shown["ended"].as_bool(), shown["chat"][0].as_str()), (Some(true), Some(chat)));
    assert_eq!(alice.post(&["edit", "--ended", "--chat", chat]).unwrap(), "nothing to change\n");
    let text = alice.post(&["show"]).unwrap();
    assert!(text.contains("links to hive/alice/launch") && text.contains(chat), "{text}");
}

#[test]
fn a_post_that_the_chain_would_refuse_is_not_sent() {
    let (_devnet, url) = devnet(&[]);
    let alice = Streamer::new(url);
    for (args, words) in [
        (&["create", "--title", "", "--body", "x"][..], "title"),
        (&["create", "--title", "x"], "--body"),
        (&["create", "--title", "x", "--body", "x", "--tag", "Big"], "Big"),
        (
            &["create", "--title", "x", "--body", "x", "--beneficiaries", "bob:101"],
            "--beneficiaries",
        ),
    ] {
        let said = alice.post(args).unwrap_err();
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert!(alice.post(&["show"]).unwrap_err().contains("has no post"));
}

#[test]
fn a_stream_says_before_it_starts_that_its_account_cannot_pay() {
    let (_devnet, url) = devnet(&["--rc-limit", "20000000000"]);
    let alice = Streamer::new(url);
    let folder = tempfile::tempdir().unwrap();
    let (recording, data) = (folder.path().join("recording"), folder.path().join("data"));
    std::fs::create_dir(&recording).unwrap();
    let chain = ["--network", "devnet", "--hive-node", &alice.url, "--chain-poll-ms", "10"];
    let with_key = |args: &[&str]| {
        let mut command =
            alive(&[args, &chain, &["--account", "alice", "--link", "launch"]].concat());
        command.env("ALIVE_POSTING_KEY", &alice.key);
        command
    };
    assert!(with_key(&["configure"]).status().unwrap().success());

    let paths = [recording.to_str().unwrap(), data.to_str().unwrap()];
    let args = ["stream", "--from-block", "1", "--folder", paths[0], "--data", paths[1]];
    let mut stream = with_key(&[&args[..], &["--planned-hours", "24"]].concat());
    let mut stream = stream.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(stream.stderr.take().unwrap()).read_line(&mut said).unwrap();
    stream.kill().unwrap();
    stream.wait().unwrap();
    assert!(said.starts_with("warning: alice cannot pay for the stream: "), "{said}");
}
