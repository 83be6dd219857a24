//! Blocks on disk: [`DiskStore`].
//!
//! A batch of blocks is appended to one new *pack*, a `CARv1` file that any IPFS tool reads; small batches (the CSV of a
//! chunk) go into the index itself. The index, a `redb` database, says where each block is and is the only truth: a
//! block is here when, and only when, a commit of the index names it.
//!
//! A put therefore goes: create the pack, sync its directory while blocks are hashed and written, sync the pack, commit to
//! the index. That commit is not synced, as the pack tells all that it says: a pack that the index does not know is read
//! at the next opening, and blocks in it that are whole, by their hash, are taken up with the notes that the put has left.
//! Whatever moment the power fails at, either the pack was synced before, or the put had not returned. The same makes the
//! index again if it is lost, but for the small batches that were only there.
//!
//! Considered and left: one file a block (a 2 MB segment has 9 blocks, and every one would cost a sync), and all bytes
//! inside `redb` (it rounds values up to a power of two, so a 256 KiB leaf with its 14 bytes of frame takes 512 KiB).

mod batch;
mod check;
mod evict;
mod index;
mod pack;
mod place;
mod usage;
mod write_back;

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use bytes::Bytes;

pub use self::{
    batch::DiskBatch,
    check::{CheckReport, MAX_LISTED},
    evict::Evicted,
};
use self::{
    index::{Change, Index},
    pack::{Found, Note, Packs},
    place::Place,
    usage::{Claim, Usage},
};
use super::{BlockStore, StoreError, digest_of};
use crate::{
    block::{Block, MAX_BLOCK_BYTES, NewBlock, sha2_256},
    cid::{self, Cid, Multihash},
    varint,
};

