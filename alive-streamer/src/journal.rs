//! A session's journal on disk: what core's publisher must not forget, one line an entry.
//!
//! A line is a checksum of 16 hexadecimal digits, a space, and the entry as JSON. The checksum covers the checksum of the line
//! before it, too, so that lines that are missing or moved show. Lines are only appended, each made durable before the session
//! goes on; one that was cut by a crash was never acted on and is removed when the journal is opened again. Anything else that
//! does not fit is an error: nobody can tell what such a session has published.
//!
//! The file is locked while it is open, so that two sessions never share one.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use alive_core::{JournalEntry, StreamId};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::source::SourceError;

/// Largest journal that is opened: over a million segments.
const MAX_BYTES: u64 = 1 << 30;
/// Digits of a checksum.
const CHECKSUM_LEN: usize = 16;
/// What the checksum of the first line builds on: the format and its version.
const SEED: &str = "alive-journal/1";
/// The line of a session that brought everything to the chain.
const FINISHED: &str = r#"{"event":"finished"}"#;

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    checksum: String,
    /// A write failed: what is on disk is not known, so nothing may follow.
    broken: bool,
    /// Tests let the process die here: after this many lines more, within the next one.
    #[cfg(test)]
    pub(crate) dies_after: Option<usize>,
}

/// What a journal holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The entries, oldest first.
    pub(crate) entries: Vec<JournalEntry>,
    /// Whether the session that wrote the last one brought everything to the chain.
    pub(crate) finished: bool,
}

impl Journal {
    /// Opens the journal of a stream, or begins one. It blocks.
    pub(crate) fn open(
        path: &Path,
        stream: &StreamId,
    ) -> Result<(Self, Contents), JournalFileError> {
        let fail = |source| JournalFileError::Io { path: path.into(), source };
        let mut file = open_file(path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalFileError::Locked(path.into())),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        let len = file.metadata().map_err(fail)?.len();
        if len > MAX_BYTES {
            return Err(JournalFileError::TooLarge(path.into()));
        }
        let mut bytes = Vec::new();
        (&file).take(MAX_BYTES).read_to_end(&mut bytes).map_err(fail)?;
        let Parsed { contents, checksum, whole } = parse(&bytes, path, stream)?;
        if whole < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - whole, "torn line removed");
            file.set_len(u64::try_from(whole).unwrap_or(len)).map_err(fail)?;
            file.sync_all().map_err(fail)?;
        }
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        let journal = Self {
            path: path.into(),
            file,
            checksum,
            broken: false,
            #[cfg(test)]
            dies_after: None,
        };
        Ok((journal, contents))
    }

    /// Appends an entry and returns when it is durable. It blocks.
    pub(crate) fn append(&mut self, entry: &JournalEntry) -> Result<(), JournalFileError> {
        let json = serde_json::to_string(entry).map_err(io::Error::other);
        let json =
            json.map_err(|source| JournalFileError::Io { path: self.path.clone(), source })?;
        self.append_line(&json)
    }

    /// Writes down that everything is on the chain. It blocks.
    pub(crate) fn finish(&mut self) -> Result<(), JournalFileError> {
        self.append_line(FINISHED)
    }

    fn append_line(&mut self, json: &str) -> Result<(), JournalFileError> {
        let result = if self.broken {
            Err(io::Error::other("an earlier write failed"))
        } else {
            self.checksum = checksum(&self.checksum, json);
            let line = format!("{} {json}\n", self.checksum);
            #[cfg(test)]
            if self.dies(&line) {
                return self.append_line(json);
            }
            self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data())
        };
        self.broken |= result.is_err();
        result.map_err(|source| JournalFileError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
impl Journal {
    /// Dies within this line if it is time to: half of it comes to the disk, and nothing is written any more.
    fn dies(&mut self, line: &str) -> bool {
        self.broken = self.dies_after == Some(0);
        self.dies_after = self.dies_after.map(|lines| lines.saturating_sub(1));
        if self.broken {
            self.file.write_all(&line.as_bytes()[..line.len() / 2]).unwrap();
        }
        self.broken
    }
}

/// Opens the file; a new one is durable in its folder, too.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let file = options.create(true).truncate(false).open(path)?;
    file.sync_all()?;
    // Folders can only be synced where they can be opened as files.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

#[derive(Debug)]
struct Parsed {
    contents: Contents,
    checksum: String,
    /// Bytes of all lines that count.
    whole: usize,
}

/// Reads a journal; a torn last line does not count.
fn parse(bytes: &[u8], path: &Path, stream: &StreamId) -> Result<Parsed, JournalFileError> {
    let start = Contents::default();
    let mut parsed = Parsed { contents: start, checksum: SEED.to_owned(), whole: 0 };
    for (line, text) in (1..).zip(bytes.split_inclusive(|&b| b == b'\n')) {
        let last = parsed.whole + text.len() == bytes.len();
        match parse_line(&parsed.checksum, text) {
            Ok((checksum, entry)) => {
                parsed.checksum = checksum;
                parsed.whole += text.len();
                parsed.contents.add(line, entry, path, stream)?;
            }
            // After a loss of power a file may end in zeros, also in place of the first part of a line only.
            Err(_) if last && (!text.ends_with(b"\n") || text.starts_with(b"\0")) => break,
            Err(why) => return Err(JournalFileError::Corrupt { path: path.into(), line, why }),
        }
    }
    Ok(parsed)
}

impl Contents {
    /// Adds a line; `None` stands for the end of a session.
    fn add(
        &mut self,
        line: usize,
        entry: Option<JournalEntry>,
        path: &Path,
        stream: &StreamId,
    ) -> Result<(), JournalFileError> {
        let first = self.entries.is_empty();
        match &entry {
            Some(JournalEntry::Stream { id }) if id != stream => {
                let found = Box::new(id.clone());
                return Err(JournalFileError::OtherStream { path: path.into(), found });
            }
            Some(JournalEntry::Stream { .. }) => {}
            _ if first => {
                let why = "it does not name a stream";
                return Err(JournalFileError::Corrupt { path: path.into(), line, why });
            }
            _ => {}
        }
        self.finished = entry.is_none();
        self.entries.extend(entry);
        Ok(())
    }
}

/// Reads a line that follows one with this checksum.
fn parse_line(before: &str, line: &[u8]) -> Result<(String, Option<JournalEntry>), &'static str> {
    let line = line.strip_suffix(b"\n").ok_or("it is cut")?;
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let (found, json) = line.split_at_checked(CHECKSUM_LEN).ok_or("it is too short")?;
    let json = json.strip_prefix(' ').ok_or("its checksum is malformed")?;
    let checksum = checksum(before, json);
    if found != checksum {
        return Err("its checksum is wrong");
    }
    if json == FINISHED {
        return Ok((checksum, None));
    }
    let entry = serde_json::from_str(json).map_err(|_| "it holds no known entry")?;
    Ok((checksum, Some(entry)))
}

