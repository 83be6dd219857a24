//! Tests of timelines of a stream on several chains.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use super::*;
use crate::{Chunk, Configure, Push, Renditions};

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

fn network(chain: usize) -> Network {
    ["hive", "avalon", "blurt"][chain].parse().unwrap()
}

/// One stream on some chains.
struct World {
    streams: Vec<Stream>,
    chunks: BTreeMap<ContentId, ChunkContent>,
}

impl World {
    fn new(chains: usize) -> Self {
        let configure = Configure::new("s".parse().unwrap());
        let stream = Stream::create(&configure, 0, 1, at(0));
        Self { streams: vec![stream; chains], chunks: BTreeMap::new() }
    }

    fn push(&mut self, chain: usize, src: ContentId, direct: bool) {
        self.push_with(chain, src, direct, None);
    }

    fn push_with(
        &mut self,
        chain: usize,
        src: ContentId,
        direct: bool,
        section: Option<ContentId>,
    ) {
        let mut renditions = Renditions::default();
        if let Some(section) = section {
            renditions.insert_section(Quality::Src, section);
        }
        let stream = &mut self.streams[chain];
        let seq = stream.info().head.map_or(Some(Seq::ZERO), Seq::next).unwrap();
        let push = Push {
            link: "s".parse().unwrap(),
            seq,
            src,
            len: direct.then(|| "10".parse().unwrap()),
            renditions,
            discontinuity: false,
        };
        stream.push(&push, at(0)).unwrap();
    }

    /// Pushes one segment, or several as a chunk.
    fn tell(&mut self, chain: usize, numbers: &[u64], had: bool) -> ContentId {
        let segments: Vec<_> = numbers.iter().map(|&number| segment(number)).collect();
        if let ([one], true) = (&segments[..], had) {
            self.push(chain, one.content, true);
            return one.content;
        }
        let chunk: Chunk = Chunk::encode(&segments).unwrap().parse().unwrap();
        let id = content(1_000_000 + u64::try_from(self.chunks.len()).unwrap());
        let known =
            if had { ChunkContent::Ready(Arc::new(chunk)) } else { ChunkContent::Unavailable };
        self.chunks.insert(id, known);
        self.push(chain, id, false);
        id
    }

    fn update(&self, timeline: &mut MergedTimeline, secs: u32) {
        self.update_of(timeline, &(0..self.streams.len()).collect::<Vec<_>>(), secs);
    }

    /// With some of the chains only.
    fn update_of(&self, timeline: &mut MergedTimeline, chains: &[usize], secs: u32) {
        let networks: Vec<_> = chains.iter().map(|chain| network(*chain)).collect();
        let streams = chains.iter().map(|chain| &self.streams[*chain]);
        let streams: Vec<_> = networks.iter().zip(streams).collect();
        timeline.update(&streams, |id| self.chunks[id].clone(), at(secs));
    }
}

#[test]
fn a_section_that_any_chain_tells_is_that_of_the_segment() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    let (a, b) = (Some(content(500)), Some(content(501)));
    let sections = |timeline: &MergedTimeline| {
        assert_eq!(timeline.sections().len(), timeline.listed().len());
        timeline.sections().since(0).map(Option::<&ContentId>::copied).collect::<Vec<_>>()
    };
    // One chain alone, then a second one: what is listed stays.
    world.push_with(0, content(0), true, a);
    world.update_of(&mut timeline, &[0], 0);
    assert_eq!(sections(&timeline), [a]);
    world.push_with(1, content(0), true, None);
    world.push_with(1, content(1), true, b);
    world.push_with(0, content(1), true, None);
    timeline.offer_live_with(&network(1), segment(2), b);
    world.update(&mut timeline, 1);
    assert_eq!(sections(&timeline), [a, b, b]);
    // A chain that goes takes no section with it, and the archive is made of those that are left.
    world.update_of(&mut timeline, &[0], 2);
    assert_eq!(sections(&timeline), [a, b, b]);
    world.streams[0].end(at(3));
    world.update_of(&mut timeline, &[0], 3);
    assert_eq!(sections(&timeline), [a, None]);
    let mut only = self::timeline();
    world.update_of(&mut only, &[0], 3);
    world.update_of(&mut only, &[], 4);
    assert!(only.listed().is_empty() == only.sections().is_empty());
}

