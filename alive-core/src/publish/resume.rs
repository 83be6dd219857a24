//! Going on after a crash, or with a stream that another service began: [`Publisher::resume`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use crate::{
    content::ContentId,
    op::Seq,
    stream_id::{Link, StreamId},
};

use super::{
    Bundle, Effect, JournalEntry, Pending, Publisher, PublisherConfig, SegmentNumber, Stage,
};

/// What the chain, or an indexer, says of a stream when a session starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainView {
    /// End of its gap-free run of pushes.
    pub finalized: Option<Seq>,
    /// The content of its pushes.
    pub pushes: BTreeMap<Seq, ContentId>,
    /// Those of them that a fork could still take back, as far as that is told. One of ours is sent again, which changes
    /// nothing where it stays.
    pub reversible: BTreeSet<Seq>,
}

impl ChainView {
    /// The sequence number that a new push must have, `None` when the stream is full.
    pub fn next_seq(&self) -> Option<Seq> {
        self.finalized.map_or(Some(Seq::ZERO), Seq::next)
    }

    fn shows(&self, bundle: &Bundle) -> bool {
        self.pushes.get(&bundle.seq) == Some(&bundle.src)
    }

    /// Whether it is there for good.
    fn keeps(&self, bundle: &Bundle) -> bool {
        self.shows(bundle) && !self.reversible.contains(&bundle.seq)
    }

    /// Whether something else is there.
    fn denies(&self, bundle: &Bundle) -> bool {
        Some(bundle.seq) <= self.finalized && !self.shows(bundle)
    }
}

/// Why a journal cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// An entry does not fit those before it.
    #[error("entry {line}: {why}")]
    Entry {
        /// Which one, from 1.
        line: usize,
        /// What does not fit.
        why: &'static str,
    },
    /// It belongs to another stream.
    #[error("the journal belongs to {0}")]
    OtherStream(Box<StreamId>),
}

/// What a journal says, entry by entry.
#[derive(Debug, Default)]
struct Replay {
    pending: BTreeMap<SegmentNumber, Pending>,
    bundles: BTreeMap<Seq, Bundle>,
    confirmed: BTreeSet<Seq>,
    next_number: SegmentNumber,
    /// The newest segment that is stored.
    newest: Option<(SegmentNumber, ContentId)>,
    broken: bool,
}

impl Publisher {
    /// Goes on where a journal ends. Segments that were on their way are stored, shared and pushed as if nothing had
    /// happened; a push that may have reached the chain is sent again with the same content, unless `chain` shows it where no
    /// fork can take it back.
    /// Where the chain has other content under a number for good, the segments go into a new push.
    ///
    /// An empty journal starts at the chain's next number. Without a `chain` view the journal is all there is to go by.
    ///
    /// # Errors
    /// The journal is another stream's, or contradicts itself.
    pub fn resume(
        stream: &StreamId,
        config: PublisherConfig,
        journal: impl IntoIterator<Item = JournalEntry>,
        chain: Option<&ChainView>,
        now: Instant,
        seed: u64,
    ) -> Result<Self, JournalError> {
        let mut replay = Replay::default();
        let mut started = false;
        for (line, entry) in (1..).zip(journal) {
            if let JournalEntry::Stream { id } = &entry
                && id != stream
            {
                return Err(JournalError::OtherStream(Box::new(id.clone())));
            }
            started = true;
            replay.entry(entry).map_err(|why| JournalError::Entry { line, why })?;
        }
        let mut publisher = replay.into_publisher(stream.link.clone(), config, chain, now, seed);
        if !started {
            let start = JournalEntry::Stream { id: stream.clone() };
            publisher.effects.push_front(Effect::Journal(start));
        }
        Ok(publisher)
    }
}

