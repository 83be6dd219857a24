//! `alivedb.jwt`, `alivedb.stream`, `alivedb.token`, `alivedb.validate`.

use alive_core::{
    backend::{AccountAuthority, Authority},
    conformance::judge,
};
use alive_hive::{GraphenePlain, KeyPrefix, PublicKey};
use serde_json::{Value, json};

use super::{Refused, gun::serde_of};
use crate::{
    gun::{NodeDelta, Put, State},
    json::{Json, Object, Text},
    rest::validate,
    schema::{Item, StreamSpace},
    sea::UserSpace,
    token::{Claims, LoginMessage, Secret},
};

pub(super) fn stream(input: &str, want: &Value) -> Result<(), String> {
    judge(decide_stream(input), want)
}

fn decide_stream(input: &str) -> Result<Value, Refused> {
    let input = Json::parse(input)?;
    let text = |name: &'static str| {
        let text = input.member(name).and_then(Json::as_text);
        text.map(Text::to_str_lossy).ok_or(name)
    };
    let number = |name: &str| input.member(name).and_then(Json::as_number);
    let stream = [text("network")?, text("streamer")?, text("link")?].join("/").parse()?;
    let space = StreamSpace::new(&text("pub")?.parse()?, &stream);
    let now_ms = number("now").ok_or("no now")?;
    let graph = input.member("graph").ok_or("no graph")?;
    // The graph may hold what no peer would take; each key is judged alone.
    let rules = UserSpace::default();
    let open = |put: Put<'_>| {
        let open = rules.open(put, now_ms).ok().flatten();
        open.filter(|_| put.state.millis() <= now_ms)
    };
    let Some(list) = node(graph, space.list_soul()) else { return Ok(json!({ "items": [] })) };
    let mut items = Vec::new();
    for link in space.links(&list, now_ms, number("ts").unwrap_or(0.0), open) {
        let Some(item) = node(graph, &link.soul).and_then(|node| Item::read(&node, open)) else {
            continue;
        };
        let Json::Object(item) = item.to_json() else { return Err("an item is no object".into()) };
        let plain: Object = item.into_iter().filter(|(key, _)| key != "_").collect();
        items.push(serde_of(&Json::Object(plain))?);
    }
    Ok(json!({ "items": items }))
}

/// The keys of a node that have a value and a state.
fn node(graph: &Json, soul: &Text) -> Option<NodeDelta> {
    let object = graph.as_object()?;
    let node = object.iter().find(|(name, _)| *name == soul)?.1.as_object()?;
    let states = node.member("_")?.member(">")?.as_object()?;
    let entries = node.iter().filter_map(|(key, value)| {
        let state = states.iter().find(|(name, _)| *name == key)?.1.as_number()?;
        let value = crate::gun::Value::from_json(value).ok()?;
        Some((key.clone(), value, State::new(state)?))
    });
    Some(NodeDelta { soul: soul.clone(), entries: entries.collect() })
}

pub(super) fn jwt(input: &str, want: &Value) -> Result<(), String> {
    judge(decide_jwt(input), want)
}

pub(super) fn token(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide_token(input), want)
}

pub(super) fn validate(input: &str, want: &Value) -> Result<(), String> {
    judge(decide_validate(input), want)
}

fn decide_jwt(input: &str) -> Result<Value, Refused> {
    let input = Json::parse(input)?;
    let text = |name: &'static str| {
        let text = input.member(name).and_then(Json::as_text);
        text.map(Text::to_str_lossy).ok_or(name)
    };
    let now_s = input.member("now_s").and_then(Json::as_number).ok_or("no now_s")?;
    let secret = Secret::new(text("secret")?.as_bytes()).ok_or("the secret is too short")?;
    let claims = Claims::verify(&text("token")?, &secret, &text("auth_identifier")?, now_s)?;
    Ok(json!({ "claims": serde_of(&Json::Object(claims.to_object()))? }))
}

fn decide_token(input: &Value) -> Result<Value, Refused> {
    let identifier = super::text(input, "auth_identifier")?;
    let chain = super::member(input, "chain")?;
    let message = LoginMessage::parse(super::text(input, "message")?, identifier)?;
    let signer = message.signer(&GraphenePlain)?;
    let known = super::member(chain, "posting_keys")?.get(message.user.as_str());
    let keys = known.and_then(Value::as_array).ok_or("the account is not known")?;
    let keys = keys.iter().map(|key| {
        let key = PublicKey::from_text(key.as_str().ok_or("a key is no text")?, &KeyPrefix::STM)?;
        Ok((key.into(), 1))
    });
    let keys = keys.collect::<Result<_, Refused>>()?;
    let posting = Authority { threshold: 1, keys, accounts: Vec::new() };
    let authority = AccountAuthority { posting, ..AccountAuthority::default() };
    LoginMessage::check_signer(&signer, &authority)?;
    let id = super::member(chain, "block_ids")?.get(message.block_num.to_string());
    let number = |input: &Value, name| {
        let number = super::member(input, name)?.as_u64();
        number.ok_or_else(|| Refused::from(format!("{name} is no number")))
    };
    let head = number(chain, "head_block_num")?;
    let timeout = number(input, "timeout_blocks")?;
    message.check_block(id.and_then(Value::as_str), head, timeout)?;
    Ok(json!({
        "username": message.user,
        "link": message.link,
        "auth_identifier": identifier,
        "network": "hive",
        "block_num": message.block_num,
        "block_id": message.block_id,
        "signature": message.signature,
        "digest_hex": data_encoding::HEXLOWER.encode(&message.digest(&GraphenePlain)),
        "recovered_pub": PublicKey::from_bytes(signer.0)?.to_text(&KeyPrefix::STM),
    }))
}

fn decide_validate(input: &str) -> Result<Value, Refused> {
    let input = Json::parse(input)?;
    let value = input.member("value");
    let what = input.member("what").and_then(Json::as_text).ok_or("no what")?;
    match &*what.to_str_lossy() {
        "id" => drop(validate::user_id(value)?),
        "key" => drop(validate::key(value, "Key")?),
        "link" => drop(validate::link(value)?),
        "network" => drop(validate::network(value)?),
        "segment" => drop(validate::segment(value)?),
        "stream" => drop(validate::stream(value.ok_or("no value")?)?),
        "username" => drop(validate::username(value)?),
        other => return Err(format!("{other:?} is no kind of value").into()),
    }
    Ok(json!({ "ok": true }))
}
