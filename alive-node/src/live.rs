//! Segments before the chain has them, and parts before they are whole: follows the live cache for one stream.

use std::time::Duration;

use alive_core::{
    StreamId, Timeline, Timestamp,
    backend::{LiveCache as _, LiveCacheError, LivePart, LiveParts, LiveSegment, SharedLiveCache},
};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::explain::Explained;

/// What comes from the live cache.
#[derive(Debug)]
pub(crate) enum FromLive {
    /// All that the cache held at the beginning has come, or it could not be asked.
    CaughtUp,
    /// A part of a segment that is being recorded. It may have come before.
    Part(LivePart),
    /// A segment. It may have come before.
    Segment(LiveSegment),
}

/// The live cache's segments and parts of one stream, in its order, until it is dropped.
#[derive(Debug)]
pub(crate) struct LiveFeed {
    arriving: mpsc::Receiver<FromLive>,
    _task: AbortOnDropHandle<()>,
}

impl LiveFeed {
    /// How many of them wait for a slow taker. Behind them the cache's own limit holds.
    const WAITING: usize = 64;

    /// Starts to follow.
    pub(crate) fn follow(cache: SharedLiveCache, stream: StreamId) -> Self {
        let (out, arriving) = mpsc::channel(Self::WAITING);
        let task = tokio::spawn(Follower { cache, stream, out, newest: Timestamp::EPOCH }.run());
        Self { arriving, _task: AbortOnDropHandle::new(task) }
    }

    /// The next one. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> FromLive {
        match self.arriving.recv().await {
            Some(arrived) => arrived,
            // It only ends with us, or by a panic of the cache: then there is no live tail any more.
            None => std::future::pending().await,
        }
    }

    /// The next one, if it is there.
    pub(crate) fn try_next(&mut self) -> Option<FromLive> {
        self.arriving.try_recv().ok()
    }
}

/// The taker is gone.
struct Gone;

struct Follower {
    cache: SharedLiveCache,
    stream: StreamId,
    out: mpsc::Sender<FromLive>,
    /// The time of the newest segment seen, by the clock of the cache.
    newest: Timestamp,
}

impl Follower {
    async fn run(mut self) {
        let mut waits = waits();
        loop {
            match self.follow().await {
                Err(Gone) => return,
                Ok(Ok(())) => waits = self::waits(),
                Ok(Err(error)) => {
                    tracing::warn!(stream = %self.stream, error = %Explained(&error), "live cache failed");
                    if self.out.send(FromLive::CaughtUp).await.is_err() {
                        return;
                    }
                }
            }
            tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
        }
    }

    /// Passes on what the cache holds, then what arrives, until the cache goes away.
    async fn follow(&mut self) -> Result<Result<(), LiveCacheError>, Gone> {
        // In this order nothing falls between the two.
        let mut arriving = match self.cache.subscribe(&self.stream).await {
            Ok(arriving) => arriving,
            Err(error) => return Ok(Err(error)),
        };
        let held = match self.cache.list(&self.stream, self.newest).await {
            Ok(held) => held,
            Err(error) => return Ok(Err(error)),
        };
        let too_many = held.len().saturating_sub(Timeline::MAX_LIVE_AHEAD);
        for segment in held.into_iter().skip(too_many) {
            self.pass_on(segment).await?;
        }
        self.out.send(FromLive::CaughtUp).await.map_err(|_| Gone)?;
        let mut parts = self.parts();
        loop {
            tokio::select! {
                // A segment ends what its parts can do, so those that were pushed before it come before it.
                biased;
                part = parts.next() => match part {
                    Some(part) => self.out.send(FromLive::Part(part)).await.map_err(|_| Gone)?,
                    // It goes on without them.
                    None => parts = Box::pin(stream::pending()),
                },
                segment = arriving.next() => match segment {
                    Some(segment) => self.pass_on(segment).await?,
                    None => return Ok(Ok(())),
                },
            }
        }
    }

    /// The parts that the cache has; none if it cannot be asked for them. Nothing else waits for that.
    fn parts(&self) -> LiveParts {
        let (cache, id) = (self.cache.clone(), self.stream.clone());
        let opening = async move {
            cache.subscribe_parts(&id).await.unwrap_or_else(|error| {
                tracing::warn!(stream = %id, error = %Explained(&error), "live cache gives no parts");
                Box::pin(stream::pending())
            })
        };
        Box::pin(opening.flatten_stream())
    }

