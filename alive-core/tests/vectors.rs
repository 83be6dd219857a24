//! The golden vectors of this crate's kinds.
#![cfg(test)]

use alive_core::conformance::{KINDS, VectorFile};

#[test]
fn every_case_holds() {
    for kind in KINDS {
        let path = format!("{}/../vectors/{}.json", env!("CARGO_MANIFEST_DIR"), kind.name);
        let file = VectorFile::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let report = file.run(KINDS);
        assert_eq!(report.failed, [], "{}", kind.name);
        assert!(report.passed > 0);
    }
}
