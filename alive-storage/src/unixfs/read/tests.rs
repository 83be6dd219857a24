use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    block::NewBlock,
    cid::{DAG_PB, Multihash, RAW, Version},
    fuzzing::{put, put_node},
    store::{BlockBatch, MemoryStore},
    unixfs::{ImportOptions, Importer, MAX_DEPTH, MAX_EMPTY_NODES, NodeError},
};

fn options() -> impl Strategy<Value = ImportOptions> {
    (1_usize..300, 2_usize..9, any::<bool>(), any::<bool>()).prop_map(|(chunk, links, raw, v1)| {
        let options = ImportOptions::default().with_chunk_size(chunk).unwrap();
        let version = if v1 { Version::V1 } else { Version::V0 };
        options.with_max_links(links).unwrap().with_raw_leaves(raw).with_cid_version(version)
    })
}

fn import(store: &MemoryStore, data: &[u8], options: ImportOptions) -> (Cid, Vec<Cid>) {
    let mut batch = store.batch().unwrap();
    let mut blocks = Vec::new();
    let mut sink = |block: &NewBlock<'_>| {
        blocks.push(*block.cid());
        batch.add(block)
    };
    let mut importer = Importer::new(options);
    importer.push(data, &mut sink).unwrap();
    let root = importer.finish(&mut sink).unwrap();
    batch.commit().unwrap();
    (root.cid, blocks)
}

/// The tree that a trickle importer makes, in small: content in every node, children of growing depth.
fn trickle(store: &MemoryStore, content: &mut &[u8], depth: usize) -> (Cid, u64) {
    let (own, rest) = content.split_at(content.len().min(3));
    *content = rest;
    let mut children = Vec::new();
    for below in 0..depth {
        if !content.is_empty() {
            children.push(trickle(store, content, below));
        }
    }
    let below: u64 = children.iter().map(|(_, size)| size).sum();
    (put_node(store, own, &children).unwrap(), own.len() as u64 + below)
}

proptest! {
    #[test]
    fn what_was_imported_is_read(data in vec(any::<u8>(), 0..5000), options in options()) {
        let store = MemoryStore::default();
        let (root, blocks) = import(&store, &data, options);
        prop_assert_eq!(file_size(&store, root).unwrap(), data.len() as u64);
        prop_assert_eq!(read_file(&store, root, data.len()).unwrap(), &data);
        prop_assert!(is_complete(&store, root).unwrap());
        if !data.is_empty() {
            let refused = read_file(&store, root, data.len() - 1);
            let too_large = matches!(refused, Err(ReadError::TooLarge { .. }));
            prop_assert!(too_large);
        }
        prop_assert_eq!(blocks.last(), Some(&root));
    }

    #[test]
    fn a_range_is_that_part_of_the_file(
        data in vec(any::<u8>(), 0..2000),
        options in options(),
        from in 0_usize..2200,
        len in 0_usize..2200,
    ) {
        let store = MemoryStore::default();
        let (root, _) = import(&store, &data, options);
        let part = read_range(&store, root, from as u64..(from + len) as u64).unwrap();
        let (from, to) = (from.min(data.len()), (from + len).min(data.len()));
        prop_assert_eq!(part, &data[from..to]);
    }

    #[test]
    fn without_any_one_block_the_file_is_not_whole(
        data in vec(any::<u8>(), 1..2000),
        options in options(),
        which: prop::sample::Index,
    ) {
        let store = MemoryStore::default();
        let (root, blocks) = import(&store, &data, options);
        prop_assert!(store.remove(which.get(&blocks).hash()));
        prop_assert!(!is_complete(&store, root).unwrap());
        prop_assert!(matches!(read_file(&store, root, 2000), Err(ReadError::Missing(_))));
    }

    #[test]
    fn unbalanced_trees_with_content_in_inner_nodes_are_read(
        data in vec(any::<u8>(), 0..150),
        from in 0_usize..160,
        len in 0_usize..160,
    ) {
        let store = MemoryStore::default();
        let mut content = &data[..];
        let (root, size) = trickle(&store, &mut content, 6);
        let data = &data[..usize::try_from(size).unwrap()];
        prop_assert_eq!(read_file(&store, root, data.len()).unwrap(), data);
        let part = read_range(&store, root, from as u64..(from + len) as u64).unwrap();
        prop_assert_eq!(part, &data[from.min(data.len())..(from + len).min(data.len())]);
    }
}

