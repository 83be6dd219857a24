//! The kinds `core.op`, `core.chunk` and `core.state`.

use serde_json::{Map, Value, json};

use crate::{
    Chunk, DEFAULT_CUSTOM_JSON_ID, Flags, Index, Op, Push, Quality, Segment, SegmentDuration,
    SignedOp, Stream, StreamKey, Timestamp,
};

use super::{Kind, judge};

/// Every kind that this crate checks.
pub const KINDS: &[Kind] = &[
    Kind { name: "core.op", check: |input, want| judge(op(input), want) },
    Kind { name: "core.chunk", check: |input, want| judge(chunk(input), want) },
    Kind { name: "core.state", check: |input, want| judge(state(input), want) },
];

fn op(input: &Value) -> Result<Value, String> {
    let body = text(input, "body")?;
    let signed = SignedOp::from_operation_json(body, DEFAULT_CUSTOM_JSON_ID)
        .map_err(|why| why.to_string())?;
    let streamer = signed.account.as_str();
    Ok(match &signed.op {
        Op::Push(Push { link, seq, src, len, renditions, .. }) => {
            let res: Map<_, _> =
                renditions.iter().map(|(q, id)| (q.to_string(), json!(id))).collect();
            let len = len.map(seconds);
            json!({"op": 0, "streamer": streamer, "link": link, "seq": seq, "src": src,
                "len": len, "res": res})
        }
        Op::End(end) => json!({"op": 1, "streamer": streamer, "link": end.link}),
        Op::Configure(c) => json!({"op": 2, "streamer": streamer, "link": c.link,
            "storage": c.storage, "l2": c.l2, "pub": c.live_key, "gw": c.gateway}),
    })
}

fn chunk(input: &Value) -> Result<Value, String> {
    if let Some(csv) = input.get("csv") {
        let csv = csv.as_str().ok_or("csv is no text")?;
        let chunk: Chunk = csv.parse().map_err(|e| format!("{e}"))?;
        let segments: Vec<_> = chunk.segments().iter().map(listed).collect();
        return Ok(json!({ "segments": segments }));
    }
    let segments = input.get("segments").and_then(Value::as_array).ok_or("segments are missing")?;
    let segments = segments.iter().map(segment).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "csv": Chunk::encode(&segments).map_err(|why| why.to_string())? }))
}

fn listed(segment: &Segment) -> Value {
    let Segment { content, duration, flags } = segment;
    if *flags == Flags::NONE {
        return json!({"cid": content, "len": seconds(*duration)});
    }
    json!({"cid": content, "len": seconds(*duration), "flags": flags.as_str()})
}

fn segment(value: &Value) -> Result<Segment, String> {
    let len = value.get("len").filter(|len| len.is_number()).ok_or("len is no number")?.to_string();
    let flags = match value.get("flags") {
        None => Flags::NONE,
        Some(flags) => match flags.as_str().ok_or("flags are no text")? {
            "" => Flags::NONE,
            flags => flags.parse().map_err(|e| format!("{e}"))?,
        },
    };
    // Rounded once, from the number's own text: rounding twice could move it.
    let duration = SegmentDuration::from_json_number(&len, 3).map_err(|e| e.to_string())?;
    let content = text(value, "cid")?.parse().map_err(|e| format!("{e}"))?;
    Ok(Segment { content, duration, flags })
}

fn state(input: &Value) -> Result<Value, String> {
    let mut index = Index::default();
    let mut accepted = Vec::new();
    for op in input.get("ops").and_then(Value::as_array).ok_or("ops are missing")? {
        let at: Timestamp = text(op, "ts")?.parse().map_err(|e| format!("{e}"))?;
        let signed = SignedOp::from_parts(&[text(op, "account")?], text(op, "json")?);
        accepted.push(signed.is_ok_and(|signed| index.apply(&signed, at).is_ok()));
    }
    let mut streams: Vec<_> = index.streams().collect();
    streams.sort_by_key(|(key, stream)| (key.account.clone(), stream.info().number));
    let rows: Vec<_> = streams.into_iter().map(|(key, stream)| row(key, stream)).collect();
    Ok(json!({"accepted": accepted, "streams": rows}))
}

fn row(key: &StreamKey, stream: &Stream) -> Value {
    let info = stream.info();
    let segments: Vec<_> = stream
        .pushes()
        .map(|(seq, push)| json!({"seq": seq, "len": push.len.map(seconds), "src_hash": push.content(Quality::Src)}))
        .collect();
    json!({
        "streamer": key.account, "link": key.link, "st_id": info.number,
        "created": info.created, "last_updated": info.last_updated,
        "first_streamed": info.first_streamed, "last_streamed": info.last_streamed,
        "chunk_finalized": info.finalized, "chunk_head": info.head,
        "l2_protocol": info.settings.l2, "l2_pub": info.settings.live_key,
        "storage_protocol": info.settings.storage, "storage_gw": info.settings.gateway,
        "ended": info.ended, "segments": segments,
    })
}

fn seconds(duration: SegmentDuration) -> f64 {
    duration.as_secs_f64()
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| format!("{key} is no text"))
}
