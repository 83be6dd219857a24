//! A folder of folders that is put together by paths: [`Folder`].

use std::{collections::BTreeMap, convert::Infallible};

use alive_storage::{
    NewBlock,
    cid::{Cid, Version},
    unixfs::{DirectoryBuilder, Entry},
};

use super::ArchiveError;

/// Files and folders by name. It is as deep as the paths that it is given.
#[derive(Debug, Default)]
pub(super) struct Folder {
    files: BTreeMap<String, Entry>,
    folders: BTreeMap<String, Self>,
}

impl Folder {
    /// Puts a file under a path.
    pub(super) fn add(&mut self, path: &str, entry: Entry) {
        match path.split_once('/') {
            Some((folder, rest)) => {
                self.folders.entry(folder.to_owned()).or_default().add(rest, entry);
            }
            None => {
                self.files.insert(path.to_owned(), entry);
            }
        }
    }

    /// Makes the blocks, children first, and gives the id of the whole.
    pub(super) fn finish(self, keep: &mut impl FnMut(&NewBlock<'_>)) -> Result<Cid, ArchiveError> {
        Ok(self.make(keep)?.cid)
    }

    fn make(self, keep: &mut impl FnMut(&NewBlock<'_>)) -> Result<Entry, ArchiveError> {
        let mut directory = DirectoryBuilder::new(Version::V0);
        for (name, entry) in self.files {
            directory.add_entry(name.parse()?, entry)?;
        }
        for (name, folder) in self.folders {
            directory.add_entry(name.parse()?, folder.make(keep)?)?;
        }
        let mut sink = |block: &NewBlock<'_>| {
            keep(block);
            Ok::<(), Infallible>(())
        };
        let Ok(root) = directory.finish(&mut sink);
        Ok(Entry::new(root.cid, root.dag_size))
    }
}
