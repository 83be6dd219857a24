//! The description of our own routes, put to the test by a program that believes it: Schemathesis asks every route for
//! whatever the description allows, and for what it does not, and looks whether the answers are as described.

use std::{fs, fs::File, path::Path, process::Command, thread, time::Duration};

use alive_core::memory::MemoryStreamStore;
use alive_node::ChatConfig;

use crate::{
    chatters::{Chatters, configure_chat},
    support::{push_segment, segments},
    v1::{index, now, with},
};

/// Sources of the tester: a list of packages with their hashes.
const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis/requirements.txt");

#[tokio::test]
#[ignore = "needs Python 3 with venv, and its packages"]
async fn every_answer_is_as_described() {
    // What the examples of the description name, so that it is there.
    let store = MemoryStreamStore::default();
    let named = |op: &str| op.replace(r#""link":"s""#, r#""link":"stream1""#);
    let ops = [
        ("alice", named(r#"{"op":2,"link":"s","gw":"https://gateway.example"}"#)),
        ("alice", named(&configure_chat())),
        ("alice", named(&push_segment(0, &segments(0..1)[0]))),
        ("alice", named(r#"{"op":1,"link":"s"}"#)),
        ("bob", named(r#"{"op":2,"link":"s"}"#)),
        // A list that goes on would make who asks for its next segment wait.
        ("bob", named(r#"{"op":1,"link":"s"}"#)),
    ];
    index(&store, "hive", now(), &ops).await;
    let chatters = Chatters::new("hive/alice/stream1".parse().unwrap());
    let rooms = chatters.rooms(ChatConfig::default());
    let bench = with(store, |backends| backends.chat(rooms)).await;
    let address = format!("http://{}/v1/openapi.json", bench.node.address());
    let asked = tokio::task::spawn_blocking(move || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
        let program = install(&folder);
        let mut tester = Command::new(program);
        tester.current_dir(&folder).args(["run", &address, "--seed", "1", "--max-examples", "60"]);
        // Whether an address that fits the description exists, and whether a player may ask so, only the node knows.
        tester.args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"]);
        // Events go on for ever.
        tester.args(["--exclude-path-regex", "/events$", "--phases", "examples,coverage,fuzzing"]);
        tester.args(["--continue-on-failure", "--no-color"]).output().unwrap()
    });
    let output = asked.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // It did ask: two ways to a stream with ten operations each, and the five others.
    assert!(said.contains("25 selected"), "{said}");
}

/// Installs the tester into a folder of the build, unless it is there, and gives its program.
fn install(folder: &Path) -> std::path::PathBuf {
    fs::create_dir_all(folder).unwrap();
    // One process at a time: work trees may share the folder.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let venv = folder.join("venv");
    let program = venv.join("bin/schemathesis");
    let (wanted, done) = (fs::read(PACKAGES).unwrap(), folder.join("installed"));
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return program;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Only built packages with known hashes: nothing of a package runs before it is used.
    pip.args(["--require-hashes", "--only-binary=:all:", "--no-deps", "-r", PACKAGES]);
    run(&mut pip);
    fs::write(done, wanted).unwrap();
    program
}

fn run(command: &mut Command) {
    /// Registries have bad moments.
    const ATTEMPTS: u64 = 3;
    for attempt in 1..=ATTEMPTS {
        match command.output() {
            Ok(output) if output.status.success() => return,
            _ if attempt < ATTEMPTS => thread::sleep(Duration::from_secs(5 * attempt)),
            Ok(output) => panic!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}
