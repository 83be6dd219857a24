//! Blocks on disk: [`DiskStore`].
//!
//! A batch of blocks is appended to one new *pack*, a `CARv1` file that any IPFS tool reads; small batches (the CSV of a
//! chunk) go into the index itself. The index, a `redb` database, says where each block is and is the only truth: a
//! block is here when, and only when, a commit of the index names it.
//!
//! A put therefore goes: write the pack, sync it, sync its directory, commit to the index (one sync). Whatever moment the
//! power fails at, either the index names the block and the bytes were synced before, or it does not. A pack that the index
//! does not know is read at the next opening: blocks in it that are whole, by their hash, are taken up, the rest is left.
//! The same makes the index again if it is lost, but for the small batches that were only there.
//!
//! Considered and left: one file a block (a 2 MB segment has 9 blocks, and every one would cost a sync), and all bytes
//! inside `redb` (it rounds values up to a power of two, so a 256 KiB leaf with its 14 bytes of frame takes 512 KiB).

mod index;
mod pack;

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use self::{
    index::{Index, Place},
    pack::{PackWriter, Packs},
};
use super::{BlockBatch, BlockStore, StoreError, digest_of};
use crate::{
    block::{Block, MAX_BLOCK_BYTES, NewBlock},
    cid::{Cid, Multihash},
};

pub(super) use self::index::FORMAT;

/// A batch of at most this many bytes goes into the index instead of a pack of its own.
const INLINE_BYTES: usize = 16 << 10;
/// Blocks after which a batch is made durable in parts, so that its memory does not grow with the file: 16 GiB of file in
/// leaves of 256 KiB.
const BATCH_BLOCKS: usize = 1 << 16;

/// A block store in a directory. One process at a time: the directory is locked while it is open.
///
/// Every block read is checked against its hash. A corrupt one is reported as [`StoreError::Corrupt`] and counts as
/// absent from then on; putting it again writes it anew.
///
/// ```
/// use alive_storage::{Block, BlockStore, DiskStore, cid};
/// let folder = tempfile::tempdir()?;
/// let id = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")?;
/// {
///     let store = DiskStore::open(folder.path())?;
///     store.put(&Block::check(*id.hash(), "hello world".into())?)?;
///     assert!(DiskStore::open(folder.path()).is_err(), "it is in use");
/// }
/// assert!(DiskStore::open(folder.path())?.has(id.hash())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DiskStore {
    index: Index,
    packs: Packs,
    next_pack: AtomicU64,
    /// Blocks whose bytes were found wrong since the store was opened.
    corrupt: Mutex<HashSet<[u8; 32]>>,
    /// Held, never read: the operating system gives it up when the process ends, however it ends.
    _lock: File,
}

