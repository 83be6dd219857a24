//! Transactions that push one segment each, as a streamer broadcasts them.

use alive_core::{DEFAULT_CUSTOM_JSON_ID, SignedOp};
use alive_hive::{BlockId, CustomJson, PrivateKey, Tapos, TimePoint, Transaction};

use crate::day;

/// The streamer's key.
pub fn key() -> PrivateKey {
    PrivateKey::from_bytes(&[7; 32]).expect("it is below the order of the curve")
}

/// This many different transactions.
pub fn transactions(count: usize) -> Vec<Transaction> {
    day::pushes(1, count).iter().map(of).collect()
}

/// The transaction of this operation.
pub fn of(signed: &SignedOp) -> Transaction {
    let head: BlockId = "05f5e1013d59dd6272c2aa0503316c7b119ea322".parse().expect("a block id");
    let expiration: TimePoint = "2026-11-21T00:01:00".parse().expect("a time");
    let account = signed.account.as_str();
    let push = CustomJson::posting(account, DEFAULT_CUSTOM_JSON_ID, signed.op.to_json());
    Transaction::new(Tapos::of(&head), expiration, vec![push.into()])
}
