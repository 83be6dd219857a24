//! Blocks on their way into a store on disk: [`DiskBatch`].

use std::collections::HashMap;

use super::{
    DiskStore, StoreError, digest_of,
    index::Change,
    is_leaf_of,
    pack::{FRAME_BYTES, Note, PackWriter},
    place::Place,
    usage::Claim,
};
use crate::{block::NewBlock, cid::Cid, store::BlockBatch};

/// A batch of at most this many bytes goes into the index instead of a pack of its own.
const INLINE_BYTES: usize = 16 << 10;
/// And with at most so many blocks.
const INLINE_BLOCKS: usize = 64;
/// Blocks and bytes after which a batch is made durable in parts, so that its memory does not grow with the file and no
/// pack is so large that evicting or joining it takes long.
const PART_BLOCKS: usize = 1 << 16;
const PART_BYTES: u64 = 256 << 20;

/// A batch for a [`DiskStore`]. What it relies on is not evicted while it is open.
#[derive(Debug)]
pub struct DiskBatch<'a> {
    store: &'a DiskStore,
    claim: Claim<'a>,
    places: HashMap<[u8; 32], Place>,
    inline_bytes: usize,
    /// The number of the pack, or of what goes into the index.
    number: Option<u64>,
    pack: Option<PackWriter>,
    last: Option<Cid>,
}

/// Why blocks are kept.
#[derive(Clone, Copy)]
enum Keep<'r> {
    Cached,
    Owed(&'r [Cid]),
    /// More of the batch follows.
    Part,
}

impl<'a> DiskBatch<'a> {
    pub(super) fn new(store: &'a DiskStore) -> Self {
        Self {
            store,
            claim: Claim::new(&store.usage),
            places: HashMap::new(),
            inline_bytes: 0,
            number: None,
            pack: None,
            last: None,
        }
    }

    fn write(&mut self, block: &NewBlock<'_>) -> Result<Place, StoreError> {
        let (size, leaf) = (block.size(), is_leaf_of(block));
        self.store.make_room(&mut self.claim, size as u64 + FRAME_BYTES)?;
        let number = match self.number {
            Some(number) => number,
            None => {
                let number = *self.number.insert(self.store.usage.next_number());
                self.claim.add(number);
                number
            }
        };
        let inline_bytes = self.inline_bytes + size;
        let is_small = inline_bytes <= INLINE_BYTES && self.places.len() < INLINE_BLOCKS;
        if self.pack.is_none() && is_small {
            self.inline_bytes = inline_bytes;
            return Ok(Place::Inline { number, leaf, data: block.parts().concat() });
        }
        match &mut self.pack {
            Some(pack) => pack.add(block, leaf),
            none => {
                let pack = none.insert(self.store.packs.create(number)?);
                move_inline(&mut self.places, pack)?;
                pack.add(block, leaf)
            }
        }
    }

    /// Makes durable and visible what has been added so far.
    fn flush(&mut self, keep: Keep<'_>) -> Result<(), StoreError> {
        let owed = match keep {
            Keep::Owed(roots) => roots.to_vec(),
            Keep::Cached | Keep::Part => Vec::new(),
        };
        let change = Change { owed, ..Change::default() };
        if self.places.is_empty() {
            return self.owe_only(&change);
        }
        let pack = self.pack.take().map(|pack| finish(pack, keep)).transpose()?;
        let number = self.number.take();
        self.inline_bytes = 0;
        let change = Change {
            places: std::mem::take(&mut self.places),
            packs: pack.into_iter().collect(),
            uses: self.store.uses_with(number),
            ..change
        };
        let done = match pack {
            Some(_) => self.store.index.commit_lazily(&change),
            None => self.store.index.commit(&change),
        };
        done.inspect_err(|_| self.store.abandon(pack))?;
        let inline = || change.places.values().map(Place::len).sum();
        self.claim.spend(pack.map_or_else(inline, |(_, size)| size));
        self.store.heal(change.places.keys());
        Ok(())
    }

    /// Nothing was written: all was here.
    fn owe_only(&self, change: &Change) -> Result<(), StoreError> {
        let is_owed = |root| self.store.index.is_owed(root);
        for root in &change.owed {
            if !is_owed(root)? {
                return self.store.index.commit(change);
            }
        }
        Ok(())
    }
}

impl BlockBatch for DiskBatch<'_> {
    fn add(&mut self, block: &NewBlock<'_>) -> Result<(), StoreError> {
        let digest = digest_of(block.cid().hash())?;
        self.last = Some(*block.cid());
        if self.places.contains_key(&digest)
            || self.store.claim_if_stored(&digest, block, &mut self.claim)?
        {
            return Ok(());
        }
        let place = self.write(block)?;
        self.places.insert(digest, place);
        let is_part = self.pack.as_ref().is_some_and(|pack| pack.size() >= PART_BYTES);
        if is_part || self.places.len() >= PART_BLOCKS { self.flush(Keep::Part) } else { Ok(()) }
    }

    fn commit(mut self) -> Result<(), StoreError> {
        let last = self.last.take();
        self.flush(Keep::Owed(last.as_slice()))
    }

    fn commit_roots(mut self, roots: &[Cid]) -> Result<(), StoreError> {
        self.flush(Keep::Owed(roots))
    }

    fn commit_cached(mut self) -> Result<(), StoreError> {
        self.flush(Keep::Cached)
    }
}

fn finish(mut pack: PackWriter, keep: Keep<'_>) -> Result<(u64, u64), StoreError> {
    match keep {
        Keep::Cached => pack.note(&Note::Cached)?,
        Keep::Owed(roots) => {
            for root in roots {
                pack.note(&Note::Owed(*root))?;
            }
        }
        Keep::Part => {}
    }
    pack.finish()
}

/// Moves what was to go into the index to a pack, so that a file is not spread over both.
fn move_inline(
    places: &mut HashMap<[u8; 32], Place>,
    pack: &mut PackWriter,
) -> Result<(), StoreError> {
    for (digest, place) in places {
        if let Place::Inline { data, leaf, .. } = place {
            *place = pack.add(&NewBlock::of_digest(digest, data), *leaf)?;
        }
    }
    Ok(())
}
