//! What the live cache tells of the segment behind the last listed one, as an engine: [`Parts`].
//!
//! Everything comes from whoever streams, so nothing of it is believed further than it is bounded: a few segments, 256
//! parts of each, and a list takes no part but the next one.

use std::collections::{BTreeMap, HashMap, VecDeque};

use alive_core::{ContentId, Quality, SegmentNumber, backend::LivePart};
use alive_playlist::ListPart;

/// The parts of one list's stream that may be listed, and how far the other qualities are.
#[derive(Debug)]
pub(super) struct Parts {
    quality: Quality,
    /// The one that was begun last at the end.
    runs: VecDeque<Run>,
    /// The source of renditions that were announced lately, by canonical id, newest last.
    sources: VecDeque<(ContentId, ContentId)>,
    /// Which run the list shows as its open segment.
    shown: Option<RunId>,
}

/// The segment that somebody records: its number by the streamer's count, and the one before it.
type RunId = (SegmentNumber, ContentId);

#[derive(Debug)]
struct Run {
    id: RunId,
    /// The segment before, by canonical id.
    after: ContentId,
    /// By their place; there may be holes.
    parts: BTreeMap<u8, (ListPart, Option<ContentId>)>,
    /// How many parts the other qualities have without a hole.
    others: HashMap<Quality, u16>,
}

impl Parts {
    /// Segments of which parts are held: one that is whole soon, the one behind it, and one more.
    const RUNS: usize = 3;
    /// Renditions whose source is remembered.
    const SOURCES: usize = 8;

    pub(super) fn new(quality: Quality) -> Self {
        Self { quality, runs: VecDeque::new(), sources: VecDeque::new(), shown: None }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.quality);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Takes a part. One at the place of another one takes its place, unless the list shows that one already.
    pub(super) fn take(&mut self, part: &LivePart) {
        let id = (part.number, part.after);
        let known = self.runs.iter().rposition(|run| run.id == id);
        let run = match known.and_then(|at| self.runs.get_mut(at)) {
            Some(run) => run,
            None => {
                if self.runs.len() >= Self::RUNS {
                    self.runs.pop_front();
                }
                let after = part.after.canonical();
                let run = Run { id, after, parts: BTreeMap::new(), others: HashMap::new() };
                self.runs.push_back_mut(run)
            }
        };
        if part.quality == self.quality {
            let listed = ListPart::new(part.content, part.duration).independent(part.independent);
            run.parts.insert(part.index, (listed, part.section));
            return;
        }
        let count = run.others.entry(part.quality).or_default();
        if *count == u16::from(part.index) {
            *count += 1;
        }
    }

    /// A segment was announced: its source, and what is listed of it.
    pub(super) fn announced(&mut self, source: &ContentId, listed: &ContentId) {
        if self.quality == Quality::Src {
            return;
        }
        if self.sources.len() >= Self::SOURCES {
            self.sources.pop_front();
        }
        self.sources.push_back((listed.canonical(), source.canonical()));
    }

    /// The parts of the segment behind the one that has this content, from the first on and without a hole; and whether
    /// they are of another recording of it than those that were given before, so that these are to be taken back.
    pub(super) fn behind(
        &mut self,
        last: &ContentId,
    ) -> (bool, impl Iterator<Item = &(ListPart, Option<ContentId>)>) {
        let run = self.run_behind(last).map(|run| run.id);
        let before = std::mem::replace(&mut self.shown, run);
        let is_other = before.is_some() && before != run;
        let run = self.runs.iter().rev().find(|found| Some(found.id) == run);
        let parts = run.into_iter().flat_map(|run| {
            let in_order = (0..=u8::MAX).zip(&run.parts);
            in_order.take_while(|(place, (index, _))| place == *index).map(|(_, (_, part))| part)
        });
        (is_other, parts)
    }

    /// How many parts another quality has of the segment behind the one that has this content.
    pub(super) fn count_of(&self, last: &ContentId, quality: Quality) -> u16 {
        let run = self.run_behind(last);
        run.and_then(|run| run.others.get(&quality)).copied().unwrap_or(0)
    }

    fn run_behind(&self, last: &ContentId) -> Option<&Run> {
        let last = last.canonical();
        let after = if self.quality == Quality::Src {
            last
        } else {
            self.sources.iter().rev().find(|(listed, _)| *listed == last)?.1
        };
        self.runs.iter().rev().find(|run| run.after == after)
    }
}

