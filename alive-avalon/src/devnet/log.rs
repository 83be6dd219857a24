//! The block log of a development chain: a file of lines, each an account that was given or a block ([`Log`]).

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::json_text::JsonText;

/// Name of the file.
const FILE: &str = "avalon-blocks.jsonl";
/// Longest line that is read: a block of 200 transactions of 100 kB.
const MAX_LINE: u64 = 32 << 20;

/// The file, or nothing for a chain in memory. A line counts once its newline is on the disk: what a crash left of a
/// line is cut off.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    /// Where each line starts.
    starts: Vec<u64>,
    end: u64,
}

impl Log {
    /// Opens the log in a folder and gives the lines that it holds.
    pub(super) fn open(folder: Option<&Path>) -> Result<(Self, Vec<JsonText>), LogError> {
        let Some(folder) = folder else {
            return Ok((Self { file: None, starts: Vec::new(), end: 0 }, Vec::new()));
        };
        let path = folder.join(FILE);
        let fail = |source| LogError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(fail)?;
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(fail)?;
        file.try_lock().map_err(|_| LogError::Locked(path.clone()))?;
        let (mut starts, mut lines, mut end) = (Vec::new(), Vec::new(), 0_u64);
        let mut reader = BufReader::new(&file);
        loop {
            let mut line = String::new();
            let read = io::Read::take(&mut reader, MAX_LINE).read_line(&mut line).map_err(fail)?;
            let Some(whole) = line.strip_suffix('\n') else { break };
            let line = lines.len() + 1;
            let text = JsonText::of(whole);
            lines.push(text.map_err(|_| LogError::Line { path: path.clone(), line })?);
            starts.push(end);
            end += read as u64;
        }
        file.set_len(end).map_err(fail)?;
        file.seek(SeekFrom::Start(end)).map_err(fail)?;
        Ok((Self { file: Some(file), starts, end }, lines))
    }

    /// Adds a line and waits until it is on the disk.
    pub(super) fn push(&mut self, line: &JsonText) -> io::Result<()> {
        self.starts.push(self.end);
        let Some(file) = &mut self.file else { return Ok(()) };
        let text = format!("{line}\n");
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.end += text.len() as u64;
        Ok(())
    }

    /// Takes back the last line.
    pub(super) fn pop(&mut self) -> io::Result<()> {
        let Some(start) = self.starts.pop() else { return Ok(()) };
        let Some(file) = &mut self.file else { return Ok(()) };
        file.set_len(start)?;
        file.seek(SeekFrom::Start(start))?;
        file.sync_data()?;
        self.end = start;
        Ok(())
    }
}

/// Why the block log cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be read or written.
    #[error("block log {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is none of ours.
    #[error("line {line} of block log {} is no block", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
    /// Another node uses it.
    #[error("another node uses block log {}", .0.display())]
    Locked(PathBuf),
}
