//! Reading files from a [`BlockStore`]: whole, by range, as a stream.

use std::ops::Range;

use alive_core::Excerpt;
use bytes::{Bytes, BytesMut};

use super::{Directory, FileWalk, ReadError, Step};
use crate::{
    block::Block,
    cid::{self, Cid},
    store::BlockStore,
};

/// The content of a file, piece by piece, blocks fetched as they are needed. It ends after an error.
///
/// Pieces are checked when they come, so a reader that stops early has only good bytes; that the file is whole is known
/// at the end.
#[derive(Debug)]
pub struct FileReader<'a, S: ?Sized> {
    store: &'a S,
    walk: Option<FileWalk>,
}

impl<'a, S: BlockStore + ?Sized> FileReader<'a, S> {
    /// Reads what `walk` walks.
    pub fn new(store: &'a S, walk: FileWalk) -> Self {
        Self { store, walk: Some(walk) }
    }

    /// How much to make room for at once: not all that a root may claim.
    fn capacity(&self) -> usize {
        const MOST: usize = 64 << 20;
        let len = self.walk.as_ref().map_or(0, FileWalk::range_len);
        usize::try_from(len).map_or(MOST, |len| len.min(MOST))
    }

    fn step(&mut self) -> Result<Option<Bytes>, ReadError> {
        let Some(walk) = &mut self.walk else { return Ok(None) };
        loop {
            match walk.poll()? {
                Step::Block(cid) => walk.supply(&fetch(self.store, cid)?)?,
                Step::Data(data) => return Ok(Some(data)),
                Step::Done => return Ok(None),
            }
        }
    }
}

impl<S: BlockStore + ?Sized> Iterator for FileReader<'_, S> {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.walk = None;
        }
        step.transpose()
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// It is larger, a block is missing or corrupt, or the tree is refused.
pub fn read_file<S: BlockStore + ?Sized>(
    store: &S,
    root: Cid,
    limit: usize,
) -> Result<Bytes, ReadError> {
    collect(store, FileWalk::whole(root, limit as u64))
}

/// Reads a range of a file, as far as the file has it, and only the blocks that hold some of it.
///
/// # Errors
/// As [`read_file`], for the blocks that are read.
pub fn read_range<S: BlockStore + ?Sized>(
    store: &S,
    root: Cid,
    range: Range<u64>,
) -> Result<Bytes, ReadError> {
    collect(store, FileWalk::range(root, range))
}

/// Bytes of content in a file, by its root alone.
///
/// # Errors
/// The root is missing, corrupt or refused.
pub fn file_size<S: BlockStore + ?Sized>(store: &S, root: Cid) -> Result<u64, ReadError> {
    let mut walk = FileWalk::range(root, 0..0);
    while let Step::Block(cid) = walk.poll()? {
        walk.supply(&fetch(store, cid)?)?;
    }
    Ok(walk.file_size().unwrap_or(0))
}

/// Whether all blocks of a file are in the store. Raw leaves are looked up, not read.
///
/// # Errors
/// A block that had to be read is corrupt, or the tree is refused.
pub fn is_complete<S: BlockStore + ?Sized>(store: &S, root: Cid) -> Result<bool, ReadError> {
    let mut walk = FileWalk::whole(root, u64::MAX);
    loop {
        match walk.poll() {
            Ok(Step::Block(cid)) if cid.codec() == cid::RAW => {
                if !has(store, cid)? {
                    return Ok(false);
                }
                walk.skip()?;
            }
            Ok(Step::Block(cid)) => match fetch(store, cid) {
                Err(ReadError::Missing(_)) => return Ok(false),
                block => walk.supply(&block?)?,
            },
            Ok(Step::Data(_)) => {}
            Ok(Step::Done) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

/// Finds what lies below a directory: the id at the end of a path of names parted by `/`. An empty path is the root itself,
/// whatever it is.
///
/// # Errors
/// A block on the way is missing, corrupt or no directory, or a directory has no such name.
pub fn resolve<S: BlockStore + ?Sized>(
    store: &S,
    root: &Cid,
    path: &str,
) -> Result<Cid, ReadError> {
    let mut at = *root;
    for name in path.split('/').filter(|_| !path.is_empty()) {
        if at.codec() != cid::DAG_PB {
            return Err(ReadError::Codec { cid: at.into(), codec: at.codec() });
        }
        let block = match Block::of_identity(at.hash()) {
            Some(block) => block,
            None => fetch(store, at)?,
        };
        let refused = |source| ReadError::Directory { cid: at.into(), source };
        let directory = Directory::decode(&block).map_err(refused)?;
        let entry = directory.find(name);
        at = entry
            .ok_or_else(|| ReadError::NoEntry { cid: at.into(), name: Excerpt::of(name) })?
            .cid;
    }
    Ok(at)
}

fn collect<S: BlockStore + ?Sized>(store: &S, walk: FileWalk) -> Result<Bytes, ReadError> {
    let mut reader = FileReader::new(store, walk);
    let Some(first) = reader.next().transpose()? else { return Ok(Bytes::new()) };
    let Some(second) = reader.next().transpose()? else { return Ok(first) };
    let mut all = BytesMut::with_capacity(reader.capacity());
    all.extend_from_slice(&first);
    all.extend_from_slice(&second);
    for piece in reader {
        all.extend_from_slice(&piece?);
    }
    Ok(all.freeze())
}

fn fetch<S: BlockStore + ?Sized>(store: &S, cid: Cid) -> Result<Block, ReadError> {
    match store.get(cid.hash()) {
        Ok(Some(block)) => Ok(block),
        Ok(None) => Err(ReadError::Missing(cid.into())),
        Err(source) => Err(ReadError::Store { cid: cid.into(), source }),
    }
}

fn has<S: BlockStore + ?Sized>(store: &S, cid: Cid) -> Result<bool, ReadError> {
    store.has(cid.hash()).map_err(|source| ReadError::Store { cid: cid.into(), source })
}

#[cfg(test)]
mod tests;
