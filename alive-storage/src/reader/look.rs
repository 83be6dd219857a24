//! Whether a file is in a block store, told by its root and a look at what is below it.

use alive_core::{ContentId, backend::StorageError};

use super::PIECE;
use crate::{
    block::Block,
    cid::{self, Cid},
    storage::BlockStorage,
    store::{BlockStore, StoreError},
    unixfs::{FileWalk, ReadError, Step},
};

/// What errors call this backend.
const BACKEND: &str = "block store";
/// Most children that are looked up. Larger files than a gibibyte are looked at in so many places.
const MAX_PROBES: u64 = 4096;

/// Reads and checks the root of a file and looks its children up, without reading them: of a segment of some megabytes
/// that is a hundredth of its bytes. (Core's `Storage::has` would read whole files, as most leaves are dag-pb nodes that
/// could have children.) What a tree deeper than two levels has further down is not looked at.
///
/// # Errors
/// A block is not here or was found corrupt, the root is not a file's, or the store failed.
pub(super) async fn look<S: BlockStore + 'static>(
    storage: BlockStorage<S>,
    id: ContentId,
) -> Result<(), StorageError> {
    let looked = tokio::task::spawn_blocking(move || {
        let root = cid::of_content(&id).ok_or_else(|| refused(NotIpfs))?;
        Looker { store: storage.store(), id }.look(root)
    });
    looked.await.unwrap_or_else(|error| Err(unavailable(error)))
}

struct Looker<'s, S> {
    store: &'s S,
    id: ContentId,
}

impl<S: BlockStore> Looker<'_, S> {
    fn look(&self, root: Cid) -> Result<(), StorageError> {
        let block = self.fetch(&root)?;
        let mut walk = FileWalk::range(root, 0..0);
        walk.supply(&block).map_err(refused)?;
        let size = walk.file_size().unwrap_or_default();
        let step = PIECE.max(size.div_ceil(MAX_PROBES));
        let mut last = None;
        let mut offset = 0;
        while offset < size {
            let child = child(root, &block, offset).map_err(refused)?;
            // Children may be larger than the step.
            if let Some(cid) = child.filter(|cid| last != Some(*cid)) {
                self.look_up(&cid)?;
                last = Some(cid);
            }
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    /// A block that is not to be had is read, to know why.
    fn look_up(&self, cid: &Cid) -> Result<(), StorageError> {
        match self.store.has(cid.hash()) {
            Ok(true) => Ok(()),
            Ok(false) => self.fetch(cid).map(drop),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn fetch(&self, cid: &Cid) -> Result<Block, StorageError> {
        let block = self.store.get(cid.hash()).map_err(|error| self.failed(error))?;
        block.ok_or(StorageError::NotFound(self.id))
    }

    fn failed(&self, error: StoreError) -> StorageError {
        match error {
            StoreError::Corrupt(source) => StorageError::Corrupt { id: self.id, source },
            StoreError::Refused(source) => refused(source),
            other => unavailable(other),
        }
    }
}

/// The root's child that holds the byte at `offset`; `None` when the root holds it itself.
fn child(root: Cid, block: &Block, offset: u64) -> Result<Option<Cid>, ReadError> {
    let mut walk = FileWalk::range(root, offset..offset.saturating_add(1));
    walk.supply(block)?;
    match walk.poll()? {
        Step::Block(cid) => Ok(Some(cid)),
        _ => Ok(None),
    }
}

/// The id is a Skylink.
#[derive(Debug, thiserror::Error)]
#[error("content of Skynet is not kept here")]
struct NotIpfs;

fn refused(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Refused { backend: BACKEND, source: source.into() }
}

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Unavailable { backend: BACKEND, source: source.into() }
}

#[cfg(test)]
mod tests {
    use alive_core::backend::Storage as _;

    use super::*;
    use crate::MemoryStorage;

    /// Bytes that differ everywhere.
    fn content(len: usize) -> Vec<u8> {
        (0_u32..).flat_map(u32::to_le_bytes).take(len).collect()
    }

    /// The blocks that hold the bytes at these offsets.
    fn children(storage: &MemoryStorage, root: Cid, offsets: &[u64]) -> Vec<Cid> {
        let block = storage.store().get(root.hash()).unwrap().unwrap();
        offsets.iter().map(|&offset| child(root, &block, offset).unwrap().unwrap()).collect()
    }

    #[tokio::test]
    async fn every_block_of_a_segment_is_missed() {
        let bytes = content(700_000);
        let storage = MemoryStorage::default();
        let id = storage.put(bytes.clone().into()).await.unwrap();
        let root = cid::of_content(&id).unwrap();
        let mut blocks = children(&storage, root, &[0, PIECE, 2 * PIECE]);
        blocks.push(root);
        for block in blocks {
            assert!(look(storage.clone(), id).await.is_ok());
            assert!(storage.store().remove(block.hash()));
            let missing = look(storage.clone(), id).await;
            assert!(matches!(missing, Err(StorageError::NotFound(at)) if at == id), "{missing:?}");
            storage.put(bytes.clone().into()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn small_and_empty_files_are_their_own_root() {
        let storage = MemoryStorage::default();
        for len in [0, 1, 1000] {
            let id = storage.put(content(len).into()).await.unwrap();
            assert!(look(storage.clone(), id).await.is_ok(), "{len}");
        }
    }

    #[tokio::test]
    async fn a_size_that_no_file_has_is_looked_at_in_few_places() {
        // A node with one child and the promise of 2^60 bytes in it.
        let storage = MemoryStorage::default();
        let leaf = storage.put("leaf".into()).await.unwrap();
        let leaf = cid::of_content(&leaf).unwrap();
        let mut data = vec![0x08, 2, 0x18];
        let size = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
        data.extend(size);
        data.push(0x20);
        data.extend(size);
        let hash = leaf.hash().to_bytes();
        let mut link = vec![0x0a, 34];
        link.extend(&hash);
        let mut node = vec![0x12, u8::try_from(link.len()).unwrap()];
        node.extend(link);
        node.extend([0x0a, u8::try_from(data.len()).unwrap()]);
        node.extend(data);
        let digest = <sha2::Sha256 as sha2::Digest>::digest(&node);
        let root = cid::from_bytes(&[&[0x12, 32][..], &digest].concat()).unwrap();
        let block = Block::check(*root.hash(), node.into()).unwrap();
        storage.store().put(&block).unwrap();
        let id = cid::to_content(&root).unwrap();
        let looked = look(storage, id).await;
        assert!(looked.is_ok(), "{looked:?}");
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused() {
        let storage = MemoryStorage::default();
        let skylink = "AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q".parse().unwrap();
        let looked = look(storage, skylink).await;
        assert!(matches!(looked, Err(StorageError::Refused { .. })), "{looked:?}");
    }
}
