//! Packs: files of blocks that are written once and then only read.
//!
//! A pack is a `CARv1` file without roots, so it can be read, exported and, should the index be lost, indexed again by
//! any IPFS tool. Layout: `spec/storage.md`, section 4.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{StoreError, index::Place, io_error, parent, sync_dir};
use crate::{block::NewBlock, varint};

/// Length and dag-cbor of `{"roots": [], "version": 1}`.
const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";
/// Packs in one directory, as a power of two: 1024.
const SHARD_BITS: u32 = 10;
const WRITING: &str = "writing a pack";

/// The directory of all packs.
#[derive(Debug)]
pub(super) struct Packs {
    path: PathBuf,
    /// The shard that is known to be durable: the one of the last pack.
    shard: Mutex<Option<PathBuf>>,
}

impl Packs {
    pub(super) fn new(path: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir_all(&path).map_err(io_error("making the directory of packs"))?;
        Ok(Self { path, shard: Mutex::default() })
    }

    /// Removes all packs that are not `known`, and gives the highest number found.
    pub(super) fn clean(
        &self,
        known: impl Fn(u64) -> Result<bool, StoreError>,
    ) -> Result<Option<u64>, StoreError> {
        let what = io_error("listing packs");
        let mut last = None;
        for shard in fs::read_dir(&self.path).map_err(&what)? {
            for entry in fs::read_dir(shard.map_err(&what)?.path()).map_err(&what)? {
                let path = entry.map_err(&what)?.path();
                let Some(number) = number_of(&path) else { continue };
                last = last.max(Some(number));
                if !known(number)? {
                    fs::remove_file(&path).map_err(io_error("removing an unfinished pack"))?;
                }
            }
        }
        Ok(last)
    }

    pub(super) fn create(&self, number: u64) -> Result<PackWriter, StoreError> {
        let path = self.path(number);
        self.make_shard(parent(&path))?;
        let file = File::options().write(true).create_new(true).open(&path);
        let file = BufWriter::with_capacity(64 << 10, file.map_err(io_error(WRITING))?);
        let mut pack = PackWriter { file, path: Some(path), number, size: 0 };
        pack.write(HEADER)?;
        Ok(pack)
    }

    /// Reads bytes of a pack; less than `len` of them is an error.
    pub(super) fn read(&self, number: u64, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(number))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut data = vec![0; len];
        file.read_exact(&mut data)?;
        Ok(data)
    }

    /// Where a pack is, or would be.
    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.path.join(format!("{:x}", number >> SHARD_BITS)).join(format!("{number:016x}.car"))
    }

    /// Makes the directory of a pack, durably. All writers wait for that, so none can be done before it is.
    fn make_shard(&self, path: PathBuf) -> Result<(), StoreError> {
        let mut made = self.shard.lock().unwrap_or_else(PoisonError::into_inner);
        if made.as_ref() == Some(&path) {
            return Ok(());
        }
        fs::create_dir_all(&path).map_err(io_error("making a directory of packs"))?;
        sync_dir(&self.path)?;
        *made = Some(path);
        Ok(())
    }
}

/// A pack that is being written. It is removed when dropped before [`finish`](Self::finish).
#[derive(Debug)]
pub(super) struct PackWriter {
    file: BufWriter<File>,
    /// Taken when the pack is finished.
    path: Option<PathBuf>,
    number: u64,
    size: u64,
}

impl PackWriter {
    /// Appends a block and says where its bytes are.
    pub(super) fn add(&mut self, block: &NewBlock<'_>) -> Result<Place, StoreError> {
        let cid = block.cid().to_bytes();
        let size = block.size();
        let mut head = Vec::with_capacity(varint::MAX_LEN + cid.len());
        varint::put((cid.len() + size) as u64, &mut head);
        head.extend_from_slice(&cid);
        self.write(&head)?;
        let offset = self.size;
        for part in block.parts() {
            self.write(part)?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a block has at most 2 MiB")]
        Ok(Place::Pack { pack: self.number, offset, len: size as u32 })
    }

    /// Makes it durable; gives its number and size.
    pub(super) fn finish(mut self) -> Result<(u64, u64), StoreError> {
        self.file.flush().map_err(io_error(WRITING))?;
        self.file.get_ref().sync_all().map_err(io_error("syncing a pack"))?;
        if let Some(path) = &self.path {
            sync_dir(&parent(path))?;
        }
        self.path = None;
        Ok((self.number, self.size))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(io_error(WRITING))?;
        self.size += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for PackWriter {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // What cannot be removed now is removed when the store is opened the next time.
            let _left = fs::remove_file(path);
        }
    }
}

/// The number in a pack's file name.
fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".car")?;
    u64::from_str_radix(name, 16).ok()
}
