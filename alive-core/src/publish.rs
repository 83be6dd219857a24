//! A streamer's session: [`Publisher`], the state machine from recorded segments to pushes on a chain.
//!
//! It does nothing by itself. A shell feeds it what happens (`handle_…`) and carries out what it asks for
//! ([`poll_effect`](Publisher::poll_effect)), in order: an [`Effect::Journal`] must be durable before the next effect is
//! touched. Together with [`Publisher::resume`] this gives, whenever the process dies: no segment lost, none doubled, no
//! sequence number reused for other content.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    time::Instant,
};

use crate::{
    chunk::ChunkWriter,
    content::ContentId,
    op::{End, Op, Push, Seq},
    quality::{Quality, Renditions},
    segment::{Flags, Segment, SegmentDuration},
    stream_id::Link,
};

mod config;
mod effect;
mod journal;
mod resume;
mod retry;

pub use config::PublisherConfig;
pub use effect::{Effect, PublishError, Recorded, Stage, Step};
pub use journal::{Bundle, JournalEntry, SegmentNumber};
pub use resume::{ChainView, JournalError};

use retry::Retries;

/// A segment on its way.
#[derive(Clone, Debug)]
struct Pending {
    duration: SegmentDuration,
    discontinuity: bool,
    content: Option<ContentId>,
    /// The initialisation section, known when it is stored.
    section: Option<ContentId>,
    announced: bool,
}

impl Pending {
    fn new(duration: SegmentDuration, discontinuity: bool) -> Self {
        Self { duration, discontinuity, content: None, section: None, announced: false }
    }

    fn segment(&self) -> Option<Segment> {
        let flags = Flags::new(self.discontinuity, false);
        Some(Segment { content: self.content?, duration: self.duration, flags })
    }

    fn announce(&self, number: SegmentNumber) -> Option<Effect> {
        Some(Effect::Announce(number, self.segment()?, self.section))
    }
}

/// The first segment of a push, and the initialisation section of all.
#[derive(Clone, Copy, Debug)]
struct Head {
    segment: Segment,
    section: Option<ContentId>,
}

/// The push on its way; there is never more than one.
#[derive(Clone, Debug)]
struct Batch {
    seq: Seq,
    numbers: RangeInclusive<SegmentNumber>,
    section: Option<ContentId>,
    content: Batched,
}

#[derive(Clone, Debug)]
enum Batched {
    /// The chunk must be stored before its push can be made.
    Chunk(String),
    Push(Push),
}

/// A streamer's session. See the [module](self) for how a shell drives it.
#[derive(Debug)]
pub struct Publisher {
    config: PublisherConfig,
    link: Link,
    next_number: SegmentNumber,
    /// The newest segment that is stored.
    newest: Option<(SegmentNumber, ContentId)>,
    /// All segments that are not in a block yet.
    pending: BTreeMap<SegmentNumber, Pending>,
    next_seq: Option<Seq>,
    /// The first segment that is in no push yet.
    unbundled: SegmentNumber,
    batch: Option<Batch>,
    /// Pushes from before a restart that the chain does not show.
    resend: VecDeque<Bundle>,
    last_share: Instant,
    announcing: Option<SegmentNumber>,
    /// The next segment starts with a discontinuity: one before it was lost, or the stream went on elsewhere.
    broken: bool,
    ending: Ending,
    retries: Retries,
    effects: VecDeque<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    Flushing,
    EndSent,
    Done,
}

impl Publisher {
    /// A new session of a stream nobody has pushed to, or goes on at `first` if somebody has. `seed` spreads retries.
    pub fn new(
        link: Link,
        config: PublisherConfig,
        first: Option<Seq>,
        now: Instant,
        seed: u64,
    ) -> Self {
        let retries = Retries::new(config.retry_first, config.retry_max, seed);
        Self {
            config,
            link,
            next_number: 0,
            newest: None,
            pending: BTreeMap::new(),
            next_seq: first,
            unbundled: 0,
            batch: None,
            resend: VecDeque::new(),
            last_share: now,
            announcing: None,
            broken: first != Some(Seq::ZERO),
            ending: Ending::No,
            retries,
            effects: VecDeque::new(),
        }
    }

