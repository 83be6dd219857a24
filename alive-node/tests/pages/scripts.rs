//! The scripts of the pages under Node.js, and copied files beside the published ones.

use std::{fs, path::Path, process::Command};

use alive_chat::SafeText;

use crate::packages;

#[test]
#[ignore = "needs Node.js"]
fn the_scripts_check_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/js");
    for file in [
        "verify.test.mjs",
        "gateways.test.mjs",
        "attestation.test.mjs",
        "chat.test.mjs",
        "loader.test.mjs",
    ] {
        let output =
            Command::new("node").arg("--test").arg(file).current_dir(&folder).output().unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{file}:\n{report}");
        assert!(!report.contains("\n# tests 0\n"), "{file} tests nothing");
    }
}

#[test]
#[ignore = "needs Node.js"]
fn the_page_shows_every_character_as_the_terminal_does() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/assets/chat-text.mjs");
    let script = format!(
        "import {{ safeText }} from {module:?}; const changed = []; \
         for (let at = 0; at < 0x110000; at += 1) {{ \
           if (at >= 0xd800 && at < 0xe000) continue; \
           const five = String.fromCodePoint(at).repeat(5); \
           if (safeText(five) !== five) changed.push(safeText(five)); }} \
         console.log(changed.join('\\n'));"
    );
    let mut node = Command::new("node");
    let output = node.args(["--input-type=module", "-e", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(output.stdout).unwrap();
    let five = (0..=0x0010_ffff).filter_map(char::from_u32).map(|c| c.to_string().repeat(5));
    let changed = five.filter_map(|five| {
        let safe = SafeText(&five).to_string();
        (safe != five).then_some(safe)
    });
    let terminal: Vec<_> = changed.collect();
    assert!(terminal.len() > 4000, "{}", terminal.len());
    assert_eq!(page.trim_end().split('\n').collect::<Vec<_>>(), terminal);
}

#[test]
#[ignore = "needs npm"]
fn copied_files_are_the_published_ones() {
    let published = packages::ready().join("node_modules/hls.js");
    let curve = packages::ready().join("node_modules/@noble/secp256k1");
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/assets");
    for (published, copy) in [
        (published.join("dist/hls.light.min.mjs"), copy.join("hls.light.min.mjs")),
        (published.join("dist/hls.worker.js"), copy.join("hls.worker.js")),
        (published.join("LICENSE"), copy.join("hls.LICENSE.txt")),
        (curve.join("index.js"), copy.join("secp256k1.mjs")),
        (curve.join("LICENSE"), copy.join("secp256k1.LICENSE.txt")),
    ] {
        assert!(fs::read(published).unwrap() == fs::read(&copy).unwrap(), "{}", copy.display());
    }
}
