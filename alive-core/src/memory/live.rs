//! [`MemoryLiveCache`]: segments and parts between the streamers and viewers of one process.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::Stream;

use crate::{
    backend::{
        HeldParts, LiveCache, LiveCacheError, LivePart, LiveParts, LiveSegment, LiveSegments,
    },
    stream_id::StreamId,
    time::Timestamp,
};

use super::{Clock, Count, lock, queue::Queue};

/// Carries segments and parts within one process, bounded in streams, in segments and parts per stream and in age.
///
/// Without a [clock](Self::with_clock) it takes the time of a segment or part as its pusher says it. Pushing what is still held
/// again changes nothing.
///
/// ```
/// use alive_core::{Segment, StreamId, Timestamp, backend::{LiveCache, LiveSegment}, memory::MemoryLiveCache};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = MemoryLiveCache::default();
/// let stream: StreamId = "hive/alice/s".parse()?;
/// let content = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let segment = Segment::new(content, "4.0".parse()?);
/// cache.push(&stream, LiveSegment { segment, renditions: Default::default(), at: Timestamp::EPOCH }).await?;
/// assert_eq!(cache.list(&stream, Timestamp::EPOCH).await?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryLiveCache(Arc<Shared>);

struct Shared {
    limits: Limits,
    clock: Option<Clock>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    streams: usize,
    segments: usize,
    age: Duration,
}

#[derive(Default)]
struct State {
    held: HashMap<StreamId, Held>,
    subscribers: Subscribers<LiveSegment>,
    part_subscribers: Subscribers<LivePart>,
    /// Counts pushes, to know which stream was quiet for longest.
    pushes: u64,
}

type Subscribers<T> = HashMap<StreamId, Vec<Queue<T>>>;

#[derive(Default)]
struct Held {
    segments: VecDeque<LiveSegment>,
    parts: HeldParts,
    last_push: u64,
}

impl MemoryLiveCache {
    /// How many segments of a stream it holds by default, and how many a subscriber may lag behind: two hours of
    /// segments of 7 seconds, more than the longest batch interval of a streamer leaves to the cache.
    pub const DEFAULT_SEGMENTS: usize = 1024;
    /// How long it holds a segment by default: an hour.
    pub const DEFAULT_AGE: Duration = Duration::from_hours(1);
    /// How many streams it holds segments of by default.
    pub const DEFAULT_STREAMS: usize = 1024;

    /// Holds at most `segments` segments of a stream (at least one), none older than `age`, of the `streams` streams
    /// (at least one) pushed to last. A subscriber may lag behind by as many segments as a stream holds.
    pub fn with_limits(streams: usize, segments: usize, age: Duration) -> Self {
        let limits = Limits { streams: streams.max(1), segments: segments.max(1), age };
        Self(Arc::new(Shared { limits, clock: None, state: Mutex::default() }))
    }

    /// The same limits, an empty cache, and a clock that stamps what is pushed.
    #[must_use]
    pub fn with_clock(&self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let limits = self.0.limits;
        Self(Arc::new(Shared { limits, clock: Some(Box::new(clock)), state: Mutex::default() }))
    }
}

impl Default for MemoryLiveCache {
    fn default() -> Self {
        Self::with_limits(Self::DEFAULT_STREAMS, Self::DEFAULT_SEGMENTS, Self::DEFAULT_AGE)
    }
}

impl fmt::Debug for MemoryLiveCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        f.debug_struct("MemoryLiveCache")
            .field("limits", &self.0.limits)
            .field("streams", &Count(state.held.len()))
            .finish_non_exhaustive()
    }
}

