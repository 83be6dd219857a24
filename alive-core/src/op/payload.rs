//! The payload of an operation, from JSON text to an [`Op`].

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::number::JsonNumber;

use super::{
    Configure, ContentId, End, Excerpt, Field, Link, LiveLayer, Op, OpError, Push, Quality,
    Renditions, SegmentDuration, SegmentDurationError, Seq, StorageKind,
};

/// The raw JSON text of every field that some operation uses. Of equal keys the last counts.
#[derive(Default)]
struct Fields<'a> {
    op: Option<&'a str>,
    link: Option<&'a str>,
    seq: Option<&'a str>,
    src: Option<&'a str>,
    len: Option<&'a str>,
    transcoded: [Option<&'a str>; 4],
    discontinuity: Option<&'a str>,
    storage: Option<&'a str>,
    l2: Option<&'a str>,
    live_key: Option<&'a str>,
    gateway: Option<&'a str>,
}

pub(super) fn read(text: &str) -> Result<Op, OpError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = json
        .deserialize_map(FieldsVisitor)
        .and_then(|fields| json.end().map(|()| fields))
        .map_err(|e| OpError::Json { line: e.line(), column: e.column() })?;
    match integer(Field::Op, fields.op, 2)? {
        0 => fields.push().map(Op::Push),
        1 => Ok(Op::End(End { link: fields.link()? })),
        _ => fields.configure().map(Op::Configure),
    }
}

impl Fields<'_> {
    fn push(&self) -> Result<Push, OpError> {
        let seq = integer(Field::Seq, self.seq, Seq::MAX.as_u16())?;
        let src = Field::Rendition(Quality::Src);
        let mut renditions = Renditions::default();
        for (quality, raw) in Quality::TRANSCODED.into_iter().zip(self.transcoded) {
            if let Some(raw) = given(raw) {
                renditions.insert(quality, content(Field::Rendition(quality), raw)?);
            }
        }
        Ok(Push {
            link: self.link()?,
            seq: Seq::new(seq).ok_or(OpError::Missing(Field::Seq))?,
            src: content(src, self.src.ok_or(OpError::Missing(src))?)?,
            len: given(self.len).map(length).transpose()?,
            renditions,
            discontinuity: self.discontinuity.and_then(unsigned) == Some(1),
        })
    }

    fn configure(&self) -> Result<Configure, OpError> {
        let storage = given(self.storage).map(storage).transpose()?;
        let l2 = given(self.l2).map(|raw| string(Field::L2, raw)).transpose()?;
        let key = given(self.live_key).map(|raw| string(Field::Pub, raw)).transpose()?;
        let gateway = given(self.gateway).map(|raw| string(Field::Gw, raw)).transpose()?;
        Ok(Configure {
            link: self.link()?,
            storage: storage.unwrap_or_default(),
            // An unknown layer is no reason to refuse: what is on the chain stays usable.
            l2: l2.filter(|name| folded(name) == "gundb").map(|_| LiveLayer::GunDb),
            live_key: key.map(|key| key.parse()).transpose().map_err(OpError::LiveKey)?,
            gateway: gateway.map(|url| url.parse()).transpose().map_err(OpError::Gateway)?,
        })
    }

    fn link(&self) -> Result<Link, OpError> {
        let raw = self.link.ok_or(OpError::Missing(Field::Link))?;
        string(Field::Link, raw)?.parse().map_err(OpError::Link)
    }
}

/// An optional field: absent and null mean the same.
fn given(raw: Option<&str>) -> Option<&str> {
    raw.filter(|&raw| raw != "null")
}

fn integer(field: Field, raw: Option<&str>, max: u16) -> Result<u64, OpError> {
    let raw = raw.ok_or(OpError::Missing(field))?;
    unsigned(raw).filter(|&value| value <= max.into()).ok_or_else(|| OpError::Number {
        field,
        value: Excerpt::of(raw),
        max,
    })
}

fn unsigned(raw: &str) -> Option<u64> {
    match raw.parse::<u16>() {
        // The usual case. A sign in front of it is no JSON.
        Ok(number) => Some(number.into()),
        Err(_) => JsonNumber::parse(raw)?.to_unsigned(),
    }
}

fn string(field: Field, raw: &str) -> Result<Cow<'_, str>, OpError> {
    let plain = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    // What is JSON and has no escapes stands for itself.
    if let Some(plain) = plain.filter(|plain| !plain.contains('\\')) {
        return Ok(Cow::Borrowed(plain));
    }
    serde_json::from_str(raw).map(Cow::Owned).map_err(|_| OpError::Type {
        field,
        value: Excerpt::of(raw),
        want: "string",
    })
}

fn content(field: Field, raw: &str) -> Result<ContentId, OpError> {
    string(field, raw)?.parse().map_err(|reason| OpError::Content { field, reason })
}

fn length(raw: &str) -> Result<SegmentDuration, OpError> {
    SegmentDuration::from_json_number(raw, 6).map_err(|why| match why {
        SegmentDurationError::Form(value) => {
            OpError::Type { field: Field::Len, value, want: "number of seconds" }
        }
        range @ SegmentDurationError::Range => OpError::Len(range),
    })
}

fn storage(raw: &str) -> Result<StorageKind, OpError> {
    let name = string(Field::Storage, raw)?;
    match folded(&name).as_str() {
        "ipfs" => Ok(StorageKind::Ipfs),
        "skynet" => Ok(StorageKind::Skynet),
        _ => Err(OpError::Storage(Excerpt::of(&name))),
    }
}

/// Trimmed and lower-cased, ASCII only. Source: `spec/indexer.md`, section 2.
fn folded(name: &str) -> String {
    let blank = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    name.trim_matches(blank).to_ascii_lowercase()
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let [p240, p480, p720, p1080] = &mut fields.transcoded;
            let slot = match key {
                Key::D => &mut fields.discontinuity,
                Key::Gw => &mut fields.gateway,
                Key::L2 => &mut fields.l2,
                Key::Len => &mut fields.len,
                Key::Link => &mut fields.link,
                Key::Op => &mut fields.op,
                Key::P1080 => p1080,
                Key::P240 => p240,
                Key::P480 => p480,
                Key::P720 => p720,
                Key::Pub => &mut fields.live_key,
                Key::Seq => &mut fields.seq,
                Key::Src => &mut fields.src,
                Key::Storage => &mut fields.storage,
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *slot = Some(map.next_value::<&RawValue>()?.get());
        }
        Ok(fields)
    }
}

enum Key {
    D,
    Gw,
    L2,
    Len,
    Link,
    Op,
    P1080,
    P240,
    P480,
    P720,
    Pub,
    Seq,
    Src,
    Storage,
    Unknown,
}

/// Reads a key without copying it.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Key, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: serde::de::Error>(self, key: &[u8]) -> Result<Key, E> {
        std::str::from_utf8(key).map_err(E::custom).and_then(|key| self.visit_str(key))
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "1080" => Key::P1080,
            "240" => Key::P240,
            "480" => Key::P480,
            "720" => Key::P720,
            "d" => Key::D,
            "gw" => Key::Gw,
            "l2" => Key::L2,
            "len" => Key::Len,
            "link" => Key::Link,
            "op" => Key::Op,
            "pub" => Key::Pub,
            "seq" => Key::Seq,
            "src" => Key::Src,
            "storage" => Key::Storage,
            _ => Key::Unknown,
        })
    }
}