    async fn pass_on(&mut self, segment: LiveSegment) -> Result<(), Gone> {
        self.newest = self.newest.max(segment.at);
        self.out.send(FromLive::Segment(segment)).await.map_err(|_| Gone)
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(30);

fn waits() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use alive_core::{
        Renditions, Segment, SegmentDuration,
        memory::MemoryLiveCache,
        testing::{Call, Fault, Flaky},
    };

    use super::*;

    fn id() -> StreamId {
        "hive/alice/s".parse().unwrap()
    }

    fn segment(secs: u32) -> LiveSegment {
        let content = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
        let duration = SegmentDuration::from_micros(secs * 1_000_000).unwrap();
        LiveSegment {
            segment: Segment::new(content, duration),
            renditions: Renditions::default(),
            at: Timestamp::from_unix_secs(secs),
        }
    }

    async fn push(cache: &MemoryLiveCache, secs: u32) {
        cache.push(&id(), segment(secs)).await.unwrap();
    }

    async fn next(feed: &mut LiveFeed) -> Option<i64> {
        match feed.next().await {
            FromLive::CaughtUp => None,
            FromLive::Part(part) => Some(-i64::from(part.index)),
            FromLive::Segment(segment) => Some(segment.at.as_unix_secs()),
        }
    }

    async fn push_part(cache: &MemoryLiveCache, index: u8) {
        let Segment { content, duration, .. } = segment(1).segment;
        let part = LivePart {
            number: 1,
            index,
            after: content,
            duration,
            content,
            quality: alive_core::Quality::Src,
            section: None,
            independent: false,
            at: Timestamp::EPOCH,
        };
        cache.push_part(&id(), part).await.unwrap();
    }

    #[tokio::test]
    async fn gives_what_is_held_and_then_what_arrives() {
        let cache = MemoryLiveCache::default();
        push(&cache, 1).await;
        push(&cache, 2).await;
        let mut feed = LiveFeed::follow(SharedLiveCache::new(cache.clone()), id());
        assert_eq!(next(&mut feed).await, Some(1));
        assert_eq!(next(&mut feed).await, Some(2));
        assert_eq!(next(&mut feed).await, None);
        push(&cache, 3).await;
        assert_eq!(next(&mut feed).await, Some(3));
        assert!(feed.try_next().is_none());
    }

    #[tokio::test]
    async fn parts_come_before_the_segment_that_was_pushed_behind_them() {
        let cache = MemoryLiveCache::default();
        push(&cache, 1).await;
        push_part(&cache, 1).await;
        let mut feed = LiveFeed::follow(SharedLiveCache::new(cache.clone()), id());
        assert_eq!(next(&mut feed).await, Some(1));
        assert_eq!(next(&mut feed).await, None, "nobody waits for parts");
        assert_eq!(next(&mut feed).await, Some(-1), "what is still held comes");
        for index in 2..20 {
            push_part(&cache, index).await;
            push(&cache, u32::from(index)).await;
            assert_eq!(next(&mut feed).await, Some(-i64::from(index)));
            assert_eq!(next(&mut feed).await, Some(i64::from(index)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_without_parts_or_with_broken_ones_still_gives_segments() {
        let cache = MemoryLiveCache::default();
        let fault = |call: Call| match call.method {
            "subscribe_parts" => Fault::Unavailable,
            _ => Fault::Pass,
        };
        let flaky = SharedLiveCache::new(Flaky::new(cache.clone(), fault));
        let mut feed = LiveFeed::follow(flaky, id());
        assert_eq!(next(&mut feed).await, None);
        push_part(&cache, 1).await;
        push(&cache, 7).await;
        assert_eq!(next(&mut feed).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_that_fails_is_asked_again() {
        let cache = MemoryLiveCache::default();
        push(&cache, 1).await;
        let methods = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&methods);
        let flaky = Flaky::new(cache, move |call: Call| {
            seen.lock().unwrap().push(call.method);
            match call.number {
                0 => Fault::Unavailable,
                2 => Fault::Refused,
                _ => Fault::Pass,
            }
        });
        let mut feed = LiveFeed::follow(SharedLiveCache::new(flaky), id());
        assert_eq!(next(&mut feed).await, None, "nobody is kept waiting");
        assert_eq!(next(&mut feed).await, None);
        assert_eq!(next(&mut feed).await, Some(1));
        let mut methods = methods.lock().unwrap().clone();
        // Parts are asked for beside, whenever that gets its turn.
        methods.retain(|method| *method != "subscribe_parts");
        assert_eq!(methods, ["subscribe", "subscribe", "list", "subscribe", "list"]);
    }
}
