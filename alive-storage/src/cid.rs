//! CIDs: a strict parser for every multibase, strict binary form, conversions, and the chain's rule.
//!
//! The type is the `cid` crate's, with room for the 128-byte identity digests that Kubo allows. That crate's own
//! parser is not used on text from outside: it accepts `/ipfs/` anywhere, several spellings of one CID and explicit
//! `CIDv0` in places. Source: `spec/storage.md`, section 3.

use std::{fmt, str::FromStr};

use alive_core::{ContentId, ContentIdError, Excerpt};
use multibase::Base;

pub use ::cid::Version;

use crate::varint::{self, VarintError};

/// A multihash with a digest of at most [`MAX_DIGEST_LEN`] bytes.
pub type Multihash = multihash::Multihash<MAX_DIGEST_LEN>;
/// A CID whose multihash is a [`Multihash`].
pub type Cid = ::cid::CidGeneric<MAX_DIGEST_LEN>;

/// Longest digest, in bytes: the limit that Kubo sets for the identity "hash"; no hash function in use has more.
pub const MAX_DIGEST_LEN: usize = 128;
/// Shortest digest of anything but the identity, in bytes.
pub const MIN_DIGEST_LEN: usize = 20;
/// Longest text, in bytes: base2 of the longest binary CID. It bounds the time of the quadratic bases.
pub const MAX_TEXT_LEN: usize = 1 + 8 * (4 * varint::MAX_LEN + MAX_DIGEST_LEN);

/// Length of a binary CID of version 0, in bytes.
const V0_LEN: usize = 34;

/// The codec of dag-pb nodes.
pub const DAG_PB: u64 = 0x70;
/// The codec of raw blocks.
pub const RAW: u64 = 0x55;
/// The hash code of the identity: the digest is the content.
pub const IDENTITY: u64 = 0x00;
/// The hash code of SHA2-256.
pub const SHA2_256: u64 = 0x12;

/// A CID together with the base its text is written in.
///
/// Parsing is strict: a text is accepted only if writing the CID in the same base gives that text again, so letter
/// case, padding, spare bits, white space and anything around the CID are settled at once.
/// Source: `spec/storage.md`, section 3.
///
/// ```
/// use alive_storage::cid::CidText;
/// let text: CidText = "bafkqablinewwcli".parse()?;
/// assert_eq!(text.cid().hash().digest(), b"hi-a-");
/// assert!(text.is_accepted_on_chain());
/// let base36: CidText = "k56om9dv7lg5kd".parse()?;
/// assert_eq!(base36.cid(), text.cid());
/// assert!(!base36.is_accepted_on_chain());
/// # Ok::<(), alive_storage::cid::CidError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CidText {
    cid: Cid,
    base: Base,
}

impl CidText {
    /// The CID.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// The base of the text.
    pub fn base(&self) -> Base {
        self.base
    }

    /// Whether the form of the text is one that the original indexer accepts: version 0, or version 1 in lower-case
    /// base32 (`b`) or base58btc (`z`).
    ///
    /// What an operation may name is narrower still (length, no identity): that is [`ContentId`].
    /// Source: `spec/storage.md`, section 3, "`alive_accepts`".
    pub fn is_accepted_on_chain(&self) -> bool {
        matches!(self.base, Base::Base32Lower | Base::Base58Btc)
    }
}

impl FromStr for CidText {
    type Err = CidError;

    fn from_str(s: &str) -> Result<Self, CidError> {
        let first = s.chars().next().ok_or(CidError::Empty)?;
        if s.len() > MAX_TEXT_LEN {
            return Err(CidError::Len(s.len()));
        }
        let (base, body) = match first {
            'Q' => (Base::Base58Btc, s),
            _ => (base_of_prefix(first)?, s.get(first.len_utf8()..).unwrap_or_default()),
        };
        let form = |()| CidError::Form { base, text: Excerpt::of(s) };
        let bytes = base.decode(body).map_err(|_| form(()))?;
        if base.encode(&bytes) != body {
            return Err(form(()));
        }
        let cid = if first == 'Q' { decode_v0(&bytes)? } else { decode_v1(&bytes)? };
        Ok(Self { cid, base })
    }
}

