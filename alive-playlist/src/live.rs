//! A list that grows with its stream: [`LivePlaylist`], and what it becomes, [`EndedPlaylist`].

use alive_core::Segment;

use crate::{
    assemble::{HEADER_ROOM, ListSettings, SegmentWriter, Shape},
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
    shape: Shape,
    count: u64,
    text: Text,
}

impl LivePlaylist {
    /// A list without segments.
    pub fn new(settings: &ListSettings) -> Self {
        let shape = Shape::new(settings);
        let mut text = Text { bytes: vec![0; HEADER_ROOM], start: HEADER_ROOM };
        text.set_header(shape, false);
        Self { writer: SegmentWriter::new(settings), shape, count: 0, text }
    }

    /// Appends a segment. What is listed already does not change, but for the target duration and the version.
    pub fn push(&mut self, segment: &Segment) {
        let before = self.shape;
        self.shape.add(segment);
        if self.shape != before {
            self.text.set_header(self.shape, false);
        }
        self.writer.push(&mut self.text.bytes, segment);
        self.count += 1;
    }

    /// Number of segments, and of the next one.
    pub fn segment_count(&self) -> u64 {
        self.count
    }

    /// The target duration announced, in seconds. It only rises; a node keeps it over a restart.
    pub fn target_seconds(&self) -> u32 {
        self.shape.target()
    }

    /// The list's text, of type EVENT.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Closes the list: it becomes of type VOD and nothing can be added.
    #[must_use]
    pub fn end(mut self) -> EndedPlaylist {
        self.text.set_header(self.shape, true);
        self.text.bytes.extend_from_slice(ENDLIST);
        EndedPlaylist(self.text)
    }
}

impl Clone for LivePlaylist {
    /// Keeps the room to grow, so that the clone's next segment costs no move of the whole list.
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.text.bytes.capacity());
        bytes.extend_from_slice(&self.text.bytes);
        Self { writer: self.writer.clone(), text: Text { bytes, start: self.text.start }, ..*self }
    }
}

impl<'s> Extend<&'s Segment> for LivePlaylist {
    fn extend<I: IntoIterator<Item = &'s Segment>>(&mut self, segments: I) {
        let segments = segments.into_iter();
        self.text.bytes.reserve(segments.size_hint().0.saturating_mul(self.writer.usual_bytes()));
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

    fn set_header(&mut self, shape: Shape, ended: bool) {
        let mut header = Vec::with_capacity(HEADER_ROOM);
        push_header(&mut header, &shape.header(ended));
        self.start = HEADER_ROOM.saturating_sub(header.len());
        let place = self.bytes.iter_mut().skip(self.start);
        place.zip(header).for_each(|(byte, new)| *byte = new);
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
        let settings = ListSettings::default().target_seconds(u32::MAX.try_into().unwrap());
        let mut list = LivePlaylist::new(&settings);
        list.push(&gap);
        let mut header = Vec::new();
        push_header(&mut header, &list.shape.header(false));
        assert!(header.len() <= HEADER_ROOM && list.as_bytes().starts_with(&header));
    }

    #[test]
    fn a_clone_keeps_room_to_grow() {
        let mut list = LivePlaylist::new(&ListSettings::default());
        list.text.bytes.reserve(1 << 16);
        assert!(list.clone().text.bytes.capacity() > 1 << 16);
    }
}
