//! The first section of an archive: [`CarHeader`].
//!
//! It is one dag-cbor map, `{"roots": [links], "version": 1}`, and strict: definite lengths, shortest numbers, no other
//! and no repeated key, nothing after it. Source: `spec/storage.md`, section 4.

use crate::cid::{self, Cid, CidError};

/// Longest header, in bytes: some 25 000 roots. go-car reads 32 MiB, and no writer needs that.
pub const MAX_HEADER_BYTES: usize = 1 << 20;

/// Major types of CBOR.
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
/// The tag of a link, and the version that is written and read.
const LINK: u64 = 42;
const VERSION: u64 = 1;

/// What an archive says of itself before its blocks: the roots it is about, any number of them.
///
/// ```
/// use alive_storage::{car::CarHeader, cid};
/// let root = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")?;
/// let header = CarHeader::new(vec![root]);
/// assert_eq!(CarHeader::decode(&header.encode())?.roots(), [root]);
/// assert_eq!(CarHeader::default().encode(), b"\xa2\x65roots\x80\x67version\x01");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarHeader {
    roots: Vec<Cid>,
}

impl CarHeader {
    /// A header of these roots.
    pub fn new(roots: Vec<Cid>) -> Self {
        Self { roots }
    }

    /// The roots, in order. Anyone may write anything here: that blocks of them follow is not said.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// Its bytes, without their length.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(17 + 42 * self.roots.len());
        put_head(MAP, 2, &mut bytes);
        put_text("roots", &mut bytes);
        put_head(ARRAY, self.roots.len() as u64, &mut bytes);
        for root in &self.roots {
            let cid = root.to_bytes();
            put_head(TAG, LINK, &mut bytes);
            put_head(BYTES, cid.len() as u64 + 1, &mut bytes);
            bytes.push(0);
            bytes.extend_from_slice(&cid);
        }
        put_text("version", &mut bytes);
        put_head(UNSIGNED, VERSION, &mut bytes);
        bytes
    }

    /// Reads the bytes of a whole header.
    ///
    /// # Errors
    /// It is not the strict form of a header of version 1.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, HeaderError> {
        let (mut roots, mut version) = (None, None);
        for _ in 0..take(MAP, &mut bytes)? {
            let len = take(TEXT, &mut bytes)?;
            match take_bytes(len, &mut bytes)? {
                b"roots" => set_once(&mut roots, take_roots(&mut bytes)?, "roots")?,
                b"version" => set_once(&mut version, take(UNSIGNED, &mut bytes)?, "version")?,
                _ => return Err(HeaderError::Key),
            }
        }
        match version.ok_or(HeaderError::Missing("version"))? {
            VERSION if bytes.is_empty() => {}
            VERSION => return Err(HeaderError::Trailing(bytes.len())),
            other => return Err(HeaderError::Version(other)),
        }
        roots.map(Self::new).ok_or(HeaderError::Missing("roots"))
    }
}

fn take_roots(bytes: &mut &[u8]) -> Result<Vec<Cid>, HeaderError> {
    let count = take(ARRAY, bytes)?;
    // Not all that a header may claim: a root takes 40 bytes at least, and those must be there.
    let mut roots = Vec::with_capacity(usize::try_from(count).map_or(0, |count| count.min(64)));
    for _ in 0..count {
        if take(TAG, bytes)? != LINK {
            return Err(HeaderError::Link);
        }
        let len = take(BYTES, bytes)?;
        let link = take_bytes(len, bytes)?;
        roots.push(cid::from_bytes(link.strip_prefix(&[0]).ok_or(HeaderError::Link)?)?);
    }
    Ok(roots)
}

/// Takes the head of an item that must be of a major type; gives its number, count or length.
fn take(major: u8, bytes: &mut &[u8]) -> Result<u64, HeaderError> {
    let (&first, rest) = bytes.split_first().ok_or(HeaderError::Truncated)?;
    if first >> 5 != major {
        return Err(HeaderError::Type { want: major, got: first >> 5 });
    }
    let (value, rest, least) = match first & 0x1f {
        short @ 0..24 => (u64::from(short), rest, 0),
        24 => take_number::<1>(rest, 24)?,
        25 => take_number::<2>(rest, 1 << 8)?,
        26 => take_number::<4>(rest, 1 << 16)?,
        27 => take_number::<8>(rest, 1 << 32)?,
        _ => return Err(HeaderError::Indefinite),
    };
    if value < least {
        return Err(HeaderError::NotShortest(value));
    }
    *bytes = rest;
    Ok(value)
}

/// A big-endian number, what follows it, and the least value that needs so many bytes.
fn take_number<const N: usize>(bytes: &[u8], least: u64) -> Result<(u64, &[u8], u64), HeaderError> {
    let (number, rest) = bytes.split_first_chunk::<N>().ok_or(HeaderError::Truncated)?;
    Ok((number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), rest, least))
}

fn take_bytes<'a>(len: u64, bytes: &mut &'a [u8]) -> Result<&'a [u8], HeaderError> {
    let len = usize::try_from(len).map_err(|_| HeaderError::Truncated)?;
    let (taken, rest) = bytes.split_at_checked(len).ok_or(HeaderError::Truncated)?;
    *bytes = rest;
    Ok(taken)
}

