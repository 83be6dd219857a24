use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{
    block::Block,
    cid::Multihash,
    fuzzing::{put, put_node},
    store::MemoryBatch,
    unixfs::Profile,
};

fn id_of(cid: &Cid) -> ContentId {
    cid::to_content(cid).unwrap()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A store that counts what is read of it.
#[derive(Debug, Default)]
struct Counted {
    inner: MemoryStore,
    reads: AtomicU32,
}

impl BlockStore for Counted {
    type Batch<'a> = MemoryBatch<'a>;

    fn batch(&self) -> Result<MemoryBatch<'_>, StoreError> {
        self.inner.batch()
    }

    fn get(&self, hash: &Multihash) -> Result<Option<Block>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(hash)
    }

    fn has(&self, hash: &Multihash) -> Result<bool, StoreError> {
        self.inner.has(hash)
    }

    fn pin(&self, root: &Cid) -> Result<(), StoreError> {
        self.inner.pin(root)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.inner.unpin(root)
    }

    fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        self.inner.pins()
    }

    fn is_pinned(&self, root: &Cid) -> Result<bool, StoreError> {
        self.inner.is_pinned(root)
    }
}

#[tokio::test]
async fn a_lone_raw_block_is_a_file_too() {
    let storage = MemoryStorage::default();
    let raw = put(storage.store(), b"hello", cid::RAW).unwrap();
    assert_eq!(storage.get(&id_of(&raw), 5).await.unwrap(), "hello");
    assert_eq!(storage.open(&id_of(&raw)).await.unwrap(), 5);
    assert!(storage.has(&id_of(&raw)).await.unwrap());
}

#[tokio::test]
async fn the_same_block_is_found_under_every_id_of_it() {
    let storage = MemoryStorage::default();
    let v0 = storage.put("hello world".into()).await.unwrap();
    let v1 = id_of(&cid::to_v1(&cid::of_content(&v0).unwrap()));
    assert_ne!(v0, v1);
    assert_eq!(storage.get(&v1, 11).await.unwrap(), "hello world");
}

#[tokio::test]
async fn a_range_reads_only_the_blocks_it_needs() {
    let data = noise(100 * 1000);
    let options = ImportOptions::default().with_chunk_size(1000).unwrap();
    let storage = BlockStorage::new(Counted::default()).with_options(options);
    let id = storage.put(data.clone().into()).await.unwrap();
    let part = storage.read_range(&id, 41_500, 1_000).await.unwrap();
    assert_eq!(part, data[41_500..42_500]);
    assert_eq!(storage.store().reads.swap(0, Ordering::Relaxed), 3, "root and two leaves");
    assert_eq!(storage.open(&id).await.unwrap(), 100_000);
    assert_eq!(storage.store().reads.swap(0, Ordering::Relaxed), 1, "root");
    assert_eq!(storage.read_range(&id, 100_000, 9).await.unwrap(), "");
    assert_eq!(storage.store().reads.load(Ordering::Relaxed), 1, "root");
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_by_its_root() {
    let options = ImportOptions::default().with_chunk_size(1000).unwrap();
    let storage = BlockStorage::new(Counted::default()).with_options(options);
    let id = storage.put(noise(5000).into()).await.unwrap();
    let refused = storage.get(&id, 4999).await.unwrap_err();
    assert!(matches!(refused, StorageError::TooLarge { limit: 4999, .. }), "{refused:?}");
    assert_eq!(storage.store().reads.load(Ordering::Relaxed), 1, "root");
    assert_eq!(storage.get(&id, 5000).await.unwrap().len(), 5000);
}

#[tokio::test]
async fn a_missing_block_makes_the_file_not_found() {
    let options = ImportOptions::from(Profile::CidV1256k).with_chunk_size(10).unwrap();
    let storage = MemoryStorage::default().with_options(options);
    let data = noise(100);
    let id = storage.put(data.clone().into()).await.unwrap();
    let leaf = put(storage.store(), &data[50..60], cid::RAW).unwrap();
    assert!(storage.has(&id).await.unwrap());
    assert!(storage.store().remove(leaf.hash()));
    assert!(!storage.has(&id).await.unwrap());
    assert!(matches!(storage.get(&id, 100).await, Err(StorageError::NotFound(_))));
    assert!(matches!(storage.pin(&id).await, Err(StorageError::NotFound(_))));
    assert_eq!(storage.read_range(&id, 0, 50).await.unwrap(), data[..50]);
    storage.put(data.into()).await.unwrap();
    assert!(storage.has(&id).await.unwrap());
}

#[tokio::test]
async fn a_directory_is_refused_for_good() {
    let storage = MemoryStorage::default();
    let directory = put(storage.store(), &[0x0a, 2, 8, 1], cid::DAG_PB).unwrap();
    let refused = storage.get(&id_of(&directory), 99).await.unwrap_err();
    assert!(matches!(refused, StorageError::Refused { .. }) && !refused.is_transient());
    let cbor = put(storage.store(), b"\xa0", 0x71).unwrap();
    assert!(matches!(storage.open(&id_of(&cbor)).await, Err(StorageError::Refused { .. })));
}

#[tokio::test]
async fn a_skylink_is_refused() {
    let skylink = "AABgnGqkCPuJBXAYAFjMhP5hlVCV0YMkUSTtmP1QWIiRcg".parse().unwrap();
    let refused = MemoryStorage::default().get(&skylink, 9).await;
    assert!(matches!(refused, Err(StorageError::Refused { .. })));
}

#[tokio::test]
async fn a_pin_is_kept_under_its_root() {
    let storage = MemoryStorage::default();
    let id = storage.put("keep me".into()).await.unwrap();
    let root = cid::of_content(&id).unwrap();
    assert!(!storage.store().is_pinned(&root).unwrap());
    storage.pin(&id).await.unwrap();
    assert!(storage.store().is_pinned(&root).unwrap());
}

#[test]
fn an_error_of_the_reader_stores_nothing() {
    struct Failing(u32);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 3 { Err(io::Error::other("unplugged")) } else { Ok(buffer.len()) }
        }
    }
    let storage = MemoryStorage::default();
    assert!(matches!(storage.import(Failing(0)), Err(StoreError::Io { .. })));
    assert!(storage.store().is_empty());
}

#[test]
fn pieces_come_one_block_at_a_time() {
    let storage = MemoryStorage::default();
    let leaf = put(storage.store(), b"leaf", cid::RAW).unwrap();
    let inner = put_node(storage.store(), b"in", &[(leaf, 4)]).unwrap();
    let root = put_node(storage.store(), b"root", &[(leaf, 4), (inner, 6)]).unwrap();
    let pieces = storage.pieces(&id_of(&root), 2..13).unwrap();
    let pieces: Vec<Bytes> = pieces.map(Result::unwrap).collect();
    assert_eq!(pieces, ["ot", "leaf", "in", "lea"]);
}
