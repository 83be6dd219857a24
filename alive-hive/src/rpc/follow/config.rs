//! What to follow and how far ahead: [`HiveBlockSourceConfig`].

use std::time::Duration;

use alive_core::DEFAULT_CUSTOM_JSON_ID;

/// Up to where a [`HiveBlockSource`](super::HiveBlockSource) gives blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Follow {
    /// Up to the head. A block that is replaced is told as [`Next::Forked`](alive_core::backend::Next::Forked).
    #[default]
    Head,
    /// Up to the last irreversible block, usually one to twenty blocks behind the head. No block is ever taken back.
    Irreversible,
}

/// Settings of a [`HiveBlockSource`](super::HiveBlockSource).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HiveBlockSourceConfig {
    /// Most pages that are asked for at the same time while the chain is caught up with, 1 to 16.
    pub ahead: usize,
    /// About how many bytes those pages may have together.
    pub ahead_bytes: usize,
    /// The id of the custom operations to read.
    pub custom_json_id: Box<str>,
    /// Up to where blocks are given.
    pub follow: Follow,
    /// The first block of interest, from 1.
    pub from_block: u32,
    /// Most blocks to ask for at once, 1 to 1000. Fewer are asked for where blocks are large or nodes slow.
    pub page: u32,
    /// Time between two looks for a new block.
    pub poll_interval: Duration,
}

impl HiveBlockSourceConfig {
    /// Most blocks that a node gives at once. Source: `spec/hive.md`, section 5.3.
    pub const MAX_PAGE: u32 = 1000;
    /// Most pages at the same time. Our own limit: public nodes allow few requests at once.
    pub const MAX_AHEAD: usize = 16;

    /// Sets how many pages are asked for at the same time while the chain is caught up with.
    #[must_use]
    pub fn ahead(self, pages: usize) -> Self {
        Self { ahead: pages.clamp(1, Self::MAX_AHEAD), ..self }
    }

    /// Sets about how many bytes those pages may have together. One page is always asked for.
    #[must_use]
    pub fn ahead_bytes(self, bytes: usize) -> Self {
        Self { ahead_bytes: bytes, ..self }
    }

    /// Sets the id of the custom operations.
    #[must_use]
    pub fn custom_json_id(self, id: impl Into<Box<str>>) -> Self {
        Self { custom_json_id: id.into(), ..self }
    }

    /// Sets up to where blocks are given.
    #[must_use]
    pub fn follow(self, follow: Follow) -> Self {
        Self { follow, ..self }
    }

    /// Sets the first block of interest.
    #[must_use]
    pub fn from_block(self, number: u32) -> Self {
        Self { from_block: number.max(1), ..self }
    }

    /// Sets how many blocks to ask for at once.
    #[must_use]
    pub fn page(self, blocks: u32) -> Self {
        Self { page: blocks.clamp(1, Self::MAX_PAGE), ..self }
    }

    /// Sets the time between two looks for a new block.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.max(Duration::from_millis(1)), ..self }
    }
}

impl Default for HiveBlockSourceConfig {
    fn default() -> Self {
        Self {
            ahead: 4,
            ahead_bytes: 64 << 20,
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.into(),
            follow: Follow::default(),
            from_block: 1,
            page: 100,
            poll_interval: Duration::from_secs(1),
        }
    }
}
