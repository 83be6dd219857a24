//! Streams on Avalon: core's operations as playlist transactions ([`StreamTx`]), and back ([`stream_ops`]).
//!
//! | operation | transaction |
//! |---|---|
//! | configure | 25, the whole json anew: `{"live":true,"pub":…,"l2":…,"gw":…,"also":…}` and what was there |
//! | push a chunk | 26, `[n,"<content>"]` |
//! | push a segment | 26, `[n,"<content>,<seconds>"]` |
//! | end | 25, the json that is there and `"ended":true` |
//!
//! What an entry of a playlist has no room for, renditions and discontinuities, stands beside the data in the member
//! `alive`, by the entry's id: `"alive":{"5":{"240":"…","d":1}}`. Nodes hash and keep it, other readers ignore it.
//! Source: `spec/avalon.md`, sections 5 and 7.2.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use alive_core::{
    AccountName, Configure, ContentId, End, Link, Op, OpError, Push, SignedOp, StorageKind,
    backend::RefusedOp,
};

use crate::{
    digest::Hash,
    json_ref::JsonRef,
    json_text::{JsonText, push_string, utf16_len},
    playlist::{
        MAX_CONTENT_LEN, MAX_ENTRY_ID, MAX_JSON_LEN, MIN_LINK_LEN, PLAYLIST_JSON, PLAYLIST_PUSH,
        Playlist, PlaylistTx,
    },
    transaction::{Parts, Transaction},
    unsendable::Unsendable,
};

/// The member that carries what the chain's own form has no room for.
const EXTENSION: &str = "alive";
/// The members of an extension that are read.
const EXTENSION_MEMBERS: [&str; 10] =
    ["240", "480", "720", "1080", "d", "map", "map240", "map480", "map720", "map1080"];
/// The member of a playlist's json that lists archives of the chat.
const CHAT_ARCHIVES: &str = "chat";
/// Most archives of one stream's chat. Our own limit.
const MAX_CHAT_ARCHIVES: usize = 100;

/// What stands in a transaction that does something to a stream.
///
/// ```
/// use alive_avalon::{StreamTx, stream_ops};
/// use alive_core::Op;
/// let cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
/// let op = Op::from_json(&format!(r#"{{"op":0,"link":"show","seq":0,"src":"{cid}","len":10.0}}"#))?;
/// let transaction = StreamTx::of(&op, None)?.into_transaction("alice", 1_700_000_000_000)?;
/// assert!(transaction.as_text().as_str().contains(&format!(r#""seq":[[0,"{cid},10.0"]]"#)));
/// # let key = alive_avalon::PrivateKey::from_bytes(&[1; 32])?;
/// let signed = transaction.sign(&[&key]);
/// let read = stream_ops(&signed.parts());
/// assert_eq!(read[0].as_ref().map(|signed| &signed.op), Ok(&op));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTx {
    kind: u8,
    data: JsonText,
    extension: Option<JsonText>,
}

impl StreamTx {
    /// The transaction for an operation. `known` is the json that the stream's playlist has now, as far as it is known:
    /// a transaction replaces it whole, so what is not taken over is lost.
    ///
    /// # Errors
    /// [`StreamTxError`] if Avalon cannot carry it, or the json is needed and not known.
    pub fn of(op: &Op, known: Option<JsonRef<'_>>) -> Result<Self, StreamTxError> {
        check_link(op.link())?;
        match op {
            Op::Configure(configure) => Self::configure(configure, known),
            Op::End(end) => Self::end(end, known),
            Op::Push(push) => Self::push(push),
        }
    }

