//! `avalon.multisig`: who may sign for an account.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, list, text};
use crate::{
    account::Account,
    authority::{Signatures, verify},
    json_text::JsonText,
};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    let accounts = list(input, "accounts")?;
    let read = |json: &Value| Account::read(JsonText::from(json).root());
    let accounts = accounts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let find = |name: &str| accounts.iter().find(|account| *account.name == *name);
    let signature = JsonText::from(input.get("signature").ok_or("no signature")?);
    let signatures = Signatures::read(signature.root()).ok_or("no form of signatures")?;
    let kind = input.get("type").and_then(Value::as_i64);
    let hash = text(input, "hash")?.parse()?;
    verify(&signatures, &hash, kind, find(text(input, "sender")?), find)?;
    Ok(json!({ "valid": true }))
}
