//! Files of a recorder as they are on the disk: their state, their times, and what is in them if they stay as they are.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use alive_playlist::{MAX_LIST_BYTES, ReadError, Recording};

use crate::folder::FileState;

/// The time by the wall clock, since 1970, as file systems stamp it.
pub(crate) fn wall_clock() -> Duration {
    since_1970(SystemTime::now())
}

/// When a file or folder was changed last, since 1970.
pub(crate) fn modified(metadata: &fs::Metadata) -> io::Result<Duration> {
    metadata.modified().map(since_1970)
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Whether a file is a list, by its name.
pub(crate) fn is_list(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("m3u8"))
}

/// Reads a list; the inner error is that of its text.
pub(crate) fn read_list(path: &Path) -> io::Result<Result<Arc<Recording>, ReadError>> {
    let limit = u64::try_from(MAX_LIST_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One byte more, so that the reader refuses what is too long instead of reading a part of it.
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Recording::read(&bytes).map(Arc::new))
}

/// The state of a regular file; `None` for anything else.
pub(crate) fn state_of_entry(entry: &fs::DirEntry) -> io::Result<Option<FileState>> {
    let metadata = entry.metadata()?;
    metadata.is_file().then(|| state(&metadata)).transpose()
}

/// The state of a file.
pub(crate) fn state_of(path: &Path) -> io::Result<FileState> {
    state(&fs::metadata(path)?)
}

fn state(metadata: &fs::Metadata) -> io::Result<FileState> {
    Ok(FileState { size: metadata.len(), modified: modified(metadata)? })
}

/// The bytes of a file that is as it was seen, before and after reading. `None` when it is gone or another one.
pub(crate) fn read_unchanged(path: &Path, seen: FileState) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if state(&file.metadata()?)? != seen {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(seen.size).unwrap_or(0));
    file.by_ref().take(seen.size.saturating_add(1)).read_to_end(&mut bytes)?;
    let whole = u64::try_from(bytes.len()).is_ok_and(|len| len == seen.size);
    let unchanged = state(&file.metadata()?)? == seen && state_of(path).ok() == Some(seen);
    Ok((whole && unchanged).then_some(bytes))
}
