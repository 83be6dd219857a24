//! What streamers sign onto a chain: [`Op`], its strict reading and its writing.
//!
//! An operation is accepted whole or refused whole, with the field and the reason. Nothing is coerced: the original
//! indexer read `"12abc"` as 12 and let any account stop it with one odd number. Source: `spec/indexer.md`, section 2.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{
    content::{ContentId, StorageKind},
    gateway::GatewayUrl,
    quality::{Quality, Renditions},
    segment::{SegmentDuration, SegmentDurationError},
    stream_id::Link,
    text::{Excerpt, serde_as_text},
    twins::Twins,
};

mod envelope;
mod error;
mod payload;

pub use envelope::{DEFAULT_CUSTOM_JSON_ID, SignedOp};
pub use error::{Field, OpError};

/// Sequence number of a push within its stream: 0 to 17280.
/// Source: `spec/indexer.md`, section 1, "max seq".
///
/// ```
/// use alive_core::Seq;
/// assert_eq!(Seq::new(17_280), Some(Seq::MAX));
/// assert_eq!(Seq::new(17_281), None);
/// assert_eq!(Seq::MAX.next(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct Seq(u16);

impl TryFrom<u64> for Seq {
    type Error = SeqError;

    fn try_from(number: u64) -> Result<Self, SeqError> {
        Self::new(number).ok_or(SeqError(number))
    }
}

impl From<Seq> for u16 {
    fn from(seq: Seq) -> Self {
        seq.0
    }
}

/// The number is beyond [`Seq::MAX`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sequence number {0}, at most {max} allowed", max = Seq::MAX)]
pub struct SeqError(u64);

impl Seq {
    /// The first push of a stream.
    pub const ZERO: Self = Self(0);
    /// The last push that a stream may have.
    pub const MAX: Self = Self(17_280);

    /// The number as a sequence number, `None` beyond [`MAX`](Self::MAX).
    pub fn new(number: u64) -> Option<Self> {
        u16::try_from(number).ok().map(Self).filter(|&seq| seq <= Self::MAX)
    }

    /// The number.
    pub fn as_u16(self) -> u16 {
        self.0
    }

    /// The number as an index.
    pub fn as_index(self) -> usize {
        self.0.into()
    }

    /// The number after this one, `None` at the end of the range.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::new(u64::from(self.0) + 1)
    }
}

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The peer-to-peer layer that carries segments before the chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LiveLayer {
    /// AliveDB, over GunDB.
    GunDb,
}

impl LiveLayer {
    /// The name used in operations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GunDb => "gundb",
        }
    }
}

/// Public key of the streamer's user on the live layer: 1 to 100 characters of `[A-Za-z0-9_.-]`.
/// Source: `spec/indexer.md`, section 2, "pub".
///
/// ```
/// use alive_core::LiveKey;
/// assert!("T-s_X6Mg.98-Q_o5".parse::<LiveKey>().is_ok());
/// assert!("a key&more".parse::<LiveKey>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LiveKey(Box<str>);
serde_as_text!(LiveKey);

impl LiveKey {
    /// Longest key, in bytes.
    pub const MAX_LEN: usize = 100;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for LiveKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for LiveKey {
    type Err = LiveKeyError;

    fn from_str(s: &str) -> Result<Self, LiveKeyError> {
        let fits = (1..=Self::MAX_LEN).contains(&s.len());
        let plain = s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if fits && plain { Ok(Self(s.into())) } else { Err(LiveKeyError(Excerpt::of(s))) }
    }
}

/// The text is no [`LiveKey`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no live key of 1 to 100 letters, digits, dots, dashes and underscores")]
pub struct LiveKeyError(Excerpt);

/// One operation on a stream.
///
/// ```
/// use alive_core::Op;
/// let op = Op::from_json(r#"{"op":1,"link":"stream1"}"#)?;
/// assert_eq!(op.link().as_str(), "stream1");
/// assert_eq!(op.to_json(), r#"{"op":1,"link":"stream1"}"#);
/// # Ok::<(), alive_core::OpError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol numbers exactly these three")]
pub enum Op {
    /// Adds a chunk or a single segment. Code 0.
    Push(Push),
    /// Ends the stream. Code 1.
    End(End),
    /// Creates the stream or changes its settings. Code 2.
    Configure(Configure),
}

/// Adds content to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The stream.
    pub link: Link,
    /// Its place in the stream.
    pub seq: Seq,
    /// A chunk, or a segment when there is a length.
    pub src: ContentId,
    /// The segment's length; absent for a chunk.
    pub len: Option<SegmentDuration>,
    /// The transcoded renditions of the same content, and the initialisation sections of all of it.
    pub renditions: Renditions,
    /// Whether a discontinuity stands before this segment (`"d":1`).
    pub discontinuity: bool,
}

