//! The index of a store on disk: which block is where, what is kept and why.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use redb::{
    AccessGuard, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition, WriteTransaction,
};

use super::{StoreError, io_error, parent, place::Place, sync_dir};
use crate::cid::{self, Cid, Multihash};

/// Version of the store's files.
pub(in crate::store) const FORMAT: u64 = 2;

/// Memory for pages of the index, in bytes.
const CACHE_BYTES: usize = 32 << 20;
/// What may wait for the next sync of the index, in blocks and in bytes of their packs: so much is read again after a
/// crash, and no more is kept in memory till then.
const LAZY_BLOCKS: usize = 4096;
const LAZY_BYTES: u64 = 64 << 20;
/// Packs that wait, at most: the pages that a commit replaces are free only after a sync.
const LAZY_CHANGES: usize = 64;

/// SHA2-256 digest -> [`Place`].
const BLOCKS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("blocks");
/// Number of a pack -> its size in bytes.
const PACKS: TableDefinition<'_, u64, u64> = TableDefinition::new("packs");
/// Binary CIDs that are to be kept.
const PINS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("pins");
/// Binary CIDs of what is stored nowhere else yet, in version 1.
const OWED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("owed");
/// Number of a put -> when something of it was used last, by a clock that counts uses.
const USES: TableDefinition<'_, u64, u64> = TableDefinition::new("uses");
/// Packs whose file is of no use any more and may still be there.
const DOOMED: TableDefinition<'_, u64, ()> = TableDefinition::new("doomed");
/// `format` -> [`FORMAT`].
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// What changes together.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// Blocks that are stored, or stored elsewhere than before.
    pub(super) places: HashMap<[u8; 32], Place>,
    /// Blocks that are no more.
    pub(super) gone: Vec<[u8; 32]>,
    /// New packs and their size.
    pub(super) packs: Vec<(u64, u64)>,
    /// Packs that are no more; their files are doomed.
    pub(super) doomed: Vec<u64>,
    /// Doomed packs whose file has been removed.
    pub(super) buried: Vec<u64>,
    /// Roots that are stored nowhere else yet.
    pub(super) owed: Vec<Cid>,
    /// Puts, and when they were used.
    pub(super) uses: Vec<(u64, u64)>,
}

/// The database, and how to open it again.
///
/// After one failed write, such as on a full disk, `redb` refuses to work until it is opened anew; that is done here, so
/// that a store goes on by itself once there is room again.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    /// `None` when it could not be opened again.
    database: RwLock<Option<Database>>,
    /// Locked during every write, and before `database` wherever both are.
    waiting: Mutex<Waiting>,
}

/// Changes that were made without a sync, because the packs themselves tell of them.
#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<Change>,
    blocks: usize,
    bytes: u64,
    /// Whether the database was opened again since, so that it does not have them.
    lost: bool,
}

impl Index {
    /// Opens it, and says whether it was made anew. A new one is made under another name first, so that a crash leaves
    /// none half made.
    pub(super) fn open(path: PathBuf) -> Result<(Self, bool), StoreError> {
        let is_new = !path.exists();
        if is_new {
            let new = path.with_extension("new");
            let _absent = fs::remove_file(&new);
            create(&new).map_err(index_error)?;
            fs::rename(&new, &path).map_err(io_error("naming the index"))?;
            sync_dir(&parent(&path))?;
        }
        let database = builder().open(&path).map_err(|error| index_error(error.into()))?;
        let (database, waiting) = (RwLock::new(Some(database)), Mutex::default());
        let index = Self { path, database, waiting };
        match index.read(META, |meta| Ok(meta.get("format")?.map(|format| format.value())))? {
            Some(FORMAT) => {}
            Some(1) => index.write(upgrade, None)?,
            other => return Err(StoreError::Format(other.unwrap_or(0))),
        }
        Ok((index, is_new))
    }

    /// Where a block is, if it is here.
    pub(super) fn find(&self, digest: &[u8; 32]) -> Result<Option<Place>, StoreError> {
        let place = |found: AccessGuard<'_, &[u8]>| Place::decode(found.value());
        match self.read(BLOCKS, |blocks| Ok(blocks.get(digest)?.map(place)))? {
            Some(None) => Err(unreadable()),
            found => Ok(found.flatten()),
        }
    }

