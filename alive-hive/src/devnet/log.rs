//! Where the blocks are kept: [`BlockLog`], a file of records that survives a kill at any moment.
//!
//! The file starts with a line that names its format and chain. A record is the length of its body in 4 bytes, little
//! endian, the first 8 bytes of the SHA-256 of length and body, and the body. Records are appended whole and synced
//! before anyone hears of them, so only the last one can be torn, and that one nobody has seen.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

/// Name of the file in the node's folder.
const FILE_NAME: &str = "blocks.log";
/// Bytes before the body of a record.
const HEAD_LEN: usize = 12;
/// Longest body, in bytes. A block is far smaller; this bounds what a damaged length can make us read.
const MAX_BODY: usize = 16 << 20;

/// The records of a chain, first to last.
#[derive(Debug)]
pub(super) struct BlockLog(Store);

#[derive(Debug)]
enum Store {
    Disk(Disk),
    Memory(Vec<Box<[u8]>>),
}

#[derive(Debug)]
struct Disk {
    file: File,
    /// Where each record starts, and after them where the next one will.
    starts: Vec<u64>,
    end: u64,
}

impl BlockLog {
    /// A log that ends with the process.
    pub(super) fn in_memory() -> Self {
        Self(Store::Memory(Vec::new()))
    }

    /// Opens or makes the log in a folder. A torn last record is dropped.
    pub(super) fn open(folder: &Path, chain: &str) -> Result<Self, LogError> {
        fs::create_dir_all(folder)?;
        let path = folder.join(FILE_NAME);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let title = format!("alive-devnet-blocks/1 {chain}\n");
        let starts = scan(&file, title.as_bytes())?;
        let mut disk = Disk { file, starts: Vec::new(), end: title.len() as u64 };
        match starts {
            Some((starts, end)) => {
                disk.starts = starts;
                disk.end = end;
                disk.file.set_len(end)?;
            }
            None => disk.write_title(title.as_bytes())?,
        }
        disk.file.sync_all()?;
        Ok(Self(Store::Disk(disk)))
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Store::Disk(disk) => disk.starts.len(),
            Store::Memory(records) => records.len(),
        }
    }

    /// One record, counted from 0, `None` behind the last.
    pub(super) fn read(&self, index: usize) -> Result<Option<Vec<u8>>, LogError> {
        match &self.0 {
            Store::Disk(disk) => disk.starts.get(index).map(|start| disk.read(*start)).transpose(),
            Store::Memory(records) => Ok(records.get(index).map(|record| record.to_vec())),
        }
    }

    /// Adds a record. When this returns it will survive a crash; when it fails the log is as before.
    pub(super) fn append(&mut self, body: &[u8]) -> Result<(), LogError> {
        match &mut self.0 {
            Store::Disk(disk) => disk.append(body),
            Store::Memory(records) => {
                records.push(body.into());
                Ok(())
            }
        }
    }

    /// Takes the last record away.
    pub(super) fn pop(&mut self) -> Result<(), LogError> {
        match &mut self.0 {
            Store::Disk(disk) => disk.pop(),
            Store::Memory(records) => {
                records.pop();
                Ok(())
            }
        }
    }
}

impl Disk {
    fn write_title(&mut self, title: &[u8]) -> Result<(), LogError> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        Ok(self.file.write_all(title)?)
    }

    fn read(&self, start: u64) -> Result<Vec<u8>, LogError> {
        // Files are read through a shared reference; the lock on the node keeps two readers apart.
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        match read_record(&mut file)? {
            Record::Whole(body) => Ok(body),
            Record::End | Record::Torn(_) => Err(LogError::Damaged { at: start }),
        }
    }

    fn append(&mut self, body: &[u8]) -> Result<(), LogError> {
        let head = head_of(body).ok_or(LogError::TooLong(body.len()))?;
        let record = [&head[..], body].concat();
        if let Err(error) = self.write_at_end(&record) {
            // Whatever was written of it must not stand between this record's place and the next one.
            self.file.set_len(self.end)?;
            return Err(error.into());
        }
        self.starts.push(self.end);
        self.end += record.len() as u64;
        Ok(())
    }

    fn write_at_end(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(record)?;
        self.file.sync_data()
    }

    fn pop(&mut self) -> Result<(), LogError> {
        let Some(start) = self.starts.last().copied() else { return Ok(()) };
        self.file.set_len(start)?;
        self.file.sync_data()?;
        self.starts.pop();
        self.end = start;
        Ok(())
    }
}

/// Why the block log failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A record that is not the last one does not fit its checksum, or its body is no block that follows the one
    /// before it.
    #[error("the block log is damaged at byte {at}")]
    Damaged {
        /// Where the record starts.
        at: u64,
    },
    /// Another process has it open.
    #[error("the block log is in use by another process")]
    InUse,
    /// The file could not be read or written.
    #[error("the block log cannot be read or written")]
    Io(#[from] io::Error),
    /// The file is no block log, or that of another chain.
    #[error("the file is not a block log of this chain")]
    OtherChain,
    /// A record would have this many bytes.
    #[error("a record of {0} bytes is too long for the block log")]
    TooLong(usize),
}

enum Record {
    /// The file ends before it.
    End,
    /// It is incomplete or damaged, and would end this many bytes after its start.
    Torn(u64),
    Whole(Vec<u8>),
}

