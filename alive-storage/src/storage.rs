//! Files in a block store as a backend of the protocol: [`BlockStorage`] is core's [`Storage`] over a [`BlockStore`].

mod folder;

use std::{
    io::{self, Read},
    num::NonZeroUsize,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
};
use bytes::Bytes;

use crate::{
    block::{Block, NewBlock},
    cid::{self, Cid},
    store::{BlockBatch, BlockStore, DiskStore, MemoryStore, StoreError},
    unixfs::{self, FileReader, FileWalk, ImportOptions, ReadError, Root},
};

/// What errors of a reader call it.
const READING: &str = "reading the content";
/// What errors of this backend call it.
const BACKEND: &str = "block store";

/// Files in the embedded store on disk.
pub type DiskStorage = BlockStorage<DiskStore>;
/// Files in memory.
pub type MemoryStorage = BlockStorage<MemoryStore>;

/// Keeps files as UnixFS trees in a [`BlockStore`], under the ids that `ipfs add` gives.
///
/// Files are cut by profile `unixfs-v0-2015` unless told otherwise, because the original indexer takes chunks with a
/// dag-pb root only. What was stored with any other profile is read all the same. The async methods do their work on a
/// blocking thread of tokio. A clone is another handle on the same store.
///
/// ```
/// use alive_core::backend::Storage;
/// use alive_storage::MemoryStorage;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let storage = MemoryStorage::default();
/// let id = storage.put("hello world".into()).await?;
/// assert_eq!(id.as_str(), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
/// assert_eq!(storage.get(&id, 4200).await?, "hello world");
/// assert_eq!(storage.open(&id).await?, 11);
/// assert_eq!(storage.read_range(&id, 6, 3).await?, "wor");
/// # Ok::<(), alive_core::backend::StorageError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BlockStorage<S> {
    store: Arc<S>,
    options: ImportOptions,
    threads: Threads,
}

/// On how many threads content is hashed.
#[derive(Clone, Copy, Debug)]
struct Threads {
    /// When it is read bit by bit: buffers for a second thread are not worth it for the small files of a folder.
    reader: NonZeroUsize,
    /// When it is in memory already.
    memory: NonZeroUsize,
}

impl Threads {
    /// A media segment has about eight chunks, which more threads than this do not get through any faster.
    const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

    fn of_this_machine() -> Self {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { reader: NonZeroUsize::MIN, memory: cores.min(Self::MOST) }
    }
}

impl<S: BlockStore + Default + 'static> Default for BlockStorage<S> {
    fn default() -> Self {
        Self::new(S::default())
    }
}

impl<S> Clone for BlockStorage<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), options: self.options, threads: self.threads }
    }
}

impl DiskStorage {
    /// Opens the store in a directory, made if it is absent.
    ///
    /// # Errors
    /// Those of [`DiskStore::open`].
    pub fn open_dir(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::new(DiskStore::open(path)?))
    }
}

