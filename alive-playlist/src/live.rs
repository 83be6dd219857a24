//! A list that grows with its stream: [`LivePlaylist`], and what it becomes, [`EndedPlaylist`].

use alive_core::{ContentId, Sections, Segment};

use crate::{
    assemble::{HEADER_ROOM, ListEntry, ListSettings, SegmentWriter},
    model::MediaHeader,
    outline::Outline,
    portion::Portion,
    write::{ENDLIST, push_header},
};

/// The list of a live stream, always ready to be served; a new segment only adds its own bytes.
///
/// The bytes are those that [`assemble`](crate::assemble()) gives for the same segments. The header may grow when a
/// longer segment or a gap comes, so it stands right-aligned in room kept free for it: the body never moves.
///
/// ```
/// use alive_core::Segment;
/// use alive_playlist::{ListSettings, LivePlaylist, assemble};
/// let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let segment = Segment::new(id, "13.133".parse()?);
/// let mut list = LivePlaylist::new(&ListSettings::default());
/// list.push(&segment);
/// assert_eq!(list.as_bytes(), assemble(&[segment], false, &ListSettings::default()));
/// assert_eq!(list.target_seconds(), 14);
/// assert!(list.end().as_bytes().ends_with(b"\n#EXT-X-ENDLIST\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LivePlaylist {
    writer: SegmentWriter,
    outline: Outline,
    sections: Sections,
    /// Where each segment's lines end, counted from the end of the header. Four thousand million bytes are more than any
    /// list has.
    ends: Vec<u32>,
    text: Text,
}

impl LivePlaylist {
    /// A list without segments.
    pub fn new(settings: &ListSettings) -> Self {
        let outline = Outline::new(settings);
        let mut text = Text { bytes: vec![0; HEADER_ROOM], start: HEADER_ROOM };
        text.set_header(&outline.header(false));
        let (writer, sections) = (SegmentWriter::starting_at(0, settings), Sections::default());
        Self { writer, outline, sections, ends: Vec::new(), text }
    }

    /// Appends a segment. What is listed already does not change, but for the target duration and the version.
    pub fn push<'s>(&mut self, entry: impl Into<ListEntry<'s>>) {
        let entry = entry.into();
        if self.outline.push(entry) {
            self.text.set_header(&self.outline.header(false));
        }
        self.writer.push(&mut self.text.bytes, entry);
        self.sections.push(entry.section.copied());
        self.ends.push(u32::try_from(self.text.bytes.len() - HEADER_ROOM).unwrap_or(u32::MAX));
    }

    /// Number of segments, and of the next one.
    pub fn segment_count(&self) -> u64 {
        u64::try_from(self.outline.len()).unwrap_or(u64::MAX)
    }

    /// The target duration announced, in seconds. It only rises; a node keeps it over a restart.
    pub fn target_seconds(&self) -> u32 {
        self.outline.target()
    }

    /// The list's text, of type EVENT.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The text in two pieces: the header, which may change, and the lines of the segments, which only grow.
    pub fn header_and_lines(&self) -> (&[u8], &[u8]) {
        let header = self.text.bytes.get(self.text.start..HEADER_ROOM).unwrap_or_default();
        (header, self.lines_from(0))
    }

    /// What is asked for of the list: the bytes that [`assemble_portion`](crate::assemble_portion) gives, for the cost of
    /// copying them.
    ///
    /// ```
    /// # use alive_core::Segment;
    /// # use alive_playlist::{ListSettings, LivePlaylist, Portion};
    /// # let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
    /// let mut list = LivePlaylist::new(&ListSettings::default().directives(true));
    /// list.extend(&vec![Segment::new(id, "10".parse()?); 8640]);
    /// let changes = list.portion(Portion::default().skip(true));
    /// assert!(changes.len() < 2000 && list.as_bytes().len() > 700_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn portion(&self, portion: Portion) -> Vec<u8> {
        let plan = self.outline.plan(portion, false);
        let lines = self.lines_from(plan.first);
        let mut out = Vec::with_capacity(HEADER_ROOM + lines.len());
        push_header(&mut out, &plan.header);
        if let Some(section) = self.section_in_force(plan.first)
            && plan.header.skipped_segments == 0
        {
            self.writer.push_map(&mut out, section);
        }
        out.extend_from_slice(lines);
        out
    }

    /// The initialisation section that a segment needs and its own lines do not name.
    fn section_in_force(&self, number: usize) -> Option<&ContentId> {
        let before = self.sections.at(number.checked_sub(1)?);
        let section = self.sections.at(number).filter(|section| before == Some(*section));
        section.filter(|_| !self.outline.is_discontinuity(number))
    }

    /// The text from a segment on, as it stands in the list.
    fn lines_from(&self, number: usize) -> &[u8] {
        let before = number.checked_sub(1).map(|before| self.ends.get(before));
        // Behind the last one there is nothing.
        let start = before.map_or(Some(0), |end| usize::try_from(*end?).ok());
        start.and_then(|start| self.text.bytes.get(HEADER_ROOM + start..)).unwrap_or_default()
    }

    /// Closes the list: it becomes of type VOD and nothing can be added.
    #[must_use]
    pub fn end(mut self) -> EndedPlaylist {
        self.text.set_header(&self.outline.header(true));
        self.text.bytes.extend_from_slice(ENDLIST);
        EndedPlaylist(self.text)
    }
}

