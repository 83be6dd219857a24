//! Which chain a node has: asked and compared before the node is used for anything else.
//!
//! Source: `spec/hive.md`, section 1.

use alive_core::Excerpt;
use serde_json::{Map, Value, json, value::RawValue};

use crate::network::HiveNetwork;

use super::{
    client::{RpcCall, RpcError},
    health::Identity,
};

/// Longest value that is kept, in bytes: a chain id has 64.
const MAX_LEN: usize = 128;

/// Both APIs give the same constants.
pub(super) fn calls() -> [RpcCall; 2] {
    [
        RpcCall::new("database_api.get_config", json!({})),
        RpcCall::new("condenser_api.get_config", json!([])),
    ]
}

pub(super) fn read(_shape: usize, constants: &RawValue) -> Result<Identity, RpcError> {
    let members: Map<String, Value> = serde_json::from_str(constants.get())
        .map_err(|_| RpcError::Answer("the constants of the chain"))?;
    Ok(Identity {
        chain_id: find(&members, "CHAIN_ID").ok_or(RpcError::Answer("a chain id"))?,
        key_prefix: find(&members, "ADDRESS_PREFIX").ok_or(RpcError::Answer("a key prefix"))?,
    })
}

/// Refuses a node of another chain.
pub(super) fn compare(
    identity: &Identity,
    network: &HiveNetwork,
    node: &str,
) -> Result<(), RpcError> {
    if identity.is_of(network) {
        return Ok(());
    }
    if identity.chain_id.parse() == Ok(network.chain_id) {
        return Err(RpcError::OtherPrefix {
            node: node.into(),
            found: Excerpt::of(&identity.key_prefix),
            expected: network.key_prefix,
        });
    }
    Err(RpcError::OtherChain {
        node: node.into(),
        found: Excerpt::of(&identity.chain_id),
        expected: network.chain_id,
    })
}

/// A constant whose name begins with that of the chain, such as `HIVE_CHAIN_ID`. A chain that came from another one may
/// also name the constants of its origin, so the known names go first.
fn find(members: &Map<String, Value>, name: &str) -> Option<String> {
    let named = |chain: &str| members.get(&format!("{chain}_{name}"));
    let known = ["HIVE", "BLURT", "STEEM"].into_iter().find_map(named);
    let any = || {
        let is_it = |key: &str| key.strip_suffix(name).is_some_and(|chain| chain.ends_with('_'));
        members.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
    };
    let text = known.or_else(any)?.as_str()?;
    (text.len() <= MAX_LEN).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ChainId;

    fn read_json(constants: &Value) -> Result<Identity, RpcError> {
        read(0, &serde_json::value::to_raw_value(constants).unwrap())
    }

    #[test]
    fn constants_are_found_by_the_name_of_any_chain_its_own_first() {
        let ours = json!({ "HIVE_CHAIN_ID": "beef", "HIVE_ADDRESS_PREFIX": "STM",
            "BLURT_CHAIN_ID": "old", "A_CHAIN_ID": "older", "A_ADDRESS_PREFIX": "X" });
        let expected = Identity { chain_id: "beef".into(), key_prefix: "STM".into() };
        assert_eq!(read_json(&ours).unwrap(), expected);
        let other = json!({ "WHALE_CHAIN_ID": "beef", "WHALE_ADDRESS_PREFIX": "STM" });
        assert_eq!(read_json(&other).unwrap(), expected);
        for bad in [
            json!([]),
            json!({}),
            json!({ "HIVE_CHAIN_ID": 5, "HIVE_ADDRESS_PREFIX": "STM" }),
            json!({ "HIVE_CHAIN_ID": "x".repeat(999), "HIVE_ADDRESS_PREFIX": "STM" }),
            json!({ "HIVE_CHAIN_ID": "beef" }),
        ] {
            assert!(matches!(read_json(&bad), Err(RpcError::Answer(_))), "{bad}");
        }
    }

    #[test]
    fn a_node_of_another_chain_or_prefix_is_refused_with_both_named() {
        let hive = HiveNetwork::hive();
        let node = |chain_id: ChainId, key_prefix: &str| {
            let identity =
                Identity { chain_id: chain_id.to_string(), key_prefix: key_prefix.into() };
            compare(&identity, &hive, "node:8090").map_err(|error| error.to_string())
        };
        assert_eq!(node(ChainId::HIVE, "STM"), Ok(()));
        let error = node(ChainId::STEEM, "STM").unwrap_err();
        assert!(error.contains("node:8090") && error.contains("0000"), "{error}");
        assert!(error.contains(&ChainId::HIVE.to_string()), "{error}");
        let error = node(ChainId::HIVE, "TST").unwrap_err();
        assert!(error.contains("TST") && error.contains("STM"), "{error}");
    }
}
