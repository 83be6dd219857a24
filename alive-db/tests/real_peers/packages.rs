//! The npm packages of GUN and of a browser's driver.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The folder with `peer.mjs` and its packages.
pub(crate) fn ready() -> &'static Path {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    READY.get_or_init(|| {
        let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/js"));
        alive_foreign::npm(sources, Path::new(env!("CARGO_TARGET_TMPDIR")).join("gun-peers"))
    })
}
