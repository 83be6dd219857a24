//! What must be known of a list's segments to write any [portion](Portion) of it: [`Outline`].

use alive_core::Segment;

use crate::{
    assemble::{ListEntry, ListSettings},
    decimal::MICROS,
    model::{MediaHeader, PlaylistType, ServerControl},
    portion::{Portion, Window},
    time::MediaDuration,
};

/// A list keeps at least this many target durations of media, and players stay as far from its end.
/// Source: `spec/hls.md`, sections 5 and 7.
const KEPT_TARGETS: u64 = 3;
/// Segments that end earlier than this many target durations before the end may be left out.
/// Source: `spec/hls.md`, section 7.
const SKIP_TARGETS: u64 = 6;

/// The segments of a list, four bytes each, and what its header says because of them.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    marks: Vec<Mark>,
    target: u32,
    has_gap: bool,
    /// How many segments there were before each rise of the target, and the target until then.
    rises: Vec<(usize, u32)>,
    directives: bool,
    has_section: bool,
}

/// How to write a portion: its header, and the number of the first segment to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) header: MediaHeader,
    pub(crate) first: usize,
}

impl Outline {
    pub(crate) fn new(settings: &ListSettings) -> Self {
        Self {
            marks: Vec::new(),
            target: settings.target_seconds.get(),
            has_gap: false,
            rises: Vec::new(),
            directives: settings.directives,
            has_section: false,
        }
    }

