//! The golden vectors of this crate's kinds.
#![cfg(test)]

use std::{fs, path::Path};

use alive_core::conformance::VectorFile;
use alive_node::conformance::KINDS;

#[test]
fn every_case_of_our_kinds_holds() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors"));
    for kind in KINDS {
        let path = folder.join(format!("{}.json", kind.name));
        let file = VectorFile::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        let report = file.run(KINDS);
        assert_eq!(report.failed, [], "{}", kind.name);
        assert_eq!((report.passed, report.skipped), (file.cases.len(), 0));
        assert!(report.passed > 0);
    }
}