    pub(super) fn has(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        self.read(BLOCKS, |blocks| Ok(blocks.get(digest)?.is_some()))
    }

    pub(super) fn len(&self) -> Result<u64, StoreError> {
        self.read(BLOCKS, |blocks| Ok(blocks.len()?))
    }

    pub(super) fn hashes(
        &self,
    ) -> Result<impl Iterator<Item = Result<Multihash, StoreError>> + use<>, StoreError> {
        let range = self.read(BLOCKS, |blocks| Ok(blocks.range::<&[u8; 32]>(..)?))?;
        Ok(range.map(|entry| {
            let (digest, _) = entry.map_err(|error| index_error(error.into()))?;
            Multihash::wrap(cid::SHA2_256, digest.value())
                .map_err(|error| StoreError::Index(error.into()))
        }))
    }

    /// All blocks and their places, as of now.
    pub(super) fn places(
        &self,
    ) -> Result<impl Iterator<Item = Result<([u8; 32], Place), StoreError>> + use<>, StoreError>
    {
        let range = self.read(BLOCKS, |blocks| Ok(blocks.range::<&[u8; 32]>(..)?))?;
        Ok(range.map(|entry| {
            let (digest, place) = entry.map_err(|error| index_error(error.into()))?;
            Ok((*digest.value(), Place::decode(place.value()).ok_or_else(unreadable)?))
        }))
    }

    /// Makes a change, durable on return.
    pub(super) fn commit(&self, change: &Change) -> Result<(), StoreError> {
        self.write(|write| change.apply(write), None)
    }

    /// Makes a change that a synced pack tells of, too: visible on return, and after a crash found in the pack.
    pub(super) fn commit_lazily(&self, change: &Change) -> Result<(), StoreError> {
        self.write(|write| change.apply(write), Some(change))
    }

    /// All packs and their sizes.
    pub(super) fn packs(&self) -> Result<HashMap<u64, u64>, StoreError> {
        self.list(PACKS, |number, size| (number.value(), size.value()))
    }

    /// When each put was used last.
    pub(super) fn uses(&self) -> Result<HashMap<u64, u64>, StoreError> {
        self.list(USES, |number, at| (number.value(), at.value()))
    }

    /// Packs whose file may have to be removed.
    pub(super) fn doomed(&self) -> Result<Vec<u64>, StoreError> {
        self.list(DOOMED, |number, _| number.value())
    }

    /// The highest number of a put, or of a pack, that there is or was.
    pub(super) fn last_number(&self) -> Result<Option<u64>, StoreError> {
        let last_pack = |packs: &ReadOnlyTable<_, _>| Ok(packs.last()?.map(|(k, _)| k.value()));
        let last_use = |uses: &ReadOnlyTable<_, _>| Ok(uses.last()?.map(|(k, _)| k.value()));
        let doomed = self.doomed()?.into_iter().max();
        Ok(self.read(PACKS, last_pack)?.max(self.read(USES, last_use)?).max(doomed))
    }

    pub(super) fn has_pack(&self, pack: u64) -> Result<bool, StoreError> {
        self.read(PACKS, |packs| Ok(packs.get(pack)?.is_some()))
    }

    pub(super) fn pin(&self, root: &Cid) -> Result<(), StoreError> {
        if self.is_pinned(root)? {
            return Ok(());
        }
        let key = root.to_bytes();
        self.write(|write| Ok(write.open_table(PINS)?.insert(&key[..], ()).map(drop)?), None)
    }

