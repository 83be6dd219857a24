//! What a chain may name as content: [`ContentId`], a CID or a Skylink in the form the protocol accepts.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::LazyLock,
};

use cid::{Cid, Version};
use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use serde::{Deserialize, Serialize};

use crate::text::{Excerpt, serde_as_text};

/// The codec of `dag-pb` nodes in CIDs.
pub const CODEC_DAG_PB: u64 = 0x70;
/// The codec of raw blocks in CIDs.
pub const CODEC_RAW: u64 = 0x55;
/// The code of SHA2-256 in multihashes.
pub const HASH_SHA2_256: u64 = 0x12;
const HASH_IDENTITY: u64 = 0x00;

/// Where content of a stream lives: decides which kind of [`ContentId`] its operations may carry.
/// Source: `spec/indexer.md`, section 2, "Content ids".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StorageKind {
    /// IPFS, addressed by CID.
    #[default]
    Ipfs,
    /// Skynet, addressed by Skylink.
    Skynet,
}

impl StorageKind {
    /// The name used in operations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipfs => "ipfs",
            Self::Skynet => "skynet",
        }
    }
}

impl fmt::Display for StorageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Id of content as operations, chunks and the live cache name it: a CID or a version 1 Skylink.
///
/// Accepted are a `CIDv0` (46 characters, `Qm…`), a `CIDv1` in lower-case unpadded base32 (`b…`) or base58btc (`z…`) of
/// at most 64 characters whose multihash is not the identity and has a digest of at least 20 bytes, and a Skylink of
/// 46 base64url characters. Only the one text that encoding the bytes again would give is accepted.
/// Source: `spec/indexer.md`, section 2, "Content ids" and "CID acceptance".
///
/// The text is held inline, so an id is `Copy` and costs 65 bytes; two ids are equal when their texts are. See
/// [`canonical`](Self::canonical) for comparing content.
///
/// ```
/// use alive_core::{ContentId, StorageKind};
/// let id: ContentId = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// assert_eq!(id.kind(), StorageKind::Ipfs);
/// assert!("k2k4r8jl0yz8qjgqbmc2cdu5hkqek5rj6flgnlkyywynci20j0iuyfuj".parse::<ContentId>().is_err());
/// # Ok::<(), alive_core::ContentIdError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ContentId {
    len: u8,
    kind: StorageKind,
    text: [u8; Self::MAX_LEN],
}
serde_as_text!(ContentId);

impl ContentId {
    /// Longest text of an id, in bytes. Source: `spec/indexer.md`, section 2.
    pub const MAX_LEN: usize = 64;
    /// Length of a `CIDv0` and of a Skylink, in characters.
    const SHORT_LEN: usize = 46;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The id's text as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Which storage it addresses.
    pub fn kind(&self) -> StorageKind {
        self.kind
    }

    /// The CID that it is, or `None` for a Skylink.
    pub fn to_cid(&self) -> Option<Cid> {
        match self.kind {
            StorageKind::Ipfs => parse_cid(self.as_str()),
            StorageKind::Skynet => None,
        }
    }

    /// The raw 34 bytes of the Skylink that it is, or `None` for a CID.
    pub fn to_skylink_bytes(&self) -> Option<[u8; 34]> {
        match self.kind {
            StorageKind::Ipfs => None,
            StorageKind::Skynet => parse_skylink(self.as_str()),
        }
    }

    /// The id of a CID in its canonical text: `Qm…` for version 0, base32 for version 1.
    ///
    /// # Errors
    /// The protocol does not accept this CID: its multihash is the identity or too short, or its text too long.
    pub fn from_cid(cid: &Cid) -> Result<Self, ContentIdError> {
        let text = match cid.version() {
            Version::V0 => bs58::encode(cid.to_bytes()).into_string(),
            Version::V1 => format!("b{}", BASE32_LOWER.encode(&cid.to_bytes())),
        };
        text.parse()
    }

    /// One form for all ids of the same content: a `dag-pb` node under SHA2-256 as version 0, any other CID in base32.
    ///
    /// Use it as the key when content must not be listed twice. An id whose base32 text would pass the length limit
    /// stays as it is.
    #[must_use]
    pub fn canonical(&self) -> Self {
        if self.as_bytes().starts_with(b"Qm") {
            return *self;
        }
        let Some(cid) = self.to_cid() else { return *self };
        let is_dag_pb = cid.codec() == CODEC_DAG_PB && cid.hash().code() == HASH_SHA2_256;
        let short = if is_dag_pb { Cid::new_v0(*cid.hash()).ok() } else { None };
        Self::from_cid(&short.unwrap_or(cid)).unwrap_or(*self)
    }

    fn from_accepted(text: &str, kind: StorageKind) -> Option<Self> {
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { len: u8::try_from(text.len()).ok()?, kind, text: bytes })
    }
}

impl PartialEq for ContentId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ContentId {}

