//! `avalon.playlist`: playlist transactions one after another.

use std::collections::BTreeMap;

use alive_core::conformance::equal;
use serde_json::{Map, Value, json};

use super::{Refused, list, text, whole};
use crate::{
    json_text::JsonText,
    playlist::{Playlist, PlaylistTx},
};

/// Of `results`, only whether each is an error is compared.
pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    let got = decide(input).map_err(|why| why.to_string())?;
    let mut want = want.clone();
    for result in want.get_mut("results").and_then(Value::as_array_mut).into_iter().flatten() {
        if result.get("error").is_some() {
            *result = json!({ "error": true });
        }
    }
    if equal(&got, &want) { Ok(()) } else { Err(format!("got {got}, want {want}")) }
}

fn decide(input: &Value) -> Result<Value, Refused> {
    let mut playlists: BTreeMap<String, Playlist> = BTreeMap::new();
    let mut results = Vec::new();
    for tx in list(input, "txs")? {
        let sender = text(tx, "sender")?;
        let data = JsonText::from(tx.get("data").ok_or("no data")?);
        let read = PlaylistTx::read(whole(tx, "type")?, data.root()).ok_or("another type")?;
        let at_ms = whole(tx, "block_timestamp")?;
        let applied = read.and_then(|tx| {
            let key = format!("{sender}/{}", tx.link().unwrap_or_default());
            let mut playlist = playlists.remove(&key);
            let applied = tx.apply(&mut playlist, at_ms);
            playlists.extend(playlist.map(|playlist| (key, playlist)));
            applied
        });
        let error = applied.is_err();
        results.push(if error { json!({ "error": true }) } else { json!({ "ok": true }) });
    }
    let json = |(key, playlist): (&String, &Playlist)| {
        let value = serde_json::from_str(playlist.to_json(key).as_str())?;
        Ok::<_, Refused>((key.clone(), value))
    };
    let playlists: Map<String, Value> = playlists.iter().map(json).collect::<Result<_, _>>()?;
    Ok(json!({ "results": results, "playlists": playlists }))
}
