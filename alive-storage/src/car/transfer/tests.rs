use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::{
    car::verify_car,
    cid::Version,
    fuzzing::{put, put_node},
    store::MemoryStore,
    unixfs::{self, DirectoryBuilder, ImportOptions, Importer, Profile, Root},
};

fn import(store: &MemoryStore, data: &[u8], chunk: usize, profile: Profile) -> Root {
    let options = ImportOptions::from(profile).with_chunk_size(chunk).unwrap();
    let options = options.with_max_links(3).unwrap();
    let mut batch = store.batch().unwrap();
    let mut sink = |block: &NewBlock<'_>| batch.add(block);
    let mut importer = Importer::new(options);
    importer.push(data, &mut sink).unwrap();
    let root = importer.finish(&mut sink).unwrap();
    batch.commit().unwrap();
    root
}

fn export(store: &MemoryStore, roots: &[Cid]) -> Vec<u8> {
    let mut car = Vec::new();
    let export = export_car(store, roots, &mut car).unwrap();
    assert_eq!(export.bytes, car.len() as u64);
    car
}

const POLICY: fn() -> CarPolicy = || CarPolicy::exchange(1 << 24);

#[test]
fn a_directory_of_files_goes_over_whole_and_nothing_else() {
    let from = MemoryStore::default();
    let (one, two) = (import(&from, &[1; 999], 100, Profile::UnixfsV02015), b"two".as_slice());
    let two = import(&from, two, 100, Profile::CidV1256k);
    let mut builder = DirectoryBuilder::new(Version::V1);
    builder.add("one".parse().unwrap(), &one).unwrap();
    builder.add("two".parse().unwrap(), &two).unwrap();
    let mut batch = from.batch().unwrap();
    let root = builder.finish(&mut |block: &NewBlock<'_>| batch.add(block)).unwrap().cid;
    batch.commit().unwrap();
    put(&from, b"not asked for", cid::RAW).unwrap();
    let car = export(&from, &[root]);

    let to = MemoryStore::default();
    let refused = import_car(Cursor::new(&car), &to, &[root], POLICY());
    let Err(ImportCarError::Car(CarError::Content(ReadError::Node { .. }))) = refused else {
        panic!("{refused:?}");
    };
    assert!(to.is_empty(), "nothing of what is refused is stored");
    let policy = POLICY().with_directories(true);
    let summary = import_car(Cursor::new(&car), &to, &[root], policy).unwrap();
    assert_eq!(summary.sizes, [None]);
    assert_eq!(to.len(), from.len() - 1);
    assert_eq!(unixfs::read_file(&to, one.cid, 9999).unwrap(), vec![1; 999]);
    // A file inside may be expected by itself where roots need not be listed.
    let policy = CarPolicy::gateway(1 << 20);
    assert_eq!(verify_car(&car[..], &[one.cid], policy).unwrap().sizes, [Some(999)]);
    assert!(matches!(verify_car(&car[..], &[one.cid], POLICY()), Err(CarError::NotRoot(_))));
}

#[test]
fn what_is_unrelated_is_not_stored() {
    let store = MemoryStore::default();
    let wanted = import(&store, b"wanted", 2, Profile::CidV1256k).cid;
    let other = import(&store, b"unrelated", 2, Profile::CidV1256k).cid;
    let car = export(&store, &[wanted, other]);
    let to = MemoryStore::default();
    import_car(Cursor::new(&car), &to, &[wanted], POLICY()).unwrap();
    assert_eq!(unixfs::read_file(&to, wanted, 99).unwrap(), "wanted");
    assert!(to.get(other.hash()).unwrap().is_none());
}

#[test]
fn a_missing_block_is_named() {
    let store = MemoryStore::default();
    let root = import(&store, &[5; 50], 7, Profile::UnixfsV02015).cid;
    let leaf = import(&store, &[5; 7], 7, Profile::UnixfsV02015).cid;
    assert!(store.remove(leaf.hash()));
    let error = export_car(&store, &[root], Vec::new()).unwrap_err();
    assert!(matches!(error, ExportError::Read(ReadError::Missing(cid)) if *cid == leaf));
}

#[test]
fn an_archive_that_starts_inside_a_file_is_read_from_there() {
    let store = MemoryStore::default();
    let root = import(&store, b"content", 3, Profile::CidV1256k).cid;
    let bytes = [b"before".as_slice(), &export(&store, &[root])].concat();
    let mut file = Cursor::new(bytes);
    file.set_position(6);
    let to = MemoryStore::default();
    import_car(&mut file, &to, &[root], POLICY()).unwrap();
    assert_eq!(unixfs::read_file(&to, root, 99).unwrap(), "content");
}

#[test]
fn an_identity_needs_no_section() {
    let store = MemoryStore::default();
    let hash = Multihash::wrap(cid::IDENTITY, b"inline").unwrap();
    let root = put_node(&store, b"<", &[(Cid::new_v1(cid::RAW, hash), 6)]).unwrap();
    let car = export(&store, &[root]);
    assert_eq!(verify_car(&car[..], &[root], POLICY()).unwrap().sizes, [Some(7)]);
}

#[test]
fn a_tree_that_multiplies_one_block_is_checked_once_and_exported_once() {
    // Forty million bytes of content by seven blocks, each level linking the one below a dozen times.
    let store = MemoryStore::default();
    let (mut cid, mut size) = (put(&store, b"bomb", cid::RAW).unwrap(), 4_u64);
    for _ in 0..6 {
        cid = put_node(&store, b"", &vec![(cid, size); 15]).unwrap();
        size *= 15;
    }
    let car = export(&store, &[cid]);
    assert!(car.len() < 6000, "{}", car.len());
    assert_eq!(verify_car(&car[..], &[cid], POLICY()).unwrap().sizes, [Some(size)]);
}

proptest! {
    #[test]
    fn content_goes_over_whole_in_any_order_of_blocks(
        data in proptest::collection::vec(any::<u8>(), 0..500),
        chunk in 1_usize..80,
        order: u64,
        v0: bool,
    ) {
        let profile = if v0 { Profile::UnixfsV02015 } else { Profile::CidV1256k };
        let from = MemoryStore::default();
        let root = import(&from, &data, chunk, profile).cid;
        let car = export(&from, &[root]);
        let reader = CarReader::new(&car[..], 1 << 20).unwrap();
        let mut blocks: Vec<_> = reader.map(Result::unwrap).collect();
        let len = blocks.len();
        // Any permutation will do.
        for at in 0..len {
            let turned = order.rotate_left(u32::try_from(at).unwrap());
            blocks.swap(at, usize::try_from(turned % len as u64).unwrap());
        }
        let mut shuffled = CarWriter::new(Vec::new(), &[root]).unwrap();
        for block in &blocks {
            shuffled.add(block.cid(), block.block()).unwrap();
        }
        let car = shuffled.finish().unwrap();
        let to = MemoryStore::default();
        let summary = import_car(Cursor::new(&car), &to, &[root], POLICY()).unwrap();
        prop_assert_eq!(summary.blocks, len as u64);
        prop_assert_eq!(&summary.sizes, &[Some(data.len() as u64)]);
        prop_assert_eq!(to.len(), from.len());
        prop_assert_eq!(unixfs::read_file(&to, root, 1 << 20).unwrap(), data);
    }
}