impl Hash for ContentId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for ContentId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ContentId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ContentId {
    type Err = ContentIdError;

    /// Tries a CID first, then a Skylink. The two never collide.
    fn from_str(s: &str) -> Result<Self, ContentIdError> {
        if s.is_empty() || s.len() > Self::MAX_LEN {
            return Err(ContentIdError::Len(s.len()));
        }
        let kind = if is_cid(s) {
            StorageKind::Ipfs
        } else if parse_skylink(s).is_some() {
            StorageKind::Skynet
        } else {
            return Err(ContentIdError::Form(Excerpt::of(s)));
        };
        Self::from_accepted(s, kind).ok_or(ContentIdError::Len(s.len()))
    }
}

/// Why a text is not a [`ContentId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentIdError {
    /// It is neither a CID nor a Skylink that the protocol accepts.
    #[error("{0} is neither a CID (Qm…, b…, z…) nor a version 1 Skylink in its one accepted form")]
    Form(Excerpt),
    /// It has this many bytes.
    #[error("content id of {0} bytes, 1 to {max} allowed", max = ContentId::MAX_LEN)]
    Len(usize),
}

/// RFC 4648 base32 in lower case without padding; spare bits must be zero.
static BASE32_LOWER: LazyLock<Encoding> = LazyLock::new(|| {
    let mut form = Specification::new();
    form.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    #[expect(clippy::expect_used, reason = "the alphabet above is constant and tested")]
    form.encoding().expect("32 distinct symbols")
});

/// Whether [`parse_cid`] reads this text as a CID, told without converting the usual one from base 58.
fn is_cid(text: &str) -> bool {
    match text.as_bytes().try_into() {
        Ok(short) if text.starts_with("Qm") => is_cid_v0(short),
        _ => parse_cid(text).is_some(),
    }
}

/// The first `CIDv0`: its digest is all zeros.
const FIRST_V0: &[u8; ContentId::SHORT_LEN] = b"QmNLei78zWmzUdbeRB3CiUfAizWUrbeeZh5K1rhAQKCh51";
/// The last `CIDv0`: its digest is all ones.
const LAST_V0: &[u8; ContentId::SHORT_LEN] = b"QmfZy5bvk7a3DQAjCbGNtmrPXWkyVvPrdnZMyBZ5q5ieKG";

/// Base 58 has its digits in the order of ASCII. So texts of one length are ordered as the numbers that they write, and
/// a text is a `CIDv0` if it has no other characters and its number is one of 34 bytes that begin with 0x12 and 0x20.
fn is_cid_v0(text: &[u8; ContentId::SHORT_LEN]) -> bool {
    let is_digit =
        |byte: u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'I' | b'O' | b'l');
    // All of them without a branch, so that it becomes vector code.
    let others = text.iter().fold(0, |others, &byte| others | u8::from(!is_digit(byte)));
    (FIRST_V0..=LAST_V0).contains(&text) && others == 0
}

fn parse_cid(text: &str) -> Option<Cid> {
    if let Some(body) = text.strip_prefix('b') {
        return parse_cid_v1(&BASE32_LOWER.decode(body.as_bytes()).ok()?);
    }
    let mut buffer = [0; ContentId::MAX_LEN];
    if let Some(body) = text.strip_prefix('z') {
        let len = bs58::decode(body).onto(&mut buffer[..]).ok()?;
        return parse_cid_v1(buffer.get(..len)?);
    }
    if !text.starts_with("Qm") || text.len() != ContentId::SHORT_LEN {
        return None;
    }
    let len = bs58::decode(text).onto(&mut buffer[..]).ok()?;
    let cid = Cid::try_from(buffer.get(..len)?).ok()?;
    (cid.version() == Version::V0 && len == 34).then_some(cid)
}

/// The CID library decodes leniently in places; what encodes back to the same bytes is strict.
fn parse_cid_v1(bytes: &[u8]) -> Option<Cid> {
    let cid = Cid::try_from(bytes).ok()?;
    let strict = cid.version() == Version::V1
        && cid.hash().code() != HASH_IDENTITY
        && cid.hash().digest().len() >= 20
        && cid.to_bytes() == bytes;
    strict.then_some(cid)
}

/// Decodes a version 1 Skylink. Source: `spec/storage.md`, section 8.1.
fn parse_skylink(text: &str) -> Option<[u8; 34]> {
    if text.len() != ContentId::SHORT_LEN {
        return None;
    }
    let raw: [u8; 34] = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
    let [low, high, ..] = raw;
    is_skylink_v1(u16::from_le_bytes([low, high])).then_some(raw)
}

