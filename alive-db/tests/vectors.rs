//! Runs the golden vectors of the kinds that this crate decides.
#![cfg(test)]
#![cfg(feature = "testing")]

use std::{fs, path::Path};

use alive_core::conformance::VectorFile;
use rstest::rstest;

#[rstest]
#[case("alivedb.jwt")]
#[case("alivedb.stream")]
#[case("alivedb.token")]
#[case("alivedb.validate")]
#[case("gun.ham")]
#[case("gun.hash")]
#[case("gun.wire")]
#[case("sea.auth")]
#[case("sea.digest")]
#[case("sea.pair")]
#[case("sea.user_node")]
#[case("sea.verify")]
#[case("sea.work")]
fn every_case_holds(#[case] kind: &str) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors"));
    let text = fs::read_to_string(folder.join(format!("{kind}.json"))).unwrap();
    let file = VectorFile::parse(&text).unwrap();
    let mut report = file.run(alive_db::conformance::KINDS);
    if report.passed + report.failed.len() == 0 {
        report = file.run(alive_db::conformance::TEXT_KINDS);
    }
    assert!(report.passed > 0, "no case of {kind} ran");
    assert_eq!(report.failed, [], "of {kind}");
    assert_eq!(report.skipped, 0, "of {kind}");
}
