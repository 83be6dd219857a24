//! What broadcaster, block source and account keys ask a node, typed: [`ChainNode`].

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    block_id::{BlockId, TransactionId},
    network::{ChainId, HiveNetwork},
    time::TimePoint,
};

use super::client::{RpcClient, RpcError};

/// A node of a certain chain. That it is one is asked once, before anything else.
#[derive(Debug)]
pub(super) struct ChainNode {
    pub(super) client: RpcClient,
    pub(super) network: HiveNetwork,
    is_checked: OnceCell<()>,
}

/// Where the chain is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) num: u32,
    pub(super) id: BlockId,
    pub(super) time: TimePoint,
    pub(super) irreversible: u32,
}

/// What a node knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// In the block of this number.
    InBlock(u32),
    /// Waiting for a block, or expired but not yet for certain.
    Pending,
    /// So old that the node forgot.
    TooOld,
    /// Nothing.
    Unknown,
    /// Expired for certain.
    Void,
}

impl ChainNode {
    pub(super) fn new(client: RpcClient, network: HiveNetwork) -> Self {
        Self { client, network, is_checked: OnceCell::new() }
    }

    /// Asks the node for its chain id and compares. Source: `spec/hive.md`, section 1.
    pub(super) async fn check_chain(&self) -> Result<(), RpcError> {
        self.is_checked.get_or_try_init(|| self.compare_chain()).await.copied()
    }

    async fn compare_chain(&self) -> Result<(), RpcError> {
        let config = self.client.call("database_api.get_config", json!({})).await?;
        let members = config.as_object().ok_or(RpcError::Answer("the constants of the chain"))?;
        // The name begins with that of the chain, such as HIVE_CHAIN_ID.
        let id = members.iter().find(|(name, _)| name.ends_with("_CHAIN_ID"));
        let id = id.and_then(|(_, id)| id.as_str()).ok_or(RpcError::Answer("a chain id"))?;
        let expected = self.network.chain_id;
        if id.parse::<ChainId>() == Ok(expected) {
            return Ok(());
        }
        Err(RpcError::OtherChain { found: alive_core::Excerpt::of(id), expected })
    }

    pub(super) async fn head(&self) -> Result<Head, RpcError> {
        let method = "condenser_api.get_dynamic_global_properties";
        let properties = self.client.call(method, json!([])).await?;
        let head = Head {
            num: number(&properties, "head_block_number")?,
            id: text(&properties, "head_block_id")?,
            time: text(&properties, "time")?,
            irreversible: number(&properties, "last_irreversible_block_num")?,
        };
        if head.id.block_num() != head.num {
            return Err(RpcError::Answer("head_block_id of head_block_number"));
        }
        Ok(head)
    }

    pub(super) async fn broadcast(&self, transaction: Value) -> Result<(), RpcError> {
        let method = "condenser_api.broadcast_transaction";
        self.client.call(method, json!([transaction])).await.map(|_| ())
    }

    pub(super) async fn find_transaction(
        &self,
        id: &TransactionId,
        expiration: TimePoint,
    ) -> Result<Known, RpcError> {
        let params = json!({ "transaction_id": id, "expiration": expiration });
        let found = self.client.call("transaction_status_api.find_transaction", params).await?;
        match found.get("status").and_then(Value::as_str) {
            Some("within_reversible_block" | "within_irreversible_block") => {
                number(&found, "block_num").map(Known::InBlock)
            }
            Some("within_mempool" | "expired_reversible") => Ok(Known::Pending),
            Some("expired_irreversible") => Ok(Known::Void),
            Some("too_old") => Ok(Known::TooOld),
            Some("unknown") => Ok(Known::Unknown),
            _ => Err(RpcError::Answer("a status that is known")),
        }
    }

    /// Blocks from `start` on, fewer than `count` at the head, as the node gives them.
    pub(super) async fn blocks(&self, start: u32, count: u32) -> Result<Value, RpcError> {
        let params = json!({ "starting_block_num": start, "count": count });
        self.client.call("block_api.get_block_range", params).await
    }
}

/// A member of an answer that is a number of a block.
fn number(answer: &Value, name: &'static str) -> Result<u32, RpcError> {
    let number = answer.get(name).and_then(Value::as_u64);
    number.and_then(|number| u32::try_from(number).ok()).ok_or(RpcError::Answer(name))
}

/// A member of an answer that is a text with a meaning.
fn text<T: std::str::FromStr>(answer: &Value, name: &'static str) -> Result<T, RpcError> {
    let text = answer.get(name).and_then(Value::as_str).ok_or(RpcError::Answer(name))?;
    text.parse().map_err(|_| RpcError::Answer(name))
}
