//! What a check finds, and what a repair puts right.

use super::*;

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_store_is_sound() {
    let (_folder, store) = open();
    import(&store, &data(1, 95_000));
    import(&store, &data(2, 300));
    let report = store.check().unwrap();
    assert!(report.is_sound() && report.incomplete.is_empty());
    assert_eq!(report.blocks, 12);
    assert!(report.bytes > 95_300);
    assert_eq!(store.repair().unwrap(), report);
}

#[test]
fn damaged_blocks_are_found_forgotten_and_stored_again() {
    let (folder, store) = open();
    let data = data(9, 95_000);
    let root = import(&store, &data);
    store.pin(&root).unwrap();
    flip(&packs(&folder)[0], 45_000);
    let report = store.check().unwrap();
    assert_eq!((report.damaged, report.listed.len(), report.blocks), (1, 1, 10));
    assert_eq!(report.incomplete, [cid::to_v1(&root)]);
    assert_eq!(store.repair().unwrap().damaged, 1);
    assert!(store.get(&report.listed[0]).unwrap().is_none(), "it is absent, not corrupt");
    let after = store.check().unwrap();
    assert!(after.is_sound());
    assert_eq!(after.incomplete.len(), 1, "only storing it again makes it whole");
    assert_eq!(import(&store, &data), root);
    assert!(store.check().unwrap().incomplete.is_empty());
    drop(store);
    let store = DiskStore::open(folder.path()).unwrap();
    assert_eq!(unixfs::read_file(&store, root, data.len()).unwrap(), data);
}

#[test]
fn a_pack_that_is_gone_is_found_and_forgotten() {
    let (folder, store) = open();
    let (lost, kept) = (import(&store, &data(1, 95_000)), import(&store, &data(2, 95_000)));
    fs::remove_file(&packs(&folder)[0]).unwrap();
    let report = store.repair().unwrap();
    assert_eq!((report.damaged, report.torn_packs), (11, 1));
    assert!(store.check().unwrap().is_sound());
    assert!(!unixfs::is_complete(&store, lost).unwrap());
    assert!(unixfs::is_complete(&store, kept).unwrap());
    assert_eq!(store.used_bytes(), fs::metadata(&packs(&folder)[0]).unwrap().len());
}

#[test]
fn a_tail_that_is_torn_or_foreign_is_cut_off() {
    for tail in [&b"\xff\xff\xff\xff"[..], &[0x80; 3], &[0; 9], b"\x30half a section"] {
        let (folder, store) = open();
        let root = import(&store, &data(1, 95_000));
        let path = &packs(&folder)[0];
        let size = fs::metadata(path).unwrap().len();
        File::options().append(true).open(path).unwrap().write_all(tail).unwrap();
        assert_eq!(store.repair().unwrap().torn_packs, 1);
        assert_eq!(fs::metadata(path).unwrap().len(), size);
        assert!(store.check().unwrap().is_sound());
        assert!(unixfs::is_complete(&store, root).unwrap());
    }
    let (folder, store) = open();
    import(&store, &data(1, 95_000));
    File::options().write(true).open(&packs(&folder)[0]).unwrap().set_len(45_000).unwrap();
    let report = store.repair().unwrap();
    assert_eq!((report.torn_packs, report.damaged), (1, 7));
    let report = store.check().unwrap();
    assert!(report.is_sound() && report.blocks == 4);
    assert!(fs::metadata(&packs(&folder)[0]).unwrap().len() < 45_000);
}

#[test]
fn whole_blocks_of_a_pack_that_the_index_does_not_know_are_taken_up() {
    let (folder, store) = open();
    let (other_folder, other) = open();
    let root = import(&other, &data(3, 95_000));
    let name = format!("{:016x}.car", 77);
    import(&store, &data(1, 95_000));
    fs::copy(&packs(&other_folder)[0], packs(&folder)[0].with_file_name(&name)).unwrap();
    assert_eq!(store.check().unwrap().unknown_packs, 1);
    assert_eq!(store.repair().unwrap().unknown_packs, 1);
    assert!(unixfs::is_complete(&store, root).unwrap());
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn a_pack_that_is_being_written_is_left_alone() {
    let (folder, store) = open();
    let mut batch = store.batch().unwrap();
    let mut importer = Importer::new(options());
    let mut sink = |block: &NewBlock<'_>| batch.add(block);
    importer.push(&data(5, 50_000), &mut sink).unwrap();
    let report = store.repair().unwrap();
    assert_eq!((packs(&folder).len(), report.unknown_packs), (1, 0));
    let root = importer.finish(&mut |block: &NewBlock<'_>| batch.add(block)).unwrap().cid;
    batch.commit().unwrap();
    assert!(unixfs::is_complete(&store, root).unwrap());
}

#[test]
fn a_damaged_index_is_made_again_and_all_is_kept() {
    let (folder, store) = open();
    let owed = import(&store, &data(1, 95_000));
    let mut batch = store.batch().unwrap();
    let mut sink = |block: &NewBlock<'_>| batch.add(block);
    let mut importer = Importer::new(options());
    importer.push(&data(2, 95_000), &mut sink).unwrap();
    let cached = importer.finish(&mut sink).unwrap().cid;
    batch.commit_cached().unwrap();
    drop(store);
    fs::write(folder.path().join("index.redb"), data(1, 9000)).unwrap();
    assert!(matches!(DiskStore::open(folder.path()), Err(StoreError::Index(_))));
    let store = DiskStore::rebuild(folder.path()).unwrap().with_limit(1 << 20).unwrap();
    assert!(DiskStore::rebuild(folder.path()).is_err(), "not while it is open");
    assert!(folder.path().join("index.damaged").exists());
    assert!(unixfs::is_complete(&store, cached).unwrap());
    store.shrink(0).unwrap();
    assert!(
        unixfs::is_complete(&store, owed).unwrap() && !unixfs::is_complete(&store, cached).unwrap()
    );
    store.mark_elsewhere(&owed).unwrap();
    store.shrink(0).unwrap();
    assert!(store.is_empty().unwrap());
}
