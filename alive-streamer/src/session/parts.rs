//! Parts of the segment that is being recorded, on their way to the live cache: [`Parts`], an engine without tasks or
//! clocks.
//!
//! They never hold up a segment: nothing of them starts while a segment waits to be stored, and all is dropped when the
//! segment is whole. They are announced in their order, a few at a time; one that fails is tried again until then, and may
//! so come behind the next one. After a refusal the rest is left.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alive_core::{ContentId, Quality, SegmentNumber, Timestamp, backend::LivePart};
use bytes::Bytes;

use crate::{parts::TakenPart, watch::Section};

/// How many parts are stored at the same time.
const STORES: usize = 2;
/// How many parts are announced at the same time. A relay of the original takes a quarter of a second for each.
const ANNOUNCES: usize = 4;
/// Wait before what failed is tried again: as long as a short part.
const RETRY: Duration = Duration::from_millis(250);

/// The parts of one segment.
#[derive(Debug, Default)]
pub(super) struct Parts {
    ways: BTreeMap<u8, Way>,
    /// Counts steps, so that what came of one for a part that was replaced since is told apart.
    steps: u64,
    storing: usize,
    announcing: usize,
    retry_at: Option<Instant>,
    /// No more of this segment is told.
    given_up: bool,
    warned: bool,
}

/// A part on its way.
#[derive(Debug)]
struct Way {
    part: TakenPart,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// In this step.
    Storing(u64),
    Stored(PartContent),
    /// In this step.
    Announcing(u64, PartContent),
    Announced,
}

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartContent {
    pub(super) content: ContentId,
    pub(super) section: Option<ContentId>,
}

/// A step of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartStep {
    pub(super) index: u8,
    step: u64,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum PartEffect {
    /// Push it to the live cache, then call [`Parts::handle_announced`].
    Announce(PartStep, LivePart),
    /// Store it, and the section before it, then call [`Parts::handle_stored`].
    Store(PartStep, Bytes, Option<Section>),
}

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It may pass.
    ForNow,
    /// It will not.
    ForGood,
}

impl Parts {
    /// A part was recorded. It replaces the one at its place and those behind it.
    pub(super) fn handle_recorded(&mut self, part: TakenPart) {
        if !self.given_up {
            self.ways.split_off(&part.index);
            self.ways.insert(part.index, Way { part, stage: Stage::Waiting });
        }
    }