/// Ends a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The stream.
    pub link: Link,
}

/// Creates a stream, or changes its settings: what is given overwrites, what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configure {
    /// The stream.
    pub link: Link,
    /// Where its content lives; counts only when the stream is created.
    pub storage: StorageKind,
    /// The live layer to listen on.
    pub l2: Option<LiveLayer>,
    /// The streamer's key on the live layer.
    pub live_key: Option<LiveKey>,
    /// The gateway that the streamer recommends.
    pub gateway: Option<GatewayUrl>,
    /// The names of the stream on other networks; empty takes earlier ones back.
    pub also: Option<Twins>,
}

impl Configure {
    /// Settings of a stream on IPFS without a live layer.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            storage: StorageKind::Ipfs,
            l2: None,
            live_key: None,
            gateway: None,
            also: None,
        }
    }
}

impl Op {
    /// Reads the payload of an operation, strictly.
    ///
    /// # Errors
    /// The first field that breaks a rule, and why.
    pub fn from_json(text: &str) -> Result<Self, OpError> {
        payload::read(text)
    }

    /// The stream it is about.
    pub fn link(&self) -> &Link {
        match self {
            Self::Push(Push { link, .. })
            | Self::End(End { link })
            | Self::Configure(Configure { link, .. }) => link,
        }
    }

    /// The payload as compact JSON, the form to sign and broadcast.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(160);
        self.write_json(&mut out);
        out
    }

    /// No value of an operation needs escaping in JSON: their types admit neither quotes nor control characters.
    fn write_json(&self, out: &mut String) {
        let written = match self {
            Self::Push(push) => push.write_json(out),
            Self::End(End { link }) => write!(out, r#"{{"op":1,"link":"{link}""#),
            Self::Configure(configure) => configure.write_json(out),
        };
        // Writing to a string does not fail.
        debug_assert!(written.is_ok());
        out.push('}');
    }
}

impl Push {
    fn write_json(&self, out: &mut String) -> std::fmt::Result {
        let Self { link, seq, src, .. } = self;
        write!(out, r#"{{"op":0,"seq":{seq},"link":"{link}","src":"{src}""#)?;
        if let Some(len) = self.len {
            write!(out, r#","len":{len}"#)?;
        }
        for (quality, id) in self.renditions.iter() {
            write!(out, r#","{quality}":"{id}""#)?;
        }
        for (quality, id) in self.renditions.sections() {
            write!(out, r#","{}":"{id}""#, quality.section_key())?;
        }
        if self.discontinuity {
            out.push_str(r#","d":1"#);
        }
        Ok(())
    }
}

impl Configure {
    fn write_json(&self, out: &mut String) -> std::fmt::Result {
        write!(out, r#"{{"op":2,"link":"{}""#, self.link)?;
        if self.storage != StorageKind::Ipfs {
            write!(out, r#","storage":"{}""#, self.storage)?;
        }
        if let Some(l2) = self.l2 {
            write!(out, r#","l2":"{}""#, l2.as_str())?;
        }
        if let Some(key) = &self.live_key {
            write!(out, r#","pub":"{key}""#)?;
        }
        if let Some(gateway) = &self.gateway {
            write!(out, r#","gw":"{gateway}""#)?;
        }
        if let Some(also) = &self.also {
            write!(out, r#","also":"{also}""#)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
