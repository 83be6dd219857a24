//! Where the blocks are kept: [`BlockLog`], a file of records that survives a kill at any moment.
//!
//! The file starts with a line that names its format and chain. A record is the length of its body in 4 bytes, little
//! endian, the first 8 bytes of the SHA-256 of length and body, and the body. Records are appended whole and synced
//! before anyone hears of them, so only the last one can be torn, and that one nobody has seen.
//!
//! A body is a block or a mark, which a leading `!` tells: `!pop 2` takes the last two blocks away, `!final` makes all
//! irreversible, `!lag 5` sets how many blocks behind the head irreversibility is from then on. Nothing is ever
//! overwritten, so that a fork is as durable as a block, and what was irreversible once stays so.

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

/// First byte of a mark; blocks are JSON objects.
const MARK: u8 = b'!';

/// The blocks of a chain, first to last, and what the log says of their finality.
#[derive(Debug)]
pub(super) struct BlockLog {
    store: Store,
    finality: Finality,
}

#[derive(Debug)]
enum Store {
    Disk(Disk),
    Memory(Vec<Box<[u8]>>),
}

#[derive(Debug)]
struct Disk {
    file: File,
    /// Where the record of each block starts.
    starts: Vec<u64>,
    /// Where the next record will start.
    end: u64,
}

/// What cannot be undone, as the records say in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Finality {
    /// How often blocks were taken away.
    pub(super) forks: u32,
    /// Number of the last irreversible block.
    pub(super) irreversible: u32,
    /// How many blocks behind the head irreversibility is.
    pub(super) lag: u32,
}

/// What a record that is no block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Final,
    Lag(u32),
    Pop(u32),
}

impl Mark {
    fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body.strip_prefix(&[MARK])?).ok()?;
        match text.split_once(' ') {
            None if text == "final" => Some(Self::Final),
            Some(("lag", number)) => Some(Self::Lag(number.parse().ok()?)),
            Some(("pop", number)) => Some(Self::Pop(number.parse().ok()?)),
            _ => None,
        }
    }

    fn to_body(self) -> String {
        match self {
            Self::Final => "!final".into(),
            Self::Lag(blocks) => format!("!lag {blocks}"),
            Self::Pop(blocks) => format!("!pop {blocks}"),
        }
    }
}

impl Finality {
    /// There are so many blocks now, one more than before.
    fn extended(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.irreversible = self.irreversible.max(len.saturating_sub(self.lag).max(1));
    }
}

impl BlockLog {
    /// A log that ends with the process.
    pub(super) fn in_memory() -> Self {
        Self { store: Store::Memory(Vec::new()), finality: Finality::default() }
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
        let title = format!("alive-devnet-blocks/2 {chain}\n");
        let scanned = scan(&file, title.as_bytes())?;
        let mut disk = Disk { file, starts: Vec::new(), end: title.len() as u64 };
        let mut finality = Finality::default();
        match scanned {
            Some(scanned) => {
                disk.starts = scanned.starts;
                disk.end = scanned.end;
                finality = scanned.finality;
                disk.file.set_len(disk.end)?;
            }
            None => disk.write_title(title.as_bytes())?,
        }
        disk.file.sync_all()?;
        Ok(Self { store: Store::Disk(disk), finality })
    }

    pub(super) fn finality(&self) -> Finality {
        self.finality
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        match &self.store {
            Store::Disk(disk) => disk.starts.len(),
            Store::Memory(records) => records.len(),
        }
    }

    /// One block, counted from 0, `None` behind the last.
    pub(super) fn read(&self, index: usize) -> Result<Option<Vec<u8>>, LogError> {
        match &self.store {
            Store::Disk(disk) => disk.starts.get(index).map(|start| disk.read(*start)).transpose(),
            Store::Memory(records) => Ok(records.get(index).map(|record| record.to_vec())),
        }
    }

    /// Adds a block. When this returns it will survive a crash; when it fails the log is as before.
    pub(super) fn append(&mut self, body: &[u8]) -> Result<(), LogError> {
        match &mut self.store {
            Store::Disk(disk) => {
                let start = disk.append(body)?;
                disk.starts.push(start);
            }
            Store::Memory(blocks) => blocks.push(body.into()),
        }
        self.finality.extended(self.len());
        Ok(())
    }

    /// Takes the last blocks away, all at once.
    pub(super) fn pop(&mut self, count: u32) -> Result<(), LogError> {
        let left = self.len().saturating_sub(count as usize);
        self.mark(Mark::Pop(count))?;
        match &mut self.store {
            Store::Disk(disk) => disk.starts.truncate(left),
            Store::Memory(blocks) => blocks.truncate(left),
        }
        self.finality.forks = self.finality.forks.saturating_add(1);
        Ok(())
    }

