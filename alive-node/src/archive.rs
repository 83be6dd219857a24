//! A whole stream in one file: [`export_stream`] and [`import_stream`].
//!
//! The file is an archive of blocks (`CARv1`) whose one root is a folder: `stream.json`, which stream it is and how far it
//! goes, and for each rendition a playlist, its chunks and its segments. The folder follows from the chain's operations and
//! the chunks alone, byte by byte, and so does its id. Who has the chain works the id out again, and an archive that holds
//! anything else, lacks anything or stands in another order has another one. Any IPFS node takes the file, keeps it whole by
//! that one id, and plays it: the playlists name their segments by relative paths.

mod folder;
mod plan;

use std::{
    collections::BTreeSet,
    io::{BufReader, Read, Seek, Write},
};

use alive_core::{Seq, Stream, StreamId};
use alive_storage::{
    Block, BlockStore, StoreError,
    car::{
        CarError, CarExport, CarFile, CarPolicy, Export, ExportError, ImportCarError, import_car,
    },
    cid::Cid,
    unixfs::{Directory, DirectoryError, EntryNameError, NodeError, ReadError},
};
use serde::{Deserialize, Serialize};

use self::plan::{Plan, Source};

/// What the root of an archive calls the description of the stream.
const MANIFEST: &str = "stream.json";
/// Longest description, in bytes: room for the numbers of all pushes that a stream may have.
const MAX_MANIFEST_BYTES: usize = 256 << 10;
/// The form that is written and read.
const FORMAT: &str = "alive-stream/1";
/// What is read ahead.
const AHEAD: usize = 256 << 10;

/// Which stream an archive holds, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    stream: StreamId,
    /// The last push that is in it.
    last: u16,
    /// Pushes up to there whose content nobody can read, as `verify` tells; they are not in it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    without: BTreeSet<u16>,
}

/// What an archive of a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamArchive {
    /// The id of the folder with all of it.
    pub root: Cid,
    /// The last push in it.
    pub last: Seq,
    /// Segments of the source, gaps not counted.
    pub segments: usize,
    /// Blocks of the archive.
    pub blocks: u64,
    /// Bytes of the archive, when it was written.
    pub bytes: u64,
    /// Pushes that it leaves out, since their chunk is none.
    pub without: Vec<Seq>,
}

/// Writes a stream to an archive: of an ended one all of it, of one that goes on what is finalized. It blocks.
///
/// Memory is that of the playlists, and some hundred bytes a block.
///
/// # Errors
/// Nothing was pushed, content is not in the store or is none of IPFS, or the writer failed.
pub fn export_stream<S: BlockStore + ?Sized>(
    store: &S,
    id: &StreamId,
    stream: &Stream,
    writer: impl Write,
) -> Result<StreamArchive, ArchiveError> {
    let last = if stream.info().ended { stream.info().head } else { stream.info().finalized };
    let last = last.ok_or(ArchiveError::Empty)?;
    let mut source = Source::new(|cid| {
        let found = match Block::of_identity(cid.hash()) {
            Some(block) => Some(block),
            None => store.get(cid.hash())?,
        };
        Ok(found)
    });
    let without = source.unreadable(stream, last)?;
    let plan = Plan::make(id, stream, last, &without, &mut source)?;
    let mut export = CarExport::new(writer, &[plan.root])?;
    for (cid, block) in &plan.made {
        export.add_block(cid, block)?;
    }
    for content in &plan.contents {
        export.add_tree(store, content)?;
    }
    Ok(plan.archive(last, &without, export.finish()?))
}

/// The stream that an archive says it holds; whether it does, the chain decides ([`import_stream`]). It blocks.
///
/// # Errors
/// The archive is refused, holds no stream, or cannot be read.
pub fn archived_stream(
    reader: impl Read + Seek,
    limit_bytes: u64,
) -> Result<StreamId, ArchiveError> {
    let mut car = CarFile::open(BufReader::with_capacity(AHEAD, reader), limit_bytes)?;
    Ok(manifest(&mut car)?.1.stream)
}

