//! Skylinks: parsing, both encodings, and making the link of a range of a sector.
//!
//! Source: `spec/storage.md`, section 8.1.

use std::{fmt, ops::Range, str::FromStr, sync::LazyLock};

use alive_core::{ContentId, ContentIdError, Excerpt};
use data_encoding::{BASE32HEX_NOPAD, BASE64URL_NOPAD, Encoding, Specification};

use crate::sia::{MerkleRoot, SECTOR_BYTES};

/// Length of a Skylink as bytes.
pub const SKYLINK_BYTES: usize = 34;

/// Length of the base64url text, in characters.
const BASE64_LEN: usize = 46;
/// Length of the base32hex text, in characters.
const BASE32_LEN: usize = 55;
/// Smallest step of offsets and lengths, in bytes.
const UNIT: u64 = 4096;
/// Modes there are: each doubles the step of offsets.
const MODES: u32 = 8;

/// A reference to content on Skynet: a range of a sector (version 1), or an entry of the registry that can change
/// (version 2).
///
/// Reading takes all that the original reads: 46 characters of base64url or 55 of base32hex in either case, a path or a
/// query behind it, spare bits of any value. Writing gives the one canonical text, so compare links, never texts. The
/// protocol's own [`ContentId`] takes canonical version 1 links only.
///
/// ```
/// use alive_storage::Skylink;
/// let link: Skylink = "iACL2KaLW-GD4j52d48mCnozi6rfAQUdagS-BKBDtzwDug".parse()?;
/// assert_eq!(link.to_base32(), "H008NM56HDDU30V27PR7F3P619T372TARS0GA7BA0IV09823MSU07EG");
/// assert_eq!("h008nm56hddu30v27pr7f3p619t372tars0ga7ba0iv09823msu07eg/a.ts?x".parse(), Ok(link));
/// assert_eq!(link.range().unwrap().len(), 8192);
/// # Ok::<(), alive_storage::SkylinkError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Skylink([u8; SKYLINK_BYTES]);

impl Skylink {
    /// The link of the `length` bytes from `offset` of the sector with this Merkle root. What it names is the range
    /// rounded up to what a link can express.
    ///
    /// # Errors
    /// The range leaves the sector, or no link starts at the offset with this length.
    pub fn new(root: MerkleRoot, offset: u64, length: u64) -> Result<Self, SkylinkError> {
        let sector = SECTOR_BYTES as u64;
        let inside = offset < sector && offset.checked_add(length).is_some_and(|end| end <= sector);
        if !inside {
            return Err(SkylinkError::OutsideSector { offset, length });
        }
        let mode = mode_of(length);
        if !offset.is_multiple_of(UNIT << mode) {
            return Err(SkylinkError::Offset { offset, align: UNIT << mode });
        }
        let step = fetch_step(mode);
        let steps = length.max(1).div_ceil(step) - if mode == 0 { 1 } else { 9 };
        let field = ((offset / (UNIT << mode)) << 3 | steps) << (mode + 1) | ((1 << mode) - 1);
        // 3 bits of steps, 10 - mode of offset, mode + 1 of mode and 2 of version are 16.
        let field = u16::try_from(field << 2)
            .map_err(|_| SkylinkError::OutsideSector { offset, length })?;
        let mut raw = [0; SKYLINK_BYTES];
        let (head, tail) = raw.split_at_mut(2);
        head.copy_from_slice(&field.to_le_bytes());
        tail.copy_from_slice(root.as_bytes());
        Self::from_bytes(raw)
    }

    /// Takes the bytes of a link.
    ///
    /// # Errors
    /// The bit field names no version, or a range that leaves its sector.
    pub fn from_bytes(raw: [u8; SKYLINK_BYTES]) -> Result<Self, SkylinkError> {
        let link = Self(raw);
        let field = link.bitfield();
        match (field, field & 0b11) {
            (1, _) => Ok(link),
            (_, 0) if decode_range(field).is_some() => Ok(link),
            (_, 0) => Err(SkylinkError::Range(field)),
            _ => Err(SkylinkError::Version(field)),
        }
    }

    /// The link that an id of the protocol is, or `None` for a CID.
    pub fn of_content(id: &ContentId) -> Option<Self> {
        id.to_skylink_bytes().and_then(|raw| Self::from_bytes(raw).ok())
    }

