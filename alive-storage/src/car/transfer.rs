//! Content out of a block store into an archive, and back: [`export_car`] and [`import_car`].

use std::{
    collections::HashSet,
    io::{self, Read, Seek, SeekFrom, Write},
};

use bytes::Bytes;

use super::{CarError, CarPolicy, CarReader, CarSummary, CarVerifier, CarWriter};
use crate::{
    block::{Block, NewBlock},
    cid::{self, Cid, Multihash},
    store::{BlockBatch as _, BlockStore, StoreError},
    unixfs::{Directory, DirectoryError, MAX_DEPTH, Node, NodeError, ReadError, next_linked},
};

/// What an export wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export {
    /// Blocks, each once.
    pub blocks: u64,
    /// Bytes of the archive.
    pub bytes: u64,
}

/// Writes all that lies below `roots` (files and directories) to an archive that lists them, parents before their
/// children in the order of the content, each block once. It blocks.
///
/// Memory is one block a level and 40 bytes for each block written.
///
/// # Errors
/// A block is missing, corrupt or no part of a file or directory, or the writer failed.
pub fn export_car<S: BlockStore + ?Sized>(
    store: &S,
    roots: &[Cid],
    writer: impl Write,
) -> Result<Export, ExportError> {
    let mut export = CarExport::new(writer, roots)?;
    for root in roots {
        export.add_tree(store, root)?;
    }
    export.finish()
}

/// An archive that is put together from several places, each block once. It blocks.
///
/// Memory is one block a level and 40 bytes for each block written.
#[derive(Debug)]
pub struct CarExport<W> {
    car: CarWriter<W>,
    written: HashSet<Multihash>,
}

impl<W: Write> CarExport<W> {
    /// Starts an archive that lists these roots.
    ///
    /// # Errors
    /// The writer failed.
    pub fn new(writer: W, roots: &[Cid]) -> Result<Self, ExportError> {
        let car = CarWriter::new(writer, roots).map_err(ExportError::Write)?;
        Ok(Self { car, written: HashSet::new() })
    }

    /// Adds one block.
    ///
    /// # Errors
    /// The writer failed.
    pub fn add_block(&mut self, cid: &Cid, block: &Block) -> Result<(), ExportError> {
        if self.written.insert(*cid.hash()) {
            self.car.add(cid, block).map_err(ExportError::Write)?;
        }
        Ok(())
    }

    /// Adds all that lies below a root, parents before their children in the order of the content.
    ///
    /// # Errors
    /// A block is missing, corrupt or no part of a file or directory, or the writer failed.
    pub fn add_tree<S: BlockStore + ?Sized>(
        &mut self,
        store: &S,
        root: &Cid,
    ) -> Result<(), ExportError> {
        let Self { car, written } = self;
        let mut stack = Vec::new();
        write(store, root, car, written, &mut stack)?;
        while let Some(open) = stack.last_mut() {
            match next_linked(&open.block, &mut open.at) {
                Some(child) => write(store, &child, car, written, &mut stack)?,
                None => {
                    stack.pop();
                }
            }
        }
        Ok(())
    }

    /// Flushes the writer and says what was written.
    ///
    /// # Errors
    /// The writer failed.
    pub fn finish(self) -> Result<Export, ExportError> {
        let (blocks, bytes) = (self.car.blocks(), self.car.bytes());
        self.car.finish().map_err(ExportError::Write)?;
        Ok(Export { blocks, bytes })
    }
}

/// A node whose children are being written.
struct Open {
    block: Bytes,
    at: usize,
}

/// Writes a block unless it has been, and opens it if it has children.
fn write<S: BlockStore + ?Sized>(
    store: &S,
    cid: &Cid,
    car: &mut CarWriter<impl Write>,
    written: &mut HashSet<Multihash>,
    stack: &mut Vec<Open>,
) -> Result<(), ExportError> {
    if stack.len() > MAX_DEPTH {
        return Err(ReadError::Depth.into());
    }
    if cid.hash().code() == cid::IDENTITY || !written.insert(*cid.hash()) {
        return Ok(());
    }
    let block = match store.get(cid.hash()) {
        Ok(Some(block)) => block,
        Ok(None) => return Err(ReadError::Missing((*cid).into()).into()),
        Err(source) => return Err(ReadError::Store { cid: (*cid).into(), source }.into()),
    };
    let has_children = check(cid, &block)?;
    car.add(cid, &block).map_err(ExportError::Write)?;
    if has_children {
        stack.push(Open { block: block.data().clone(), at: 0 });
    }
    Ok(())
}

/// Whether a block is a node of a file or a directory, rather than a leaf.
fn check(cid: &Cid, block: &Block) -> Result<bool, ReadError> {
    let refused = |source| ReadError::Node { cid: (*cid).into(), source };
    match cid.codec() {
        cid::RAW => Ok(false),
        cid::DAG_PB => match Node::decode(block) {
            Err(NodeError::NotFile(_)) => match Directory::decode(block) {
                Err(DirectoryError::Node(source)) => Err(refused(source)),
                Err(source) => Err(ReadError::Directory { cid: (*cid).into(), source }),
                Ok(_) => Ok(true),
            },
            node => node.map(|_| true).map_err(refused),
        },
        codec => Err(ReadError::Codec { cid: (*cid).into(), codec }),
    }
}

/// Reads an archive twice: once to its end, to know that it is good and holds all of `expected`, and once more for the
/// blocks that belong to it; only those are stored, all in one batch, and only when all is well. It blocks.
///
/// The order of the blocks does not matter. A stream that cannot be read twice goes to a temporary file first, or to
/// [`verify_car`](super::verify_car) and a [`BlockBatch`](crate::BlockBatch). Memory is that of [`CarVerifier`].
///
/// # Errors
/// The archive is refused, not all that is expected is there, or the store cannot be written.
pub fn import_car<S: BlockStore + ?Sized>(
    mut reader: impl Read + Seek,
    store: &S,
    expected: &[Cid],
    policy: CarPolicy,
) -> Result<CarSummary, ImportCarError> {
    let start = reader.stream_position().map_err(CarError::Io)?;
    let mut verifier = CarVerifier::new(policy);
    let mut car = CarReader::new(&mut reader, policy.limit_bytes)?;
    for block in car.by_ref() {
        verifier.add(&block?)?;
    }
    let summary = verifier.finish(car.header(), expected)?;
    drop(car);
    reader.seek(SeekFrom::Start(start)).map_err(CarError::Io)?;
    let mut batch = store.batch()?;
    for block in CarReader::new(&mut reader, policy.limit_bytes)? {
        let block = block?;
        if verifier.is_part(block.block().hash()) {
            batch.add(&NewBlock::from(block.block()))?;
        }
    }
    batch.commit_roots(expected)?;
    Ok(summary)
}

/// Why content was not written to an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A block cannot be had.
    #[error("content cannot be read")]
    Read(#[from] ReadError),
    /// The writer failed.
    #[error("archive cannot be written")]
    Write(#[source] io::Error),
}

/// Why an archive was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportCarError {
    /// The archive is refused.
    #[error("archive is refused")]
    Car(#[from] CarError),
    /// The store cannot be written.
    #[error("archive cannot be stored")]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
