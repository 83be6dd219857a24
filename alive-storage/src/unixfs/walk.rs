//! Reading a file's tree without I/O: [`FileWalk`] says which block it needs next and gives the content in order.
//!
//! The same walk serves a store on disk, a gateway over HTTP or a set of blocks in memory: whoever drives it fetches.
//! Blocks come in as [`Block`], so their hash is checked before a byte of them is looked at.

use std::{mem, ops::Range};

use bytes::Bytes;

use super::node::{LinkCursor, Node, NodeError};
use crate::{
    block::Block,
    cid::{self, Cid},
    store::StoreError,
};

/// Deepest node, in links from the root. Source: `spec/storage.md`, section 2.4.
pub const MAX_DEPTH: usize = 32;
/// Most nodes without content in one walk. No importer makes any; without a limit a tree of them, each linked
/// thousands of times, would take for ever.
pub const MAX_EMPTY_NODES: u32 = 1024;

/// What a [`FileWalk`] has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// It needs this block: give it to [`FileWalk::supply`].
    Block(Cid),
    /// The next bytes of content.
    Data(Bytes),
    /// All content has been given.
    Done,
}

/// A walk over the tree of a file, or over the part of it that a range of bytes needs.
///
/// Any chunk size, any width and unbalanced trees with content in inner nodes are read; what contradicts itself is
/// refused (see [`ReadError`]). Memory is one block a level, at most [`MAX_DEPTH`] of them.
///
/// ```
/// use alive_storage::{Block, cid, unixfs::{FileWalk, Step}};
/// let id = cid::parse("Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD")?;
/// let mut walk = FileWalk::range(id, 6..100);
/// assert_eq!(walk.poll()?, Step::Block(id));
/// let bytes = b"\x0a\x11\x08\x02\x12\x0bhello world\x18\x0b";
/// walk.supply(&Block::check(*id.hash(), bytes.as_slice().into())?)?;
/// assert_eq!(walk.file_size(), Some(11));
/// assert_eq!(walk.poll()?, Step::Data("world".into()));
/// assert_eq!(walk.poll()?, Step::Done);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileWalk {
    /// The bytes asked for; its end is cut to the file's size as soon as that is known.
    range: Range<u64>,
    limit: u64,
    file_size: Option<u64>,
    wanted: Option<Wanted>,
    ready: Bytes,
    stack: Vec<Frame>,
    empty_nodes: u32,
}

/// A block that is needed next.
#[derive(Clone, Debug)]
struct Wanted {
    cid: Cid,
    /// Where its content starts in the file, and how long it is by its parent's word.
    start: u64,
    size: Option<u64>,
}

/// A node whose children are being read.
#[derive(Clone, Debug)]
struct Frame {
    node: Node,
    cursor: LinkCursor,
    /// Where the content of the next child starts in the file.
    start: u64,
}

impl FileWalk {
    /// The whole file, if it has at most `limit` bytes.
    pub fn whole(root: Cid, limit: u64) -> Self {
        Self::new(root, 0..u64::MAX, limit)
    }

    /// The bytes of a range, as far as the file has them; only blocks that hold some of them, and their parents, are
    /// asked for.
    pub fn range(root: Cid, range: Range<u64>) -> Self {
        Self::new(root, range, u64::MAX)
    }

    fn new(root: Cid, range: Range<u64>, limit: u64) -> Self {
        Self {
            range,
            limit,
            file_size: None,
            wanted: Some(Wanted { cid: root, start: 0, size: None }),
            ready: Bytes::new(),
            stack: Vec::new(),
            empty_nodes: 0,
        }
    }

    /// Bytes of content in the whole file, known once the root has been supplied.
    pub fn file_size(&self) -> Option<u64> {
        self.file_size
    }

    /// Goes on to the next step. Asking again without supplying the block gives the same step.
    ///
    /// # Errors
    /// The tree is refused; the walk is of no use then.
    pub fn poll(&mut self) -> Result<Step, ReadError> {
        loop {
            if !self.ready.is_empty() {
                return Ok(Step::Data(mem::take(&mut self.ready)));
            }
            if let Some(wanted) = &self.wanted {
                let cid = wanted.cid;
                match Block::of_identity(cid.hash()) {
                    None => return Ok(Step::Block(cid)),
                    Some(block) => self.supply(&block)?,
                }
            } else if !self.descend()? {
                return Ok(Step::Done);
            }
        }
    }

    /// Takes the block that [`poll`](Self::poll) asked for.
    ///
    /// # Errors
    /// It is another block, or does not fit what its parent says, or the file is larger than the limit.
    pub fn supply(&mut self, block: &Block) -> Result<(), ReadError> {
        let wanted = self.wanted.take().ok_or(ReadError::NotAsked)?;
        if wanted.cid.hash() != block.hash() {
            return Err(ReadError::NotAsked);
        }
        match wanted.cid.codec() {
            cid::RAW => {
                self.enter(&wanted, block.data().len() as u64)?;
                self.offer(wanted.start, block.data());
            }
            cid::DAG_PB => {
                let node = Node::decode(block)
                    .map_err(|source| ReadError::Node { cid: wanted.cid.into(), source })?;
                self.enter(&wanted, node.file_size())?;
                self.offer(wanted.start, node.data());
                let start = wanted.start + node.data().len() as u64;
                self.stack.push(Frame { node, cursor: LinkCursor::default(), start });
            }
            codec => return Err(ReadError::Codec { cid: wanted.cid.into(), codec }),
        }
        Ok(())
    }

