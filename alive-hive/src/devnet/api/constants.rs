//! What the node says about itself: `get_config` and `get_version`.

use serde_json::{Value, json};

use crate::{
    asset::AssetSymbol,
    cost::REGENERATION_SECS,
    devnet::{DevnetConfig, engine::Devnet},
    network::ChainId,
    transaction::Transaction,
    validate::{MAX_CUSTOM_JSON_BYTES, MAX_CUSTOM_JSON_ID_BYTES, MAX_NAME_BYTES, MIN_NAME_BYTES},
};

/// The version of hived whose rules the node follows. Source: `spec/hive.md`, head.
const VERSION: &str = "1.28.7";

impl Devnet {
    /// `get_version`, of both APIs.
    pub(super) fn version(&self) -> Value {
        let chain_id = self.switches.chain_id.unwrap_or(self.config.network.chain_id);
        let node_type = match chain_id {
            ChainId::HIVE => "mainnet",
            ChainId::HIVE_MIRRORNET => "mirrornet",
            _ => "testnet",
        };
        json!({
            "blockchain_version": VERSION,
            "hive_revision": concat!("alive-devnet-", env!("CARGO_PKG_VERSION")),
            "fc_revision": concat!("alive-devnet-", env!("CARGO_PKG_VERSION")),
            "chain_id": chain_id,
            "node_type": node_type,
        })
    }

    /// `get_config`, of both APIs: the constants that clients look at.
    pub(super) fn constants(&self) -> Value {
        let symbol =
            |symbol: AssetSymbol| json!({ "nai": symbol.nai(), "decimals": symbol.precision() });
        let network = &self.config.network;
        json!({
            "HIVE_CHAIN_ID": self.switches.chain_id.unwrap_or(network.chain_id),
            "HIVE_ADDRESS_PREFIX": network.key_prefix,
            "HIVE_BLOCKCHAIN_VERSION": VERSION,
            "HIVE_SYMBOL": symbol(AssetSymbol::Hive),
            "HBD_SYMBOL": symbol(AssetSymbol::Hbd),
            "VESTS_SYMBOL": symbol(AssetSymbol::Vests),
            "HIVE_BLOCK_INTERVAL": DevnetConfig::HIVE_INTERVAL.as_secs(),
            "HIVE_100_PERCENT": 10_000,
            "HIVE_1_PERCENT": 100,
            "HIVE_CUSTOM_OP_DATA_MAX_LENGTH": MAX_CUSTOM_JSON_BYTES,
            "HIVE_CUSTOM_OP_ID_MAX_LENGTH": MAX_CUSTOM_JSON_ID_BYTES,
            "HIVE_MAX_ACCOUNT_NAME_LENGTH": MAX_NAME_BYTES,
            "HIVE_MIN_ACCOUNT_NAME_LENGTH": MIN_NAME_BYTES,
            "HIVE_MAX_TIME_UNTIL_EXPIRATION": 86_400,
            "HIVE_MAX_TRANSACTION_SIZE": Transaction::MAX_BYTES,
            "HIVE_MAX_WITNESSES": 21,
            "HIVE_MIN_ROOT_COMMENT_INTERVAL": self.config.root_post_interval.as_micros().to_string(),
            "HIVE_RC_REGEN_TIME": REGENERATION_SECS,
            "IS_TEST_NET": network.chain_id != ChainId::HIVE,
        })
    }
}