    /// What to do next, while `upcoming` is where the parts belong; `None` when there is nothing until something happens.
    /// `at` is the time by the wall clock.
    pub(super) fn poll_effect(
        &mut self,
        upcoming: Option<(SegmentNumber, ContentId)>,
        now: Instant,
        at: Timestamp,
    ) -> Option<PartEffect> {
        let (number, after) = upcoming?;
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return None;
        }
        self.retry_at = None;
        self.poll_announce(number, after, at).or_else(|| self.poll_store())
    }

    /// When to ask again although nothing has happened.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.retry_at
    }

    fn poll_announce(
        &mut self,
        number: SegmentNumber,
        after: ContentId,
        at: Timestamp,
    ) -> Option<PartEffect> {
        if self.announcing >= ANNOUNCES {
            return None;
        }
        let told = |way: &&mut Way| matches!(way.stage, Stage::Announcing(..) | Stage::Announced);
        let way = self.ways.values_mut().find(|way| !told(way))?;
        let Stage::Stored(place) = way.stage else { return None };
        self.steps += 1;
        self.announcing += 1;
        way.stage = Stage::Announcing(self.steps, place);
        let TakenPart { index, duration, independent, .. } = way.part;
        let PartContent { content, section } = place;
        let quality = Quality::Src;
        let part =
            LivePart { number, index, after, duration, content, quality, section, independent, at };
        Some(PartEffect::Announce(PartStep { index, step: self.steps }, part))
    }

    fn poll_store(&mut self) -> Option<PartEffect> {
        if self.storing >= STORES {
            return None;
        }
        let way = self.ways.values_mut().find(|way| way.stage == Stage::Waiting)?;
        self.steps += 1;
        self.storing += 1;
        way.stage = Stage::Storing(self.steps);
        let step = PartStep { index: way.part.index, step: self.steps };
        Some(PartEffect::Store(step, way.part.bytes.clone(), way.part.section.clone()))
    }

    /// A part is stored, or is not. Whether somebody should be told of a failure.
    pub(super) fn handle_stored(
        &mut self,
        step: PartStep,
        result: Result<PartContent, Failed>,
        now: Instant,
    ) -> bool {
        self.storing = self.storing.saturating_sub(1);
        let way = self.ways.get_mut(&step.index);
        let Some(way) = way.filter(|way| way.stage == Stage::Storing(step.step)) else {
            return false;
        };
        match result {
            Ok(content) => {
                way.stage = Stage::Stored(content);
                way.part.bytes = Bytes::new();
                false
            }
            Err(failed) => {
                way.stage = Stage::Waiting;
                self.fail(failed, now)
            }
        }
    }

    /// A part is on the live cache, or is not. Whether somebody should be told of a failure.
    pub(super) fn handle_announced(
        &mut self,
        step: PartStep,
        result: Result<(), Failed>,
        now: Instant,
    ) -> bool {
        self.announcing = self.announcing.saturating_sub(1);
        let Some(way) = self.ways.get_mut(&step.index) else { return false };
        let Stage::Announcing(of, place) = way.stage else { return false };
        match result {
            _ if of != step.step => false,
            Ok(()) => {
                way.stage = Stage::Announced;
                false
            }
            Err(failed) => {
                way.stage = Stage::Stored(place);
                self.fail(failed, now)
            }
        }
    }

    /// Whether this is the first failure of the segment.
    fn fail(&mut self, failed: Failed, now: Instant) -> bool {
        match failed {
            Failed::ForGood => {
                self.given_up = true;
                self.ways.clear();
                self.retry_at = None;
            }
            Failed::ForNow => self.retry_at = Some(now + RETRY),
        }
        !std::mem::replace(&mut self.warned, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

    fn id() -> ContentId {
        CID.parse().unwrap()
    }

    fn part(index: u8) -> TakenPart {
        let (duration, bytes) = ("0.5".parse().unwrap(), Bytes::from(vec![index; 9]));
        TakenPart { index, duration, independent: index == 0, bytes, section: None }
    }

    /// The engine, its time, and where its parts belong.
    struct Lane {
        parts: Parts,
        now: Instant,
        upcoming: Option<(SegmentNumber, ContentId)>,
    }

    impl Lane {
        fn new(indexes: impl IntoIterator<Item = u8>) -> Self {
            let mut parts = Parts::default();
            indexes.into_iter().for_each(|index| parts.handle_recorded(part(index)));
            Self { parts, now: Instant::now(), upcoming: Some((7, id())) }
        }

        fn poll(&mut self) -> Option<PartEffect> {
            self.parts.poll_effect(self.upcoming, self.now, Timestamp::EPOCH)
        }

        /// The steps that are started now, `s` for stores and `a` for announcements.
        fn start(&mut self) -> Vec<(char, PartStep)> {
            let mut steps = Vec::new();
            while let Some(effect) = self.poll() {
                steps.push(match effect {
                    PartEffect::Announce(step, part) => {
                        assert_eq!((part.number, part.index, part.after), (7, step.index, id()));
                        ('a', step)
                    }
                    PartEffect::Store(step, bytes, _) => {
                        assert!(bytes.iter().all(|byte| *byte == step.index));
                        ('s', step)
                    }
                });
            }
            steps
        }

        fn stored(&mut self, step: PartStep) {
            let place = PartContent { content: id(), section: None };
            assert!(!self.parts.handle_stored(step, Ok(place), self.now));
        }
    }

    fn names(steps: &[(char, PartStep)]) -> Vec<String> {
        steps.iter().map(|(kind, step)| format!("{kind}{}", step.index)).collect()
    }

    #[test]
    fn parts_are_stored_side_by_side_and_told_in_their_order() {
        let mut lane = Lane::new(0..3);
        let first = lane.start();
        assert_eq!(names(&first), ["s0", "s1"]);
        lane.stored(first[1].1);
        let more = lane.start();
        assert_eq!(names(&more), ["s2"], "1 waits for 0");
        lane.stored(first[0].1);
        lane.stored(more[0].1);
        let told = lane.start();
        assert_eq!(names(&told), ["a0", "a1", "a2"]);
        for (_, step) in told {
            assert!(!lane.parts.handle_announced(step, Ok(()), lane.now));
        }
        assert_eq!((lane.start().len(), lane.parts.poll_timeout()), (0, None));
    }

    #[test]
    fn no_more_than_a_few_are_announced_at_once() {
        let mut lane = Lane::new(0..20);
        let mut announcing = Vec::new();
        loop {
            let steps = lane.start();
            if steps.is_empty() {
                break;
            }
            for (kind, step) in steps {
                if kind == 's' { lane.stored(step) } else { announcing.push(step) }
            }
        }
        assert_eq!(announcing.len(), ANNOUNCES);
        lane.parts.handle_announced(announcing[2], Ok(()), lane.now);
        assert_eq!(names(&lane.start()), ["a4"]);
    }

    #[test]
    fn nothing_starts_while_segments_come_first() {
        let mut lane = Lane::new(0..3);
        lane.upcoming = None;
        assert_eq!(lane.start().len(), 0);
        lane.upcoming = Some((7, id()));
        assert_eq!(lane.start().len(), 2);
    }

    #[test]
    fn a_part_that_is_recorded_anew_is_told_anew_and_so_are_those_behind_it() {
        let mut lane = Lane::new(0..2);
        let stores = lane.start();
        lane.stored(stores[0].1);
        let told = lane.start();
        assert_eq!(names(&told), ["a0"]);
        lane.parts.handle_announced(told[0].1, Ok(()), lane.now);
        lane.parts.handle_recorded(part(0));
        // What came of the old one says nothing of what is at its place now.
        lane.stored(stores[1].1);
        let again = lane.start();
        assert_eq!(names(&again), ["s0"]);
        lane.stored(stores[0].1);
        assert_eq!(lane.start().len(), 0, "a step that is over is not taken for the new one");
        lane.stored(again[0].1);
        assert_eq!(names(&lane.start()), ["a0"]);
    }

    #[test]
    fn what_fails_is_tried_again_in_its_order_and_told_once() {
        let mut lane = Lane::new(0..1);
        let (_, store) = lane.start()[0];
        assert!(lane.parts.handle_stored(store, Err(Failed::ForNow), lane.now));
        assert_eq!(lane.start().len(), 0);
        assert_eq!(lane.parts.poll_timeout(), Some(lane.now + RETRY));
        lane.now += RETRY;
        let (_, store) = lane.start()[0];
        lane.stored(store);
        let (kind, announce) = lane.start()[0];
        assert_eq!(kind, 'a');
        let warned = lane.parts.handle_announced(announce, Err(Failed::ForNow), lane.now);
        assert!(!warned, "one warning a segment");
        lane.now += RETRY;
        assert_eq!(names(&lane.start()), ["a0"]);
    }

    #[test]
    fn what_is_refused_ends_the_parts_of_the_segment() {
        let mut lane = Lane::new(0..3);
        let (_, store) = lane.start()[0];
        assert!(lane.parts.handle_stored(store, Err(Failed::ForGood), lane.now));
        lane.parts.handle_recorded(part(3));
        lane.now += RETRY;
        assert_eq!((lane.start().len(), lane.parts.poll_timeout()), (0, None));
    }

    #[test]
    fn bytes_are_let_go_when_they_are_stored() {
        let mut lane = Lane::new(0..1);
        let (_, store) = lane.start()[0];
        lane.stored(store);
        assert!(lane.parts.ways.values().all(|way| way.part.bytes.is_empty()));
    }
}
