//! The packages of unmodified Hive clients, installed into a folder of the build: [`Packages`].
//!
//! Nothing of them is in the sources but lock files with the hash of every package; npm and pip refuse what does not
//! have it. What is installed stays until a lock file changes, so a second run needs no network.

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

/// Where to find programs that use the clients.
#[derive(Debug)]
pub(crate) struct Packages {
    /// Folder of `main.mjs`, for Node.js.
    pub(crate) js: PathBuf,
    /// Folder of `main.py`.
    pub(crate) py: PathBuf,
    /// The Python that has beem.
    pub(crate) python: PathBuf,
}

impl Packages {
    /// Installs what is missing. `sources` is the folder with `js` and `py`, `build` a folder that outlives the run.
    ///
    /// # Panics
    /// If Node.js, npm or Python 3 is missing or a package cannot be installed.
    pub(crate) fn ready(sources: &Path, build: &Path) -> &'static Self {
        static READY: OnceLock<Packages> = OnceLock::new();
        READY.get_or_init(|| {
            let [js, py] = ["js", "py"].map(|part| build.join("hive-clients").join(part));
            // One process at a time: benches, tests and other work trees may share the folder.
            let lock = {
                fs::create_dir_all(build.join("hive-clients")).unwrap();
                File::create(build.join("hive-clients/lock")).unwrap()
            };
            lock.lock().unwrap();
            install(&sources.join("js"), &js, "package-lock.json", npm);
            install(&sources.join("py"), &py, "requirements.txt", pip);
            let python = py.join("venv/bin/python");
            Self { js, py, python }
        })
    }
}

/// Copies the sources, and installs their packages unless those of the same lock file are there.
fn install(from: &Path, to: &Path, lock: &str, install: fn(&Path)) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let (wanted, done) = (fs::read(from.join(lock)).unwrap(), to.join("installed"));
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return;
    }
    install(to);
    fs::write(done, wanted).unwrap();
}

fn npm(folder: &Path) {
    run(Command::new("npm").arg("ci").current_dir(folder));
}

fn pip(folder: &Path) {
    let venv = folder.join("venv");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Only built packages with known hashes: nothing of a package runs before it is used.
    pip.args(["--require-hashes", "--only-binary=:all:", "--no-deps", "-r", "requirements.txt"]);
    run(pip.current_dir(folder));
}

fn run(command: &mut Command) {
    for attempt in 1..=ATTEMPTS {
        let output = command.output();
        match &output {
            Ok(output) if output.status.success() => return,
            _ if attempt < ATTEMPTS => thread::sleep(Duration::from_secs(5 * attempt)),
            Ok(output) => panic!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}
