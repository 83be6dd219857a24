//! Whether a transaction has come into a block: [`Inclusion`].

use serde_json::Value;

use crate::{block_id::TransactionId, header::SignedHeader, json_form::JsonError, time::TimePoint};

use super::{
    client::RpcError,
    node::{ChainNode, Known},
    node_error::NodeErrorKind,
};

/// Blocks asked for at once while looking through them.
const PAGE: u32 = 20;

/// Looks for one transaction, by asking for its status, or through the blocks where the node cannot tell.
#[derive(Debug)]
pub(super) struct Inclusion {
    id: TransactionId,
    expiration: TimePoint,
    /// Up to this block the transaction is nowhere, for good.
    searched: u32,
    can_ask: bool,
}

impl Inclusion {
    /// Looks in blocks after the one that the transaction leans on.
    pub(super) fn new(id: TransactionId, expiration: TimePoint, after: u32) -> Self {
        Self { id, expiration, searched: after, can_ask: true }
    }

    pub(super) async fn look(&mut self, node: &ChainNode) -> Result<Known, RpcError> {
        if self.can_ask {
            match node.find_transaction(&self.id, self.expiration).await {
                Err(error) if is_unknown_method(&error) => self.can_ask = false,
                answered => return answered,
            }
        }
        self.search(node).await
    }

    async fn search(&mut self, node: &ChainNode) -> Result<Known, RpcError> {
        let head = node.head().await?;
        let mut next = self.searched.saturating_add(1);
        while next <= head.num {
            let answer = node.blocks(next, PAGE.min(head.num - next + 1)).await?;
            let blocks = answer.get("blocks").and_then(Value::as_array);
            let blocks = blocks.ok_or(RpcError::Answer("blocks"))?;
            if blocks.is_empty() {
                break;
            }
            for block in blocks {
                let header = SignedHeader::from_json(block).map_err(no_header)?.header;
                if header.block_num() != next {
                    return Err(RpcError::Answer("blocks in their order"));
                }
                if self.is_in(block) {
                    return Ok(Known::InBlock(next));
                }
                if next <= head.irreversible {
                    self.searched = next;
                    if header.timestamp > self.expiration {
                        return Ok(Known::Void);
                    }
                }
                next += 1;
            }
        }
        // Whether it waits somewhere nobody says; sending it again does no harm.
        Ok(Known::Unknown)
    }

    fn is_in(&self, block: &Value) -> bool {
        let id = self.id.to_string();
        let ids = block.get("transaction_ids").and_then(Value::as_array);
        ids.is_some_and(|ids| ids.iter().any(|other| *other == *id))
    }
}

fn is_unknown_method(error: &RpcError) -> bool {
    error.node().is_some_and(|error| error.kind() == NodeErrorKind::UnknownMethod)
}

fn no_header(_: JsonError) -> RpcError {
    RpcError::Answer("blocks with their headers")
}
