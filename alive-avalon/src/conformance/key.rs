//! `avalon.key`: texts of keys.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, text};
use crate::keys::{PrivateKey, PublicKey};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    let b58 = text(input, "b58")?;
    match text(input, "op")? {
        "private" => {
            let key: PrivateKey = b58.parse()?;
            let public = key.public_key();
            let hex = hex::encode(public.to_bytes());
            Ok(json!({ "public_b58": public.to_string(), "public_hex": hex }))
        }
        "public" => {
            let key: PublicKey = b58.parse()?;
            Ok(json!({ "public_hex": hex::encode(key.to_bytes()) }))
        }
        other => Err(format!("unknown op {other:?}").into()),
    }
}
