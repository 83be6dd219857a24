#![doc = include_str!("../README.md")]

mod accounts;
mod api;
mod archive;
#[cfg(feature = "chat")]
mod chat;
mod clock;
mod config;
#[cfg(feature = "testing")]
pub mod conformance;
mod event;
mod explain;
#[doc(hidden)]
pub mod fuzzing;
mod indexer;
#[cfg(feature = "postgres")]
mod leader;
mod live;
mod measure;
mod metrics;
mod news;
mod node;
mod pages;
mod playlists;
mod presence;
#[cfg(feature = "stake")]
mod renditions;
mod resolver;
mod server;
mod store;
mod visitors;

pub use alive_storage::{ContentReader, SharedContentReader};
pub use archive::{ArchiveError, StreamArchive, archived_stream, export_stream, import_stream};
#[cfg(feature = "chat")]
pub use chat::{ChatConfig, ChatRooms};
pub use config::{Backends, NodeConfig, Rate, ServerLimits};
pub use event::NodeEvent;
pub use indexer::{IndexError, Indexer, Progress};
pub use node::{Node, RunningNode, StartError};
pub use pages::PagesConfig;
pub use playlists::{
    Health, HoleReason, ListText, Playlist, PlaylistConfig, PlaylistError, Playlists, PushHealth,
    SectionHealth, SegmentHealth, SeqRange, Watched,
};
pub use presence::{Absence, Presence, PresenceConfig};
#[cfg(feature = "stake")]
pub use renditions::{Menu, MenuItem, RenditionConfig, RenditionDesk, SegmentBytes};
pub use resolver::{ChunkState, Resolver, ResolverConfig, Urgency};
pub use server::serve;
pub use store::{ChunkCache, SharedChunkCache, SqliteStore, SqliteStoreError};
#[cfg(feature = "postgres")]
pub use store::{
    Leadership, PostgresConfigError, PostgresStore, PostgresStoreConfig, PostgresStoreError,
};