    /// Takes a segment; whether the header of the whole list changed. Nothing that it changes is ever taken back.
    pub(crate) fn push(&mut self, entry: ListEntry<'_>) -> bool {
        let mark = Mark::new(entry.segment);
        let needed = u32::try_from(mark.micros().div_ceil(MICROS)).unwrap_or(u32::MAX);
        let rises = needed > self.target;
        if rises {
            self.rises.push((self.marks.len(), self.target));
            self.target = needed;
        }
        let first_gap = mark.is_gap() && !self.has_gap;
        self.has_gap |= first_gap;
        let first_section = entry.section.is_some() && !self.has_section;
        self.has_section |= first_section;
        self.marks.push(mark);
        rises || first_gap || first_section
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        self.marks.reserve(more);
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn target(&self) -> u32 {
        self.target
    }

    /// The first segment that ends less than so many target durations before the end.
    pub(crate) fn first_within(&self, targets: u64) -> usize {
        let wanted = targets_micros(self.target, targets);
        let mut behind = 0;
        let old = self.marks.iter().enumerate().rev().find(|(_, mark)| {
            let is_old = behind >= wanted;
            behind += mark.micros();
            is_old
        });
        old.map_or(0, |(number, _)| number + 1)
    }

    /// Whether something breaks before a segment.
    pub(crate) fn is_discontinuity(&self, number: usize) -> bool {
        self.marks.get(number).is_some_and(|mark| mark.is_discontinuity())
    }

    /// The header of the whole list.
    pub(crate) fn header(&self, ended: bool) -> MediaHeader {
        MediaHeader {
            version: Some(self.version(self.has_gap)),
            playlist_type: Some(if ended { PlaylistType::Vod } else { PlaylistType::Event }),
            ended,
            server_control: self.server_control(ended),
            ..MediaHeader::new(self.target.into())
        }
    }

    pub(crate) fn plan(&self, portion: Portion, ended: bool) -> Plan {
        let whole = self.header(ended);
        let start = portion.window.map_or(0, |window| self.window_start(window));
        let skips = portion.skip && whole.server_control.can_skip_until.is_some();
        let first = if skips { self.first_unskippable(start) } else { start };
        if portion.window.is_none() && first == 0 {
            return Plan { header: whole, first };
        }
        let listed = self.marks.get(first..).unwrap_or_default();
        let version = if first > start {
            9
        } else {
            self.version(self.has_gap && listed.iter().any(|mark| mark.is_gap()))
        };
        let gone = self.marks.get(..start).unwrap_or_default();
        let discontinuities = gone.iter().filter(|mark| mark.is_discontinuity()).count();
        let header = MediaHeader {
            version: Some(version),
            media_sequence: wide(start),
            discontinuity_sequence: wide(discontinuities),
            playlist_type: whole.playlist_type.filter(|_| portion.window.is_none()),
            skipped_segments: wide(first - start),
            ..whole
        };
        Plan { header, first }
    }

    fn version(&self, has_gap: bool) -> u64 {
        // Source: `spec/hls.md`, section 4; 7 is what recorders write for fragments.
        match (has_gap, self.has_section) {
            (true, _) => 8,
            (false, true) => 7,
            (false, false) => 3,
        }
    }

    /// What is offered; nothing for a list that will not change.
    fn server_control(&self, ended: bool) -> ServerControl {
        if ended || !self.directives {
            return ServerControl::default();
        }
        // A target of many hours has no such times: then only what needs none is offered.
        let targets = |count| MediaDuration::from_micros(targets_micros(self.target, count)).ok();
        ServerControl {
            can_block_reload: true,
            can_skip_until: targets(SKIP_TARGETS),
            hold_back: targets(KEPT_TARGETS),
            part_hold_back: None,
        }
    }

    /// The number of the first segment in a window. It never falls while the list grows: a rise of the target, which
    /// widens short windows, brings back nothing that has left them.
    fn window_start(&self, window: Window) -> usize {
        let start = |count: usize, target| {
            let wanted = u64::from(window.seconds()) * MICROS;
            let wanted = wanted.max(targets_micros(target, KEPT_TARGETS));
            let mut held = 0;
            let before = self.marks.get(..count).unwrap_or_default().iter().enumerate().rev();
            let reached = before.into_iter().find(|(_, mark)| {
                held += mark.micros();
                held >= wanted
            });
            reached.map_or(0, |(number, _)| number)
        };
        let now = start(self.marks.len(), self.target);
        self.rises.iter().map(|&(count, target)| start(count, target)).fold(now, usize::max)
    }

    /// The number of the first segment that may not be left out of a list that starts at `start`.
    fn first_unskippable(&self, start: usize) -> usize {
        let boundary = targets_micros(self.target, SKIP_TARGETS);
        let mut behind = 0;
        let old = self.marks.iter().enumerate().skip(start).rev().find(|(_, mark)| {
            let is_old = behind > boundary;
            behind += mark.micros();
            is_old
        });
        old.map_or(start, |(number, _)| number + 1)
    }
}

fn targets_micros(target: u32, count: u64) -> u64 {
    u64::from(target) * MICROS * count
}

/// Duration and flags of a segment: microseconds below 2^27, the flags above.
#[derive(Clone, Copy, Debug)]
struct Mark(u32);

impl Mark {
    const DISCONTINUITY: u32 = 1 << 31;
    const GAP: u32 = 1 << 30;

    fn new(segment: &Segment) -> Self {
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = segment.flags;
        Self(
            segment.duration.as_micros()
                | flag(flags.discontinuity(), Self::DISCONTINUITY)
                | flag(flags.gap(), Self::GAP),
        )
    }

    fn micros(self) -> u64 {
        u64::from(self.0 & !(Self::DISCONTINUITY | Self::GAP))
    }

    fn is_discontinuity(self) -> bool {
        self.0 & Self::DISCONTINUITY != 0
    }

    fn is_gap(self) -> bool {
        self.0 & Self::GAP != 0
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alive_core::{Flags, SegmentDuration};

    use super::*;

    #[test]
    fn a_mark_holds_the_longest_segment_and_both_flags() {
        let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
        let longest = SegmentDuration::from_micros(SegmentDuration::LIMIT_MICROS - 1).unwrap();
        for (discontinuity, gap) in [(false, false), (false, true), (true, false), (true, true)] {
            let segment = Segment::new(id, longest).with_flags(Flags::new(discontinuity, gap));
            let mark = Mark::new(&segment);
            assert_eq!(mark.micros(), 99_999_999);
            assert_eq!((mark.is_discontinuity(), mark.is_gap()), (discontinuity, gap));
        }
    }
}
