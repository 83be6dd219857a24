//! The kinds about Skynet.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Content, number, text};
use crate::{
    sia::MerkleRoot,
    skyfile::{Skyfile, SkyfileMetadata},
    skylink::Skylink,
};

pub(super) fn check_sia_merkle(input: &Value, want: &Value) -> Result<(), String> {
    let root = Content::new(input).map(|content| MerkleRoot::of(&content.into_bytes()));
    judge(root.map(|root| json!({ "merkle_root_hex": root.to_string() })), want)
}

pub(super) fn check_skyfile(input: &Value, want: &Value) -> Result<(), String> {
    judge(make_file(input), want)
}

pub(super) fn check_skylink(input: &Value, want: &Value) -> Result<(), String> {
    judge(read_link(input).map(|link| describe(&link)), want)
}

fn make_file(input: &Value) -> Result<Value, String> {
    let data = Content::new(input)?.into_bytes();
    let (name, mode) = (text(input, "filename")?, number(input, "mode")?.unwrap_or(0) as u64);
    let multipart =
        input.get("multipart").and_then(Value::as_bool).ok_or("multipart is missing")?;
    let metadata = if multipart {
        SkyfileMetadata::of_upload(name, text(input, "content_type")?, mode, data.len() as u64)
    } else {
        SkyfileMetadata::of_bytes(name, mode, data.len() as u64)
    };
    let file = Skyfile::new(metadata, data.into()).map_err(|e| e.to_string())?;
    let mut out = describe(&file.skylink());
    let json = String::from_utf8(file.metadata_json().to_vec()).map_err(|e| e.to_string())?;
    if let Some(out) = out.as_object_mut() {
        out.insert("metadata_json".into(), json.into());
        out.insert("layout_hex".into(), hex::encode(file.layout()).into());
        out.insert("used_bytes".into(), file.used_bytes().into());
    }
    Ok(out)
}

fn read_link(input: &Value) -> Result<Skylink, String> {
    let link = match text(input, "op")? {
        "make" => {
            let root: [u8; 32] = bytes(input, "merkle_root_hex")?;
            let part = |name| number(input, name)?.ok_or_else(|| format!("{name} is missing"));
            Skylink::new(root.into(), part("offset")? as u64, part("length")? as u64)
        }
        "parse" => text(input, "skylink")?.parse(),
        "raw" => Skylink::from_bytes(bytes(input, "raw_hex")?),
        other => return Err(format!("unknown op {other:?}")),
    };
    link.map_err(|e| e.to_string())
}

fn describe(link: &Skylink) -> Value {
    let mut out = json!({
        "version": link.version(),
        "bitfield": link.bitfield(),
        "raw_hex": hex::encode(link.as_bytes()),
        "base64": link.to_string(),
        "base32": link.to_base32(),
        "merkle_root_hex": hex::encode(link.hash()),
    });
    if let (Some(range), Some(out)) = (link.range(), out.as_object_mut()) {
        out.insert("offset".into(), range.start.into());
        out.insert("fetch_size".into(), range.len().into());
    }
    out
}

fn bytes<const N: usize>(input: &Value, field: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text(input, field)?, &mut bytes).map_err(|e| format!("{field}: {e}"))?;
    Ok(bytes)
}
