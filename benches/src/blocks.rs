//! Pages of blocks as `block_api.get_block_range` gives them, in the form in which hived writes them.

use alive_core::SignedOp;
use alive_hive::{
    BlockHeader, BlockId, KeyPrefix, MerkleRoot, Pack, RecoverableSignature, SignedHeader,
    SignedTransaction, TimePoint, fuzzing,
};

use crate::transactions;

/// Transactions of a usual block of a busy day: votes, a game's moves, transfers, comments.
const OTHERS: [&str; 5] = [
    r#"{"type":"vote_operation","value":{"voter":"a-curator","author":"some.author","permlink":"re-a-title-of-some-length-20261121","weight":10000}}"#,
    r#"{"type":"custom_json_operation","value":{"required_auths":[],"required_posting_auths":["player-one"],"id":"sm_submit_team","json":"{\"trx_id\":\"3c8d1f0a\",\"team_hash\":\"0f9b2f1f5ac2\",\"summoner\":\"starter-437-Qx81\",\"monsters\":[\"C3-1-AB\",\"C7-12-ZZ\"],\"secret\":\"h7Fp2\",\"app\":\"splinterlands/0.7.139\"}"}}"#,
    r#"{"type":"transfer_operation","value":{"from":"merchant","to":"exchange","amount":{"amount":"12345","precision":3,"nai":"@@000000021"},"memo":"invoice 2026-11-21/778, thank you [paid]"}}"#,
    r#"{"type":"custom_json_operation","value":{"required_auths":[],"required_posting_auths":["reader"],"id":"notify","json":"[\"setLastRead\",{\"date\":\"2026-11-21T00:00:00\"}]"}}"#,
    r#"{"type":"comment_operation","value":{"parent_author":"","parent_permlink":"hive-12345","author":"writer","permlink":"a-post","title":"A post","body":"Some text with a [link](https://example.org/a-b-c) and more of it, as people write: it goes on for a while, has \"quotes\", new lines\n\nand so on.","json_metadata":"{\"tags\":[\"life\",\"blog\"],\"app\":\"peakd/2026.11\",\"format\":\"markdown\",\"description\":\"caf\\u00e9\"}"}}"#,
];

/// A page of `blocks` blocks with `transactions` each, none of them ours.
pub fn of_others(blocks: u32, transactions: usize) -> Vec<u8> {
    let signature = "1f".repeat(65);
    let transaction = |operation: &str| {
        format!(
            r#"{{"ref_block_num":16960,"ref_block_prefix":2232678888,"expiration":"2026-11-21T00:01:00","operations":[{operation}],"extensions":[],"signatures":["{signature}"]}}"#
        )
    };
    let all: Vec<String> =
        OTHERS.iter().cycle().take(transactions).map(|one| transaction(one)).collect();
    let ids = vec![format!("\"{}\"", "ab".repeat(20)); transactions].join(",");
    let all = all.join(",");
    let root = MerkleRoot::from_bytes([9; 20]);
    page((0..blocks).map(|_| (all.clone(), ids.clone(), root)))
}

/// A page of blocks with nothing but pushes of ours, `per_block` in each.
pub fn of_ours(ops: &[SignedOp], per_block: usize) -> Vec<u8> {
    let signature = RecoverableSignature::from_bytes([1; 65]);
    page(ops.chunks(per_block).map(|ops| {
        let sign = |transaction| SignedTransaction { transaction, signatures: vec![signature] };
        let signed: Vec<SignedTransaction> = ops.iter().map(transactions::of).map(sign).collect();
        let texts: Vec<String> = signed.iter().map(text).collect();
        let ids = signed.iter().map(|one| format!("\"{}\"", one.id(Pack::Legacy)));
        let ids: Vec<String> = ids.collect();
        let root = MerkleRoot::of(signed.iter().map(|one| one.merkle_leaf(Pack::Legacy)));
        (texts.join(","), ids.join(","), root)
    }))
}

/// A transaction in hived's order of members.
fn text(signed: &SignedTransaction) -> String {
    let json = signed.to_json(alive_hive::JsonForm::Hf26, &KeyPrefix::STM);
    let value = |name: &str| json.get(name).expect("every transaction has it").to_string();
    let operations = json.get("operations").and_then(|ops| ops.as_array()).expect("a list");
    let operation = |op: &serde_json::Value| {
        let member = |name: &str| op.pointer(name).expect("every custom_json has it").to_string();
        format!(
            r#"{{"type":{},"value":{{"required_auths":{},"required_posting_auths":{},"id":{},"json":{}}}}}"#,
            member("/type"),
            member("/value/required_auths"),
            member("/value/required_posting_auths"),
            member("/value/id"),
            member("/value/json"),
        )
    };
    let operations: Vec<String> = operations.iter().map(operation).collect();
    format!(
        r#"{{"ref_block_num":{},"ref_block_prefix":{},"expiration":{},"operations":[{}],"extensions":[],"signatures":{}}}"#,
        value("ref_block_num"),
        value("ref_block_prefix"),
        value("expiration"),
        operations.join(","),
        value("signatures"),
    )
}

/// Links blocks of these transactions, ids and roots.
fn page(blocks: impl Iterator<Item = (String, String, MerkleRoot)>) -> Vec<u8> {
    let mut previous: BlockId =
        "05f5e1013d59dd6272c2aa0503316c7b119ea322".parse().expect("a block id");
    let mut answer = br#"{"blocks":["#.to_vec();
    for (at, (transactions, ids, transaction_merkle_root)) in (0_u32..).zip(blocks) {
        let header = BlockHeader {
            previous,
            timestamp: TimePoint::from_unix_secs(1_795_219_800 + 3 * at),
            witness: "a.witness".into(),
            transaction_merkle_root,
            extensions: Vec::new(),
        };
        let signed =
            SignedHeader { header, witness_signature: RecoverableSignature::from_bytes([1; 65]) };
        if at > 0 {
            answer.push(b',');
        }
        previous =
            fuzzing::push_block(&mut answer, &signed, transactions.as_bytes(), ids.as_bytes());
    }
    answer.extend(b"]}");
    answer
}
