//! A list that grows with its stream: [`LivePlaylist`], and what it becomes, [`EndedPlaylist`].

use alive_core::{ContentId, Sections, Segment};

use crate::{
    assemble::{HEADER_ROOM, ListEntry, ListSettings, SegmentWriter},
    model::MediaHeader,
    outline::Outline,
    parts::{ListPart, Parts, RenditionReport},
    portion::Portion,
    reload::ListEnd,
    write::{ENDLIST, push_header, push_report},
};

/// The list of a live stream, always ready to be served; a new segment only adds its own bytes.
///
/// The bytes are those that [`assemble`](crate::assemble()) gives for the same segments. The header may grow when a
/// longer segment or a gap comes, so it stands right-aligned in room kept free for it: the body never moves.
///
/// It may show parts of the segment that is being recorded, and of the newest whole ones: [`push_part`](Self::push_part).
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
    /// Without parts.
    text: Text,
    parts: Parts,
}

impl LivePlaylist {
    /// A list without segments.
    pub fn new(settings: &ListSettings) -> Self {
        let outline = Outline::new(settings);
        let mut text = Text { bytes: vec![0; HEADER_ROOM], start: HEADER_ROOM };
        text.set_header(&outline.header(false));
        let (writer, sections) = (SegmentWriter::starting_at(0, settings), Sections::default());
        Self { writer, outline, sections, ends: Vec::new(), text, parts: Parts::default() }
    }

