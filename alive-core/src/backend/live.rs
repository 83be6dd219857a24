//! Segments before the chain has them, and parts before the segment is whole: [`LiveCache`].

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use futures_util::{Stream, stream};

use crate::{quality::Renditions, segment::Segment, stream_id::StreamId, time::Timestamp};

use super::{BackendError, Boxed, LivePart, LiveParts};

/// A segment as the live cache carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSegment {
    /// The segment; its length is in whole milliseconds.
    pub segment: Segment,
    /// The transcoded renditions of the same content, and the initialisation sections of all of it.
    pub renditions: Renditions,
    /// When it was pushed, by the clock of the cache.
    pub at: Timestamp,
}

/// A subscription: segments as they arrive, until it is dropped or the cache goes away.
pub type LiveSegments = Pin<Box<dyn Stream<Item = LiveSegment> + Send>>;

/// Carries segments from streamer to nodes at once, before a block does. Entries may expire.
///
/// It may carry the parts of the segment that is being recorded, too; one that does not costs viewers nothing but a
/// lower delay.
///
/// A backend is done when it passes `alive_core::testing::live_cache` (feature `testing`), and
/// `alive_core::testing::live_parts` if it carries parts.
pub trait LiveCache: Debug + Send + Sync {
    /// Shares a segment of a stream; returns once the cache has taken it. Pushing it again is no error: readers tell
    /// by its content id that it is the same.
    ///
    /// # Errors
    /// [`LiveCacheError::Unavailable`] when trying again may help, [`LiveCacheError::Refused`] when it will not.
    fn push(
        &self,
        stream: &StreamId,
        segment: LiveSegment,
    ) -> impl Future<Output = Result<(), LiveCacheError>> + Send;

    /// The segments still held that were pushed at `since` or later, in the order of their pushing.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn list(
        &self,
        stream: &StreamId,
        since: Timestamp,
    ) -> impl Future<Output = Result<Vec<LiveSegment>, LiveCacheError>> + Send;

    /// Segments pushed from now on. A subscriber that does not keep up loses the oldest it has not seen; `list` has them.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn subscribe(
        &self,
        stream: &StreamId,
    ) -> impl Future<Output = Result<LiveSegments, LiveCacheError>> + Send;

    /// Shares a part of the segment that is being recorded; returns once the cache has taken it. Pushing it again is no
    /// error. One with the place of an earlier one replaces that. Unless implemented it is taken and forgotten.
    ///
    /// # Errors
    /// As [`push`](Self::push). It is no reason to hold up a segment.
    fn push_part(
        &self,
        _stream: &StreamId,
        _part: LivePart,
    ) -> impl Future<Output = Result<(), LiveCacheError>> + Send {
        async { Ok(()) }
    }

    /// Parts as they are pushed; those still held come first, so that nobody has to wait for the next segment, in the order
    /// of their pushing, where one that was pushed again may count as pushed then. A subscriber that does not keep up loses
    /// the oldest it has not seen. The parts held are those that
    /// [`HeldParts`](super::HeldParts) holds, or fewer. Unless implemented none ever comes.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn subscribe_parts(
        &self,
        _stream: &StreamId,
    ) -> impl Future<Output = Result<LiveParts, LiveCacheError>> + Send {
        async { Ok(Box::pin(stream::pending()) as LiveParts) }
    }
}

/// Why a [`LiveCache`] did not do what was asked.
pub type LiveCacheError = BackendError;

/// Any [`LiveCache`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedLiveCache(Arc<dyn Erased>);

impl SharedLiveCache {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl LiveCache + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl LiveCache for SharedLiveCache {
    async fn push(&self, stream: &StreamId, segment: LiveSegment) -> Result<(), LiveCacheError> {
        self.0.push_boxed(stream, segment).await
    }

    async fn list(
        &self,
        stream: &StreamId,
        since: Timestamp,
    ) -> Result<Vec<LiveSegment>, LiveCacheError> {
        self.0.list_boxed(stream, since).await
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<LiveSegments, LiveCacheError> {
        self.0.subscribe_boxed(stream).await
    }

    async fn push_part(&self, stream: &StreamId, part: LivePart) -> Result<(), LiveCacheError> {
        self.0.push_part_boxed(stream, part).await
    }

    async fn subscribe_parts(&self, stream: &StreamId) -> Result<LiveParts, LiveCacheError> {
        self.0.subscribe_parts_boxed(stream).await
    }
}

trait Erased: Debug + Send + Sync {
    fn push_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        segment: LiveSegment,
    ) -> Boxed<'a, Result<(), LiveCacheError>>;
    fn list_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        since: Timestamp,
    ) -> Boxed<'a, Result<Vec<LiveSegment>, LiveCacheError>>;
    fn subscribe_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> Boxed<'a, Result<LiveSegments, LiveCacheError>>;
    fn push_part_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        part: LivePart,
    ) -> Boxed<'a, Result<(), LiveCacheError>>;
    fn subscribe_parts_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> Boxed<'a, Result<LiveParts, LiveCacheError>>;
}

impl<L: LiveCache> Erased for L {
    fn push_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        segment: LiveSegment,
    ) -> Boxed<'a, Result<(), LiveCacheError>> {
        Box::pin(self.push(stream, segment))
    }

    fn list_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        since: Timestamp,
    ) -> Boxed<'a, Result<Vec<LiveSegment>, LiveCacheError>> {
        Box::pin(self.list(stream, since))
    }

    fn subscribe_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> Boxed<'a, Result<LiveSegments, LiveCacheError>> {
        Box::pin(self.subscribe(stream))
    }

    fn push_part_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        part: LivePart,
    ) -> Boxed<'a, Result<(), LiveCacheError>> {
        Box::pin(self.push_part(stream, part))
    }

    fn subscribe_parts_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> Boxed<'a, Result<LiveParts, LiveCacheError>> {
        Box::pin(self.subscribe_parts(stream))
    }
}
