//! Boxes of MP4 and the numbers in them: [`boxes`], [`find`], [`Bytes`], [`Fields`].
//!
//! Source: ISO/IEC 14496-12, section 4.2.

use crate::probe::ProbeError;

/// The boxes side by side in some bytes, up to the first that is broken.
pub(super) fn boxes(data: &[u8]) -> Boxes<'_> {
    Boxes { data, at: 0 }
}

/// What is left to walk.
pub(super) struct Boxes<'a> {
    data: &'a [u8],
    at: usize,
}

impl Boxes<'_> {
    /// Where the next box begins, in bytes.
    pub(super) const fn position(&self) -> usize {
        self.at
    }
}

/// Kind and content of a box.
type Found<'a> = ([u8; 4], &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<Found<'a>, ProbeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.data.get(self.at..).filter(|rest| !rest.is_empty())?;
        let read = split_box(rest);
        self.at = read.as_ref().map_or(self.data.len(), |(_, len)| self.at.saturating_add(*len));
        Some(read.map(|(found, _)| found))
    }
}

/// The first box and its length with its head.
fn split_box(data: &[u8]) -> Result<(Found<'_>, usize), ProbeError> {
    let bytes = Bytes(data);
    let (size, kind) = (bytes.u32(0)?, bytes.array::<4>(4)?);
    let (head, len) = match size {
        // To the end.
        0 => (8, data.len()),
        1 => (16, usize::try_from(bytes.u64(8)?).map_err(|_| ProbeError::BadBox)?),
        _ => (8, usize::try_from(size).map_err(|_| ProbeError::BadBox)?),
    };
    let content = data.get(head..len).ok_or(ProbeError::BadBox)?;
    Ok(((kind, content), len))
}

/// The first box of a kind.
pub(super) fn find(data: &[u8], wanted: [u8; 4]) -> Result<Option<&[u8]>, ProbeError> {
    for child in boxes(data) {
        let (kind, content) = child?;
        if kind == wanted {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// The first box of a kind, which must be there.
pub(super) fn need(data: &[u8], wanted: [u8; 4]) -> Result<&[u8], ProbeError> {
    find(data, wanted)?.ok_or(ProbeError::BadBox)
}

/// The version of a full box.
pub(super) fn version(full_box: &[u8]) -> Result<u8, ProbeError> {
    full_box.first().copied().ok_or(ProbeError::BadBox)
}

/// The flags of a full box.
pub(super) fn flags(full_box: &[u8]) -> Result<u32, ProbeError> {
    Ok(Bytes(full_box).u32(0)? & 0x00ff_ffff)
}

/// Numbers at known places.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn array<const N: usize>(self, at: usize) -> Result<[u8; N], ProbeError> {
        self.0.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(ProbeError::BadBox)
    }

    pub(super) fn u16(self, at: usize) -> Result<u16, ProbeError> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn u32(self, at: usize) -> Result<u32, ProbeError> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub(super) fn u64(self, at: usize) -> Result<u64, ProbeError> {
        self.array(at).map(u64::from_be_bytes)
    }
}

/// Fields that are there when a bit says so, one behind the other.
pub(super) struct Fields<'a> {
    bytes: Bytes<'a>,
    at: usize,
    flags: u32,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(data: &'a [u8], at: usize, flags: u32) -> Self {
        Self { bytes: Bytes(data), at, flags }
    }

    /// Where the next field would be.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// Passes over a field of so many bytes.
    pub(super) fn skip(&mut self, bit: u32, len: usize) {
        if self.flags & bit != 0 {
            self.at += len;
        }
    }

    pub(super) fn u32(&mut self, bit: u32) -> Result<Option<u32>, ProbeError> {
        if self.flags & bit == 0 {
            return Ok(None);
        }
        let value = self.bytes.u32(self.at)?;
        self.at += 4;
        Ok(Some(value))
    }

    pub(super) fn u64(&mut self, bit: u32) -> Result<Option<u64>, ProbeError> {
        if self.flags & bit == 0 {
            return Ok(None);
        }
        let value = self.bytes.u64(self.at)?;
        self.at += 8;
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_long_or_to_the_end() {
        let data = [
            &[0, 0, 0, 9][..],
            b"abcd",
            &[7],
            &[0, 0, 0, 1],
            b"efgh",
            &[0, 0, 0, 0, 0, 0, 0, 18],
            &[1, 2],
            &[0; 4],
            b"last",
            &[3, 4, 5],
        ]
        .concat();
        let mut walk = boxes(&data);
        assert_eq!(walk.next(), Some(Ok((*b"abcd", &[7][..]))));
        assert_eq!(walk.position(), 9);
        assert_eq!(walk.next(), Some(Ok((*b"efgh", &[1, 2][..]))));
        assert_eq!(walk.position(), 27);
        assert_eq!(walk.next(), Some(Ok((*b"last", &[3, 4, 5][..]))));
        assert_eq!(walk.next(), None);
        assert_eq!(find(&data, *b"efgh"), Ok(Some(&[1, 2][..])));
        assert_eq!(need(&data, *b"none"), Err(ProbeError::BadBox));
    }

    #[test]
    fn a_box_that_is_cut_or_shorter_than_its_head_ends_the_walk() {
        for data in [
            &[0, 0, 0, 10, b'a', b'b', b'c', b'd', 1][..],
            &[0, 0, 0, 7, b'a', b'b', b'c', b'd', 1],
            &[0, 0, 0, 1, b'a', b'b', b'c', b'd', 0, 0, 0, 0, 0, 0, 0, 15, 1],
            &[0, 0, 0, 1, b'a', b'b', b'c', b'd', 255, 255, 255, 255, 255, 255, 255, 255],
            &[0, 0, 0],
        ] {
            let mut walk = boxes(data);
            assert_eq!(walk.next(), Some(Err(ProbeError::BadBox)), "{data:?}");
            assert_eq!(walk.next(), None, "{data:?}");
        }
    }
}
