#![doc = include_str!("../README.md")]

#[cfg(feature = "adapters")]
pub mod adapters;
mod block;
pub mod car;
pub mod cid;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(any(feature = "gateway", feature = "kubo"))]
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(any(feature = "adapters", feature = "gateway"))]
mod hedge;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "kubo")]
mod kubo;
#[cfg(feature = "pinning")]
pub mod pinning;
#[cfg(any(feature = "gateway", feature = "kubo", feature = "uploader"))]
mod proof;
mod reader;
#[cfg(feature = "serve")]
pub mod serve;
mod sia;
mod skyfile;
mod skylink;
#[cfg(feature = "skynet")]
mod skynet;
mod storage;
mod store;
pub mod unixfs;
#[cfg(feature = "uploader")]
pub mod uploader;
mod varint;

#[cfg(feature = "gateway")]
pub use self::gateway::{GatewayHealth, GatewayOptions, GatewayStorage};
#[cfg(feature = "http")]
pub use self::http::{HttpError, HttpOptions, Reach};
#[cfg(feature = "kubo")]
pub use self::kubo::{KuboClient, KuboError, KuboStorage};
#[cfg(feature = "skynet")]
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
