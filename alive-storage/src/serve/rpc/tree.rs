//! The directories that the paths of an upload make: [`Tree`].

use std::collections::BTreeMap;

use cid::Version;

use super::answer::Refusal;
use crate::{
    block::{Block, NewBlock},
    unixfs::{DirectoryBuilder, EntryName, Root},
};

/// Deepest path, in names.
const MAX_DEPTH: usize = 32;

/// Files and directories by their names.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<EntryName, Branch>);

#[derive(Debug)]
enum Branch {
    Directory(Tree),
    File(Root),
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a file; its path must be free.
    pub(super) fn file(&mut self, path: &str, root: Root) -> Result<(), Refusal> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        // A file without a name is called by its id.
        let name = if name.is_empty() { root.cid.to_string() } else { name.to_owned() };
        let taken = self.directory(above)?.0.insert(entry_name(&name)?, Branch::File(root));
        if taken.is_some() { Err(refused(path)) } else { Ok(()) }
    }

    /// The directory at a path, which is made if there is none.
    pub(super) fn directory(&mut self, path: &str) -> Result<&mut Self, Refusal> {
        if path.split('/').count() > MAX_DEPTH {
            return Err(refused(path));
        }
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |tree, name| {
            let branch = tree.0.entry(entry_name(name)?);
            match branch.or_insert_with(|| Branch::Directory(Self::default())) {
                Branch::Directory(below) => Ok(below),
                Branch::File(_) => Err(refused(path)),
            }
        })
    }

    /// Makes all directories, children first; the last one, without a name, is the one around all.
    pub(super) fn make(
        self,
        version: Version,
        blocks: &mut Vec<Block>,
    ) -> Result<Vec<(String, Root)>, Refusal> {
        let mut made = Vec::new();
        let root = self.make_at("", version, blocks, &mut made)?;
        made.push((String::new(), root));
        Ok(made)
    }

    fn make_at(
        self,
        path: &str,
        version: Version,
        blocks: &mut Vec<Block>,
        made: &mut Vec<(String, Root)>,
    ) -> Result<Root, Refusal> {
        let mut directory = DirectoryBuilder::new(version);
        for (name, branch) in self.0 {
            let root = match branch {
                Branch::File(root) => root,
                Branch::Directory(tree) => {
                    let slash = if path.is_empty() { "" } else { "/" };
                    let path = format!("{path}{slash}{}", name.as_str());
                    let root = tree.make_at(&path, version, blocks, made)?;
                    made.push((path, root));
                    root
                }
            };
            directory.add(name, &root)?;
        }
        let mut sink = |block: &NewBlock<'_>| {
            let block = Block::check(*block.cid().hash(), block.to_bytes());
            block.map(|block| blocks.push(block)).map_err(|why| Refusal::Other(why.into()))
        };
        directory.finish(&mut sink)
    }
}

fn entry_name(name: &str) -> Result<EntryName, Refusal> {
    name.parse().map_err(|_| refused(name))
}

fn refused(path: &str) -> Refusal {
    Refusal::Path(path.chars().take(32).collect())
}
