//! Files as IPFS keeps them: cutting a file into a tree of blocks, and reading such trees back, every block checked.
//!
//! Source: `spec/storage.md`, section 2.

mod import;
mod node;
mod options;
mod read;
mod walk;
pub(crate) mod wire;

pub(crate) use self::node::{LinkCursor, Node};
pub use self::{
    import::{Importer, Root, import},
    node::NodeError,
    options::{ImportOptions, MAX_CHUNK_SIZE, MAX_LINKS, OptionsError, Profile},
    read::{FileReader, file_size, is_complete, read_file, read_range},
    walk::{FileWalk, MAX_DEPTH, MAX_EMPTY_NODES, ReadError, Step},
    wire::WireError,
};
