//! Chains of blocks as text, in the form in which hived writes them.

use alive_hive::{
    BlockHeader, BlockId, KeyPrefix, MerkleRoot, Pack, RecoverableSignature, SignedHeader,
    SignedTransaction, TimePoint, fuzzing,
};
use serde_json::Value;

/// A transaction of these operations, each as JSON.
pub(crate) fn transaction(operations: &str) -> String {
    format!(
        r#"{{"ref_block_num":1,"ref_block_prefix":2,"expiration":"2026-11-21T00:01:00","operations":[{operations}],"extensions":[],"signatures":["{}"]}}"#,
        "1f".repeat(65)
    )
}

/// A `custom_json` of alice. Id and payload are JSON texts with their quotes.
pub(crate) fn custom(id: &str, json: &str) -> String {
    format!(
        r#"{{"type":"custom_json_operation","value":{{"required_auths":[],"required_posting_auths":["alice"],"id":{id},"json":{json}}}}}"#
    )
}

/// An operation of ours.
pub(crate) fn ours(payload: &str) -> String {
    custom(r#""alive-test""#, &Value::from(payload).to_string())
}

/// The block after `previous` with these transactions; the time tells forks apart. Its Merkle root is right if all
/// its operations are known.
pub(crate) fn block(previous: BlockId, secs: u32, transactions: &[String]) -> (BlockId, String) {
    let (root, ids) = root_of(transactions);
    let header = BlockHeader {
        previous,
        timestamp: TimePoint::from_unix_secs(1_800_000_000 + secs),
        witness: "alive.wit".into(),
        transaction_merkle_root: root,
        extensions: Vec::new(),
    };
    let signed =
        SignedHeader { header, witness_signature: RecoverableSignature::from_bytes([1; 65]) };
    let mut text = Vec::new();
    let id =
        fuzzing::push_block(&mut text, &signed, transactions.join(",").as_bytes(), ids.as_bytes());
    (id, String::from_utf8(text).unwrap())
}

/// Root and ids. A transaction that cannot be packed makes the root any, and has any id.
fn root_of(transactions: &[String]) -> (MerkleRoot, String) {
    let read = |text: &String| {
        let value: Value = serde_json::from_str(text).ok()?;
        SignedTransaction::from_json(&value, &KeyPrefix::STM).ok()
    };
    let read: Vec<Option<SignedTransaction>> = transactions.iter().map(read).collect();
    let id = |one: &Option<SignedTransaction>| match one {
        Some(one) => format!("\"{}\"", one.id(Pack::Legacy)),
        None => format!("\"{}\"", "ab".repeat(20)),
    };
    let ids: Vec<String> = read.iter().map(id).collect();
    let leaves = read.iter().map(|one| Some(one.as_ref()?.merkle_leaf(Pack::Legacy)));
    let root = match leaves.collect::<Option<Vec<_>>>() {
        Some(leaves) => MerkleRoot::of(leaves),
        None => MerkleRoot::from_bytes([9; 20]),
    };
    (root, ids.join(","))
}

/// The answer of `block_api.get_block_range` with these blocks.
pub(crate) fn range(blocks: &[String]) -> String {
    format!(r#"{{"blocks":[{}]}}"#, blocks.join(","))
}
