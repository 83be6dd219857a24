//! Reading one dag-pb node of a file: [`Node`], with every check that needs no other block.
//!
//! Strict where a lenient reader could see another file: unknown dag-pb fields and repeated values are refused. The
//! order of links and data, names and sizes of links are not checked. Source: `spec/storage.md`, section 2.4.

use bytes::Bytes;

use super::wire::{self, Field, Value, WireError};
use crate::{
    block::Block,
    cid::{self, Cid, CidError},
};

/// UnixFS types that hold file content: raw and file.
const CONTENT_TYPES: [u64; 2] = [0, 2];

/// UnixFS type of a directory in one block.
pub(super) const DIRECTORY: u64 = 1;

/// A checked node. Its links stay in the block's bytes and are read one by one, so that a node costs its block only.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    block: Bytes,
    message: Bytes,
    data: Bytes,
    file_size: u64,
}

/// Where reading a node's links stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkCursor {
    /// Bytes of the node, and of its UnixFS message, that have been read.
    block: usize,
    message: usize,
}

impl Node {
    /// Reads and checks a block that a dag-pb CID names.
    pub(crate) fn decode(block: &Block) -> Result<Self, NodeError> {
        let (message, links) = split(block.data())?;
        let unixfs = UnixFs::decode(message)?;
        if links != unixfs.sizes {
            return Err(NodeError::LinkCount { links, sizes: unixfs.sizes });
        }
        let below = unixfs.sum.checked_add(unixfs.data.len() as u64);
        match below {
            Some(sum) if sum == unixfs.file_size => Ok(Self {
                message: block.data().slice_ref(message),
                data: block.data().slice_ref(unixfs.data),
                block: block.data().clone(),
                file_size: sum,
            }),
            _ => Err(NodeError::FileSize { announced: unixfs.file_size }),
        }
    }

    /// Content that stands in the node itself, before that of its children.
    pub(crate) fn data(&self) -> &Bytes {
        &self.data
    }

    /// Bytes of content in it and below it.
    pub(crate) fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The next link and the bytes of content below it, or `None` after the last one.
    pub(crate) fn next_link(
        &self,
        cursor: &mut LinkCursor,
    ) -> Result<Option<(Cid, u64)>, NodeError> {
        let link = next_of(&self.block, &mut cursor.block, |field| match field.value {
            Value::Bytes(link) if field.number == 2 => Some(link),
            _ => None,
        })?;
        let size = next_of(&self.message, &mut cursor.message, |field| match field.value {
            Value::Varint(size) if field.number == 4 => Some(size),
            _ => None,
        })?;
        link.zip(size).map(|(link, size)| Ok((link_cid(link)?, size))).transpose()
    }
}

/// Goes on from `at` to the next field that `pick` wants.
fn next_of<'a, T>(
    bytes: &'a Bytes,
    at: &mut usize,
    pick: impl Fn(Field<'a>) -> Option<T>,
) -> Result<Option<T>, NodeError> {
    let mut rest = bytes.get(*at..).unwrap_or_default();
    while let Some(field) = wire::take(&mut rest)? {
        *at = bytes.len() - rest.len();
        if let Some(found) = pick(field) {
            return Ok(Some(found));
        }
    }
    *at = bytes.len();
    Ok(None)
}

/// Takes a dag-pb node apart: its UnixFS message and how many links it has, each with a complete CID.
fn split(mut node: &[u8]) -> Result<(&[u8], usize), NodeError> {
    let (mut message, mut links) = (None, 0);
    while let Some(field) = wire::take(&mut node)? {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => set_once(&mut message, bytes, "Data")?,
            (2, Value::Bytes(link)) => {
                link_cid(link)?;
                links += 1;
            }
            (number, _) => return Err(NodeError::Field(number)),
        }
    }
    Ok((message.ok_or(NodeError::Missing("Data"))?, links))
}

/// The UnixFS type of any node and its links, unread: what a directory is read from.
pub(super) fn kind_and_links(
    mut block: &[u8],
) -> Result<(u64, impl Iterator<Item = &[u8]>), NodeError> {
    let (mut message, _links) = split(block)?;
    let mut kind = None;
    while let Some(field) = wire::take(&mut message)? {
        if let (1, Value::Varint(value)) = (field.number, field.value) {
            set_once(&mut kind, value, "Type")?;
        }
    }
    let links = std::iter::from_fn(move || {
        loop {
            // The node was checked as a whole above, so it reads well to its end.
            let field = wire::take(&mut block).ok()??;
            if let (2, Value::Bytes(link)) = (field.number, field.value) {
                return Some(link);
            }
        }
    });
    Ok((kind.ok_or(NodeError::Missing("Type"))?, links))
}