impl fmt::Display for CidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_text(&self.cid, self.base))
    }
}

/// Reads the text of a CID in any base. See [`CidText`] for what is refused.
///
/// # Errors
/// The text is not the one form of a CID in its base.
pub fn parse(text: &str) -> Result<Cid, CidError> {
    text.parse().map(|text: CidText| text.cid)
}

/// Reads a whole binary CID, of version 0 or 1.
///
/// # Errors
/// A varint is not minimal, the version unknown, the digest's length not as announced or not allowed.
pub fn from_bytes(bytes: &[u8]) -> Result<Cid, CidError> {
    if bytes.starts_with(&[0x12, 0x20]) { decode_v0(bytes) } else { decode_v1(bytes) }
}

/// Takes one binary CID, of version 0 or 1, from the front of `bytes`.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<Cid, CidError> {
    let len = if bytes.starts_with(&[0x12, 0x20]) { V0_LEN } else { v1_len(bytes)? };
    let (cid, rest) = bytes.split_at_checked(len).unwrap_or((*bytes, &[]));
    *bytes = rest;
    from_bytes(cid)
}

/// The same block as a `CIDv0`, which exists only for dag-pb under SHA2-256.
pub fn to_v0(cid: &Cid) -> Option<Cid> {
    if cid.codec() == DAG_PB { Cid::new_v0(*cid.hash()).ok() } else { None }
}

/// The same block as a `CIDv1`.
pub fn to_v1(cid: &Cid) -> Cid {
    Cid::new_v1(cid.codec(), *cid.hash())
}

/// The text in a base. A version 0 CID has one text only, whatever `base` says.
pub fn to_text(cid: &Cid, base: Base) -> String {
    match cid.version() {
        Version::V0 => Base::Base58Btc.encode(cid.to_bytes()),
        Version::V1 => multibase::encode(base, cid.to_bytes()),
    }
}

/// The CID that an id of the protocol names, or `None` for a Skylink.
pub fn of_content(id: &ContentId) -> Option<Cid> {
    parse(id.as_str()).ok()
}

/// The id under which the protocol knows a CID, in canonical text.
///
/// # Errors
/// The protocol does not accept this CID: an identity, a short digest or a text over 64 characters.
pub fn to_content(cid: &Cid) -> Result<ContentId, ContentIdError> {
    to_text(cid, Base::Base32Lower).parse()
}

/// Cuts `/ipfs/` or `ipfs://` from the front of user input, and nothing else.
///
/// ```
/// use alive_storage::cid::strip_scheme;
/// assert_eq!(strip_scheme("ipfs://bafkqaaa"), "bafkqaaa");
/// assert_eq!(strip_scheme("/ipfs/bafkqaaa"), "bafkqaaa");
/// assert_eq!(strip_scheme("bafkqaaa"), "bafkqaaa");
/// ```
pub fn strip_scheme(text: &str) -> &str {
    text.strip_prefix("/ipfs/").or_else(|| text.strip_prefix("ipfs://")).unwrap_or(text)
}

/// Why something is not a CID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// A digest of this length is not allowed for this hash, or the lengths disagree.
    #[error("digest of {len} bytes is not allowed for hash {code:#x}")]
    Digest {
        /// The hash code.
        code: u64,
        /// The announced length, in bytes.
        len: u64,
    },
    /// There is nothing.
    #[error("cid is empty")]
    Empty,
    /// The text is not what writing bytes in this base gives: wrong characters, case, padding or spare bits.
    #[error("{text} is not {base:?} in its one form")]
    Form {
        /// The base that its prefix announces.
        base: Base,
        /// The start of the text.
        text: Excerpt,
    },
    /// The text has this many bytes.
    #[error("cid text of {0} bytes, at most {MAX_TEXT_LEN} allowed")]
    Len(usize),
    /// The first character announces no base.
    #[error("{0:?} announces no multibase")]
    Prefix(char),
    /// Bytes follow it.
    #[error("{0} bytes after the cid")]
    Trailing(usize),
    /// The digest ends early.
    #[error("digest of {have} bytes where {want} are announced")]
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes announced.
        want: u64,
    },
    /// It is not 34 bytes beginning with `12 20`.
    #[error("not a version 0 cid")]
    V0,
    /// A number in it cannot be read.
    #[error("number in the cid cannot be read")]
    Varint(#[from] VarintError),
    /// Its version is not 1.
    #[error("cid version {0} is not supported here")]
    Version(u64),
}

