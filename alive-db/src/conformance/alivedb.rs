//! `alivedb.stream`.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, gun::serde_of};
use crate::{
    gun::{NodeDelta, Put, State},
    json::{Json, Object, Text},
    schema::{Item, StreamSpace},
    sea::UserSpace,
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