/// Whether a Skylink's bit field says version 1 and a range that lies inside one sector.
fn is_skylink_v1(bitfield: u16) -> bool {
    const SECTOR: u32 = 1 << 22;
    let mode = (bitfield >> 2).trailing_ones();
    if bitfield & 0b11 != 0 || mode >= 8 {
        return false;
    }
    let rest = u32::from(bitfield >> 2) >> (mode + 1);
    let (length_code, offset_code) = (rest & 0b111, rest >> 3);
    let fetch_align = if mode == 0 { 4096 } else { 4096 << (mode - 1) };
    let length = (length_code + 1 + if mode == 0 { 0 } else { 8 }) * fetch_align;
    offset_code * (4096 << mode) + length <= SECTOR
}

#[cfg(test)]
mod tests {
    use multihash::Multihash;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn v0(digest: [u8; 32]) -> String {
        let hash = Multihash::wrap(HASH_SHA2_256, &digest).unwrap();
        bs58::encode(Cid::new_v0(hash).unwrap().to_bytes()).into_string()
    }

    /// The number one more or less than that which the text writes.
    fn beside(text: &[u8], up: bool) -> String {
        let mut value = bs58::decode(text).into_vec().unwrap();
        for byte in value.iter_mut().rev() {
            *byte = if up { byte.wrapping_add(1) } else { byte.wrapping_sub(1) };
            if *byte != if up { 0 } else { u8::MAX } {
                break;
            }
        }
        bs58::encode(value).into_string()
    }

    #[test]
    fn the_first_and_last_cid_v0_are_those_of_the_extreme_digests() {
        assert_eq!(v0([0; 32]).as_bytes(), FIRST_V0);
        assert_eq!(v0([u8::MAX; 32]).as_bytes(), LAST_V0);
        for (text, is_up) in [(FIRST_V0, false), (LAST_V0, true)] {
            let (out, into) = (beside(text, is_up), beside(text, !is_up));
            assert_eq!(out.len(), text.len());
            assert!(!is_cid(&out) && parse_cid(&out).is_none(), "{out}");
            assert!(is_cid(&into) && parse_cid(&into).is_some(), "{into}");
        }
    }

    #[rstest]
    #[case('0')]
    #[case('I')]
    #[case('O')]
    #[case('l')]
    #[case('/')]
    #[case(':')]
    #[case('@')]
    #[case('[')]
    #[case('`')]
    #[case('{')]
    #[case('\0')]
    fn a_character_that_base_58_lacks_is_refused_wherever_it_stands(#[case] other: char) {
        let good = v0([7; 32]);
        for at in 0..good.len() {
            let mut text = good.clone();
            text.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
            assert!(!is_cid(&text) && parse_cid(&text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cid_v0_is_told_as_its_conversion_tells_it(
            digest: [u8; 32],
            changes in proptest::collection::vec((0..46_usize, 0x20..0x7f_u8), 0..3),
        ) {
            let good = v0(digest);
            prop_assert!(is_cid(&good));
            let mut bytes = good.into_bytes();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            let text = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(is_cid(&text), parse_cid(&text).is_some(), "{}", text);
        }

        #[test]
        fn a_text_between_the_first_and_the_last_is_told_alike(text in "Qm[1-9A-HJ-NP-Za-km-z]{44}") {
            prop_assert_eq!(is_cid(&text), parse_cid(&text).is_some(), "{}", text);
        }
    }

    #[test]
    fn refuses_every_other_text_of_the_same_cid() {
        let v1 = "bafybeiconpoeacqygeyhtgbx6zlom7ojtn7wk75gdf7kzxmvj27v5437pa";
        assert!(v1.parse::<ContentId>().is_ok());
        assert!(v1.to_uppercase().parse::<ContentId>().is_err());
        assert!(format!("{v1}=").parse::<ContentId>().is_err());
        assert!(format!(" {v1}").parse::<ContentId>().is_err());
        assert!(format!("zQm{}", "a".repeat(44)).parse::<ContentId>().is_err());
    }

    #[test]
    fn one_content_has_one_canonical_form() {
        let v0: ContentId = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
        let v1 = Cid::new_v1(CODEC_DAG_PB, *v0.to_cid().unwrap().hash());
        let base32 = ContentId::from_cid(&v1).unwrap();
        let base58: ContentId =
            format!("z{}", bs58::encode(v1.to_bytes()).into_string()).parse().unwrap();
        assert_ne!(base32, base58);
        assert_eq!(base32.canonical(), v0);
        assert_eq!(base58.canonical(), v0);
        let raw = ContentId::from_cid(&Cid::new_v1(CODEC_RAW, *v1.hash())).unwrap();
        assert_eq!(raw.canonical(), raw);
    }

    #[test]
    fn skylinks_of_version_2_name_mutable_content_and_are_refused() {
        let mut raw = [7; 34];
        (raw[0], raw[1]) = (0, 0);
        let v1: ContentId = BASE64URL_NOPAD.encode(&raw).parse().unwrap();
        assert_eq!(v1.to_skylink_bytes(), Some(raw));
        raw[0] = 1;
        assert!(BASE64URL_NOPAD.encode(&raw).parse::<ContentId>().is_err());
    }
}
