//! An IPFS node and clients of Kubo's HTTP API that others wrote, installed into a folder of the build: [`Packages`].
//!
//! Nothing of them is in the sources but lock files with the hash of every package; npm and pip refuse what does not
//! have it. What is installed stays until a lock file changes, so a second run needs no network. The tests of the
//! program take this file, too.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::Duration,
};

/// Where the lock files are, from any crate of the workspace.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alive-storage/tests/ipfs");
/// How often an installation is tried: registries have bad moments.
const ATTEMPTS: u64 = 3;

/// Where the packages are.
#[derive(Debug)]
pub(crate) struct Packages {
    /// Folder with `node_modules`, of js-ipfs and of `kubo-rpc-client`.
    pub(crate) js: PathBuf,
    /// Folder of `main.py` and of the Python that has aioipfs.
    pub(crate) py: PathBuf,
}

impl Packages {
    /// Installs what is missing: some 310 MB from npm and 60 MB by pip.
    ///
    /// # Panics
    /// If Node.js, npm or Python 3 is missing or a package cannot be installed.
    pub(crate) fn ready() -> &'static Self {
        static READY: OnceLock<Packages> = OnceLock::new();
        READY.get_or_init(|| {
            let (sources, build) =
                (Path::new(SOURCES), Path::new(env!("CARGO_TARGET_TMPDIR")).join("ipfs"));
            let [js, py] = ["js", "py"].map(|part| build.join(part));
            fs::create_dir_all(&build).unwrap();
            // One process at a time: tests of several crates and of other work trees may share the folder.
            let lock = File::create(build.join("lock")).unwrap();
            lock.lock().unwrap();
            install(&sources.join("js"), &js, "package-lock.json", npm);
            install(&sources.join("py"), &py, "requirements.txt", pip);
            Self { js, py }
        })
    }
}

/// Copies the sources, and installs their packages unless those of the same lock file are there.
fn install(from: &Path, to: &Path, lock: &str, install: fn(&Path)) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
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
    let pip = || {
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--require-hashes", "--no-deps", "--only-binary=:all:"]).current_dir(folder);
        pip
    };
    run(pip().args(["-r", "build-requirements.txt"]));
    // These three, of one file each, come as sources only; the tool that builds them is the one of the line above.
    let sources = "--no-binary=gitignore-parser,python-baseconv,varint";
    run(pip().args([sources, "--no-build-isolation", "--use-pep517", "-r", "requirements.txt"]));
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
