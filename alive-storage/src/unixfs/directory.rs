//! Directories: [`DirectoryBuilder`] writes them as `ipfs add -r` does, [`Directory`] reads them.
//!
//! Names come from outside and go into paths and headers, so one that could mean anything else there is refused, when
//! writing and when reading ([`EntryName`]). Directories that Kubo would split ("HAMT") are not written, nor read.
//!
//! Layout: links sorted by the bytes of their names, then the UnixFS message `08 01`.

use std::{borrow::Borrow, collections::BTreeMap, fmt, str::FromStr};

use alive_core::Excerpt;

use super::{NodeError, Root, node, wire};
use crate::{
    block::{Block, NewBlock},
    cid::{self, Cid, Version},
    unixfs::import::{node_cid, put_link},
};

/// Largest directory that is written, in bytes of its block: from here on Kubo splits it into many ("HAMT sharding").
pub const MAX_DIRECTORY_BYTES: usize = 256 << 10;

/// The UnixFS message of a directory: `Type` 1 and nothing else.
const MESSAGE: &[u8] = &[0x0a, 2, 0x08, 1];

/// Name of an entry of a directory: 1 to 255 bytes, neither `.` nor `..`, without slash, backslash and control characters.
///
/// So it is one step of a path, on any system, and stands in a header or a log line as what it is.
///
/// ```
/// use alive_storage::unixfs::EntryName;
/// assert_eq!("stream0.ts".parse::<EntryName>()?.as_str(), "stream0.ts");
/// for hostile in ["", "..", "../../etc/passwd", "a\\b", "x\r\nSet-Cookie: a=b", "\0"] {
///     assert!(hostile.parse::<EntryName>().is_err());
/// }
/// # Ok::<(), alive_storage::unixfs::EntryNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// Longest name, in bytes: what file systems take.
    pub const MAX_LEN: usize = 255;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for EntryName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EntryName {
    type Err = EntryNameError;

    fn from_str(s: &str) -> Result<Self, EntryNameError> {
        if s.is_empty() || s.len() > Self::MAX_LEN {
            return Err(EntryNameError::Len(s.len()));
        }
        if s == "." || s == ".." {
            return Err(EntryNameError::Dots);
        }
        match s.chars().find(|c| is_hostile(*c)) {
            Some(c) => Err(EntryNameError::Char { character: c, name: Excerpt::of(s) }),
            None => Ok(Self(s.into())),
        }
    }
}

/// Separators of paths, what ends or bends a line, and what changes the direction of text around it.
fn is_hostile(c: char) -> bool {
    const LINES: [char; 2] = ['\u{2028}', '\u{2029}'];
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    matches!(c, '/' | '\\') || c.is_control() || LINES.contains(&c) || turns
}

/// Why a text is no name of an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryNameError {
    /// It has this character.
    #[error("character {character:?} is not allowed in the name {name}")]
    Char {
        /// The character.
        character: char,
        /// The start of the name.
        name: Excerpt,
    },
    /// It is `.` or `..`.
    #[error("\".\" and \"..\" are no names")]
    Dots,
    /// It has this many bytes.
    #[error("name of {0} bytes, 1 to {max} allowed", max = EntryName::MAX_LEN)]
    Len(usize),
    /// It is not UTF-8.
    #[error("name is not UTF-8")]
    Utf8,
}

/// What an entry of a directory leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Id of the file or directory.
    pub cid: Cid,
    /// Bytes of all blocks below, by the writer's word.
    pub dag_size: u64,
}

impl Entry {
    /// An entry that leads to a file or a directory of so many bytes in all blocks.
    pub fn new(cid: Cid, dag_size: u64) -> Self {
        Self { cid, dag_size }
    }
}

/// Puts files and directories under names.
///
/// ```
/// use alive_storage::{NewBlock, cid::Version, unixfs::DirectoryBuilder};
/// let mut sink = |_: &NewBlock<'_>| Ok::<(), alive_storage::unixfs::DirectoryError>(());
/// let root = DirectoryBuilder::new(Version::V0).finish(&mut sink)?;
/// assert_eq!(root.cid.to_string(), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
/// # Ok::<(), alive_storage::unixfs::DirectoryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirectoryBuilder {
    version: Version,
    entries: BTreeMap<EntryName, Entry>,
    links_bytes: usize,
}

impl DirectoryBuilder {
    /// An empty directory whose own id will be of this version.
    pub fn new(version: Version) -> Self {
        Self { version, entries: BTreeMap::new(), links_bytes: 0 }
    }