#[expect(clippy::cast_possible_truncation, reason = "each arm holds what its pattern allows")]
fn put_head(major: u8, value: u64, to: &mut Vec<u8>) {
    let first = major << 5;
    match value {
        0..24 => to.push(first | value as u8),
        24..0x100 => to.extend([first | 0x18, value as u8]),
        0x100..0x1_0000 => {
            to.push(first | 0x19);
            to.extend((value as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            to.push(first | 0x1a);
            to.extend((value as u32).to_be_bytes());
        }
        _ => {
            to.push(first | 0x1b);
            to.extend(value.to_be_bytes());
        }
    }
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    put_head(TEXT, text.len() as u64, to);
    to.extend_from_slice(text.as_bytes());
}

fn set_once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), HeaderError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeaderError::Repeated(name)),
    }
}

/// Why bytes are not the header of an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// A root holds no CID.
    #[error("root is no cid")]
    Cid(#[from] CidError),
    /// An item has no definite length.
    #[error("item without a definite length")]
    Indefinite,
    /// It has a key that is neither `roots` nor `version`.
    #[error("key that is neither \"roots\" nor \"version\"")]
    Key,
    /// A root is not written as a link.
    #[error("root is not written as a link")]
    Link,
    /// This key is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// This number is written longer than it need be.
    #[error("number {0} is not in its shortest form")]
    NotShortest(u64),
    /// This key stands twice.
    #[error("{0} stands twice")]
    Repeated(&'static str),
    /// So many bytes follow the map.
    #[error("{0} bytes after the map")]
    Trailing(usize),
    /// It ends inside an item.
    #[error("cut short")]
    Truncated,
    /// An item is of another type than is wanted there.
    #[error("item of major type {got} where {want} is wanted")]
    Type {
        /// The major type of CBOR that is wanted.
        want: u8,
        /// The one that stands there.
        got: u8,
    },
    /// It is of this version; 1 is read.
    #[error("version {0}, only 1 is read")]
    Version(u64),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cid::Multihash;

    fn root(seed: u8) -> Cid {
        Cid::new_v1(cid::RAW, Multihash::wrap(cid::SHA2_256, &[seed; 32]).unwrap())
    }

    #[test]
    fn every_departure_from_the_strict_form_is_refused() {
        use HeaderError as E;
        let cases: &[(&[u8], E)] = &[
            (b"", E::Truncated),
            (b"\xa2\x65roots\x80\x67version\x02", E::Version(2)),
            (b"\xa1\x67version\x02", E::Version(2)),
            (b"\xa1\x67version\x01", E::Missing("roots")),
            (b"\xa1\x65roots\x80", E::Missing("version")),
            (b"\xa2\x65roots\x80\x65roots\x80", E::Repeated("roots")),
            (b"\xa3\x65roots\x80\x67version\x01\x61x\x01", E::Key),
            (b"\xa2\x65roots\x80\x67version\x01\x00", E::Trailing(1)),
            (b"\xbf\x65roots\x80\x67version\x01\xff", E::Indefinite),
            (b"\xa2\x65roots\x9f\xff\x67version\x01", E::Indefinite),
            (b"\xa2\x65roots\x80\x67version\x18\x01", E::NotShortest(1)),
            (b"\xb8\x02\x65roots\x80\x67version\x01", E::NotShortest(2)),
            (b"\xa2\x65roots\x80\x67version\x61\x31", E::Type { want: 0, got: 3 }),
            (b"\xa2\x65roots\x81\x41\x00\x67version\x01", E::Type { want: 6, got: 2 }),
            (b"\xa2\x65roots\x81\xd8\x2b\x41\x00\x67version\x01", E::Link),
            (b"\xa2\x65roots\x81\xd8\x2a\x41\x01\x67version\x01", E::Link),
            (b"\xa2\x65roots\x9b\xff\xff\xff\xff\xff\xff\xff\xff", E::Truncated),
        ];
        for (bytes, error) in cases {
            assert_eq!(CarHeader::decode(bytes).as_ref(), Err(error), "{bytes:?}");
        }
        let link_without_cid = b"\xa2\x65roots\x81\xd8\x2a\x42\x00\x01\x67version\x01";
        assert!(matches!(CarHeader::decode(link_without_cid), Err(E::Cid(_))));
    }

    #[test]
    fn the_order_of_keys_is_free() {
        let swapped = b"\xa2\x67version\x01\x65roots\x80";
        assert_eq!(CarHeader::decode(swapped), Ok(CarHeader::default()));
    }

    proptest! {
        #[test]
        fn headers_round_trip(count in 0_usize..300) {
            let roots = (0..count).map(|seed| root(seed.to_le_bytes()[0])).collect();
            let header = CarHeader::new(roots);
            prop_assert_eq!(CarHeader::decode(&header.encode()), Ok(header));
        }

        #[test]
        fn numbers_are_written_as_they_are_read(value: u64, shift in 0_u32..64) {
            let (value, mut bytes) = (value >> shift, Vec::new());
            put_head(UNSIGNED, value, &mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(take(UNSIGNED, &mut rest), Ok(value));
            prop_assert!(rest.is_empty());
        }
    }
}
