//! The steps of a session that take time, as futures: what they need goes in, what came of them comes out.

use std::io;

use alive_core::{
    ContentId, Op, Quality, Renditions, Segment, SegmentNumber, Seq, Step, StreamId, Timestamp,
    backend::{
        BroadcastError, Broadcaster as _, LiveCache as _, LiveCacheError, LivePart, LiveSegment,
        Receipt, SharedBroadcaster, SharedLiveCache, SharedStorage, Storage as _, StorageError,
    },
};
use bytes::Bytes;
use tokio::task::{JoinError, spawn_blocking};

use super::{
    files::SegmentFile,
    parts::{PartContent, PartStep},
};
use crate::{
    files::wall_clock,
    watch::{Look, Section, Watcher},
};

/// What came of a step.
#[derive(Debug)]
pub(super) enum Done {
    Announced(SegmentNumber, Result<(), LiveCacheError>),
    Broadcast(Step, Op, Result<Receipt, BroadcastError>),
    ChunkStored(Seq, Result<ContentId, StorageError>),
    Looked(Box<Watcher>, Look),
    Stored(SegmentNumber, Result<Stored, StoreFailure>),
}

/// A segment that is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) content: ContentId,
    /// The initialisation section that it needs, and the digest of that.
    pub(super) section: Option<([u8; 32], ContentId)>,
    pub(super) bytes: u64,
}

/// Why a segment is not stored.
#[derive(Debug)]
pub(super) enum StoreFailure {
    /// Its file is gone or holds something else.
    Lost(Box<str>),
    /// Its file cannot be read now.
    Read(io::Error),
    Storage(StorageError),
    Task(JoinError),
}

pub(super) fn look(mut watcher: Box<Watcher>) -> Done {
    let look = watcher.look(wall_clock());
    Done::Looked(watcher, look)
}

/// Stores a segment. Its initialisation section is stored before it, unless that is `known` to be.
pub(super) async fn store(
    number: SegmentNumber,
    file: SegmentFile,
    known: Option<ContentId>,
    storage: SharedStorage,
) -> Done {
    Done::Stored(number, store_file(file, known, &storage).await)
}

async fn store_file(
    file: SegmentFile,
    known: Option<ContentId>,
    storage: &SharedStorage,
) -> Result<Stored, StoreFailure> {
    let name = file.name();
    let (file, section) = match (file.section(), known) {
        (None, _) => (file, None),
        (Some(digest), Some(known)) => (file, Some((digest, known))),
        (Some(digest), None) => {
            let read = spawn_blocking(move || (file.read_section(), file)).await;
            let (read, file) = read.map_err(StoreFailure::Task)?;
            let lost = || StoreFailure::Lost(name.clone());
            let bytes = read.map_err(StoreFailure::Read)?.ok_or_else(lost)?;
            let content = storage.put(bytes).await.map_err(StoreFailure::Storage)?;
            (file, Some((digest, content)))
        }
    };
    let read = spawn_blocking(move || file.read()).await.map_err(StoreFailure::Task)?;
    let bytes = read.map_err(StoreFailure::Read)?.ok_or(StoreFailure::Lost(name))?;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let content = storage.put(bytes.into()).await.map_err(StoreFailure::Storage)?;
    Ok(Stored { content, section, bytes: len })
}

pub(super) async fn store_chunk(seq: Seq, csv: String, storage: SharedStorage) -> Done {
    Done::ChunkStored(seq, storage.put(Bytes::from(csv)).await)
}

pub(super) async fn announce(
    number: SegmentNumber,
    segment: Segment,
    section: Option<ContentId>,
    stream: StreamId,
    live: SharedLiveCache,
) -> Done {
    let at = timestamp();
    let mut renditions = Renditions::default();
    if let Some(section) = section {
        renditions.insert_section(Quality::Src, section);
    }
    let segment = LiveSegment { segment, renditions, at };
    Done::Announced(number, live.push(&stream, segment).await)
}

/// What came of a step of a part.
#[derive(Debug)]
pub(super) enum PartDone {
    Announced(PartStep, SegmentNumber, Result<(), LiveCacheError>),
    Stored(PartStep, Result<StoredPart, StorageError>),
}

/// A part that is stored.
#[derive(Debug)]
pub(super) struct StoredPart {
    pub(super) place: PartContent,
    /// The digest of the initialisation section that it needs.
    pub(super) section: Option<[u8; 32]>,
}

/// Stores a part. Its initialisation section is stored before it, unless that is `known` to be.
pub(super) async fn store_part(
    step: PartStep,
    bytes: Bytes,
    section: Option<Section>,
    known: Option<ContentId>,
    storage: SharedStorage,
) -> PartDone {
    let digest = section.as_ref().map(|section| section.source.digest);
    let stored = async {
        let section = match (section, known) {
            (Some(section), None) => Some(storage.put(section.bytes).await?),
            (Some(_), known) => known,
            (None, _) => None,
        };
        let content = storage.put(bytes).await?;
        Ok(StoredPart { place: PartContent { content, section }, section: digest })
    };
    PartDone::Stored(step, stored.await)
}

pub(super) async fn announce_part(
    step: PartStep,
    part: LivePart,
    stream: StreamId,
    live: SharedLiveCache,
) -> PartDone {
    PartDone::Announced(step, part.number, live.push_part(&stream, part).await)
}

/// The time by the wall clock.
pub(super) fn timestamp() -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(wall_clock().as_millis()).unwrap_or(i64::MAX))
}

pub(super) async fn broadcast(step: Step, op: Op, broadcaster: SharedBroadcaster) -> Done {
    let result = broadcast_in_order(&op, &broadcaster).await;
    Done::Broadcast(step, op, result)
}

/// Nothing counts behind the end of a stream, so it waits until no fork can take back a push, which would then come too late.
async fn broadcast_in_order(
    op: &Op,
    broadcaster: &SharedBroadcaster,
) -> Result<Receipt, BroadcastError> {
    if matches!(op, Op::End(_)) {
        broadcaster.settle().await?;
    }
    broadcaster.broadcast(op).await
}
