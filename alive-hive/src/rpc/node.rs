//! What broadcaster, block source and account keys ask a node, typed: [`ChainNode`].
//!
//! Where the appbase and the condenser API both have it, a node is asked for either.
//! Source: `spec/hive.md`, section 6.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::Instant;

use crate::{
    block_id::{BlockId, TransactionId},
    json_form::JsonForm,
    network::HiveNetwork,
    time::TimePoint,
    transaction::SignedTransaction,
};

use super::{
    client::{RpcCall, RpcClient, RpcError},
    inclusion::{Votes, is_quorum},
    node_error::{NodeErrorKind, Remedy},
};

/// Longest wait for the other nodes when all are asked where the chain is.
pub(super) const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// Nodes of a certain chain. That each is one is asked before it is used.
#[derive(Debug)]
pub(super) struct ChainNode {
    pub(super) client: RpcClient,
    pub(super) network: HiveNetwork,
}

/// Where the chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) num: u32,
    pub(super) id: BlockId,
    pub(super) time: TimePoint,
    pub(super) irreversible: u32,
}

/// What a node knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// In the block of this number, which may still be replaced.
    InBlock(u32),
    /// In the block of this number for good.
    Irreversible(u32),
    /// Waiting for a block, or expired but not yet for certain.
    Pending,
    /// So old that the node forgot.
    TooOld,
    /// Nothing.
    Unknown,
    /// Expired for certain, as the node says.
    Void,
}

/// What became of sending a transaction.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) answer: Result<(), RpcError>,
    /// Whether a node may have it in spite of the answer.
    pub(super) may_be_out: bool,
    /// Whose answer that is.
    pub(super) by: By,
}

/// Who answered when a transaction was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// All nodes were asked.
    All {
        /// Whether at least half of them refuse it, so that it is of no use to ask on.
        is_agreed: bool,
    },
    /// One of three or more. It may lie, and have passed on what it refuses.
    One,
    /// One of at most two: where fewer than half of the nodes lie, it does not.
    Trusted,
}

impl By {
    /// Whether what was answered is so, where fewer than half of the nodes lie.
    pub(super) fn is_sure(self) -> bool {
        matches!(self, Self::All { is_agreed: true } | Self::Trusted)
    }
}

impl ChainNode {
    pub(super) fn new(client: RpcClient, network: HiveNetwork) -> Self {
        Self { client: client.of_network(network.clone()), network }
    }

    /// Finds a node of this chain. Every call does so by itself; this is for whoever wants to know before.
    pub(super) async fn check_chain(&self) -> Result<(), RpcError> {
        self.client.ask_any(&super::identity::calls(), super::identity::read).await.map(drop)
    }

    /// Where the chain is. With several nodes, what one says is taken only while it fits what the others lately said;
    /// otherwise all are asked, and the furthest that is not off counts.
    pub(super) async fn head(&self) -> Result<Head, RpcError> {
        let calls = head_calls();
        let (index, head) = self.client.ask_shapes(&calls, read_head, |_| {}).await?;
        self.sight(index, &head);
        if self.client.node_count() == 1 || self.is_trusted(index) {
            return Ok(head);
        }
        let asked = self.client.ask_each(&calls, POLL_TIMEOUT, read_head).await;
        let heads = asked.into_iter().filter_map(|(index, head)| Some((index, head.ok()?)));
        let heads: Vec<(usize, Head)> = heads.collect();
        for (index, head) in &heads {
            self.sight(*index, head);
        }
        let fit = heads.into_iter().filter(|(index, _)| !self.is_off(*index));
        Ok(fit.map(|(_, head)| head).max_by_key(|head| head.num).unwrap_or(head))
    }

    /// The head as one node has it.
    pub(super) async fn head_of(&self, index: usize) -> Result<Head, RpcError> {
        let head = self.client.ask_node(index, POLL_TIMEOUT, &head_calls(), &read_head).await?;
        self.sight(index, &head);
        Ok(head)
    }

    /// The id of the last irreversible block, or of the one before if that is the head: the next block names it. Of
    /// several nodes each is asked, and what most say counts.
    pub(super) async fn irreversible_id(&self, head: &Head) -> Result<BlockId, RpcError> {
        let is_alone = self.client.node_count() == 1;
        if head.irreversible == head.num && (is_alone || head.num <= 1) {
            return Ok(head.id);
        }
        let next = head.irreversible.saturating_add(1).min(head.num);
        let calls = [
            RpcCall::new("block_api.get_block_header", json!({ "block_num": next })),
            RpcCall::new("condenser_api.get_block_header", json!([next])),
        ];
        let read = |shape, header: &RawValue| {
            let id = read_previous(shape, header)?;
            let is_it = id.block_num().checked_add(1) == Some(next);
            is_it.then_some(id).ok_or(RpcError::Answer("the header of the block asked for"))
        };
        if is_alone {
            return self.client.ask_any(&calls, read).await;
        }
        let mut votes = Votes::default();
        let enough = |id: &BlockId| {
            votes.add(*id);
            votes.quorum(self.client.node_count())
        };
        // A node that is silent must not cost the time that the transaction has.
        let (agreed, _) = self.client.ask_until(&calls, POLL_TIMEOUT, read, enough).await;
        agreed.or_else(|| votes.most()).ok_or(RpcError::NoNode)
    }

