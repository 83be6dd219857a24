//! A bundle of segments under one content id: [`Chunk`] and its CSV.
//!
//! One line a segment, `content id,seconds` and optionally a column of flags, lines joined by a line feed, at most
//! 4200 bytes. Source: `spec/indexer.md`, section 4.

use std::str::FromStr;

use crate::{
    content::{ContentIdError, StorageKind},
    segment::{Flags, FlagsError, Segment, SegmentDuration, SegmentDurationError},
};

/// The segments of a chunk, at least one, in playing order.
///
/// ```
/// use alive_core::Chunk;
/// let csv = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH,10.033";
/// let chunk: Chunk = csv.parse()?;
/// assert_eq!(chunk.segments().len(), 1);
/// assert_eq!(Chunk::encode(chunk.segments())?, csv);
/// # Ok::<(), alive_core::ChunkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk(Box<[Segment]>);

impl Chunk {
    /// Largest chunk, in bytes, every byte counted.
    pub const MAX_BYTES: usize = 4200;

    /// The segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Reads the bytes of a chunk, strictly; a chunk is refused whole.
    ///
    /// # Errors
    /// What is wrong and in which line.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(ChunkError::TooLarge(bytes.len()));
        }
        std::str::from_utf8(bytes).map_err(|e| ChunkError::Utf8(e.valid_up_to()))?.parse()
    }

    /// Writes segments as a chunk; lengths are rounded half up to milliseconds.
    ///
    /// # Errors
    /// No segment, more than [`MAX_BYTES`](Self::MAX_BYTES), or a length that rounds out of range.
    pub fn encode(segments: &[Segment]) -> Result<String, ChunkError> {
        let mut writer = ChunkWriter::default();
        for (line, segment) in (1..).zip(segments) {
            match writer.push(segment) {
                Ok(true) => {}
                Ok(false) => return Err(ChunkError::TooLarge(writer.would_be(segment))),
                Err(reason) => return Err(ChunkError::Length { line, reason }),
            }
        }
        writer.finish().ok_or(ChunkError::Empty)
    }

    /// Whether every content id is of the storage that the stream uses; if not, the chunk counts as missing.
    pub fn fits(&self, storage: StorageKind) -> bool {
        self.0.iter().all(|segment| segment.content.kind() == storage)
    }
}

impl FromStr for Chunk {
    type Err = ChunkError;

    fn from_str(csv: &str) -> Result<Self, ChunkError> {
        if csv.len() > Self::MAX_BYTES {
            return Err(ChunkError::TooLarge(csv.len()));
        }
        if csv.is_empty() {
            return Err(ChunkError::Empty);
        }
        let body = csv.strip_suffix('\n').unwrap_or(csv);
        let lines = body.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        (1..)
            .zip(lines)
            .map(|(line, text)| decode_line(line, text))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn decode_line(line: usize, text: &str) -> Result<Segment, ChunkError> {
    let mut columns = text.split(',');
    let (Some(id), Some(length)) = (columns.next(), columns.next()) else {
        return Err(ChunkError::Columns { line, count: usize::from(!text.is_empty()) });
    };
    let flags = columns.next();
    if columns.next().is_some() {
        return Err(ChunkError::Columns { line, count: text.split(',').count() });
    }
    let content = id.parse().map_err(|reason| ChunkError::Content { line, reason })?;
    let duration: SegmentDuration =
        length.parse().map_err(|reason| ChunkError::Length { line, reason })?;
    let flags = flags.map(Flags::from_str).transpose();
    let flags = flags.map_err(|reason| ChunkError::Flags { line, reason })?.unwrap_or_default();
    Ok(Segment { content, duration, flags })
}

/// Writes a chunk segment by segment and says when one more would not fit.
///
/// ```
/// use alive_core::{Chunk, ChunkWriter, Segment};
/// let segment = Segment::new("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?, "4".parse()?);
/// let mut writer = ChunkWriter::default();
/// while writer.push(&segment)? {}
/// assert_eq!(writer.count(), 82);
/// assert!(writer.finish().is_some_and(|csv| csv.len() <= Chunk::MAX_BYTES));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChunkWriter {
    csv: String,
    count: usize,
}

impl ChunkWriter {
    /// Adds a segment, its length rounded half up to milliseconds. `false` means that it does not fit any more, and
    /// nothing changed.
    ///
    /// # Errors
    /// The rounded length is out of range; nothing changed.
    pub fn push(&mut self, segment: &Segment) -> Result<bool, SegmentDurationError> {
        let length = segment.duration.to_millis_precision()?;
        let before = self.csv.len();
        self.write_line(segment, length);
        if self.csv.len() > Chunk::MAX_BYTES {
            self.csv.truncate(before);
            return Ok(false);
        }
        self.count += 1;
        Ok(true)
    }

