//! What this node has of one list: [`Held`], its segments and the initialisation sections that they need.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use alive_core::{ContentId, Listed, Sections, StorageKind};

use super::segments::{Pass, Segments};
use crate::presence::{Absence, Found};

/// The presence of the segments of one list and of the sections that they need. Without its section a segment cannot be
/// played, wherever it is.
#[derive(Debug, Default)]
pub(super) struct Held {
    segments: Segments,
    /// By the runs of segments that need the same one.
    sections: Segments,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    Sections,
    Segments,
}

/// A section that this node does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AbsentSection {
    pub(super) content: ContentId,
    pub(super) why: Absence,
    /// The first segment that needs it.
    pub(super) first: usize,
    /// How many segments need it.
    pub(super) segments: usize,
}

impl Held {
    /// About how many bytes it takes for each segment.
    pub(super) const BYTES: usize = Segments::BYTES;

    /// Takes over what the list has behind that which it has.
    pub(super) fn extend(&mut self, listed: &[Listed], sections: &Sections) {
        self.segments.extend(sought_segments(listed));
        self.sections.extend(sought_sections(sections));
    }

    /// Takes over a list that was made afresh.
    pub(super) fn replace(&mut self, listed: &[Listed], sections: &Sections) {
        self.segments.replace(sought_segments(listed));
        self.sections.replace(sought_sections(sections));
    }

    /// Takes the result of looking for content; whether anything is known now that was not.
    pub(super) fn settle(&mut self, id: &ContentId, found: Found) -> bool {
        // The same content may be both.
        self.segments.settle(id, found) | self.sections.settle(id, found)
    }

    /// The next to look for, see [`Segments::batch`].
    pub(super) fn batch(
        &self,
        sought: Sought,
        listed: &[Listed],
        sections: &Sections,
        (pass, from, limit): (Pass, usize, usize),
    ) -> (Vec<ContentId>, Option<usize>) {
        match sought {
            Sought::Sections => self.sections.batch(sections.each().copied(), pass, from, limit),
            Sought::Segments => {
                let contents = listed.iter().map(|listed| listed.segment.content);
                self.segments.batch(contents, pass, from, limit)
            }
        }
    }

    /// The segments that were not found, by their place.
    pub(super) fn absent(&self) -> &BTreeMap<u32, Absence> {
        self.segments.absent()
    }

    /// The sections that were not found, each once.
    pub(super) fn absent_sections(&self, sections: &Sections) -> Vec<AbsentSection> {
        let mut absent: Vec<AbsentSection> = Vec::new();
        let mut places = HashMap::new();
        for (segments, content, why) in self.lost_runs(sections) {
            let place = *places.entry(content.canonical()).or_insert(absent.len());
            match absent.get_mut(place) {
                Some(known) => known.segments += segments.len(),
                None => {
                    let (first, segments) = (segments.start, segments.len());
                    absent.push(AbsentSection { content: *content, why, first, segments });
                }
            }
        }
        absent
    }

    /// The segments that cannot be had or played.
    pub(super) fn lost<'s>(&'s self, sections: &'s Sections) -> impl Iterator<Item = usize> {
        let absent = self.absent().keys().filter_map(|place| usize::try_from(*place).ok());
        absent.chain(self.lost_runs(sections).flat_map(|(segments, _, _)| segments))
    }

    /// How many that are.
    pub(super) fn lost_count(&self, sections: &Sections) -> usize {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let only_section = |run: &Range<usize>| {
            run.len() - self.absent().range(place(run.start)..place(run.end)).count()
        };
        let runs = self.lost_runs(sections).map(|(segments, _, _)| only_section(&segments));
        self.absent().len() + runs.sum::<usize>()
    }

    /// How many were not looked for yet, or the backend did not tell.
    pub(super) fn open(&self) -> usize {
        self.segments.open() + self.sections.open()
    }

    /// How many were not looked for yet.
    pub(super) fn unlooked(&self) -> usize {
        self.segments.unlooked() + self.sections.unlooked()
    }

    /// How many are to be looked for again soon.
    pub(super) fn lacking(&self) -> usize {
        self.segments.lacking() + self.sections.lacking()
    }

    /// The runs of segments whose section was not found.
    fn lost_runs<'s>(
        &'s self,
        sections: &'s Sections,
    ) -> impl Iterator<Item = (Range<usize>, &'s ContentId, Absence)> {
        // Most lists lack none, and then none of their runs is looked at.
        let runs = (!self.sections.absent().is_empty()).then(|| sections.runs());
        runs.into_iter().flatten().filter_map(|(segments, content)| {
            Some((segments, content, self.sections.absence(content)?))
        })
    }
}

/// What the streamer itself gave up, or is kept elsewhere, is not looked for.
fn sought_segments(listed: &[Listed]) -> impl Iterator<Item = Option<ContentId>> {
    listed.iter().map(|Listed { segment, .. }| {
        Some(segment.content).filter(|content| !segment.flags.gap() && is_here(content))
    })
}

fn sought_sections(sections: &Sections) -> impl Iterator<Item = Option<ContentId>> {
    sections.each().map(|content| Some(*content).filter(is_here))
}

fn is_here(content: &ContentId) -> bool {
    content.kind() == StorageKind::Ipfs
}

#[cfg(test)]
mod tests;
