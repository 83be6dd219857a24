//! The promises of a [`LiveCache`] that carries parts.

use futures_util::StreamExt as _;

use crate::{
    backend::{HeldParts, LiveCache, LivePart, LiveParts},
    content::ContentId,
    publish::SegmentNumber,
    quality::Quality,
    segment::SegmentDuration,
    stream_id::StreamId,
    time::Timestamp,
};

use super::{Dice, ok, script};

/// Checks every promise of a [`LiveCache`] that carries parts, on two streams that it may push to and that nobody else
/// uses meanwhile. `now` is the present time, or any if the cache lives outside of time.
///
/// A subscription that never delivers lets it wait for ever: run it under a time limit if the cache is remote.
///
/// # Panics
/// The cache breaks a promise; the message says which.
pub async fn live_parts(cache: &impl LiveCache, streams: [&StreamId; 2], now: Timestamp) {
    let [stream, other] = streams;
    assert_ne!(stream, other, "the suite needs two streams");
    let before = ok(cache.list(stream, Timestamp::EPOCH).await, "list must answer");
    let mut made = Made { dice: Dice(0x9a27), now, number: 7, index: 0 };
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(push(cache, stream, made.next()).await);
    }
    held_first(cache, stream, &mut made, &mut held).await;
    again(cache, stream, &mut made, &mut held).await;
    apart(cache, streams, &mut made, &mut held).await;
    replaced(cache, stream, &mut made, &mut held).await;
    newest(cache, stream, &mut made).await;
    anew(cache, stream, &mut made).await;
    let after = ok(cache.list(stream, Timestamp::EPOCH).await, "list must answer");
    assert_eq!(after, before, "a part is no segment");
}

/// Makes parts of every form, one after the other.
struct Made {
    dice: Dice,
    now: Timestamp,
    number: SegmentNumber,
    index: u8,
}

impl Made {
    fn next(&mut self) -> LivePart {
        let micros = u32::try_from(1 + self.dice.below(99_999)).unwrap_or(1) * 1000;
        let index = self.index;
        self.index += 1;
        LivePart {
            number: self.number,
            index,
            after: self.content(),
            duration: ok(SegmentDuration::from_micros(micros), "the length is in range"),
            content: self.content(),
            quality: if index % 3 == 1 { Quality::P480 } else { Quality::Src },
            section: (self.dice.below(2) == 0).then(|| self.content()),
            independent: self.dice.below(2) == 0,
            at: self.now,
        }
    }

    fn next_of(&mut self, number: SegmentNumber) -> LivePart {
        (self.number, self.index) = (number, 0);
        self.next()
    }

    fn content(&mut self) -> ContentId {
        script::cid(&mut self.dice, true)
    }
}

async fn push(cache: &impl LiveCache, stream: &StreamId, part: LivePart) -> LivePart {
    ok(cache.push_part(stream, part).await, "push_part must take a part");
    part
}

async fn subscribe(cache: &impl LiveCache, stream: &StreamId) -> LiveParts {
    ok(cache.subscribe_parts(stream).await, "subscribe_parts must work")
}

/// What comes up to this part, which is the last one pushed.
async fn until(subscription: &mut LiveParts, last: &LivePart) -> Vec<LivePart> {
    let mut got = Vec::new();
    while let Some(part) = subscription.next().await {
        let done = part.content == last.content;
        got.push(part);
        if done {
            break;
        }
    }
    got
}

/// What somebody gets who comes now: what is held, up to a part that is pushed then.
async fn late(cache: &impl LiveCache, stream: &StreamId, made: &mut Made) -> Vec<LivePart> {
    let mut subscription = subscribe(cache, stream).await;
    let last = push(cache, stream, made.next()).await;
    until(&mut subscription, &last).await
}

async fn held_first(
    cache: &impl LiveCache,
    stream: &StreamId,
    made: &mut Made,
    held: &mut Vec<LivePart>,
) {
    let got = late(cache, stream, made).await;
    held.extend(got.last());
    same(
        &got,
        held,
        "a subscription must begin with those still held, in the order of their pushing",
    );
}

