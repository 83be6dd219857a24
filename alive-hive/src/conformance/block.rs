//! `hive.block`: header ids and signers, Merkle roots, extraction of our operations.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, member, text};
use crate::{
    block::SignedBlock,
    extract::{BlockAnswer, ExtractedBlock, ExtractedOp, extract_blocks},
    header::SignedHeader,
    network::KeyPrefix,
    serialize::Pack,
    transaction::SignedTransaction,
};

const PREFIX: &KeyPrefix = &KeyPrefix::STM;

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    match text(input, "action")? {
        "header" => {
            let signed = SignedHeader::from_json(member(input, "header")?)?;
            Ok(json!({
                "block_num": signed.header.block_num(),
                "block_id": signed.block_id()?,
                "digest_hex": hex::encode(signed.header.digest()?),
                "signing_key": signed.signing_key()?.to_text(PREFIX),
            }))
        }
        "merkle" => {
            let list =
                member(input, "transactions")?.as_array().ok_or("no list of transactions")?;
            let read = |value| SignedTransaction::from_json(value, PREFIX);
            let transactions = list.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let ids = transactions.iter().map(|one| one.id(Pack::Legacy));
            Ok(json!({
                "transaction_ids": ids.collect::<Vec<_>>(),
                "merkle_root": SignedBlock::merkle_root(&transactions),
            }))
        }
        "extract" => {
            let method = match text(input, "response_of")? {
                "block_api.get_block" => BlockAnswer::Block,
                "block_api.get_block_range" => BlockAnswer::BlockRange,
                "condenser_api.get_block" => BlockAnswer::Condenser,
                other => return Err(format!("unknown method {other:?}").into()),
            };
            let id = text(input, "custom_json_id")?;
            let blocks = extract_blocks(member(input, "result")?, method, id)?;
            Ok(json!({ "blocks": blocks.iter().map(block).collect::<Vec<_>>() }))
        }
        other => Err(format!("unknown action {other:?}").into()),
    }
}

fn block(block: &ExtractedBlock) -> Value {
    json!({
        "block_num": block.block_num(),
        "block_id": block.block_id,
        "previous": block.previous,
        "timestamp": block.timestamp,
        "witness": block.witness,
        "ops": block.ops.iter().map(op).collect::<Vec<_>>(),
    })
}

fn op(op: &ExtractedOp) -> Value {
    json!({
        "trx_in_block": op.trx_in_block,
        "op_in_trx": op.op_in_trx,
        "transaction_id": op.transaction_id,
        "required_auths": op.required_auths,
        "required_posting_auths": op.required_posting_auths,
        "json": op.json,
    })
}
