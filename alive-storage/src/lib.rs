#![doc = include_str!("../README.md")]

#[cfg(feature = "adapters")]
pub mod adapters;
mod block;
pub mod car;
pub mod cid;
#[cfg(feature = "testing")]
pub mod conformance;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "adapters")]
mod hedge;
mod sia;
mod skyfile;
mod skylink;
mod storage;
mod store;
pub mod unixfs;
mod varint;

#[cfg(feature = "gateway")]
pub use self::gateway::GatewayStorage;
pub use self::{
    block::{Block, BlockError, MAX_BLOCK_BYTES, NewBlock},
    sia::{MerkleRoot, SECTOR_BYTES},
    skyfile::{LAYOUT_BYTES, Skyfile, SkyfileError, SkyfileMetadata, Subfile},
    skylink::{SKYLINK_BYTES, Skylink, SkylinkError},
    storage::{BlockStorage, DiskStorage, FolderError, MemoryStorage},
    store::{
        BlockBatch, BlockStore, CheckReport, DiskBatch, DiskStore, Evicted, MAX_LISTED,
        MemoryBatch, MemoryStore, StoreError,
    },
    varint::VarintError,
};
