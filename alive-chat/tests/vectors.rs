//! Runs the golden vectors of the kinds `chat.*`.
#![cfg(test)]
#![cfg(feature = "testing")]

use std::{fs, path::Path};

use alive_avalon::{AvalonPlain, is_user_name};
use alive_chat::{Family, Networks, conformance::Chains};
use alive_core::{
    Network,
    backend::PublicKeyBytes,
    conformance::{Kind, VectorFile},
};
use alive_hive::{GraphenePlain, KeyPrefix, PublicKey, is_account_name};
use rstest::rstest;

/// Hive, Blurt and Avalon by their own crates.
struct Real;

impl Chains for Real {
    fn networks() -> Networks {
        Networks::new([
            Family::new(Network::hive(), GraphenePlain, is_account_name),
            Family::new("blurt".parse().unwrap(), GraphenePlain, is_account_name),
            Family::new(Network::avalon(), AvalonPlain, is_user_name).with_recovery_id(),
        ])
        .unwrap()
    }

    fn read_key(network: &str, text: &str) -> Option<PublicKeyBytes> {
        match prefix(network) {
            Some(prefix) => PublicKey::from_text(text, &prefix).ok().map(PublicKeyBytes::from),
            None => text.parse::<alive_avalon::PublicKey>().ok().map(PublicKeyBytes::from),
        }
    }

    fn write_key(network: &str, key: &PublicKeyBytes) -> Option<String> {
        match prefix(network) {
            Some(prefix) => PublicKey::from_bytes(key.0).ok().map(|key| key.to_text(&prefix)),
            None => alive_avalon::PublicKey::from_bytes(key.0).ok().map(|key| key.to_string()),
        }
    }
}

fn prefix(network: &str) -> Option<KeyPrefix> {
    match network {
        "hive" => Some(KeyPrefix::STM),
        "blurt" => Some("BLT".parse().unwrap()),
        _ => None,
    }
}

const KINDS: [Kind; 4] = alive_chat::conformance::kinds::<Real>();

#[rstest]
#[case("chat.archive")]
#[case("chat.archive_write")]
#[case("chat.message")]
#[case("chat.request")]
fn every_case_holds(#[case] kind: &str) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors"));
    let text = fs::read_to_string(folder.join(format!("{kind}.json"))).unwrap();
    let report = VectorFile::parse(&text).unwrap().run(&KINDS);
    assert!(report.passed > 0, "no case of {kind} ran");
    assert_eq!(report.failed, [], "of {kind}");
    assert_eq!(report.skipped, 0, "of {kind}");
}
