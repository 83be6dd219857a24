use std::{
    io::{Seek as _, SeekFrom, Write as _},
    thread,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    store::BlockBatch as _,
    unixfs::{self, ImportOptions, Importer, Profile, ReadError},
};

mod check;
mod evict;
mod format;

fn open() -> (TempDir, DiskStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    (folder, store)
}

fn options() -> ImportOptions {
    ImportOptions::from(Profile::CidV1256k).with_chunk_size(10_000).unwrap()
}

fn import(store: &DiskStore, data: &[u8]) -> Cid {
    let mut batch = store.batch().unwrap();
    let mut sink = |block: &NewBlock<'_>| batch.add(block);
    let mut importer = Importer::new(options());
    importer.push(data, &mut sink).unwrap();
    let root = importer.finish(&mut sink).unwrap();
    batch.commit().unwrap();
    root.cid
}

fn data(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251).to_le_bytes()[0] ^ seed).collect()
}

/// All packs of a store, in order.
fn packs(folder: &TempDir) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for shard in fs::read_dir(folder.path().join("packs")).unwrap() {
        found.extend(fs::read_dir(shard.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    found.sort();
    found
}

#[test]
fn what_was_put_is_there_after_a_restart() {
    let (folder, store) = open();
    let (large, small) = (data(1, 95_000), data(2, 300));
    let roots = [import(&store, &large), import(&store, &small)];
    store.pin(&roots[0]).unwrap();
    drop(store);
    let store = DiskStore::open(folder.path()).unwrap();
    assert_eq!(unixfs::read_file(&store, roots[0], large.len()).unwrap(), large);
    assert_eq!(unixfs::read_file(&store, roots[1], small.len()).unwrap(), small);
    assert!(store.is_pinned(&roots[0]).unwrap() && !store.is_pinned(&roots[1]).unwrap());
    assert_eq!(store.len().unwrap(), 12);
    for hash in store.hashes().unwrap() {
        assert!(store.get(&hash.unwrap()).unwrap().is_some());
    }
}

#[test]
fn a_file_takes_one_pack_and_a_small_one_none() {
    let (folder, store) = open();
    import(&store, &data(1, 300));
    assert_eq!(packs(&folder).len(), 0);
    import(&store, &data(1, 95_000));
    assert_eq!(packs(&folder).len(), 1);
    import(&store, &data(1, 95_000));
    assert_eq!(packs(&folder).len(), 1, "nothing is written twice");
}

#[test]
fn a_pack_is_a_car() {
    let (folder, store) = open();
    import(&store, &data(1, 95_000));
    let car = fs::read(&packs(&folder)[0]).unwrap();
    let mut rest = car.strip_prefix(b"\x11\xa2\x65roots\x80\x67version\x01").unwrap();
    let mut blocks = 0;
    while !rest.is_empty() {
        let len = usize::try_from(varint::take(&mut rest).unwrap()).unwrap();
        let (section, after) = rest.split_at(len);
        let cid = cid::take(&mut &section[..]).unwrap();
        if cid.hash().code() == cid::IDENTITY {
            // The note that the root is stored nowhere else: the last section.
            assert!(cid.hash().digest().starts_with(b"alive-pack/1 o") && after.is_empty());
            rest = after;
            continue;
        }
        let block = Block::check(*cid.hash(), Bytes::copy_from_slice(&section[36..])).unwrap();
        assert!(store.has(block.hash()).unwrap());
        (blocks, rest) = (blocks + 1, after);
    }
    assert_eq!(blocks, 11, "ten leaves and a root");
}

#[test]
fn a_second_opening_is_refused_until_the_first_is_closed() {
    let (folder, store) = open();
    assert!(matches!(DiskStore::open(folder.path()), Err(StoreError::Locked)));
    drop(store);
    DiskStore::open(folder.path()).unwrap();
}

#[test]
fn a_batch_that_is_dropped_leaves_nothing() {
    let (folder, store) = open();
    let data = data(5, 50_000);
    let mut batch = store.batch().unwrap();
    let mut importer = Importer::new(options());
    importer.push(&data, &mut |block: &NewBlock<'_>| batch.add(block)).unwrap();
    assert_eq!(packs(&folder).len(), 1);
    drop(batch);
    assert_eq!(packs(&folder).len(), 0);
    assert!(store.is_empty().unwrap());
}

#[test]
fn a_pack_without_a_whole_block_is_removed_and_its_number_not_used_again() {
    let (folder, store) = open();
    let root = import(&store, &data(5, 50_000));
    drop(store);
    let kept = packs(&folder);
    for torn in [0, 10, 17, 60, 9_000] {
        let orphan = kept[0].with_file_name(format!("{:016x}.car", 7));
        fs::write(&orphan, &fs::read(&kept[0]).unwrap()[..torn]).unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        assert_eq!(packs(&folder), kept);
        assert!(unixfs::is_complete(&store, root).unwrap());
        if torn == 9_000 {
            import(&store, &data(6, 50_000));
            assert!(packs(&folder)[1].ends_with(format!("{:016x}.car", 8)));
        }
    }
}

#[test]
fn a_lost_index_is_made_again_from_the_packs() {
    let (folder, store) = open();
    let (one, two) = (data(5, 50_000), data(6, 95_000));
    let roots = [import(&store, &one), import(&store, &two)];
    let blocks = store.len().unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    fs::write(folder.path().join("packs/notes.txt"), b"not a shard").unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    assert_eq!(store.len().unwrap(), blocks);
    assert_eq!(unixfs::read_file(&store, roots[0], one.len()).unwrap(), one);
    assert_eq!(unixfs::read_file(&store, roots[1], two.len()).unwrap(), two);
}

#[test]
fn whole_blocks_before_a_tear_are_taken_up_and_not_written_twice() {
    let (folder, store) = open();
    let data = data(5, 95_000);
    let root = import(&store, &data);
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    let torn = File::options().write(true).open(&packs(&folder)[0]).unwrap();
    torn.set_len(45_000).unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    assert_eq!(store.len().unwrap(), 4);
    assert_eq!(import(&store, &data), root);
    assert_eq!(unixfs::read_file(&store, root, data.len()).unwrap(), data);
    let sizes: Vec<u64> =
        packs(&folder).iter().map(|pack| fs::metadata(pack).unwrap().len()).collect();
    assert!(sizes[1] < 60_000, "{sizes:?}");
}

#[test]
fn an_index_that_was_half_made_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.new"), b"half").unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    assert!(store.is_empty().unwrap());
}

#[test]
fn an_index_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.redb"), data(1, 9000)).unwrap();
    assert!(matches!(DiskStore::open(folder.path()), Err(StoreError::Index(_))));
}

#[test]
fn damage_is_reported_and_healed_by_storing_again() {
    type Damage = fn(&Path);
    let cut: Damage =
        |path| File::options().write(true).open(path).unwrap().set_len(40_000).unwrap();
    let lost: Damage = |path| fs::remove_file(path).unwrap();
    let flipped: Damage = |path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[45_000] ^= 1;
        File::options().write(true).open(path).unwrap().write_all(&bytes).unwrap();
    };
    for damage in [cut, lost, flipped] {
        let (folder, store) = open();
        let data = data(9, 95_000);
        let root = import(&store, &data);
        damage(&packs(&folder)[0]);
        let error = unixfs::read_file(&store, root, data.len()).unwrap_err();
        let ReadError::Store { cid, source: StoreError::Corrupt(_) } = error else {
            panic!("{error:?}");
        };
        assert!(!store.has(cid.hash()).unwrap(), "it counts as absent");
        assert_eq!(import(&store, &data), root);
        assert!(store.has(cid.hash()).unwrap());
        assert_eq!(unixfs::read_file(&store, root, data.len()).unwrap(), data);
        drop(store);
        let store = DiskStore::open(folder.path()).unwrap();
        assert_eq!(unixfs::read_file(&store, root, data.len()).unwrap(), data);
    }
}