/// Stores a stream out of an archive and pins it, if it is what the chain says: every push, every chunk and every segment up to
/// the last one that it names, the playlists in their order, and nothing else. Otherwise nothing is stored. It blocks.
///
/// # Errors
/// The archive is refused, is of another stream, goes further than the chain, or is not what the chain says; or the store
/// cannot be written.
pub fn import_stream<S: BlockStore + ?Sized>(
    reader: impl Read + Seek,
    limit_bytes: u64,
    store: &S,
    id: &StreamId,
    stream: &Stream,
) -> Result<StreamArchive, ArchiveError> {
    let mut car = CarFile::open(BufReader::with_capacity(AHEAD, reader), limit_bytes)?;
    let (root, manifest) = manifest(&mut car)?;
    if manifest.stream != *id {
        return Err(ArchiveError::Other { archived: manifest.stream });
    }
    let known = if stream.info().ended { stream.info().head } else { stream.info().finalized };
    let last = Seq::new(manifest.last.into()).filter(|last| Some(*last) <= known);
    let last = last.ok_or(ArchiveError::Ahead { last: manifest.last, known })?;
    let plan = {
        let mut source = Source::new(|cid| Ok(car.get(cid)?));
        Plan::make(id, stream, last, &manifest.without, &mut source)?
    };
    if plan.root != root {
        return Err(ArchiveError::NotTheChains {
            archived: root.into(),
            expected: plan.root.into(),
        });
    }
    let mut reader = car.into_inner();
    reader.rewind().map_err(CarError::Io)?;
    let policy = CarPolicy::exchange(limit_bytes).with_directories(true);
    let summary = import_car(reader, store, &[root], policy)?;
    store.pin(&root)?;
    let stored = Stored { blocks: summary.blocks, bytes: 0 };
    Ok(plan.archive(last, &manifest.without, stored))
}

/// Blocks and bytes of an archive.
struct Stored {
    blocks: u64,
    bytes: u64,
}

impl From<Export> for Stored {
    fn from(export: Export) -> Self {
        Self { blocks: export.blocks, bytes: export.bytes }
    }
}

impl Plan {
    fn archive(
        self,
        last: Seq,
        without: &BTreeSet<u16>,
        stored: impl Into<Stored>,
    ) -> StreamArchive {
        let Stored { blocks, bytes } = stored.into();
        let without = without.iter().filter_map(|seq| Seq::new((*seq).into())).collect();
        StreamArchive { root: self.root, last, segments: self.segments, blocks, bytes, without }
    }
}

/// The root of an archive and what stands in its description.
fn manifest<R: Read + Seek>(car: &mut CarFile<R>) -> Result<(Cid, Manifest), ArchiveError> {
    let [root] = *car.header().roots() else { return Err(ArchiveError::NoStream) };
    let block = car.get(&root)?.ok_or(ArchiveError::NoStream)?;
    let folder = Directory::decode(&block).map_err(|_| ArchiveError::NoStream)?;
    let entry = folder.find(MANIFEST).ok_or(ArchiveError::NoStream)?.cid;
    let mut source = Source::new(|cid| Ok(car.get(cid)?));
    let text = source.file(&entry, MAX_MANIFEST_BYTES)?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(ArchiveError::Manifest)?;
    if manifest.format != FORMAT {
        return Err(ArchiveError::NoStream);
    }
    Ok((root, manifest))
}

/// Why a stream was not written to an archive or taken from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It goes further than the chain that it is compared with.
    #[error("the archive goes to push {last}, the chain to {}", known.map_or("none".to_owned(), |seq| seq.to_string()))]
    Ahead {
        /// The last push of the archive.
        last: u16,
        /// The last one on the chain.
        known: Option<Seq>,
    },
    /// The archive is refused or cannot be read.
    #[error("archive is refused")]
    Car(#[from] CarError),
    /// A folder would be too large.
    #[error("folder of the archive cannot be made")]
    Directory(#[from] DirectoryError),
    /// Nothing of the stream is final yet.
    #[error("the stream has no push that is final")]
    Empty,
    /// It cannot be written.
    #[error("archive cannot be written")]
    Export(#[from] ExportError),
    /// It cannot be stored.
    #[error("archive cannot be stored")]
    Import(#[from] ImportCarError),
    /// What it says of itself cannot be read.
    #[error("{MANIFEST} cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// A name is none.
    #[error("name of the archive")]
    Name(#[from] EntryNameError),
    /// A block of content is none.
    #[error("content {cid} is no file")]
    Node {
        /// The content.
        cid: Box<Cid>,
        /// What is wrong.
        source: NodeError,
    },
    /// It is no archive of a stream.
    #[error("the archive holds no stream: it needs one root, with a {MANIFEST}")]
    NoStream,
    /// It is not what the chain's operations and the chunks make.
    #[error("the archive is {archived}, the chain's operations make {expected}")]
    NotTheChains {
        /// The root of the archive.
        archived: Box<Cid>,
        /// What it should be.
        expected: Box<Cid>,
    },
    /// It is of another stream.
    #[error("the archive is of {archived}")]
    Other {
        /// The stream that it names.
        archived: StreamId,
    },
    /// A playlist of the archive would be none, such as one of more segments than a list may have.
    #[error("playlist of the archive cannot be made")]
    Playlist(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Content cannot be read.
    #[error("content cannot be read")]
    Read(#[from] ReadError),
    /// Content is kept by another storage than IPFS, so it has no blocks.
    #[error("push {seq} is of Skynet, archives hold content of IPFS only")]
    Skynet {
        /// The push.
        seq: Seq,
    },
    /// The store failed.
    #[error("the block store failed")]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
