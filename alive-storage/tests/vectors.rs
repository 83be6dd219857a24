//! Every golden vector of the kinds that this crate knows holds.
#![cfg(test)]

use std::{fs, path::Path};

use alive_core::conformance::VectorFile;
use alive_storage::conformance::KINDS;

#[test]
fn all_golden_vectors_hold() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors"));
    for kind in KINDS {
        let text = fs::read_to_string(folder.join(format!("{}.json", kind.name))).unwrap();
        let file = VectorFile::parse(&text).unwrap();
        assert_eq!(file.kind, kind.name);
        let report = file.run(KINDS);
        assert_eq!(report.failed, [], "{}", kind.name);
        assert_eq!((report.passed, report.skipped), (file.cases.len(), 0), "{}", kind.name);
    }
}