/// The id in the next link of a dag-pb node of any kind, from byte `at` of it on: for going down, not for trust.
pub(crate) fn next_linked(block: &[u8], at: &mut usize) -> Option<Cid> {
    let mut rest = block.get(*at..)?;
    while let Ok(Some(field)) = wire::take(&mut rest) {
        *at = block.len() - rest.len();
        if let Field { number: 2, value: Value::Bytes(link) } = field
            && let Ok(cid) = link_cid(link)
        {
            return Some(cid);
        }
    }
    None
}

/// Bytes of all blocks below a root, as the root tells it: its own and what its links say of theirs. A directory that links
/// to it tells the same. A lie in a link is the writer's, and changes the root's id.
///
/// # Errors
/// A dag-pb block is none.
///
/// ```
/// use alive_storage::{Block, cid, unixfs::dag_size};
/// let id = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")?;
/// assert_eq!(dag_size(&id, &Block::check(*id.hash(), "hello world".into())?)?, 11);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dag_size(cid: &Cid, block: &Block) -> Result<u64, NodeError> {
    let own = block.data().len() as u64;
    if cid.codec() != cid::DAG_PB {
        return Ok(own);
    }
    let (_, links) = kind_and_links(block.data())?;
    Ok(links.map(link_size).fold(own, u64::saturating_add))
}

/// What a link, which has been checked, says of the size of all below it; 0 if it says nothing.
fn link_size(mut link: &[u8]) -> u64 {
    while let Ok(Some(field)) = wire::take(&mut link) {
        if let (3, Value::Varint(size)) = (field.number, field.value) {
            return size;
        }
    }
    0
}

fn link_cid(mut link: &[u8]) -> Result<Cid, NodeError> {
    let mut hash = None;
    while let Some(field) = wire::take(&mut link)? {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => set_once(&mut hash, bytes, "Hash")?,
            (2, Value::Bytes(_)) | (3, Value::Varint(_)) => {}
            (number, _) => return Err(NodeError::Field(number)),
        }
    }
    Ok(cid::from_bytes(hash.ok_or(NodeError::Missing("Hash"))?)?)
}

/// What a UnixFS message says.
struct UnixFs<'a> {
    data: &'a [u8],
    file_size: u64,
    /// How many block sizes there are, and their sum.
    sizes: usize,
    sum: u64,
}

impl<'a> UnixFs<'a> {
    fn decode(mut message: &'a [u8]) -> Result<Self, NodeError> {
        let (mut kind, mut data, mut file_size) = (None, None, None);
        let (mut sizes, mut sum) = (0, Some(0_u64));
        while let Some(field) = wire::take(&mut message)? {
            match (field.number, field.value) {
                (1, Value::Varint(value)) => set_once(&mut kind, value, "Type")?,
                (2, Value::Bytes(bytes)) => set_once(&mut data, bytes, "Data")?,
                (3, Value::Varint(value)) => set_once(&mut file_size, value, "filesize")?,
                (4, Value::Varint(size)) => {
                    sizes += 1;
                    sum = sum.and_then(|sum| sum.checked_add(size));
                }
                (number @ 1..=4, _) => return Err(NodeError::Field(number)),
                // Mode, time of change and what else later versions may add do not change the content.
                _ => {}
            }
        }
        let kind = kind.ok_or(NodeError::Missing("Type"))?;
        if !CONTENT_TYPES.contains(&kind) {
            return Err(NodeError::NotFile(kind));
        }
        let file_size = file_size.unwrap_or(0);
        let sum = sum.ok_or(NodeError::FileSize { announced: file_size })?;
        Ok(Self { data: data.unwrap_or_default(), file_size, sizes, sum })
    }
}

pub(super) fn set_once<T>(
    slot: &mut Option<T>,
    value: T,
    name: &'static str,
) -> Result<(), NodeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(NodeError::Repeated(name)),
    }
}

