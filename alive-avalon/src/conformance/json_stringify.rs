//! `avalon.json_stringify`: JSON as JavaScript writes it.

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, text};
use crate::{digest::Hash, json_text::JsonText};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    let text = JsonText::of(text(input, "json")?)?;
    Ok(json!({
        "text": text.as_str(),
        "utf16_length": text.utf16_len(),
        "sha256_hex": Hash::of(text.as_str()).to_string(),
    }))
}
