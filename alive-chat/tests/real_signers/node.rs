//! The program that uses the packages: [`ask`].

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
};

use serde_json::Value;

/// Lets the packages do one piece of work and gives the answer.
pub(crate) fn ask(work: &str, job: &Value) -> Value {
    let mut node = Command::new("node");
    node.args(["main.mjs", work]).current_dir(ready());
    let piped = node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let job = job.to_string();
    // Beside reading, lest both wait for the other.
    let writer = thread::spawn(move || input.write_all(job.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ended_early = writer.join().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{work}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Says a figure to whoever runs the test.
#[expect(clippy::print_stderr, reason = "a figure is of use only where it is read")]
pub(crate) fn say(figure: &str) {
    eprintln!("{figure}");
}

/// The folder with `main.mjs` and its packages, installed by a lock file with the hash of every one.
fn ready() -> &'static Path {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    READY.get_or_init(|| {
        let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/js"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chat-signers");
        alive_foreign::npm(sources, folder)
    })
}
