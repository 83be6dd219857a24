//! What a player is shown: [`Timeline`], made of the chain's chunks and the live cache.
//!
//! While a stream is live the list only ever grows at its end. It takes finalized pushes in order, waits at the first
//! whose chunk cannot be had, lists what the live cache has meanwhile, and goes on behind it after a while. When the
//! stream has ended, the list is made afresh from every readable push. Source: `spec/indexer.md`, section 6.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use hashbrown::HashTable;

use crate::{
    chunk::Chunk,
    content::ContentId,
    op::Seq,
    quality::Quality,
    sections::Sections,
    segment::{Flags, Segment},
    stream::{Pushed, Stream},
    time::Timestamp,
};

/// What is known of a chunk's content right now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkContent {
    /// It was fetched, checked against its id and read.
    Ready(Arc<Chunk>),
    /// It was fetched and is no chunk of this stream: fetching it again would give the same bytes.
    Refused,
    /// It cannot be had now; it may come later.
    Unavailable,
}

/// A segment in a list, and the push that attests it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The segment, with the flags that a player needs at this place.
    pub segment: Segment,
    /// The push that attests it, `None` while only the live cache has it, or after its block was undone.
    pub seq: Option<Seq>,
}

/// The list of one rendition of one stream. Media sequence numbers are places in [`listed`](Self::listed), from 0.
///
/// ```
/// use std::time::Duration;
/// use alive_core::{ChunkContent, Configure, Quality, Segment, Stream, Timeline, Timestamp};
/// let stream = Stream::create(&Configure::new("s".parse()?), 0, 1, Timestamp::EPOCH);
/// let mut timeline = Timeline::new(Quality::Src, Duration::from_secs(60));
/// let segment = Segment::new("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?, "10".parse()?);
/// timeline.offer_live(segment);
/// timeline.update(&stream, |_| ChunkContent::Unavailable, Timestamp::EPOCH);
/// assert_eq!(timeline.listed()[0].segment, segment);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Timeline {
    quality: Quality,
    patience: Duration,
    listed: Vec<Listed>,
    sections: Sections,
    /// Places in the list, found by the hash of the canonical id there. It is seeded, so nobody can aim at collisions.
    places: HashTable<u32>,
    hasher: RandomState,
    /// The first push that has not been taken yet, `None` behind the last possible one.
    next: Option<Seq>,
    waiting: Option<(Seq, Timestamp)>,
    /// Something was passed over: the next new segment starts with a discontinuity.
    hole: bool,
    /// What was listed last stands for itself behind fragments of MP4.
    without_section: bool,
    live: VecDeque<(Segment, Option<ContentId>)>,
    unattested: usize,
    passed: Vec<Seq>,
    ended: bool,
}

impl Timeline {
    /// How long a live list waits for content that cannot be had, unless set otherwise.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_mins(1);
    /// Most segments that a list takes from the live cache ahead of the chain. Our own limit: eleven hours of ten-second
    /// segments, far more than the cache keeps.
    pub const MAX_LIVE_AHEAD: usize = 4096;
    /// The list grows by this part of itself.
    const GROWTH: usize = 8;

    /// An empty list of one rendition.
    pub fn new(quality: Quality, patience: Duration) -> Self {
        Self {
            quality,
            patience,
            listed: Vec::new(),
            sections: Sections::default(),
            places: HashTable::new(),
            hasher: RandomState::new(),
            next: Some(Seq::ZERO),
            waiting: None,
            hole: false,
            without_section: false,
            live: VecDeque::new(),
            unattested: 0,
            passed: Vec::new(),
            ended: false,
        }
    }

    /// The segments in playing order.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The initialisation section of each listed segment.
    pub fn sections(&self) -> &Sections {
        &self.sections
    }

    /// Whether the stream has ended, so that the list is the archive's.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The pushes whose content the list lacks: passed over while live, unreadable in an archive.
    pub fn passed(&self) -> &[Seq] {
        &self.passed
    }

    /// The push that a live list is waiting for.
    pub fn waiting(&self) -> Option<Seq> {
        self.waiting.map(|(seq, _)| seq)
    }

