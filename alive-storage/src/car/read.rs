//! Reading an archive from anything that can be read: [`CarReader`].

use std::io::{BufReader, Read};

use bytes::Bytes;

use super::{CarBlock, CarError, CarHeader, decode};

/// What is read ahead for the lengths; bodies are read past it, straight to their place.
const AHEAD: usize = 4 << 10;

/// The blocks of an archive, one by one, each checked against its hash. It ends after an error.
///
/// Memory is one section. It blocks.
///
/// ```
/// use alive_storage::car::{CarReader, CarWriter};
/// # use alive_storage::{Block, cid};
/// # let id = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")?;
/// # let block = Block::check(*id.hash(), "hello world".into())?;
/// let mut car = CarWriter::new(Vec::new(), &[id])?;
/// car.add(&id, &block)?;
/// let bytes = car.finish()?;
///
/// let reader = CarReader::new(&bytes[..], 1 << 20)?;
/// assert_eq!(reader.header().roots(), [id]);
/// let blocks = reader.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(blocks[0].block().data(), "hello world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CarReader<R> {
    reader: BufReader<R>,
    header: CarHeader,
    /// Bytes read, and how many are allowed.
    at: u64,
    limit: u64,
    ended: bool,
}

impl<R: Read> CarReader<R> {
    /// Reads the header of an archive of at most `limit_bytes`.
    ///
    /// # Errors
    /// The header is refused, or cannot be read.
    pub fn new(reader: R, limit_bytes: u64) -> Result<Self, CarError> {
        let mut car = Self {
            reader: BufReader::with_capacity(AHEAD, reader),
            header: CarHeader::default(),
            at: 0,
            limit: limit_bytes,
            ended: false,
        };
        let header = car.section(true)?.ok_or(CarError::Truncated { offset: 0 })?;
        car.header = CarHeader::decode(&header)?;
        Ok(car)
    }

    /// The header.
    pub fn header(&self) -> &CarHeader {
        &self.header
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    fn block(&mut self) -> Result<Option<CarBlock>, CarError> {
        let start = self.at;
        let Some(body) = self.section(false)? else { return Ok(None) };
        CarBlock::decode(&body, start, self.at - body.len() as u64).map(Some)
    }

    /// The body of the next section, or `None` at the end of the input.
    fn section(&mut self, header: bool) -> Result<Option<Bytes>, CarError> {
        let start = self.at;
        let mut head = Vec::new();
        let len = loop {
            match self.read(1, &mut head)? {
                0 if head.is_empty() => return Ok(None),
                0 => return Err(CarError::Truncated { offset: start }),
                _ => {}
            }
            if let Some(len) = decode::length(&head, header, start)? {
                break len;
            }
        };
        let mut body = Vec::with_capacity(len);
        while body.len() < len {
            if self.read(len - body.len(), &mut body)? == 0 {
                return Err(CarError::Truncated { offset: start });
            }
        }
        Ok(Some(body.into()))
    }

    fn read(&mut self, len: usize, to: &mut Vec<u8>) -> Result<usize, CarError> {
        let read = self.reader.by_ref().take(len as u64).read_to_end(to).map_err(CarError::Io)?;
        self.at += read as u64;
        if self.at > self.limit {
            return Err(CarError::TooLarge { limit: self.limit });
        }
        Ok(read)
    }
}

impl<R: Read> Iterator for CarReader<R> {
    type Item = Result<CarBlock, CarError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let block = self.block();
        self.ended = !matches!(block, Ok(Some(_)));
        block.transpose()
    }
}
