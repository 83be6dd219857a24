use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{Configure, Push, Renditions};

const PATIENCE: Duration = Duration::from_mins(1);

fn content(number: u64) -> ContentId {
    let mut digest = [0x5a; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let hash = multihash::Multihash::wrap(0x12, &digest).unwrap();
    ContentId::from_cid(&cid::Cid::new_v0(hash).unwrap()).unwrap()
}

fn segment(number: u64) -> Segment {
    Segment::new(content(number), "10".parse().unwrap())
}

fn at(secs: u32) -> Timestamp {
    Timestamp::from_unix_secs(secs)
}

/// A stream whose chunks may be had or not.
struct World {
    stream: Stream,
    chunks: BTreeMap<ContentId, ChunkContent>,
}

impl World {
    fn new() -> Self {
        let configure = Configure::new("s".parse().unwrap());
        Self { stream: Stream::create(&configure, 0, 1, at(0)), chunks: BTreeMap::new() }
    }

    fn push_content(&mut self, seq: u64, src: ContentId, direct: bool) {
        self.push_with(seq, src, direct, None);
    }

    fn push_with(&mut self, seq: u64, src: ContentId, direct: bool, section: Option<ContentId>) {
        let mut renditions = Renditions::default();
        if let Some(section) = section {
            renditions.insert_section(Quality::Src, section);
        }
        let push = Push {
            link: "s".parse().unwrap(),
            seq: Seq::new(seq).unwrap(),
            src,
            len: direct.then(|| "10".parse().unwrap()),
            renditions,
            discontinuity: false,
        };
        self.stream.push(&push, at(0)).unwrap();
    }

    fn push_segment(&mut self, seq: u64, number: u64) {
        self.push_content(seq, content(number), true);
    }

    fn push_chunk(&mut self, seq: u64, numbers: &[u64], had: bool) {
        let segments: Vec<_> = numbers.iter().map(|&number| segment(number)).collect();
        let chunk = Chunk::encode(&segments).unwrap().parse().unwrap();
        let id = content(1_000_000 + seq);
        let state =
            if had { ChunkContent::Ready(Arc::new(chunk)) } else { ChunkContent::Unavailable };
        self.chunks.insert(id, state);
        self.push_content(seq, id, false);
    }

    fn heal(&mut self, seq: u64, numbers: &[u64]) {
        let segments: Vec<_> = numbers.iter().map(|&number| segment(number)).collect();
        let chunk = Chunk::encode(&segments).unwrap().parse().unwrap();
        self.chunks.insert(content(1_000_000 + seq), ChunkContent::Ready(Arc::new(chunk)));
    }

    fn update(&self, timeline: &mut Timeline, secs: u32) {
        timeline.update(&self.stream, |id| self.chunks[id].clone(), at(secs));
    }
}

fn numbers(timeline: &Timeline) -> Vec<u64> {
    let number = |listed: &Listed| {
        let digest = listed.segment.content.to_cid().unwrap().hash().digest()[..8].to_vec();
        u64::from_be_bytes(digest.try_into().unwrap())
    };
    timeline.listed().iter().map(number).collect()
}

fn breaks(timeline: &Timeline) -> Vec<usize> {
    let listed = timeline.listed().iter().enumerate();
    listed.filter(|(_, l)| l.segment.flags.discontinuity()).map(|(at, _)| at).collect()
}

fn timeline() -> Timeline {
    Timeline::new(Quality::Src, PATIENCE)
}

#[test]
fn live_segments_are_listed_at_once_and_attested_later_without_moving() {
    let (mut world, mut timeline) = (World::new(), timeline());
    for number in 0..3 {
        timeline.offer_live(segment(number));
    }
    world.update(&mut timeline, 0);
    assert_eq!(numbers(&timeline), [0, 1, 2]);
    assert_eq!(timeline.listed()[0].seq, None);
    world.push_chunk(0, &[0, 1, 2, 3], true);
    world.update(&mut timeline, 1);
    assert_eq!(numbers(&timeline), [0, 1, 2, 3]);
    assert!(timeline.listed().iter().all(|listed| listed.seq == Some(Seq::ZERO)));
    assert!(breaks(&timeline).is_empty());
}

#[test]
fn what_stands_for_itself_behind_fragments_is_a_gap_until_there_is_a_section_again() {
    let map = Some(content(500));
    let marked = |told: &[(&str, bool)]| {
        let (mut world, mut live) = (World::new(), timeline());
        for (number, (flags, has_section)) in (0..).zip(told) {
            let flags = if flags.is_empty() { Flags::NONE } else { flags.parse().unwrap() };
            let one = segment(number).with_flags(flags);
            let chunk = Chunk::encode(&[one]).unwrap().parse().unwrap();
            world.chunks.insert(content(600 + number), ChunkContent::Ready(Arc::new(chunk)));
            world.push_with(number, content(600 + number), false, map.filter(|_| *has_section));
        }
        world.update(&mut live, 0);
        let flags = |timeline: &Timeline| {
            let flags =
                timeline.listed().iter().map(|listed| listed.segment.flags.as_str().to_owned());
            flags.collect::<Vec<_>>()
        };
        let told = flags(&live);
        world.stream.end(at(1));
        world.update(&mut live, 1);
        assert_eq!(flags(&live), told, "live and archived alike");
        told
    };
    // MPEG-TS first, and then fragments: nothing is lost.
    assert_eq!(marked(&[("", false), ("d", true), ("", true)]), ["", "d", ""]);
    // And back: until the next section.
    let back = [("", true), ("d", false), ("", false), ("d", false), ("d", true), ("", true)];
    assert_eq!(marked(&back), ["", "dg", "g", "dg", "d", ""]);
    // Only the section was forgotten: the one before it still holds.
    assert_eq!(marked(&[("", true), ("", false), ("", true)]), ["", "", ""]);
    // What the streamer gave up is written as it wrote it.
    assert_eq!(marked(&[("", true), ("gd", false), ("g", false)]), ["", "gd", "g"]);
    // A lost push is a discontinuity.
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_with(0, content(0), true, map);
    world.push_with(2, content(2), true, None);
    world.stream.end(at(1));
    world.update(&mut timeline, 1);
    assert_eq!(timeline.listed()[1].segment.flags, Flags::new(true, true));
}

#[test]
fn each_segment_has_the_section_of_its_push() {
    let (mut world, mut timeline) = (World::new(), timeline());
    let (first, second) = (content(500), content(501));
    world.push_with(0, content(0), true, Some(first));
    let chunk = Chunk::encode(&[segment(1), segment(2)]).unwrap().parse().unwrap();
    world.chunks.insert(content(600), ChunkContent::Ready(Arc::new(chunk)));
    world.push_with(1, content(600), false, Some(first));
    world.push_with(2, content(3), true, None);
    timeline.offer_live_with(segment(4), Some(second));
    timeline.offer_live(segment(5));
    world.update(&mut timeline, 0);
    assert_eq!(numbers(&timeline), [0, 1, 2, 3, 4, 5]);
    let sections = |timeline: &Timeline| {
        let sections = timeline.sections();
        assert_eq!(sections.len(), timeline.listed().len());
        sections.since(0).map(Option::<&ContentId>::copied).collect::<Vec<_>>()
    };
    let (a, b) = (Some(first), Some(second));
    assert_eq!(sections(&timeline), [a, a, a, None, b, None]);

    // What is listed keeps its section; the archive knows better.
    world.push_with(3, content(4), true, b);
    world.push_with(4, content(5), true, b);
    world.update(&mut timeline, 1);
    assert_eq!(sections(&timeline), [a, a, a, None, b, None]);
    world.stream.end(at(2));
    world.update(&mut timeline, 2);
    assert_eq!(sections(&timeline), [a, a, a, None, b, b]);
    // Another quality has sections of its own.
    let mut low = Timeline::new(Quality::P240, PATIENCE);
    world.update(&mut low, 2);
    assert!(low.sections().are_none() && low.sections().is_empty());
}

#[test]
fn the_first_seen_length_stays() {
    let (mut world, mut timeline) = (World::new(), timeline());
    let seen = Segment::new(content(0), "9.5".parse().unwrap());
    timeline.offer_live(seen);
    world.push_chunk(0, &[0], true);
    let mut late = self::timeline();
    world.update(&mut late, 0);
    timeline.offer_live(segment(1));
    let before = World::new();
    before.update(&mut timeline, 0);
    world.update(&mut timeline, 1);
    assert_eq!(timeline.listed()[0].segment.duration, seen.duration);
    assert_eq!(late.listed()[0].segment.duration, segment(0).duration);
}

#[test]
fn nothing_behind_a_gap_is_listed_while_live() {
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_segment(0, 0);
    world.push_segment(2, 2);
    timeline.offer_live(segment(3));
    world.update(&mut timeline, 0);
    assert_eq!(numbers(&timeline), [0]);
    world.push_segment(1, 1);
    world.update(&mut timeline, 1);
    assert_eq!(numbers(&timeline), [0, 1, 2, 3]);
}

#[test]
fn a_missing_chunk_is_waited_for_and_then_passed_over_with_a_discontinuity() {
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_segment(0, 0);
    world.push_chunk(1, &[1, 2], false);
    world.push_segment(2, 3);
    world.update(&mut timeline, 100);
    assert_eq!((numbers(&timeline), timeline.waiting()), (vec![0], Seq::new(1)));
    assert_eq!(timeline.poll_timeout(), Some(at(160)));
    world.update(&mut timeline, 159);
    assert_eq!(numbers(&timeline), [0]);
    world.update(&mut timeline, 160);
    assert_eq!((numbers(&timeline), breaks(&timeline)), (vec![0, 3], vec![1]));
    assert_eq!(timeline.passed(), [Seq::new(1).unwrap()]);
    // What comes later stays out of the live list and returns in the archive.
    world.heal(1, &[1, 2]);
    world.update(&mut timeline, 161);
    assert_eq!(numbers(&timeline), [0, 3]);
    world.stream.end(at(162));
    world.update(&mut timeline, 162);
    assert_eq!((numbers(&timeline), breaks(&timeline)), (vec![0, 1, 2, 3], vec![]));
}

#[test]
fn a_missing_chunk_that_comes_in_time_is_listed_in_its_place() {
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_chunk(0, &[0, 1], false);
    world.push_chunk(1, &[2], true);
    world.update(&mut timeline, 0);
    assert!(timeline.listed().is_empty());
    world.heal(0, &[0, 1]);
    world.update(&mut timeline, 59);
    assert_eq!((numbers(&timeline), breaks(&timeline)), (vec![0, 1, 2], vec![]));
}

#[test]
fn the_live_cache_fills_in_for_a_missing_chunk() {
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_chunk(0, &[0, 1], false);
    for number in 0..3 {
        timeline.offer_live(segment(number));
    }
    world.update(&mut timeline, 0);
    assert_eq!(numbers(&timeline), [0, 1, 2]);
    world.push_chunk(1, &[2, 3], true);
    world.update(&mut timeline, 90);
    assert_eq!((numbers(&timeline), breaks(&timeline)), (vec![0, 1, 2, 3], vec![]));
}

#[test]
fn a_refused_chunk_is_passed_over_at_once() {
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_segment(0, 0);
    world.push_chunk(1, &[1], true);
    world.chunks.insert(content(1_000_001), ChunkContent::Refused);
    world.push_segment(2, 2);
    world.update(&mut timeline, 0);
    assert_eq!((numbers(&timeline), breaks(&timeline)), (vec![0, 2], vec![1]));
}

#[test]
fn a_segment_that_the_live_cache_lost_is_held_back_until_the_archive() {
    let (mut world, mut timeline) = (World::new(), timeline());
    for number in [0, 2, 3] {
        timeline.offer_live(segment(number));
    }
    world.update(&mut timeline, 0);
    world.push_chunk(0, &[0, 1, 2], true);
    world.push_chunk(1, &[3, 4], true);
    world.update(&mut timeline, 1);
    assert_eq!(numbers(&timeline), [0, 2, 3, 4]);
    world.stream.end(at(2));
    world.update(&mut timeline, 2);
    assert_eq!(numbers(&timeline), [0, 1, 2, 3, 4]);
}

#[test]
fn an_archive_marks_holes_but_never_its_first_segment() {
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_chunk(0, &[0], false);
    world.push_segment(1, 1);
    world.push_segment(2, 2);
    world.push_segment(4, 4);
    world.stream.end(at(0));
    world.update(&mut timeline, 0);
    assert_eq!((numbers(&timeline), breaks(&timeline)), (vec![1, 2, 4], vec![2]));
    assert!(timeline.ended());
}

#[test]
fn an_end_that_is_undone_gives_a_live_list_again() {
    let (mut world, mut timeline) = (World::new(), timeline());
    world.push_segment(0, 0);
    let live = world.stream.clone();
    world.stream.end(at(1));
    world.update(&mut timeline, 1);
    world.stream = live;
    world.push_segment(1, 1);
    world.update(&mut timeline, 2);
    assert_eq!((numbers(&timeline), timeline.ended()), (vec![0, 1], false));
}

#[test]
fn the_same_content_under_another_text_is_listed_once() {
    let (world, mut timeline) = (World::new(), timeline());
    let v1 = cid::Cid::new_v1(0x70, *content(0).to_cid().unwrap().hash());
    let other = Segment::new(ContentId::from_cid(&v1).unwrap(), "10".parse().unwrap());
    timeline.offer_live(segment(0));
    timeline.offer_live(other);
    world.update(&mut timeline, 0);
    assert_eq!(timeline.listed().len(), 1);
}

#[test]
fn the_live_cache_cannot_fill_the_memory() {
    let (world, mut timeline) = (World::new(), timeline());
    for number in 0..10_000 {
        timeline.offer_live(segment(number));
        world.update(&mut timeline, 0);
    }
    assert_eq!(timeline.listed().len(), Timeline::MAX_LIVE_AHEAD);
}

#[derive(Clone, Debug)]
enum Event {
    /// The streamer's next segment, and whether the live cache carries it.
    Record(bool),
    /// Everything recorded since goes into one push; its chunk may be missing.
    Share(bool),
    Heal,
    Wait(u32),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_map(Event::Record),
        2 => any::<bool>().prop_map(Event::Share),
        1 => Just(Event::Heal),
        1 => (1..70_u32).prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn a_live_list_only_grows_and_the_archive_is_the_recording(
        events in proptest::collection::vec(any_event(), 1..80)
    ) {
        let (mut world, mut timeline) = (World::new(), timeline());
        let (mut recorded, mut shared, mut seq, mut secs) = (0_u64, 0_u64, 0_u64, 0_u32);
        let mut missing = BTreeMap::new();
        let mut before: Vec<Listed> = Vec::new();
        for event in events {
            match event {
                Event::Record(live) => {
                    if live {
                        timeline.offer_live(segment(recorded));
                    }
                    recorded += 1;
                }
                Event::Share(had) if shared < recorded => {
                    let numbers: Vec<_> = (shared..recorded).take(70).collect();
                    world.push_chunk(seq, &numbers, had);
                    if !had {
                        missing.insert(seq, numbers.clone());
                    }
                    shared += numbers.len() as u64;
                    seq += 1;
                }
                Event::Share(_) => {}
                Event::Heal => {
                    for (seq, numbers) in std::mem::take(&mut missing) {
                        world.heal(seq, &numbers);
                    }
                }
                Event::Wait(more) => secs += more,
            }
            world.update(&mut timeline, secs);
            let now = timeline.listed();
            prop_assert!(now.len() >= before.len());
            for (old, new) in before.iter().zip(now) {
                prop_assert_eq!(old.segment, new.segment);
                prop_assert!(old.seq.is_none() || old.seq == new.seq);
            }
            let listed = numbers(&timeline);
            let distinct: BTreeSet<_> = listed.iter().collect();
            prop_assert_eq!(distinct.len(), listed.len());
            before = now.to_vec();
        }
        for (seq, numbers) in missing {
            world.heal(seq, &numbers);
        }
        world.stream.end(at(secs));
        world.update(&mut timeline, secs);
        prop_assert_eq!(numbers(&timeline), (0..shared).collect::<Vec<_>>());
        prop_assert!(breaks(&timeline).is_empty());
    }
}
