//! Which initialisation section each segment of a list needs: [`Sections`].

use std::ops::Range;

use crate::content::ContentId;

/// The initialisation sections of a list's segments, by place. A recorder writes one and names it for hours, so only the
/// places are kept at which another one begins. It grows with its list, at the end.
///
/// ```
/// use alive_core::{ContentId, Sections};
/// let init: ContentId = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let mut sections = Sections::default();
/// sections.push(None);
/// sections.push(Some(init));
/// sections.push(Some(init));
/// assert_eq!((sections.at(0), sections.at(2)), (None, Some(&init)));
/// assert_eq!(sections.since(1).take(3).collect::<Vec<_>>(), [Some(&init), Some(&init)]);
/// # Ok::<(), alive_core::ContentIdError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// Where each run begins, and what holds from there on. Before the first there is none.
    runs: Vec<(usize, Option<ContentId>)>,
    len: usize,
}

impl Sections {
    /// The next segment needs this section, or none.
    pub fn push(&mut self, section: Option<ContentId>) {
        let last = self.runs.last().and_then(|(_, last)| *last);
        if last != section {
            self.runs.push((self.len, section));
        }
        self.len += 1;
    }

    /// How many segments were counted.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no segment was counted.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no segment needs one.
    pub fn are_none(&self) -> bool {
        self.runs.is_empty()
    }

    /// The section that the segment of a place needs.
    pub fn at(&self, place: usize) -> Option<&ContentId> {
        self.runs.get(self.run_at(place)?).filter(|_| place < self.len)?.1.as_ref()
    }

    /// The sections of all segments from a place on, in order.
    pub fn since(&self, place: usize) -> impl Iterator<Item = Option<&ContentId>> + Clone {
        let run = self.run_at(place);
        let mut holds = run.and_then(|run| self.runs.get(run)?.1.as_ref());
        let mut coming = self.runs.iter().skip(run.map_or(0, |run| run + 1)).peekable();
        (place..self.len).map(move |place| {
            if let Some((_, section)) = coming.next_if(|(start, _)| *start == place) {
                holds = section.as_ref();
            }
            holds
        })
    }

    /// Every section once for each run of segments that need it, in order.
    pub fn each(&self) -> impl Iterator<Item = &ContentId> {
        self.runs.iter().filter_map(|(_, section)| section.as_ref())
    }

    /// Each run of segments that need the same section, in order.
    pub fn runs(&self) -> impl Iterator<Item = (Range<usize>, &ContentId)> {
        let ends = self.runs.iter().skip(1).map(|(start, _)| *start).chain([self.len]);
        let runs = self.runs.iter().zip(ends);
        runs.filter_map(|((start, section), end)| Some((*start..end, section.as_ref()?)))
    }

    /// The run that a place is in.
    fn run_at(&self, place: usize) -> Option<usize> {
        self.runs.partition_point(|(start, _)| *start <= place).checked_sub(1)
    }
}

impl FromIterator<Option<ContentId>> for Sections {
    fn from_iter<I: IntoIterator<Item = Option<ContentId>>>(all: I) -> Self {
        let mut sections = Self::default();
        for section in all {
            sections.push(section);
        }
        sections
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(byte: u8) -> ContentId {
        let hash = multihash::Multihash::wrap(0x12, &[byte; 32]).unwrap();
        ContentId::from_cid(&cid::Cid::new_v1(0x55, hash)).unwrap()
    }

    proptest! {
        #[test]
        fn it_tells_what_a_plain_list_would(
            all in prop::collection::vec(prop::option::of(0..3_u8), 0..40),
            from in 0..50_usize,
        ) {
            let plain: Vec<_> = all.iter().map(|byte| byte.map(id)).collect();
            let sections: Sections = plain.iter().copied().collect();
            prop_assert_eq!(sections.len(), plain.len());
            prop_assert_eq!(sections.is_empty(), plain.is_empty());
            prop_assert_eq!(sections.are_none(), plain.iter().all(Option::is_none));
            for place in 0..plain.len() + 2 {
                prop_assert_eq!(sections.at(place), plain.get(place).and_then(Option::as_ref));
            }
            let rest: Vec<_> = sections.since(from).map(Option::<&ContentId>::copied).collect();
            prop_assert_eq!(&rest[..], plain.get(from..).unwrap_or_default());
            let mut by_run = vec![None; plain.len()];
            let mut last = 0;
            for (places, section) in sections.runs() {
                prop_assert!(last <= places.start && places.start < places.end);
                last = places.end;
                by_run[places].fill(Some(*section));
            }
            prop_assert_eq!(&by_run, &plain);
            let mut runs: Vec<_> = plain.clone();
            runs.dedup();
            prop_assert_eq!(sections.each().copied().collect::<Vec<_>>(), runs.into_iter().flatten().collect::<Vec<_>>());
        }
    }
}
