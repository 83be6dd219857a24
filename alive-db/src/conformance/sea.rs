//! `sea.auth`, `sea.digest`, `sea.pair`, `sea.user_node`, `sea.verify`, `sea.work`.

use alive_core::conformance::judge;
use serde_json::{Map, Value, json};

use super::{Refused, gun::serde_of, text};
use crate::{
    gun::{Delta, Put},
    json::{Json, Object},
    sea::{Account, KeyPair, Signed, UserSpace, content_hash, hash, sign, work as prove},
};

pub(super) fn auth(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide_auth(input), want)
}

pub(super) fn digest(input: &str, want: &Value) -> Result<(), String> {
    judge(decide_digest(input), want)
}

pub(super) fn pair(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide_pair(input), want)
}

pub(super) fn user_node(input: &str, want: &Value) -> Result<(), String> {
    judge(decide_user_node(input), want)
}

pub(super) fn verify(input: &str, want: &Value) -> Result<(), String> {
    judge(decide_verify(input), want)
}

pub(super) fn work(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide_work(input), want)
}

fn decide_auth(input: &Value) -> Result<Value, Refused> {
    let account = Account {
        public: text(input, "pub")?.parse()?,
        exchange: text(input, "epub")?.parse()?,
        auth: text(input, "auth")?.into(),
    };
    let keys = account.open(text(input, "password")?)?;
    let (sign, agree) = (keys.private_text(), keys.exchange_private_text());
    Ok(json!({ "priv": *sign, "epriv": *agree }))
}

fn decide_digest(input: &str) -> Result<Value, Refused> {
    let input = Json::parse(input)?;
    let data = input.member("data").ok_or("no data")?;
    // What is signed, and its text, do not depend on who signs.
    let signed = sign(data, &KeyPair::generate()?)?;
    let message = signed.unverified();
    let text = match message {
        Json::Text(text) => text.to_str_lossy(),
        other => other.print(),
    };
    let digest = hash(message);
    Ok(json!({
        "m": serde_of(message)?,
        "text": text,
        "digest_hex": hex(&digest),
        "ecdsa_digest_hex": hex(&crate::sea::sha256(&digest)),
    }))
}

fn decide_pair(input: &Value) -> Result<Value, Refused> {
    let keys = KeyPair::from_texts(text(input, "priv")?, text(input, "epriv")?)?;
    Ok(json!({ "pub": keys.public().to_string(), "epub": keys.exchange().to_string() }))
}

fn decide_user_node(input: &str) -> Result<Value, Refused> {
    let input = Json::parse(input)?;
    let soul = input.member("soul").and_then(Json::as_text).ok_or("no soul")?;
    let now_ms = input.member("now").and_then(Json::as_number).ok_or("now is no number")?;
    let node = input.member("node").ok_or("no node")?;
    let put = Json::Object(Object::from_iter([(soul.clone(), node.clone())]));
    let delta = Delta::from_json(&put, 1000)?;
    let rules = UserSpace::default().with_certificates();
    let mut values = Map::new();
    for node in &delta.nodes {
        for (key, value, state) in &node.entries {
            let put = Put { soul: &node.soul, key, value, state: *state };
            if let Some(value) = rules.open(put, now_ms)? {
                if rules.plain(put).as_ref() != Some(&value) {
                    return Err("what readers see is another value".into());
                }
                values.insert(key.to_str_lossy(), serde_of(&value.to_json())?);
            }
        }
    }
    Ok(json!({ "values": values }))
}

fn decide_verify(input: &str) -> Result<Value, Refused> {
    let input = Json::parse(input)?;
    let key = input.member("pub").and_then(Json::as_text).ok_or("no pub")?;
    let signed = input.member("signed").ok_or("no signed")?;
    let signed = match signed.as_text() {
        Some(text) => Signed::parse(&text.to_str_lossy())?,
        None => Signed::from_json(signed)?,
    };
    let data = signed.verify(&key.to_str_lossy().parse()?)?;
    Ok(json!({ "data": serde_of(&data)? }))
}

fn decide_work(input: &Value) -> Result<Value, Refused> {
    if input.get("name").is_some() {
        if text(input, "name")? != "SHA-256" {
            return Err("only SHA-256 is there".into());
        }
        return Ok(json!({ "hash_b64": content_hash(text(input, "text")?.as_bytes()) }));
    }
    let proof = prove(text(input, "password")?, text(input, "salt")?);
    Ok(json!({ "proof_b64": *proof }))
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
