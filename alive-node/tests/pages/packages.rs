//! The npm packages that drive a browser, installed into a folder of the build.
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

/// The folder with `drive.mjs` and its packages.
pub(crate) fn ready() -> &'static Path {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    READY.get_or_init(|| {
        let sources =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../alive-node/tests/pages/browser"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-browser");
        fs::create_dir_all(&folder).unwrap();
        // One process at a time: other work trees may share the folder.
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        for name in ["drive.mjs", "package.json", "package-lock.json"] {
            fs::copy(sources.join(name), folder.join(name)).unwrap();
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