    fn sight(&self, index: usize, head: &Head) {
        let now = Instant::now().into_std();
        self.client.fleet().sight(index, head.time, now);
    }

    fn is_off(&self, index: usize) -> bool {
        let clock = self.client.inner.wire.clock();
        self.client.fleet().is_off(index, Instant::now().into_std(), clock)
    }

    fn is_trusted(&self, index: usize) -> bool {
        let now = Instant::now().into_std();
        !self.is_off(index) && self.client.fleet().has_sighted_all(&self.network, now)
    }

    pub(super) async fn broadcast(&self, transaction: &SignedTransaction) -> Sent {
        let calls = self.broadcast_calls(transaction);
        let mut may_be_out = false;
        let answer = self.client.ask_shapes(
            &calls,
            |_, _| Ok(()),
            |error| {
                may_be_out |= may_have_taken(error);
            },
        );
        let answer = answer.await.map(drop);
        let by = if self.client.node_count() > 2 { By::One } else { By::Trusted };
        Sent { answer, may_be_out, by }
    }

    /// Sends to all nodes. It counts as taken if one took it or had it.
    pub(super) async fn broadcast_everywhere(&self, transaction: &SignedTransaction) -> Sent {
        let calls = self.broadcast_calls(transaction);
        let answers = self.client.ask_each(&calls, POLL_TIMEOUT, |_, _| Ok(())).await;
        let (mut answer, mut may_be_out, mut refusals) = (Err(RpcError::NoNode), false, 0);
        for (_, own) in answers {
            let Err(error) = own else {
                return Sent { answer: Ok(()), may_be_out: true, by: By::All { is_agreed: false } };
            };
            may_be_out |= error.is_of_this_node() && may_have_taken(&error);
            refusals += usize::from(is_final(&error));
            answer = answer.map_err(|before: RpcError| before.or_better(error));
        }
        let is_agreed = is_quorum(refusals, self.client.node_count());
        Sent { answer, may_be_out, by: By::All { is_agreed } }
    }

    fn broadcast_calls(&self, transaction: &SignedTransaction) -> [RpcCall; 2] {
        let prefix = &self.network.key_prefix;
        let legacy = transaction.to_json(JsonForm::Legacy, prefix);
        let hf26 = transaction.to_json(JsonForm::Hf26, prefix);
        [
            RpcCall::new("condenser_api.broadcast_transaction", json!([legacy])),
            RpcCall::new(
                "network_broadcast_api.broadcast_transaction",
                json!({ "trx": hf26, "max_block_age": -1 }),
            ),
        ]
    }

    pub(super) async fn find_transaction(
        &self,
        id: &TransactionId,
        expiration: TimePoint,
    ) -> Result<Known, RpcError> {
        self.client.ask_any(&[status_call(id, expiration)], read_status).await
    }

    /// What a node knows of each of some transactions.
    pub(super) async fn find_many(
        &self,
        transactions: &[(TransactionId, TimePoint)],
    ) -> Vec<Result<Known, RpcError>> {
        let calls = transactions.iter().map(|(id, expiration)| status_call(id, *expiration));
        let calls: Vec<RpcCall> = calls.collect();
        self.client.ask_batch(&calls, read_status).await
    }

