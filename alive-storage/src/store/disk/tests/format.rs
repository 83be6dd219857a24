//! Stores of the first format are read, and nothing of them is evicted by surprise.

use redb::{Database, TableDefinition};

use super::*;

const BLOCKS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("blocks");
const PACKS: TableDefinition<'_, u64, u64> = TableDefinition::new("packs");
const PINS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("pins");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Writes the index of a store again as the first format had it.
fn downgrade(folder: &TempDir, store: DiskStore) {
    let places: Vec<_> = store.index.places().unwrap().map(Result::unwrap).collect();
    let packs = store.index.packs().unwrap();
    drop(store);
    let path = folder.path().join("index.redb");
    fs::remove_file(&path).unwrap();
    let write = Database::create(&path).unwrap();
    let write = write.begin_write().unwrap();
    for (digest, place) in places {
        let entry = match place {
            Place::Inline { data, .. } => [&[0][..], &data].concat(),
            Place::Pack { number, offset, len, .. } => {
                [&[1][..], &number.to_le_bytes(), &offset.to_le_bytes(), &len.to_le_bytes()]
                    .concat()
            }
        };
        write.open_table(BLOCKS).unwrap().insert(&digest, &entry[..]).unwrap();
    }
    for (number, size) in packs {
        write.open_table(PACKS).unwrap().insert(number, size).unwrap();
    }
    write.open_table(PINS).unwrap();
    write.open_table(META).unwrap().insert("format", 1).unwrap();
    write.commit().unwrap();
}

#[test]
fn a_store_of_the_first_format_is_read_and_kept() {
    let (folder, store) = open();
    let (large, small) = (data(1, 95_000), data(2, 300));
    let roots = [import(&store, &large), import(&store, &small)];
    downgrade(&folder, store);
    for _ in 0..2 {
        let store = DiskStore::open(folder.path()).unwrap().with_limit(1 << 20).unwrap();
        assert_eq!(store.shrink(0).unwrap(), Evicted::default());
        assert_eq!(unixfs::read_file(&store, roots[0], large.len()).unwrap(), large);
        assert_eq!(unixfs::read_file(&store, roots[1], small.len()).unwrap(), small);
    }
}

#[test]
fn a_later_format_is_refused() {
    let (folder, store) = open();
    drop(store);
    let database = Database::open(folder.path().join("index.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("format", FORMAT + 1).unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(matches!(DiskStore::open(folder.path()), Err(StoreError::Format(3))));
}
