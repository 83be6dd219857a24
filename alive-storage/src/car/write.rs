//! Writing an archive: [`CarWriter`].

use std::io::{self, Write};

use super::CarHeader;
use crate::{block::Block, cid::Cid, varint};

/// Writes an archive, block by block. It blocks.
///
/// Nothing is buffered here: give it a [`BufWriter`](io::BufWriter) where writes are dear. Blocks are written as they
/// come, also twice; an order in which parents stand before their children lets readers stream.
#[derive(Debug)]
pub struct CarWriter<W> {
    writer: W,
    bytes: u64,
    blocks: u64,
}

impl<W: Write> CarWriter<W> {
    /// Starts an archive about these roots.
    ///
    /// # Errors
    /// The writer failed.
    pub fn new(writer: W, roots: &[Cid]) -> io::Result<Self> {
        let mut car = Self { writer, bytes: 0, blocks: 0 };
        let header = CarHeader::new(roots.to_vec()).encode();
        let mut head = Vec::with_capacity(varint::MAX_LEN);
        varint::put(header.len() as u64, &mut head);
        car.write(&head)?;
        car.write(&header)?;
        Ok(car)
    }

    /// Adds a block under an id, whose codec tells readers what it is.
    ///
    /// # Errors
    /// The writer failed, or the id is not of the block's hash ([`io::ErrorKind::InvalidInput`]).
    pub fn add(&mut self, cid: &Cid, block: &Block) -> io::Result<()> {
        if cid.hash() != block.hash() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "block of another id"));
        }
        let cid = cid.to_bytes();
        let mut head = Vec::with_capacity(varint::MAX_LEN + cid.len());
        varint::put((cid.len() + block.data().len()) as u64, &mut head);
        head.extend_from_slice(&cid);
        self.write(&head)?;
        self.write(block.data())?;
        self.blocks += 1;
        Ok(())
    }

    /// What it writes to, for a writer that is emptied on the way.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Blocks written so far.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// The writer failed.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.flush()?;
        Ok(self.writer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
