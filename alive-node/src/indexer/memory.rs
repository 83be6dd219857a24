//! Which streams an indexer keeps at hand: [`Memory`].

use std::{collections::HashSet, sync::Arc};

use alive_core::{BlockChanges, Index, Stream, StreamKey, backend::StoredStream};

/// Drops streams that nobody pushed to lately, once there are many pushes in memory. What is dropped comes back from the
/// store when it is needed.
#[derive(Debug)]
pub(super) struct Memory {
    /// Most pushes that the streams may have together.
    limit: usize,
    /// Pushes that came since the last time streams were dropped.
    gained: usize,
    /// Streams touched since then.
    touched: HashSet<Arc<StreamKey>>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, gained: 0, touched: HashSet::new() }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Puts a stream into the index.
    pub(super) fn load(&mut self, index: &mut Index, key: StreamKey, stored: StoredStream) {
        self.gained += weight(stored.pushes.len());
        index.load_stream(key, Stream::restore(stored.info, stored.pushes));
    }

    /// Notes what a block changed.
    pub(super) fn touch(&mut self, block: &BlockChanges) {
        for change in &block.changes {
            self.gained += 1;
            if !self.touched.contains(&change.key) {
                self.touched.insert(Arc::clone(&change.key));
            }
        }
        self.gained += block.new_accounts.len();
    }

    /// Drops what was not touched since the last time, when half of the limit has come since then; everything, when
    /// even that is too much.
    pub(super) fn drop_quiet(&mut self, index: &mut Index) {
        if self.gained < self.limit / 2 {
            return;
        }
        let touched = std::mem::take(&mut self.touched);
        self.gained = 0;
        index.unload(|key| touched.contains(key));
        let held: usize = index.streams().map(|(_, stream)| weight(stream.pushes().count())).sum();
        if held > self.limit / 2 {
            index.unload(|_| false);
        }
        tracing::debug!(held, "quiet streams dropped from memory");
    }
}

/// A stream without pushes counts, too.
fn weight(pushes: usize) -> usize {
    pushes + 8
}
