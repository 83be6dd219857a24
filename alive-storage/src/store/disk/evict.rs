//! Making room: evicting what may be fetched again, the least recently used first, and joining what is left.
//!
//! What lies below a pin, or below a root that is stored nowhere else, stays, as does what an open batch relies on. The
//! rest goes pack by pack (a pack is what one put wrote): the index forgets the blocks and dooms the pack with one synced
//! commit, then the file is removed. A pack that also holds blocks that stay is copied without the others first; the copy
//! is synced before the index names it. So a crash at any moment leaves every block that stays in a place that the
//! index names.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
};

use bytes::Bytes;

use super::{DiskStore, StoreError, digest_of, index::Change, place::Place, usage::Claim};
use crate::{
    block::{Block, NewBlock, sha2_256},
    cid::{self, Cid},
    unixfs::{MAX_DEPTH, next_linked},
};

/// Once the limit is reached, a tenth is made free, so that not every put looks for something to evict.
const HEADROOM: u64 = 10;
/// A pack of which less than one part in so many can be had is not worth copying the rest.
const WORTH: u64 = 4;
/// What a block takes in a pack beyond its own bytes.
const CID_BYTES: u64 = 40;
/// Levels that are gone down from a root: directories above a file and the file's own.
const LEVELS: usize = 2 * MAX_DEPTH;

/// What making room did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evicted {
    /// Blocks that are here no more.
    pub blocks: u64,
    /// Bytes that the store takes less.
    pub bytes: u64,
    /// Packs that were copied because of what stays in them.
    pub copied: u64,
}

/// What one number stands for: a pack, or some blocks in the index.
#[derive(Debug, Default)]
struct Unit {
    /// Bytes it takes.
    size: u64,
    is_pack: bool,
    /// Blocks that stay, and the bytes that they take.
    kept: Vec<[u8; 32]>,
    stays: u64,
    /// Blocks that may go.
    may_go: Vec<[u8; 32]>,
}

