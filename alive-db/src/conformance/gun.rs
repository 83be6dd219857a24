//! `gun.ham`, `gun.hash`, `gun.wire`.

use std::time::Instant;

use alive_core::conformance::judge;
use serde_json::{Map, Value, json};

use super::{Refused, member};
use crate::{
    gun::{self, Body, Dam, Dedup, Delta, Merge, Message, State, merge, read_frame},
    json::{Json, Text},
};

pub(super) fn ham(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide_ham(input), want)
}

pub(super) fn hash(input: &str, want: &Value) -> Result<(), String> {
    judge(decide_hash(input), want)
}

pub(super) fn wire(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide_wire(input), want)
}

fn decide_ham(input: &Value) -> Result<Value, Refused> {
    let pair = |json: &Value| -> Result<(gun::Value, State), Refused> {
        let value = gun::Value::from_json(&json_of(member(json, "value")?)?)?;
        let state = json_of(member(json, "state")?)?.as_number().and_then(State::new);
        Ok((value, state.ok_or("the state is no number")?))
    };
    let now = member(input, "now")?.as_f64().ok_or("now is no number")?;
    let current = Some(member(input, "current")?).filter(|current| !current.is_null());
    let current = current.map(pair).transpose()?;
    let (value, state) = pair(member(input, "incoming")?)?;
    let held = current.as_ref().map(|(value, state)| (value, *state));
    let (result, after) = match merge(now, held, &value, state) {
        Merge::Accept => ("accept", Some((value, state))),
        Merge::Defer => ("defer", current),
        Merge::Ignore => ("ignore", current),
    };
    let mut out = json!({ "result": result });
    if let (Some((value, state)), Some(out)) = (after, out.as_object_mut()) {
        out.insert("value".into(), serde_of(&value.to_json())?);
        out.insert("state".into(), json!(state.millis()));
    }
    Ok(out)
}

fn decide_hash(input: &str) -> Result<Value, Refused> {
    let input = Json::parse(input)?;
    let put = input.member("put").ok_or("no put")?;
    let hash = gun::hash(put);
    // What our own answers carry must be the same.
    let delta = Delta::from_json(put, usize::MAX)?;
    if delta.hash() != hash {
        return Err(format!("as a delta it has {}, as JSON {hash}", delta.hash()).into());
    }
    Ok(json!({ "hash": hash }))
}

fn decide_wire(input: &Value) -> Result<Value, Refused> {
    let (mut dedup, now) = (Dedup::default(), Instant::now());
    let mut messages = Vec::new();
    for frame in member(input, "frames")?.as_array().ok_or("frames are no array")? {
        for message in read_frame(frame.as_str().ok_or("a frame is no text")?)? {
            if message.is_new(&mut dedup, now) {
                messages.push(describe(&message)?);
            }
        }
    }
    Ok(json!({ "messages": messages }))
}

fn describe(message: &Message) -> Result<Value, Refused> {
    let mut out = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.into(), value);
        }
    };
    let text = |text: &Option<Text>| text.as_ref().map(|text| json!(text.to_str_lossy()));
    let any = |json: &Option<Json>| json.as_ref().map(serde_of).transpose();
    set("id", text(&message.id));
    if !message.sent_to.is_empty() {
        let peers: Vec<_> = message.sent_to.iter().map(Text::to_str_lossy).collect();
        set("sent_to", Some(json!(peers)));
    }
    let kind = match &message.body {
        Body::Ack { re, ok, err } => {
            set("re", Some(json!(re.to_str_lossy())));
            set("ok", any(ok)?);
            set("err", any(err)?);
            "ack"
        }
        Body::Dam(dam) => {
            set("dam", Some(json!(dam.name())));
            match dam {
                Dam::Hello { pid, re } => {
                    set("pid", text(pid));
                    set("re", text(re));
                }
                Dam::Problem { err } => set("err", any(err)?),
                Dam::Hi | Dam::Mob | Dam::Opt => {}
            }
            "dam"
        }
        Body::Get(get) => {
            let is_text = |json: &Option<Json>| matches!(json, Some(Json::Text(_)));
            set(if is_text(&get.soul) { "soul" } else { "soul_lex" }, any(&get.soul)?);
            set(if is_text(&get.key) { "key" } else { "lex" }, any(&get.key)?);
            set("hash", get.hash.map(|hash| json!(hash)));
            set("limit", get.limit.map(|limit| json!(limit)));
            "get"
        }
        Body::NotFound { re } => {
            set("re", Some(json!(re.to_str_lossy())));
            "not_found"
        }
        Body::Put { put, re, hash, more } => {
            let nodes = put.as_object().ok_or("the put is no object")?;
            let mut souls: Vec<_> = nodes.iter().map(|(soul, _)| soul.clone()).collect();
            souls.sort();
            let souls: Vec<_> = souls.iter().map(Text::to_str_lossy).collect();
            let keys: usize = nodes
                .iter()
                .filter_map(|(_, node)| node.as_object())
                .map(|node| node.iter().filter(|(key, _)| **key != "_").count())
                .sum();
            set("souls", Some(json!(souls)));
            set("keys", Some(json!(keys)));
            set("re", text(re));
            set("hash", hash.map(|hash| json!(hash)));
            set("more", any(more)?);
            if re.is_some() { "reply" } else { "put" }
        }
    };
    set("type", Some(json!(kind)));
    Ok(Value::Object(out))
}

pub(super) fn json_of(value: &Value) -> Result<Json, Refused> {
    Ok(Json::parse(&value.to_string())?)
}

pub(super) fn serde_of(json: &Json) -> Result<Value, Refused> {
    Ok(serde_json::from_str(&json.print())?)
}