    /// Appends a segment. What is listed already does not change, but for the target duration and the version.
    pub fn push<'s>(&mut self, entry: impl Into<ListEntry<'s>>) {
        let entry = entry.into();
        if !self.parts.is_empty() {
            self.parts.close(self.outline.len(), entry.segment, entry.section);
        }
        if self.outline.push(entry) {
            self.text.set_header(&self.outline.header(false));
        }
        self.writer.push(&mut self.text.bytes, entry);
        self.sections.push(entry.section.copied());
        self.ends.push(u32::try_from(self.text.bytes.len() - HEADER_ROOM).unwrap_or(u32::MAX));
        if !self.parts.is_empty() {
            self.parts.forget_before(self.outline.first_within(Parts::KEPT_TARGETS));
        }
    }

    /// Appends a part of the segment behind the last one, which needs this section; whether it could be one.
    ///
    /// It cannot when there are 256 already, when all together would not round to the target duration, or when its
    /// section is not that of those before it. The next segment takes over the parts if they are all of it, by their
    /// length and section; else they are dropped. They are listed for three target durations.
    ///
    /// ```
    /// # use alive_core::Segment;
    /// use alive_playlist::{ListPart, ListSettings, LivePlaylist, MediaPlaylist};
    /// let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
    /// let mut list = LivePlaylist::new(&ListSettings::default());
    /// list.push(&Segment::new(id, "4".parse()?));
    /// assert!(list.push_part(ListPart::new(id, "1.5".parse()?), None));
    /// let text = list.to_bytes();
    /// let read = MediaPlaylist::read(&text)?;
    /// assert_eq!(read.open().map(|open| open.parts.len()), Some(1));
    /// assert_eq!(read.header().part_target, Some("1.5".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_part(&mut self, part: ListPart, section: Option<&ContentId>) -> bool {
        self.parts.push(part, section, self.outline.target())
    }

    /// Takes back the parts of the segment behind the last one: it will never be.
    pub fn forget_open_parts(&mut self) {
        self.parts.forget_open();
    }

    /// Says how far the lists of the other renditions are, as long as there are parts.
    pub fn set_reports(&mut self, reports: Vec<RenditionReport>) {
        self.parts.set_reports(reports);
    }

    /// Shows the parts that another list of the same segments shows.
    #[must_use]
    pub fn with_parts_of(self, other: &Self) -> Self {
        Self { parts: other.parts.clone(), ..self }
    }

    /// Whether it shows any part.
    pub fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// How far it is, in segments and parts.
    pub fn list_end(&self) -> ListEnd {
        let count = |parts: &[ListPart]| u64::try_from(parts.len()).unwrap_or(u64::MAX);
        let last = self.outline.len().checked_sub(1).map_or(&[][..], |last| self.parts.of(last));
        ListEnd {
            next: self.segment_count(),
            last_parts: count(last),
            open_parts: count(self.parts.open()),
        }
    }

    /// Number of segments, and of the next one.
    pub fn segment_count(&self) -> u64 {
        u64::try_from(self.outline.len()).unwrap_or(u64::MAX)
    }

    /// The target duration announced, in seconds. It only rises; a node keeps it over a restart.
    pub fn target_seconds(&self) -> u32 {
        self.outline.target()
    }

    /// The list's text, of type EVENT, without any part.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The list's text, of type EVENT.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pieces().to_bytes()
    }

    /// The list's text in pieces.
    pub fn pieces(&self) -> Pieces<'_> {
        let settled = self.settled();
        let (header, tail) = if self.parts.is_empty() {
            let header = self.text.bytes.get(self.text.start..HEADER_ROOM).unwrap_or_default();
            (header.to_vec(), Vec::new())
        } else {
            let mut header = Vec::with_capacity(HEADER_ROOM);
            push_header(&mut header, &self.announced(self.outline.header(false)));
            let mut tail = Vec::new();
            self.push_tail(&mut tail, settled);
            (header, tail)
        };
        Pieces { header, lines: self.lines(0, settled), tail }
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
        let settled = self.settled().max(plan.first);
        let lines = self.lines(plan.first, settled);
        let mut out = Vec::with_capacity(HEADER_ROOM + lines.len());
        push_header(&mut out, &self.announced(plan.header.clone()));
        if let Some(section) = self.section_in_force(plan.first)
            && plan.header.skipped_segments == 0
        {
            self.writer.push_map(&mut out, section);
        }
        out.extend_from_slice(lines);
        self.push_tail(&mut out, settled);
        out
    }

    /// A header that says what the parts ask for.
    fn announced(&self, mut header: MediaHeader) -> MediaHeader {
        self.parts.announce(&mut header);
        header
    }

    /// The first segment whose lines may still change, because it shows parts.
    fn settled(&self) -> usize {
        self.parts.first_whole().unwrap_or(self.outline.len())
    }

    /// Writes the lines from a segment on with the parts that they show.
    fn push_tail(&self, out: &mut Vec<u8>, from: usize) {
        let len = self.outline.len();
        for number in from..len {
            let lines = self.lines(number, number + 1);
            let parts = self.parts.of(number);
            let at = memchr::memmem::rfind(lines, b"#EXTINF:").unwrap_or(0);
            let (before, extinf) = lines.split_at_checked(at).unwrap_or((&[], lines));
            out.extend_from_slice(before);
            self.writer.push_parts(out, number, self.sections.at(number), parts);
            out.extend_from_slice(extinf);
        }
        let open = self.parts.open();
        let section = self.parts.section();
        if let Some(section) = section.filter(|_| !open.is_empty())
            && self.writer.section() != Some(section)
        {
            self.writer.push_map(out, section);
        }
        self.writer.push_parts(out, len, section, open);
        if !self.parts.is_empty() {
            self.parts.reports().iter().for_each(|report| push_report(out, report));
        }
    }

    /// The initialisation section that a segment needs and its own lines do not name.
    fn section_in_force(&self, number: usize) -> Option<&ContentId> {
        let before = self.sections.at(number.checked_sub(1)?);
        let section = self.sections.at(number).filter(|section| before == Some(*section));
        section.filter(|_| !self.outline.is_discontinuity(number))
    }

    /// The lines of these segments, without parts.
    fn lines(&self, from: usize, until: usize) -> &[u8] {
        let start = |number: usize| {
            let end = number.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
            end.and_then(|end| usize::try_from(*end).ok()).map(|end| HEADER_ROOM + end)
        };
        let range = start(from).zip(start(until)).map(|(start, end)| start..end);
        range.and_then(|range| self.text.bytes.get(range)).unwrap_or_default()
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
            parts: self.parts.clone(),
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

/// The text of a live list in pieces, so that what does not change need not be looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pieces<'l> {
    /// What may change.
    pub header: Vec<u8>,
    /// Lines of segments. They only grow.
    pub lines: &'l [u8],
    /// Lines that may change because they show parts; none in a list without.
    pub tail: Vec<u8>,
}

impl Pieces<'_> {
    /// All of them.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.header, self.lines, &self.tail].concat()
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