impl DiskStore {
    /// Opens the store in a directory, made if it is absent, and takes up the whole blocks that a crash has left.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process (or this one) has it open, [`StoreError::Format`] if a later version
    /// wrote it, or the directory cannot be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        fs::create_dir_all(path).map_err(io_error("making the store's directory"))?;
        let lock = lock(&path.join("lock"))?;
        let index = Index::open(path.join("index.redb"))?;
        let packs = Packs::new(path.join("packs"))?;
        sync_dir(path)?;
        let numbers = packs.numbers()?;
        let last = numbers.iter().copied().max().max(index.last_pack()?);
        let next_pack = last.map_or(0, |last| last + 1).into();
        let store = Self { index, packs, next_pack, corrupt: Mutex::default(), _lock: lock };
        for number in numbers {
            store.recover(number)?;
        }
        Ok(store)
    }

    /// Takes up a pack that the index does not know: whole blocks that are nowhere else are kept.
    fn recover(&self, number: u64) -> Result<(), StoreError> {
        if self.index.has_pack(number)? {
            return Ok(());
        }
        let mut places = HashMap::new();
        let size = self.packs.recover(number, |hash, place| {
            let digest = digest_of(&hash)?;
            if !self.index.has(&digest)? {
                places.insert(digest, place);
            }
            Ok(())
        })?;
        match size {
            Some(size) => self.index.commit(&places, Some((number, size))),
            None => Ok(()),
        }
    }

    /// How many blocks it has.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn len(&self) -> Result<u64, StoreError> {
        self.index.len()
    }

    /// Whether it has no block.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// The hashes of all blocks, for checking them one by one. Blocks put meanwhile may be missing.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn hashes(
        &self,
    ) -> Result<impl Iterator<Item = Result<Multihash, StoreError>>, StoreError> {
        self.index.hashes()
    }

    fn load(&self, place: Place) -> io::Result<Bytes> {
        match place {
            Place::Inline(data) => Ok(data.into()),
            Place::Pack { pack, offset, len } if len as usize <= MAX_BLOCK_BYTES => {
                self.packs.read(pack, offset, len as usize).map(Bytes::from)
            }
            Place::Pack { .. } => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Whether these very bytes are stored; what cannot be read is not.
    fn is_stored(&self, digest: &[u8; 32], block: &NewBlock<'_>) -> Result<bool, StoreError> {
        let place = self.index.find(digest)?;
        let same = place.is_some_and(|place| self.load(place).is_ok_and(|old| block.is_same(&old)));
        Ok(same)
    }

    /// Removes the pack of a commit that failed, unless it came to the disk all the same. What cannot be removed now is
    /// when the store is opened the next time.
    fn abandon(&self, pack: Option<(u64, u64)>) {
        if let Some((number, _)) = pack
            && self.index.has_pack(number).is_ok_and(|known| !known)
        {
            let _left = fs::remove_file(self.packs.path(number));
        }
    }

    // Nothing panics while it holds the lock, and every change is one call: poison says nothing.
    fn corrupt(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.corrupt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockStore for DiskStore {
    type Batch<'a> = DiskBatch<'a>;

    fn batch(&self) -> Result<DiskBatch<'_>, StoreError> {
        Ok(DiskBatch { store: self, places: HashMap::new(), inline_bytes: 0, pack: None })
    }

    fn get(&self, hash: &Multihash) -> Result<Option<Block>, StoreError> {
        let Ok(digest) = digest_of(hash) else { return Ok(None) };
        let Some(place) = self.index.find(&digest)? else { return Ok(None) };
        let checked = match self.load(place) {
            Ok(data) => Block::check(*hash, data).map_err(Into::into),
            Err(error) if is_damage(&error) => Err(error.into()),
            Err(source) => return Err(StoreError::Io { what: "reading a pack", source }),
        };
        checked.map(Some).map_err(|source| {
            self.corrupt().insert(digest);
            StoreError::Corrupt(source)
        })
    }

    fn has(&self, hash: &Multihash) -> Result<bool, StoreError> {
        let Ok(digest) = digest_of(hash) else { return Ok(false) };
        Ok(self.index.has(&digest)? && !self.corrupt().contains(&digest))
    }

    fn pin(&self, root: &Cid) -> Result<(), StoreError> {
        self.index.pin(root)
    }

    fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError> {
        self.index.is_pinned(root)
    }
}

/// A batch for a [`DiskStore`].
#[derive(Debug)]
pub struct DiskBatch<'a> {
    store: &'a DiskStore,
    places: HashMap<[u8; 32], Place>,
    inline_bytes: usize,
    pack: Option<PackWriter>,
}

impl DiskBatch<'_> {
    fn write(&mut self, block: &NewBlock<'_>) -> Result<Place, StoreError> {
        let size = block.size();
        if self.pack.is_none() && self.inline_bytes + size <= INLINE_BYTES {
            self.inline_bytes += size;
            return Ok(Place::Inline(block.parts().concat()));
        }
        match &mut self.pack {
            Some(pack) => pack.add(block),
            none => {
                let number = self.store.next_pack.fetch_add(1, Ordering::Relaxed);
                let pack = none.insert(self.store.packs.create(number)?);
                move_inline(&mut self.places, pack)?;
                pack.add(block)
            }
        }
    }

    /// Makes durable and visible what has been added so far.
    fn flush(&mut self) -> Result<(), StoreError> {
        if self.places.is_empty() {
            return Ok(());
        }
        let pack = self.pack.take().map(PackWriter::finish).transpose()?;
        self.store.index.commit(&self.places, pack).inspect_err(|_| self.store.abandon(pack))?;
        let mut corrupt = self.store.corrupt();
        if !corrupt.is_empty() {
            corrupt.retain(|digest| !self.places.contains_key(digest));
        }
        self.places.clear();
        self.inline_bytes = 0;
        Ok(())
    }
}

impl BlockBatch for DiskBatch<'_> {
    fn add(&mut self, block: &NewBlock<'_>) -> Result<(), StoreError> {
        let digest = digest_of(block.cid().hash())?;
        if self.places.contains_key(&digest) || self.store.is_stored(&digest, block)? {
            return Ok(());
        }
        let place = self.write(block)?;
        self.places.insert(digest, place);
        if self.places.len() >= BATCH_BLOCKS { self.flush() } else { Ok(()) }
    }

    fn commit(mut self) -> Result<(), StoreError> {
        self.flush()
    }
}

/// Moves what was to go into the index to a pack, so that a file is not spread over both.
fn move_inline(
    places: &mut HashMap<[u8; 32], Place>,
    pack: &mut PackWriter,
) -> Result<(), StoreError> {
    for (digest, place) in places {
        if let Place::Inline(data) = place {
            *place = pack.add(&NewBlock::of_digest(digest, data))?;
        }
    }
    Ok(())
}

/// Whether an error of reading means that the bytes are gone, rather than that they cannot be had now.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    const WHAT: &str = "locking the store";
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(io_error(WHAT))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked),
        Err(TryLockError::Error(source)) => Err(StoreError::Io { what: WHAT, source }),
    }
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { what, source }
}

/// Makes the names in a directory durable. Only Unix has this step.
fn sync_dir(path: &Path) -> Result<(), StoreError> {
    if !cfg!(unix) {
        return Ok(());
    }
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(io_error("syncing a directory"))
}

/// The directory that `path` is in.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests;
