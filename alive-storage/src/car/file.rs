//! Any block of an archive by its hash: [`CarFile`].

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
};

use super::{CarError, CarHeader, CarReader, MAX_BLOCKS};
use crate::{
    block::Block,
    cid::{Cid, Multihash},
};

/// An archive on disk whose blocks are read in any order, each checked against its hash every time: the file may change
/// under it.
///
/// Opening it reads it to its end. Memory is some hundred bytes a block, and no content. It blocks.
///
/// ```
/// use std::io::Cursor;
/// use alive_storage::{Block, car::{CarFile, CarWriter}, cid};
/// let id = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")?;
/// let mut car = CarWriter::new(Vec::new(), &[id])?;
/// car.add(&id, &Block::check(*id.hash(), "hello world".into())?)?;
/// let mut file = CarFile::open(Cursor::new(car.finish()?), 1 << 20)?;
/// assert_eq!(file.get(&id)?.ok_or("missing")?.data(), "hello world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CarFile<R> {
    reader: R,
    header: CarHeader,
    /// Where the bytes of each block stand, and how many.
    places: HashMap<Multihash, (u64, usize)>,
}

impl<R: Read + Seek> CarFile<R> {
    /// Reads an archive of at most `limit_bytes`, which begins at the start of `reader`.
    ///
    /// # Errors
    /// It is refused, has more than [`MAX_BLOCKS`], or cannot be read.
    pub fn open(mut reader: R, limit_bytes: u64) -> Result<Self, CarError> {
        reader.rewind().map_err(CarError::Io)?;
        let mut car = CarReader::new(&mut reader, limit_bytes)?;
        let mut places = HashMap::new();
        for block in car.by_ref() {
            let block = block?;
            places.insert(*block.block().hash(), (block.offset(), block.block().data().len()));
            if places.len() > MAX_BLOCKS {
                return Err(CarError::TooManyBlocks);
            }
        }
        let header = car.header().clone();
        drop(car);
        Ok(Self { reader, header, places })
    }

    /// The header.
    pub fn header(&self) -> &CarHeader {
        &self.header
    }

    /// The block that an id names, `None` if the archive has none.
    ///
    /// # Errors
    /// The file cannot be read, or has changed.
    pub fn get(&mut self, cid: &Cid) -> Result<Option<Block>, CarError> {
        if let Some(block) = Block::of_identity(cid.hash()) {
            return Ok(Some(block));
        }
        let Some(&(offset, len)) = self.places.get(cid.hash()) else { return Ok(None) };
        self.reader.seek(SeekFrom::Start(offset)).map_err(CarError::Io)?;
        let mut data = vec![0; len];
        self.reader.read_exact(&mut data).map_err(CarError::Io)?;
        Block::check(*cid.hash(), data.into()).map(Some).map_err(|source| CarError::Block {
            cid: (*cid).into(),
            offset,
            source,
        })
    }

    /// The reader, at any place.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::{MemoryStorage, car::export_car};

    #[test]
    fn every_block_is_found_and_a_file_that_changes_is_noticed() {
        let storage = MemoryStorage::default();
        let root = storage.import_bytes(&vec![7; 600_000]).unwrap().cid;
        let mut archive = Vec::new();
        export_car(storage.store(), &[root], &mut archive).unwrap();
        let mut file = CarFile::open(Cursor::new(archive), 1 << 30).unwrap();
        assert_eq!(file.header().roots(), [root]);
        let block = file.get(&root).unwrap().unwrap();
        assert_eq!(block.hash(), root.hash());
        let other = MemoryStorage::default().import_bytes(b"other").unwrap().cid;
        assert!(file.get(&other).unwrap().is_none());

        let (offset, _) = file.places[root.hash()];
        file.reader.get_mut()[usize::try_from(offset).unwrap()] ^= 1;
        assert!(matches!(file.get(&root), Err(CarError::Block { .. })));
    }

    #[test]
    fn an_archive_that_is_cut_or_too_large_is_refused() {
        let storage = MemoryStorage::default();
        let root = storage.import_bytes(b"hello").unwrap().cid;
        let mut archive = Vec::new();
        export_car(storage.store(), &[root], &mut archive).unwrap();
        assert!(CarFile::open(Cursor::new(&archive[..archive.len() - 1]), 1 << 20).is_err());
        assert!(CarFile::open(Cursor::new(&archive[..]), 20).is_err());
    }
}
