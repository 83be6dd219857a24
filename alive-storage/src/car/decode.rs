//! Taking an archive apart as its bytes come, without I/O: [`CarDecoder`].

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

use super::{CarError, CarHeader, MAX_HEADER_BYTES};
use crate::{
    block::{Block, MAX_BLOCK_BYTES},
    cid::{self, Cid},
    varint::{self, VarintError},
};

/// Longest section, in bytes: a block and its CID. Source: `spec/storage.md`, section 4.
pub const MAX_SECTION_BYTES: usize = MAX_BLOCK_BYTES + 4 * varint::MAX_LEN + cid::MAX_DIGEST_LEN;

/// A block of an archive, its hash checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarBlock {
    cid: Cid,
    block: Block,
    offset: u64,
}

impl CarBlock {
    /// The id that stands before it. Only its hash has been checked; its codec is what the writer says.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Where its bytes start in the archive.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads and checks a section that starts at `start` and whose body at `at`, both in bytes of the archive.
    pub(super) fn decode(body: &Bytes, start: u64, at: u64) -> Result<Self, CarError> {
        let mut rest = &body[..];
        let cid = cid::take(&mut rest).map_err(|source| CarError::Cid { offset: start, source })?;
        let skip = body.len() - rest.len();
        let block = Block::check(*cid.hash(), body.slice(skip..))
            .map_err(|source| CarError::Block { cid: cid.into(), offset: start, source })?;
        Ok(Self { cid, block, offset: at + skip as u64 })
    }
}

/// Takes an archive apart: bytes in, checked blocks out.
///
/// Push bytes as they come and poll until there is no more; at the end of the input [`finish`](Self::finish) says whether
/// it is an end. Sections inside one pushed piece are not copied. After an error it is of no use.
///
/// Memory is what was pushed and not yet taken, and one section of at most [`MAX_SECTION_BYTES`].
///
/// ```
/// use alive_storage::car::CarDecoder;
/// let mut car = CarDecoder::new(1 << 20);
/// car.push(b"\x11\xa2\x65roots\x80\x67ver".as_slice().into());
/// assert!(car.poll()?.is_none() && car.header().is_none());
/// car.push(b"sion\x01".as_slice().into());
/// assert!(car.poll()?.is_none());
/// assert_eq!(car.header().map(|header| header.roots().len()), Some(0));
/// car.finish()?;
/// # Ok::<(), alive_storage::car::CarError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CarDecoder {
    input: VecDeque<Bytes>,
    header: Option<CarHeader>,
    section: Section,
    /// Bytes of the archive that have been taken, and where the section that is being read starts.
    taken: u64,
    start: u64,
    pushed: u64,
    limit: u64,
}

/// How far a section has been read.
#[derive(Clone, Debug)]
enum Section {
    /// Bytes of its length.
    Length(Vec<u8>),
    /// Its length, and what of it did not come in one piece.
    Body(usize, BytesMut),
}

impl CarDecoder {
    /// Takes an archive of at most `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            input: VecDeque::new(),
            header: None,
            section: Section::Length(Vec::new()),
            taken: 0,
            start: 0,
            pushed: 0,
            limit: limit_bytes,
        }
    }

    /// Adds the next bytes of the archive.
    pub fn push(&mut self, bytes: Bytes) {
        self.pushed = self.pushed.saturating_add(bytes.len() as u64);
        if !bytes.is_empty() {
            self.input.push_back(bytes);
        }
    }

    /// The header, once it has been read.
    pub fn header(&self) -> Option<&CarHeader> {
        self.header.as_ref()
    }

    /// The next block, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// The archive is refused.
    pub fn poll(&mut self) -> Result<Option<CarBlock>, CarError> {
        if self.pushed > self.limit {
            return Err(CarError::TooLarge { limit: self.limit });
        }
        while let Some(body) = self.take_section()? {
            let at = self.taken - body.len() as u64;
            let start = std::mem::replace(&mut self.start, self.taken);
            if self.header.is_some() {
                return CarBlock::decode(&body, start, at).map(Some);
            }
            self.header = Some(CarHeader::decode(&body)?);
        }
        Ok(None)
    }

    /// Says whether the input may end here.
    ///
    /// # Errors
    /// The header is missing or a section is cut short.
    pub fn finish(&self) -> Result<(), CarError> {
        let between = matches!(&self.section, Section::Length(bytes) if bytes.is_empty());
        if self.header.is_some() && between && self.input.is_empty() {
            Ok(())
        } else {
            Err(CarError::Truncated { offset: self.start })
        }
    }

    fn take_section(&mut self) -> Result<Option<Bytes>, CarError> {
        if let Section::Length(_) = self.section {
            match self.take_length()? {
                Some(len) => self.section = Section::Body(len, BytesMut::new()),
                None => return Ok(None),
            }
        }
        let Some(body) = self.take_body() else { return Ok(None) };
        self.taken += body.len() as u64;
        self.section = Section::Length(Vec::new());
        Ok(Some(body))
    }

    fn take_length(&mut self) -> Result<Option<usize>, CarError> {
        let Section::Length(bytes) = &mut self.section else { return Ok(None) };
        while let Some(front) = self.input.front_mut() {
            if front.is_empty() {
                self.input.pop_front();
                continue;
            }
            bytes.push(front.get_u8());
            self.taken += 1;
            if let Some(len) = length(bytes, self.header.is_none(), self.start)? {
                return Ok(Some(len));
            }
        }
        Ok(None)
    }

    fn take_body(&mut self) -> Option<Bytes> {
        let Section::Body(len, part) = &mut self.section else { return None };
        while let Some(front) = self.input.front_mut() {
            let missing = *len - part.len();
            if part.is_empty() && front.len() >= missing {
                return Some(front.split_to(missing));
            }
            if part.is_empty() {
                part.reserve(*len);
            }
            part.extend_from_slice(&front.split_to(missing.min(front.len())));
            if front.is_empty() {
                self.input.pop_front();
            }
            if part.len() == *len {
                return Some(std::mem::take(part).freeze());
            }
        }
        None
    }
}

/// The length of a section by the bytes read of it so far, or `None` if more must come.
pub(super) fn length(bytes: &[u8], header: bool, offset: u64) -> Result<Option<usize>, CarError> {
    let len = match varint::take(&mut &bytes[..]) {
        Ok(len) => len,
        Err(VarintError::Truncated) => return Ok(None),
        Err(source) => return Err(CarError::Length { offset, source }),
    };
    let limit = if header { MAX_HEADER_BYTES } else { MAX_SECTION_BYTES };
    match usize::try_from(len) {
        Ok(0) => Err(CarError::Empty { offset }),
        Ok(len) if len <= limit => Ok(Some(len)),
        _ => Err(CarError::Section { len, limit, offset }),
    }
}

#[cfg(test)]
mod tests;
