//! The networks whose accounts may chat. A further network is registered here.

use alive_avalon::{AvalonPlain, is_user_name};
use alive_chat::{Family, Networks, conformance::Chains};
use alive_core::{Network, backend::PublicKeyBytes};
use alive_hive::{GraphenePlain, HiveNetwork, KeyPrefix, PublicKey, is_account_name};

/// Hive and Blurt sign as Graphene does, Avalon in its own way.
#[expect(clippy::expect_used, reason = "the list is written here and tested")]
pub(crate) fn networks() -> Networks {
    Networks::new([
        Family::new(Network::hive(), GraphenePlain, is_account_name),
        Family::new(HiveNetwork::blurt().name, GraphenePlain, is_account_name),
        Family::new(Network::avalon(), AvalonPlain, is_user_name).with_recovery_id(),
    ])
    .expect("three different networks without underscores")
}

/// The same networks with their texts of keys, for the golden vectors.
#[derive(Debug)]
pub(crate) struct ChatChains;

impl Chains for ChatChains {
    fn networks() -> Networks {
        networks()
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

/// How a network of the Graphene family marks its keys.
fn prefix(network: &str) -> Option<KeyPrefix> {
    HiveNetwork::known(network).map(|network| network.key_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_is_there_and_reads_its_own_keys() {
        assert_eq!(networks().iter().count(), 3);
        let key = PublicKeyBytes(
            *alive_hive::PrivateKey::from_bytes(&[1; 32]).unwrap().public_key().as_bytes(),
        );
        for network in networks().iter().map(Family::network) {
            let text = ChatChains::write_key(network.as_str(), &key).unwrap();
            assert_eq!(ChatChains::read_key(network.as_str(), &text), Some(key), "{network}");
        }
    }
}
