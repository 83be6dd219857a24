//! `hive.signature`: signing by both algorithms, recovery by hived's rules.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, text};
use crate::{
    hex_text::read_hex,
    keys::PrivateKey,
    network::KeyPrefix,
    signature::{RecoverRule, RecoverableSignature, SignAlgorithm},
};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    let digest = read_hex(text(input, "digest_hex")?)?;
    match text(input, "action")? {
        "sign" => {
            let algorithm = match text(input, "algorithm")? {
                "dhive" => SignAlgorithm::Dhive,
                "hived" => SignAlgorithm::Hived,
                other => return Err(format!("unknown algorithm {other:?}").into()),
            };
            let key: PrivateKey = text(input, "wif")?.parse()?;
            let signed = RecoverableSignature::sign(&digest, &key, algorithm);
            Ok(json!({ "signature_hex": signed.to_string() }))
        }
        "recover" => {
            let signature: RecoverableSignature = text(input, "signature_hex")?.parse()?;
            let key = signature.recover(&digest, RecoverRule::Hived)?;
            Ok(json!({
                "public_key": key.to_text(&KeyPrefix::STM),
                "public_hex": hex::encode(key.as_bytes()),
                "recovery_id": signature.recovery_id()?,
                "low_s": signature.is_low_s(),
                "fc_canonical": signature.is_fc_canonical(),
            }))
        }
        other => Err(format!("unknown action {other:?}").into()),
    }
}
