//! The npm packages, installed into a folder of the build.
//!
//! Nothing of them is in the sources but a lock file with the hash of every package. What is installed stays until the
//! lock file changes, so a second run needs no network.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::Duration,
};

/// How often an installation is tried: registries have bad moments.
const ATTEMPTS: u64 = 3;

/// The folder with `peer.mjs` and its packages.
pub(crate) fn ready() -> &'static Path {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    READY.get_or_init(|| {
        let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/js"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gun-peers");
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
        let (wanted, done) =
            (fs::read(sources.join("package-lock.json")).unwrap(), folder.join("installed"));
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