pub(super) use self::index::FORMAT;

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
///
/// With a limit ([`with_limit`](Self::with_limit)) a put that finds no room evicts what may be fetched again, the least
/// recently used first. What lies below a pin stays, and what was stored by
/// [`commit`](super::BlockBatch::commit) until it is [marked as stored elsewhere](BlockStore::mark_elsewhere).
#[derive(Debug)]
pub struct DiskStore {
    index: Index,
    packs: Packs,
    usage: Usage,
    /// Most bytes of packs and of blocks in the index.
    limit: Option<u64>,
    /// Held for reading while a batch comes to rely on a block, for writing while blocks are evicted or moved.
    gate: RwLock<()>,
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
    /// wrote it, [`StoreError::Index`] if its index is damaged ([`rebuild`](Self::rebuild) makes a new one), or the
    /// directory cannot be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        fs::create_dir_all(path).map_err(io_error("making the store's directory"))?;
        Self::open_locked(path, lock(&path.join("lock"))?)
    }

    fn open_locked(path: &Path, lock: File) -> Result<Self, StoreError> {
        let (index, is_new) = Index::open(path.join("index.redb"))?;
        let packs = Packs::new(path.join("packs"))?;
        sync_dir(path)?;
        let mut store = Self {
            index,
            packs,
            usage: Usage::new(0, 0, HashMap::new()),
            limit: None,
            gate: RwLock::default(),
            corrupt: Mutex::default(),
            _lock: lock,
        };
        store.bury()?;
        let numbers = store.packs.numbers()?;
        let last = numbers.last().copied().max(store.index.last_number()?);
        for number in numbers {
            if !store.index.has_pack(number)? {
                store.recover(number, is_new)?;
            }
        }
        let used = store.index.packs()?.values().sum();
        store.usage = Usage::new(last.map_or(0, |last| last + 1), used, store.index.uses()?);
        Ok(store)
    }

    /// Takes at most so many bytes from now on: those of packs, and of the blocks that are in the index. Beside them the index
    /// takes about a hundred bytes a block, and joining packs for a moment one pack more.
    ///
    /// Nothing is evicted before the next put that finds no room.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn with_limit(mut self, bytes: u64) -> Result<Self, StoreError> {
        if self.limit.is_none() {
            let mut inline = 0;
            for entry in self.index.places()? {
                let (_, place) = entry?;
                inline += if let Place::Inline { .. } = place { place.len() } else { 0 };
            }
            self.usage.change(inline, 0);
        }
        self.limit = Some(bytes);
        Ok(self)
    }

    /// The limit, in bytes, if there is one.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Bytes of all packs; in a store with a limit also of the blocks that are in the index.
    pub fn used_bytes(&self) -> u64 {
        self.usage.used()
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
    ) -> Result<impl Iterator<Item = Result<Multihash, StoreError>> + use<>, StoreError> {
        self.index.hashes()
    }

    /// Takes up a pack that the index does not know: whole blocks that are nowhere else are kept, and what the put has
    /// noted. Of a pack without a note all is kept if `all` (the index is new, so it may have known more), and otherwise
    /// may be evicted (the put never returned).
    fn recover(&self, number: u64, all: bool) -> Result<(), StoreError> {
        let mut change = Change::default();
        let mut has_note = false;
        let recovered = self.packs.recover(number, |found| {
            match found {
                Found::Block(hash, place) => {
                    let digest = digest_of(&hash)?;
                    if !self.index.has(&digest)? {
                        change.places.insert(digest, place);
                    }
                }
                Found::Note(note) => {
                    has_note = true;
                    if let Note::Owed(root) = note {
                        change.owed.push(root);
                    }
                }
            }
            Ok(())
        })?;
        if all && !has_note {
            let block = |digest| Cid::new_v1(cid::RAW, sha2_256(digest));
            change.owed.extend(change.places.keys().map(block));
        }
        if change.places.is_empty() {
            if !change.owed.is_empty() {
                self.index.commit(&change)?;
            }
            return self.packs.remove(number);
        }
        change.packs.push((number, recovered.size));
        self.index.commit_lazily(&change)?;
        self.usage.change(recovered.size, 0);
        Ok(())
    }

    fn load(&self, place: Place) -> io::Result<Bytes> {
        match place {
            Place::Inline { data, .. } => Ok(data.into()),
            Place::Pack { number, offset, len, .. } if len as usize <= MAX_BLOCK_BYTES => {
                self.packs.read(number, offset, len as usize).map(Bytes::from)
            }
            Place::Pack { .. } => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads and checks a block. Its pack may be evicted or moved meanwhile: then it is looked up again.
    fn read(&self, hash: &Multihash) -> Result<Option<Block>, StoreError> {
        let Ok(digest) = digest_of(hash) else { return Ok(None) };
        let mut before = None;
        loop {
            let Some(place) = self.index.find(&digest)? else { return Ok(None) };
            let number = place.number();
            let checked = match self.load(place.clone()) {
                Ok(data) => Block::check(*hash, data).map_err(Into::into),
                Err(error) if is_damage(&error) => Err(error.into()),
                Err(source) => return Err(io_error("reading a pack")(source)),
            };
            match checked {
                Ok(block) => {
                    if self.limit.is_some() {
                        self.usage.touch(number);
                    }
                    return Ok(Some(block));
                }
                Err(source) if before == Some(place.clone()) => {
                    self.corrupt().insert(digest);
                    return Err(StoreError::Corrupt(source));
                }
                Err(_) => before = Some(place),
            }
        }
    }

    /// Whether these very bytes are stored; what cannot be read is not. If so, the claim relies on them from now on.
    fn claim_if_stored(
        &self,
        digest: &[u8; 32],
        block: &NewBlock<'_>,
        claim: &mut Claim<'_>,
    ) -> Result<bool, StoreError> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = self.index.find(digest)? else { return Ok(false) };
        let number = place.number();
        let is_stored = self.load(place).is_ok_and(|old| block.is_same(&old));
        if is_stored {
            claim.add(number);
            if self.limit.is_some() {
                self.usage.touch(number);
            }
        }
        Ok(is_stored)
    }

    /// Uses to be written with a change, among them that of a new number.
    fn uses_with(&self, number: Option<u64>) -> Vec<(u64, u64)> {
        if let Some(number) = number {
            self.usage.touch(number);
        }
        self.usage.take_uses()
    }

    /// Forgets that blocks were found corrupt.
    fn heal<'d>(&self, digests: impl Iterator<Item = &'d [u8; 32]>) {
        let mut corrupt = self.corrupt();
        if !corrupt.is_empty() {
            for digest in digests {
                corrupt.remove(digest);
            }
        }
    }

    /// Removes the pack of a commit that failed, unless it came to the disk all the same. What cannot be removed now is
    /// when the store is opened the next time.
    fn abandon(&self, pack: Option<(u64, u64)>) {
        if let Some((number, _)) = pack
            && self.index.has_pack(number).is_ok_and(|known| !known)
        {
            let _left = self.packs.remove(number);
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
        Ok(DiskBatch::new(self))
    }

    fn get(&self, hash: &Multihash) -> Result<Option<Block>, StoreError> {
        self.read(hash)
    }

    fn has(&self, hash: &Multihash) -> Result<bool, StoreError> {
        let Ok(digest) = digest_of(hash) else { return Ok(false) };
        Ok(self.index.has(&digest)? && !self.corrupt().contains(&digest))
    }

    fn pin(&self, root: &Cid) -> Result<(), StoreError> {
        self.index.pin(root)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.usage.set_futile(false);
        self.index.unpin(root)
    }

    fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError> {
        self.index.is_pinned(root)
    }

    fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        self.index.pins()
    }

    fn mark_elsewhere(&self, root: &Cid) -> Result<(), StoreError> {
        self.index.settle(root)?;
        self.usage.set_futile(false);
        Ok(())
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        // Without it some packs are read again at the next opening, and some uses are forgotten.
        let _lost = self.index.sync(self.usage.take_uses());
    }
}

/// Whether a block surely links nothing: it is no dag-pb node, or one that is all data.
fn is_leaf(data: &[u8]) -> bool {
    is_leaf_head(data, data.len())
}

fn is_leaf_of(block: &NewBlock<'_>) -> bool {
    let head = block.parts().into_iter().find(|part| !part.is_empty());
    is_leaf_head(head.unwrap_or_default(), block.size())
}

/// Looks at the start of a block of `size` bytes. Tag and length of a node's data come in one piece.
fn is_leaf_head(head: &[u8], size: usize) -> bool {
    match head.split_first() {
        Some((0x0a, mut rest)) => varint::take(&mut rest).is_ok_and(|len| {
            let head = head.len() - rest.len();
            len == size.saturating_sub(head) as u64
        }),
        Some((0x12, _)) => false,
        _ => true,
    }
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

/// Tells causes that callers act on from the others.
fn io_error(what: &'static str) -> impl Fn(io::Error) -> StoreError {
    use io::ErrorKind::{
        FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    move |source| match source.kind() {
        FileTooLarge | QuotaExceeded | StorageFull => StoreError::DiskFull { what, source },
        PermissionDenied | ReadOnlyFilesystem => StoreError::Denied { what, source },
        _ => StoreError::Io { what, source },
    }
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
