//! Parts of the segment that is being recorded: [`LivePart`], [`HeldParts`].
//!
//! A viewer with a low delay plays them before the segment is whole. They are an extension of ours: content of its own
//! that only the live cache names, never a chain. Whoever does not know them misses nothing but the lower delay.

use std::{collections::VecDeque, pin::Pin};

use futures_util::Stream;

use crate::{
    content::ContentId, publish::SegmentNumber, quality::Quality, segment::SegmentDuration,
    time::Timestamp,
};

/// A part of a segment that is still being recorded, as the live cache carries it.
///
/// There are none of a segment that starts with a discontinuity, and none of the first one of a stream: parts follow
/// [`after`](Self::after) without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivePart {
    /// The segment that it is going to be part of, by the streamer's count. The number tells the segments of one streamer
    /// apart and orders them. It is the segment's index in the stream as long as no segment got lost and nobody else
    /// pushed to the stream; to place a part in a list, go by [`after`](Self::after).
    pub number: SegmentNumber,
    /// Its place in the segment, from 0.
    pub index: u8,
    /// The segment before that one: parts belong behind the segment of the source that has this content.
    pub after: ContentId,
    /// How long it plays; whole milliseconds.
    pub duration: SegmentDuration,
    /// Its bytes.
    pub content: ContentId,
    /// The rendition that it is of.
    pub quality: Quality,
    /// The initialisation section that it needs.
    pub section: Option<ContentId>,
    /// Whether it can be played without the part before it.
    pub independent: bool,
    /// When it was pushed, by the clock of the cache.
    pub at: Timestamp,
}

impl LivePart {
    /// Whether both are the same place of the same rendition of the same segment.
    pub fn is_at_place_of(&self, other: &Self) -> bool {
        (self.number, self.index, self.quality) == (other.number, other.index, other.quality)
    }

    /// Whether both say the same, whenever they were pushed.
    pub fn says_as(&self, other: &Self) -> bool {
        Self { at: other.at, ..*self } == *other
    }
}

/// A subscription: parts as they arrive, until it is dropped or the cache goes away.
pub type LiveParts = Pin<Box<dyn Stream<Item = LivePart> + Send>>;

/// The parts of the newest segments of one stream, as every cache holds them.
///
/// Whoever pushes decides what it holds, but not how much: the segments that came last count, whatever their numbers, so
/// that a streamer who starts to count anew is heard at once.
///
/// ```
/// use alive_core::{Quality, Timestamp, backend::{HeldParts, LivePart}};
/// let content = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let (duration, at) = ("0.5".parse()?, Timestamp::EPOCH);
/// let part = |number, index| LivePart {
///     number, index, after: content, duration, content, quality: Quality::Src, section: None, independent: true, at,
/// };
/// let mut held = HeldParts::default();
/// assert!(held.take(part(7, 0)) && held.take(part(7, 1)));
/// assert!(!held.take(part(7, 1)), "it is known");
/// (8..=10).for_each(|number| assert!(held.take(part(number, 0))));
/// assert!(held.iter().map(|part| part.number).eq(8..=10), "7 is no longer among the newest");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HeldParts {
    /// In the order of their pushing.
    parts: VecDeque<LivePart>,
    /// The segments that parts are held of, the one that came last at the end.
    segments: VecDeque<SegmentNumber>,
}

impl HeldParts {
    /// Most segments that parts are held of: the one that is being recorded, the one that has just become whole, and one
    /// more for whoever is slow.
    pub const SEGMENTS: usize = 3;
    /// Most parts held: three segments of fifteen seconds in parts of a fifth of a second, with four renditions.
    pub const MAX: usize = 1024;

    /// Takes a part; whether it says anything new. One at the place of a held one replaces that one, and is the newest
    /// then.
    pub fn take(&mut self, part: LivePart) -> bool {
        if self.parts.iter().any(|held| held.says_as(&part)) {
            return false;
        }
        self.parts.retain(|held| !held.is_at_place_of(&part));
        if !self.segments.contains(&part.number) {
            if self.segments.len() >= Self::SEGMENTS
                && let Some(oldest) = self.segments.pop_front()
            {
                self.parts.retain(|held| held.number != oldest);
            }
            self.segments.push_back(part.number);
        }
        if self.parts.len() >= Self::MAX {
            self.parts.pop_front();
        }
        self.parts.push_back(part);
        true
    }

    /// What is held, in the order of its pushing.
    pub fn iter(&self) -> impl Iterator<Item = &LivePart> {
        self.parts.iter()
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Forgets what was pushed before `since`.
    pub fn expire(&mut self, since: Timestamp) {
        self.parts.retain(|held| held.at >= since);
        let parts = &self.parts;
        self.segments.retain(|&number| parts.iter().any(|held| held.number == number));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(number: SegmentNumber, index: u8, content: u8) -> LivePart {
        let contents = [
            "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
            "QmSgvgwxZGaBLqkGyWemEDqikCqU52XxsYLKtdy3vGZ8uq",
        ];
        let id = |at: usize| contents[at % 2].parse().unwrap();
        LivePart {
            number,
            index,
            after: id(0),
            duration: "0.5".parse().unwrap(),
            content: id(content.into()),
            quality: if index.is_multiple_of(2) { Quality::Src } else { Quality::P240 },
            section: None,
            independent: false,
            at: Timestamp::from_unix_secs(number.try_into().unwrap_or(u32::MAX)),
        }
    }

    #[test]
    fn no_more_than_the_limit_is_held() {
        let mut held = HeldParts::default();
        for quality in Quality::ALL {
            for index in 0..=255 {
                assert!(held.take(LivePart { quality, ..part(1, index, 0) }));
            }
        }
        assert_eq!(held.len(), HeldParts::MAX);
        assert_eq!(held.iter().last().unwrap().index, 255);
        assert!(held.iter().all(|part| (part.quality, part.index) != (Quality::Src, 0)));
    }

    #[test]
    fn the_old_is_forgotten_and_room_is_there_again() {
        let mut held = HeldParts::default();
        for number in [10, 11, 12] {
            held.take(part(number, 0, 0));
        }
        held.expire(Timestamp::from_unix_secs(12));
        assert_eq!(held.len(), 1);
        for number in [13, 14] {
            held.take(part(number, 0, 0));
        }
        assert!(held.iter().map(|part| part.number).eq([12, 13, 14]));
    }

    proptest! {
        /// Whatever comes: each place once, few segments, and what came last is there.
        #[test]
        fn what_is_held_is_bounded(
            steps in prop::collection::vec((0..7_u64, 0..4_u8, 0..2_u8), 1..200),
        ) {
            let mut held = HeldParts::default();
            for (number, index, content) in steps {
                let part = part(number, index, content);
                let known = held.iter().any(|held| held.says_as(&part));
                prop_assert_eq!(held.take(part), !known);
                let parts: Vec<_> = held.iter().collect();
                prop_assert!(parts.iter().any(|held| held.says_as(&part)));
                for (at, one) in parts.iter().enumerate() {
                    prop_assert!(parts[..at].iter().all(|other| !one.is_at_place_of(other)));
                }
                let mut numbers: Vec<_> = parts.iter().map(|part| part.number).collect();
                numbers.sort_unstable();
                numbers.dedup();
                prop_assert!(numbers.len() <= HeldParts::SEGMENTS);
            }
        }
    }
}