impl Clone for LivePlaylist {
    /// Keeps the room to grow, so that the clone's next segment costs no move of the whole list.
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.text.bytes.capacity());
        bytes.extend_from_slice(&self.text.bytes);
        Self {
            writer: self.writer.clone(),
            outline: self.outline.clone(),
            sections: self.sections.clone(),
            ends: self.ends.clone(),
            text: Text { bytes, start: self.text.start },
        }
    }
}

impl<'s> Extend<&'s Segment> for LivePlaylist {
    fn extend<I: IntoIterator<Item = &'s Segment>>(&mut self, segments: I) {
        self.extend(segments.into_iter().map(ListEntry::from));
    }
}

impl<'s> Extend<ListEntry<'s>> for LivePlaylist {
    fn extend<I: IntoIterator<Item = ListEntry<'s>>>(&mut self, segments: I) {
        let segments = segments.into_iter();
        let more = segments.size_hint().0;
        self.text.bytes.reserve(more.saturating_mul(self.writer.usual_bytes()));
        self.outline.reserve(more);
        self.ends.reserve(more);
        for segment in segments {
            self.push(segment);
        }
    }
}

/// The list of a stream that has ended.
#[derive(Clone, Debug)]
pub struct EndedPlaylist(Text);

impl EndedPlaylist {
    /// The list's text, of type VOD.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The list's text, of type VOD, moved to the front of its memory.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.0.bytes.drain(..self.0.start);
        self.0.bytes
    }
}

/// A text whose header ends at a fixed place and begins where it must.
#[derive(Clone, Debug)]
struct Text {
    bytes: Vec<u8>,
    start: usize,
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn set_header(&mut self, header: &MediaHeader) {
        let mut text = Vec::with_capacity(HEADER_ROOM);
        push_header(&mut text, header);
        self.start = HEADER_ROOM.saturating_sub(text.len());
        let place = self.bytes.iter_mut().skip(self.start);
        place.zip(text).for_each(|(byte, new)| *byte = new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_header_fits_its_room() {
        let gap = alive_core::Flags::GAP;
        let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
        let gap = Segment::new(id, "1".parse().unwrap()).with_flags(gap);
        for target in [u32::MAX, 14_400] {
            let settings =
                ListSettings::default().target_seconds(target.try_into().unwrap()).directives(true);
            let mut list = LivePlaylist::new(&settings);
            list.push(&gap);
            let mut header = Vec::new();
            push_header(&mut header, &list.outline.header(false));
            assert!(header.len() <= HEADER_ROOM && list.as_bytes().starts_with(&header));
        }
    }

    #[test]
    fn a_clone_keeps_room_to_grow() {
        let mut list = LivePlaylist::new(&ListSettings::default());
        list.text.bytes.reserve(1 << 16);
        assert!(list.clone().text.bytes.capacity() > 1 << 16);
    }
}
