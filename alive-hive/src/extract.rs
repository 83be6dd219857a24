//! The operations of Alive out of blocks: [`extract_blocks`].
//!
//! Operations of others, of any shape, are skipped and never fail a block. Source: `spec/hive.md`, section 5.4.

use alive_core::{
    SignedOp,
    backend::{Block, BlockRef, RefusedOp},
};
use serde_json::Value;

use crate::{
    block_id::{BlockId, TransactionId},
    block_text::signed_op,
    json_form::{JsonError, JsonReason, Object, items, text},
    time::TimePoint,
};

/// Which method's result is read.
///
/// Source: `spec/hive.md`, section 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockAnswer {
    /// `block_api.get_block`: `{"block":{..}}`, and `{}` where there is no block yet.
    Block,
    /// `block_api.get_block_range`: `{"blocks":[..]}`.
    BlockRange,
    /// `condenser_api.get_block`: the block itself, and `null` where there is no block yet.
    Condenser,
}

/// What an indexer needs of a block. The node is trusted for it: check the block with [`crate::ReportedBlock`], or
/// its place in the chain with what other nodes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractedBlock {
    /// The block's id, which holds its number.
    pub block_id: BlockId,
    /// Id of the block before.
    pub previous: BlockId,
    /// When it was made.
    pub timestamp: TimePoint,
    /// Who made it.
    pub witness: String,
    /// Our operations, in their order.
    pub ops: Vec<ExtractedOp>,
}

/// A `custom_json` under our id, as it stands in a block; not judged in any way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractedOp {
    /// Which transaction of the block, from 0.
    pub trx_in_block: usize,
    /// Which operation of the transaction, from 0.
    pub op_in_trx: usize,
    /// The transaction's id, if the node names one.
    pub transaction_id: Option<TransactionId>,
    /// Accounts that sign with their active authority, as they came; empty where there is no list.
    pub required_auths: Vec<Value>,
    /// Accounts that sign with their posting authority, as they came; empty where there is no list.
    pub required_posting_auths: Vec<Value>,
    /// The payload, byte for byte.
    pub json: String,
}

/// Reads the result of a method that gives blocks and keeps the operations with this `custom_json` id.
///
/// A block that does not exist gives no block. An operation is ours if it is `["custom_json",{..}]` or
/// `{"type":"custom_json_operation","value":{..}}` with exactly this `id` and a text as `json`; any other is skipped.
///
/// ```
/// use alive_hive::{BlockAnswer, extract_blocks};
/// let missing = serde_json::json!({});
/// assert!(extract_blocks(&missing, BlockAnswer::Block, "alive-test")?.is_empty());
/// # Ok::<(), alive_hive::JsonError>(())
/// ```
///
/// # Errors
/// [`JsonError`] if the answer is not of that method's form or a block lacks its id, previous id, time, witness or
/// list of transactions: the node is at fault, not an account.
pub fn extract_blocks(
    answer: &Value,
    method: BlockAnswer,
    custom_json_id: &str,
) -> Result<Vec<ExtractedBlock>, JsonError> {
    let block = |value| ExtractedBlock::read(value, custom_json_id);
    match method {
        BlockAnswer::Condenser if answer.is_null() => Ok(Vec::new()),
        BlockAnswer::Condenser => Ok(vec![block(answer)?]),
        BlockAnswer::Block => {
            let found = Object::of(answer)?.read_optional("block", block)?;
            Ok(found.into_iter().collect())
        }
        BlockAnswer::BlockRange => Object::of(answer)?.read("blocks", |value| items(value, block)),
    }
}

impl ExtractedBlock {
    fn read(value: &Value, custom_json_id: &str) -> Result<Self, JsonError> {
        let object = Object::of(value)?;
        let transactions = object.read("transactions", |value| {
            value.as_array().ok_or_else(|| JsonReason::Expected("an array").into())
        })?;
        let ids = value.get("transaction_ids").and_then(Value::as_array);
        let mut ops = Vec::new();
        for (trx_in_block, transaction) in transactions.iter().enumerate() {
            let named = ids.and_then(|ids| ids.get(trx_in_block));
            let named = named.or_else(|| transaction.get("transaction_id"));
            let transaction_id = named.and_then(Value::as_str).and_then(|id| id.parse().ok());
            let operations = transaction.get("operations").and_then(Value::as_array);
            for (op_in_trx, operation) in operations.into_iter().flatten().enumerate() {
                let Some((body, json)) = our_body(operation, custom_json_id) else { continue };
                ops.push(ExtractedOp {
                    trx_in_block,
                    op_in_trx,
                    transaction_id,
                    required_auths: list(body, "required_auths"),
                    required_posting_auths: list(body, "required_posting_auths"),
                    json: json.to_owned(),
                });
            }
        }
        Ok(Self {
            block_id: object.read("block_id", |value| Ok(text(value)?.parse::<BlockId>()?))?,
            previous: object.read("previous", |value| Ok(text(value)?.parse::<BlockId>()?))?,
            timestamp: object.read("timestamp", |value| Ok(text(value)?.parse::<TimePoint>()?))?,
            witness: object.read("witness", |value| text(value).map(String::from))?,
            ops,
        })
    }

    /// The block's number.
    pub fn block_num(&self) -> u32 {
        self.block_id.block_num()
    }

    /// The block as core's indexer takes it: every operation read or refused.
    pub fn to_block(&self) -> Block {
        Block {
            at: BlockRef { num: self.block_num().into(), id: self.block_id.into() },
            previous: self.previous.into(),
            time: self.timestamp.into(),
            ops: self.ops.iter().map(ExtractedOp::read).collect(),
        }
    }
}