fn base_of_prefix(prefix: char) -> Result<Base, CidError> {
    Ok(match prefix {
        '0' => Base::Base2,
        '7' => Base::Base8,
        '9' => Base::Base10,
        'f' => Base::Base16Lower,
        'F' => Base::Base16Upper,
        'b' => Base::Base32Lower,
        'B' => Base::Base32Upper,
        'c' => Base::Base32PadLower,
        'C' => Base::Base32PadUpper,
        'v' => Base::Base32HexLower,
        'V' => Base::Base32HexUpper,
        't' => Base::Base32HexPadLower,
        'T' => Base::Base32HexPadUpper,
        'h' => Base::Base32Z,
        'k' => Base::Base36Lower,
        'K' => Base::Base36Upper,
        'z' => Base::Base58Btc,
        'Z' => Base::Base58Flickr,
        'm' => Base::Base64,
        'M' => Base::Base64Pad,
        'u' => Base::Base64Url,
        'U' => Base::Base64UrlPad,
        other => return Err(CidError::Prefix(other)),
    })
}

/// How many bytes the CID of version 1 at the front of `bytes` has, by its own word.
fn v1_len(bytes: &[u8]) -> Result<usize, CidError> {
    let mut rest = bytes;
    let version = varint::take(&mut rest)?;
    if version != 1 {
        return Err(CidError::Version(version));
    }
    let _codec = varint::take(&mut rest)?;
    let code = varint::take(&mut rest)?;
    let len = varint::take(&mut rest)?;
    let digest = usize::try_from(len).ok().filter(|len| *len <= MAX_DIGEST_LEN);
    Ok(bytes.len() - rest.len() + digest.ok_or(CidError::Digest { code, len })?)
}

fn decode_v0(bytes: &[u8]) -> Result<Cid, CidError> {
    let digest = bytes.strip_prefix(&[0x12, 0x20]).filter(|digest| digest.len() == 32);
    let hash = digest.and_then(|digest| Multihash::wrap(SHA2_256, digest).ok());
    hash.and_then(|hash| Cid::new_v0(hash).ok()).ok_or(CidError::V0)
}

fn decode_v1(mut bytes: &[u8]) -> Result<Cid, CidError> {
    let version = varint::take(&mut bytes)?;
    if version != 1 {
        return Err(CidError::Version(version));
    }
    let codec = varint::take(&mut bytes)?;
    Ok(Cid::new_v1(codec, decode_multihash(bytes)?))
}

