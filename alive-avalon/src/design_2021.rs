//! Streams of the design of 2021, which never ran on the public chain: [`Design2021`].
//!
//! | type | data | does |
//! |---|---|---|
//! | 22 | `{link,pub}` | creates the stream, or replaces its key |
//! | 20 | `{link,hash:{src,"240"?,…}}` | creates the stream, or appends a chunk of each quality |
//! | 20, February 2021 | `{link,len:[…],src:[…],"240":[…]?,…}` | the same with up to 60 segments and their seconds |
//! | 21 | `{link}` | ends it |
//!
//! On the public chain these numbers are about keys and thresholds, so nothing in this crate reads them as streams: who
//! has blocks of a chain that ran that branch hands them to this. Source: `spec/avalon.md`, section 10.

use std::{collections::BTreeMap, fmt::Write as _};

use alive_core::{AccountName, Link, Op, OpError, Quality};

use crate::{json_ref::JsonRef, transaction::Parts};

const PUSH: i64 = 20;
const END: i64 = 21;
const CONFIGURE: i64 = 22;
/// Characters of a key on the live layer.
const KEY_LEN: usize = 87;
/// Characters of a content id.
const CONTENT_LEN: std::ops::RangeInclusive<usize> = 46..=64;
/// Chunks after which a stream ends by itself.
const MAX_CHUNKS: u64 = 10_000;
/// Segments of one transaction of February 2021, and of a stream of them.
const MAX_SEGMENTS: (usize, u64) = (60, 17_280);

/// The state that the design of 2021 kept of streams: it numbers their pushes, which the transactions do not.
///
/// ```
/// use alive_avalon::{Design2021, JsonText, Transaction, PrivateKey};
/// use alive_core::Op;
/// # let key = PrivateKey::from_bytes(&[1; 32])?;
/// let cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
/// let data = JsonText::of(&format!(r#"{{"link":"show","hash":{{"src":"{cid}"}}}}"#))?;
/// let signed = Transaction::new(20, &data, "alice", 1_600_000_000_000)?.sign(&[&key]);
/// let mut streams = Design2021::default();
/// let ops = streams.apply(&signed.parts())?;
/// assert!(matches!(&ops[..], [Op::Configure(_), Op::Push(push)] if push.seq.as_u16() == 0));
/// assert!(matches!(&streams.apply(&signed.parts())?[..], [Op::Push(push)] if push.seq.as_u16() == 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Design2021(BTreeMap<(AccountName, Link), State>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    pushes: u64,
    /// Those of its first push; later ones must have the same.
    qualities: Option<Vec<Quality>>,
    ended: bool,
}

