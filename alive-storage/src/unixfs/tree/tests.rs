use super::*;
use crate::{
    fuzzing::{put, put_node},
    store::{BlockStore as _, MemoryStore},
    unixfs::read_file,
};

/// Checks a tree of a store, all blocks of which are given, and that reading it whole says the same.
fn check(store: &MemoryStore, cids: &[Cid], root: &Cid) -> Result<Option<u64>, ReadError> {
    let mut trees = Trees::default();
    for cid in cids {
        trees.add(cid, &store.get(cid.hash()).unwrap().unwrap());
    }
    let checked = trees.check(root, false);
    assert_eq!(checked.is_ok(), read_file(store, *root, usize::MAX).is_ok(), "{checked:?}");
    checked
}

#[test]
fn a_child_of_another_size_than_announced_is_refused() {
    let store = MemoryStore::default();
    let leaf = put(&store, b"four", cid::RAW).unwrap();
    let root = put_node(&store, b"", &[(leaf, 5)]).unwrap();
    let refused = check(&store, &[leaf, root], &root).unwrap_err();
    assert!(matches!(refused, ReadError::ChildSize { announced: 5, size: 4, .. }), "{refused:?}");
}

#[test]
fn thirty_two_levels_are_taken_and_one_more_is_not() {
    for (levels, taken) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
        let store = MemoryStore::default();
        let mut cids = vec![put(&store, b"leaf", cid::RAW).unwrap()];
        for _ in 0..levels {
            cids.push(put_node(&store, b"", &[(*cids.last().unwrap(), 4)]).unwrap());
        }
        let root = *cids.last().unwrap();
        assert_eq!(check(&store, &cids, &root).is_ok(), taken);
    }
}

#[test]
fn depth_is_counted_through_blocks_that_were_seen_higher_up() {
    let store = MemoryStore::default();
    let mut cids = vec![put(&store, b"leaf", cid::RAW).unwrap()];
    for _ in 0..20 {
        cids.push(put_node(&store, b"", &[(*cids.last().unwrap(), 4)]).unwrap());
    }
    let middle = *cids.last().unwrap();
    for _ in 0..12 {
        cids.push(put_node(&store, b"", &[(*cids.last().unwrap(), 4)]).unwrap());
    }
    let deep = *cids.last().unwrap();
    // By its first link the middle is one level down, by its second thirteen: 33 levels in all.
    let root = put_node(&store, b"", &[(middle, 4), (deep, 4)]).unwrap();
    cids.push(root);
    assert!(matches!(check(&store, &cids, &root), Err(ReadError::Depth)));
}

#[test]
fn nodes_without_content_are_limited_however_they_are_multiplied() {
    let store = MemoryStore::default();
    let empty = put_node(&store, b"", &[]).unwrap();
    let many = put_node(&store, b"", &vec![(empty, 0); 31]).unwrap();
    // 33 times 31 nodes and the 33 above them.
    let allowed = put_node(&store, b"x", &vec![(many, 0); 32]).unwrap();
    let refused = put_node(&store, b"x", &vec![(many, 0); 33]).unwrap();
    let cids = [empty, many, allowed, refused];
    assert_eq!(check(&store, &cids, &allowed).unwrap(), Some(1));
    assert!(matches!(check(&store, &cids, &refused), Err(ReadError::EmptyNodes)));
}

#[test]
fn the_codec_of_the_link_says_how_a_block_is_read() {
    let store = MemoryStore::default();
    let node = put_node(&store, b"content", &[]).unwrap();
    let as_raw = Cid::new_v1(cid::RAW, *node.hash());
    let size = store.get(node.hash()).unwrap().unwrap().data().len() as u64;
    let root = put_node(&store, b"", &[(node, 7), (as_raw, size)]).unwrap();
    assert_eq!(check(&store, &[as_raw, root], &root).unwrap(), Some(7 + size));
}
