//! How many blocks to ask for at once: [`PageSize`].

use std::time::Duration;

/// Finds out how many blocks a page may have, by their bytes and by how long nodes take.
#[derive(Clone, Debug)]
pub(super) struct PageSize {
    count: u32,
    max: u32,
    /// Bytes of a block, on a moving average.
    block_bytes: usize,
}

impl PageSize {
    /// Bytes that a page should have: enough that asking costs little, few enough to parse in a few milliseconds.
    const BYTES: usize = 8 << 20;
    /// A page that takes longer is too large for the node.
    const SLOW: Duration = Duration::from_secs(5);
    /// Bytes of a block before any is known: a usual one of 2026.
    const FIRST_BLOCK: usize = 50_000;

    /// At most `max` blocks, and that many until more is known.
    pub(super) fn new(max: u32) -> Self {
        Self { count: max.max(1), max: max.max(1), block_bytes: Self::FIRST_BLOCK }
    }

    /// How many blocks to ask for.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// About how many bytes so many blocks have.
    pub(super) fn bytes_of(&self, blocks: u32) -> usize {
        self.block_bytes.saturating_mul(blocks as usize)
    }

    /// A page came.
    pub(super) fn handle_page(&mut self, blocks: usize, bytes: usize, took: Duration) {
        if blocks == 0 {
            return;
        }
        self.block_bytes = (self.block_bytes * 3 + bytes / blocks).div_ceil(4).max(1);
        let fits = u32::try_from(Self::BYTES / self.block_bytes).unwrap_or(u32::MAX);
        let grown = if took > Self::SLOW { self.count / 2 } else { self.count.saturating_mul(2) };
        self.count = grown.min(fits).clamp(1, self.max);
    }

    /// A page had fewer blocks than were asked for.
    pub(super) fn handle_short(&mut self, got: u32) {
        self.count = got.clamp(1, self.max);
    }

    /// A page did not come: it took too long, or was too long.
    pub(super) fn handle_too_much(&mut self) {
        self.count = (self.count / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    #[test]
    fn pages_shrink_to_one_block_and_grow_again() {
        let mut page = PageSize::new(1000);
        for _ in 0..12 {
            page.handle_too_much();
        }
        assert_eq!(page.count(), 1);
        page.handle_page(1, 300, Duration::from_secs(6));
        assert_eq!(page.count(), 1);
        for _ in 0..40 {
            page.handle_page(1, 300, QUICK);
        }
        assert_eq!(page.count(), 1000);
    }

    #[test]
    fn large_blocks_make_small_pages() {
        let mut page = PageSize::new(1000);
        for _ in 0..30 {
            page.handle_page(10, 10 * (2 << 20), QUICK);
        }
        assert_eq!(page.count(), 4, "of blocks of 2 MiB, in 8 MiB");
        assert!(page.bytes_of(4) <= 9 << 20);
    }

    #[test]
    fn slow_pages_are_halved() {
        let mut page = PageSize::new(100);
        page.handle_page(100, 100_000, PageSize::SLOW + QUICK);
        assert_eq!(page.count(), 50);
        page.handle_page(0, 0, QUICK);
        assert_eq!(page.count(), 50, "an empty page tells nothing");
    }
}
