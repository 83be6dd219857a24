//! What is evicted, what never is, and what a crash leaves.

use super::*;

/// Bytes of every file here: ten leaves in a pack of some 101 KB.
const LEN: usize = 100_000;

fn limited(limit: u64) -> (TempDir, DiskStore) {
    let (folder, store) = open();
    (folder, store.with_limit(limit).unwrap())
}

/// Content of which no block is in another seed's.
fn unique(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Adds a file to a batch.
fn add(batch: &mut DiskBatch<'_>, data: &[u8]) -> Result<Cid, StoreError> {
    let mut importer = Importer::new(options());
    let mut sink = |block: &NewBlock<'_>| batch.add(block);
    importer.push(data, &mut sink)?;
    Ok(importer.finish(&mut sink)?.cid)
}

fn put(store: &DiskStore, data: &[u8]) -> Result<Cid, StoreError> {
    let mut batch = store.batch()?;
    let root = add(&mut batch, data)?;
    batch.commit()?;
    Ok(root)
}

fn put_cached(store: &DiskStore, data: &[u8]) -> Result<Cid, StoreError> {
    let mut batch = store.batch()?;
    let root = add(&mut batch, data)?;
    batch.commit_cached()?;
    Ok(root)
}

fn is_whole(store: &DiskStore, root: Cid) -> bool {
    unixfs::is_complete(store, root).unwrap()
}

/// What a power failure would leave: a copy of the files as they are now.
fn crash(folder: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Bytes of all files of packs.
fn on_disk(folder: &TempDir) -> u64 {
    packs(folder).iter().map(|pack| fs::metadata(pack).unwrap().len()).sum()
}

#[test]
fn the_least_recently_used_goes_first() {
    let (folder, store) = limited(450_000);
    let roots: Vec<Cid> =
        (0..4).map(|seed| put_cached(&store, &unique(seed, LEN)).unwrap()).collect();
    unixfs::read_file(&store, roots[0], LEN).unwrap();
    let new = put_cached(&store, &unique(9, LEN)).unwrap();
    let left: Vec<bool> = roots.iter().map(|root| is_whole(&store, *root)).collect();
    assert_eq!(left, [true, false, true, true]);
    assert!(is_whole(&store, new));
    assert!(store.used_bytes() <= 450_000 && store.used_bytes() == on_disk(&folder));
}

#[test]
fn use_is_remembered_over_a_restart() {
    let (folder, store) = limited(450_000);
    let roots: Vec<Cid> =
        (0..4).map(|seed| put_cached(&store, &unique(seed, LEN)).unwrap()).collect();
    unixfs::read_file(&store, roots[0], LEN).unwrap();
    drop(store);
    let store = DiskStore::open(folder.path()).unwrap().with_limit(450_000).unwrap();
    put_cached(&store, &unique(9, LEN)).unwrap();
    assert!(is_whole(&store, roots[0]) && !is_whole(&store, roots[1]));
}

#[test]
fn what_is_pinned_or_stored_nowhere_else_stays_and_the_store_says_that_it_is_full() {
    let (folder, store) = limited(350_000);
    let owed = put(&store, &unique(1, LEN)).unwrap();
    let pinned = put_cached(&store, &unique(2, LEN)).unwrap();
    store.pin(&pinned).unwrap();
    let cached = put_cached(&store, &unique(3, LEN)).unwrap();
    // Pushes the cached one out, and then there is no more room.
    let second = put(&store, &unique(4, LEN)).unwrap();
    assert!(!is_whole(&store, cached));
    let full = put(&store, &unique(5, LEN)).unwrap_err();
    assert!(matches!(full, StoreError::Full { limit: 350_000 }), "{full:?}");
    assert_eq!(packs(&folder).len(), 3, "nothing is left of what was refused");
    for root in [owed, pinned, second] {
        assert!(is_whole(&store, root));
    }
    // Each of the three ways to make room.
    store.mark_elsewhere(&cid::to_v1(&owed)).unwrap();
    put(&store, &unique(5, LEN)).unwrap();
    assert!(!is_whole(&store, owed));
    assert!(put(&store, &unique(6, LEN)).is_err());
    assert!(store.unpin(&pinned).unwrap() && !store.unpin(&pinned).unwrap());
    put(&store, &unique(6, LEN)).unwrap();
    assert!(!is_whole(&store, pinned));
    assert!(put(&store, &unique(7, LEN)).is_err());
    assert!(is_whole(&store, second));
}

#[test]
fn storing_again_what_is_cached_keeps_it() {
    let (_folder, store) = limited(250_000);
    let root = put_cached(&store, &unique(1, LEN)).unwrap();
    assert_eq!(put(&store, &unique(1, LEN)).unwrap(), root);
    put_cached(&store, &unique(2, LEN)).unwrap();
    put_cached(&store, &unique(3, LEN)).unwrap();
    assert!(is_whole(&store, root));
}

#[test]
fn blocks_that_stay_are_copied_out_of_a_pack_that_goes() {
    let (folder, store) = limited(1_000_000);
    let (shared, rest) = (unique(1, 20_000), unique(2, 80_000));
    let first = put_cached(&store, &[&shared[..], &rest].concat()).unwrap();
    let second = put(&store, &[&shared[..], &unique(3, 30_000)].concat()).unwrap();
    assert!(on_disk(&folder) < 135_000, "the shared blocks are stored once");
    let evicted = store.shrink(0).unwrap();
    assert_eq!((evicted.blocks, evicted.copied), (9, 1), "eight leaves and a root");
    assert!(is_whole(&store, second) && !is_whole(&store, first));
    assert_eq!(store.used_bytes(), on_disk(&folder));
    assert!(on_disk(&folder) < 55_000);
    assert!(store.check().unwrap().is_sound());
    assert_eq!(store.shrink(0).unwrap(), Evicted::default(), "nothing is copied again");
    drop(store);
    let store = DiskStore::open(folder.path()).unwrap();
    assert!(is_whole(&store, second));
}

#[test]
fn a_batch_keeps_the_blocks_it_found_here_until_it_is_committed() {
    let (_folder, store) = limited(400_000);
    let data = unique(1, LEN);
    put_cached(&store, &data).unwrap();
    let mut batch = store.batch().unwrap();
    let root = add(&mut batch, &data).unwrap();
    for seed in 2..9 {
        put_cached(&store, &unique(seed, LEN)).unwrap();
    }
    batch.commit().unwrap();
    assert!(is_whole(&store, root));
    for seed in 9..15 {
        put_cached(&store, &unique(seed, LEN)).unwrap();
    }
    assert_eq!(unixfs::read_file(&store, root, LEN).unwrap(), data);
}

#[test]
fn small_files_in_the_index_are_evicted_too() {
    let (_folder, store) = limited(5_000);
    let roots: Vec<Cid> =
        (0..20).map(|seed| put_cached(&store, &unique(seed, 900)).unwrap()).collect();
    assert!(store.used_bytes() <= 5_000, "{}", store.used_bytes());
    assert!(!is_whole(&store, roots[0]) && is_whole(&store, roots[19]));
    assert!(store.len().unwrap() <= 5);
}

#[test]
fn a_batch_larger_than_the_limit_is_refused_and_leaves_nothing() {
    let (folder, store) = limited(50_000);
    assert!(matches!(put(&store, &unique(1, LEN)), Err(StoreError::Full { .. })));
    assert!(store.is_empty().unwrap() && packs(&folder).is_empty());
    assert_eq!(store.used_bytes(), 0);
    put(&store, &unique(1, 40_000)).unwrap();
}

#[test]
fn below_a_directory_all_is_kept() {
    let (_folder, store) = limited(1_000_000);
    let mut batch = store.batch().unwrap();
    let file = add(&mut batch, &unique(1, LEN)).unwrap();
    let mut builder = unixfs::DirectoryBuilder::new(cid::Version::V1);
    let entry = unixfs::Entry { cid: file, dag_size: 0 };
    builder.add_entry("file".parse().unwrap(), entry).unwrap();
    let root = builder.finish(&mut |block: &NewBlock<'_>| batch.add(block)).unwrap().cid;
    batch.commit().unwrap();
    assert_eq!(store.shrink(0).unwrap(), Evicted::default());
    assert!(is_whole(&store, file));
    store.mark_elsewhere(&root).unwrap();
    assert_eq!(store.shrink(0).unwrap().blocks, 12);
}

#[test]
fn a_put_is_there_after_a_power_failure_with_what_is_known_of_it() {
    let (folder, store) = open();
    let owed = put(&store, &unique(1, LEN)).unwrap();
    let cached = put_cached(&store, &unique(2, LEN)).unwrap();
    let mut batch = store.batch().unwrap();
    add(&mut batch, &unique(3, LEN)).unwrap();
    let copy = crash(&folder);
    assert_eq!(packs(&copy).len(), 3);
    let store = DiskStore::open(copy.path()).unwrap().with_limit(1_000_000).unwrap();
    assert!(is_whole(&store, owed) && is_whole(&store, cached));
    let evicted = store.shrink(0).unwrap();
    assert!(evicted.bytes > 150_000, "the cached file and what was unfinished: {evicted:?}");
    assert!(is_whole(&store, owed) && !is_whole(&store, cached));
    assert_eq!(packs(&copy).len(), 1);
}

#[test]
fn a_crash_before_an_evicted_pack_is_removed_does_not_bring_it_back() {
    let (folder, store) = open();
    let root = put_cached(&store, &unique(1, LEN)).unwrap();
    let gone = store.hashes().unwrap().map(|hash| digest_of(&hash.unwrap()).unwrap()).collect();
    let change = Change { gone, doomed: vec![0], ..Change::default() };
    store.index.commit(&change).unwrap();
    let copy = crash(&folder);
    assert_eq!(packs(&copy).len(), 1);
    let store = DiskStore::open(copy.path()).unwrap();
    assert!(store.is_empty().unwrap() && packs(&copy).is_empty());
    assert_eq!(put(&store, &unique(1, LEN)).unwrap(), root);
    drop(store);
    assert!(
        is_whole(&DiskStore::open(copy.path()).unwrap(), root),
        "its number was not used again"
    );
}

#[test]
fn a_crash_before_a_copied_pack_is_removed_leaves_one_of_both() {
    let (folder, store) = limited(1_000_000);
    let shared = unique(1, 20_000);
    put_cached(&store, &[&shared[..], &unique(2, 80_000)].concat()).unwrap();
    let root = put(&store, &[&shared[..], &unique(3, 30_000)].concat()).unwrap();
    let before = fs::read(&packs(&folder)[0]).unwrap();
    let name = packs(&folder)[0].strip_prefix(folder.path()).unwrap().to_owned();
    store.shrink(0).unwrap();
    let copy = crash(&folder);
    fs::write(copy.path().join(&name), before).unwrap();
    let store = DiskStore::open(copy.path()).unwrap();
    assert!(is_whole(&store, root));
    assert!(!copy.path().join(name).exists());
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn many_puts_without_a_sync_of_the_index_are_all_there_after_a_power_failure() {
    let (folder, store) = open();
    let roots: Vec<Cid> =
        (0..150).map(|seed| put(&store, &unique(seed, 20_000)).unwrap()).collect();
    let copy = crash(&folder);
    let store = DiskStore::open(copy.path()).unwrap();
    for root in roots {
        assert!(is_whole(&store, root));
        assert!(store.index.is_owed(&root).unwrap());
    }
}

#[test]
fn readers_never_see_a_block_go_or_move() {
    let (_folder, store) = limited(600_000);
    let shared = unique(1, 50_000);
    let kept = put(&store, &[&shared[..], &unique(2, 10_000)].concat()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    // It is read from wherever it is now; nothing is ever corrupt.
                    assert_eq!(unixfs::read_file(&store, kept, LEN).unwrap().len(), 60_000);
                    for hash in store.hashes().unwrap() {
                        store.get(&hash.unwrap()).unwrap();
                    }
                }
            });
        }
        for seed in 10..60 {
            // Each shares its first blocks with what is kept, and the others make its pack worth copying.
            let data = [&shared[..], &unique(seed, 60_000)].concat();
            put_cached(&store, &data).unwrap();
            if seed % 7 == 0 {
                store.shrink(0).unwrap();
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(store.corrupt().is_empty());
}

#[test]
fn a_large_batch_comes_in_parts_and_all_of_them_stay() {
    let (folder, store) = open();
    let mut batch = store.batch().unwrap();
    let mut chunk = unique(1, 1 << 20);
    let options = ImportOptions::from(Profile::UnixfsV12025);
    let mut importer = Importer::new(options);
    let mut sink = |block: &NewBlock<'_>| batch.add(block);
    for number in 0..300_u64 {
        chunk[..8].copy_from_slice(&number.to_le_bytes());
        importer.push(&chunk, &mut sink).unwrap();
    }
    let root = importer.finish(&mut sink).unwrap().cid;
    store.shrink(0).unwrap();
    batch.commit().unwrap();
    store.shrink(0).unwrap();
    assert!(is_whole(&store, root));
    assert_eq!(packs(&folder).len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Beside a simple model: what is kept and why, whatever the order of things.
    #[test]
    fn nothing_that_must_stay_ever_goes(
        steps in proptest::collection::vec((0_u8..7, 0_u64..12), 1..60),
    ) {
        let (folder, mut store) = limited(400_000);
        let data = |file: u64| {
            // Every third file shares half of it.
            let shared = unique(file % 3, 30_000);
            [&shared[..], &unique(100 + file, 20_000)].concat()
        };
        let root = |file: u64| {
            let memory = crate::MemoryStore::default();
            let mut batch = memory.batch().unwrap();
            let mut importer = Importer::new(options());
            let mut sink = |block: &NewBlock<'_>| batch.add(block);
            importer.push(&data(file), &mut sink).unwrap();
            importer.finish(&mut sink).unwrap().cid
        };
        let (mut owed, mut pinned) = (HashSet::new(), HashSet::new());
        for (step, file) in steps {
            match step {
                0 | 1 => match put(&store, &data(file)) {
                    Ok(_) => { owed.insert(file); }
                    Err(error) => assert!(matches!(error, StoreError::Full { .. })),
                },
                2 => match put_cached(&store, &data(file)) {
                    Ok(_) => {}
                    Err(error) => assert!(matches!(error, StoreError::Full { .. })),
                },
                3 => {
                    store.mark_elsewhere(&root(file)).unwrap();
                    owed.remove(&file);
                }
                4 if is_whole(&store, root(file)) => {
                    store.pin(&root(file)).unwrap();
                    pinned.insert(file);
                }
                5 => {
                    store.unpin(&root(file)).unwrap();
                    pinned.remove(&file);
                }
                6 if file == 0 => {
                    drop(store);
                    store = DiskStore::open(folder.path()).unwrap().with_limit(400_000).unwrap();
                }
                _ => { store.shrink(file * 30_000).unwrap(); }
            }
            for file in owed.union(&pinned) {
                prop_assert_eq!(
                    unixfs::read_file(&store, root(*file), LEN).unwrap(), data(*file)
                );
            }
            prop_assert!(store.used_bytes() <= 400_000);
            let inline = store.index.places().unwrap().map(|entry| match entry.unwrap().1 {
                Place::Inline { data, .. } => data.len() as u64,
                Place::Pack { .. } => 0,
            });
            prop_assert_eq!(store.used_bytes(), on_disk(&folder) + inline.sum::<u64>());
        }
        prop_assert!(store.check().unwrap().is_sound());
    }
}