impl<S: BlockStore + 'static> BlockStorage<S> {
    /// Keeps files in `store`.
    pub fn new(store: S) -> Self {
        let (options, threads) = (ImportOptions::default(), Threads::of_this_machine());
        Self { store: Arc::new(store), options, threads }
    }

    /// Cuts files in another way from now on.
    #[must_use]
    pub fn with_options(self, options: impl Into<ImportOptions>) -> Self {
        Self { options: options.into(), ..self }
    }

    /// Hashes what is stored on so many threads from now on. Unless told otherwise, these are one for what a reader gives, and
    /// up to four, by the machine's cores, for content in memory.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads: Threads { reader: threads, memory: threads }, ..self }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Stores all that a reader gives, in memory that does not grow with it. It blocks.
    ///
    /// # Errors
    /// The reader failed or the store cannot be written.
    pub fn import(&self, reader: impl Read + Send) -> Result<Root, StoreError> {
        let mut batch = self.store.batch()?;
        let root = self.add(reader, &mut batch).map_err(|error| error.0)?;
        batch.commit()?;
        Ok(root)
    }

    /// Stores content that is in memory already, without copying it. It blocks.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn import_bytes(&self, data: &[u8]) -> Result<Root, StoreError> {
        let mut batch = self.store.batch()?;
        let root = self.add_bytes(data, &mut batch)?;
        batch.commit()?;
        Ok(root)
    }

    /// Stores content that is stored elsewhere already, so that it may be evicted when there is no room. It blocks.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn import_cached(&self, data: &[u8]) -> Result<Root, StoreError> {
        let mut batch = self.store.batch()?;
        let root = self.add_bytes(data, &mut batch)?;
        batch.commit_cached()?;
        Ok(root)
    }

    /// Stores a folder with all below it as a directory, as `ipfs add --recursive` does: all of it, or nothing. It blocks.
    ///
    /// # Errors
    /// A name is refused ([`EntryName`](unixfs::EntryName)), something is neither file nor folder (a symbolic link, say), a
    /// folder is too large or too deep, or a file cannot be read or the store cannot be written.
    pub fn import_folder(&self, path: &Path) -> Result<Root, FolderError> {
        let mut batch = self.store.batch()?;
        let root =
            folder::add(path, &mut |file, batch| self.add(file, batch), self.options, &mut batch)?;
        batch.commit()?;
        Ok(root)
    }

    fn add<'s>(
        &'s self,
        reader: impl Read + Send,
        batch: &mut S::Batch<'s>,
    ) -> Result<Root, ImportError> {
        let mut sink = |block: &NewBlock<'_>| batch.add(block).map_err(ImportError);
        match self.threads.reader {
            NonZeroUsize::MIN => unixfs::import(reader, self.options, &mut sink),
            threads => unixfs::import_parallel(reader, self.options, threads, &mut sink),
        }
    }

    fn add_bytes<'s>(&'s self, data: &[u8], batch: &mut S::Batch<'s>) -> Result<Root, StoreError> {
        let mut sink = |block: &NewBlock<'_>| batch.add(block);
        unixfs::import_bytes_parallel(data, self.options, self.threads.memory, &mut sink)
    }

    /// Finds what lies below a directory: the id at the end of a path of names parted by `/`. An empty path is the root
    /// itself, also of a file. It blocks.
    ///
    /// # Errors
    /// A block is not here or is no directory, or there is no such name.
    pub fn resolve(&self, root: &Cid, path: &str) -> Result<Cid, ReadError> {
        unixfs::resolve(&*self.store, root, path)
    }

    /// Says that content is stored elsewhere, too, so that it may be evicted unless it is pinned.
    ///
    /// # Errors
    /// The id names no CID, or the store cannot be written.
    pub async fn mark_elsewhere(&self, id: &ContentId) -> Result<(), StorageError> {
        let (root, store) = (root_of(id)?, Arc::clone(&self.store));
        blocking(move || store.mark_elsewhere(&root).map_err(store_error)).await
    }

    /// Takes a pin back; `false` if there was none.
    ///
    /// # Errors
    /// The id names no CID, or the store cannot be written.
    pub async fn unpin(&self, id: &ContentId) -> Result<bool, StorageError> {
        let (root, store) = (root_of(id)?, Arc::clone(&self.store));
        blocking(move || store.unpin(&root).map_err(store_error)).await
    }

    /// Bytes of content in a file, by its root block alone.
    ///
    /// # Errors
    /// The file is not here, its root is corrupt or it is not a file.
    pub async fn open(&self, id: &ContentId) -> Result<u64, StorageError> {
        self.read(id, u64::MAX, unixfs::file_size).await
    }

    /// Bytes of a file from `offset`, at most `len` of them and as many as there are. Only the blocks that hold some of
    /// them, and their parents, are read and checked.
    ///
    /// # Errors
    /// As [`Storage::get`], for the blocks that are read.
    pub async fn read_range(
        &self,
        id: &ContentId,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, StorageError> {
        let range = offset..offset.saturating_add(len as u64);
        self.read(id, u64::MAX, move |store, root| unixfs::read_range(store, root, range)).await
    }

    /// The content of a range as an iterator of checked pieces of at most a block each. It blocks.
    ///
    /// # Errors
    /// The id names no CID.
    pub fn pieces(
        &self,
        id: &ContentId,
        range: Range<u64>,
    ) -> Result<FileReader<'_, S>, StorageError> {
        Ok(FileReader::new(&*self.store, FileWalk::range(root_of(id)?, range)))
    }

    /// One block, or `None` if it is not here.
    ///
    /// # Errors
    /// The store cannot be read, or what it keeps is not the block any more.
    pub async fn read_block(&self, cid: &Cid) -> Result<Option<Block>, StorageError> {
        let (store, cid) = (Arc::clone(&self.store), *cid);
        blocking(move || match Block::of_identity(cid.hash()) {
            Some(block) => Ok(Some(block)),
            None => store.get(cid.hash()).map_err(|error| match (error, cid::to_content(&cid)) {
                (StoreError::Corrupt(source), Ok(id)) => StorageError::Corrupt { id, source },
                (error, _) => store_error(error),
            }),
        })
        .await
    }

    /// Reads on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        id: &ContentId,
        limit: u64,
        read: impl FnOnce(&S, Cid) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (root, store, id) = (root_of(id)?, Arc::clone(&self.store), *id);
        let done = blocking(move || Ok(read(&store, root))).await?;
        done.map_err(|error| read_error(error, id, limit))
    }
}

