//! Cutting content that is in memory on several cores: [`import_bytes_parallel`].

use std::{
    num::NonZeroUsize,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::MAX_THREADS;
use crate::{
    block::NewBlock,
    unixfs::{ImportOptions, Importer, Root, import::Leaf},
};

/// Cuts content that is in memory, without copying it, hashing on `threads` threads of which the caller's is one. Blocks
/// come as from [`import`](crate::unixfs::import), in the same order and on the caller's thread.
///
/// A chunk takes some 200 bytes of memory until the end.
///
/// # Errors
/// Those of the sink.
pub fn import_bytes_parallel<E>(
    data: &[u8],
    options: ImportOptions,
    threads: NonZeroUsize,
    sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
) -> Result<Root, E> {
    let mut importer = Importer::new(options);
    let chunks = data.len().div_ceil(options.chunk_size());
    let workers = threads.get().min(MAX_THREADS).min(chunks).saturating_sub(1);
    if workers == 0 {
        importer.push(data, sink)?;
        return importer.finish(sink);
    }
    let leaves = Leaves::new(data, &options);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| while leaves.hash_next() {});
        }
        let pushed =
            leaves.iter().try_for_each(|(piece, leaf)| importer.push_leaf(piece, leaf, sink));
        pushed.inspect_err(|_| leaves.abandon())
    })?;
    importer.finish(sink)
}

/// Chunks whose hashes are made by whoever comes by.
struct Leaves<'a> {
    slots: Vec<Slot<'a>>,
    options: &'a ImportOptions,
    /// The first one that nobody has begun with.
    next: AtomicUsize,
}

struct Slot<'a> {
    piece: &'a [u8],
    leaf: OnceLock<Leaf>,
}

impl<'a> Leaves<'a> {
    fn new(data: &'a [u8], options: &'a ImportOptions) -> Self {
        let slot = |piece| Slot { piece, leaf: OnceLock::new() };
        let slots = data.chunks(options.chunk_size()).map(slot).collect();
        Self { slots, options, next: AtomicUsize::new(0) }
    }

    /// Hashes a chunk; says whether there was one left.
    fn hash_next(&self) -> bool {
        let slot = self.slots.get(self.next.fetch_add(1, Ordering::Relaxed));
        slot.inspect(|slot| _ = self.leaf(slot)).is_some()
    }

    /// All of them in order. While another thread is at the one whose turn it is, the caller hashes later ones.
    fn iter(&self) -> impl Iterator<Item = (&'a [u8], &Leaf)> {
        self.slots.iter().map(|slot| {
            while slot.leaf.get().is_none() && self.hash_next() {}
            (slot.piece, self.leaf(slot))
        })
    }

    /// Waits for the thread that is hashing it, if one is.
    fn leaf<'l>(&self, slot: &'l Slot<'a>) -> &'l Leaf {
        slot.leaf.get_or_init(|| Leaf::hash(slot.piece, self.options))
    }

    /// Leaves nothing for the workers to do.
    fn abandon(&self) {
        self.next.store(self.slots.len(), Ordering::Relaxed);
    }
}