    /// Announces an archive of the stream's chat, which may be done after its end, too.
    ///
    /// # Errors
    /// [`StreamTxError`]: the json is not known, or has no room.
    pub fn chat_archive(
        link: &Link,
        archive: &ContentId,
        known: Option<JsonRef<'_>>,
    ) -> Result<Self, StreamTxError> {
        check_link(link)?;
        let known = known.ok_or(StreamTxError::UnknownJson)?;
        let mut archives = chat_archives(known);
        if !archives.contains(archive) {
            archives.push(*archive);
        }
        let listed: Vec<_> = archives.iter().map(|id| format!("\"{id}\"")).collect();
        if listed.len() > MAX_CHAT_ARCHIVES {
            return Err(StreamTxError::Json);
        }
        let mut members = Members::of(Some(known));
        members.set(CHAT_ARCHIVES, format!("[{}]", listed.join(",")));
        Self::json(link, &members)
    }

    /// The whole transaction. `ts_ms` decides when it expires.
    ///
    /// # Errors
    /// [`Unsendable`] if the json holds what nodes cannot keep.
    pub fn into_transaction(self, sender: &str, ts_ms: i64) -> Result<Transaction, Unsendable> {
        let transaction = Transaction::new(self.kind, &self.data, sender, ts_ms)?;
        match &self.extension {
            Some(extension) => transaction.with_member(EXTENSION, extension),
            None => Ok(transaction),
        }
    }

    /// The json that the playlist will have, if it changes.
    pub fn new_json(&self) -> Option<JsonText> {
        let json = self.data.root().member("json")?;
        Some(JsonText::of_canonical(json.as_str()))
    }

    fn configure(configure: &Configure, known: Option<JsonRef<'_>>) -> Result<Self, StreamTxError> {
        let mut members = Members::of(known);
        if members.is_ended() {
            return Err(StreamTxError::Ended);
        }
        let text = |text: &str| format!("\"{text}\"");
        members.set("live", "true".to_owned());
        if configure.storage != StorageKind::Ipfs && known.is_none() {
            members.set("storage", text(&configure.storage.to_string()));
        }
        if let Some(key) = &configure.live_key {
            members.set("pub", text(key.as_str()));
        }
        if let Some(l2) = configure.l2 {
            members.set("l2", text(l2.as_str()));
        }
        if let Some(gateway) = &configure.gateway {
            members.set("gw", text(&gateway.to_string()));
        }
        if let Some(also) = &configure.also {
            members.set("also", text(&also.to_string()));
        }
        Self::json(&configure.link, &members)
    }

    fn end(end: &End, known: Option<JsonRef<'_>>) -> Result<Self, StreamTxError> {
        let mut members = Members::of(Some(known.ok_or(StreamTxError::UnknownJson)?));
        members.set("ended", "true".to_owned());
        Self::json(&end.link, &members)
    }

