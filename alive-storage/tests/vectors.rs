//! Every golden vector of the kinds that this crate knows holds.
#![cfg(test)]

use std::{fs, path::Path};

use alive_core::conformance::{Case, VectorFile};
use alive_storage::conformance::KINDS;

#[test]
fn all_golden_vectors_hold() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors"));
    for kind in KINDS {
        let text = fs::read_to_string(folder.join(format!("{}.json", kind.name))).unwrap();
        let mut file = VectorFile::parse(&text).unwrap();
        assert_eq!(file.kind, kind.name);
        file.cases.retain(|case| !is_too_slow(case));
        let report = file.run(KINDS);
        assert_eq!(report.failed, [], "{}", kind.name);
        assert_eq!((report.passed, report.skipped), (file.cases.len(), 0), "{}", kind.name);
    }
}

/// The cipher that makes the content of one case of 1 GiB takes over a minute without optimisation.
#[expect(clippy::print_stderr, reason = "a test that leaves something out says so")]
fn is_too_slow(case: &Case) -> bool {
    let by_cipher = case.input.get("generator").is_some_and(|name| name == "chacha20-sha256");
    let slow = cfg!(debug_assertions) && by_cipher && case.name.contains("huge-");
    if slow {
        eprintln!("SKIPPED without optimisation: {} (cargo test --release runs it)", case.name);
    }
    slow
}
