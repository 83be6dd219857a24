#![doc = include_str!("../README.md")]

#[cfg(feature = "adapters")]
pub mod adapters;
mod block;
pub mod car;
pub mod cid;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "remote")]
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "remote")]
mod gateway;
#[cfg(any(feature = "adapters", feature = "remote"))]
mod hedge;
#[cfg(feature = "remote")]
mod http;
#[cfg(feature = "remote")]
mod kubo;
#[cfg(feature = "remote")]
pub mod pinning;
#[cfg(feature = "remote")]
mod proof;
mod reader;
#[cfg(feature = "serve")]
pub mod serve;
mod sia;
mod skyfile;
mod skylink;
#[cfg(feature = "remote")]
mod skynet;
mod storage;
mod store;
pub mod unixfs;
#[cfg(feature = "remote")]
pub mod uploader;
mod varint;

#[cfg(feature = "remote")]
pub use self::gateway::{GatewayHealth, GatewayOptions, GatewayStorage};
#[cfg(feature = "remote")]
pub use self::http::{HttpError, HttpOptions, Reach};
#[cfg(feature = "remote")]
pub use self::kubo::{KuboClient, KuboError, KuboStorage};
#[cfg(feature = "remote")]
pub use self::skynet::SkynetStorage;
pub use self::{
    block::{Block, BlockError, MAX_BLOCK_BYTES, NewBlock},
    reader::{ContentReader, SharedContentReader},
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