    /// What to do next; `None` when there is nothing until something happens.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` when nothing waits for time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let can_share =
            self.batch.is_none() && self.next_seq.is_some() && self.ready().next().is_some();
        let share = can_share.then(|| self.last_share + self.config.interval);
        share.into_iter().chain(self.retries.next()).min()
    }

    /// How many segments are not in a block yet.
    pub fn backlog(&self) -> usize {
        self.pending.len()
    }

    /// The number of the segment that is being recorded, and the content of the one before it, for parts of it that are
    /// shared before it is whole. `None` as long as segments are waiting to be stored, which come first; and when something
    /// breaks before it, or it is the first one: parts follow a segment.
    ///
    /// Parts leave no trace in the session: nobody has to hand them in, and a restart knows nothing of them.
    pub fn upcoming(&self) -> Option<(SegmentNumber, ContentId)> {
        let takes = self.ending == Ending::No && self.next_seq.is_some() && !self.broken;
        let (number, content) = self.newest.filter(|_| takes)?;
        let all_stored = self.pending.values().all(|pending| pending.content.is_some());
        (all_stored && number + 1 == self.next_number).then_some((self.next_number, content))
    }

    /// Takes the next recorded segment and gives it its number.
    ///
    /// # Errors
    /// The session is ending, the stream is full, or the length is out of range; nothing changed.
    pub fn handle_segment(&mut self, recorded: Recorded) -> Result<SegmentNumber, PublishError> {
        if self.ending != Ending::No {
            return Err(PublishError::Ending);
        }
        if self.next_seq.is_none() {
            return Err(PublishError::Full);
        }
        let duration = recorded.duration.to_millis_precision()?;
        let discontinuity = std::mem::take(&mut self.broken) || recorded.discontinuity;
        let number = self.next_number;
        self.next_number += 1;
        let pending = Pending::new(duration, discontinuity);
        self.pending.insert(number, pending);
        let source = recorded.source;
        self.journal(JournalEntry::Segment { number, source, duration, discontinuity });
        self.progress(number, Stage::Storing);
        self.effects.push_back(Effect::Store(number));
        Ok(number)
    }

    /// A segment is stored under this id.
    pub fn handle_stored(&mut self, number: SegmentNumber, content: ContentId, now: Instant) {
        self.handle_stored_with(number, content, None, now);
    }

    /// A segment is stored under this id, and the initialisation section that it needs under that one. A push has one
    /// section for all of its segments: where it changes, the next push begins.
    pub fn handle_stored_with(
        &mut self,
        number: SegmentNumber,
        content: ContentId,
        section: Option<ContentId>,
        now: Instant,
    ) {
        let Some(pending) = self.pending.get_mut(&number).filter(|p| p.content.is_none()) else {
            return;
        };
        (pending.content, pending.section) = (Some(content), section);
        if self.newest.is_none_or(|(newest, _)| newest < number) {
            self.newest = Some((number, content));
        }
        self.retries.done(Step::Store(number));
        self.journal(JournalEntry::Stored { number, content, section });
        self.progress(number, Stage::Stored);
        self.effects.push_back(Effect::Release(number));
        self.announce_next();
        self.share(now);
    }

    /// A segment's file is gone before it could be stored: the stream goes on behind it with a discontinuity.
    pub fn handle_lost(&mut self, number: SegmentNumber, now: Instant) {
        if self.pending.get(&number).is_none_or(|pending| pending.content.is_some()) {
            return;
        }
        self.pending.remove(&number);
        self.retries.done(Step::Store(number));
        self.journal(JournalEntry::Lost { number });
        match self.pending.range_mut(number..).next() {
            Some((_, next)) => next.discontinuity = true,
            None => self.broken = true,
        }
        self.announce_next();
        self.share(now);
    }

    /// A segment is on the live cache.
    pub fn handle_announced(&mut self, number: SegmentNumber, now: Instant) {
        self.retries.done(Step::Announce(number));
        self.announcing = self.announcing.filter(|&announcing| announcing != number);
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.announced = true;
            self.progress(number, Stage::Cached);
        }
        self.announce_next();
        self.share(now);
    }

    /// The chunk of a push is stored under this id.
    pub fn handle_chunk_stored(&mut self, seq: Seq, content: ContentId) {
        self.retries.done(Step::StoreChunk(seq));
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.seq == seq) else { return };
        let Batched::Chunk(_) = batch.content else { return };
        let push = new_push(&self.link, seq, content, None, false, batch.section);
        batch.content = Batched::Push(push);
        self.broadcast_batch();
    }

    /// A push is in a block.
    pub fn handle_broadcast(&mut self, seq: Seq, now: Instant) {
        self.retries.done(Step::Broadcast(seq));
        let Some(batch) = self.batch.take_if(|batch| batch.seq == seq) else { return };
        self.journal(JournalEntry::Confirmed { seq });
        for number in batch.numbers {
            if self.pending.remove(&number).is_some() {
                self.progress(number, Stage::OnChain);
            }
            if self.announcing == Some(number) {
                self.announcing = None;
                self.retries.done(Step::Announce(number));
            }
        }
        self.announce_next();
        self.share(now);
    }

    /// The end of the stream is in a block.
    pub fn handle_ended(&mut self) {
        if self.ending == Ending::EndSent {
            self.retries.done(Step::End);
            self.journal(JournalEntry::Ended);
            self.finish();
        }
    }

    /// A step failed in a way that may pass: it is asked for again later.
    pub fn handle_failed(&mut self, step: Step, now: Instant) {
        self.retries.failed(step, now);
    }

    /// Time has come to [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(step) = self.retries.due(now) {
            self.again(step);
        }
        self.share(now);
    }

    /// The recording is over: everything left is pushed at once, then [`Effect::Finished`] comes.
    pub fn handle_end(&mut self, now: Instant) {
        if self.ending == Ending::No {
            self.ending = Ending::Flushing;
            self.share(now);
        }
    }

    /// The unbroken run of stored segments that are in no push yet.
    fn ready(&self) -> impl Iterator<Item = (SegmentNumber, Segment, Option<ContentId>)> {
        self.pending
            .range(self.unbundled..)
            .map_while(|(&number, pending)| Some((number, pending.segment()?, pending.section)))
    }

    /// Starts the next push if one is due: the interval is over, no more would fit, the initialisation section changes,
    /// or the session ends.
    fn share(&mut self, now: Instant) {
        if self.batch.is_some() {
            return;
        }
        if let Some(bundle) = self.resend.pop_front() {
            return self.resend_bundle(&bundle);
        }
        let mut writer = ChunkWriter::default();
        let mut taken: Option<(RangeInclusive<SegmentNumber>, Head)> = None;
        let mut full = false;
        for (number, segment, section) in self.ready() {
            let other = taken.as_ref().is_some_and(|(_, head)| head.section != section);
            if other || !matches!(writer.push(&segment), Ok(true)) {
                full = true;
                break;
            }
            let (first, head) = taken
                .map_or((number, Head { segment, section }), |(range, head)| {
                    (*range.start(), head)
                });
            taken = Some((first..=number, head));
        }
        let Some((numbers, head)) = taken else { return self.end_if_flushed() };
        let all_stored = self.pending.values().all(|pending| pending.content.is_some());
        let flushing = self.ending != Ending::No && all_stored;
        if !(full || flushing || now >= self.last_share + self.config.interval) {
            return;
        }
        let Some(seq) = self.next_seq else {
            // The stream is full: what is left can never be pushed under this link.
            if flushing {
                self.end();
            }
            return;
        };
        self.last_share = now;
        self.next_seq = seq.next();
        self.unbundled = numbers.end() + 1;
        self.start_batch(seq, numbers, head, writer);
    }

    fn start_batch(
        &mut self,
        seq: Seq,
        numbers: RangeInclusive<SegmentNumber>,
        head: Head,
        writer: ChunkWriter,
    ) {
        numbers.clone().for_each(|number| self.progress(number, Stage::Bundling));
        let section = head.section;
        if writer.count() == 1 {
            let Segment { content, duration, flags } = head.segment;
            let breaks = flags.discontinuity();
            let push = new_push(&self.link, seq, content, Some(duration), breaks, section);
            self.batch = Some(Batch { seq, numbers, section, content: Batched::Push(push) });
            self.broadcast_batch();
        } else if let Some(csv) = writer.finish() {
            self.effects.push_back(Effect::StoreChunk(seq, csv.clone()));
            self.batch = Some(Batch { seq, numbers, section, content: Batched::Chunk(csv) });
        }
    }

    /// Journals what the push will say before anybody can see it, then asks for its broadcast.
    fn broadcast_batch(&mut self) {
        let Some(Batch { seq, numbers, section, content: Batched::Push(push) }) = &self.batch
        else {
            return;
        };
        let bundle = Bundle {
            seq: *seq,
            first: *numbers.start(),
            last: *numbers.end(),
            src: push.src,
            len: push.len,
            discontinuity: push.discontinuity,
            section: *section,
        };
        let op = Op::Push(push.clone());
        self.journal(JournalEntry::Bundled(bundle));
        self.effects.push_back(Effect::Broadcast(op));
    }

    /// Broadcasts a push from before a restart again, with the content it had.
    fn resend_bundle(&mut self, bundle: &Bundle) {
        let Bundle { seq, first, last, src, len, discontinuity, section } = *bundle;
        let push = new_push(&self.link, seq, src, len, discontinuity, section);
        self.effects.push_back(Effect::Broadcast(Op::Push(push.clone())));
        let (numbers, content) = (first..=last, Batched::Push(push));
        self.batch = Some(Batch { seq, numbers, section, content });
    }

    fn announce_next(&mut self) {
        if !self.config.live || self.announcing.is_some() {
            return;
        }
        let next = self.pending.iter().find(|(_, pending)| !pending.announced);
        if let Some((&number, pending)) = next
            && let Some(announce) = pending.announce(number)
        {
            self.announcing = Some(number);
            self.effects.push_back(announce);
        }
    }

    /// Asks for a failed step once more, unless it has become pointless.
    fn again(&mut self, step: Step) {
        let effect = match step {
            Step::Announce(number) => {
                self.pending.get(&number).and_then(|pending| pending.announce(number))
            }
            Step::Broadcast(seq) => match &self.batch {
                Some(Batch { seq: now, content: Batched::Push(push), .. }) if *now == seq => {
                    Some(Effect::Broadcast(Op::Push(push.clone())))
                }
                _ => None,
            },
            Step::End => Some(self.end_op()),
            Step::Store(number) => {
                let wanted = self.pending.get(&number).is_some_and(|p| p.content.is_none());
                wanted.then_some(Effect::Store(number))
            }
            Step::StoreChunk(seq) => match &self.batch {
                Some(Batch { seq: now, content: Batched::Chunk(csv), .. }) if *now == seq => {
                    Some(Effect::StoreChunk(seq, csv.clone()))
                }
                _ => None,
            },
        };
        self.effects.extend(effect);
    }

    /// Called when no push is on its way and none can be made.
    fn end_if_flushed(&mut self) {
        if self.pending.is_empty() {
            self.end();
        }
    }

    /// Ends the stream if that was asked for, and the session.
    fn end(&mut self) {
        if self.ending != Ending::Flushing {
            return;
        }
        if self.config.end_stream {
            self.ending = Ending::EndSent;
            let end = self.end_op();
            self.effects.push_back(end);
        } else {
            self.finish();
        }
    }

    fn end_op(&self) -> Effect {
        Effect::Broadcast(Op::End(End { link: self.link.clone() }))
    }

    fn finish(&mut self) {
        self.ending = Ending::Done;
        self.effects.push_back(Effect::Finished);
    }

    fn journal(&mut self, entry: JournalEntry) {
        self.effects.push_back(Effect::Journal(entry));
    }

    fn progress(&mut self, number: SegmentNumber, stage: Stage) {
        self.effects.push_back(Effect::Progress(number, stage));
    }
}

fn new_push(
    link: &Link,
    seq: Seq,
    src: ContentId,
    len: Option<SegmentDuration>,
    discontinuity: bool,
    section: Option<ContentId>,
) -> Push {
    let mut renditions = Renditions::default();
    if let Some(section) = section {
        renditions.insert_section(Quality::Src, section);
    }
    Push { link: link.clone(), seq, src, len, renditions, discontinuity }
}

#[cfg(test)]
mod tests;