    pub(super) fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        if !self.is_pinned(root)? {
            return Ok(false);
        }
        let key = root.to_bytes();
        self.write(|write| Ok(write.open_table(PINS)?.remove(&key[..]).map(drop)?), None)?;
        Ok(true)
    }

    pub(super) fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError> {
        self.read(PINS, |pins| Ok(pins.get(&root.to_bytes()[..])?.is_some()))
    }

    pub(super) fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        self.cids(PINS)
    }

    /// Says that a root is stored elsewhere.
    pub(super) fn settle(&self, root: &Cid) -> Result<(), StoreError> {
        if !self.is_owed(root)? {
            return Ok(());
        }
        let key = owed_key(root);
        self.write(|write| Ok(write.open_table(OWED)?.remove(&key[..]).map(drop)?), None)
    }

    pub(super) fn is_owed(&self, root: &Cid) -> Result<bool, StoreError> {
        self.read(OWED, |owed| Ok(owed.get(&owed_key(root)[..])?.is_some()))
    }

    pub(super) fn owed(&self) -> Result<Vec<Cid>, StoreError> {
        self.cids(OWED)
    }

    fn cids(&self, table: TableDefinition<'_, &'static [u8], ()>) -> Result<Vec<Cid>, StoreError> {
        let all: Vec<_> = self.list(table, |cid, _| cid::from_bytes(cid.value()))?;
        all.into_iter().collect::<Result<_, _>>().map_err(|error| StoreError::Index(error.into()))
    }

    /// Syncs what waits for it.
    pub(super) fn sync(&self, uses: Vec<(u64, u64)>) -> Result<(), StoreError> {
        if uses.is_empty() && self.waiting().changes.is_empty() {
            return Ok(());
        }
        self.commit(&Change { uses, ..Change::default() })
    }

    fn list<K: redb::Key + 'static, V: redb::Value + 'static, T, C: FromIterator<T>>(
        &self,
        table: TableDefinition<'_, K, V>,
        entry: impl Fn(AccessGuard<'_, K>, AccessGuard<'_, V>) -> T,
    ) -> Result<C, StoreError> {
        self.read(table, |table| {
            let all = table.iter()?.map(|pair| pair.map(|(key, value)| entry(key, value)));
            Ok(all.collect::<Result<_, _>>()?)
        })
    }

    fn read<K: redb::Key + 'static, V: redb::Value + 'static, T>(
        &self,
        table: TableDefinition<'_, K, V>,
        ask: impl Fn(&ReadOnlyTable<K, V>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let ask = |database: &Database| ask(&database.begin_read()?.open_table(table)?);
        if let Some(done) = self.run(&ask) {
            return done.map_err(index_error);
        }
        self.reopen(&mut self.waiting())?;
        self.run(&ask).unwrap_or(Err(redb::Error::PreviousIo)).map_err(index_error)
    }

    /// Makes a change; `lazily` without a sync, and then it is remembered until there is one.
    fn write(
        &self,
        change: impl Fn(&WriteTransaction) -> Result<(), redb::Error>,
        lazily: Option<&Change>,
    ) -> Result<(), StoreError> {
        let mut waiting = self.waiting();
        if waiting.lost {
            self.reopen(&mut waiting)?;
        }
        let lazily = lazily.filter(|change| waiting.has_room_for(change));
        let run = |database: &Database| {
            let mut write = database.begin_write()?;
            if lazily.is_some() {
                // Refused for savepoints only, of which there are none: the commit is a durable one then.
                let _refused = write.set_durability(Durability::None);
            }
            change(&write)?;
            Ok(write.commit()?)
        };
        let done = match self.run(&run) {
            Some(done) => done,
            None => {
                self.reopen(&mut waiting)?;
                self.run(&run).unwrap_or(Err(redb::Error::PreviousIo))
            }
        };
        match (&done, lazily) {
            (Ok(()), Some(change)) => waiting.add(change.clone()),
            (Ok(()), None) => *waiting = Waiting::default(),
            // Whether it came to the disk is known only by looking there.
            (Err(_), _) => *self.database_mut() = None,
        }
        done.map_err(index_error)
    }

    /// Runs something, unless the database must be opened anew first.
    fn run<T>(
        &self,
        work: &impl Fn(&Database) -> Result<T, redb::Error>,
    ) -> Option<Result<T, redb::Error>> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match database.as_ref().map(work) {
            None | Some(Err(redb::Error::PreviousIo)) => None,
            done => done,
        }
    }

    /// Opens the database anew, and makes the changes again that were waiting for a sync. While there is no room for them it
    /// can be read but for those.
    fn reopen(&self, waiting: &mut Waiting) -> Result<(), StoreError> {
        let mut database = self.database_mut();
        *database = None;
        let open = || builder().open(&self.path).map_err(|error| index_error(error.into()));
        let opened = database.insert(open()?);
        let again = |opened: &Database| {
            let write = opened.begin_write()?;
            waiting.changes.iter().try_for_each(|change| change.apply(&write))?;
            Ok::<(), redb::Error>(write.commit()?)
        };
        let lost = if waiting.changes.is_empty() { Ok(()) } else { again(opened) };
        if lost.is_ok() {
            *waiting = Waiting::default();
            return Ok(());
        }
        let was_lost = std::mem::replace(&mut waiting.lost, true);
        *database = None;
        *database = Some(open()?);
        if was_lost { lost.map_err(index_error) } else { Ok(()) }
    }

    fn database_mut(&self) -> std::sync::RwLockWriteGuard<'_, Option<Database>> {
        self.database.write().unwrap_or_else(PoisonError::into_inner)
    }

    // Nothing panics while it holds the lock: poison says nothing.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn apply(&self, write: &WriteTransaction) -> Result<(), redb::Error> {
        let mut blocks = write.open_table(BLOCKS)?;
        for digest in &self.gone {
            blocks.remove(digest)?;
        }
        for (digest, place) in &self.places {
            blocks.insert(digest, &place.encode()[..])?;
        }
        let mut packs = write.open_table(PACKS)?;
        let mut uses = write.open_table(USES)?;
        let mut doomed = write.open_table(DOOMED)?;
        for number in &self.buried {
            doomed.remove(number)?;
        }
        for (number, size) in &self.packs {
            packs.insert(number, size)?;
            doomed.remove(number)?;
        }
        for (number, at) in &self.uses {
            uses.insert(number, at)?;
        }
        for number in &self.doomed {
            packs.remove(number)?;
            uses.remove(number)?;
            doomed.insert(number, ())?;
        }
        let mut owed = write.open_table(OWED)?;
        for root in &self.owed {
            owed.insert(&owed_key(root)[..], ())?;
        }
        Ok(())
    }
}

