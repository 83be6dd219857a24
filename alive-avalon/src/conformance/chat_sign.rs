//! `avalon.chat_sign`: what chat signs, signed with a key of Avalon.

use alive_core::{backend::SignatureScheme as _, conformance::judge};
use serde_json::{Value, json};

use super::{Refused, text, whole};
use crate::{digest::Hash, keys::PrivateKey, scheme::AvalonPlain, signature::Signature};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    let [user, network, stream_network, streamer, link] =
        ["username", "network", "stream_network", "streamer", "link"].map(|name| text(input, name));
    let stream = format!("{}/{}/{}", stream_network?, streamer?, link?);
    let (ts, user) = (whole(input, "ts")?, user?);
    let signed = match text(input, "op")? {
        "message" => format!("{ts}_{user}_{}_{}_{stream}", network?, text(input, "message")?),
        "request" => format!("alivedb_chat_request_{ts}_{user}_{}_{stream}", network?),
        other => return Err(format!("unknown op {other:?}").into()),
    };
    let key: PrivateKey = text(input, "private_b58")?.parse()?;
    let hash = Hash::from_bytes(AvalonPlain.digest(signed.as_bytes()));
    let (signature, id) = Signature::sign(&hash, &key);
    Ok(json!({
        "hash": hash.to_string(),
        "signature_b58": signature.to_string(),
        "recid": id.as_u8(),
        "public_b58": key.public_key().to_string(),
    }))
}
