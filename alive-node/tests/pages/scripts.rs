//! The scripts of the pages under Node.js, and the copy of hls.js beside the published one.

use std::{fs, path::Path, process::Command};

use crate::packages;

#[test]
#[ignore = "needs Node.js"]
fn the_scripts_check_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/js");
    for file in ["verify.test.mjs", "gateways.test.mjs", "attestation.test.mjs"] {
        let output =
            Command::new("node").arg("--test").arg(file).current_dir(&folder).output().unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{file}:\n{report}");
        assert!(!report.contains("\n# tests 0\n"), "{file} tests nothing");
    }
}

#[test]
#[ignore = "needs npm"]
fn the_copy_of_the_player_is_the_published_file() {
    let published = packages::ready().join("node_modules/hls.js");
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/assets");
    for (published, copy) in [
        (published.join("dist/hls.light.min.mjs"), copy.join("hls.light.min.mjs")),
        (published.join("dist/hls.worker.js"), copy.join("hls.worker.js")),
        (published.join("LICENSE"), copy.join("hls.LICENSE.txt")),
    ] {
        assert!(fs::read(published).unwrap() == fs::read(&copy).unwrap(), "{}", copy.display());
    }
}
