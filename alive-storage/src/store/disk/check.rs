//! Looking whether all is as it should be, and putting right what is not: [`DiskStore::check`] and [`DiskStore::repair`].

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::PoisonError,
};

use super::{DiskStore, StoreError, digest_of, index::Change, io_error, sync_dir};
use crate::{
    block::{Block, sha2_256},
    cid::{self, Cid, Multihash},
    unixfs::{MAX_DEPTH, next_linked},
};

/// Most damaged blocks and incomplete roots that a report lists; it counts all.
pub const MAX_LISTED: usize = 1000;

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Blocks that are whole.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that are damaged or whose pack is gone.
    pub damaged: u64,
    /// The first [`MAX_LISTED`] of those.
    pub listed: Vec<Multihash>,
    /// Packs whose file is gone, cut short or longer than it was.
    pub torn_packs: u64,
    /// Packs on disk that the index does not know.
    pub unknown_packs: u64,
    /// Roots, pinned or stored nowhere else, below which a block is absent or damaged; the first [`MAX_LISTED`].
    pub incomplete: Vec<Cid>,
}

impl CheckReport {
    /// Whether there is nothing to put right.
    pub fn is_sound(&self) -> bool {
        self.damaged == 0 && self.torn_packs == 0 && self.unknown_packs == 0
    }
}

impl DiskStore {
    /// Reads every block and compares it with its hash, and the packs with the index. Blocks may be read and stored
    /// meanwhile. Incomplete roots are reported, too; only storing them again makes them whole.
    ///
    /// # Errors
    /// The index, or a directory, cannot be read.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let mut report = CheckReport::default();
        let mut damaged = HashSet::new();
        for hash in self.hashes()? {
            let hash = hash?;
            match self.read(&hash) {
                Ok(Some(block)) => {
                    report.blocks += 1;
                    report.bytes += block.data().len() as u64;
                }
                // Evicted meanwhile.
                Ok(None) => {}
                Err(StoreError::Corrupt(_)) => {
                    damaged.insert(digest_of(&hash)?);
                    if report.listed.len() < MAX_LISTED {
                        report.listed.push(hash);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        report.damaged = damaged.len() as u64;
        self.check_packs(&mut report)?;
        for root in self.index.pins()?.iter().chain(&self.index.owed()?) {
            let is_listed = report.incomplete.len() < MAX_LISTED;
            if is_listed && !report.incomplete.contains(root) && !self.has_all(root, &damaged)? {
                report.incomplete.push(*root);
            }
        }
        Ok(report)
    }

    /// Checks, forgets damaged blocks (so that they are fetched or stored again), cuts off what no block can be read from at the
    /// end of a pack, takes up whole blocks of packs that the index does not know, and gives back what was lost. Writers
    /// wait meanwhile. The report is that of the check before.
    ///
    /// # Errors
    /// As [`check`](Self::check), or the store cannot be written.
    pub fn repair(&self) -> Result<CheckReport, StoreError> {
        let report = self.check()?;
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut change = Change::default();
        for hash in self.hashes()? {
            let hash = hash?;
            if let Err(StoreError::Corrupt(_)) = self.read(&hash) {
                change.gone.push(digest_of(&hash)?);
            }
        }
        let mut used = HashMap::new();
        for (number, size) in self.index.packs()? {
            match self.packs.size(number)? {
                None => {
                    change.doomed.push(number);
                    used.insert(number, (0, size));
                }
                Some(found) if found != size => {
                    let size_now = self.packs.recover(number, |_| Ok(()))?.size;
                    change.packs.push((number, size_now));
                    used.insert(number, (size_now, size));
                }
                Some(_) => {}
            }
        }
        self.index.commit(&change)?;
        self.heal(change.gone.iter());
        for (more, less) in used.into_values() {
            self.usage.change(more, less);
        }
        for number in self.unknown_packs()? {
            self.recover(number, false)?;
        }
        self.usage.set_futile(false);
        Ok(report)
    }

    /// Opens a store whose index is damaged: the index is set aside as `index.damaged` and made again from the packs. Small
    /// files, which were only in the index, are lost, as are the pins; all else that is there is kept until it is marked as
    /// stored elsewhere.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn rebuild(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        // Nothing is set aside while the store is open.
        let lock = super::lock(&path.join("lock"))?;
        let index = path.join("index.redb");
        if index.exists() {
            fs::rename(&index, path.join("index.damaged"))
                .map_err(io_error("setting the index aside"))?;
            sync_dir(path)?;
        }
        Self::open_locked(path, lock)
    }

    fn check_packs(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        for (number, size) in self.index.packs()? {
            // Evicted meanwhile, if the index does not know it any more.
            if self.packs.size(number)? != Some(size) && self.index.has_pack(number)? {
                report.torn_packs += 1;
            }
        }
        report.unknown_packs = self.unknown_packs()?.len() as u64;
        Ok(())
    }

    /// Packs on disk that are neither in the index nor being written or removed.
    fn unknown_packs(&self) -> Result<Vec<u64>, StoreError> {
        let mut unknown = Vec::new();
        let doomed = self.index.doomed()?;
        for number in self.packs.numbers()? {
            let is_known = self.usage.is_claimed(number)
                || doomed.contains(&number)
                || self.index.has_pack(number)?;
            if !is_known && self.packs.size(number)?.is_some() {
                unknown.push(number);
            }
        }
        Ok(unknown)
    }

    /// Whether all blocks below a root are here and none of them is known to be damaged.
    fn has_all(&self, root: &Cid, damaged: &HashSet<[u8; 32]>) -> Result<bool, StoreError> {
        let (mut seen, mut stack) = (HashSet::new(), Vec::new());
        let mut next = Some(*root);
        loop {
            if let Some(cid) = next
                && !self.open_node(&cid, damaged, &mut seen, &mut stack)?
            {
                return Ok(false);
            }
            let Some((block, at)) = stack.last_mut() else { return Ok(true) };
            next = next_linked(block, at);
            if next.is_none() {
                stack.pop();
            }
        }
    }

    fn open_node(
        &self,
        cid: &Cid,
        damaged: &HashSet<[u8; 32]>,
        seen: &mut HashSet<(Multihash, bool)>,
        stack: &mut Vec<(bytes::Bytes, usize)>,
    ) -> Result<bool, StoreError> {
        let is_node = cid.codec() == cid::DAG_PB && stack.len() <= 2 * MAX_DEPTH;
        if !seen.insert((*cid.hash(), is_node)) {
            return Ok(true);
        }
        if let Some(block) = Block::of_identity(cid.hash()) {
            stack.extend(is_node.then(|| (block.data().clone(), 0)));
            return Ok(true);
        }
        let Ok(digest) = digest_of(cid.hash()) else { return Ok(false) };
        if damaged.contains(&digest) {
            return Ok(false);
        }
        let Some(place) = self.index.find(&digest)? else { return Ok(false) };
        if is_node && !place.is_leaf() {
            match self.read(&sha2_256(&digest)) {
                Ok(Some(block)) => stack.push((block.data().clone(), 0)),
                Ok(None) | Err(StoreError::Corrupt(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
