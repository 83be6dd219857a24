//! Whether blocks that come in any order make whole files and directories: [`Trees`].
//!
//! Of each block only its links and sizes are kept, so that a file of any size is checked in the memory of its outline. What
//! is accepted here is what [`FileWalk`](super::FileWalk) reads to the end.

use std::collections::HashMap;

use super::{
    Directory, MAX_DEPTH, MAX_EMPTY_NODES, NodeError, ReadError,
    node::{LinkCursor, Node},
};
use crate::{
    block::{Block, sha2_256},
    cid::{self, Cid, Multihash},
};

/// The outline of blocks.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    blocks: HashMap<Key, Outline>,
    links: usize,
    /// What has been found whole, by hash and whether it was read as a raw block.
    whole: HashMap<(Key, bool), Whole>,
}

/// A multihash in little room: the longest that is allowed takes 130 bytes, and there is one for every block and link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Other(Box<Multihash>),
    Sha2([u8; 32]),
}

/// A link in little room.
#[derive(Clone, Debug)]
struct Link {
    key: Key,
    codec: u64,
}

/// What is kept of a block.
#[derive(Debug)]
struct Outline {
    size: u64,
    /// As a dag-pb node; `None` if its own id says that it is none and it does not begin like one.
    node: Option<Result<Shape, NodeError>>,
}

#[derive(Debug)]
enum Shape {
    Directory(Box<[Link]>),
    File { size: u64, links: Box<[(Link, u64)]> },
}

/// What is known of a tree that is whole.
#[derive(Clone, Copy, Debug)]
struct Whole {
    /// Bytes of content; `None` for a directory.
    size: Option<u64>,
    /// Levels below.
    height: usize,
    /// Nodes without content below, each as often as it is linked.
    empty: u32,
}

impl Trees {
    /// Takes a block; again is no error. Gives `false` if it was here.
    pub(crate) fn add(&mut self, cid: &Cid, block: &Block) -> bool {
        let key = Key::of(block.hash());
        if self.blocks.contains_key(&key) {
            return false;
        }
        let node = looks_like_node(cid, block).then(|| Shape::of(block));
        if let Some(Ok(shape)) = &node {
            self.links += shape.len();
        }
        let outline = Outline { size: block.data().len() as u64, node };
        self.blocks.insert(key, outline);
        true
    }