fn timeline() -> MergedTimeline {
    MergedTimeline::new(Quality::Src, PATIENCE)
}

fn numbers(listed: &[Listed]) -> Vec<u64> {
    let number = |listed: &Listed| {
        let digest = listed.segment.content.to_cid().unwrap().hash().digest()[..8].to_vec();
        u64::from_be_bytes(digest.try_into().unwrap())
    };
    listed.iter().map(number).collect()
}

/// The chains that attest each segment by their initials, and the push on each.
fn attested(timeline: &MergedTimeline) -> String {
    let of = |place| {
        let names = timeline.attested(place).map(|(n, seq)| format!("{}{seq}", &n.as_str()[..1]));
        names.collect::<String>()
    };
    (0..timeline.listed().len()).map(of).collect::<Vec<_>>().join(" ")
}

fn breaks(timeline: &MergedTimeline) -> Vec<usize> {
    let listed = timeline.listed().iter().enumerate();
    listed.filter(|(_, l)| l.segment.flags.discontinuity()).map(|(at, _)| at).collect()
}

#[test]
fn chains_that_bundle_otherwise_make_one_list_with_a_number_of_each() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    world.tell(0, &[0, 1, 2], true);
    world.tell(0, &[3], true);
    world.tell(1, &[0], true);
    world.tell(1, &[1, 2], true);
    world.tell(1, &[3, 4], true);
    world.update(&mut timeline, 0);
    assert_eq!(numbers(timeline.listed()), [0, 1, 2, 3, 4]);
    assert_eq!(attested(&timeline), "h0a0 h0a1 h0a1 h1a2 a2");
    assert_eq!((timeline.contradictions(), breaks(&timeline)), (0, vec![]));
}

#[test]
fn one_chain_that_stops_does_not_stop_the_list_and_attests_later() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    for chain in 0..2 {
        world.tell(chain, &[0], true);
    }
    world.update(&mut timeline, 0);
    world.tell(1, &[1, 2], true);
    world.update(&mut timeline, 1);
    assert_eq!(attested(&timeline), "h0a0 a1 a1");
    world.tell(0, &[1, 2, 3], true);
    world.update(&mut timeline, 2);
    assert_eq!(numbers(timeline.listed()), [0, 1, 2, 3]);
    assert_eq!(attested(&timeline), "h0a0 h1a1 h1a1 h1");
    assert!(breaks(&timeline).is_empty());
}

#[test]
fn a_chunk_that_cannot_be_had_on_one_chain_is_not_waited_for_where_the_other_tells_its_segments() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    world.tell(0, &[0], true);
    let lost = world.tell(0, &[1, 2], false);
    world.tell(0, &[3], true);
    world.tell(1, &[0], true);
    world.tell(1, &[1, 2, 3], true);
    world.update(&mut timeline, 0);
    assert_eq!(numbers(timeline.listed()), [0, 1, 2, 3]);
    assert_eq!(attested(&timeline), "h0a0 a1 a1 a1");
    assert_eq!(timeline.waiting(), Seq::new(1));
    assert_eq!(timeline.poll_timeout(), Some(at(60)));
    // Passed over on one chain it is no break, since the other goes on.
    world.update(&mut timeline, 60);
    assert_eq!((timeline.passed(), breaks(&timeline)), (&[Seq::new(1).unwrap()][..], vec![]));
    assert_eq!(attested(&timeline), "h0a0 a1 a1 h2a1");
    assert!(matches!(world.chunks[&lost], ChunkContent::Unavailable));
}

