//! Cutting a file into blocks: [`Importer`].
//!
//! The tree is packed level by level, so all leaves have the same depth and a last group of one node still gets its own
//! parent. A level is written out only when a node comes that it has no room for: whether the first group of a level
//! is the root is known no earlier. Source: `spec/storage.md`, sections 2.2 and 2.3.

use std::io::{self, Read};

use super::{ImportOptions, wire};
use crate::{
    block::NewBlock,
    cid::{self, Cid, Multihash, Version},
    varint,
};

/// `Type` of a UnixFS message: a file.
const FILE: u64 = 2;

/// Cuts content that is pushed in pieces of any size, and hands every block to a sink.
///
/// The sink is called for every node, leaves before their parents and the root last; equal nodes come each time. Memory
/// is one chunk and one node a level, whatever the size of the file. A sink's error ends the import.
///
/// ```
/// use std::convert::Infallible;
/// use alive_storage::unixfs::{ImportOptions, Importer};
/// let mut sink = |_block: &alive_storage::NewBlock<'_>| Ok::<(), Infallible>(());
/// let mut importer = Importer::new(ImportOptions::default());
/// importer.push(b"hello ", &mut sink)?;
/// importer.push(b"world", &mut sink)?;
/// let root = importer.finish(&mut sink)?;
/// assert_eq!(root.cid.to_string(), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
/// # Ok::<(), Infallible>(())
/// ```
#[derive(Clone, Debug)]
pub struct Importer {
    options: ImportOptions,
    /// Content of the leaf that is not full yet.
    pending: Vec<u8>,
    /// Nodes that have no parent yet, leaves first.
    levels: Vec<Level>,
    blocks: u64,
}

/// What an import made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Root {
    /// Id of the file.
    pub cid: Cid,
    /// Bytes of content.
    pub file_size: u64,
    /// Bytes of all blocks, each counted as often as it is linked: what `ipfs add` calls `Size`.
    pub dag_size: u64,
    /// Nodes made, each counted as often as it came.
    pub blocks: u64,
}

impl Importer {
    /// Starts a file.
    pub fn new(options: ImportOptions) -> Self {
        Self { options, pending: Vec::new(), levels: Vec::new(), blocks: 0 }
    }

    /// Takes the next bytes. Whole chunks inside `data` are hashed where they are.
    ///
    /// # Errors
    /// Those of the sink; the importer is of no use then.
    pub fn push<E>(
        &mut self,
        mut data: &[u8],
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let chunk = self.options.chunk_size();
        while !data.is_empty() {
            if self.pending.is_empty() && data.len() >= chunk {
                let (piece, rest) = data.split_at(chunk);
                self.leaf(piece, sink)?;
                data = rest;
                continue;
            }
            let room = chunk - self.pending.len();
            let (piece, rest) = data.split_at(room.min(data.len()));
            self.pending.extend_from_slice(piece);
            data = rest;
            if self.pending.len() == chunk {
                self.pending_leaf(sink)?;
            }
        }
        Ok(())
    }

    /// Ends the file: makes the last leaf and the parents that are missing.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish<E>(
        mut self,
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<Root, E> {
        if !self.pending.is_empty() || self.levels.is_empty() {
            self.pending_leaf(sink)?;
        }
        let mut at = 0;
        loop {
            let top = at + 1 == self.levels.len();
            match self.levels.get(at) {
                Some(level) if top && level.nodes == 1 => return Ok(self.root(level)),
                _ => self.close(at, sink)?,
            }
            at += 1;
        }
    }

