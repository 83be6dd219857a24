#![doc = include_str!("../README.md")]

mod block;
pub mod cid;
#[cfg(feature = "testing")]
pub mod conformance;
#[doc(hidden)]
pub mod fuzzing;
mod storage;
mod store;
pub mod unixfs;
mod varint;

pub use self::{
    block::{Block, BlockError, MAX_BLOCK_BYTES, NewBlock},
    storage::{BlockStorage, DiskStorage, MemoryStorage},
    store::{BlockBatch, BlockStore, DiskBatch, DiskStore, MemoryBatch, MemoryStore, StoreError},
    varint::VarintError,
};
