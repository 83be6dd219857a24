//! The golden vectors of the kinds that this crate knows.
#![cfg(test)]

use std::{fs, path::Path};

use alive_core::conformance::VectorFile;
use alive_stake::conformance::KINDS;
use rstest::rstest;

#[rstest]
#[case("stake.elect", 48)]
#[case("stake.mature", 37)]
#[case("stake.scenario", 51)]
fn all_vectors_hold(#[case] kind: &str, #[case] at_least: usize) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors"));
    let text = fs::read_to_string(folder.join(format!("{kind}.json"))).unwrap();
    let report = VectorFile::parse(&text).unwrap().run(KINDS);
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert!(report.skipped == 0 && report.passed >= at_least, "{report:?}");
}