    /// Makes all blocks irreversible.
    pub(super) fn finalize(&mut self) -> Result<(), LogError> {
        self.mark(Mark::Final)?;
        self.finality.irreversible = u32::try_from(self.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Sets how many blocks behind the head irreversibility is, from the next block on.
    pub(super) fn set_lag(&mut self, blocks: u32) -> Result<(), LogError> {
        if blocks != self.finality.lag {
            self.mark(Mark::Lag(blocks))?;
            self.finality.lag = blocks;
        }
        Ok(())
    }

    fn mark(&mut self, mark: Mark) -> Result<(), LogError> {
        match &mut self.store {
            Store::Disk(disk) => disk.append(mark.to_body().as_bytes()).map(|_| ()),
            Store::Memory(_) => Ok(()),
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

    /// Appends a record and says where it starts.
    fn append(&mut self, body: &[u8]) -> Result<u64, LogError> {
        let head = head_of(body).ok_or(LogError::TooLong(body.len()))?;
        let record = [&head[..], body].concat();
        if let Err(error) = self.write_at_end(&record) {
            // Whatever was written of it must not stand between this record's place and the next one.
            self.file.set_len(self.end)?;
            return Err(error.into());
        }
        let start = self.end;
        self.end += record.len() as u64;
        Ok(start)
    }

    fn write_at_end(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(record)?;
        self.file.sync_data()
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

/// What stands in a file.
struct Scanned {
    starts: Vec<u64>,
    end: u64,
    finality: Finality,
}

/// Finds the blocks of a file and where its records end, `None` if not even the title is whole.
fn scan(file: &File, title: &[u8]) -> Result<Option<Scanned>, LogError> {
    let len = file.metadata()?.len();
    let mut from = BufReader::new(file);
    let mut found = Vec::new();
    (&mut from).take(title.len() as u64).read_to_end(&mut found)?;
    if found != title {
        // A file cut while its title was written has nothing else to lose.
        return if title.starts_with(&found) { Ok(None) } else { Err(LogError::OtherChain) };
    }
    let (mut starts, mut finality) = (Vec::new(), Finality::default());
    let mut end = title.len() as u64;
    loop {
        match read_record(&mut from)? {
            Record::End => break,
            Record::Torn(size) if end.saturating_add(size) >= len => break,
            Record::Torn(_) if is_zero_to_end(file, end)? => break,
            Record::Torn(_) => return Err(LogError::Damaged { at: end }),
            Record::Whole(body) => {
                if body.first() == Some(&MARK) {
                    let mark = Mark::read(&body).ok_or(LogError::Damaged { at: end })?;
                    follow(mark, &mut starts, &mut finality);
                } else {
                    starts.push(end);
                    finality.extended(starts.len());
                }
                end += (HEAD_LEN + body.len()) as u64;
            }
        }
    }
    Ok(Some(Scanned { starts, end, finality }))
}

/// Does what a mark says.
fn follow(mark: Mark, starts: &mut Vec<u64>, finality: &mut Finality) {
    match mark {
        Mark::Final => finality.irreversible = u32::try_from(starts.len()).unwrap_or(u32::MAX),
        Mark::Lag(blocks) => finality.lag = blocks,
        Mark::Pop(count) => {
            starts.truncate(starts.len().saturating_sub(count as usize));
            finality.forks = finality.forks.saturating_add(1);
        }
    }
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
        log.pop(2).unwrap();
        log.append(b"other").unwrap();
        drop(log);
        assert_eq!(records(&open(&folder).unwrap()), [&b"one"[..], b"other"]);
    }

    #[test]
    fn what_was_irreversible_once_stays_so_and_forks_are_counted() {
        let folder = TempDir::new().unwrap();
        let mut log = open(&folder).unwrap();
        log.set_lag(3).unwrap();
        for _ in 0..8 {
            log.append(b"block").unwrap();
        }
        log.pop(3).unwrap();
        let finality = Finality { forks: 1, irreversible: 5, lag: 3 };
        assert_eq!((log.len(), log.finality()), (5, finality));
        log.set_lag(100).unwrap();
        log.append(b"block").unwrap();
        log.pop(1).unwrap();
        let finality = Finality { forks: 2, irreversible: 5, lag: 100 };
        drop(log);
        let mut log = open(&folder).unwrap();
        assert_eq!((log.len(), log.finality()), (5, finality));
        log.append(b"block").unwrap();
        log.finalize().unwrap();
        drop(log);
        assert_eq!(open(&folder).unwrap().finality().irreversible, 6);
    }

    #[test]
    fn a_mark_that_says_nothing_known_is_damage() {
        let folder = with(&[b"!pop x"]);
        assert!(matches!(open(&folder), Err(LogError::Damaged { .. })));
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
            bodies in prop::collection::vec(prop::collection::vec(b'0'..=255, 0..40), 0..6),
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