async fn again(
    cache: &impl LiveCache,
    stream: &StreamId,
    made: &mut Made,
    held: &mut Vec<LivePart>,
) {
    let mut subscription = subscribe(cache, stream).await;
    // All of them, in order: a cache may take each for a new one at its place.
    for part in held.iter() {
        ok(cache.push_part(stream, *part).await, "pushing a part again is no error");
    }
    let last = push(cache, stream, made.next()).await;
    held.push(last);
    let mut got = until(&mut subscription, &last).await;
    // Whoever looks in between sees some of them as pushed later.
    got.sort_by_key(|part| part.index);
    same(&got, held, "a part that is pushed again must come once");
}

/// Streams do not mix, and all subscribers get the same.
async fn apart(
    cache: &impl LiveCache,
    [stream, other]: [&StreamId; 2],
    made: &mut Made,
    held: &mut Vec<LivePart>,
) {
    let mut first = subscribe(cache, stream).await;
    let mut second = subscribe(cache, stream).await;
    let mut elsewhere = subscribe(cache, other).await;
    drop(subscribe(cache, stream).await);
    for _ in 0..3 {
        held.push(push(cache, stream, made.next()).await);
    }
    let one = push(cache, other, made.next()).await;
    let got = until(&mut elsewhere, &one).await;
    same(&got, &[one], "a subscription must give parts of its own stream only");
    let Some(last) = held.last() else { return };
    for subscription in [&mut first, &mut second] {
        let got = until(subscription, last).await;
        same(&got, held, "a part that was pushed must come to every subscriber, in order");
    }
}

async fn replaced(
    cache: &impl LiveCache,
    stream: &StreamId,
    made: &mut Made,
    held: &mut Vec<LivePart>,
) {
    let mut subscription = subscribe(cache, stream).await;
    let old = held.remove(1);
    let new = LivePart { content: made.content(), ..old };
    held.push(push(cache, stream, new).await);
    let last = push(cache, stream, made.next()).await;
    held.push(last);
    let got = until(&mut subscription, &last).await;
    let promise = "one with the place of an earlier one must come";
    same(got.get(got.len().saturating_sub(2)..).unwrap_or_default(), &[new, last], promise);
    let got = late(cache, stream, made).await;
    held.extend(got.last());
    same(&got, held, "one with the place of an earlier one must replace it");
}

async fn newest(cache: &impl LiveCache, stream: &StreamId, made: &mut Made) {
    for number in 8..12 {
        push(cache, stream, made.next_of(number)).await;
    }
    let current = push(cache, stream, made.next_of(12)).await;
    let next = push(cache, stream, made.next()).await;
    let got = late(cache, stream, made).await;
    let kept = |part: &LivePart| (10..=12).contains(&part.number);
    let segments = HeldParts::SEGMENTS;
    assert!(got.iter().all(kept), "parts of the newest segments only are held, {segments} of them");
    let of_newest: Vec<_> = got.iter().filter(|part| part.number == 12).copied().collect();
    let want: Vec<_> = [current, next].into_iter().chain(got.last().copied()).collect();
    same(&of_newest, &want, "all parts of the newest segment must be held");
}

/// A streamer who counts from the start again is heard.
async fn anew(cache: &impl LiveCache, stream: &StreamId, made: &mut Made) {
    let mut subscription = subscribe(cache, stream).await;
    let first = push(cache, stream, made.next_of(0)).await;
    let got = until(&mut subscription, &first).await;
    assert!(got.len() > 1, "a subscription must begin with those still held");
    let second = push(cache, stream, made.next()).await;
    let got: Vec<_> = late(cache, stream, made).await;
    let got: Vec<_> = got.into_iter().filter(|part| part.number == 0).take(2).collect();
    same(&got, &[first, second], "a part counts as new whatever its number");
}

/// The same but for the time, which the cache's own clock may have set.
#[track_caller]
fn same(got: &[LivePart], want: &[LivePart], promise: &str) {
    let bare = |parts: &[LivePart]| -> Vec<_> {
        parts.iter().map(|part| LivePart { at: Timestamp::EPOCH, ..*part }).collect()
    };
    assert_eq!(bare(got), bare(want), "{promise}");
}