impl<S: BlockStore + 'static> Storage for BlockStorage<S> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let storage = self.clone();
        let root = blocking(move || storage.import_bytes(&data).map_err(store_error)).await?;
        cid::to_content(&root.cid).map_err(refused)
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let read = move |store: &S, root| unixfs::read_file(store, root, limit);
        self.read(id, limit as u64, read).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        match self.read(id, u64::MAX, unixfs::is_complete).await {
            Err(StorageError::Corrupt { .. } | StorageError::NotFound(_)) => Ok(false),
            answer => answer,
        }
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        if !self.has(id).await? {
            return Err(StorageError::NotFound(*id));
        }
        let (root, store) = (root_of(id)?, Arc::clone(&self.store));
        blocking(move || store.pin(&root).map_err(store_error)).await
    }
}

/// Why a folder was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// An entry is refused.
    #[error("{} is refused", path.display())]
    Entry {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: unixfs::DirectoryError,
    },
    /// Something is neither a file nor a folder.
    #[error("{} is neither a file nor a folder", .0.display())]
    Kind(PathBuf),
    /// Something cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be written.
    #[error("folder cannot be stored")]
    Store(#[from] StoreError),
    /// It lies deeper than [`MAX_DEPTH`](unixfs::MAX_DEPTH) folders.
    #[error("{} lies too deep", .0.display())]
    TooDeep(PathBuf),
}

/// An error of an import, whether of its reader or of its store.
struct ImportError(StoreError);

impl From<io::Error> for ImportError {
    fn from(source: io::Error) -> Self {
        Self(StoreError::Io { what: READING, source })
    }
}

/// Runs blocking work. If the caller goes away the work is finished all the same.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(unavailable(error)),
    }
}

fn root_of(id: &ContentId) -> Result<Cid, StorageError> {
    cid::of_content(id).ok_or_else(|| refused(NotIpfs))
}

/// The id is a Skylink.
#[derive(Debug, thiserror::Error)]
#[error("content of Skynet is not kept here")]
struct NotIpfs;

fn read_error(error: ReadError, id: ContentId, limit: u64) -> StorageError {
    match error {
        ReadError::Missing(_) => StorageError::NotFound(id),
        ReadError::TooLarge { .. } => {
            StorageError::TooLarge { id, limit: usize::try_from(limit).unwrap_or(usize::MAX) }
        }
        ReadError::Store { source: StoreError::Corrupt(source), .. } => {
            StorageError::Corrupt { id, source }
        }
        ReadError::Store { source, .. } => store_error(source),
        // The blocks are what was asked for, but they make no file: that never changes.
        other => refused(other),
    }
}

fn store_error(error: StoreError) -> StorageError {
    match error {
        StoreError::Refused(source) => refused(source),
        other => unavailable(other),
    }
}

fn refused(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Refused { backend: BACKEND, source: source.into() }
}

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Unavailable { backend: BACKEND, source: source.into() }
}

#[cfg(test)]
mod tests;