#[test]
fn a_child_of_another_size_than_announced_is_refused() {
    let store = MemoryStore::default();
    for codec_of_child in [RAW, DAG_PB] {
        let child = match codec_of_child {
            RAW => put(&store, b"four", RAW).unwrap(),
            _ => put_node(&store, b"four", &[]).unwrap(),
        };
        for announced in [0, 3, 5] {
            let root = put_node(&store, b"", &[(child, announced)]).unwrap();
            let refused = read_file(&store, root, 99).unwrap_err();
            assert!(matches!(refused, ReadError::ChildSize { size: 4, .. }), "{refused:?}");
        }
    }
}

#[test]
fn a_tree_is_read_down_to_its_deepest_level_and_no_further() {
    let store = MemoryStore::default();
    let mut node = put(&store, b"x", RAW).unwrap();
    for _ in 0..MAX_DEPTH {
        node = put_node(&store, b"", &[(node, 1)]).unwrap();
    }
    assert_eq!(read_file(&store, node, 1).unwrap(), "x");
    let deeper = put_node(&store, b"", &[(node, 1)]).unwrap();
    assert!(matches!(read_file(&store, deeper, 1), Err(ReadError::Depth)));
}

#[test]
fn a_tree_that_is_all_links_and_no_content_ends() {
    let store = MemoryStore::default();
    for codec in [RAW, DAG_PB] {
        let mut node = match codec {
            RAW => put(&store, b"", RAW).unwrap(),
            _ => put_node(&store, b"", &[]).unwrap(),
        };
        let few = put_node(&store, b"x", &vec![(node, 0); MAX_EMPTY_NODES as usize]).unwrap();
        assert_eq!(read_file(&store, few, 1).unwrap(), "x");
        for _ in 0..20 {
            node = put_node(&store, b"", &vec![(node, 0); 1000]).unwrap();
        }
        assert!(matches!(read_file(&store, node, 1), Err(ReadError::EmptyNodes)));
        assert!(matches!(is_complete(&store, node), Err(ReadError::EmptyNodes)));
    }
}

#[test]
fn a_file_that_claims_to_be_huge_takes_no_memory() {
    let store = MemoryStore::default();
    let mut node = put(&store, &[7; 64], RAW).unwrap();
    let mut size = 64_u64;
    for _ in 0..28 {
        node = put_node(&store, b"", &[(node, size), (node, size)]).unwrap();
        size *= 2;
    }
    assert_eq!(file_size(&store, node).unwrap(), 64 << 28);
    assert!(matches!(read_file(&store, node, 1 << 20), Err(ReadError::TooLarge { .. })));
    assert_eq!(read_range(&store, node, size - 3..u64::MAX).unwrap(), [7; 3].as_slice());
}

#[test]
fn an_identity_link_carries_its_own_content() {
    let store = MemoryStore::default();
    let inline = Cid::new_v1(RAW, Multihash::wrap(cid::IDENTITY, b"inline").unwrap());
    assert_eq!(read_file(&store, inline, 6).unwrap(), "inline");
    let root = put_node(&store, b"not ", &[(inline, 6)]).unwrap();
    assert_eq!(read_file(&store, root, 10).unwrap(), "not inline");
    assert!(is_complete(&store, root).unwrap());
}

#[test]
fn other_codecs_and_directories_are_refused() {
    let store = MemoryStore::default();
    let cbor = put(&store, b"\xa0", 0x71).unwrap();
    assert!(matches!(read_file(&store, cbor, 9), Err(ReadError::Codec { codec: 0x71, .. })));
    let directory = put(&store, &[0x0a, 2, 8, 1], DAG_PB).unwrap();
    let refused = read_file(&store, directory, 9).unwrap_err();
    assert!(matches!(refused, ReadError::Node { source: NodeError::NotFile(1), .. }));
}

#[test]
fn a_walk_takes_only_the_block_it_asked_for() {
    let store = MemoryStore::default();
    let (wanted, other) = (put(&store, b"a", RAW).unwrap(), put(&store, b"b", RAW).unwrap());
    let mut walk = FileWalk::whole(wanted, 9);
    let other = fetch(&store, other).unwrap();
    assert!(matches!(walk.supply(&other), Err(ReadError::NotAsked)));
}

#[test]
fn a_reader_ends_after_an_error() {
    let store = MemoryStore::default();
    let leaf = put(&store, b"leaf", RAW).unwrap();
    let root = put_node(&store, b"", &[(leaf, 4), (leaf, 3), (leaf, 4)]).unwrap();
    let mut reader = FileReader::new(&store, FileWalk::whole(root, 99));
    assert_eq!(reader.next().unwrap().unwrap(), "leaf");
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}