    /// The root of what has been pushed so far, as if the file ended here; it may go on.
    ///
    /// This is for a file that still grows: each time it costs one leaf and one node a level, however long the file is,
    /// and the id is the one that the file has at that length. Blocks that only this end needs go to the sink, too; of
    /// those before, it has had all.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use alive_storage::unixfs::{ImportOptions, Importer};
    /// let mut sink = |_block: &alive_storage::NewBlock<'_>| Ok::<(), Infallible>(());
    /// let mut importer = Importer::new(ImportOptions::default());
    /// importer.push(b"hello world", &mut sink)?;
    /// let root = importer.root_so_far(&mut sink)?;
    /// assert_eq!(root.cid.to_string(), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
    /// importer.push(b"!", &mut sink)?;
    /// assert_eq!(importer.root_so_far(&mut sink)?.file_size, 12);
    /// # Ok::<(), Infallible>(())
    /// ```
    ///
    /// # Errors
    /// Those of the sink; the importer may go on.
    pub fn root_so_far<E>(
        &self,
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<Root, E> {
        self.clone().finish(sink)
    }

    /// Takes what a reader gives until it is at its end for now; call it again when the file has grown. The number of
    /// bytes that came is returned. The reader is asked for one chunk at a time.
    ///
    /// # Errors
    /// Those of the reader and of the sink; after an error of the sink the importer is of no use.
    pub fn push_from<E: From<io::Error>>(
        &mut self,
        mut reader: impl Read,
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut taken = 0;
        loop {
            // The pending leaf is filled in place, and hashed where it is.
            let mut pending = std::mem::take(&mut self.pending);
            let had = pending.len();
            pending.resize(self.options.chunk_size(), 0);
            let read = fill(&mut reader, pending.get_mut(had..).unwrap_or_default());
            pending.truncate(had + *read.as_ref().unwrap_or(&0));
            self.pending = pending;
            taken += read? as u64;
            if self.pending.len() < self.options.chunk_size() {
                return Ok(taken);
            }
            self.pending_leaf(sink)?;
        }
    }

    fn root(&self, level: &Level) -> Root {
        let Tally { cid, file_size, dag_size } = level.last;
        Root { cid, file_size, dag_size, blocks: self.blocks }
    }

    fn pending_leaf<E>(
        &mut self,
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut piece = std::mem::take(&mut self.pending);
        let done = self.leaf(&piece, sink);
        piece.clear();
        self.pending = piece;
        done
    }

    fn leaf<E>(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let leaf = Leaf::hash(piece, &self.options);
        self.push_leaf(piece, &leaf, sink)
    }

    /// Takes a whole leaf that was hashed before, also on another thread. Nothing else may be pending.
    pub(super) fn push_leaf<E>(
        &mut self,
        piece: &[u8],
        leaf: &Leaf,
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let block = NewBlock::hashed(leaf.cid, [&leaf.head, piece, &leaf.tail]);
        self.emit(0, &block, (piece.len() as u64, 0), sink)
    }

    /// Hands out a node and puts it on its level; `below` are the file bytes and block bytes under it.
    fn emit<E>(
        &mut self,
        at: usize,
        block: &NewBlock<'_>,
        (file_size, dag_below): (u64, u64),
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        sink(block)?;
        self.blocks += 1;
        let dag_size = block.size() as u64 + dag_below;
        let node = Tally { cid: *block.cid(), file_size, dag_size };
        if self.levels.get(at).is_some_and(|level| level.nodes == self.options.max_links()) {
            self.close(at, sink)?;
        }
        match self.levels.get_mut(at) {
            Some(level) => level.add(node),
            None => self.levels.push(Level::new(node)),
        }
        Ok(())
    }

    /// Makes the parent of all nodes of a level.
    fn close<E>(
        &mut self,
        at: usize,
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(level) = self.levels.get_mut(at) else { return Ok(()) };
        let links = std::mem::take(&mut level.links);
        let below = (level.file_size, level.dag_size);
        let mut data = Vec::with_capacity(level.sizes.len() + 24);
        let message = message_head(below.0, level.sizes.len() as u64, &mut data);
        data.extend_from_slice(&message);
        data.append(&mut level.sizes);
        (level.nodes, level.file_size, level.dag_size) = (0, 0, 0);
        let block = NewBlock::hash(self.node_cid(), [&links, &data, &[]]);
        self.emit(at + 1, &block, below, sink)?;
        self.recycle(at, links);
        Ok(())
    }

    /// Gives a level its buffer back, so that a long import allocates no more.
    fn recycle(&mut self, at: usize, mut links: Vec<u8>) {
        links.clear();
        if let Some(level) = self.levels.get_mut(at) {
            level.links = links;
        }
    }

    fn node_cid(&self) -> impl FnOnce(Multihash) -> Cid + use<> {
        node_cid(self.options.cid_version())
    }
}

/// How dag-pb nodes are named in a version.
#[expect(clippy::expect_used, reason = "a version 0 cid of SHA2-256 with 32 bytes exists always")]
pub(super) fn node_cid(version: Version) -> impl FnOnce(Multihash) -> Cid + use<> {
    move |hash| match version {
        Version::V0 => Cid::new_v0(hash).expect("it is SHA2-256 with 32 bytes"),
        Version::V1 => Cid::new_v1(cid::DAG_PB, hash),
    }
}

/// Cuts all that a reader gives. The reader is asked for one chunk at a time.
///
/// # Errors
/// Those of the reader and of the sink.
pub fn import<E: From<io::Error>>(
    reader: impl Read,
    options: ImportOptions,
    sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
) -> Result<Root, E> {
    let mut importer = Importer::new(options);
    importer.push_from(reader, sink)?;
    importer.finish(sink)
}

/// Reads until the buffer is full or the input at its end.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(room) = buffer.get_mut(len..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// What is around the content of a leaf, and its id.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    cid: Cid,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Leaf {
    pub(super) fn hash(piece: &[u8], options: &ImportOptions) -> Self {
        if options.raw_leaves() {
            let cid_of = |hash| Cid::new_v1(cid::RAW, hash);
            let cid = *NewBlock::hash(cid_of, [piece, &[], &[]]).cid();
            return Self { cid, head: Vec::new(), tail: Vec::new() };
        }
        let (head, tail) = leaf_frame(piece.len() as u64);
        let block = NewBlock::hash(node_cid(options.cid_version()), [&head, piece, &tail]);
        Self { cid: *block.cid(), head, tail }
    }
}

