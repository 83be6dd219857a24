//! The packages of unmodified Hive clients: [`Packages`].

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

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
            let build = build.join("hive-clients");
            let js = alive_foreign::npm(&sources.join("js"), build.join("js"));
            let installs: [&[&str]; 1] = [&["-r", "requirements.txt"]];
            let py = alive_foreign::pip(&sources.join("py"), build.join("py"), &installs);
            let python = py.join("venv/bin/python");
            Self { js, py, python }
        })
    }
}