/// Reads a whole multihash.
pub(crate) fn decode_multihash(mut bytes: &[u8]) -> Result<Multihash, CidError> {
    let code = varint::take(&mut bytes)?;
    let want = varint::take(&mut bytes)?;
    let shortest = if code == IDENTITY { 0 } else { MIN_DIGEST_LEN };
    let len = usize::try_from(want)
        .ok()
        .filter(|len| (shortest..=MAX_DIGEST_LEN).contains(len))
        .ok_or(CidError::Digest { code, len: want })?;
    let (digest, rest) =
        bytes.split_at_checked(len).ok_or(CidError::Truncated { have: bytes.len(), want })?;
    if !rest.is_empty() {
        return Err(CidError::Trailing(rest.len()));
    }
    Multihash::wrap(code, digest).map_err(|_| CidError::Digest { code, len: want })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V1: &str = "bafybeid3677ylmz2xzjp7yax3ntmvzkafpc5l2at3mdyd42rjuuhlm7yle";
    const PREFIXES: &str = "079fFbBcCvVtThkKzZmMuU";

    fn any_cid() -> impl Strategy<Value = Cid> {
        let long = (1_u64..1 << 63, proptest::collection::vec(any::<u8>(), 20..=128));
        let identity = (Just(IDENTITY), proptest::collection::vec(any::<u8>(), 0..=128));
        (0_u64..1 << 63, prop_oneof![long, identity]).prop_map(|(codec, (code, digest))| {
            Cid::new_v1(codec, Multihash::wrap(code, &digest).unwrap())
        })
    }

    proptest! {
        #[test]
        fn every_base_round_trips(cid in any_cid()) {
            for prefix in PREFIXES.chars() {
                let base = base_of_prefix(prefix).unwrap();
                let text = to_text(&cid, base);
                prop_assert!(text.len() <= MAX_TEXT_LEN);
                prop_assert!(text.starts_with(prefix));
                let parsed: CidText = text.parse().unwrap();
                prop_assert_eq!((parsed.cid, parsed.base), (cid, base));
                prop_assert_eq!(parsed.to_string(), text);
            }
            prop_assert_eq!(from_bytes(&cid.to_bytes()), Ok(cid));
        }

        #[test]
        fn what_the_protocol_accepts_is_parsed_here_too(digest: [u8; 32], raw: bool) {
            let hash = Multihash::wrap(SHA2_256, &digest).unwrap();
            let cid = Cid::new_v1(if raw { RAW } else { DAG_PB }, hash);
            prop_assert_eq!(of_content(&to_content(&cid).unwrap()), Some(cid));
            if let Some(v0) = to_v0(&cid) {
                prop_assert_eq!(of_content(&to_content(&v0).unwrap()), Some(v0));
                prop_assert_eq!(to_v1(&v0), cid);
            }
        }
    }

    #[test]
    fn letter_case_is_as_the_prefix_says() {
        let body = &V1[1..];
        assert!(parse(V1).is_ok());
        assert!(matches!(parse(&format!("B{body}")), Err(CidError::Form { .. })));
        assert!(matches!(parse(&format!("b{}", body.to_uppercase())), Err(CidError::Form { .. })));
        let hex = to_text(&parse(V1).unwrap(), Base::Base16Lower);
        assert!(parse(&hex.to_uppercase()).is_ok());
        assert!(parse(&hex.to_uppercase().replacen('F', "f", 1)).is_err());
        let base36 = to_text(&parse(V1).unwrap(), Base::Base36Lower);
        assert!(parse(&base36.to_uppercase()).is_ok());
        assert!(parse(&base36.to_uppercase().replacen('K', "k", 1)).is_err());
    }

    #[test]
    fn padding_belongs_to_the_padded_bases_only() {
        assert!(parse(&format!("{V1}======")).is_err());
        let padded = to_text(&parse(V1).unwrap(), Base::Base32PadLower);
        assert!(parse(&padded).is_ok());
        assert!(parse(padded.trim_end_matches('=')).is_err());
    }

    #[test]
    fn multibases_that_cids_do_not_use_are_refused() {
        for text in ["R00", "\0abc", "🚀🚀", "xabc", "12D3KooW", "!", " ", "\u{e9}"] {
            assert!(matches!(parse(text), Err(CidError::Prefix(_))), "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_refused_before_it_is_decoded() {
        let text = format!("z{}", "1".repeat(MAX_TEXT_LEN));
        assert_eq!(parse(&text), Err(CidError::Len(MAX_TEXT_LEN + 1)));
    }

    #[test]
    fn a_skylink_names_no_cid() {
        let skylink = "AABgnGqkCPuJBXAYAFjMhP5hlVCV0YMkUSTtmP1QWIiRcg".parse::<ContentId>();
        assert!(skylink.is_ok_and(|id| of_content(&id).is_none()));
    }
}
