//! Messages and frames: [`Message`], [`read_frame`].

use std::time::Instant;

use crate::json::{Json, JsonError, Text};

use super::Dedup;

/// What the text of one WebSocket message holds.
///
/// Source: `spec/alivedb.md`, "Frames".
///
/// ```
/// use alive_db::gun::{Body, read_frame};
/// let frame = r##"[{"#":"8edoAPtSV","@":"9LR2etDXq","ok":true}]"##;
/// assert!(matches!(read_frame(frame)?[..], [ref message] if matches!(message.body, Body::Ack { .. })));
/// assert!(read_frame("[]")?.is_empty(), "the heartbeat");
/// # Ok::<(), alive_db::gun::FrameError>(())
/// ```
///
/// # Errors
/// It starts as an object or an array, and is not JSON. Everything else that is no message is skipped.
pub fn read_frame(text: &str) -> Result<Vec<Message>, FrameError> {
    let mut messages = Vec::new();
    read_into(text, 0, &mut messages)?;
    Ok(messages)
}

fn read_into(text: &str, depth: usize, messages: &mut Vec<Message>) -> Result<(), FrameError> {
    if !text.starts_with(['{', '[']) {
        return Ok(());
    }
    match Json::parse(text)? {
        Json::Array(items) => {
            for item in items {
                match item {
                    // A text within a batch is a frame of its own.
                    Json::Text(frame) if depth < MAX_FRAME_DEPTH => {
                        if let Some(frame) = frame.as_str() {
                            read_into(frame, depth + 1, messages)?;
                        }
                    }
                    json => messages.extend(Message::from_json(json)),
                }
            }
        }
        json => messages.extend(Message::from_json(json)),
    }
    Ok(())
}

/// How deep frames may be packed into texts of frames. Ours; no peer was seen to do it at all.
const MAX_FRAME_DEPTH: usize = 3;

/// Why a frame cannot be read. The sender is told `DAM JSON parse error.`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame is no JSON: {0}")]
pub struct FrameError(#[from] JsonError);

/// A message, its form read and nothing of its content checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `#`: its id.
    pub id: Option<Text>,
    /// `><`: peers that have it already.
    pub sent_to: Vec<Text>,
    /// What it is.
    pub body: Body,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// A put was stored or refused.
    Ack {
        /// The put.
        re: Text,
        /// Where it is stored, in one of several forms.
        ok: Option<Json>,
        /// Why it was refused.
        err: Option<Json>,
    },
    /// A command of the transport.
    Dam(Dam),
    /// Asks for a node.
    Get(Get),
    /// What was asked for is not there.
    NotFound {
        /// The get.
        re: Text,
    },
    /// Values: an answer if it has `re`, else news.
    Put {
        /// The nodes, unchecked.
        put: Json,
        /// The get that it answers.
        re: Option<Text>,
        /// `##`: the hash of the values.
        hash: Option<i32>,
        /// `%`: more follows.
        more: Option<Json>,
    },
}

/// Asks for a node, or some keys of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Get {
    /// `#`: a text, or a LEX object.
    pub soul: Option<Json>,
    /// `.`: a text, or a LEX object.
    pub key: Option<Json>,
    /// `##`: the hash of what the asker has.
    pub hash: Option<i32>,
    /// `%`: how long the answer to a LEX get may be, in bytes.
    pub limit: Option<f64>,
}

/// A command of the transport.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Dam {
    /// `?`: who is there.
    Hello {
        /// The id of the peer that says it.
        pid: Option<Text>,
        /// The question that it answers.
        re: Option<Text>,
    },
    /// `hi`: a client has started.
    Hi,
    /// `mob`: go to another peer.
    Mob,
    /// `opt`: dial another peer.
    Opt,
    /// `!`: a text for the log.
    Problem {
        /// The text.
        err: Option<Json>,
    },
}

impl Dam {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "?",
            Self::Hi => "hi",
            Self::Mob => "mob",
            Self::Opt => "opt",
            Self::Problem { .. } => "!",
        }
    }
}

/// Of `><`, only so many characters are read.
const MAX_SENT_TO: usize = 99;

impl Message {
    /// Whether it was not seen lately, by its id, nor, if it is an answer, with the same values under another id.
    pub fn is_new(&self, dedup: &mut Dedup, now: Instant) -> bool {
        if let Some(id) = &self.id
            && !dedup.is_new(id, now)
        {
            return false;
        }
        match &self.body {
            Body::Put { re: Some(re), hash: Some(hash), .. } => dedup.is_new_answer(re, *hash, now),
            _ => true,
        }
    }

    /// Reads a message; `None` for anything that is none.
    fn from_json(json: Json) -> Option<Self> {
        let Json::Object(fields) = json else { return None };
        let [mut id, mut re, mut dam, mut pid, mut sent_to] = [const { None }; 5];
        let [mut put, mut get, mut ok, mut err, mut more, mut hash] = [const { None }; 6];
        for (name, value) in fields {
            let slot = match name.as_bytes() {
                b"#" => &mut id,
                b"@" => &mut re,
                b"##" => &mut hash,
                b"%" => &mut more,
                b"><" => &mut sent_to,
                b"dam" => &mut dam,
                b"err" => &mut err,
                b"get" => &mut get,
                b"ok" => &mut ok,
                b"pid" => &mut pid,
                b"put" => &mut put,
                _ => continue,
            };
            *slot = Some(value);
        }
        let (id, re) = (id.and_then(filled), re.and_then(filled));
        let hash = hash.as_ref().and_then(to_hash);
        let sent_to = sent_to.as_ref().and_then(Json::as_text).map(split_sent_to);
        let body = if let Some(dam) = dam.filter(is_truthy) {
            let dam = dam.as_text()?.as_str()?;
            Body::Dam(match dam {
                "?" => Dam::Hello { pid: pid.and_then(filled), re },
                "hi" => Dam::Hi,
                "mob" => Dam::Mob,
                "opt" => Dam::Opt,
                "!" => Dam::Problem { err },
                _ => return None,
            })
        } else if let Some(put) = put.filter(is_truthy) {
            Body::Put { put, re, hash, more: more.filter(is_truthy) }
        } else if let Some(get) = get.filter(is_truthy) {
            let member = |name| get.member(name).cloned();
            let limit = get.member("%").and_then(Json::as_number);
            Body::Get(Get { soul: member("#"), key: member("."), hash, limit })
        } else {
            match re? {
                re if ok.is_some() || err.is_some() => Body::Ack { re, ok, err },
                re => Body::NotFound { re },
            }
        };
        Some(Self { id, sent_to: sent_to.unwrap_or_default(), body })
    }
}

/// A text that is not empty.
fn filled(json: Json) -> Option<Text> {
    if let Json::Text(text) = json { Some(text).filter(|text| !text.is_empty()) } else { None }
}

/// What JavaScript's `if` takes for true.
fn is_truthy(json: &Json) -> bool {
    match json {
        Json::Null | Json::Bool(false) => false,
        Json::Number(number) => *number != 0.0 && !number.is_nan(),
        Json::Text(text) => !text.is_empty(),
        Json::Array(_) | Json::Bool(true) | Json::Object(_) => true,
    }
}

fn to_hash(json: &Json) -> Option<i32> {
    let number = json.as_number()?;
    let fits = number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX) + 1.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and 2^31 counts as the largest")]
    fits.then_some(number as i32)
}

fn split_sent_to(text: &Text) -> Vec<Text> {
    let text: String = text.to_str_lossy().chars().take(MAX_SENT_TO).collect();
    text.split(',').filter(|peer| !peer.is_empty()).map(Text::from).collect()
}