#[test]
fn many_threads_write_and_read_at_once() {
    let (folder, store) = open();
    thread::scope(|scope| {
        for seed in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for len in [300, 20_000, 95_000] {
                    let data = data(seed, len);
                    let root = import(store, &data);
                    assert_eq!(unixfs::read_file(store, root, len).unwrap(), data);
                }
            });
        }
    });
    drop(store);
    let store = DiskStore::open(folder.path()).unwrap();
    for hash in store.hashes().unwrap() {
        assert!(store.get(&hash.unwrap()).unwrap().is_some());
    }
}

#[test]
fn hashes_that_cannot_be_checked_are_never_stored() {
    let (_folder, store) = open();
    let hash = Multihash::wrap(cid::IDENTITY, b"hi").unwrap();
    let block = Block::of_identity(&hash).unwrap();
    assert!(matches!(store.put(&block), Err(StoreError::Refused(_))));
    assert!(store.get(&hash).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_flipped_byte_of_a_pack_is_noticed(at: prop::sample::Index, bit in 0_u8..8) {
        let (folder, store) = open();
        let data = data(3, 60_000);
        let root = import(&store, &data);
        let path = &packs(&folder)[0];
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(path, bytes).unwrap();
        // Bytes between blocks carry nothing; any other change is an error, never other content.
        if let Ok(read) = unixfs::read_file(&store, root, data.len()) {
            prop_assert_eq!(read, data);
        } else {
            let corrupt = store.hashes().unwrap().filter(|hash| {
                matches!(store.get(hash.as_ref().unwrap()), Err(StoreError::Corrupt(_)))
            });
            prop_assert_eq!(corrupt.count(), 1);
        }
    }
}

/// Flips a byte of the last leaf, or of the root if that is all there is.
fn damage(store: &DiskStore, root: &Cid) {
    let mut walk = unixfs::FileWalk::whole(*root, u64::MAX);
    let mut last = *root;
    while let Ok(step) = walk.poll() {
        match step {
            unixfs::Step::Block(cid) => {
                last = cid;
                walk.supply(&store.get(cid.hash()).unwrap().unwrap()).unwrap();
            }
            unixfs::Step::Data(_) => {}
            unixfs::Step::Done => break,
        }
    }
    let digest = digest_of(last.hash()).unwrap();
    match store.index.find(&digest).unwrap().unwrap() {
        Place::Inline { number, leaf, mut data } => {
            data[0] ^= 0x40;
            let place = Place::Inline { number, leaf, data };
            let places = HashMap::from([(digest, place)]);
            store.index.commit(&Change { places, ..Change::default() }).unwrap();
        }
        Place::Pack { number, offset, .. } => {
            let path = store.packs.path(number);
            let mut file = File::options().write(true).open(path).unwrap();
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.write_all(b"damage").unwrap();
        }
    }
}

#[tokio::test]
async fn files_on_disk_heal() {
    let folder = tempfile::tempdir().unwrap();
    let storage = crate::DiskStorage::open_dir(folder.path()).unwrap();
    alive_core::testing::storage_heals(&storage, async |storage: &crate::DiskStorage, id| {
        damage(storage.store(), &cid::of_content(id).unwrap());
    })
    .await;
}