    /// What every node knows of a transaction, as far as they answer.
    pub(super) async fn find_everywhere(
        &self,
        id: &TransactionId,
        expiration: TimePoint,
    ) -> Vec<Result<Known, RpcError>> {
        let calls = [status_call(id, expiration)];
        let answers = self.client.ask_each(&calls, POLL_TIMEOUT, read_status).await;
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

pub(super) fn is_unknown_method(error: &RpcError) -> bool {
    error.node().is_some_and(|error| error.kind() == NodeErrorKind::UnknownMethod)
}

/// Whether a node that failed like this may have taken a transaction all the same: any but one that said clearly that
/// it does not know how.
fn may_have_taken(error: &RpcError) -> bool {
    !is_unknown_method(error) && !error.is_of_other_chain()
}

/// Whether the node refuses the transaction for what it is, so that sending it again soon does not help.
pub(super) fn is_final(error: &RpcError) -> bool {
    let remedy = error.node().map(|error| error.kind().remedy());
    matches!(remedy, Some(Remedy::Fail | Remedy::Wait))
}

fn head_calls() -> [RpcCall; 2] {
    [
        RpcCall::new("condenser_api.get_dynamic_global_properties", json!([])),
        RpcCall::new("database_api.get_dynamic_global_properties", json!({})),
    ]
}

/// What both APIs give alike; the amounts, which they write differently, are none of ours.
fn read_head(_shape: usize, properties: &RawValue) -> Result<Head, RpcError> {
    #[derive(Deserialize)]
    struct Properties {
        head_block_id: BlockId,
        head_block_number: u32,
        last_irreversible_block_num: u32,
        time: TimePoint,
    }
    let read: Properties = serde_json::from_str(properties.get())
        .map_err(|_| RpcError::Answer("the head of the chain"))?;
    let head = Head {
        num: read.head_block_number,
        id: read.head_block_id,
        time: read.time,
        irreversible: read.last_irreversible_block_num,
    };
    if head.id.block_num() != head.num {
        return Err(RpcError::Answer("head_block_id of head_block_number"));
    }
    if head.irreversible > head.num {
        return Err(RpcError::Answer("an irreversible block up to the head"));
    }
    Ok(head)
}

/// The appbase API wraps the header.
fn read_previous(shape: usize, header: &RawValue) -> Result<BlockId, RpcError> {
    let header: Value =
        serde_json::from_str(header.get()).map_err(|_| RpcError::Answer("a header"))?;
    let header = if shape == 0 { header.get("header") } else { Some(&header) };
    let previous = header.and_then(|header| header.get("previous")).and_then(Value::as_str);
    let previous = previous.and_then(|previous| previous.parse().ok());
    previous.ok_or(RpcError::Answer("the previous block of a header"))
}

fn status_call(id: &TransactionId, expiration: TimePoint) -> RpcCall {
    let params = json!({ "transaction_id": id, "expiration": expiration });
    RpcCall::new("transaction_status_api.find_transaction", params)
}

fn read_status(_shape: usize, status: &RawValue) -> Result<Known, RpcError> {
    #[derive(Deserialize)]
    struct Status {
        status: String,
        block_num: Option<u32>,
    }
    let found: Status = serde_json::from_str(status.get())
        .map_err(|_| RpcError::Answer("the status of a transaction"))?;
    let block = found.block_num.ok_or(RpcError::Answer("the block of a transaction"));
    match found.status.as_str() {
        "within_reversible_block" => block.map(Known::InBlock),
        "within_irreversible_block" => block.map(Known::Irreversible),
        "within_mempool" | "expired_reversible" => Ok(Known::Pending),
        "expired_irreversible" => Ok(Known::Void),
        "too_old" => Ok(Known::TooOld),
        "unknown" => Ok(Known::Unknown),
        _ => Err(RpcError::Answer("a status that is known")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[rstest]
    #[case(json!({ "status": "unknown" }), Some(Known::Unknown))]
    #[case(json!({ "status": "within_mempool" }), Some(Known::Pending))]
    #[case(json!({ "status": "expired_reversible" }), Some(Known::Pending))]
    #[case(json!({ "status": "expired_irreversible" }), Some(Known::Void))]
    #[case(json!({ "status": "too_old" }), Some(Known::TooOld))]
    #[case(json!({ "status": "within_reversible_block", "block_num": 7 }), Some(Known::InBlock(7)))]
    #[case(
        json!({ "status": "within_irreversible_block", "block_num": 7, "rc_cost": "5" }),
        Some(Known::Irreversible(7))
    )]
    #[case(json!({ "status": "within_reversible_block" }), None)]
    #[case(json!({ "status": "within_reversible_block", "block_num": -1 }), None)]
    #[case(json!({ "status": "lost" }), None)]
    #[case(json!([]), None)]
    fn a_status_is_read(#[case] status: Value, #[case] known: Option<Known>) {
        assert_eq!(read_status(0, &raw(&status)).ok(), known);
    }

    #[test]
    fn a_head_that_contradicts_itself_is_refused() {
        let id = "00000007a1b2c3d4e5f60718293a4b5c6d7e8f90";
        let head = |num: u32, irreversible: u32| {
            let head = json!({ "head_block_id": id, "head_block_number": num,
                "last_irreversible_block_num": irreversible, "time": "2026-11-21T00:00:00" });
            read_head(0, &raw(&head))
        };
        assert_eq!(head(7, 7).unwrap().num, 7);
        assert!(head(8, 7).is_err());
        assert!(head(7, 8).is_err());
    }

    #[test]
    fn the_previous_block_is_found_in_either_shape() {
        let id = "00000007a1b2c3d4e5f60718293a4b5c6d7e8f90";
        let header = json!({ "previous": id, "timestamp": "2026-11-21T00:00:00" });
        assert_eq!(read_previous(1, &raw(&header)).unwrap().block_num(), 7);
        assert_eq!(read_previous(0, &raw(&json!({ "header": header }))).unwrap().block_num(), 7);
        assert!(read_previous(0, &raw(&json!({}))).is_err());
        assert!(read_previous(1, &raw(&json!(null))).is_err());
    }
}
