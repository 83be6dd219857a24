use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{Chunk, Configure, Stream, StreamId, Timestamp};

fn content(number: u64) -> ContentId {
    let mut digest = [0xa5; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let hash = multihash::Multihash::wrap(0x12, &digest).unwrap();
    ContentId::from_cid(&cid::Cid::new_v0(hash).unwrap()).unwrap()
}

/// A recorder that starts anew now and then, once with segments that need no section.
fn section(number: u64) -> Option<ContentId> {
    let run = number / 3;
    (run % 4 != 1).then(|| content((1 << 40) + run % 4))
}

fn recorded(number: u64) -> Recorded {
    Recorded {
        source: format!("stream{number}.ts").into(),
        duration: "10.0333".parse().unwrap(),
        discontinuity: false,
    }
}

fn stream_id() -> StreamId {
    "hive/alice/s".parse().unwrap()
}

/// Everything outside of a publisher that survives its death.
struct World {
    journal: Vec<JournalEntry>,
    chunks: HashMap<ContentId, Chunk>,
    stream: Stream,
    /// Every push that ever reached the chain, accepted or not.
    sent: HashMap<Seq, ContentId>,
    announced: Vec<SegmentNumber>,
    /// Whether segments have the initialisation sections that [`section`] tells.
    mapped: bool,
    finished: bool,
}

impl World {
    fn new() -> Self {
        let configure = Configure::new("s".parse().unwrap());
        Self {
            journal: Vec::new(),
            chunks: HashMap::new(),
            stream: Stream::create(&configure, 0, 1, Timestamp::EPOCH),
            sent: HashMap::new(),
            announced: Vec::new(),
            mapped: false,
            finished: false,
        }
    }

    fn view(&self) -> ChainView {
        ChainView {
            finalized: self.stream.info().finalized,
            pushes: self.stream.pushes().map(|(seq, pushed)| (seq, pushed.src)).collect(),
            ..ChainView::default()
        }
    }

    fn resume(&self, config: PublisherConfig, now: Instant) -> Publisher {
        let journal = self.journal.clone();
        Publisher::resume(&stream_id(), config, journal, Some(&self.view()), now, 7).unwrap()
    }

    /// Carries out an effect. With `answer` off the work is done but the process dies before it hears of it.
    fn carry_out(&mut self, publisher: &mut Publisher, effect: Effect, now: Instant, answer: bool) {
        match effect {
            Effect::Journal(entry) => self.journal.push(entry),
            Effect::Store(number) if answer => {
                let section = section(number).filter(|_| self.mapped);
                publisher.handle_stored_with(number, content(number), section, now);
            }
            Effect::StoreChunk(seq, csv) => {
                let chunk: Chunk = csv.parse().unwrap();
                let id = content(
                    u64::MAX - chunk.segments().len() as u64 - self.chunks.len() as u64 * 100,
                );
                self.chunks.insert(id, chunk);
                if answer {
                    publisher.handle_chunk_stored(seq, id);
                }
            }
            Effect::Announce(number, segment, told) => {
                assert_eq!(segment.content, content(number));
                assert_eq!(told, section(number).filter(|_| self.mapped));
                self.announced.push(number);
                if answer {
                    publisher.handle_announced(number, now);
                }
            }
            Effect::Broadcast(Op::Push(push)) => {
                let earlier = self.sent.insert(push.seq, push.src);
                assert!(earlier.is_none_or(|src| src == push.src), "seq reused for other content");
                let _ = self.stream.push(&push, Timestamp::EPOCH);
                if answer {
                    publisher.handle_broadcast(push.seq, now);
                }
            }
            Effect::Broadcast(_) => publisher.handle_ended(),
            Effect::Finished => self.finished = true,
            Effect::Progress(..) | Effect::Release(_) | Effect::Store(_) => {}
        }
    }

    fn drain(&mut self, publisher: &mut Publisher, now: Instant) {
        while let Some(effect) = publisher.poll_effect() {
            self.carry_out(publisher, effect, now, true);
        }
    }

    /// The contents that the chain holds, in order.
    fn on_chain(&self) -> Vec<ContentId> {
        self.on_chain_with_sections().into_iter().map(|(content, _)| content).collect()
    }

    fn on_chain_with_sections(&self) -> Vec<(ContentId, Option<ContentId>)> {
        let mut all = Vec::new();
        for (_, pushed) in self.stream.pushes() {
            let section = pushed.section(Quality::Src).copied();
            match pushed.segment() {
                Some(segment) => all.push((segment.content, section)),
                None => {
                    let chunk = self.chunks[&pushed.src].segments().iter();
                    all.extend(chunk.map(|segment| (segment.content, section)));
                }
            }
        }
        all
    }
}

fn config(interval: u64) -> PublisherConfig {
    PublisherConfig::default().interval(Duration::from_secs(interval))
}

fn after(start: Instant, secs: u64) -> Instant {
    start + Duration::from_secs(secs)
}

#[test]
fn one_segment_is_pushed_directly_and_several_as_a_chunk() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(30), start);
    for number in 0..4 {
        publisher.handle_segment(recorded(number)).unwrap();
        world.drain(&mut publisher, after(start, number * 10));
        publisher.handle_timeout(after(start, number * 10));
        world.drain(&mut publisher, after(start, number * 10));
    }
    assert_eq!(world.stream.pushes().count(), 1);
    let (_, first) = world.stream.pushes().next().unwrap();
    assert_eq!((first.len, world.chunks[&first.src].segments().len()), (None, 4));
    publisher.handle_segment(recorded(4)).unwrap();
    world.drain(&mut publisher, after(start, 45));
    assert_eq!(publisher.poll_timeout(), Some(after(start, 60)));
    publisher.handle_timeout(after(start, 60));
    world.drain(&mut publisher, after(start, 60));
    let (_, second) = world.stream.pushes().nth(1).unwrap();
    assert_eq!(second.len.unwrap().to_string(), "10.033");
    assert_eq!(world.announced, [0, 1, 2, 3, 4]);
}