    /// The id under which the protocol knows it.
    ///
    /// # Errors
    /// It is of version 2: what changes is no content of a stream.
    pub fn to_content(&self) -> Result<ContentId, ContentIdError> {
        self.to_string().parse()
    }

    /// Its bytes: the bit field, lowest byte first, then the root or the entry.
    pub fn as_bytes(&self) -> &[u8; SKYLINK_BYTES] {
        &self.0
    }

    /// Its bit field.
    pub fn bitfield(&self) -> u16 {
        let [low, high, ..] = self.0;
        u16::from_le_bytes([low, high])
    }

    /// Its version, 1 or 2.
    pub fn version(&self) -> u8 {
        if self.bitfield() == 1 { 2 } else { 1 }
    }

    /// The 32 bytes: the sector's Merkle root in version 1, the id of the registry entry in version 2.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.split_at(2).1);
        hash
    }

    /// Merkle root of the sector, or `None` in version 2.
    pub fn merkle_root(&self) -> Option<MerkleRoot> {
        (self.version() == 1).then(|| MerkleRoot::from(self.hash()))
    }

    /// The bytes of the sector that it names, or `None` in version 2. They lie inside the sector.
    pub fn range(&self) -> Option<Range<usize>> {
        let (offset, length) = decode_range(self.bitfield()).filter(|_| self.version() == 1)?;
        Some(usize::try_from(offset).ok()?..usize::try_from(offset + length).ok()?)
    }

    /// The text in base32hex, upper case, as servers write it.
    pub fn to_base32(&self) -> String {
        BASE32HEX_NOPAD.encode(&self.0)
    }

    /// Cuts `sia://` or `sia:` from the front of user input, and nothing else. The original's parser refuses both.
    ///
    /// ```
    /// use alive_storage::Skylink;
    /// assert_eq!(Skylink::strip_scheme("sia://AAA"), "AAA");
    /// assert_eq!(Skylink::strip_scheme("sia:AAA"), "AAA");
    /// ```
    pub fn strip_scheme(text: &str) -> &str {
        text.strip_prefix("sia://").or_else(|| text.strip_prefix("sia:")).unwrap_or(text)
    }
}

impl FromStr for Skylink {
    type Err = SkylinkError;

    fn from_str(s: &str) -> Result<Self, SkylinkError> {
        let body = s.split('?').next().unwrap_or_default();
        let body = body.split('/').next().unwrap_or_default();
        let encoding = match body.len() {
            BASE64_LEN => &*BASE64,
            BASE32_LEN => &*BASE32,
            len => return Err(SkylinkError::Len(len)),
        };
        let raw = encoding.decode(body.as_bytes()).ok().and_then(|raw| raw.try_into().ok());
        Self::from_bytes(raw.ok_or_else(|| SkylinkError::Form(Excerpt::of(body)))?)
    }
}

impl fmt::Display for Skylink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Skylink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Skylink({self})")
    }
}

/// Why something is not a [`Skylink`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkylinkError {
    /// It has a character that its encoding does not have.
    #[error("{0} is not the text of a skylink")]
    Form(Excerpt),
    /// It has this many bytes before any path or query.
    #[error("skylink of {0} characters, {BASE64_LEN} or {BASE32_LEN} expected")]
    Len(usize),
    /// A range of this length cannot start here.
    #[error("offset {offset} is no multiple of {align}, which the length asks for")]
    Offset {
        /// The offset, in bytes.
        offset: u64,
        /// What it must be a multiple of, in bytes.
        align: u64,
    },
    /// The range leaves the sector.
    #[error("{length} bytes from {offset} are not inside a sector of {SECTOR_BYTES} bytes")]
    OutsideSector {
        /// The offset, in bytes.
        offset: u64,
        /// The length, in bytes.
        length: u64,
    },
    /// This bit field names a range that is not inside a sector.
    #[error("bit field {0:#06x} names no range of a sector")]
    Range(u16),
    /// This bit field is of neither version 1 nor 2.
    #[error("bit field {0:#06x} is of no known version")]
    Version(u16),
}