/// Id and sizes of a node.
#[derive(Clone, Copy, Debug)]
struct Tally {
    cid: Cid,
    file_size: u64,
    dag_size: u64,
}

/// Nodes that wait for their parent, already in the form they take in it.
#[derive(Clone, Debug)]
struct Level {
    links: Vec<u8>,
    sizes: Vec<u8>,
    nodes: usize,
    file_size: u64,
    dag_size: u64,
    last: Tally,
}

impl Level {
    fn new(node: Tally) -> Self {
        let (links, sizes) = (Vec::new(), Vec::new());
        let mut level = Self { links, sizes, nodes: 0, file_size: 0, dag_size: 0, last: node };
        level.add(node);
        level
    }

    fn add(&mut self, node: Tally) {
        put_link(&node.cid, "", node.dag_size, &mut self.links);
        wire::put_varint(4, node.file_size, &mut self.sizes);
        self.nodes += 1;
        self.file_size += node.file_size;
        self.dag_size += node.dag_size;
        self.last = node;
    }
}

/// Appends field 2 of a dag-pb node: id, name (empty in files), size of the tree below.
pub(super) fn put_link(cid: &Cid, name: &str, dag_size: u64, to: &mut Vec<u8>) {
    let (cid, name) = (cid.to_bytes(), name.as_bytes());
    let (cid_len, name_len) = (cid.len() as u64, name.len() as u64);
    let ends = 1 + varint::len(cid_len) + cid_len + 1 + varint::len(name_len) + name_len;
    wire::put_bytes_head(2, ends + 1 + varint::len(dag_size), to);
    wire::put_bytes_head(1, cid_len, to);
    to.extend_from_slice(&cid);
    wire::put_bytes_head(2, name_len, to);
    to.extend_from_slice(name);
    wire::put_varint(3, dag_size, to);
}

/// The bytes before and after the content in a dag-pb leaf.
fn leaf_frame(len: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut data, mut tail) = (Vec::with_capacity(24), Vec::with_capacity(11));
    wire::put_varint(1, FILE, &mut data);
    if len > 0 {
        wire::put_bytes_head(2, len, &mut data);
    }
    wire::put_varint(3, len, &mut tail);
    let mut head = Vec::with_capacity(24);
    wire::put_bytes_head(1, data.len() as u64 + len + tail.len() as u64, &mut head);
    head.append(&mut data);
    (head, tail)
}

