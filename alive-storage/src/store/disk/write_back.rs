//! Writing to disk beside the work that makes the bytes: [`WriteBack`].
//!
//! A put hashes its blocks, writes them, and waits for the disk. The disk would have nothing to do while blocks are hashed,
//! and all at the end; so it is given what there is as soon as that is worth it.

use std::{
    fs::File,
    path::PathBuf,
    thread::{self, JoinHandle},
};

use super::{StoreError, io_error, sync_dir};

/// The disk is given so many bytes at a time.
const STEP: u64 = 512 << 10;

/// Makes a file and its name durable.
#[derive(Debug)]
pub(super) struct WriteBack {
    folder: PathBuf,
    /// Makes the file's name durable while its blocks are still hashed and written. `None` if there was no thread for it.
    entry: Option<JoinHandle<Result<(), StoreError>>>,
    /// Bytes at the front of the file that the disk has been given.
    given: u64,
}

impl WriteBack {
    /// Begins with the name of a file that has just been made in `folder`.
    pub(super) fn of_new_file(folder: PathBuf) -> Self {
        let entry = thread::Builder::new().name("pack entry".to_owned()).spawn({
            let folder = folder.clone();
            move || sync_dir(&folder)
        });
        Self { folder, entry: entry.ok(), given: 0 }
    }

    /// Whether a file of so many bytes has enough of them that the disk should be given.
    pub(super) fn is_due(&self, size: u64) -> bool {
        size >= self.given.saturating_add(STEP)
    }

    /// Gives the disk what the file has up to `size`, and does not wait. It is a hint: what becomes of it, [`finish`] tells.
    ///
    /// [`finish`]: Self::finish
    pub(super) fn give(&mut self, file: &File, size: u64) {
        start(file, self.given, size.saturating_sub(self.given));
        self.given = size;
    }

    /// Waits until all that was written to the file, and its name, are durable.
    ///
    /// # Errors
    /// The disk failed, now or at what it was given before.
    pub(super) fn finish(&mut self, file: &File) -> Result<(), StoreError> {
        file.sync_all().map_err(io_error("syncing a pack"))?;
        match self.entry.take().map(JoinHandle::join) {
            Some(Ok(synced)) => synced,
            // There was no thread, or it panicked and may have done nothing.
            _ => sync_dir(&self.folder),
        }
    }
}

/// Linux begins to write dirty pages of which it is told that they are not needed. It drops none of them from memory
/// meanwhile, so who reads them next need not go to the disk. (`sync_file_range` would say what is meant, but no safe
/// wrapper of it is kept up.)
#[cfg(target_os = "linux")]
fn start(file: &File, offset: u64, len: u64) {
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, fadvise};

    // Without it only the end takes longer. No length at all would mean all of the file.
    if let Some(len) = NonZeroU64::new(len) {
        let _hint = fadvise(file, offset, Some(len), Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
fn start(_: &File, _: u64, _: u64) {}
