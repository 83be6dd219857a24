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
#[derive(Debug, Default, PartialEq, Eq)]
struct Fields<'a> {
    op: Option<&'a str>,
    link: Option<&'a str>,
    seq: Option<&'a str>,
    src: Option<&'a str>,
    len: Option<&'a str>,
    transcoded: [Option<&'a str>; 4],
    sections: [Option<&'a str>; 5],
    discontinuity: Option<&'a str>,
    storage: Option<&'a str>,
    l2: Option<&'a str>,
    live_key: Option<&'a str>,
    gateway: Option<&'a str>,
    also: Option<&'a str>,
}

pub(super) fn read(text: &str) -> Result<Op, OpError> {
    let fields = match Fields::of_compact(text) {
        Some(fields) => fields,
        None => Fields::of_any(text)?,
    };
    match integer(Field::Op, fields.op, 2)? {
        0 => fields.push().map(Op::Push),
        1 => Ok(Op::End(End { link: fields.link()? })),
        _ => fields.configure().map(Op::Configure),
    }
}

impl<'a> Fields<'a> {
    /// The members of any JSON object.
    fn of_any(text: &'a str) -> Result<Self, OpError> {
        let mut json = serde_json::Deserializer::from_str(text);
        json.deserialize_map(FieldsVisitor)
            .and_then(|fields| json.end().map(|()| fields))
            .map_err(|e| OpError::Json { line: e.line(), column: e.column() })
    }

    /// The same members, quickly, of an object as every writer of operations writes it: no blanks, no escapes, no values
    /// but texts and plain numbers. `None` says nothing but that this is another.
    fn of_compact(text: &'a str) -> Option<Self> {
        let mut fields = Self::default();
        let mut rest = text;
        let mut before = "{";
        loop {
            let (key, after) = plain_string(rest.strip_prefix(before)?)?;
            let value = after.strip_prefix(':')?;
            let (value, after) = plain_string(value).or_else(|| plain_number(value))?;
            let key = key.get(1..key.len() - 1).map(Key::of)?;
            if let Some(slot) = fields.slot(key) {
                *slot = Some(value);
            }
            if after == "}" {
                return Some(fields);
            }
            (rest, before) = (after, ",");
        }
    }

    /// Where the text of a field goes.
    fn slot(&mut self, key: Key) -> Option<&mut Option<&'a str>> {
        let [p240, p480, p720, p1080] = &mut self.transcoded;
        let [map, map240, map480, map720, map1080] = &mut self.sections;
        Some(match key {
            Key::Also => &mut self.also,
            Key::D => &mut self.discontinuity,
            Key::Gw => &mut self.gateway,
            Key::L2 => &mut self.l2,
            Key::Len => &mut self.len,
            Key::Link => &mut self.link,
            Key::Map => map,
            Key::Map1080 => map1080,
            Key::Map240 => map240,
            Key::Map480 => map480,
            Key::Map720 => map720,
            Key::Op => &mut self.op,
            Key::P1080 => p1080,
            Key::P240 => p240,
            Key::P480 => p480,
            Key::P720 => p720,
            Key::Pub => &mut self.live_key,
            Key::Seq => &mut self.seq,
            Key::Src => &mut self.src,
            Key::Storage => &mut self.storage,
            Key::Unknown => return None,
        })
    }

    fn push(&self) -> Result<Push, OpError> {
        let seq = integer(Field::Seq, self.seq, Seq::MAX.as_u16())?;
        let src = Field::Rendition(Quality::Src);
        let mut renditions = Renditions::default();
        for (quality, raw) in Quality::TRANSCODED.into_iter().zip(self.transcoded) {
            if let Some(raw) = given(raw) {
                renditions.insert(quality, content(Field::Rendition(quality), raw)?);
            }
        }
        let link = self.link()?;
        let src = content(src, self.src.ok_or(OpError::Missing(src))?)?;
        for (quality, raw) in Quality::ALL.into_iter().zip(self.sections) {
            // An extension of ours, as `also`: what is no section of this stream is none.
            let id = given(raw).and_then(|raw| string(Field::Map, raw).ok()?.parse().ok());
            if let Some(id) = id.filter(|id: &ContentId| id.kind() == src.kind()) {
                renditions.insert_section(quality, id);
            }
        }
        Ok(Push {
            link,
            seq: Seq::new(seq).ok_or(OpError::Missing(Field::Seq))?,
            src,
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
            // An extension of ours: others accept the operation whatever stands there, so we do, too.
            also: given(self.also)
                .and_then(|raw| string(Field::Also, raw).ok())
                .and_then(|names| names.parse().ok()),
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

/// A text without escapes, with its quotes, and what follows it.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let len = inner.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
    let (string, rest) = text.split_at_checked(len + 2)?;
    string.ends_with('"').then_some((string, rest))
}

/// A number without sign and exponent, and what follows it.
fn plain_number(text: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| text.bytes().position(|byte| !byte.is_ascii_digit());
    let whole = digits(text).filter(|len| *len == 1 || *len > 1 && !text.starts_with('0'))?;
    let len = match text.get(whole..)?.strip_prefix('.') {
        None => whole,
        Some(fraction) => whole + 1 + digits(fraction).filter(|len| *len > 0)?,
    };
    text.split_at_checked(len)
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
            let Some(slot) = fields.slot(key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *slot = Some(map.next_value::<&RawValue>()?.get());
        }
        Ok(fields)
    }
}

#[derive(Clone, Copy)]
enum Key {
    Also,
    D,
    Gw,
    L2,
    Len,
    Link,
    Map,
    Map1080,
    Map240,
    Map480,
    Map720,
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

impl Key {
    fn of(key: &str) -> Self {
        match key {
            "1080" => Self::P1080,
            "240" => Self::P240,
            "480" => Self::P480,
            "720" => Self::P720,
            "also" => Self::Also,
            "d" => Self::D,
            "gw" => Self::Gw,
            "l2" => Self::L2,
            "len" => Self::Len,
            "link" => Self::Link,
            "map" => Self::Map,
            "map1080" => Self::Map1080,
            "map240" => Self::Map240,
            "map480" => Self::Map480,
            "map720" => Self::Map720,
            "op" => Self::Op,
            "pub" => Self::Pub,
            "seq" => Self::Seq,
            "src" => Self::Src,
            "storage" => Self::Storage,
            _ => Self::Unknown,
        }
    }
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
        Ok(Key::of(key))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};
    use rstest::rstest;

    use super::*;

    const PUSH: &str = r#"{"op":0,"seq":12,"link":"stream1","src":"Qm","len":9.966666}"#;

    #[test]
    fn what_writers_write_is_compact() {
        for text in [PUSH, r#"{"op":1,"link":"é"}"#, r#"{"op":0,"240":"a","x":"y","d":1}"#] {
            assert_eq!(Fields::of_compact(text), Fields::of_any(text).ok());
            assert!(Fields::of_compact(text).is_some(), "{text}");
        }
    }

    #[rstest]
    #[case("")]
    #[case("{}")]
    #[case("{")]
    #[case(r#"{"op":1"#)]
    #[case(r#"{"op":1}}"#)]
    #[case(r#"{"op":1} "#)]
    #[case(r#"{"op":1,}"#)]
    #[case(r#"{"op" :1}"#)]
    #[case(r#"{"op":01}"#)]
    #[case(r#"{"op":1.}"#)]
    #[case(r#"{"op":.1}"#)]
    #[case(r#"{"op":-1}"#)]
    #[case(r#"{"op":1e0}"#)]
    #[case(r#"{"op":}"#)]
    #[case(r#"{"op":1"link":"a"}"#)]
    #[case(r#",{"op":1}"#)]
    #[case(r#"{,"op":1}"#)]
    #[case(r#"{"op":true}"#)]
    #[case(r#"{"op":"a\u0062"}"#)]
    #[case("{\"op\":\"a\nb\"}")]
    #[case(r#"{"o\u0070":1}"#)]
    #[case(r#"{"op":"a}"#)]
    #[case(r#"["op":1}"#)]
    fn what_is_another_is_not_compact(#[case] text: &str) {
        assert_eq!(Fields::of_compact(text), None);
    }

    proptest! {
        #[test]
        fn what_is_compact_has_the_members_of_any_json(
            members in vec((
                select(vec!["op", "seq", "link", "src", "len", "240", "1080", "map", "map480", "d", "gw", "é", ""]),
                prop_oneof![
                    "[0-9]{0,3}(\\.[0-9]{0,3})?",
                    "\"[ -~é]{0,9}\"",
                    select(vec!["null", "-1", "1e3", "[]", "{}"]).prop_map(String::from),
                ],
            ), 0..6),
            cut in proptest::option::of((any::<prop::sample::Index>(), select(br#"",:{} \0.n"#.to_vec()))),
        ) {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            let mut text = format!("{{{}}}", members.join(",")).into_bytes();
            if let Some((at, byte)) = cut {
                let at = at.index(text.len());
                text[at] = byte;
            }
            if let Ok(text) = String::from_utf8(text)
                && let Some(fields) = Fields::of_compact(&text)
            {
                prop_assert_eq!(Ok(fields), Fields::of_any(&text), "{}", text);
            }
        }
    }
}