#[test]
fn interval_zero_pushes_every_segment_at_once() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(0), start);
    for number in 0..3 {
        publisher.handle_segment(recorded(number)).unwrap();
        world.drain(&mut publisher, start);
    }
    assert_eq!(world.stream.pushes().filter(|(_, pushed)| pushed.len.is_some()).count(), 3);
}

#[test]
fn a_chunk_closes_before_the_byte_limit() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(300), start);
    for number in 0..100 {
        publisher.handle_segment(recorded(number)).unwrap();
        world.drain(&mut publisher, start);
    }
    let sizes: Vec<_> = world.chunks.values().map(|chunk| chunk.segments().len()).collect();
    assert_eq!(sizes, [77], "46 + 1 + 6 bytes and a line feed each: 77 fit into 4200");
}

#[test]
fn announcements_keep_the_order_of_recording_whatever_is_stored_first() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(300), start);
    for number in 0..3 {
        publisher.handle_segment(recorded(number)).unwrap();
    }
    for number in [2, 0, 1] {
        publisher.handle_stored(number, content(number), start);
        while let Some(effect) = publisher.poll_effect() {
            if !matches!(effect, Effect::Store(_)) {
                world.carry_out(&mut publisher, effect, start, true);
            }
        }
    }
    assert_eq!(world.announced, [0, 1, 2]);
}

#[test]
fn the_end_flushes_everything_and_ends_the_stream_if_asked() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(300).end_stream(true), start);
    for number in 0..3 {
        publisher.handle_segment(recorded(number)).unwrap();
    }
    publisher.handle_end(start);
    assert_eq!(publisher.handle_segment(recorded(3)), Err(PublishError::Ending));
    world.drain(&mut publisher, start);
    assert!(world.finished);
    assert_eq!(world.on_chain(), [content(0), content(1), content(2)]);
    assert_eq!(world.journal.last(), Some(&JournalEntry::Ended));
}

#[test]
fn a_lost_segment_leaves_a_discontinuity_and_holds_nothing_up() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(0), start);
    publisher.handle_segment(recorded(0)).unwrap();
    publisher.handle_segment(recorded(1)).unwrap();
    publisher.handle_lost(0, start);
    world.drain(&mut publisher, start);
    let (_, pushed) = world.stream.pushes().next().unwrap();
    assert!(pushed.discontinuity && pushed.src == content(1));
}

