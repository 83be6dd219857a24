//! `hive.key`: WIF, public key texts, master passwords.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, text};
use crate::{
    hex_text::read_hex,
    keys::{PrivateKey, PublicKey},
    network::KeyPrefix,
};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    match text(input, "action")? {
        "from_wif" => {
            let key: PrivateKey = text(input, "wif")?.parse()?;
            let public = key.public_key();
            Ok(json!({
                "private_hex": hex::encode(*key.to_bytes()),
                "public_hex": hex::encode(public.as_bytes()),
                "public_stm": public.to_text(&KeyPrefix::STM),
                "public_tst": public.to_text(&KeyPrefix::TST),
                "public_blt": public.to_text(&KeyPrefix::BLT),
            }))
        }
        "to_wif" => {
            let key = PrivateKey::from_bytes(&read_hex(text(input, "private_hex")?)?)?;
            Ok(json!({ "wif": key.to_wif().as_str() }))
        }
        "derive" => {
            let role = text(input, "role")?.parse()?;
            let key =
                PrivateKey::from_password(text(input, "account")?, role, text(input, "password")?)?;
            let public = key.public_key().to_text(&KeyPrefix::STM);
            Ok(json!({ "wif": key.to_wif().as_str(), "public_key": public }))
        }
        "decode_public" => {
            let prefix = text(input, "prefix")?.parse()?;
            let key = PublicKey::from_text(text(input, "public_key")?, &prefix)?;
            Ok(json!({ "public_hex": hex::encode(key.as_bytes()) }))
        }
        other => Err(format!("unknown action {other:?}").into()),
    }
}
