//! The index of a store on disk: which block is where.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use redb::{
    AccessGuard, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};

use super::{StoreError, io_error, parent, sync_dir};
use crate::cid::{self, Cid, Multihash};

/// Version of the store's files.
pub(in crate::store) const FORMAT: u64 = 1;

/// Memory for pages of the index, in bytes.
const CACHE_BYTES: usize = 32 << 20;

/// SHA2-256 digest -> [`Place`].
const BLOCKS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("blocks");
/// Number of a pack -> its size in bytes.
const PACKS: TableDefinition<'_, u64, u64> = TableDefinition::new("packs");
/// Binary CIDs that are to be kept.
const PINS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("pins");
/// `format` -> [`FORMAT`].
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Where the bytes of a block are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Inline(Vec<u8>),
    Pack { pack: u64, offset: u64, len: u32 },
}

impl Place {
    /// Place of a block of `len` bytes, which are at most 2 MiB.
    #[expect(clippy::cast_possible_truncation, reason = "a block has at most 2 MiB")]
    pub(super) fn in_pack(pack: u64, offset: u64, len: usize) -> Self {
        Self::Pack { pack, offset, len: len as u32 }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Inline(data) => [&[0], &data[..]].concat(),
            Self::Pack { pack, offset, len } => {
                [&[1], &pack.to_le_bytes()[..], &offset.to_le_bytes(), &len.to_le_bytes()].concat()
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, data) => Some(Self::Inline(data.to_vec())),
            (1, rest) => {
                let (pack, rest) = rest.split_first_chunk()?;
                let (offset, rest) = rest.split_first_chunk()?;
                let len = u32::from_le_bytes(rest.try_into().ok()?);
                let (pack, offset) = (u64::from_le_bytes(*pack), u64::from_le_bytes(*offset));
                Some(Self::Pack { pack, offset, len })
            }
            _ => None,
        }
    }
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
}

impl Index {
    /// Opens it. A new one is made under another name first, so that a crash leaves none half made.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        if !path.exists() {
            let new = path.with_extension("new");
            let _absent = fs::remove_file(&new);
            create(&new).map_err(index_error)?;
            fs::rename(&new, &path).map_err(io_error("naming the index"))?;
            sync_dir(&parent(&path))?;
        }
        let database = builder().open(&path).map_err(|error| index_error(error.into()))?;
        let index = Self { path, database: RwLock::new(Some(database)) };
        match index.read(META, |meta| Ok(meta.get("format")?.map(|format| format.value())))? {
            Some(FORMAT) => Ok(index),
            other => Err(StoreError::Format(other.unwrap_or(0))),
        }
    }

    /// Where a block is, if it is here.
    pub(super) fn find(&self, digest: &[u8; 32]) -> Result<Option<Place>, StoreError> {
        let place = |found: AccessGuard<'_, &[u8]>| Place::decode(found.value());
        match self.read(BLOCKS, |blocks| Ok(blocks.get(digest)?.map(place)))? {
            Some(None) => Err(StoreError::Index("entry cannot be read".into())),
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

    /// Names blocks and, if they are in one, their pack with its size. Durable on return.
    pub(super) fn commit(
        &self,
        places: &HashMap<[u8; 32], Place>,
        pack: Option<(u64, u64)>,
    ) -> Result<(), StoreError> {
        self.write(|write| {
            let mut blocks = write.open_table(BLOCKS)?;
            for (digest, place) in places {
                blocks.insert(digest, &place.encode()[..])?;
            }
            if let Some((number, size)) = pack {
                write.open_table(PACKS)?.insert(number, size)?;
            }
            Ok(())
        })
    }

    pub(super) fn has_pack(&self, pack: u64) -> Result<bool, StoreError> {
        self.read(PACKS, |packs| Ok(packs.get(pack)?.is_some()))
    }

    pub(super) fn last_pack(&self) -> Result<Option<u64>, StoreError> {
        self.read(PACKS, |packs| Ok(packs.last()?.map(|(number, _)| number.value())))
    }

    pub(super) fn pin(&self, root: &Cid) -> Result<(), StoreError> {
        if self.is_pinned(root)? {
            return Ok(());
        }
        self.write(|write| {
            write.open_table(PINS)?.insert(&root.to_bytes()[..], ())?;
            Ok(())
        })
    }

    pub(super) fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError> {
        self.read(PINS, |pins| Ok(pins.get(&root.to_bytes()[..])?.is_some()))
    }

    fn read<K: redb::Key + 'static, V: redb::Value + 'static, T>(
        &self,
        table: TableDefinition<'_, K, V>,
        ask: impl Fn(&ReadOnlyTable<K, V>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.run(|database| ask(&database.begin_read()?.open_table(table)?))
    }

    fn write(
        &self,
        change: impl Fn(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let done = self.run(|database| {
            let write = database.begin_write()?;
            change(&write)?;
            Ok(write.commit()?)
        });
        if done.is_err() {
            // Whether it came to the disk is known only by looking there.
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        done
    }

    /// Runs something, once more on a database opened anew if this one has given up.
    fn run<T>(&self, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let done = self.database.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(&work);
        match done {
            None | Some(Err(redb::Error::PreviousIo)) => {}
            Some(done) => return done.map_err(index_error),
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        let opened = builder().open(&self.path).map_err(|error| index_error(error.into()))?;
        work(database.insert(opened)).map_err(index_error)
    }
}

fn create(path: &Path) -> Result<(), redb::Error> {
    let database = builder().create(path)?;
    let write = database.begin_write()?;
    write.open_table(BLOCKS)?;
    write.open_table(PACKS)?;
    write.open_table(PINS)?;
    write.open_table(META)?.insert("format", FORMAT)?;
    Ok(write.commit()?)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn index_error(error: redb::Error) -> StoreError {
    match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::Locked,
        other => StoreError::Index(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_round_trip(data: Vec<u8>, pack: u64, offset: u64, len: u32) {
            for place in [Place::Inline(data), Place::Pack { pack, offset, len }] {
                prop_assert_eq!(Place::decode(&place.encode()), Some(place));
            }
        }
    }

    #[test]
    fn other_bytes_are_no_place() {
        for bytes in [&[][..], &[2, 0], &[1], &[1; 20], &[1; 22]] {
            assert_eq!(Place::decode(bytes), None);
        }
    }
}