impl Design2021 {
    /// The operations that a transaction of a block stands for: none for other types. Refused ones change nothing.
    ///
    /// # Errors
    /// [`Refusal2021`] says which rule it breaks.
    pub fn apply(&mut self, transaction: &Parts<'_>) -> Result<Vec<Op>, Refusal2021> {
        let kind = transaction.kind.filter(|kind| (PUSH..=CONFIGURE).contains(kind));
        let (Some(kind), Some(data)) = (kind, transaction.data) else { return Ok(Vec::new()) };
        let sender = transaction.sender.and_then(JsonRef::to_text);
        let sender: AccountName =
            sender.and_then(|name| name.parse().ok()).ok_or(Refusal2021::Data("sender"))?;
        let link = data.member("link").and_then(JsonRef::to_text);
        let link: Link =
            link.and_then(|link| link.parse().ok()).ok_or(Refusal2021::Data("link"))?;
        let key = (sender, link);
        let known = self.0.get(&key);
        if known.is_some_and(|state| state.ended) {
            return Err(Refusal2021::Ended);
        }
        let is_new = known.is_none();
        let mut state = known.cloned().unwrap_or_default();
        let ops = match kind {
            CONFIGURE => vec![configure(&key.1, data)?],
            END if is_new => return Err(Refusal2021::Missing),
            END => vec![end(&key.1)?],
            _ => {
                let mut ops = state.push(&key.1, data)?;
                if is_new {
                    ops.insert(0, Op::from_json(&format!(r#"{{"op":2,"link":"{}"}}"#, key.1))?);
                }
                ops
            }
        };
        state.ended = ops.iter().any(|op| matches!(op, Op::End(_)));
        self.0.insert(key, state);
        Ok(ops)
    }
}

impl State {
    fn push(&mut self, link: &Link, data: JsonRef<'_>) -> Result<Vec<Op>, Refusal2021> {
        let (contents, lengths, limit) = match data.member("hash") {
            Some(hash) => (hash, None, MAX_CHUNKS),
            None => {
                let lengths = data.member("len").filter(|list| list.is_array());
                (data, Some(lengths.ok_or(Refusal2021::Data("hash"))?), MAX_SEGMENTS.1)
            }
        };
        let all = [Quality::Src].into_iter().chain(Quality::TRANSCODED);
        let has = |quality: &Quality| contents.member(quality.as_str()).is_some();
        let qualities: Vec<_> = all.filter(has).collect();
        let same = self.qualities.as_ref().is_none_or(|known| *known == qualities);
        if qualities.first() != Some(&Quality::Src) || !same {
            return Err(Refusal2021::Qualities);
        }
        let count = lengths.map_or(1, |lengths| lengths.items().take(MAX_SEGMENTS.0 + 1).count());
        let counts = |quality: &Quality| {
            let value = contents.member(quality.as_str());
            value.is_some_and(|value| match lengths {
                Some(_) => value.is_array() && value.items().take(count + 1).count() == count,
                None => value.is_string(),
            })
        };
        let room = self.pushes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX)) <= limit;
        if count == 0 || count > MAX_SEGMENTS.0 || !qualities.iter().all(counts) || !room {
            return Err(Refusal2021::Count);
        }
        let mut ops = Vec::new();
        for at in 0..count {
            let mut payload =
                format!(r#"{{"op":0,"link":"{link}","seq":{}"#, self.pushes + ops.len() as u64);
            for quality in &qualities {
                let value = contents.member(quality.as_str());
                let value = match lengths {
                    Some(_) => value.and_then(|list| list.items().nth(at)),
                    None => value,
                };
                let fits = |value: &JsonRef<'_>| {
                    value.string_utf16_len().is_some_and(|len| CONTENT_LEN.contains(&len))
                };
                let value = value.filter(fits).ok_or(Refusal2021::Data("hash"))?;
                // Writing to a string does not fail.
                let _ = write!(payload, r#","{quality}":{}"#, value.as_str());
            }
            if let Some(length) = lengths.and_then(|lengths| lengths.items().nth(at)) {
                let _ = write!(payload, r#","len":{}"#, length.as_str());
            }
            ops.push(Op::from_json(&(payload + "}"))?);
        }
        self.pushes += ops.len() as u64;
        self.qualities = Some(qualities);
        if lengths.is_none() && self.pushes == MAX_CHUNKS {
            ops.push(end(link)?);
        }
        Ok(ops)
    }
}

fn configure(link: &Link, data: JsonRef<'_>) -> Result<Op, Refusal2021> {
    let key = data.member("pub").filter(|key| key.string_utf16_len() == Some(KEY_LEN));
    let key = key.ok_or(Refusal2021::Data("pub"))?;
    Ok(Op::from_json(&format!(r#"{{"op":2,"link":"{link}","pub":{}}}"#, key.as_str()))?)
}

fn end(link: &Link) -> Result<Op, Refusal2021> {
    Ok(Op::from_json(&format!(r#"{{"op":1,"link":"{link}"}}"#))?)
}

/// Why a transaction of the design of 2021 does nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal2021 {
    /// The lists have not the same length, too many segments are pushed, or the stream is full.
    #[error("the lists have different lengths, or there is no room for as many segments")]
    Count,
    /// A member is missing or not of its kind.
    #[error("{0} is missing or not of its kind")]
    Data(&'static str),
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
    /// There is no such stream.
    #[error("no such stream")]
    Missing,
    /// It breaks a rule that streams have today.
    #[error(transparent)]
    Op(#[from] OpError),
    /// The source is missing, or other qualities are pushed than before.
    #[error("a push has the source and the same qualities as the ones before")]
    Qualities,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{JsonText, PrivateKey, Transaction, stream_ops};

    const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

    /// What a transaction of alice does, `CID` standing for a content id.
    fn apply(streams: &mut Design2021, kind: u8, data: &str) -> Result<Vec<String>, Refusal2021> {
        let data = JsonText::of(&data.replace("CID", CID)).unwrap();
        let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
        let transaction = Transaction::new(kind, &data, "alice", 1_600_000_000_000).unwrap();
        let signed = transaction.sign(&[&key]);
        assert_eq!(stream_ops(&signed.parts()), [], "on the public chain it is no stream");
        let ops = streams.apply(&signed.parts())?;
        Ok(ops.iter().map(|op| op.to_json().replace(CID, "CID")).collect())
    }

    #[test]
    fn a_stream_of_chunks_is_created_appended_to_and_ended() {
        let mut streams = Design2021::default();
        let chunk = r#"{"link":"show","hash":{"src":"CID","480":"CID"}}"#;
        let push = |seq| format!(r#"{{"op":0,"seq":{seq},"link":"show","src":"CID","480":"CID"}}"#);
        let created = r#"{"op":2,"link":"show"}"#.to_owned();
        assert_eq!(apply(&mut streams, 20, chunk), Ok(vec![created, push(0)]));
        assert_eq!(apply(&mut streams, 20, chunk), Ok(vec![push(1)]));
        let key = "k".repeat(87);
        let configure = format!(r#"{{"link":"show","pub":"{key}"}}"#);
        let configured = format!(r#"{{"op":2,"link":"show","pub":"{key}"}}"#);
        assert_eq!(apply(&mut streams, 22, &configure), Ok(vec![configured]));
        let fewer = r#"{"link":"show","hash":{"src":"CID"}}"#;
        assert_eq!(apply(&mut streams, 20, fewer), Err(Refusal2021::Qualities));
        assert_eq!(apply(&mut streams, 20, chunk), Ok(vec![push(2)]), "refused changes nothing");
        let ended = r#"{"op":1,"link":"show"}"#.to_owned();
        assert_eq!(apply(&mut streams, 21, r#"{"link":"show"}"#), Ok(vec![ended]));
        for (kind, data) in [(20, chunk), (21, r#"{"link":"show"}"#), (22, &*configure)] {
            assert_eq!(apply(&mut streams, kind, data), Err(Refusal2021::Ended));
        }
    }

    #[test]
    fn segments_of_february_come_with_their_seconds() {
        let mut streams = Design2021::default();
        let data = r#"{"link":"show","len":[10,9.5],"src":["CID","CID"],"720":["CID","CID"]}"#;
        let ops = apply(&mut streams, 20, data).unwrap();
        assert_eq!(ops[2], r#"{"op":0,"seq":1,"link":"show","src":"CID","len":9.5,"720":"CID"}"#);
        assert_eq!(apply(&mut streams, 20, data).unwrap().len(), 2);
    }

    #[test]
    fn a_stream_of_chunks_ends_by_itself_when_it_is_full() {
        let mut streams = Design2021::default();
        let chunk = r#"{"link":"show","hash":{"src":"CID"}}"#;
        apply(&mut streams, 20, chunk).unwrap();
        streams.0.values_mut().next().unwrap().pushes = MAX_CHUNKS - 1;
        let ops = apply(&mut streams, 20, chunk).unwrap();
        assert_eq!(ops.last().unwrap(), r#"{"op":1,"link":"show"}"#);
        assert_eq!(apply(&mut streams, 20, chunk), Err(Refusal2021::Ended));
    }

    #[rstest]
    #[case(21, r#"{"link":"show"}"#)]
    #[case(22, r#"{"link":"show","pub":"short"}"#)]
    #[case(22, r#"{"pub":"x"}"#)]
    #[case(20, r#"{"link":"show"}"#)]
    #[case(20, r#"{"link":"a b","hash":{"src":"CID"}}"#)]
    #[case(20, r#"{"link":"show","hash":{"480":"CID"}}"#)]
    #[case(20, r#"{"link":"show","hash":{"src":"short"}}"#)]
    #[case(20, r#"{"link":"show","hash":{"src":["CID"]}}"#)]
    #[case(20, r#"{"link":"show","len":[10],"src":["CID","CID"]}"#)]
    #[case(20, r#"{"link":"show","len":[],"src":[]}"#)]
    #[case(20, r#"{"link":"show","len":["10"],"src":["CID"]}"#)]
    #[case(20, r#"{"link":"show","len":[10],"src":"CID"}"#)]
    fn what_breaks_a_rule_does_nothing(#[case] kind: u8, #[case] data: &str) {
        let mut streams = Design2021::default();
        assert!(apply(&mut streams, kind, data).is_err());
        assert!(streams.0.is_empty());
    }

    #[test]
    fn there_is_an_end_to_segments() {
        let list = |count: usize, text: &str| vec![text; count].join(",");
        let data = |count| {
            let (lens, cids) = (list(count, "10"), list(count, "\"CID\""));
            format!(r#"{{"link":"show","len":[{lens}],"src":[{cids}]}}"#)
        };
        let mut streams = Design2021::default();
        assert_eq!(apply(&mut streams, 20, &data(60)).unwrap().len(), 61);
        assert_eq!(apply(&mut streams, 20, &data(61)), Err(Refusal2021::Count));
        streams.0.values_mut().next().unwrap().pushes = MAX_SEGMENTS.1 - 59;
        assert_eq!(apply(&mut streams, 20, &data(60)), Err(Refusal2021::Count));
        assert_eq!(apply(&mut streams, 20, &data(59)).unwrap().len(), 59);
    }

    #[rstest]
    #[case(19)]
    #[case(23)]
    #[case(25)]
    fn other_types_do_nothing(#[case] kind: u8) {
        let mut streams = Design2021::default();
        let data = JsonText::of(r#"{"link":"show","hash":{}}"#).unwrap();
        let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
        let transaction = Transaction::new(kind, &data, "alice", 1).unwrap();
        assert_eq!(streams.apply(&transaction.sign(&[&key]).parts()), Ok(Vec::new()));
    }
}
