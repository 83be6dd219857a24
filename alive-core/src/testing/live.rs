//! The promises of [`LiveCache`].

use futures_util::StreamExt as _;

use crate::{
    backend::{LiveCache, LiveSegment},
    content::ContentId,
    quality::{Quality, Renditions},
    segment::{Flags, Segment, SegmentDuration},
    stream_id::StreamId,
    time::Timestamp,
};

use super::{Dice, ok, script};

/// Checks every promise of a [`LiveCache`] on two streams that it may push to and that nobody else uses meanwhile.
/// `now` is the present time, or any if the cache lives outside of time.
///
/// A subscription that never delivers lets it wait for ever: run it under a time limit if the cache is remote.
///
/// # Panics
/// The cache breaks a promise; the message says which.
pub async fn live_cache(cache: &impl LiveCache, streams: [&StreamId; 2], now: Timestamp) {
    let [stream, other] = streams;
    assert_ne!(stream, other, "the suite needs two streams");
    let mut made = Made { dice: Dice(0x11fe), now };
    let mut pushed = Vec::new();
    for _ in 0..5 {
        pushed.push(push(cache, stream, made.next()).await);
    }
    listed(cache, stream, &pushed).await;
    again(cache, stream, &pushed).await;
    apart(cache, other, &mut made).await;
    since(cache, stream).await;
    subscribed(cache, streams, &mut made, &mut pushed).await;
    slow(cache, stream, &mut made, &mut pushed).await;
    listed(cache, stream, &pushed).await;
}

/// Makes segments of every form.
struct Made {
    dice: Dice,
    now: Timestamp,
}

impl Made {
    fn next(&mut self) -> LiveSegment {
        let micros = u32::try_from(1 + self.dice.below(99_999)).unwrap_or(1) * 1000;
        let duration = ok(SegmentDuration::from_micros(micros), "the length is in range");
        let flags = Flags::new(self.dice.below(3) == 0, false);
        let segment = Segment::new(self.content(), duration).with_flags(flags);
        let mut renditions = Renditions::default();
        if self.dice.below(2) == 0 {
            renditions.insert(Quality::P240, self.content());
            renditions.insert(Quality::P1080, self.content());
        }
        if self.dice.below(2) == 0 {
            renditions.insert_section(Quality::Src, self.content());
            renditions.insert_section(Quality::P1080, self.content());
        }
        LiveSegment { segment, renditions, at: self.now }
    }

    fn content(&mut self) -> ContentId {
        script::cid(&mut self.dice, false)
    }
}

async fn push(cache: &impl LiveCache, stream: &StreamId, segment: LiveSegment) -> LiveSegment {
    ok(cache.push(stream, segment.clone()).await, "push must take a segment");
    segment
}

/// What is held, each segment once, as readers see it.
async fn list(cache: &impl LiveCache, stream: &StreamId, since: Timestamp) -> Vec<LiveSegment> {
    let mut list: Vec<LiveSegment> = Vec::new();
    for held in ok(cache.list(stream, since).await, "list must answer") {
        if list.iter().all(|seen| seen.segment.content != held.segment.content) {
            list.push(held);
        }
    }
    list
}

async fn listed(cache: &impl LiveCache, stream: &StreamId, pushed: &[LiveSegment]) {
    let list = list(cache, stream, Timestamp::EPOCH).await;
    same(&list, pushed, "list must give what was pushed, in the order of its pushing");
}

async fn again(cache: &impl LiveCache, stream: &StreamId, pushed: &[LiveSegment]) {
    for segment in pushed.iter().rev().take(2) {
        ok(cache.push(stream, segment.clone()).await, "pushing a segment again is no error");
    }
    listed(cache, stream, pushed).await;
}

/// Streams do not mix.
async fn apart(cache: &impl LiveCache, other: &StreamId, made: &mut Made) {
    listed(cache, other, &[]).await;
    let one = push(cache, other, made.next()).await;
    listed(cache, other, &[one]).await;
}

/// `list` leaves out what is older, by the times that it gives itself.
async fn since(cache: &impl LiveCache, stream: &StreamId) {
    let all = list(cache, stream, Timestamp::EPOCH).await;
    for from in all.iter().map(|held| held.at) {
        let want: Vec<_> = all.iter().filter(|held| held.at >= from).cloned().collect();
        let got = list(cache, stream, from).await;
        assert_eq!(got, want, "list must give what was pushed at {from} or later");
    }
    let newest = all.iter().map(|held| held.at.as_unix_ms()).max().unwrap_or(0);
    let later = list(cache, stream, Timestamp::from_unix_ms(newest + 1)).await;
    assert_eq!(later, [], "list must leave out what was pushed earlier");
}

async fn subscribed(
    cache: &impl LiveCache,
    [stream, other]: [&StreamId; 2],
    made: &mut Made,
    pushed: &mut Vec<LiveSegment>,
) {
    let mut first = ok(cache.subscribe(stream).await, "subscribe must work");
    let mut second = ok(cache.subscribe(stream).await, "two can subscribe to one stream");
    let mut elsewhere = ok(cache.subscribe(other).await, "subscribe must work");
    drop(ok(cache.subscribe(stream).await, "subscribe must work"));
    let mut new = Vec::new();
    for _ in 0..3 {
        new.push(push(cache, stream, made.next()).await);
    }
    for subscription in [&mut first, &mut second] {
        let got: Vec<_> = subscription.take(new.len()).collect().await;
        same(&got, &new, "a subscription must give what is pushed from then on, in order");
    }
    let one = push(cache, other, made.next()).await;
    let got: Vec<_> = elsewhere.by_ref().take(1).collect().await;
    same(&got, &[one], "a subscription must give segments of its own stream only");
    pushed.append(&mut new);
}

/// A subscriber that does not read holds nobody up, and the newest reaches it.
async fn slow(
    cache: &impl LiveCache,
    stream: &StreamId,
    made: &mut Made,
    pushed: &mut Vec<LiveSegment>,
) {
    let mut subscription = ok(cache.subscribe(stream).await, "subscribe must work");
    let mut new = Vec::new();
    for _ in 0..50 {
        new.push(push(cache, stream, made.next()).await);
    }
    let mut rest = new.iter();
    while let Some(got) = subscription.next().await {
        assert!(
            rest.any(|want| want.segment == got.segment),
            "a slow subscriber must get what it gets in order, and once"
        );
        if rest.len() == 0 {
            break;
        }
    }
    assert_eq!(rest.len(), 0, "a slow subscriber must get the newest; it lost them instead");
    pushed.append(&mut new);
}

/// The same but for the time, which the cache's own clock may have set.
#[track_caller]
fn same(got: &[LiveSegment], want: &[LiveSegment], promise: &str) {
    let bare = |list: &[LiveSegment]| -> Vec<_> {
        list.iter().map(|live| (live.segment, live.renditions.clone())).collect()
    };
    assert_eq!(bare(got), bare(want), "{promise}");
}
