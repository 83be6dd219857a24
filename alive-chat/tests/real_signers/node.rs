//! The program that uses the packages: [`ask`].

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use serde_json::Value;

/// How often an installation is tried: registries have bad moments.
const ATTEMPTS: u64 = 3;

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
        fs::create_dir_all(&folder).unwrap();
        // One process at a time: other work trees may share the folder.
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        for file in fs::read_dir(sources).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), folder.join(file.file_name())).unwrap();
            }
        }
        let wanted = fs::read(sources.join("package-lock.json")).unwrap();
        let done = folder.join("installed");
        if fs::read(&done).is_ok_and(|installed| installed == wanted) {
            return folder;
        }
        install(&folder);
        fs::write(done, wanted).unwrap();
        folder
    })
}

fn install(folder: &Path) {
    for attempt in 1..=ATTEMPTS {
        let output =
            Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(folder).output();
        match &output {
            Ok(output) if output.status.success() => return,
            _ if attempt < ATTEMPTS => thread::sleep(Duration::from_secs(5 * attempt)),
            Ok(output) => panic!("npm ci:\n{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("npm ci: {error}"),
        }
    }
}
