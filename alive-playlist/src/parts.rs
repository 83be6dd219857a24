//! The parts that a live list shows: those of the segment that is being recorded and of the newest whole ones.
//!
//! Parts are no segments: they come and go, and a list without them has the very bytes of one that never had any.
//! Source: `spec/hls.md`, section 7.

use std::collections::VecDeque;

use alive_core::{ContentId, Segment, SegmentDuration};

use crate::{
    decimal::MICROS, line_text::Quoted, model::MediaHeader, model::ServerControl,
    time::MediaDuration,
};

/// A part of a segment as it stands in a list.
///
/// ```
/// use alive_playlist::ListPart;
/// let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// assert!(ListPart::new(id, "0.5".parse()?).independent(true).independent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPart {
    /// Its bytes.
    pub content: ContentId,
    /// How long it plays.
    pub duration: SegmentDuration,
    /// Whether it starts with a key frame.
    pub independent: bool,
}

impl ListPart {
    /// A part that needs the one before it.
    pub fn new(content: ContentId, duration: SegmentDuration) -> Self {
        Self { content, duration, independent: false }
    }

    /// Sets whether it starts with a key frame.
    #[must_use]
    pub fn independent(self, independent: bool) -> Self {
        Self { independent, ..self }
    }
}

/// How far the list of another rendition is: `EXT-X-RENDITION-REPORT`. Who changes to it need not ask first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenditionReport {
    /// Its list, seen from the one that has the report.
    pub uri: Quoted<'static>,
    /// The number of its last segment, whole or not.
    pub last_msn: u64,
    /// The last part of that segment, from 0.
    pub last_part: Option<u64>,
}

impl RenditionReport {
    /// A list whose last segment has this number and no parts.
    pub fn new(uri: Quoted<'static>, last_msn: u64) -> Self {
        Self { uri, last_msn, last_part: None }
    }

    /// Sets the last part of the last segment.
    #[must_use]
    pub fn last_part(self, last_part: Option<u64>) -> Self {
        Self { last_part, ..self }
    }
}

/// The parts that a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// Those of whole segments, oldest first.
    whole: VecDeque<Whole>,
    /// Those of the segment behind the last one.
    open: Vec<ListPart>,
    /// The initialisation section of the open ones.
    section: Option<ContentId>,
    /// The longest part that ever was, rounded up: it is never announced shorter.
    target_micros: u32,
    reports: Vec<RenditionReport>,
}

#[derive(Clone, Debug)]
struct Whole {
    number: usize,
    parts: Vec<ListPart>,
}

impl Parts {
    /// Most parts of a segment.
    const MAX_OPEN: usize = 256;
    /// Parts are announced for this many target durations. Source: `spec/hls.md`, section 7.
    pub(crate) const KEPT_TARGETS: u64 = 3;
    /// Players stay so many part targets from the end. Source: `spec/hls.md`, section 7, `PART-HOLD-BACK`.
    const HOLD_BACK: u64 = 3;
    /// The announced target counts in steps of this, so that a millisecond more does not change it.
    const TARGET_STEP: u32 = 10_000;
    /// Parts that together are this much shorter or longer than their segment are those of another one, or not all.
    const TOLERANCE_MICROS: u64 = 100_000;

    /// Takes a part of the segment behind the last one; whether it can be one of a list with this target duration.
    pub(crate) fn push(
        &mut self,
        part: ListPart,
        section: Option<&ContentId>,
        target_seconds: u32,
    ) -> bool {
        let micros = u64::from(part.duration.as_micros());
        // A segment may be as long as rounds to the target. Source: `spec/hls.md`, section 3, "TARGETDURATION".
        let longest = u64::from(target_seconds) * MICROS + MICROS / 2;
        let fits = self.open_micros() + micros <= longest;
        let same = self.open.is_empty() || self.section.as_ref() == section;
        if !fits || !same || self.open.len() >= Self::MAX_OPEN {
            return false;
        }
        let rounded = part.duration.as_micros().next_multiple_of(Self::TARGET_STEP);
        self.target_micros = self.target_micros.max(rounded);
        self.section = section.copied();
        self.open.push(part);
        true
    }

    /// The open segment became this one, the `number`th, or it never will.
    pub(crate) fn close(&mut self, number: usize, segment: &Segment, section: Option<&ContentId>) {
        let apart = self.open_micros().abs_diff(segment.duration.as_micros().into());
        let is_plain = !segment.flags.discontinuity() && !segment.flags.gap();
        let is_whole = apart <= Self::TOLERANCE_MICROS && self.section.as_ref() == section;
        let parts = std::mem::take(&mut self.open);
        // Players would take what is listed of a segment for all of it.
        if is_whole && is_plain && !parts.is_empty() {
            self.whole.push_back(Whole { number, parts });
        }
    }

    /// Forgets the parts of segments before the `first`.
    pub(crate) fn forget_before(&mut self, first: usize) {
        while self.whole.front().is_some_and(|whole| whole.number < first) {
            self.whole.pop_front();
        }
    }

    pub(crate) fn forget_open(&mut self) {
        self.open.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.open.is_empty()
    }

    /// The first whole segment that shows parts.
    pub(crate) fn first_whole(&self) -> Option<usize> {
        self.whole.front().map(|whole| whole.number)
    }

    /// The parts of a whole segment.
    pub(crate) fn of(&self, number: usize) -> &[ListPart] {
        let found = self.whole.iter().rev().find(|whole| whole.number == number);
        found.map_or(&[], |whole| &whole.parts)
    }

    pub(crate) fn open(&self) -> &[ListPart] {
        &self.open
    }

    /// The initialisation section of the open segment.
    pub(crate) fn section(&self) -> Option<&ContentId> {
        self.section.as_ref()
    }

    pub(crate) fn set_reports(&mut self, reports: Vec<RenditionReport>) {
        self.reports = reports;
    }

    pub(crate) fn reports(&self) -> &[RenditionReport] {
        &self.reports
    }

    /// Says in the header what a list with parts must say.
    pub(crate) fn announce(&self, header: &mut MediaHeader) {
        if self.is_empty() {
            return;
        }
        let times = |count| MediaDuration::from_micros(u64::from(self.target_micros) * count).ok();
        header.part_target = times(1);
        header.server_control =
            ServerControl { part_hold_back: times(Self::HOLD_BACK), ..header.server_control };
    }

    fn open_micros(&self) -> u64 {
        self.open.iter().map(|part| u64::from(part.duration.as_micros())).sum()
    }
}