    /// How many segments it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The finished CSV, `None` when no segment was added.
    pub fn finish(self) -> Option<String> {
        (self.count > 0).then_some(self.csv)
    }

    fn write_line(&mut self, segment: &Segment, length: SegmentDuration) {
        if self.count > 0 {
            self.csv.push('\n');
        }
        self.csv.push_str(segment.content.as_str());
        self.csv.push(',');
        self.csv.push_str(&length.to_string());
        if segment.flags != Flags::NONE {
            self.csv.push(',');
            self.csv.push_str(segment.flags.as_str());
        }
    }

    /// How many bytes the chunk would have with this segment, too.
    fn would_be(&self, segment: &Segment) -> usize {
        let mut longer = self.clone();
        longer.write_line(segment, segment.duration);
        longer.csv.len()
    }
}

/// Why bytes are no [`Chunk`], or segments cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// A line has another number of columns.
    #[error("line {line}: {count} columns, two or three allowed")]
    Columns {
        /// The line, from 1.
        line: usize,
        /// How many it has.
        count: usize,
    },
    /// A content id is not one.
    #[error("line {line}: {reason}")]
    Content {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: ContentIdError,
    },
    /// There is no segment.
    #[error("no segments")]
    Empty,
    /// The flags are none.
    #[error("line {line}: {reason}")]
    Flags {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: FlagsError,
    },
    /// A length is none.
    #[error("line {line}: {reason}")]
    Length {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: SegmentDurationError,
    },
    /// It has this many bytes.
    #[error("chunk of {0} bytes, at most {max} allowed", max = Chunk::MAX_BYTES)]
    TooLarge(usize),
    /// It is not UTF-8 from this byte on.
    #[error("not UTF-8 at byte {0}")]
    Utf8(usize),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::ContentId;

    const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

    #[rstest]
    #[case("", ChunkError::Empty)]
    #[case("\n", ChunkError::Columns { line: 1, count: 0 })]
    #[case("a", ChunkError::Columns { line: 1, count: 1 })]
    #[case("a,1,d,x", ChunkError::Columns { line: 1, count: 4 })]
    fn a_refusal_names_the_line(#[case] csv: &str, #[case] why: ChunkError) {
        assert_eq!(csv.parse::<Chunk>(), Err(why));
    }

    #[test]
    fn exactly_4200_bytes_are_read_and_one_more_is_not() {
        let lines = format!("{CID},4.0\n").repeat(80);
        let zeros = Chunk::MAX_BYTES - lines.len() - CID.len() - ",1".len();
        let full = format!("{lines}{CID},{}1", "0".repeat(zeros));
        assert_eq!(full.len(), Chunk::MAX_BYTES);
        assert!(full.parse::<Chunk>().is_ok());
        assert_eq!(format!("{full}\n").parse::<Chunk>(), Err(ChunkError::TooLarge(4201)));
    }

    fn any_segment() -> impl Strategy<Value = Segment> {
        (any::<[u8; 32]>(), 1..99_999_u32, 0..5_usize).prop_map(|(digest, ms, flags)| {
            let hash = multihash::Multihash::wrap(0x12, &digest).unwrap();
            let flags = ["", "d", "g", "dg", "gd"][flags];
            Segment {
                content: ContentId::from_cid(&cid::Cid::new_v0(hash).unwrap()).unwrap(),
                duration: SegmentDuration::from_micros(ms * 1000).unwrap(),
                flags: flags.parse().unwrap_or_default(),
            }
        })
    }

    proptest! {
        #[test]
        fn csv_round_trips(segments in proptest::collection::vec(any_segment(), 1..70)) {
            let csv = Chunk::encode(&segments).unwrap();
            let chunk: Chunk = csv.parse().unwrap();
            prop_assert_eq!(chunk.segments(), &segments[..]);
            prop_assert_eq!(Chunk::encode(chunk.segments()).unwrap(), csv.clone());
            let dos = format!("{}\r\n", csv.replace('\n', "\r\n"));
            prop_assert_eq!(dos.len() > Chunk::MAX_BYTES || dos.parse() == Ok(chunk), true);
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let _ = Chunk::decode(&bytes);
        }

        #[test]
        fn a_writer_never_passes_the_limit(segments in proptest::collection::vec(any_segment(), 60..120)) {
            let mut writer = ChunkWriter::default();
            let taken = segments.iter().take_while(|segment| writer.push(segment).unwrap()).count();
            let csv = writer.finish().unwrap();
            prop_assert!(csv.len() <= Chunk::MAX_BYTES);
            let chunk: Chunk = csv.parse().unwrap();
            prop_assert_eq!(chunk.segments(), &segments[..taken]);
        }
    }
}