    /// When [`update`](Self::update) will go on without the push it waits for.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.waiting.map(|(_, since)| since.after(self.patience))
    }

    /// Takes a segment from the live cache, in the order in which the cache gives them. The next
    /// [`update`](Self::update) lists it unless it is there already. What passes the limit is dropped, newest first.
    pub fn offer_live(&mut self, segment: Segment) {
        self.offer_live_with(segment, None);
    }

    /// The same with the initialisation section that the segment needs.
    pub fn offer_live_with(&mut self, segment: Segment, section: Option<ContentId>) {
        if !self.ended && self.live.len() + self.unattested < Self::MAX_LIVE_AHEAD {
            self.live.push_back((segment, section));
        }
    }

    /// Brings the list up to the stream's present state. `content` tells what is known of a chunk.
    pub fn update(
        &mut self,
        stream: &Stream,
        content: impl Fn(&ContentId) -> ChunkContent,
        now: Timestamp,
    ) {
        self.update_as(stream.info().ended, stream, content, now);
    }

    /// The same with an end that may stand on another chain.
    pub(crate) fn update_as(
        &mut self,
        ended: bool,
        stream: &Stream,
        content: impl Fn(&ContentId) -> ChunkContent,
        now: Timestamp,
    ) {
        if ended {
            return self.archive(stream, content);
        }
        if self.ended {
            // The end was undone: it stood in a block that the chain has replaced.
            *self = Self::new(self.quality, self.patience);
        }
        self.step_back(stream.info().finalized);
        let blocked = self.take_pushes(stream, &content, now);
        let gap_pending = stream.info().head > stream.info().finalized;
        if blocked || !gap_pending {
            self.take_live();
        }
    }

    /// After blocks were undone, pushes may be other ones: read them again. What is listed stays listed, attested by nobody.
    fn step_back(&mut self, finalized: Option<Seq>) {
        let first_open = finalized.map_or(Some(Seq::ZERO), Seq::next);
        if let Some(open) = first_open.filter(|&open| self.next.is_none_or(|next| open < next)) {
            self.next = Some(open);
            self.waiting = None;
            for listed in self.listed.iter_mut().filter(|listed| listed.seq >= Some(open)) {
                listed.seq = None;
                self.unattested += 1;
            }
        }
    }

    /// Takes finalized pushes in order; whether it stopped at one that cannot be had.
    fn take_pushes(
        &mut self,
        stream: &Stream,
        content: &impl Fn(&ContentId) -> ChunkContent,
        now: Timestamp,
    ) -> bool {
        while let Some(seq) = self.next.filter(|&seq| Some(seq) <= stream.info().finalized) {
            match read(stream, seq, self.quality, content) {
                Readable::Segments(segments) => self.take_push(stream, seq, &segments, content),
                Readable::Never => self.pass(seq),
                Readable::NotNow => {
                    let since = match self.waiting {
                        Some((waiting, since)) if waiting == seq => since,
                        _ => now,
                    };
                    self.waiting = Some((seq, since));
                    if now.since(since) < self.patience {
                        return true;
                    }
                    self.pass(seq);
                }
            }
            self.waiting = None;
            self.next = seq.next();
        }
        false
    }

    fn pass(&mut self, seq: Seq) {
        self.hole = true;
        self.passed.push(seq);
    }

    /// Lists the segments of one push. A segment that belongs before one already listed is held back: it returns in the
    /// archive, because a live list never changes in its middle.
    fn take_push(
        &mut self,
        stream: &Stream,
        seq: Seq,
        segments: &[Segment],
        content: &impl Fn(&ContentId) -> ChunkContent,
    ) {
        let section = stream.pushed(seq).and_then(|pushed| pushed.section(self.quality)).copied();
        let last_known = segments.iter().rposition(|segment| self.place(segment).is_some());
        let mut ahead = None;
        for (at, segment) in segments.iter().enumerate() {
            if let Some(place) = self.place(segment) {
                self.attest(place, seq);
                self.hole = false;
                continue;
            }
            let held = last_known.is_some_and(|last| at < last)
                || *ahead.get_or_insert_with(|| self.is_ahead(stream, seq, content));
            if !held {
                self.append(*segment, section, Some(seq));
            }
        }
    }

    /// Whether the live cache has brought segments of later pushes into the list already.
    fn is_ahead(
        &self,
        stream: &Stream,
        seq: Seq,
        content: &impl Fn(&ContentId) -> ChunkContent,
    ) -> bool {
        let later = std::iter::successors(seq.next(), |seq| seq.next())
            .take_while(|&later| Some(later) <= stream.info().finalized);
        self.unattested > 0
            && later.into_iter().any(|later| match read(stream, later, self.quality, content) {
                Readable::Segments(segments) => {
                    segments.iter().any(|segment| self.place(segment).is_some())
                }
                Readable::Never | Readable::NotNow => false,
            })
    }

    fn take_live(&mut self) {
        while let Some((segment, section)) = self.live.pop_front() {
            if self.place(&segment).is_none() {
                self.append(segment, section, None);
            }
        }
    }

    /// Puts a segment at the end. One that names no section behind fragments goes on under the section before it, as players
    /// do; behind a discontinuity it stands for itself, and is a gap until there is a section again, because a list cannot
    /// say that one holds no longer. Source: RFC 8216, section 4.3.2.5.
    fn append(&mut self, segment: Segment, section: Option<ContentId>, seq: Option<Seq>) {
        let flags = match (self.listed.is_empty(), std::mem::take(&mut self.hole)) {
            (true, _) => Flags::new(false, segment.flags.gap()),
            (false, true) => segment.flags.with_discontinuity(),
            (false, false) => segment.flags,
        };
        let is_behind_fragments = !self.sections.are_none() && flags.discontinuity();
        self.without_section = section.is_none() && (self.without_section || is_behind_fragments);
        let flags = if self.without_section && !flags.gap() {
            Flags::new(flags.discontinuity(), true)
        } else {
            flags
        };
        if self.listed.len() == self.listed.capacity() {
            // Doubling would let a day's list hold twice its memory.
            self.listed.reserve_exact(self.listed.len() / Self::GROWTH + 4);
        }
        // Four thousand million segments are more than any memory holds.
        let place = u32::try_from(self.listed.len()).unwrap_or(u32::MAX);
        self.listed.push(Listed { segment: segment.with_flags(flags), seq });
        self.sections.push(section);
        let hash = |listed: &[Listed], place: u32| {
            self.hasher.hash_one(content_at(listed, place).map(|id| id.canonical()))
        };
        let key = hash(&self.listed, place);
        self.places.insert_unique(key, place, |&place| hash(&self.listed, place));
        self.unattested += usize::from(seq.is_none());
    }

    fn attest(&mut self, place: usize, seq: Seq) {
        if let Some(listed) = self.listed.get_mut(place).filter(|listed| listed.seq.is_none()) {
            listed.seq = Some(seq);
            self.unattested = self.unattested.saturating_sub(1);
        }
    }

    /// Where the content of a segment is listed.
    fn place(&self, segment: &Segment) -> Option<usize> {
        let content = segment.content.canonical();
        let is_here = |&place: &u32| {
            content_at(&self.listed, place).is_some_and(|listed| listed.canonical() == content)
        };
        let place = self.places.find(self.hasher.hash_one(Some(content)), is_here)?;
        usize::try_from(*place).ok()
    }

    /// Makes the list afresh from every readable push, those above a gap included.
    fn archive(&mut self, stream: &Stream, content: impl Fn(&ContentId) -> ChunkContent) {
        let mut fresh = Self::new(self.quality, self.patience);
        fresh.ended = true;
        let mut expected = Some(Seq::ZERO);
        for (seq, pushed) in stream.pushes() {
            fresh.hole |= expected != Some(seq);
            expected = seq.next();
            match read(stream, seq, self.quality, &content) {
                Readable::Segments(segments) => {
                    let section = pushed.section(self.quality).copied();
                    for segment in &*segments {
                        match fresh.place(segment) {
                            Some(_) => fresh.hole = false,
                            None => fresh.append(*segment, section, Some(seq)),
                        }
                    }
                }
                Readable::Never | Readable::NotNow => fresh.pass(seq),
            }
        }
        *self = fresh;
    }
}

