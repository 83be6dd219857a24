//! What clients of the REST API may send, and what the original says to the rest.
//!
//! Source: `spec/alivedb.md`, section 7.3. A value of a type that made the original crash is refused with a text of ours.

use alive_core::{AccountName, Link, Network, Quality, StreamId};

use crate::{
    gun::Number,
    json::{Json, Object, Text},
    schema::NewItem,
};

/// The refusal of one field: what the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub(crate) Box<str>);

fn invalid<T>(text: impl Into<Box<str>>) -> Result<T, Invalid> {
    Err(Invalid(text.into()))
}

/// `hive` or `blurt`.
///
/// # Errors
/// Another value.
pub fn network(value: Option<&Json>) -> Result<Network, Invalid> {
    let text = match value {
        None | Some(Json::Null) => return invalid("missing network"),
        Some(Json::Text(text)) if text.is_empty() => return invalid("missing network"),
        Some(Json::Text(text)) => text.as_str(),
        Some(_) => return invalid("invalid network data type"),
    };
    let known = text.filter(|text| matches!(*text, "hive" | "blurt"));
    known.and_then(|text| text.parse().ok()).ok_or_else(|| Invalid("invalid network".into()))
}

/// A user of Hive or Blurt: 3 to 16 characters, labels of at least 3 with dots between.
///
/// # Errors
/// Another value.
pub fn username(value: Option<&Json>) -> Result<AccountName, Invalid> {
    const MIN_LABEL: usize = 3;
    let text = match value {
        None | Some(Json::Null) => return invalid("Hive username must not be empty."),
        Some(Json::Text(text)) if text.is_empty() => {
            return invalid("Hive username must not be empty.");
        }
        Some(Json::Text(text)) => text,
        Some(_) => return invalid("Hive username must be a string."),
    };
    if !(3..=16).contains(&text.units().count()) {
        return invalid("Hive username must be between 3 and 16 characters.");
    }
    let text = text.to_str_lossy();
    // Sic.
    let who = if text.contains('.') { "Each account segment much " } else { "Hive username must " };
    for label in text.split('.') {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = label.as_bytes();
        if !bytes.first().is_some_and(u8::is_ascii_lowercase) {
            return invalid(format!("{who}start with a letter."));
        }
        if !bytes.iter().all(|&b| plain(b) || b == b'-') {
            return invalid(format!("{who}have only letters, digits, or dashes."));
        }
        if !bytes.last().is_some_and(|&b| plain(b)) {
            return invalid(format!("{who}end with a letter or digit."));
        }
        if bytes.len() < MIN_LABEL {
            return invalid(format!("{who}be longer"));
        }
    }
    text.parse().or_else(|_| invalid("Hive username must not be empty."))
}

/// The link of a stream.
///
/// # Errors
/// Another value.
pub fn link(value: Option<&Json>) -> Result<Link, Invalid> {
    let Some(Json::Text(text)) = value else { return invalid("Link must be a string") };
    if !(1..=Link::MAX_LEN).contains(&text.units().count()) {
        return invalid("Link must be between 1 and 50 characters long");
    }
    let link = text.as_str().and_then(|text| text.parse().ok());
    link.ok_or_else(|| {
        Invalid("Link must only contain letters, digits, dashes and underscores".into())
    })
}

/// The id, or alias, of a user of AliveDB: 3 to 50 letters and digits.
///
/// # Errors
/// Another value.
pub fn user_id(value: Option<&Json>) -> Result<&str, Invalid> {
    let text = match value {
        None | Some(Json::Null) => return invalid("User ID is required"),
        Some(Json::Text(text)) if text.is_empty() => return invalid("User ID is required"),
        Some(Json::Text(text)) => text,
        Some(_) => return invalid("User ID must be a string"),
    };
    if !(3..=50).contains(&text.units().count()) {
        return invalid("User ID must be between 3 and 50 characters long");
    }
    let other = |c: &char| !c.is_ascii_alphanumeric();
    match (text.as_str(), text.to_str_lossy().chars().find(other)) {
        (Some(text), None) => Ok(text),
        (_, other) => invalid(format!("invalid character {}", other.unwrap_or_default())),
    }
}

/// A password, called `what`.
///
/// # Errors
/// Another value, or a text that is empty or no Unicode.
pub fn key<'a>(value: Option<&'a Json>, what: &str) -> Result<&'a str, Invalid> {
    let text = match value {
        None | Some(Json::Null) => None,
        Some(Json::Text(text)) => Some(text).filter(|text| !text.is_empty()),
        Some(_) => return invalid(format!("{what} must be a string")),
    };
    let text = text.ok_or_else(|| Invalid(format!("{what} is required").into()))?;
    text.as_str().ok_or_else(|| Invalid(format!("{what} must be a string").into()))
}

/// A segment: `{"src":…,"len":…}` and its renditions.
///
/// # Errors
/// Another value; a length that is not more than 0; what is no content id.
pub fn segment(value: Option<&Json>) -> Result<NewItem, Invalid> {
    let value = match value {
        None | Some(Json::Null | Json::Bool(false)) => return invalid("Missing stream chunk"),
        Some(value) => value,
    };
    let Some(Json::Number(len)) = value.member("len") else {
        return invalid("Stream chunk length must be a number");
    };
    let Some(len) = Number::new(*len).filter(|len| len.get() > 0.0) else {
        return invalid("Stream chunk length must be a positive number");
    };
    let Some(src) = value.member("src").and_then(content_id) else {
        return invalid("Valid src hash is required");
    };
    let mut item = NewItem::new(src, len);
    for (name, value) in value.as_object().into_iter().flat_map(Object::iter) {
        let name = name.to_str_lossy();
        let quality = match &*name {
            "src" | "len" => continue,
            name => name.parse::<Quality>(),
        };
        let Ok(quality) = quality else { return invalid(format!("Invalid resolution {name}")) };
        if value.as_text().is_none() {
            return invalid(format!("{name} hash must be a string"));
        }
        let Some(id) = content_id(value) else {
            return invalid(format!("Valid {name} hash is required"));
        };
        item = item.rendition(quality, id);
    }
    Ok(item)
}

/// The body of `/pushStream`: which stream, and a segment of it.
///
/// # Errors
/// The first part that is wrong.
pub fn stream(body: &Json) -> Result<(StreamId, NewItem), Invalid> {
    if body.as_object().is_none() {
        return invalid("Request body must be an object containing stream details");
    }
    let network = network(body.member("network"))?;
    let account = username(body.member("streamer"))?;
    let link = link(body.member("link"))?;
    Ok((StreamId::new(network, account, link), segment(body.member("stream"))?))
}

/// The text of a CID: version 0, or version 1 in any base.
fn content_id(value: &Json) -> Option<Text> {
    /// A CID of the longest digest in base 2 has fewer.
    const MAX_LEN: usize = 640;
    let text = value.as_text()?;
    let id = text.as_str().filter(|text| text.len() <= MAX_LEN && !text.contains('/'))?;
    cid::Cid::try_from(id).ok().map(|_| text.clone())
}