    fn json(link: &Link, members: &Members) -> Result<Self, StreamTxError> {
        let json = members.to_json();
        if utf16_len(&json) > MAX_JSON_LEN {
            return Err(StreamTxError::Json);
        }
        let data = format!(r#"{{"link":"{link}","json":{json}}}"#);
        Ok(Self { kind: PLAYLIST_JSON, data: JsonText::of_canonical(data), extension: None })
    }

    fn push(push: &Push) -> Result<Self, StreamTxError> {
        let Push { link, seq, src, .. } = push;
        if seq.as_u16() > MAX_ENTRY_ID {
            return Err(StreamTxError::Sequence(seq.as_u16()));
        }
        let length = push.len.map(|len| format!(",{len}")).unwrap_or_default();
        let content = format!("{src}{length}");
        if content.len() > MAX_CONTENT_LEN {
            return Err(StreamTxError::Content(content.len()));
        }
        let data = format!(r#"{{"link":"{link}","seq":[[{seq},"{content}"]]}}"#);
        let mut extra = Members::default();
        for (quality, id) in push.renditions.iter() {
            extra.set(quality.as_str(), format!("\"{id}\""));
        }
        for (quality, id) in push.renditions.sections() {
            extra.set(quality.section_key(), format!("\"{id}\""));
        }
        if push.discontinuity {
            extra.set("d", "1".to_owned());
        }
        let extension =
            (!extra.0.is_empty()).then(|| format!(r#"{{"{seq}":{}}}"#, extra.to_json()));
        // Qualities are array indices, which JavaScript puts in order.
        let extension = extension.and_then(|text| JsonText::of(&text).ok());
        Ok(Self { kind: PLAYLIST_PUSH, data: JsonText::of_canonical(data), extension })
    }
}

/// Why an operation cannot be put into a transaction of Avalon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamTxError {
    /// Content id and length do not fit into an entry.
    #[error("an entry of {0} characters, at most {MAX_CONTENT_LEN} allowed")]
    Content(usize),
    /// The stream has ended, which the chain itself does not enforce.
    #[error("the stream has ended")]
    Ended,
    /// The playlist's json would be too long.
    #[error("the json of the playlist is too long, at most {MAX_JSON_LEN} characters allowed")]
    Json,
    /// The link is too short for Avalon.
    #[error("link of {0} characters, at least {MIN_LINK_LEN} needed on Avalon")]
    LinkLen(usize),
    /// The sequence number is beyond what a playlist can have: a new link must be begun.
    #[error("sequence number {0}, at most {MAX_ENTRY_ID} fit into a playlist; begin a new link")]
    Sequence(u16),
    /// The playlist's json must be known, or what it says would be lost.
    #[error("the json of the playlist is not known, so it cannot be replaced without loss")]
    UnknownJson,
    /// The json holds what nodes cannot keep.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
}

/// The operations that a transaction of a block stands for, in the order of their sequence numbers: none if it is none
/// of ours or breaks a rule of the chain, and refused ones if it breaks a rule of streams.
///
/// Playlists are not only streams: a json that says neither `"live":true` nor `"ended":true` is no operation.
/// Of a json with both, a configure comes before the end. Removed entries (type 27) stay: what was attested was attested.
///
/// The hash is checked, signatures are not. Source: `spec/avalon.md`, section 7.2.
pub fn stream_ops(transaction: &Parts<'_>) -> Vec<Result<SignedOp, RefusedOp>> {
    read_ops(transaction, None).unwrap_or_default()
}

/// The same for who has computed the hash already, to check signatures: `hash` is
/// [`computed_hash`](Parts::computed_hash).
pub fn stream_ops_of(transaction: &Parts<'_>, hash: &Hash) -> Vec<Result<SignedOp, RefusedOp>> {
    read_ops(transaction, Some(hash)).unwrap_or_default()
}

/// The archives of the chat that a playlist's json announces.
pub fn chat_archives(json: JsonRef<'_>) -> Vec<ContentId> {
    let listed = json.member(CHAT_ARCHIVES).into_iter().flat_map(JsonRef::items);
    listed.filter_map(|id| id.to_text()?.parse().ok()).take(MAX_CHAT_ARCHIVES).collect()
}

impl Playlist {
    /// The stream's operations that would lead to this playlist: how a stream is read from a node's answer instead of
    /// its blocks. What the node does not tell, such as the json on most nodes, is missing.
    pub fn stream_ops(&self, sender: &AccountName, link: &str) -> Vec<Result<SignedOp, RefusedOp>> {
        let link = quoted(link);
        let mut ops = json_ops(sender, &link, self.json());
        let end = ops.iter().position(|op| matches!(op, Ok(SignedOp { op: Op::End(_), .. })));
        let at = end.unwrap_or(ops.len());
        let pushes = self.entries().map(|(id, content)| push_op(sender, &link, id, content, None));
        ops.splice(at..at, pushes.collect::<Vec<_>>());
        ops
    }
}

fn read_ops(
    transaction: &Parts<'_>,
    hash: Option<&Hash>,
) -> Option<Vec<Result<SignedOp, RefusedOp>>> {
    let kind = transaction.kind.filter(|kind| (25..=26).contains(kind))?;
    let data = transaction.data?;
    let account: AccountName = transaction.sender?.to_text()?.parse().ok()?;
    let given = transaction.hash?.quoted()?;
    let hash = hash.copied().unwrap_or_else(|| transaction.computed_hash());
    if !hash.is_written(given) {
        return None;
    }
    let link = data.member("link")?.as_str();
    match PlaylistTx::read(kind, data)?.ok()? {
        PlaylistTx::Json { json, .. } => Some(json_ops(&account, link, json)),
        PlaylistTx::Push { entries, .. } => {
            // Of equal ids the last counts.
            let entries: BTreeMap<_, _> = entries.into_iter().collect();
            let extension = transaction.member(EXTENSION);
            let op = |(id, content): (u16, Cow<'_, str>)| {
                let extra = extension.and_then(|all| all.member(&id.to_string()));
                push_op(&account, link, id, &content, extra)
            };
            Some(entries.into_iter().map(op).collect())
        }
        PlaylistTx::Pop { .. } => None,
    }
}

/// `link` is the JSON text of one.
fn json_ops(
    account: &AccountName,
    link: &str,
    json: JsonRef<'_>,
) -> Vec<Result<SignedOp, RefusedOp>> {
    let says = |name| json.member(name).is_some_and(|value| value.as_str() == "true");
    let mut ops = Vec::new();
    if says("live") {
        let mut payload = format!(r#"{{"op":2,"link":{link}"#);
        for name in ["storage", "l2", "pub", "gw", "also"] {
            append(&mut payload, name, json.member(name));
        }
        ops.push(op(account, payload));
    }
    if says("ended") {
        ops.push(op(account, format!(r#"{{"op":1,"link":{link}"#)));
    }
    ops
}

fn push_op(
    account: &AccountName,
    link: &str,
    id: u16,
    content: &str,
    extra: Option<JsonRef<'_>>,
) -> Result<SignedOp, RefusedOp> {
    let (src, length) = match content.split_once(',') {
        Some((src, length)) => (src, Some(length)),
        None => (content, None),
    };
    let mut payload = format!(r#"{{"op":0,"link":{link},"seq":{id},"src":{}"#, quoted(src));
    if let Some(length) = length {
        // What is no number is refused as a text that stands where a number must.
        let number = JsonText::of(length).ok().filter(|json| json.root().to_number().is_some());
        let length = if number.is_some() { length.to_owned() } else { quoted(length) };
        let _ = write!(payload, r#","len":{length}"#);
    }
    for name in EXTENSION_MEMBERS {
        append(&mut payload, name, extra.and_then(|extra| extra.member(name)));
    }
    op(account, payload)
}

/// Judges a payload by the rule that all chains share; its closing brace is still missing.
fn op(account: &AccountName, payload: String) -> Result<SignedOp, RefusedOp> {
    let read: Result<Op, OpError> = Op::from_json(&(payload + "}"));
    let account = account.clone();
    match read {
        Ok(op) => Ok(SignedOp { account, op }),
        Err(reason) => Err(RefusedOp { account: Some(account), reason }),
    }
}

fn append(payload: &mut String, name: &str, value: Option<JsonRef<'_>>) {
    if let Some(value) = value {
        // Writing to a string does not fail.
        let _ = write!(payload, r#","{name}":{}"#, value.as_str());
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

/// Both the chain and the protocol must take the link. Source: `spec/avalon.md`, section 7.1.
fn check_link(link: &Link) -> Result<(), StreamTxError> {
    let len = link.as_str().len();
    if len < MIN_LINK_LEN { Err(StreamTxError::LinkLen(len)) } else { Ok(()) }
}

/// The members of an object: keys with their quotes, values as texts.
#[derive(Default)]
struct Members(Vec<(String, String)>);

impl Members {
    fn of(json: Option<JsonRef<'_>>) -> Self {
        let members = json.into_iter().flat_map(JsonRef::members);
        Self(members.map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect())
    }

    fn set(&mut self, name: &str, value: String) {
        let key = format!("\"{name}\"");
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some(member) => member.1 = value,
            None => self.0.push((key, value)),
        }
    }

    fn is_ended(&self) -> bool {
        self.0.iter().any(|(key, value)| key == "\"ended\"" && value == "true")
    }

    fn to_json(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

#[cfg(test)]
mod tests;
