//! Files and directories as IPFS keeps them: cutting a file into a tree of blocks, and reading such trees back, every
//! block checked.
//!
//! Source: `spec/storage.md`, section 2.

mod directory;
mod import;
mod node;
mod options;
mod parallel;
mod read;
mod tree;
mod walk;
pub(crate) mod wire;

pub use self::{
    directory::{
        Directory, DirectoryBuilder, DirectoryError, Entry, EntryName, EntryNameError,
        MAX_DIRECTORY_BYTES,
    },
    import::{Importer, Root, import},
    node::{NodeError, dag_size},
    options::{ImportOptions, MAX_CHUNK_SIZE, MAX_LINKS, OptionsError, Profile},
    parallel::{MAX_THREADS, import_bytes_parallel, import_parallel},
    read::{FileReader, file_size, is_complete, read_file, read_range, resolve},
    walk::{FileWalk, MAX_DEPTH, MAX_EMPTY_NODES, ReadError, Step},
    wire::WireError,
};
pub(crate) use self::{
    node::{LinkCursor, Node, next_linked},
    tree::Trees,
};