    /// Adds a file or a directory that has been imported.
    ///
    /// # Errors
    /// The name is taken, or the directory would be larger than [`MAX_DIRECTORY_BYTES`].
    pub fn add(&mut self, name: EntryName, root: &Root) -> Result<(), DirectoryError> {
        self.add_entry(name, Entry { cid: root.cid, dag_size: root.dag_size })
    }

    /// Adds what lies under an id.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_entry(&mut self, name: EntryName, entry: Entry) -> Result<(), DirectoryError> {
        if self.entries.contains_key(&name) {
            return Err(DirectoryError::Taken(name));
        }
        let mut link = Vec::new();
        put_link(&entry.cid, name.as_str(), entry.dag_size, &mut link);
        self.links_bytes += link.len();
        if self.links_bytes + MESSAGE.len() >= MAX_DIRECTORY_BYTES {
            return Err(DirectoryError::TooLarge { entries: self.entries.len() + 1 });
        }
        self.entries.insert(name, entry);
        Ok(())
    }

    /// Makes the directory's block. Its `file_size` is 0, as in `ipfs files stat`.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish<E>(
        self,
        sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    ) -> Result<Root, E> {
        let (mut links, mut below) = (Vec::with_capacity(self.links_bytes), 0_u64);
        for (name, entry) in &self.entries {
            put_link(&entry.cid, name.as_str(), entry.dag_size, &mut links);
            below = below.saturating_add(entry.dag_size);
        }
        let block = NewBlock::hash(node_cid(self.version), [&links, MESSAGE, &[]]);
        sink(&block)?;
        let dag_size = below.saturating_add(block.size() as u64);
        Ok(Root { cid: *block.cid(), file_size: 0, dag_size, blocks: 1 })
    }
}

/// A directory that has been read and checked: names that are names, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    entries: BTreeMap<EntryName, Entry>,
}

impl Directory {
    /// Reads a block that a dag-pb CID names.
    ///
    /// # Errors
    /// It is no directory (a file, a part of a split directory), or an entry has a name that is refused or stands twice.
    pub fn decode(block: &Block) -> Result<Self, DirectoryError> {
        let (kind, links) = node::kind_and_links(block.data())?;
        if kind != node::DIRECTORY {
            return Err(DirectoryError::Node(NodeError::NotDirectory(kind)));
        }
        let mut entries = BTreeMap::new();
        for link in links {
            let (name, entry) = entry_of(link)?;
            match entries.entry(name) {
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(entry);
                }
                std::collections::btree_map::Entry::Occupied(taken) => {
                    return Err(DirectoryError::Taken(taken.key().clone()));
                }
            }
        }
        Ok(Self { entries })
    }

    /// The entry of a name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All entries, by name.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&EntryName, &Entry)> {
        self.entries.iter()
    }
}

/// Reads a link: hash, name and size, each once at most.
fn entry_of(mut link: &[u8]) -> Result<(EntryName, Entry), DirectoryError> {
    let (mut id, mut name, mut size) = (None, None, None);
    while let Some(field) = wire::take(&mut link).map_err(NodeError::from)? {
        match (field.number, field.value) {
            (1, wire::Value::Bytes(bytes)) => node::set_once(&mut id, bytes, "Hash")?,
            (2, wire::Value::Bytes(bytes)) => node::set_once(&mut name, bytes, "Name")?,
            (3, wire::Value::Varint(value)) => node::set_once(&mut size, value, "Tsize")?,
            (number, _) => return Err(NodeError::Field(number).into()),
        }
    }
    let cid = cid::from_bytes(id.ok_or(NodeError::Missing("Hash"))?).map_err(NodeError::from)?;
    let name = std::str::from_utf8(name.unwrap_or_default()).map_err(|_| EntryNameError::Utf8)?;
    Ok((name.parse()?, Entry { cid, dag_size: size.unwrap_or(0) }))
}

/// Why a directory was not written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// A name is refused.
    #[error("name of an entry is refused")]
    Name(#[from] EntryNameError),
    /// The block is no directory.
    #[error("block is no directory")]
    Node(#[from] NodeError),
    /// Two entries have this name.
    #[error("two entries are named {0}")]
    Taken(EntryName),
    /// So many entries make a directory that Kubo would split; make directories of it.
    #[error("directory of {entries} entries is over {MAX_DIRECTORY_BYTES} bytes, make several")]
    TooLarge {
        /// Entries, with the one that was too much.
        entries: usize,
    },
}

#[cfg(test)]
mod tests;