impl ExtractedOp {
    /// Reads the operation by the strict rule: exactly one posting authority, a non-empty name, and a payload that is
    /// an operation. Active authorities do not count. Source: `spec/indexer.md`, section 2.
    ///
    /// # Errors
    /// The operation is refused, and why; the account is named if it is a single valid one.
    pub fn read(&self) -> Result<SignedOp, RefusedOp> {
        let names = self.required_posting_auths.iter().map(Value::as_str);
        let names = names.collect::<Option<Vec<_>>>();
        signed_op(names.as_deref(), &self.json)
    }
}

/// The body and payload of an operation of ours.
fn our_body<'a>(operation: &'a Value, custom_json_id: &str) -> Option<(&'a Value, &'a str)> {
    let body = match operation {
        Value::Array(pair) => match pair.as_slice() {
            [name, body] if name == "custom_json" => body,
            _ => return None,
        },
        Value::Object(members) if *members.get("type")? == *"custom_json_operation" => {
            members.get("value")?
        }
        _ => return None,
    };
    let ours = body.get("id")?.as_str()? == custom_json_id;
    ours.then_some((body, body.get("json")?.as_str()?))
}

fn list(body: &Value, name: &str) -> Vec<Value> {
    body.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use alive_core::AccountName;

    use super::*;

    const END: &str = r#"{"op":1,"link":"s"}"#;

    fn ours(posting: &Value) -> Value {
        json!(["custom_json", {
            "id": "alive-test", "required_auths": [], "required_posting_auths": posting, "json": END,
        }])
    }

    fn block(operations: &Value) -> Value {
        json!({
            "block_id": "05f5e10286ef0b174a57bcb8efd88e3d0df74b72",
            "previous": "05f5e1013d59dd6272c2aa0503316c7b119ea322",
            "timestamp": "2026-11-21T00:00:06",
            "witness": "alive.wit",
            "transactions": [{ "operations": operations }],
        })
    }

    fn read(operation: &Value) -> Vec<ExtractedOp> {
        let answer = block(&json!([operation]));
        extract_blocks(&answer, BlockAnswer::Condenser, "alive-test").unwrap().remove(0).ops
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!(5))]
    #[case(json!([]))]
    #[case(json!({}))]
    #[case(json!([["custom_json"], {}]))]
    #[case(json!(["custom_json", null]))]
    #[case(json!(["custom_json", { "id": "alive-test" }]))]
    #[case(json!(["custom_json", { "id": "alive-test", "json": {} }]))]
    #[case(json!(["custom_json", { "id": "alive-test ", "json": END }]))]
    #[case(json!(["custom_json", { "id": ["alive-test"], "json": END }]))]
    #[case(json!(["custom_json", { "id": "alive-test", "json": END }, 1]))]
    #[case(json!(["custom_json_operation", { "id": "alive-test", "json": END }]))]
    #[case(json!({ "type": "custom_json", "value": { "id": "alive-test", "json": END } }))]
    #[case(json!({ "type": 18, "value": { "id": "alive-test", "json": END } }))]
    fn what_is_not_ours_is_skipped(#[case] operation: Value) {
        assert_eq!(read(&operation), []);
    }

    #[test]
    fn transactions_of_any_shape_are_skipped_and_still_counted() {
        let mut answer = block(&json!([]));
        let good = json!({ "operations": [ours(&json!(["alice"]))] });
        answer["transactions"] = json!([null, 7, { "operations": null }, good]);
        let blocks = extract_blocks(&answer, BlockAnswer::Condenser, "alive-test").unwrap();
        assert_eq!(blocks[0].ops[0].trx_in_block, 3);
    }

    #[test]
    fn a_block_without_its_id_is_an_error_of_the_node() {
        let mut answer = block(&json!([]));
        answer["block_id"] = json!(null);
        let error = extract_blocks(&answer, BlockAnswer::Condenser, "alive-test").unwrap_err();
        assert_eq!(error.to_string(), "block_id: a text expected");
    }

    #[rstest]
    #[case(json!([]), None)]
    #[case(json!("alice"), None)]
    #[case(json!(["alice", "bob"]), None)]
    #[case(json!(["alice", 5]), None)]
    #[case(json!([""]), None)]
    fn an_operation_of_other_than_one_account_is_refused(
        #[case] posting: Value,
        #[case] account: Option<AccountName>,
    ) {
        let refused = read(&ours(&posting)).remove(0).read().unwrap_err();
        assert_eq!(refused.account, account);
    }

    #[test]
    fn a_refused_payload_still_tells_its_account() {
        let mut op = read(&ours(&json!(["alice"]))).remove(0);
        assert_eq!(op.read().unwrap().account.as_str(), "alice");
        op.json = "null".into();
        assert_eq!(op.read().unwrap_err().account.unwrap().as_str(), "alice");
    }

    #[test]
    fn a_block_becomes_a_block_of_core() {
        let answer = json!({ "block": block(&json!([ours(&json!(["alice"]))])) });
        let blocks = extract_blocks(&answer, BlockAnswer::Block, "alive-test").unwrap();
        let core = blocks[0].to_block();
        assert_eq!((core.at.num, core.ops.len()), (100_000_002, 1));
        assert_eq!(core.at.id.as_str(), "05f5e10286ef0b174a57bcb8efd88e3d0df74b72");
    }
}
