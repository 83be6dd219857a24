//! A stream's chat as one text file: [`ArchiveWriter`], [`ArchiveReader`], and [`ArchiveLog`], which writes while people
//! chat; [`ArchiveSorter`] and [`ArchiveFilter`] make it of what was said before.
//!
//! UTF-8, one JSON object a line, ordered by time and digest. All of it streams: memory does not grow with the file.
//! Source: `spec/alivedb.md`, section 8.8.

mod filter;
mod line;
mod log;
mod read;
mod sort;
mod write;

pub use filter::ArchiveFilter;
pub use log::{ArchiveLog, LogError};
pub use read::{ArchiveError, ArchiveLine, ArchiveReader};
pub use sort::{ArchiveSorter, SortError, SortedMessages};
pub use write::{ArchiveWriteError, ArchiveWriter};