    /// Blocks that were taken, and links in them.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.blocks.len(), self.links)
    }

    /// Checks that a root and all below it are here and fit together. Gives its bytes of content, or `None` for a
    /// directory, which is accepted only if `directories`.
    pub(crate) fn check(
        &mut self,
        root: &Cid,
        directories: bool,
    ) -> Result<Option<u64>, ReadError> {
        let whole = self.visit(&Link::of(root), 0, directories)?;
        if whole.empty > MAX_EMPTY_NODES {
            return Err(ReadError::EmptyNodes);
        }
        Ok(whole.size)
    }

    /// Whether a block is part of what was checked.
    pub(crate) fn is_part(&self, hash: &Multihash) -> bool {
        let key = Key::of(hash);
        [true, false].into_iter().any(|raw| self.whole.contains_key(&(key.clone(), raw)))
    }

    /// Goes down, at most [`MAX_DEPTH`] levels; every block is looked at once however often it is linked.
    fn visit(&mut self, link: &Link, depth: usize, directories: bool) -> Result<Whole, ReadError> {
        let raw = match link.codec {
            cid::RAW => true,
            cid::DAG_PB => false,
            codec => return Err(ReadError::Codec { cid: link.to_cid(), codec }),
        };
        let key = (link.key.clone(), raw);
        if let Some(known) = self.whole.get(&key) {
            let fits = depth + known.height <= MAX_DEPTH;
            return if fits { Ok(*known) } else { Err(ReadError::Depth) };
        }
        if depth > MAX_DEPTH {
            return Err(ReadError::Depth);
        }
        if let Key::Other(hash) = &link.key
            && let Some(block) = Block::of_identity(hash)
        {
            self.add(&link.to_cid(), &block);
        }
        let missing = || ReadError::Missing(link.to_cid());
        let outline = self.blocks.get_mut(&link.key).ok_or_else(missing)?;
        let whole = if raw {
            Whole { size: Some(outline.size), height: 0, empty: 0 }
        } else {
            // Taken out while its children are visited; it cannot be among them.
            let no_node = || Err(NodeError::Missing("Data"));
            let shape = outline.node.take().unwrap_or_else(no_node);
            let refused = |source| ReadError::Node { cid: link.to_cid(), source };
            let shape = shape.map_err(refused)?;
            let whole = self.visit_children(link, &shape, depth, directories)?;
            if let Some(outline) = self.blocks.get_mut(&link.key) {
                outline.node = Some(Ok(shape));
            }
            whole
        };
        self.whole.insert(key, whole);
        Ok(whole)
    }

    fn visit_children(
        &mut self,
        parent: &Link,
        shape: &Shape,
        depth: usize,
        directories: bool,
    ) -> Result<Whole, ReadError> {
        let mut whole = Whole { size: None, height: 0, empty: 0 };
        match shape {
            Shape::Directory(_) if !directories => {
                let source = NodeError::NotFile(super::node::DIRECTORY);
                return Err(ReadError::Node { cid: parent.to_cid(), source });
            }
            Shape::Directory(entries) => {
                for entry in entries {
                    let child = self.visit(entry, depth + 1, true)?;
                    whole.add(child);
                }
            }
            Shape::File { size, links } => {
                whole.size = Some(*size);
                for (link, announced) in links {
                    // A directory is no part of a file, wherever directories may stand.
                    let child = self.visit(link, depth + 1, false)?;
                    let announced = *announced;
                    match child.size {
                        Some(size) if size == announced => whole.add(child),
                        Some(size) => {
                            let cid = link.to_cid();
                            return Err(ReadError::ChildSize { cid, announced, size });
                        }
                        None => {
                            let source = NodeError::NotFile(super::node::DIRECTORY);
                            return Err(ReadError::Node { cid: link.to_cid(), source });
                        }
                    }
                    whole.empty = whole.empty.saturating_add(u32::from(announced == 0));
                }
            }
        }
        Ok(whole)
    }
}

impl Key {
    fn of(hash: &Multihash) -> Self {
        match (hash.code(), hash.digest().try_into()) {
            (cid::SHA2_256, Ok(digest)) => Self::Sha2(digest),
            _ => Self::Other((*hash).into()),
        }
    }
}

impl Link {
    fn of(cid: &Cid) -> Self {
        Self { key: Key::of(cid.hash()), codec: cid.codec() }
    }

    /// The id, in version 1.
    fn to_cid(&self) -> Box<Cid> {
        let hash = match &self.key {
            Key::Other(hash) => **hash,
            Key::Sha2(digest) => sha2_256(digest),
        };
        Cid::new_v1(self.codec, hash).into()
    }
}

impl Whole {
    fn add(&mut self, child: Self) {
        self.height = self.height.max(child.height + 1);
        self.empty = self.empty.saturating_add(child.empty);
    }
}

impl Shape {
    fn of(block: &Block) -> Result<Self, NodeError> {
        match Node::decode(block) {
            Ok(node) => {
                let (mut links, mut cursor) = (Vec::new(), LinkCursor::default());
                while let Some(link) = node.next_link(&mut cursor)? {
                    links.push((Link::of(&link.0), link.1));
                }
                Ok(Self::File { size: node.file_size(), links: links.into() })
            }
            Err(refused @ NodeError::NotFile(super::node::DIRECTORY)) => {
                let Ok(directory) = Directory::decode(block) else { return Err(refused) };
                Ok(Self::Directory(
                    directory.entries().map(|(_, entry)| Link::of(&entry.cid)).collect(),
                ))
            }
            Err(refused) => Err(refused),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Directory(entries) => entries.len(),
            Self::File { links, .. } => links.len(),
        }
    }
}

/// Every node begins with the tag of its links or of its data, whatever codec its writer gave it.
fn looks_like_node(cid: &Cid, block: &Block) -> bool {
    cid.codec() == cid::DAG_PB || matches!(block.data().first(), Some(0x0a | 0x12))
}

#[cfg(test)]
mod tests;