fn checksum(before: &str, json: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(" ");
    hasher.update(json);
    let mut digits = HEXLOWER.encode(&hasher.finalize());
    digits.truncate(CHECKSUM_LEN);
    digits
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalFileError {
    /// A line that is not the last one is damaged.
    #[error("journal {path}, line {line}: {why}", path = path.display())]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be opened, read or written.
    #[error("journal {path} cannot be used", path = path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another session has it open.
    #[error("journal {path} is in use by another session", path = .0.display())]
    Locked(PathBuf),
    /// It belongs to another stream.
    #[error("journal {path} belongs to stream {found}", path = path.display())]
    OtherStream {
        /// The journal.
        path: PathBuf,
        /// The stream.
        found: Box<StreamId>,
    },
    /// A segment in it has no readable source.
    #[error("journal {path}: segment {number}", path = path.display())]
    Source {
        /// The journal.
        path: PathBuf,
        /// The segment.
        number: alive_core::SegmentNumber,
        /// What is wrong with it.
        source: SourceError,
    },
    /// It is larger than any that a session writes.
    #[error("journal {path} has more than {MAX_BYTES} bytes", path = .0.display())]
    TooLarge(PathBuf),
}

/// Reads any bytes as a journal: whatever is read is the start of them, and is read again.
pub(crate) fn check_bytes(bytes: &[u8], stream: &StreamId) {
    let Ok(first) = parse(bytes, Path::new("journal"), stream) else { return };
    let whole = bytes.get(..first.whole).unwrap_or_default();
    let again = parse(whole, Path::new("journal"), stream);
    assert!(again.is_ok_and(|again| again.contents == first.contents), "reading changed it");
}

/// Reads any lines as those of a journal, with checksums that are right.
pub(crate) fn check_lines(bytes: &[u8], stream: &StreamId) {
    let text = String::from_utf8_lossy(bytes);
    let mut before = SEED.to_owned();
    let mut journal = String::new();
    for json in text.lines() {
        before = checksum(&before, json);
        journal.extend([&before, " ", json, "\n"]);
    }
    check_bytes(journal.as_bytes(), stream);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream() -> StreamId {
        "hive/alice/s".parse().unwrap()
    }

    fn entries() -> Vec<JournalEntry> {
        let content = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
        let duration = "10.0".parse().unwrap();
        let segment = |number| JournalEntry::Segment {
            number,
            source: format!("{number} \"quoted\"\n").into(),
            duration,
            discontinuity: number == 1,
        };
        vec![
            JournalEntry::Stream { id: stream() },
            segment(0),
            segment(1),
            JournalEntry::Stored { number: 0, content, section: Some(content) },
            JournalEntry::Lost { number: 1 },
        ]
    }

    /// A journal with these entries, and its bytes.
    fn written(path: &Path) -> Vec<u8> {
        let (mut journal, _) = Journal::open(path, &stream()).unwrap();
        for entry in entries() {
            journal.append(&entry).unwrap();
        }
        fs::read(path).unwrap()
    }

    fn read(path: &Path) -> Result<Contents, JournalFileError> {
        Journal::open(path, &stream()).map(|(_, contents)| contents)
    }

    #[test]
    fn what_is_appended_is_read_again_and_more_can_follow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/journal");
        written(&path);
        let (mut journal, contents) = Journal::open(&path, &stream()).unwrap();
        assert_eq!(contents, Contents { entries: entries(), finished: false });
        journal.append(&JournalEntry::Ended).unwrap();
        journal.finish().unwrap();
        drop(journal);
        let contents = read(&path).unwrap();
        assert!(contents.finished && contents.entries.len() == entries().len() + 1);
        Journal::open(&path, &stream()).unwrap().0.append(&JournalEntry::Ended).unwrap();
        assert!(
            !read(&path).unwrap().finished,
            "a later session is not finished by an earlier one"
        );
    }

    #[test]
    fn only_one_session_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let open = Journal::open(&path, &stream()).unwrap();
        assert!(matches!(read(&path), Err(JournalFileError::Locked(_))));
        drop(open);
        assert!(read(&path).is_ok());
    }

    #[test]
    fn it_belongs_to_one_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path);
        let error = Journal::open(&path, &"hive/alice/t".parse().unwrap()).unwrap_err();
        assert!(error.to_string().ends_with("belongs to stream hive/alice/s"), "{error}");
    }

    #[test]
    fn a_line_cut_anywhere_is_as_if_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let bytes = written(&path);
        let ends: Vec<usize> = (1..=bytes.len()).filter(|&n| bytes[n - 1] == b'\n').collect();
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            for zeros in [0, 7] {
                let mut torn = bytes[..cut].to_vec();
                torn.extend(vec![0; zeros]);
                fs::write(&path, &torn).unwrap();
                assert_eq!(read(&path).unwrap().entries, entries()[..whole], "cut at {cut}");
                let left = fs::metadata(&path).unwrap().len();
                assert_eq!(left, if whole == 0 { 0 } else { ends[whole - 1] as u64 });
            }
        }
    }

    #[test]
    fn a_line_missing_or_moved_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let bytes = written(&path);
        let lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        let mut without = lines.clone();
        without.remove(3);
        for (changed, line) in [(swapped, 2), (without, 4)] {
            fs::write(&path, changed.concat()).unwrap();
            let error = read(&path).unwrap_err();
            let JournalFileError::Corrupt { line: found, .. } = error else { panic!("{error}") };
            assert_eq!(found, line);
            assert_eq!(fs::read(&path).unwrap(), changed.concat(), "evidence is left alone");
        }
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_never_overlooked(at: prop::sample::Index, flip in 1_u8..) {
            let bytes = line_bytes();
            let mut changed = bytes.clone();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            let last = bytes[..bytes.len() - 1].iter().rposition(|&b| b == b'\n').unwrap();
            match parse(&changed, Path::new("j"), &stream()) {
                Err(_) => {}
                // Only the last line can be lost, and only where it looks like one that was cut.
                Ok(parsed) => prop_assert!(at > last && parsed.whole == last + 1),
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..500)) {
            crate::fuzzing::journal(&data);
        }
    }

    fn line_bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut before = SEED.to_owned();
        for entry in entries() {
            let json = serde_json::to_string(&entry).unwrap();
            before = checksum(&before, &json);
            bytes.extend(format!("{before} {json}\n").into_bytes());
        }
        bytes
    }
}
