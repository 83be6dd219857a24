//! What a list lacks, and why: [`Health`].

use std::sync::Arc;

use alive_core::{ContentId, Quality, Seq, Stream, StreamId};
use serde::Serialize;

use super::{held::Held, view::View};
use crate::{
    presence::Absence,
    resolver::{ChunkState, Resolver},
};

/// The state of a list, for whoever wants to know what is wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The stream.
    pub stream: StreamId,
    /// The quality.
    pub quality: Quality,
    /// Whether the stream has ended.
    pub ended: bool,
    /// Whether every push up to the highest one is listed, and this node is not known to lack a segment or an initialisation
    /// section.
    pub complete: bool,
    /// How many segments are listed.
    pub segments: usize,
    /// End of the gap-free run of pushes.
    pub chunk_finalized: Option<Seq>,
    /// Highest push seen.
    pub chunk_head: Option<Seq>,
    /// The push that a live list waits for.
    pub waiting: Option<PushHealth>,
    /// The first pushes that the list lacks, at most [`MAX_LISTED`](Self::MAX_LISTED).
    pub passed: Vec<PushHealth>,
    /// How many pushes the list lacks.
    pub passed_count: usize,
    /// Pushes that the chain has not seen although it has later ones, at most [`MAX_LISTED`](Self::MAX_LISTED) ranges.
    pub absent: Vec<SeqRange>,
    /// The first listed segments that this node does not have, at most [`MAX_LISTED`](Self::MAX_LISTED).
    pub missing: Vec<SegmentHealth>,
    /// How many listed segments this node does not have.
    pub missing_count: usize,
    /// The first initialisation sections that listed segments need and this node does not have, at most
    /// [`MAX_LISTED`](Self::MAX_LISTED). Without its section a segment cannot be played, even if it is here.
    pub missing_sections: Vec<SectionHealth>,
    /// How many sections that are.
    pub missing_sections_count: usize,
    /// How many listed segments and sections it has yet to look for; `None` when it looks for none, because it serves no content or
    /// players fetch segments from elsewhere.
    pub unchecked_count: Option<usize>,
}

/// Consecutive sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SeqRange {
    /// The first one.
    pub first: u16,
    /// The last one.
    pub last: u16,
}

/// A listed segment that this node does not have. An archive shows it as a gap; a live list never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SegmentHealth {
    /// Its number in the list.
    pub number: u32,
    /// Its content.
    pub content: ContentId,
    /// Why it cannot be had.
    pub state: Absence,
}

/// An initialisation section that this node does not have. An archive shows the segments that need it as gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SectionHealth {
    /// Its content.
    pub content: ContentId,
    /// Why it cannot be had.
    pub state: Absence,
    /// The number of the first segment that needs it.
    pub first: usize,
    /// How many segments need it.
    pub segments: usize,
}

/// Why a push is not listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PushHealth {
    /// Its number.
    pub seq: Seq,
    /// The chunk that is lacking; `None` when the push has none in this quality.
    pub content: Option<ContentId>,
    /// Why it is lacking.
    #[serde(flatten)]
    pub reason: HoleReason,
}

/// Why a chunk is not listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HoleReason {
    /// It came after the live list had gone on without it. It will be in the list of the ended stream.
    Late,
    /// It could not be had yet; it is tried again.
    Missing {
        /// How often it was tried.
        attempts: u32,
        /// Why the last try failed.
        reason: Option<Arc<str>>,
    },
    /// The push was not transcoded to this quality.
    NoRendition,
    /// It is no chunk of this stream, or none that this node takes, and never will be.
    Refused {
        /// Why.
        reason: Arc<str>,
    },
}

impl Health {
    /// How many entries a list of this answer has at most.
    pub const MAX_LISTED: usize = 1000;
}

impl View {
    pub(super) fn health(&self, id: StreamId, quality: Quality, resolver: &Resolver) -> Health {
        let (stream, timeline) = (&*self.stream, &self.timeline);
        let push = |seq| push_health(stream, seq, quality, timeline.ended(), resolver);
        let absent: Vec<_> = absent(stream).take(Health::MAX_LISTED).collect();
        let waiting = timeline.waiting();
        let passed = timeline.passed();
        let missing_count = self.segments.as_ref().map_or(0, |segments| segments.absent().len());
        let sections = self.missing_sections();
        Health {
            stream: id,
            quality,
            ended: timeline.ended(),
            complete: waiting.is_none()
                && passed.is_empty()
                && absent.is_empty()
                && missing_count == 0
                && sections.is_empty(),
            segments: timeline.listed().len(),
            chunk_finalized: stream.info().finalized,
            chunk_head: stream.info().head,
            waiting: waiting.map(push),
            passed: passed.iter().take(Health::MAX_LISTED).map(|seq| push(*seq)).collect(),
            passed_count: passed.len(),
            absent,
            missing: self.missing().take(Health::MAX_LISTED).collect(),
            missing_count,
            missing_sections_count: sections.len(),
            missing_sections: sections.into_iter().take(Health::MAX_LISTED).collect(),
            unchecked_count: self.segments.as_ref().map(Held::open),
        }
    }

    fn missing_sections(&self) -> Vec<SectionHealth> {
        let held = self.segments.iter();
        let absent = held.flat_map(|held| held.absent_sections(self.timeline.sections()));
        let absent = absent.map(|absent| SectionHealth {
            content: absent.content,
            state: absent.why,
            first: absent.first,
            segments: absent.segments,
        });
        absent.collect()
    }

    fn missing(&self) -> impl Iterator<Item = SegmentHealth> {
        let absent = self.segments.iter().flat_map(Held::absent);
        absent.filter_map(|(&number, &state)| {
            let listed = self.timeline.listed().get(usize::try_from(number).ok()?)?;
            Some(SegmentHealth { number, content: listed.segment.content, state })
        })
    }
}

fn push_health(
    stream: &Stream,
    seq: Seq,
    quality: Quality,
    ended: bool,
    resolver: &Resolver,
) -> PushHealth {
    let content = stream.pushed(seq).and_then(|pushed| pushed.content(quality)).copied();
    let Some(id) = content else {
        return PushHealth { seq, content, reason: HoleReason::NoRendition };
    };
    let refused = |reason: &str| HoleReason::Refused { reason: reason.into() };
    let reason = match resolver.state(&id) {
        ChunkState::Missing { attempts, reason } => HoleReason::Missing { attempts, reason },
        ChunkState::Refused(reason) => HoleReason::Refused { reason },
        // What was read and still is not in the whole list broke a rule of the list.
        ChunkState::Ready if ended => {
            refused("it lists content of another storage, or makes the list too long")
        }
        ChunkState::Ready => HoleReason::Late,
        ChunkState::Unknown => HoleReason::Missing { attempts: 0, reason: None },
    };
    PushHealth { seq, content, reason }
}

/// The gaps below the highest push.
fn absent(stream: &Stream) -> impl Iterator<Item = SeqRange> {
    let mut expected = 0;
    stream.pushes().filter_map(move |(seq, _)| {
        let first = std::mem::replace(&mut expected, seq.as_u16() + 1);
        let last = seq.as_u16().checked_sub(1).filter(|last| *last >= first)?;
        Some(SeqRange { first, last })
    })
}
