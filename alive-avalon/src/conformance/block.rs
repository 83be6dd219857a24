//! `avalon.block`: both hashes, the leader's signature, which transactions are of interest.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, text, whole};
use crate::{
    block::{Block, BlockHashing},
    json_ref::JsonRef,
};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    let block = Block::from_json(text(input, "block_json")?)?;
    let hashing = match whole(input, "serialization")? {
        1 => BlockHashing::V1,
        2 => BlockHashing::V2,
        other => return Err(format!("unknown serialization {other}").into()),
    };
    let leader = input.get("leader_public_b58").and_then(Value::as_str);
    block.check(hashing, leader.map(str::parse).transpose()?.as_ref())?;
    let mut alive = Vec::new();
    for (index, parts) in block.transactions().enumerate() {
        if parts.kind.is_some_and(|kind| matches!(kind, 25..=27)) {
            let text = |json: Option<JsonRef<'_>>| Some(json?.to_text()?.into_owned());
            alive.push(json!({
                "index": index,
                "type": parts.kind,
                "sender": text(parts.sender),
                "link": text(parts.data.and_then(|data| data.member("link"))),
                "tx_hash": text(parts.hash),
            }));
        }
    }
    Ok(json!({ "hash": block.hash(), "alive": alive }))
}