fn content_at(listed: &[Listed], place: u32) -> Option<ContentId> {
    Some(listed.get(usize::try_from(place).ok()?)?.segment.content)
}

/// The contents of a stream's chunks of one rendition, in order: what a node should have at hand to list it.
pub fn chunk_ids(stream: &Stream, quality: Quality) -> impl Iterator<Item = (Seq, ContentId)> {
    stream
        .pushes()
        .filter(|(_, pushed)| pushed.len.is_none())
        .filter_map(move |(seq, pushed)| Some((seq, *pushed.content(quality)?)))
}

/// The renditions that a stream has besides the source.
pub fn renditions(stream: &Stream) -> HashSet<Quality> {
    stream.pushes().flat_map(|(_, pushed)| pushed.renditions.iter().map(|(q, _)| q)).collect()
}

enum Readable {
    Segments(Segments),
    Never,
    NotNow,
}

/// The segments of one push: its own, or those of its chunk.
enum Segments {
    Chunk(Arc<Chunk>),
    Direct([Segment; 1]),
}

impl std::ops::Deref for Segments {
    type Target = [Segment];

    fn deref(&self) -> &[Segment] {
        match self {
            Self::Chunk(chunk) => chunk.segments(),
            Self::Direct(segment) => segment,
        }
    }
}

fn read(
    stream: &Stream,
    seq: Seq,
    quality: Quality,
    content: &impl Fn(&ContentId) -> ChunkContent,
) -> Readable {
    let Some(pushed) = stream.pushed(seq) else { return Readable::Never };
    let Some(&id) = pushed.content(quality) else { return Readable::Never };
    if let Some(segment) = Pushed::segment(pushed) {
        return Readable::Segments(Segments::Direct([Segment { content: id, ..segment }]));
    }
    match content(&id) {
        ChunkContent::Ready(chunk) if chunk.fits(stream.info().settings.storage) => {
            Readable::Segments(Segments::Chunk(chunk))
        }
        ChunkContent::Ready(_) | ChunkContent::Refused => Readable::Never,
        ChunkContent::Unavailable => Readable::NotNow,
    }
}

#[cfg(test)]
mod tests;
