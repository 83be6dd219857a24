//! A folder of a file system as a directory.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{FolderError, ImportError};
use crate::{
    block::NewBlock,
    store::{BlockBatch, StoreError},
    unixfs::{DirectoryBuilder, EntryName, EntryNameError, ImportOptions, MAX_DEPTH, Root},
};

/// Cuts a file into a batch.
type AddFile<'f, B> = dyn FnMut(File, &mut B) -> Result<Root, ImportError> + 'f;

/// Adds a folder and all below it to a batch, children first.
pub(super) fn add<B: BlockBatch>(
    path: &Path,
    add_file: &mut AddFile<'_, B>,
    options: ImportOptions,
    batch: &mut B,
) -> Result<Root, FolderError> {
    add_level(path, 0, add_file, options, batch)
}

fn add_level<B: BlockBatch>(
    path: &Path,
    depth: usize,
    add_file: &mut AddFile<'_, B>,
    options: ImportOptions,
    batch: &mut B,
) -> Result<Root, FolderError> {
    if depth > MAX_DEPTH {
        return Err(FolderError::TooDeep(path.into()));
    }
    let read_error = |source| FolderError::Read { path: path.into(), source };
    let mut builder = DirectoryBuilder::new(options.cid_version());
    for entry in fs::read_dir(path).map_err(read_error)? {
        let entry = entry.map_err(read_error)?;
        let at = entry.path();
        let refused = |source| FolderError::Entry { path: at.clone(), source };
        let name = entry.file_name();
        let name: EntryName = name
            .to_str()
            .ok_or(EntryNameError::Utf8)
            .and_then(str::parse)
            .map_err(|error| refused(error.into()))?;
        let read_error = |source| FolderError::Read { path: at.clone(), source };
        // Of the entry itself: a link leads who knows where, and in circles.
        let kind = entry.file_type().map_err(read_error)?;
        let root = if kind.is_dir() {
            add_level(&at, depth + 1, add_file, options, batch)?
        } else if kind.is_file() {
            let file = File::open(&at).map_err(read_error)?;
            add_file(file, batch).map_err(|error| file_error(&at, error))?
        } else {
            return Err(FolderError::Kind(at));
        };
        builder.add(name, &root).map_err(refused)?;
    }
    let mut sink = |block: &NewBlock<'_>| batch.add(block);
    Ok(builder.finish(&mut sink)?)
}

/// Tells a file that cannot be read from a store that cannot be written.
fn file_error(path: &Path, error: ImportError) -> FolderError {
    match error.0 {
        StoreError::Io { what: super::READING, source } => {
            FolderError::Read { path: path.into(), source }
        }
        other => FolderError::Store(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStorage, cid::Version, unixfs};

    #[test]
    fn a_folder_comes_back_by_its_paths() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("240p/empty")).unwrap();
        fs::write(folder.path().join("list.m3u8"), b"#EXTM3U").unwrap();
        fs::write(folder.path().join("240p/stream0.ts"), vec![7; 300_000]).unwrap();
        let storage = MemoryStorage::default();
        let root = storage.import_folder(folder.path()).unwrap();
        let read = |path: &str| {
            let cid = storage.resolve(&root.cid, path).unwrap();
            unixfs::read_file(storage.store(), cid, 1 << 20).unwrap()
        };
        assert_eq!(read("list.m3u8"), "#EXTM3U");
        assert_eq!(read("240p/stream0.ts"), vec![7; 300_000]);
        assert_eq!(storage.resolve(&root.cid, "").unwrap(), root.cid);
        let empty = storage.resolve(&root.cid, "240p/empty").unwrap();
        assert_eq!(empty.to_string(), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
        for path in ["none", "240p/none", "list.m3u8/x", "/", "240p//stream0.ts", "..", "240p/.."] {
            assert!(storage.resolve(&root.cid, path).is_err(), "{path}");
        }
        // By hand the same.
        let mut low = DirectoryBuilder::new(Version::V0);
        let file = storage.import_bytes(&vec![7; 300_000]).unwrap();
        low.add("stream0.ts".parse().unwrap(), &file).unwrap();
        let empty = unixfs::Entry { cid: empty, dag_size: 4 };
        low.add_entry("empty".parse().unwrap(), empty).unwrap();
        let mut sink = |_: &NewBlock<'_>| Ok::<(), std::convert::Infallible>(());
        assert_eq!(storage.resolve(&root.cid, "240p").unwrap(), low.finish(&mut sink).unwrap().cid);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_hostile_names_are_refused_and_nothing_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), b"content").unwrap();
        let storage = MemoryStorage::default();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let refused = storage.import_folder(folder.path());
        assert!(matches!(refused, Err(FolderError::Kind(_))), "{refused:?}");
        fs::remove_file(folder.path().join("link")).unwrap();
        fs::write(folder.path().join("x\r\nSet-Cookie: y"), b"").unwrap();
        let refused = storage.import_folder(folder.path());
        assert!(matches!(refused, Err(FolderError::Entry { .. })), "{refused:?}");
        assert!(storage.store().is_empty());
    }

    #[test]
    fn folders_without_end_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let deep: std::path::PathBuf = std::iter::repeat_n("d", MAX_DEPTH + 1).collect();
        fs::create_dir_all(folder.path().join(deep)).unwrap();
        let refused = MemoryStorage::default().import_folder(folder.path());
        assert!(matches!(refused, Err(FolderError::TooDeep(_))), "{refused:?}");
    }
}