#[test]
fn what_is_recorded_next_follows_the_last_segment_once_all_are_stored() {
    let now = Instant::now();
    let mut world = World::new();
    let mut publisher = world.resume(config(0), now);
    assert_eq!(publisher.upcoming(), None, "nothing comes before the first segment");
    let take = |number, world: &mut World, publisher: &mut Publisher| {
        publisher.handle_segment(recorded(number)).unwrap();
        assert_eq!(publisher.upcoming(), None, "segments come first");
        world.drain(publisher, now);
    };
    take(0, &mut world, &mut publisher);
    assert_eq!(publisher.backlog(), 0, "it is on the chain");
    assert_eq!(publisher.upcoming(), Some((1, content(0))));
    take(1, &mut world, &mut publisher);
    assert_eq!(publisher.upcoming(), Some((2, content(1))));
    // After kill -9 and with the journal alone.
    let again = world.resume(config(0), now);
    assert_eq!(again.upcoming(), Some((2, content(1))));
    let mut publisher = again;
    for number in [2, 3] {
        publisher.handle_segment(recorded(number)).unwrap();
    }
    publisher.handle_stored(3, content(3), now);
    assert_eq!(publisher.upcoming(), None, "2 is still to be stored");
    publisher.handle_stored(2, content(2), now);
    assert_eq!(publisher.upcoming(), Some((4, content(3))));
    publisher.handle_segment(recorded(4)).unwrap();
    publisher.handle_lost(4, now);
    assert_eq!(publisher.upcoming(), None, "what is lost leaves a break");
    publisher.handle_segment(recorded(5)).unwrap();
    publisher.handle_stored(5, content(5), now);
    assert_eq!(publisher.upcoming(), Some((6, content(5))));
    publisher.handle_end(now);
    assert_eq!(publisher.upcoming(), None, "nothing comes behind the end");
}

#[test]
fn what_is_recorded_next_breaks_where_the_stream_went_on_elsewhere() {
    let now = Instant::now();
    let link = stream_id().link;
    let mut publisher = Publisher::new(link, config(60), Some(Seq::new(3).unwrap()), now, 7);
    assert_eq!(publisher.upcoming(), None);
    publisher.handle_segment(recorded(0)).unwrap();
    publisher.handle_stored(0, content(0), now);
    assert_eq!(publisher.upcoming(), Some((1, content(0))));
    let mut world = World::new();
    let mut publisher = world.resume(config(0), now);
    publisher.handle_segment(recorded(0)).unwrap();
    world.drain(&mut publisher, now);
    let view = ChainView { finalized: Some(Seq::new(9).unwrap()), ..world.view() };
    let journal = world.journal.clone();
    let resumed = Publisher::resume(&stream_id(), config(0), journal, Some(&view), now, 7).unwrap();
    assert_eq!(resumed.upcoming(), None);
}

#[test]
fn a_loss_before_a_discontinuity_makes_only_one() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(0), start);
    publisher.handle_segment(recorded(0)).unwrap();
    publisher.handle_lost(0, start);
    publisher.handle_segment(Recorded { discontinuity: true, ..recorded(1) }).unwrap();
    publisher.handle_segment(recorded(2)).unwrap();
    world.drain(&mut publisher, start);
    let breaks: Vec<_> = world.stream.pushes().map(|(_, push)| push.discontinuity).collect();
    assert_eq!(breaks, [true, false]);
}

#[test]
fn a_full_stream_comes_to_its_end_and_says_what_is_left() {
    let start = Instant::now();
    let config = config(0).end_stream(true);
    let mut publisher = Publisher::new("s".parse().unwrap(), config, Some(Seq::MAX), start, 1);
    let mut world = World::new();
    publisher.handle_segment(recorded(0)).unwrap();
    publisher.handle_segment(recorded(1)).unwrap();
    world.drain(&mut publisher, start);
    assert_eq!(world.sent.keys().copied().collect::<Vec<_>>(), [Seq::MAX]);
    assert_eq!(publisher.handle_segment(recorded(2)), Err(PublishError::Full));
    assert_eq!(publisher.poll_timeout(), None);
    publisher.handle_end(start);
    world.drain(&mut publisher, start);
    assert!(world.finished);
    assert_eq!(publisher.backlog(), 1);
    assert_eq!(world.journal.last(), Some(&JournalEntry::Ended), "nothing can be added any more");
}