impl Waiting {
    fn has_room_for(&self, change: &Change) -> bool {
        let bytes = change.packs.iter().map(|(_, size)| size).sum::<u64>();
        !self.lost
            && self.changes.len() < LAZY_CHANGES
            && self.blocks + change.places.len() <= LAZY_BLOCKS
            && self.bytes + bytes <= LAZY_BYTES
    }

    fn add(&mut self, change: Change) {
        self.blocks += change.places.len();
        self.bytes += change.packs.iter().map(|(_, size)| size).sum::<u64>();
        self.changes.push(change);
    }
}

/// From format 1, which knew nothing of what is stored elsewhere: all that it has is kept.
fn upgrade(write: &WriteTransaction) -> Result<(), redb::Error> {
    let mut owed = write.open_table(OWED)?;
    for entry in write.open_table(BLOCKS)?.iter()? {
        let block = Cid::new_v1(cid::RAW, crate::block::sha2_256(entry?.0.value()));
        owed.insert(&owed_key(&block)[..], ())?;
    }
    write.open_table(USES)?;
    write.open_table(DOOMED)?;
    write.open_table(META)?.insert("format", FORMAT)?;
    Ok(())
}

fn create(path: &Path) -> Result<(), redb::Error> {
    let database = builder().create(path)?;
    let write = database.begin_write()?;
    write.open_table(BLOCKS)?;
    write.open_table(PACKS)?;
    write.open_table(PINS)?;
    write.open_table(OWED)?;
    write.open_table(USES)?;
    write.open_table(DOOMED)?;
    write.open_table(META)?.insert("format", FORMAT)?;
    Ok(write.commit()?)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// One key for all versions of a CID.
fn owed_key(root: &Cid) -> Vec<u8> {
    cid::to_v1(root).to_bytes()
}

fn unreadable() -> StoreError {
    StoreError::Index("entry cannot be read".into())
}

fn index_error(error: redb::Error) -> StoreError {
    match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::Locked,
        redb::Error::Io(source) => match io_error("using the index")(source) {
            // Among them: it is no database.
            StoreError::Io { source, .. } => StoreError::Index(source.into()),
            told_apart => told_apart,
        },
        other => StoreError::Index(other.into()),
    }
}
