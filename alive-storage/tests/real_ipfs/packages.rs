//! An IPFS node and clients of Kubo's HTTP API that others wrote: [`Packages`]. The tests of the program take this file, too.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Where the lock files are, from any crate of the workspace.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alive-storage/tests/ipfs");

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
            let js = alive_foreign::npm(&sources.join("js"), build.join("js"));
            let installs: [&[&str]; 2] = [
                &["-r", "build-requirements.txt"],
                // These three, of one file each, come as sources only; the tool that builds them is the one above.
                &[
                    "--no-binary=gitignore-parser,python-baseconv,varint",
                    "--no-build-isolation",
                    "--use-pep517",
                    "-r",
                    "requirements.txt",
                ],
            ];
            let py = alive_foreign::pip(&sources.join("py"), build.join("py"), &installs);
            Self { js, py }
        })
    }
}