#[test]
fn failed_steps_come_back_after_growing_waits() {
    let start = Instant::now();
    let mut publisher = Publisher::new("s".parse().unwrap(), config(0), Some(Seq::ZERO), start, 1);
    publisher.handle_segment(recorded(0)).unwrap();
    while publisher.poll_effect().is_some() {}
    let mut now = start;
    let mut waits = Vec::new();
    for _ in 0..9 {
        publisher.handle_failed(Step::Store(0), now);
        let due = publisher.poll_timeout().unwrap();
        waits.push(due - now);
        now = due;
        publisher.handle_timeout(now);
        assert_eq!(publisher.poll_effect(), Some(Effect::Store(0)));
    }
    assert!(waits[0] <= Duration::from_secs(1) && waits[0] >= Duration::from_millis(500));
    assert!(waits[5] > waits[0] && waits.iter().all(|wait| *wait <= Duration::from_mins(1)));
}

#[test]
fn a_stream_begun_elsewhere_goes_on_behind_its_last_push_with_a_discontinuity() {
    let (start, mut world) = (Instant::now(), World::new());
    for seq in 0..3 {
        let seq = Seq::new(seq).unwrap();
        let other = new_push(&"s".parse().unwrap(), seq, content(1000), None, false, None);
        world.stream.push(&other, Timestamp::EPOCH).unwrap();
    }
    let mut publisher = world.resume(config(0), start);
    publisher.handle_segment(recorded(0)).unwrap();
    world.drain(&mut publisher, start);
    let ours = world.stream.pushed(Seq::new(3).unwrap()).unwrap();
    assert!(ours.discontinuity && ours.src == content(0));
}

#[test]
fn a_number_taken_by_another_service_gives_its_segments_a_new_push() {
    let (start, mut world) = (Instant::now(), World::new());
    let mut publisher = world.resume(config(0), start);
    publisher.handle_segment(recorded(0)).unwrap();
    // The process dies after it journalled the push and before the chain had it.
    while let Some(effect) = publisher.poll_effect() {
        match effect {
            Effect::Broadcast(_) => break,
            other => world.carry_out(&mut publisher, other, start, true),
        }
    }
    let other = new_push(&"s".parse().unwrap(), Seq::ZERO, content(1000), None, false, None);
    world.stream.push(&other, Timestamp::EPOCH).unwrap();
    let mut publisher = world.resume(config(0), start);
    world.drain(&mut publisher, start);
    assert_eq!(world.stream.pushed(Seq::new(1).unwrap()).unwrap().src, content(0));
}

#[test]
fn what_a_fork_could_take_back_is_sent_again_and_what_it_could_not_is_left() {
    let now = Instant::now();
    let mut world = World::new();
    let mut publisher = world.resume(config(0), now);
    for number in 0..3 {
        publisher.handle_segment(recorded(number)).unwrap();
        world.drain(&mut publisher, now);
    }
    let mut view = world.view();
    assert_eq!(view.pushes.len(), 3);
    view.reversible = [1, 2].into_iter().filter_map(Seq::new).collect();
    let journal = world.journal.clone();
    let mut again =
        Publisher::resume(&stream_id(), config(0), journal, Some(&view), now, 7).unwrap();
    let mut sent = Vec::new();
    while let Some(effect) = again.poll_effect() {
        if let Effect::Broadcast(Op::Push(push)) = effect {
            assert_eq!(Some(&push.src), view.pushes.get(&push.seq), "the same content");
            sent.push(push.seq.as_u16());
            again.handle_broadcast(push.seq, now);
        }
    }
    assert_eq!(sent, [1, 2]);
}

#[test]
fn another_streams_journal_is_refused() {
    let entry = JournalEntry::Stream { id: "hive/bob/s".parse().unwrap() };
    let resumed = Publisher::resume(&stream_id(), config(0), [entry], None, Instant::now(), 1);
    assert!(matches!(resumed, Err(JournalError::OtherStream(_))));
}