/// Why a dag-pb block is not a node of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A field with this number is unknown or of the wrong wire type.
    #[error("field {0} is unknown or of the wrong wire type")]
    Field(u64),
    /// The announced size is not the content here plus the sizes of the children.
    #[error("announced file size {announced} is not the sum of its parts")]
    FileSize {
        /// `filesize`, in bytes.
        announced: u64,
    },
    /// A link holds no CID.
    #[error("link holds no complete cid")]
    Link(#[from] CidError),
    /// There are not as many block sizes as links.
    #[error("{links} links but {sizes} block sizes")]
    LinkCount {
        /// Links of the node.
        links: usize,
        /// Block sizes in its UnixFS message.
        sizes: usize,
    },
    /// A part that every node has is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// It is of this UnixFS type, and no directory in one block.
    #[error("unixfs type {0} is not a directory in one block")]
    NotDirectory(u64),
    /// It is of this UnixFS type: a directory (1), metadata (3), a symbolic link (4), a part of a directory (5), or
    /// unknown.
    #[error("unixfs type {0} is not a file")]
    NotFile(u64),
    /// A part that may stand once stands twice.
    #[error("{0} stands twice")]
    Repeated(&'static str),
    /// It is not protobuf.
    #[error("not a protobuf message")]
    Wire(#[from] WireError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::NewBlock, cid::DAG_PB};

    fn decode(bytes: &[u8]) -> Result<Node, NodeError> {
        let new = NewBlock::hash(|hash| Cid::new_v1(DAG_PB, hash), [bytes, &[], &[]]);
        Node::decode(&Block::check(*new.cid().hash(), new.to_bytes()).unwrap())
    }

    /// A node of the given links (their ids) and UnixFS message.
    fn node(links: &[&[u8]], message: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for id in links {
            wire::put_bytes_head(2, id.len() as u64 + 2, &mut bytes);
            wire::put_bytes_head(1, id.len() as u64, &mut bytes);
            bytes.extend_from_slice(id);
        }
        wire::put_bytes_head(1, message.len() as u64, &mut bytes);
        bytes.extend_from_slice(message);
        bytes
    }

    fn v0_link() -> Vec<u8> {
        [&[0x12, 0x20][..], &[7; 32]].concat()
    }

    #[test]
    fn inner_data_stands_before_the_children() {
        let message = [8, 2, 0x12, 2, b'h', b'i', 0x18, 7, 0x20, 5];
        let node = decode(&node(&[&v0_link()], &message)).unwrap();
        assert_eq!((node.data().as_ref(), node.file_size()), (&b"hi"[..], 7));
        let mut cursor = LinkCursor::default();
        let (cid, size) = node.next_link(&mut cursor).unwrap().unwrap();
        assert_eq!((cid.to_bytes(), size), (v0_link(), 5));
        assert!(node.next_link(&mut cursor).unwrap().is_none());
    }

    #[test]
    fn data_before_links_is_read_too() {
        let mut bytes = vec![0x0a, 6, 8, 2, 0x18, 5, 0x20, 5];
        bytes.extend([0x12, 36, 0x0a, 34]);
        bytes.extend(v0_link());
        let node = decode(&bytes).unwrap();
        assert!(node.next_link(&mut LinkCursor::default()).unwrap().is_some());
    }

    #[test]
    fn mode_and_time_of_change_are_skipped() {
        let message = [8, 2, 0x12, 1, b'x', 0x18, 1, 0x38, 0xa4, 3, 0x42, 2, 8, 1];
        assert_eq!(decode(&node(&[], &message)).unwrap().file_size(), 1);
    }

    #[test]
    fn an_absent_file_size_counts_as_zero() {
        assert_eq!(decode(&node(&[], &[8, 2])).unwrap().file_size(), 0);
        let with_data = decode(&node(&[], &[8, 2, 0x12, 1, b'x'])).unwrap_err();
        assert_eq!(with_data, NodeError::FileSize { announced: 0 });
    }

    #[test]
    fn nodes_that_are_no_files_are_refused() {
        for kind in [1, 3, 4, 5, 6] {
            let refused = decode(&node(&[], &[8, kind])).unwrap_err();
            assert_eq!(refused, NodeError::NotFile(kind.into()));
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let link = v0_link();
        let count = decode(&node(&[&link], &[8, 2, 0x18, 0])).unwrap_err();
        assert_eq!(count, NodeError::LinkCount { links: 1, sizes: 0 });
        let sum = decode(&node(&[&link], &[8, 2, 0x18, 4, 0x20, 5])).unwrap_err();
        assert_eq!(sum, NodeError::FileSize { announced: 4 });
        let short = decode(&node(&[&link[..33]], &[8, 2, 0x18, 5, 0x20, 5])).unwrap_err();
        assert!(matches!(short, NodeError::Link(_)));
        let mut twice = node(&[], &[8, 2]);
        twice.extend([0x0a, 2, 8, 2]);
        assert_eq!(decode(&twice).unwrap_err(), NodeError::Repeated("Data"));
        assert_eq!(decode(&[]).unwrap_err(), NodeError::Missing("Data"));
        assert_eq!(decode(&[0x0a, 0]).unwrap_err(), NodeError::Missing("Type"));
        assert_eq!(decode(&[0x12, 0, 0x0a, 2, 8, 2]).unwrap_err(), NodeError::Missing("Hash"));
        let packed = node(&[&link], &[8, 2, 0x18, 5, 0x22, 1, 5]);
        assert_eq!(decode(&packed).unwrap_err(), NodeError::Field(4));
        assert_eq!(decode(&[0x08, 1]).unwrap_err(), NodeError::Field(1));
        assert_eq!(decode(&[0x0a, 3, 8, 2]).unwrap_err(), NodeError::Wire(WireError::Truncated));
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let link = v0_link();
        let mut message = vec![8, 2];
        for _ in 0..2 {
            wire::put_varint(4, u64::MAX, &mut message);
        }
        let refused = decode(&node(&[&link, &link], &message)).unwrap_err();
        assert!(matches!(refused, NodeError::FileSize { .. }));
    }
}
