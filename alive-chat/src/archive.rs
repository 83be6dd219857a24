//! A stream's chat as one text file: [`ArchiveWriter`], [`ArchiveReader`], and [`ArchiveLog`], which writes while people
//! chat.
//!
//! UTF-8, one JSON object a line, ordered by time and digest. All of it streams: memory does not grow with the file.
//! Source: `spec/alivedb.md`, section 8.8.

mod line;
mod log;
mod read;
mod write;

pub use log::{ArchiveLog, LogError};
pub use read::{ArchiveError, ArchiveLine, ArchiveReader};
pub use write::{ArchiveWriteError, ArchiveWriter};