impl LiveCache for MemoryLiveCache {
    async fn push(&self, stream: &StreamId, segment: LiveSegment) -> Result<(), LiveCacheError> {
        let at = self.0.clock.as_ref().map_or(segment.at, |now| now());
        let segment = LiveSegment { at, ..segment };
        let wakers = lock(&self.0.state).push(stream, &segment, self.0.limits);
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    async fn list(
        &self,
        stream: &StreamId,
        since: Timestamp,
    ) -> Result<Vec<LiveSegment>, LiveCacheError> {
        let mut state = lock(&self.0.state);
        let Some(held) = state.held.get_mut(stream) else { return Ok(Vec::new()) };
        if let Some(now) = &self.0.clock {
            held.expire(now(), self.0.limits.age);
        }
        Ok(held.segments.iter().filter(|segment| segment.at >= since).cloned().collect())
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<LiveSegments, LiveCacheError> {
        let queue = Queue::new([], self.0.limits.segments);
        let mut state = lock(&self.0.state);
        Ok(self.subscription(&mut state, stream, queue, |state| &mut state.subscribers))
    }

    async fn push_part(&self, stream: &StreamId, part: LivePart) -> Result<(), LiveCacheError> {
        let at = self.0.clock.as_ref().map_or(part.at, |now| now());
        let wakers = lock(&self.0.state).push_part(stream, LivePart { at, ..part }, self.0.limits);
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    async fn subscribe_parts(&self, stream: &StreamId) -> Result<LiveParts, LiveCacheError> {
        let mut state = lock(&self.0.state);
        let held = state.held.get_mut(stream);
        if let (Some(held), Some(now)) = (held, &self.0.clock) {
            held.expire(now(), self.0.limits.age);
        }
        let held = state.held.get(stream).into_iter().flat_map(|held| held.parts.iter());
        let queue = Queue::new(held.copied(), HeldParts::MAX);
        Ok(self.subscription(&mut state, stream, queue, |state| &mut state.part_subscribers))
    }
}

impl MemoryLiveCache {
    /// Adds a subscriber; it leaves when it is dropped.
    fn subscription<T: Send + 'static>(
        &self,
        state: &mut State,
        stream: &StreamId,
        queue: Queue<T>,
        of: fn(&mut State) -> &mut Subscribers<T>,
    ) -> Pin<Box<dyn Stream<Item = T> + Send>> {
        of(state).entry(stream.clone()).or_default().push(queue.clone());
        let cache = Arc::downgrade(&self.0);
        Box::pin(Subscription { queue, cache, stream: stream.clone(), of })
    }
}

impl State {
    /// Takes a segment and tells whom to wake once the lock is free: what is woken may want it.
    fn push(&mut self, stream: &StreamId, segment: &LiveSegment, limits: Limits) -> Vec<Waker> {
        let held = self.room(stream, limits);
        held.expire(segment.at, limits.age);
        let same = |known: &LiveSegment| {
            known.segment == segment.segment && known.renditions == segment.renditions
        };
        if held.segments.iter().any(same) {
            return Vec::new();
        }
        if held.segments.len() >= limits.segments {
            held.segments.pop_front();
        }
        held.segments.push_back(segment.clone());
        let subscribers = self.subscribers.get(stream).into_iter().flatten();
        subscribers.filter_map(|queue| queue.push(segment.clone())).collect()
    }

    /// Takes a part, as [`push`](Self::push) does a segment.
    fn push_part(&mut self, stream: &StreamId, part: LivePart, limits: Limits) -> Vec<Waker> {
        let held = self.room(stream, limits);
        held.expire(part.at, limits.age);
        if !held.parts.take(part) {
            return Vec::new();
        }
        let subscribers = self.part_subscribers.get(stream).into_iter().flatten();
        subscribers.filter_map(|queue| queue.push(part)).collect()
    }

    /// What is held of a stream that is being pushed to.
    fn room(&mut self, stream: &StreamId, limits: Limits) -> &mut Held {
        if !self.held.contains_key(stream) && self.held.len() >= limits.streams {
            self.drop_quietest();
        }
        self.pushes += 1;
        let held = self.held.entry(stream.clone()).or_default();
        held.last_push = self.pushes;
        held
    }

    /// Makes room for one more stream.
    fn drop_quietest(&mut self) {
        let quietest = self.held.iter().min_by_key(|(_, held)| held.last_push);
        if let Some(id) = quietest.map(|(id, _)| id.clone()) {
            self.held.remove(&id);
        }
    }
}

impl Held {
    fn expire(&mut self, now: Timestamp, age: Duration) {
        while self.segments.front().is_some_and(|oldest| now.since(oldest.at) > age) {
            self.segments.pop_front();
        }
        self.parts.expire(now.before(age));
    }
}

impl Drop for Shared {
    /// The cache goes away: its subscriptions end after what they already hold.
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let subscribers = std::mem::take(&mut state.subscribers);
        let of_parts = std::mem::take(&mut state.part_subscribers);
        drop(state);
        let closed = subscribers.values().flatten().filter_map(Queue::close);
        let closed_parts = of_parts.values().flatten().filter_map(Queue::close);
        closed.chain(closed_parts).for_each(Waker::wake);
    }
}

struct Subscription<T> {
    queue: Queue<T>,
    cache: Weak<Shared>,
    stream: StreamId,
    /// Where its queue is one of.
    of: fn(&mut State) -> &mut Subscribers<T>,
}

impl<T> Stream for Subscription<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.queue.poll_next(cx)
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        let Some(cache) = self.cache.upgrade() else { return };
        let mut state = lock(&cache.state);
        let subscribers = (self.of)(&mut state);
        if let Some(queues) = subscribers.get_mut(&self.stream) {
            queues.retain(|queue| !queue.is(&self.queue));
            if queues.is_empty() {
                subscribers.remove(&self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::StreamExt as _;

    use super::*;
    use crate::{Renditions, Segment, SegmentDuration};

    fn segment(millis: u32, at_secs: u32) -> LiveSegment {
        let content = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
        let duration = SegmentDuration::from_micros(millis * 1000).unwrap();
        LiveSegment {
            segment: Segment::new(content, duration),
            renditions: Renditions::default(),
            at: Timestamp::from_unix_secs(at_secs),
        }
    }

    fn stream(n: u32) -> StreamId {
        format!("hive/alice/s{n}").parse().unwrap()
    }

    async fn millis(cache: &MemoryLiveCache, n: u32) -> Vec<u32> {
        let list = cache.list(&stream(n), Timestamp::EPOCH).await.unwrap();
        list.iter().map(|held| held.segment.duration.as_micros() / 1000).collect()
    }

    #[tokio::test]
    async fn holds_the_newest_segments_of_the_newest_streams() {
        let cache = MemoryLiveCache::with_limits(2, 3, Duration::MAX);
        for n in 1..=5 {
            cache.push(&stream(1), segment(n, n)).await.unwrap();
        }
        assert_eq!(millis(&cache, 1).await, [3, 4, 5]);
        cache.push(&stream(2), segment(1, 1)).await.unwrap();
        cache.push(&stream(1), segment(6, 1)).await.unwrap();
        cache.push(&stream(3), segment(1, 1)).await.unwrap();
        assert_eq!(millis(&cache, 1).await, [4, 5, 6]);
        assert_eq!(millis(&cache, 2).await, [0; 0]);
    }

    #[tokio::test]
    async fn drops_what_is_too_old() {
        let cache = MemoryLiveCache::with_limits(9, 9, Duration::from_secs(10));
        for (n, at) in [(1, 100), (2, 105), (3, 110), (4, 115)] {
            cache.push(&stream(1), segment(n, at)).await.unwrap();
        }
        assert_eq!(millis(&cache, 1).await, [2, 3, 4]);
    }

    #[tokio::test]
    async fn its_clock_stamps_and_expires() {
        let now = Arc::new(AtomicU32::new(50));
        let clock = Arc::clone(&now);
        let cache = MemoryLiveCache::with_limits(9, 9, Duration::from_secs(10))
            .with_clock(move || Timestamp::from_unix_secs(clock.load(Ordering::Relaxed)));
        cache.push(&stream(1), segment(1, 9_999)).await.unwrap();
        let list = cache.list(&stream(1), Timestamp::EPOCH).await.unwrap();
        assert_eq!(list[0].at, Timestamp::from_unix_secs(50));
        now.store(61, Ordering::Relaxed);
        assert_eq!(millis(&cache, 1).await, [0; 0]);
    }

    #[tokio::test]
    async fn a_slow_subscriber_loses_the_oldest() {
        let cache = MemoryLiveCache::with_limits(9, 2, Duration::MAX);
        let subscription = cache.subscribe(&stream(1)).await.unwrap();
        for n in 1..=5 {
            cache.push(&stream(1), segment(n, n)).await.unwrap();
        }
        drop(cache);
        let seen: Vec<_> = subscription.map(|s| s.at.as_unix_secs()).collect().await;
        assert_eq!(seen, [4, 5]);
    }

    #[tokio::test]
    async fn a_dropped_subscriber_leaves_nothing_behind() {
        let cache = MemoryLiveCache::default();
        for _ in 0..100 {
            drop(cache.subscribe(&stream(1)).await.unwrap());
            drop(cache.subscribe_parts(&stream(1)).await.unwrap());
        }
        let state = lock(&cache.0.state);
        assert!(state.subscribers.is_empty() && state.part_subscribers.is_empty());
    }
}
