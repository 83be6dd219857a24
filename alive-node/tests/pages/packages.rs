//! The npm packages that drive a browser.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The folder with `drive.mjs` and its packages.
pub(crate) fn ready() -> &'static Path {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    READY.get_or_init(|| {
        let sources =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../alive-node/tests/pages/browser"));
        alive_foreign::npm(sources, Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-browser"))
    })
}