/// Finds the records of a file and where they end, `None` if not even the title is whole.
fn scan(file: &File, title: &[u8]) -> Result<Option<(Vec<u64>, u64)>, LogError> {
    let len = file.metadata()?.len();
    let mut from = BufReader::new(file);
    let mut found = Vec::new();
    (&mut from).take(title.len() as u64).read_to_end(&mut found)?;
    if found != title {
        // A file cut while its title was written has nothing else to lose.
        return if title.starts_with(&found) { Ok(None) } else { Err(LogError::OtherChain) };
    }
    let mut starts = Vec::new();
    let mut end = title.len() as u64;
    loop {
        match read_record(&mut from)? {
            Record::End => break,
            Record::Torn(size) if end.saturating_add(size) >= len => break,
            Record::Torn(_) if is_zero_to_end(file, end)? => break,
            Record::Torn(_) => return Err(LogError::Damaged { at: end }),
            Record::Whole(body) => {
                starts.push(end);
                end += (HEAD_LEN + body.len()) as u64;
            }
        }
    }
    Ok(Some((starts, end)))
}

/// Whether a power cut left the file longer than what was written: the rest reads as zeros.
fn is_zero_to_end(mut file: &File, start: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(start))?;
    for byte in BufReader::new(file).bytes() {
        if byte? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read_record(from: &mut impl Read) -> io::Result<Record> {
    let mut head = Vec::with_capacity(HEAD_LEN);
    from.by_ref().take(HEAD_LEN as u64).read_to_end(&mut head)?;
    let Some((len, _)) = head.split_first_chunk::<4>() else {
        return Ok(if head.is_empty() { Record::End } else { Record::Torn(HEAD_LEN as u64) });
    };
    let len = u64::from(u32::from_le_bytes(*len));
    let size = HEAD_LEN as u64 + len;
    if len > MAX_BODY as u64 {
        return Ok(Record::Torn(size));
    }
    let mut body = Vec::new();
    from.by_ref().take(len).read_to_end(&mut body)?;
    let fits = head_of(&body).is_some_and(|expected| expected.as_slice() == head);
    Ok(if fits { Record::Whole(body) } else { Record::Torn(size) })
}

/// Length and checksum of a body, `None` if it is too long.
fn head_of(body: &[u8]) -> Option<[u8; HEAD_LEN]> {
    let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BODY)?.to_le_bytes();
    let sum = <[u8; 32]>::from(Sha256::new_with_prefix(len).chain_update(body).finalize());
    let mut head = [0; HEAD_LEN];
    let bytes = len.iter().chain(&sum);
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    Some(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn open(folder: &TempDir) -> Result<BlockLog, LogError> {
        BlockLog::open(folder.path(), "test")
    }

    fn records(log: &BlockLog) -> Vec<Vec<u8>> {
        (0..log.len()).map(|index| log.read(index).unwrap().unwrap()).collect()
    }

    fn with(bodies: &[&[u8]]) -> TempDir {
        let folder = TempDir::new().unwrap();
        let mut log = open(&folder).unwrap();
        for body in bodies {
            log.append(body).unwrap();
        }
        folder
    }

    #[test]
    fn records_are_there_again_after_reopening() {
        let folder = with(&[b"one", b"", b"three"]);
        let mut log = open(&folder).unwrap();
        assert_eq!(records(&log), [&b"one"[..], b"", b"three"]);
        log.pop().unwrap();
        log.append(b"other").unwrap();
        drop(log);
        assert_eq!(records(&open(&folder).unwrap()), [&b"one"[..], b"", b"other"]);
    }

    #[test]
    fn a_damaged_record_in_the_middle_is_an_error_and_nothing_is_cut() {
        let folder = with(&[b"one", b"two"]);
        let path = folder.path().join(FILE_NAME);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - HEAD_LEN - 3 - 1;
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(open(&folder), Err(LogError::Damaged { .. })));
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_tail_of_zeros_is_cut() {
        let folder = with(&[b"one"]);
        let path = folder.path().join(FILE_NAME);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend([0; 100]);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(records(&open(&folder).unwrap()), [b"one"]);
    }

    #[test]
    fn a_folder_in_use_or_of_another_chain_is_refused() {
        let folder = with(&[]);
        let first = open(&folder).unwrap();
        assert!(matches!(open(&folder), Err(LogError::InUse)));
        drop(first);
        let other = BlockLog::open(folder.path(), "other");
        assert!(matches!(other, Err(LogError::OtherChain)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_file_cut_anywhere_keeps_every_whole_record(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            cut: prop::sample::Index,
        ) {
            let folder = with(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let path = folder.path().join(FILE_NAME);
            let bytes = fs::read(&path).unwrap();
            let cut = cut.index(bytes.len() + 1);
            fs::write(&path, &bytes[..cut]).unwrap();
            let title = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let mut end = title;
            let whole = bodies.iter().take_while(|body| {
                end += HEAD_LEN + body.len();
                end <= cut
            });
            let whole: Vec<_> = whole.cloned().collect();
            let mut log = open(&folder).unwrap();
            prop_assert_eq!(records(&log), whole.clone());
            log.append(b"next").unwrap();
            drop(log);
            prop_assert_eq!(open(&folder).unwrap().len(), whole.len() + 1);
        }
    }
}