#[derive(Clone, Debug)]
enum Event {
    /// The recorder closes a segment.
    Record,
    /// The shell carries out an effect.
    Work,
    /// The shell tries and the step fails.
    Fail,
    /// The work is done, but the process dies before it knows.
    DieAfterWork,
    Die,
    Wait(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Record),
        12 => Just(Event::Work),
        2 => Just(Event::Fail),
        1 => Just(Event::DieAfterWork),
        1 => Just(Event::Die),
        2 => (1..90_u64).prop_map(Event::Wait),
    ]
}

fn step_of(effect: &Effect) -> Option<Step> {
    match effect {
        Effect::Announce(number, ..) => Some(Step::Announce(*number)),
        Effect::Broadcast(Op::Push(push)) => Some(Step::Broadcast(push.seq)),
        Effect::Broadcast(_) => Some(Step::End),
        Effect::Store(number) => Some(Step::Store(*number)),
        Effect::StoreChunk(seq, _) => Some(Step::StoreChunk(*seq)),
        Effect::Finished | Effect::Journal(_) | Effect::Progress(..) | Effect::Release(_) => None,
    }
}

#[test]
fn a_push_has_one_section_and_the_next_begins_where_it_changes() {
    let now = Instant::now();
    let mut world = World::new();
    world.mapped = true;
    let mut publisher = world.resume(config(300), now);
    for number in 0..14 {
        publisher.handle_segment(recorded(number)).unwrap();
    }
    world.drain(&mut publisher, now);
    // Runs that are over need not wait for the interval.
    let pushes: Vec<_> = world.stream.pushes().map(|(_, p)| p.section(Quality::Src)).collect();
    let runs: Vec<_> = [0, 3, 6, 9].map(section).to_vec();
    assert_eq!(pushes, runs.iter().map(Option::as_ref).collect::<Vec<_>>());
    publisher.handle_end(now);
    world.drain(&mut publisher, now);
    let want: Vec<_> = (0..14).map(|number| (content(number), section(number))).collect();
    assert_eq!(world.on_chain_with_sections(), want);
    let json = serde_json::to_string(&world.journal).unwrap();
    assert_eq!(serde_json::from_str::<Vec<JournalEntry>>(&json).unwrap(), world.journal);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Faults and deaths at any moment: every recorded segment is on the chain once, in order, and no number was ever
    /// used for two contents (asserted where pushes arrive).
    #[test]
    fn nothing_is_lost_doubled_or_reused(
        events in proptest::collection::vec(any_event(), 0..300),
        interval in prop_oneof![Just(0_u64), Just(30), Just(300)],
        mapped: bool,
    ) {
        let start = Instant::now();
        let (mut now, mut world) = (start, World::new());
        world.mapped = mapped;
        let mut publisher = world.resume(config(interval), now);
        for event in events {
            match event {
                Event::Record => {
                    // The recorder's folder: a segment that no journal knows is found again.
                    let _ = publisher.handle_segment(recorded(publisher.next_number));
                }
                Event::Work => if let Some(effect) = publisher.poll_effect() {
                    world.carry_out(&mut publisher, effect, now, true);
                },
                Event::Fail => if let Some(effect) = publisher.poll_effect() {
                    match step_of(&effect) {
                        Some(step) => publisher.handle_failed(step, now),
                        None => world.carry_out(&mut publisher, effect, now, true),
                    }
                },
                Event::DieAfterWork => {
                    if let Some(effect) = publisher.poll_effect() {
                        world.carry_out(&mut publisher, effect, now, false);
                    }
                    publisher = world.resume(config(interval), now);
                }
                Event::Die => publisher = world.resume(config(interval), now),
                Event::Wait(secs) => {
                    now += Duration::from_secs(secs);
                    publisher.handle_timeout(now);
                }
            }
        }
        publisher.handle_end(now);
        for _ in 0..50 {
            world.drain(&mut publisher, now);
            now += Duration::from_secs(61);
            publisher.handle_timeout(now);
        }
        prop_assert!(world.finished);
        let known = publisher.next_number;
        let want = |number| (content(number), section(number).filter(|_| mapped));
        prop_assert_eq!(world.on_chain_with_sections(), (0..known).map(want).collect::<Vec<_>>());
        let resumed = world.resume(config(interval), now);
        prop_assert_eq!(resumed.backlog(), 0);
    }
}