    /// Goes past the block that was asked for, without its content, by its parent's word.
    pub(crate) fn skip(&mut self) -> Result<(), ReadError> {
        let wanted = self.wanted.take().ok_or(ReadError::NotAsked)?;
        wanted.size.map_or(Ok(()), |size| self.enter(&wanted, size))
    }

    /// Bytes of content that the walk gives in all, once the root has been supplied.
    pub(super) fn range_len(&self) -> u64 {
        self.file_size.map_or(0, |_| self.range.end.saturating_sub(self.range.start))
    }

    /// Compares the size of a node's content with what is known about it.
    fn enter(&mut self, wanted: &Wanted, size: u64) -> Result<(), ReadError> {
        match wanted.size {
            None if size > self.limit => {
                return Err(ReadError::TooLarge { size, limit: self.limit });
            }
            None => {
                self.file_size = Some(size);
                self.range.end = self.range.end.min(size);
            }
            Some(announced) if announced != size => {
                return Err(ReadError::ChildSize { cid: wanted.cid.into(), announced, size });
            }
            Some(0) => {
                self.empty_nodes += 1;
                if self.empty_nodes > MAX_EMPTY_NODES {
                    return Err(ReadError::EmptyNodes);
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Keeps what the range wants of content that starts at `start`.
    fn offer(&mut self, start: u64, data: &Bytes) {
        let end = start + data.len() as u64;
        let from = self.range.start.clamp(start, end) - start;
        let to = self.range.end.clamp(start, end) - start;
        // Both are at most the length of `data`.
        #[expect(clippy::cast_possible_truncation, reason = "offsets inside a block")]
        if from < to {
            self.ready = data.slice(from as usize..to as usize);
        }
    }

    /// Finds the next child that the range needs; `false` at the end.
    fn descend(&mut self) -> Result<bool, ReadError> {
        let whole = self.file_size.is_some_and(|size| self.range == (0..size));
        while let Some(frame) = self.stack.last_mut() {
            if frame.start >= self.range.end && !whole {
                self.stack.clear();
                break;
            }
            let Some((cid, size)) = frame.next()? else {
                self.stack.pop();
                continue;
            };
            let start = frame.start;
            frame.start += size;
            if !whole && frame.start <= self.range.start {
                continue;
            }
            if self.stack.len() > MAX_DEPTH {
                return Err(ReadError::Depth);
            }
            self.wanted = Some(Wanted { cid, start, size: Some(size) });
            return Ok(true);
        }
        Ok(false)
    }
}

impl Frame {
    fn next(&mut self) -> Result<Option<(Cid, u64)>, ReadError> {
        // The node was checked as a whole when it was decoded, so its links read well.
        self.node.next_link(&mut self.cursor).map_err(ReadError::Link)
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A child has another size than its parent says.
    #[error("{cid} holds {size} bytes of content, its parent says {announced}")]
    ChildSize {
        /// The child.
        cid: Box<Cid>,
        /// What the parent says, in bytes.
        announced: u64,
        /// What the child holds, in bytes.
        size: u64,
    },
    /// Neither dag-pb nor raw.
    #[error("{cid} is of codec {codec:#x}, neither dag-pb nor raw")]
    Codec {
        /// The block.
        cid: Box<Cid>,
        /// Its codec.
        codec: u64,
    },
    /// A directory is refused.
    #[error("directory {cid} is refused")]
    Directory {
        /// The directory.
        cid: Box<Cid>,
        /// What is wrong with it.
        source: super::DirectoryError,
    },
    /// A node lies deeper than [`MAX_DEPTH`].
    #[error("tree of more than {MAX_DEPTH} levels below its root")]
    Depth,
    /// There are more than [`MAX_EMPTY_NODES`] nodes without content.
    #[error("tree with more than {MAX_EMPTY_NODES} empty nodes")]
    EmptyNodes,
    /// A link of a node cannot be read.
    #[error("link cannot be read")]
    Link(#[source] NodeError),
    /// A block of the tree is not in the store.
    #[error("block {0} is missing")]
    Missing(Box<Cid>),
    /// A directory has no entry of this name.
    #[error("directory {cid} has no {name}")]
    NoEntry {
        /// The directory.
        cid: Box<Cid>,
        /// The start of the name.
        name: alive_core::Excerpt,
    },
    /// A block is not a node of a file.
    #[error("{cid} is not a node of a file")]
    Node {
        /// The block.
        cid: Box<Cid>,
        /// What is wrong with it.
        source: NodeError,
    },
    /// A block was supplied that the walk did not ask for.
    #[error("block was not asked for")]
    NotAsked,
    /// The store could not give a block.
    #[error("block {cid} cannot be read")]
    Store {
        /// The block.
        cid: Box<Cid>,
        /// Why.
        source: StoreError,
    },
    /// The file is larger than the caller takes.
    #[error("file of {size} bytes, at most {limit} wanted")]
    TooLarge {
        /// Bytes of content.
        size: u64,
        /// The caller's limit, in bytes.
        limit: u64,
    },
}