/// base64url whose spare bits are ignored, as the original does.
static BASE64: LazyLock<Encoding> = LazyLock::new(|| {
    let mut form = Specification::new();
    form.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    form.check_trailing_bits = false;
    #[expect(clippy::expect_used, reason = "the alphabet above is constant and tested")]
    form.encoding().expect("64 distinct symbols")
});

/// base32hex in either case whose spare bits are ignored.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut form = Specification::new();
    form.symbols.push_str("0123456789ABCDEFGHIJKLMNOPQRSTUV");
    form.translate.from.push_str("abcdefghijklmnopqrstuv");
    form.translate.to.push_str("ABCDEFGHIJKLMNOPQRSTUV");
    form.check_trailing_bits = false;
    #[expect(clippy::expect_used, reason = "the alphabet above is constant and tested")]
    form.encoding().expect("32 distinct symbols")
});

/// Mode for a length: the smallest whose 8 larger or, in mode 0, 8 first steps reach it.
fn mode_of(length: u64) -> u32 {
    let mut mode = MODES - 1;
    while mode > 0 && length <= (UNIT << mode) * 4 {
        mode -= 1;
    }
    mode
}

/// Step of lengths in a mode, in bytes.
fn fetch_step(mode: u32) -> u64 {
    UNIT << mode.saturating_sub(1)
}

/// Offset and length that a bit field of version 1 names, if they lie inside a sector.
fn decode_range(bitfield: u16) -> Option<(u64, u64)> {
    let field = u64::from(bitfield >> 2);
    let mode = field.trailing_ones();
    if mode >= MODES {
        return None;
    }
    let field = field >> (mode + 1);
    let steps = (field & 0b111) + if mode == 0 { 1 } else { 9 };
    let (offset, length) = ((field >> 3) * (UNIT << mode), steps * fetch_step(mode));
    (offset + length <= SECTOR_BYTES as u64).then_some((offset, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn root() -> MerkleRoot {
        MerkleRoot::from([7; 32])
    }

    #[test]
    fn every_bit_field_that_reads_is_made_again_from_its_range() {
        let mut read = 0;
        for field in 0..=u16::MAX {
            let mut raw = [7; SKYLINK_BYTES];
            raw[..2].copy_from_slice(&field.to_le_bytes());
            let Ok(link) = Skylink::from_bytes(raw) else { continue };
            let Some(range) = link.range() else { continue };
            read += 1;
            let made = Skylink::new(root(), range.start as u64, range.len() as u64);
            assert_eq!(made, Ok(link), "{field:#06x}");
        }
        assert!(read > 2000, "{read}");
    }

    #[test]
    fn a_changing_link_is_no_content() {
        let mut raw = [7; SKYLINK_BYTES];
        raw[..2].copy_from_slice(&[1, 0]);
        let link = Skylink::from_bytes(raw).unwrap();
        assert_eq!((link.version(), link.range(), link.merkle_root()), (2, None, None));
        assert!(link.to_content().is_err());
    }

    #[test]
    fn content_ids_and_links_are_the_same_bytes() {
        let link = Skylink::new(root(), 0, 100).unwrap();
        let id = link.to_content().unwrap();
        assert_eq!(Skylink::of_content(&id), Some(link));
        let cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
        assert_eq!(Skylink::of_content(&cid), None);
    }

    proptest! {
        #[test]
        fn what_is_made_covers_the_range_and_little_more(offset in 0_u64..1024, length in 0_u64..=4 << 20) {
            let offset = offset * UNIT;
            let Ok(link) = Skylink::new(root(), offset, length) else { return Ok(()) };
            let range = link.range().unwrap();
            prop_assert_eq!(range.start as u64, offset);
            prop_assert!(range.len() as u64 >= length);
            prop_assert!(range.len() as u64 <= (length + length / 8).max(length + UNIT));
        }

        #[test]
        fn both_texts_read_back(bytes: [u8; SKYLINK_BYTES]) {
            let Ok(link) = Skylink::from_bytes(bytes) else { return Ok(()) };
            prop_assert_eq!(link.to_string().parse(), Ok(link));
            prop_assert_eq!(link.to_base32().parse(), Ok(link));
            prop_assert_eq!(link.to_base32().to_lowercase().parse(), Ok(link));
        }
    }
}