/// Appends the start of a parent's field 1 and returns the fields before the `sizes_len` bytes of block sizes.
fn message_head(file_size: u64, sizes_len: u64, to: &mut Vec<u8>) -> Vec<u8> {
    let mut message = Vec::with_capacity(13);
    wire::put_varint(1, FILE, &mut message);
    wire::put_varint(3, file_size, &mut message);
    wire::put_bytes_head(1, message.len() as u64 + sizes_len, to);
    message
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::unixfs::Profile;

    fn blocks_of(pieces: &[&[u8]], options: ImportOptions) -> (Root, Vec<(Cid, Vec<u8>)>) {
        let mut blocks = Vec::new();
        let mut sink = |block: &NewBlock<'_>| {
            blocks.push((*block.cid(), block.to_bytes().to_vec()));
            Ok::<(), Infallible>(())
        };
        let mut importer = Importer::new(options);
        for piece in pieces {
            importer.push(piece, &mut sink).unwrap();
        }
        let root = importer.finish(&mut sink).unwrap();
        (root, blocks)
    }

    fn cid_of(data: &[u8], options: impl Into<ImportOptions>) -> String {
        blocks_of(&[data], options.into()).0.cid.to_string()
    }

    #[test]
    fn landmarks_of_the_spec_hold() {
        let (v0, v1) = (Profile::UnixfsV02015, Profile::CidV1256k);
        assert_eq!(cid_of(b"", v0), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
        let raw_empty = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        assert_eq!(cid_of(b"", v1), raw_empty);
        assert_eq!(cid_of(b"hello world", v0), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
        let raw_hello = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
        assert_eq!(cid_of(b"hello world", v1), raw_hello);
        let v0_raw = ImportOptions::from(v0).with_raw_leaves(true);
        assert_eq!(cid_of(b"hello world", v0_raw), raw_hello);
        let (_, blocks) = blocks_of(&[], v0.into());
        assert_eq!(blocks[0].1, [0x0a, 4, 8, 2, 0x18, 0]);
    }

    #[test]
    fn a_lone_last_node_still_gets_its_own_parent() {
        let options = ImportOptions::default().with_chunk_size(1).unwrap();
        let options = options.with_max_links(3).unwrap();
        let (root, blocks) = blocks_of(&[b"abcd"], options);
        assert_eq!(root.blocks, 4 + 2 + 1);
        assert_eq!(blocks.len(), 7);
        assert_eq!(blocks[6].0, root.cid);
        assert_eq!(blocks[5].1[..4], [0x12, 0x2a - 2, 0x0a, 0x22]);
    }

    proptest! {
        #[test]
        fn a_growing_file_has_at_any_length_the_root_of_that_length(
            data in proptest::collection::vec(any::<u8>(), 0..300),
            steps in proptest::collection::vec(0_usize..40, 0..20),
            chunk in 1_usize..40,
            links in 2_usize..5,
            raw: bool,
        ) {
            let options = ImportOptions::default().with_chunk_size(chunk).unwrap();
            let options = options.with_max_links(links).unwrap().with_raw_leaves(raw);
            let mut seen = std::collections::HashMap::new();
            let mut sink = |block: &NewBlock<'_>| {
                seen.insert(*block.cid(), block.to_bytes());
                Ok::<(), io::Error>(())
            };
            let (mut importer, mut at) = (Importer::new(options), 0);
            let mut roots = Vec::new();
            for step in steps {
                let end = (at + step).min(data.len());
                // Both ways of going on, by turns.
                if step % 2 == 0 {
                    importer.push(&data[at..end], &mut sink).unwrap();
                } else {
                    let read = importer.push_from(&data[at..end], &mut sink).unwrap();
                    prop_assert_eq!(read, (end - at) as u64);
                }
                at = end;
                roots.push((at, importer.root_so_far(&mut sink).unwrap()));
            }
            for (at, root) in roots {
                let (want, blocks) = blocks_of(&[&data[..at]], options);
                prop_assert_eq!(root, want);
                for (cid, bytes) in blocks {
                    prop_assert_eq!(seen.get(&cid).map(|seen| &seen[..]), Some(&bytes[..]));
                }
            }
        }

        #[test]
        fn how_the_content_arrives_does_not_matter(
            data in proptest::collection::vec(any::<u8>(), 0..400),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
            chunk in 1_usize..40,
            links in 2_usize..6,
            raw: bool,
        ) {
            let options = ImportOptions::default().with_chunk_size(chunk).unwrap();
            let options = options.with_max_links(links).unwrap().with_raw_leaves(raw);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
            cuts.extend([0, data.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &data[w[0]..w[1]]).collect();
            let (root, blocks) = blocks_of(&pieces, options);
            let mut read = Vec::new();
            let from_reader = import(&data[..], options, &mut |block: &NewBlock<'_>| {
                read.push((*block.cid(), block.to_bytes().to_vec()));
                Ok::<(), io::Error>(())
            });
            prop_assert_eq!(from_reader.unwrap(), root);
            prop_assert_eq!(&read, &blocks);
            prop_assert_eq!(root.file_size, data.len() as u64);
            prop_assert_eq!(root.blocks, blocks.len() as u64);
            prop_assert_eq!(root.dag_size, blocks.iter().map(|b| b.1.len() as u64).sum::<u64>());
            let leaves = data.len().div_ceil(chunk).max(1);
            let mut level = leaves;
            let mut nodes = leaves;
            while level > 1 {
                level = level.div_ceil(links);
                nodes += level;
            }
            prop_assert_eq!(blocks.len(), nodes);
        }
    }

    #[test]
    fn an_error_of_the_sink_ends_the_import() {
        let mut importer = Importer::new(ImportOptions::default());
        importer.push(b"x", &mut |_: &NewBlock<'_>| Err("full")).unwrap();
        assert_eq!(importer.finish(&mut |_: &NewBlock<'_>| Err("full")), Err("full"));
    }
}