impl Replay {
    fn entry(&mut self, entry: JournalEntry) -> Result<(), &'static str> {
        match entry {
            JournalEntry::Stream { .. } | JournalEntry::Ended => {}
            JournalEntry::Segment { number, duration, discontinuity, .. } => {
                if number != self.next_number {
                    return Err("segments are not numbered in order");
                }
                let discontinuity = std::mem::take(&mut self.broken) || discontinuity;
                self.next_number += 1;
                let pending = Pending::new(duration, discontinuity);
                self.pending.insert(number, pending);
            }
            JournalEntry::Stored { number, content, section } => {
                let pending = self.pending.get_mut(&number).ok_or("unknown segment stored")?;
                (pending.content, pending.section) = (Some(content), section);
                if self.newest.is_none_or(|(newest, _)| newest < number) {
                    self.newest = Some((number, content));
                }
            }
            JournalEntry::Lost { number } => {
                self.pending.remove(&number).ok_or("unknown segment lost")?;
                match self.pending.range_mut(number..).next() {
                    Some((_, next)) => next.discontinuity = true,
                    None => self.broken = true,
                }
            }
            JournalEntry::Bundled(bundle) => {
                if bundle.last >= self.next_number || bundle.first > bundle.last {
                    return Err("a push holds unknown segments");
                }
                self.bundles.insert(bundle.seq, bundle);
            }
            JournalEntry::Confirmed { seq } => {
                if !self.bundles.contains_key(&seq) {
                    return Err("unknown push confirmed");
                }
                self.confirmed.insert(seq);
            }
        }
        Ok(())
    }

    fn into_publisher(
        mut self,
        link: Link,
        config: PublisherConfig,
        chain: Option<&ChainView>,
        now: Instant,
        seed: u64,
    ) -> Publisher {
        let bundles = std::mem::take(&mut self.bundles);
        let ours = bundles.keys().next_back().copied();
        let mut resend = VecDeque::new();
        for bundle in bundles.into_values() {
            let settled = chain.map_or(self.confirmed.contains(&bundle.seq), |c| c.keeps(&bundle));
            if settled {
                self.pending.retain(|number, _| !(bundle.first..=bundle.last).contains(number));
            } else if !chain.is_some_and(|chain| chain.denies(&bundle)) {
                resend.push_back(bundle);
            } else if let Some(first) = self.pending.get_mut(&bundle.first) {
                // Another service took the number: these segments start a new push.
                first.discontinuity = true;
            }
        }
        let resent = |number| resend.iter().any(|b: &Bundle| (b.first..=b.last).contains(number));
        let unbundled = self.pending.keys().find(|number| !resent(number)).copied();
        let unbundled = unbundled.unwrap_or(self.next_number);
        let after_ours = ours.map_or(Some(Seq::ZERO), Seq::next);
        let after_chain = chain.map_or(Some(Seq::ZERO), ChainView::next_seq);
        let next_seq = match (after_ours, after_chain) {
            (Some(ours), Some(chain)) => Some(ours.max(chain)),
            _ => None,
        };
        let elsewhere = chain.is_some_and(|chain| chain.finalized > ours);
        let mut publisher = Publisher::new(link, config, next_seq, now, seed);
        publisher.next_number = self.next_number;
        publisher.newest = self.newest;
        publisher.unbundled = unbundled;
        publisher.broken = self.broken || elsewhere;
        publisher.resend = resend;
        publisher.pending = self.pending;
        if elsewhere && let Some((_, first)) = publisher.pending.range_mut(unbundled..).next() {
            first.discontinuity = true;
            publisher.broken = self.broken;
        }
        publisher.restart(now);
        publisher
    }
}

impl Publisher {
    /// Asks again for everything that was on its way.
    fn restart(&mut self, now: Instant) {
        let waiting: Vec<_> = self.pending.iter().map(|(n, p)| (*n, p.content.is_some())).collect();
        for (number, stored) in waiting {
            if stored {
                self.progress(number, Stage::Stored);
            } else {
                self.progress(number, Stage::Storing);
                self.effects.push_back(Effect::Store(number));
            }
        }
        self.announce_next();
        self.share(now);
    }
}