#[cfg(test)]
mod tests {
    use alive_core::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn content(n: u64) -> ContentId {
        let mut bytes = vec![1, 0x55, 0x12, 32];
        bytes.extend(n.to_be_bytes().repeat(4));
        alive_storage::cid::to_content(&alive_storage::cid::from_bytes(&bytes).unwrap()).unwrap()
    }

    fn part(number: SegmentNumber, after: u64, index: u8) -> LivePart {
        LivePart {
            number,
            index,
            after: content(after),
            duration: "0.5".parse().unwrap(),
            content: content(1000 * number + u64::from(index)),
            quality: Quality::Src,
            section: None,
            independent: false,
            at: Timestamp::EPOCH,
        }
    }

    fn contents(parts: &mut Parts, after: u64) -> (bool, Vec<ContentId>) {
        let after = content(after);
        let (is_other, parts) = parts.behind(&after);
        (is_other, parts.map(|(part, _)| part.content).collect())
    }

    #[test]
    fn parts_are_given_in_order_and_not_beyond_a_hole() {
        let mut parts = Parts::new(Quality::Src);
        for index in [1, 0, 3, 0] {
            parts.take(&part(5, 4, index));
        }
        assert_eq!(contents(&mut parts, 4), (false, vec![content(5000), content(5001)]));
        assert_eq!(contents(&mut parts, 3).1, []);
        parts.take(&part(5, 4, 2));
        assert_eq!(contents(&mut parts, 4).1.len(), 4);
    }

    #[test]
    fn another_recording_of_the_same_segment_takes_the_place_of_the_first() {
        let mut parts = Parts::new(Quality::Src);
        parts.take(&part(5, 4, 0));
        assert_eq!(contents(&mut parts, 4), (false, vec![content(5000)]));
        parts.take(&part(0, 4, 0));
        assert_eq!(contents(&mut parts, 4), (true, vec![content(0)]));
        assert_eq!(contents(&mut parts, 4), (false, vec![content(0)]));
        parts.clear();
        assert_eq!(contents(&mut parts, 4), (false, vec![]));
    }

    #[test]
    fn a_rendition_is_placed_by_its_source() {
        let mut parts = Parts::new(Quality::P240);
        parts.take(&LivePart { quality: Quality::P240, ..part(5, 4, 0) });
        parts.take(&part(5, 4, 0));
        parts.take(&part(5, 4, 1));
        assert_eq!(contents(&mut parts, 90).1, [], "nobody has said what 90 is");
        parts.announced(&content(4), &content(90));
        assert_eq!(contents(&mut parts, 90).1, [content(5000)]);
        assert_eq!(parts.count_of(&content(90), Quality::Src), 2);
        assert_eq!(parts.count_of(&content(90), Quality::P480), 0);
    }

    #[test]
    fn a_million_parts_are_held_as_few() {
        let mut parts = Parts::new(Quality::P240);
        let mut hostile = LivePart { quality: Quality::P240, ..part(0, 0, 0) };
        let after: Vec<_> = (0..50).map(content).collect();
        for n in 0..1_000_000_usize {
            hostile.index = u8::try_from(n % 251).unwrap();
            if n % 1000 == 0 {
                hostile.number = n.try_into().unwrap();
                hostile.after = after[n / 1000 % 50];
                parts.announced(&hostile.after, &hostile.after);
            }
            parts.take(&hostile);
        }
        assert!(parts.runs.len() <= Parts::RUNS && parts.sources.len() <= Parts::SOURCES);
        assert!(parts.runs.iter().all(|run| run.parts.len() <= 256));
    }

    proptest! {
        /// However they come, what is given is what a list of all would give.
        #[test]
        fn the_order_of_arrival_changes_nothing(
            order in Just((0..20_u8).collect::<Vec<_>>()).prop_shuffle(),
            lost in prop::collection::hash_set(0..20_u8, 0..3),
        ) {
            let mut parts = Parts::new(Quality::Src);
            let come = order.iter().filter(|index| !lost.contains(index));
            come.for_each(|&index| parts.take(&part(1, 0, index)));
            let first_lost = lost.iter().min().map_or(20, |&index| usize::from(index));
            prop_assert_eq!(contents(&mut parts, 0).1.len(), first_lost);
        }
    }
}