#[test]
fn the_live_cache_of_either_name_is_listed_and_both_chains_attest_it() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    timeline.offer_live(&network(0), segment(0));
    timeline.offer_live(&network(1), segment(0));
    timeline.offer_live(&network(1), segment(1));
    world.update(&mut timeline, 0);
    assert_eq!(numbers(timeline.listed()), [0, 1]);
    assert_eq!(attested(&timeline), " ");
    world.tell(0, &[0, 1], true);
    world.update(&mut timeline, 1);
    assert_eq!(attested(&timeline), "h0 h0");
    world.tell(1, &[0, 1], true);
    world.update(&mut timeline, 1);
    assert_eq!(attested(&timeline), "h0a0 h0a0");
}

#[test]
fn an_end_on_one_chain_is_the_end_and_what_the_other_lacked_joins_the_archive() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    world.tell(0, &[0], true);
    world.tell(0, &[2], true);
    world.tell(1, &[0], true);
    world.update(&mut timeline, 0);
    world.streams[0].end(at(1));
    world.update(&mut timeline, 1);
    assert!(timeline.ended());
    assert_eq!(numbers(timeline.listed()), [0, 2]);
    // The chain that is behind still tells what the first one never had.
    world.tell(1, &[1, 2], true);
    world.update(&mut timeline, 2);
    assert_eq!(numbers(timeline.listed()), [0, 1, 2]);
    assert_eq!(attested(&timeline), "h0a0 a1 h1a1");
    assert!(breaks(&timeline).is_empty());
    let undone = std::mem::replace(&mut world.streams[0], World::new(1).streams.remove(0));
    world.tell(0, &[0], true);
    world.update(&mut timeline, 3);
    assert!(!timeline.ended(), "the block of the end was replaced");
    assert_eq!(attested(&timeline), "h0a0 a1 a1");
    assert!(undone.info().ended);
}

#[test]
fn pushes_of_an_undone_block_attest_nothing_and_stay_listed() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    for chain in 0..2 {
        world.tell(chain, &[0], true);
        world.tell(chain, &[1], true);
    }
    world.update(&mut timeline, 0);
    world.streams[0] = World::new(1).streams.remove(0);
    world.tell(0, &[0], true);
    world.update(&mut timeline, 1);
    assert_eq!(numbers(timeline.listed()), [0, 1]);
    assert_eq!(attested(&timeline), "h0a0 a1");
    world.tell(0, &[1], true);
    world.tell(0, &[2], true);
    world.update(&mut timeline, 2);
    assert_eq!(attested(&timeline), "h0a0 h1a1 h2");
}

#[test]
fn chains_come_and_go_and_a_live_list_keeps_what_it_has() {
    let (mut world, mut timeline) = (World::new(3), timeline());
    world.tell(0, &[1], true);
    world.tell(1, &[0, 1, 2], true);
    world.tell(2, &[2, 3], true);
    world.update_of(&mut timeline, &[0], 0);
    assert_eq!(attested(&timeline), "h0");
    world.update_of(&mut timeline, &[0, 1], 1);
    assert_eq!(numbers(timeline.listed()), [1, 2], "what belongs before is held back");
    assert_eq!(attested(&timeline), "h0a0 a0");
    world.update_of(&mut timeline, &[1, 2], 2);
    assert_eq!(numbers(timeline.listed()), [1, 2, 3]);
    assert_eq!(attested(&timeline), "a0 a0b0 b0");
    world.update_of(&mut timeline, &[2], 3);
    assert_eq!(numbers(timeline.listed()), [1, 2, 3]);
    assert_eq!(attested(&timeline), " b0 b0");
    world.streams[2].end(at(4));
    world.update_of(&mut timeline, &[2], 4);
    assert_eq!(numbers(timeline.listed()), [2, 3], "an archive is of what is attested");
    world.update(&mut timeline, 5);
    assert_eq!(numbers(timeline.listed()), [0, 1, 2, 3]);
    assert_eq!(timeline.networks().count(), 3);
}

#[test]
fn the_only_list_outlives_its_chain() {
    let (mut world, mut timeline) = (World::new(2), timeline());
    world.tell(0, &[0, 1], true);
    world.tell(1, &[1, 2], true);
    world.update_of(&mut timeline, &[0], 0);
    world.update_of(&mut timeline, &[1], 1);
    assert_eq!(numbers(timeline.listed()), [0, 1, 2]);
    assert_eq!(attested(&timeline), " a0 a0");
}

