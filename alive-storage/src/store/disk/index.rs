//! The index of a store on disk: which block is where.

use std::{collections::HashMap, fs, path::Path};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

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

/// The database.
#[derive(Debug)]
pub(super) struct Index(Database);

impl Index {
    /// Opens it. A new one is made under another name first, so that a crash leaves none half made.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            let new = path.with_extension("new");
            let _absent = fs::remove_file(&new);
            drop(Self::create(&new)?);
            fs::rename(&new, path).map_err(io_error("naming the index"))?;
            sync_dir(&parent(path))?;
        }
        let index = Self(builder().open(path).map_err(index_error)?);
        match index.format()? {
            FORMAT => Ok(index),
            other => Err(StoreError::Format(other)),
        }
    }

    fn create(path: &Path) -> Result<Self, StoreError> {
        let index = Self(builder().create(path).map_err(index_error)?);
        let write = index.0.begin_write().map_err(index_error)?;
        write.open_table(BLOCKS).map_err(index_error)?;
        write.open_table(PACKS).map_err(index_error)?;
        write.open_table(PINS).map_err(index_error)?;
        write
            .open_table(META)
            .map_err(index_error)?
            .insert("format", FORMAT)
            .map_err(index_error)?;
        write.commit().map_err(index_error)?;
        Ok(index)
    }

    fn format(&self) -> Result<u64, StoreError> {
        let found = self.read(META)?.get("format").map_err(index_error)?;
        Ok(found.map_or(0, |format| format.value()))
    }

    /// Where a block is, if it is here.
    pub(super) fn find(&self, digest: &[u8; 32]) -> Result<Option<Place>, StoreError> {
        let Some(bytes) = self.read(BLOCKS)?.get(digest).map_err(index_error)? else {
            return Ok(None);
        };
        let place = Place::decode(bytes.value());
        place.map(Some).ok_or_else(|| StoreError::Index("entry cannot be read".into()))
    }

    pub(super) fn has(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        Ok(self.read(BLOCKS)?.get(digest).map_err(index_error)?.is_some())
    }

    pub(super) fn len(&self) -> Result<u64, StoreError> {
        self.read(BLOCKS)?.len().map_err(index_error)
    }

    pub(super) fn hashes(
        &self,
    ) -> Result<impl Iterator<Item = Result<Multihash, StoreError>> + use<>, StoreError> {
        let range = self.read(BLOCKS)?.range::<&[u8; 32]>(..).map_err(index_error)?;
        Ok(range.map(|entry| {
            let (digest, _) = entry.map_err(index_error)?;
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
        let write = self.0.begin_write().map_err(index_error)?;
        {
            let mut blocks = write.open_table(BLOCKS).map_err(index_error)?;
            for (digest, place) in places {
                blocks.insert(digest, &place.encode()[..]).map_err(index_error)?;
            }
            if let Some((number, size)) = pack {
                let mut packs = write.open_table(PACKS).map_err(index_error)?;
                packs.insert(number, size).map_err(index_error)?;
            }
        }
        write.commit().map_err(index_error)
    }

    pub(super) fn has_pack(&self, pack: u64) -> Result<bool, StoreError> {
        Ok(self.read(PACKS)?.get(pack).map_err(index_error)?.is_some())
    }

    pub(super) fn last_pack(&self) -> Result<Option<u64>, StoreError> {
        let packs = self.read(PACKS)?;
        let last = packs.last().map_err(index_error)?;
        Ok(last.map(|(number, _)| number.value()))
    }

    pub(super) fn pin(&self, root: &Cid) -> Result<(), StoreError> {
        if self.is_pinned(root)? {
            return Ok(());
        }
        let write = self.0.begin_write().map_err(index_error)?;
        {
            let mut pins = write.open_table(PINS).map_err(index_error)?;
            pins.insert(&root.to_bytes()[..], ()).map_err(index_error)?;
        }
        write.commit().map_err(index_error)
    }

    pub(super) fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError> {
        Ok(self.read(PINS)?.get(&root.to_bytes()[..]).map_err(index_error)?.is_some())
    }

    fn read<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<redb::ReadOnlyTable<K, V>, StoreError> {
        self.0.begin_read().map_err(index_error)?.open_table(table).map_err(index_error)
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn index_error(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
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
