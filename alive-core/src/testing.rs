//! What a backend must do to be one: a suite for every trait of [`backend`](crate::backend), and faults to test shells with.
//!
//! A suite is an `async fn` that takes the backend and panics, with a sentence, at the first broken promise. Call it from
//! a test of any runtime:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mine = alive_core::memory::MemoryStorage::default();
//! alive_core::testing::storage(&mine).await;
//! # }
//! ```
//!
//! | trait | suite | it needs |
//! |---|---|---|
//! | `Storage` | [`storage`] | nothing |
//! | | [`storage_survives`] | a closure that opens the same storage again |
//! | | [`storage_heals`] | a closure that damages content |
//! | `LiveCache` | [`live_cache`] | two streams that it may push to, which nobody else uses |
//! | | [`live_parts`], if it carries parts | the same |
//! | `Broadcaster` | [`broadcaster`] | a source of the same chain, and a closure that lets a block come |
//! | `BlockSource` | [`block_source`] | a [`ChainDriver`] that makes blocks and forks |
//! | `AccountKeys` | [`account_keys`] | accounts with known authorities, and one that does not exist |
//! | `SignatureScheme` | [`signature_scheme`] | a closure that signs |
//! | `StreamStore` | [`stream_store`] | nothing held of the networks `suite-a` and `suite-b` |
//! | | [`stream_store_survives`] | a closure that opens the same store again |
//!
//! Run each for the backend itself, for every adapter around one, and once behind its `Shared…` handle. A backend that
//! must be durable runs the `_survives` suites, too. No suite sleeps or reads a clock; one that waits for a live chain
//! does so in the closure that you give it.
//!
//! [`Flaky`] is an adapter that fails as planned, to test what a caller does about it.
#![expect(clippy::panic, reason = "a suite reports a broken promise by a panic, as tests do")]

mod chain;
mod flaky;
mod keys;
mod listing;
mod live;
mod parts;
mod script;
mod storage;
mod store;

pub use chain::{ChainDriver, block_source, broadcaster};
pub use flaky::{Call, Fault, Flaky};
pub use keys::{account_keys, signature_scheme};
pub use live::live_cache;
pub use parts::live_parts;
pub use storage::{storage, storage_heals, storage_survives};
pub use store::{stream_store, stream_store_survives};

use std::fmt::Debug;

/// The value of a call that has to succeed.
#[track_caller]
fn ok<T, E: Debug>(result: Result<T, E>, promise: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{promise}, but it failed: {error:?}"),
    }
}

/// Numbers that look random and are the same in every run: `SplitMix64` by Steele, Lea and Flood.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `below` - 1.
    fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

#[cfg(test)]
mod tests;