#[test]
fn there_are_not_more_chains_than_a_stream_may_have() {
    let world = World::new(1);
    let networks: Vec<Network> = (0..20).map(|at| format!("n{at}").parse().unwrap()).collect();
    let streams: Vec<_> = networks.iter().map(|network| (network, &world.streams[0])).collect();
    let mut timeline = timeline();
    timeline.update(&streams, |_| ChunkContent::Unavailable, at(0));
    assert_eq!(timeline.networks().count(), MergedTimeline::MAX_CHAINS);
    timeline.offer_live(&network(0), segment(0));
    timeline.update(&streams, |_| ChunkContent::Unavailable, at(0));
    assert!(timeline.listed().is_empty());
}

/// What one chain has of a recording, in pushes.
fn told(segments: u64) -> impl Strategy<Value = Vec<Vec<u64>>> {
    let numbers: Vec<u64> = (0..segments).collect();
    let kept = prop::sample::subsequence(numbers, 0..=usize::try_from(segments).unwrap());
    (kept, prop::collection::vec(1..5_usize, 1..9)).prop_map(|(kept, sizes)| {
        let (mut pushes, mut rest) = (Vec::new(), &kept[..]);
        for size in sizes.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (push, more) = rest.split_at(size.min(rest.len()));
            pushes.push(push.to_vec());
            rest = more;
        }
        pushes
    })
}

proptest! {
    /// Three chains, each of which lost some of a recording, come along in any order.
    #[test]
    fn a_live_list_only_grows_and_the_archive_has_all_that_any_chain_attests(
        chains in prop::collection::vec(told(16), 1..=3),
        order in prop::collection::vec(0..3_usize, 0..40),
        live in prop::collection::vec(prop::option::of(0..16_u64), 40),
    ) {
        let mut world = World::new(chains.len());
        let mut timeline = timeline();
        let mut left: Vec<_> = chains.iter().map(|pushes| pushes.iter()).collect();
        let mut before: Vec<Segment> = Vec::new();
        let segments = |timeline: &MergedTimeline| -> Vec<Segment> {
            timeline.listed().iter().map(|listed| listed.segment).collect()
        };
        let rest = (0..chains.len()).flat_map(|chain| std::iter::repeat_n(chain, 16));
        for (step, chain) in order.into_iter().chain(rest).enumerate() {
            if let Some(push) = left.get_mut(chain).and_then(Iterator::next) {
                world.tell(chain, push, true);
            }
            if let Some(Some(number)) = live.get(step) {
                timeline.offer_live(&network(step % chains.len()), segment(*number));
            }
            world.update(&mut timeline, 0);
            let now = segments(&timeline);
            prop_assert_eq!(&now[..before.len()], &before[..], "it grows at its end");
            before = now;
            let unique: BTreeSet<_> = numbers(timeline.listed()).into_iter().collect();
            prop_assert_eq!(unique.len(), before.len(), "each is listed once");
        }
        let last = chains.len() - 1;
        world.streams[last].end(at(9));
        world.update(&mut timeline, 9);
        let all: BTreeSet<u64> = chains.iter().flatten().flatten().copied().collect();
        let got = numbers(timeline.listed());
        prop_assert_eq!(got.iter().copied().collect::<BTreeSet<_>>(), all);
        prop_assert_eq!(timeline.contradictions(), 0);
        for (chain, pushes) in chains.iter().enumerate() {
            let network = network(chain);
            let attested: Vec<_> = (0..got.len())
                .filter_map(|place| {
                    let (_, seq) = timeline.attested(place).find(|(n, _)| **n == network)?;
                    Some((seq.as_index(), got[place]))
                })
                .collect();
            let want: Vec<_> = pushes
                .iter()
                .enumerate()
                .flat_map(|(seq, push)| push.iter().map(move |number| (seq, *number)))
                .collect();
            prop_assert_eq!(attested, want, "in its order, by its own numbers");
        }
    }
}
