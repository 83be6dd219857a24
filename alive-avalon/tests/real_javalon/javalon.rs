//! A program that uses javalon, its packages installed into a folder of the build.
//!
//! Nothing of them is in the sources but a lock file with the hash of every package; npm refuses what does not have it,
//! and no package runs anything while it is installed. What is installed stays until the lock file changes.

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

/// Benches share this file.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alive-avalon/tests/js");
/// How often an installation is tried: registries have bad moments.
const ATTEMPTS: u64 = 3;

/// Does one piece of work with javalon and gives what the program answers.
pub(crate) fn run(work: &str, job: &Value) -> Value {
    let mut command = Command::new("node");
    command.args(["main.mjs", work]).current_dir(installed());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), job.to_string());
    // A program that has ended without reading says why below.
    let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{work}, {}:\n{errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn installed() -> &'static Path {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    READY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("avalon-clients");
        fs::create_dir_all(&folder).unwrap();
        // One process at a time: other work trees may share the folder.
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        for name in ["main.mjs", "package.json", "package-lock.json"] {
            fs::copy(Path::new(SOURCES).join(name), folder.join(name)).unwrap();
        }
        let wanted = fs::read(folder.join("package-lock.json")).unwrap();
        let done = folder.join("installed");
        if !fs::read(&done).is_ok_and(|installed| installed == wanted) {
            npm(&folder);
            fs::write(done, wanted).unwrap();
        }
        folder
    })
}

fn npm(folder: &Path) {
    for attempt in 1..=ATTEMPTS {
        let mut npm = Command::new("npm");
        let output = npm.args(["ci", "--ignore-scripts"]).current_dir(folder).output();
        match &output {
            Ok(output) if output.status.success() => return,
            _ if attempt < ATTEMPTS => thread::sleep(Duration::from_secs(5 * attempt)),
            Ok(output) => panic!("npm:\n{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("npm: {error}"),
        }
    }
}
