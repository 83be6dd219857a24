//! `hive.transaction`: both JSON forms, both packs, ids, digests, keys, TaPoS, validity.

use alive_core::conformance::judge;
use serde_json::{Map, Value, json};

use super::{Refused, member, text};
use crate::{
    block_id::BlockId,
    network::{ChainId, HiveNetwork, KeyPrefix},
    serialize::Pack,
    transaction::{SignedTransaction, Tapos, Transaction},
};

const PREFIX: &KeyPrefix = &KeyPrefix::STM;

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input, want), want)
}

fn decide(input: &Value, want: &Value) -> Result<Value, Refused> {
    match text(input, "action")? {
        "serialize" => {
            let transaction = Transaction::from_json(member(input, "transaction")?, PREFIX)?;
            serialize(&transaction, want)
        }
        "signed" => {
            let signed = SignedTransaction::from_json(member(input, "transaction")?, PREFIX)?;
            let chain: ChainId = text(input, "chain_id")?.parse()?;
            let keys = signed.signing_keys(&chain, Pack::Legacy)?;
            Ok(json!({
                "id": signed.id(Pack::Legacy),
                "hex": hex::encode(signed.to_bytes(Pack::Legacy)),
                "merkle_digest": hex::encode(signed.merkle_leaf(Pack::Legacy)),
                "signature_keys": keys.iter().map(|key| key.to_text(PREFIX)).collect::<Vec<_>>(),
            }))
        }
        "tapos" => {
            let block: BlockId = text(input, "block_id")?.parse()?;
            let Tapos { ref_block_num, ref_block_prefix } = Tapos::of(&block);
            Ok(json!({
                "block_num": block.block_num(),
                "ref_block_num": ref_block_num,
                "ref_block_prefix": ref_block_prefix,
            }))
        }
        "validate" => {
            Transaction::from_json(member(input, "transaction")?, PREFIX)?.validate()?;
            Ok(json!({ "ok": true }))
        }
        other => Err(format!("unknown action {other:?}").into()),
    }
}

/// Only the networks that a case lists are compared, so the answer holds just those.
fn serialize(transaction: &Transaction, want: &Value) -> Result<Value, Refused> {
    let bytes = transaction.to_bytes(Pack::Legacy);
    if Transaction::from_bytes(&bytes, Pack::Legacy)? != *transaction {
        return Err("the bytes read back as another transaction".into());
    }
    let same = !transaction.packs_differ();
    let mut answer = packed(transaction, Pack::Legacy, Some(want))?;
    answer.insert("hf26_same".into(), same.into());
    if !same {
        let hf26 = packed(transaction, Pack::Hf26, want.get("hf26"))?;
        answer.insert("hf26".into(), hf26.into());
    }
    Ok(answer.into())
}

fn packed(
    transaction: &Transaction,
    pack: Pack,
    want: Option<&Value>,
) -> Result<Map<String, Value>, Refused> {
    let mut answer = Map::new();
    let digests = digests(transaction, pack, want.and_then(|want| want.get("digest")))?;
    answer.insert("hex".into(), hex::encode(transaction.to_bytes(pack)).into());
    answer.insert("id".into(), transaction.id(pack).to_string().into());
    answer.insert("digest".into(), digests);
    Ok(answer)
}

fn digests(transaction: &Transaction, pack: Pack, want: Option<&Value>) -> Result<Value, Refused> {
    let mut digests = Map::new();
    for name in want.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        let network = HiveNetwork::known(name).ok_or_else(|| format!("no network {name:?}"))?;
        let digest = transaction.digest(&network.chain_id, pack);
        digests.insert(name.clone(), hex::encode(digest).into());
    }
    Ok(Value::Object(digests))
}