impl DiskStore {
    /// Evicts what may be until the store takes `bytes` or less, or nothing is left that may be evicted. Free space inside
    /// packs is given back, too.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn shrink(&self, bytes: u64) -> Result<Evicted, StoreError> {
        self.evict(|occupied| occupied.saturating_sub(bytes))
    }

    /// Takes room for a batch, evicting what may be.
    pub(super) fn make_room(&self, claim: &mut Claim<'_>, bytes: u64) -> Result<(), StoreError> {
        if claim.reserve(bytes, self.limit) {
            return Ok(());
        }
        let limit = self.limit.unwrap_or(u64::MAX);
        let full = StoreError::Full { limit };
        if self.usage.is_futile() || bytes > limit {
            return Err(full);
        }
        self.usage.set_futile(true);
        let low = limit - limit / HEADROOM;
        let need = |occupied: u64| match occupied.saturating_add(bytes) {
            after if after <= limit => 0,
            after => after.saturating_sub(low),
        };
        let evicted = self.evict(need).inspect_err(|_| self.usage.set_futile(false))?;
        if evicted.bytes > 0 {
            self.usage.set_futile(false);
        }
        if claim.reserve(bytes, self.limit) { Ok(()) } else { Err(full) }
    }

    fn evict(&self, need: impl Fn(u64) -> u64) -> Result<Evicted, StoreError> {
        // Writers wait: none may come to rely on a block between the choice and the deed.
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let need = need(self.usage.occupied());
        if need == 0 {
            return Ok(Evicted::default());
        }
        self.bury()?;
        let stays = self.kept()?;
        let mut units: Vec<_> = self.units(&stays)?.into_iter().collect();
        units.sort_by_key(|(number, _)| (self.usage.last_use(*number), *number));
        let (mut whole, mut mixed, mut found) = (Vec::new(), Vec::new(), 0);
        for (number, unit) in units {
            if found >= need {
                break;
            }
            let gain = unit.size.saturating_sub(unit.stays);
            if gain == 0 {
                continue;
            }
            if unit.stays == 0 || !unit.is_pack {
                whole.push((number, unit));
            } else if gain >= unit.size / WORTH {
                mixed.push((number, unit));
            } else {
                continue;
            }
            found += gain;
        }
        let mut evicted = self.evict_whole(&whole)?;
        for (number, unit) in &mixed {
            match self.copy_what_stays(*number, unit) {
                Ok(more) => evicted += more,
                Err(_) if evicted.bytes >= need => break,
                Err(error) => return Err(error),
            }
        }
        Ok(evicted)
    }

    /// Removes all blocks of the units that may go, and packs in which none stays.
    fn evict_whole(&self, units: &[(u64, Unit)]) -> Result<Evicted, StoreError> {
        if units.is_empty() {
            return Ok(Evicted::default());
        }
        let mut evicted = Evicted::default();
        let mut change = Change { uses: self.usage.take_uses(), ..Change::default() };
        for (number, unit) in units {
            change.gone.extend(&unit.may_go);
            evicted.bytes += unit.size - unit.stays;
            if unit.is_pack {
                change.doomed.push(*number);
            }
        }
        evicted.blocks = change.gone.len() as u64;
        self.index.commit(&change)?;
        self.usage.change(0, evicted.bytes);
        self.heal(change.gone.iter());
        for number in change.doomed {
            self.usage.forget(number);
            self.packs.remove(number)?;
        }
        Ok(evicted)
    }

    /// Copies the blocks of a pack that stay to a new one, and removes the pack.
    fn copy_what_stays(&self, number: u64, unit: &Unit) -> Result<Evicted, StoreError> {
        let copy = self.usage.next_number();
        let mut pack = self.packs.create(copy)?;
        let mut change = Change { gone: unit.may_go.clone(), ..Change::default() };
        for digest in &unit.kept {
            let Some(place) = self.index.find(digest)? else { continue };
            let leaf = place.is_leaf();
            match self.read(&sha2_256(digest)) {
                Ok(Some(block)) => {
                    change.places.insert(*digest, pack.add(&NewBlock::from(&block), leaf)?);
                }
                // It is of no use: it counts as absent, and is stored again when it comes again.
                Ok(None) | Err(StoreError::Corrupt(_)) => change.gone.push(*digest),
                Err(error) => return Err(error),
            }
        }
        let (copy, size) = pack.finish()?;
        change.packs.push((copy, size));
        change.doomed.push(number);
        change.uses.push((copy, self.usage.last_use(number)));
        self.index.commit(&change).inspect_err(|_| self.abandon(Some((copy, size))))?;
        self.usage.replace(number, copy);
        self.usage.change(size, unit.size);
        self.heal(change.gone.iter());
        self.packs.remove(number)?;
        let (blocks, bytes) = (unit.may_go.len() as u64, unit.size.saturating_sub(size));
        Ok(Evicted { blocks, bytes, copied: 1 })
    }

    /// What each number stands for, but for those that open batches rely on.
    fn units(&self, stays: &HashSet<[u8; 32]>) -> Result<HashMap<u64, Unit>, StoreError> {
        let mut units = HashMap::<u64, Unit>::new();
        for (number, size) in self.index.packs()? {
            units.insert(number, Unit { size, is_pack: true, ..Unit::default() });
        }
        for entry in self.index.places()? {
            let (digest, place) = entry?;
            let unit = units.entry(place.number()).or_default();
            let is_inline = matches!(place, Place::Inline { .. });
            if is_inline {
                unit.size += place.len();
            }
            if stays.contains(&digest) {
                unit.kept.push(digest);
                unit.stays += place.len() + if is_inline { 0 } else { CID_BYTES };
            } else {
                unit.may_go.push(digest);
            }
        }
        units.retain(|number, _| !self.usage.is_claimed(*number));
        Ok(units)
    }

    /// The blocks that lie below pins and below roots that are stored nowhere else.
    fn kept(&self) -> Result<HashSet<[u8; 32]>, StoreError> {
        let mut kept = HashSet::new();
        let mut opened = HashSet::new();
        for root in self.index.pins()?.iter().chain(&self.index.owed()?) {
            let mut stack = Vec::new();
            self.keep(root, &mut kept, &mut opened, &mut stack)?;
            while let Some((block, at)) = stack.last_mut() {
                match next_linked(block, at) {
                    Some(child) => self.keep(&child, &mut kept, &mut opened, &mut stack)?,
                    None => {
                        stack.pop();
                    }
                }
            }
        }
        Ok(kept)
    }

    /// Keeps a block, and opens it if it may link others. It is not checked: what can be read of damaged bytes is better
    /// than to let go of what lies below them.
    fn keep(
        &self,
        cid: &Cid,
        kept: &mut HashSet<[u8; 32]>,
        opened: &mut HashSet<[u8; 32]>,
        stack: &mut Vec<(Bytes, usize)>,
    ) -> Result<(), StoreError> {
        let Ok(digest) = digest_of(cid.hash()) else {
            open_identity(cid, stack);
            return Ok(());
        };
        kept.insert(digest);
        if cid.codec() != cid::DAG_PB || stack.len() > LEVELS || opened.contains(&digest) {
            return Ok(());
        }
        if let Some(place) = self.index.find(&digest)?.filter(|place| !place.is_leaf()) {
            opened.insert(digest);
            if let Ok(block) = self.load(place) {
                stack.push((block, 0));
            }
        }
        Ok(())
    }

    /// Removes doomed packs that are still there.
    pub(super) fn bury(&self) -> Result<(), StoreError> {
        let doomed = self.index.doomed()?;
        if doomed.is_empty() {
            return Ok(());
        }
        for number in &doomed {
            self.packs.remove(*number)?;
        }
        self.index.commit(&Change { buried: doomed, ..Change::default() })
    }
}

/// An identity carries its own links.
fn open_identity(cid: &Cid, stack: &mut Vec<(Bytes, usize)>) {
    if cid.codec() == cid::DAG_PB && stack.len() <= LEVELS {
        stack.extend(Block::of_identity(cid.hash()).map(|block| (block.data().clone(), 0)));
    }
}

impl std::ops::AddAssign for Evicted {
    fn add_assign(&mut self, more: Self) {
        self.blocks += more.blocks;
        self.bytes += more.bytes;
        self.copied += more.copied;
    }
}
