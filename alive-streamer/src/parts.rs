//! Reading the parts of the segment that is being recorded: [`PartReader`], [`TakenPart`]. It blocks.
//!
//! What it goes by:
//!
//! - A part is complete when it is listed, as a segment is. Of a file that grows exactly the listed bytes are taken.
//! - Parts are taken in their order. Behind one that cannot be taken none is, until the segment is whole.
//! - A part that is listed anew with another name, range or length is another one, and so are those behind it.
//! - Nothing here is remembered when the segment is whole, and nothing is written down.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    time::Duration,
};

use alive_core::SegmentDuration;
use alive_playlist::{ByteRange, RecordedPart};
use bytes::Bytes;

use crate::{
    files::{read_unchanged, state_of},
    watch::Section,
};

/// A part of the segment that is being recorded, as it was read.
#[derive(Clone, Debug)]
pub(crate) struct TakenPart {
    /// Its place in the segment. One at a place that was told before replaces that part and those behind it.
    pub(crate) index: u8,
    /// How long it plays, in whole milliseconds.
    pub(crate) duration: SegmentDuration,
    /// Whether the recorder says that it can be played without the one before it.
    pub(crate) independent: bool,
    pub(crate) bytes: Bytes,
    /// The initialisation section that it needs.
    pub(crate) section: Option<Section>,
}

/// The segment that is being recorded, as the list shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upcoming<'a> {
    /// The name of the list.
    pub(crate) list: &'a str,
    /// When the list was written.
    pub(crate) modified: Duration,
    /// Its number in the list.
    pub(crate) number: u64,
    /// Its parts so far.
    pub(crate) parts: &'a [RecordedPart],
}

/// What has been taken of the segment that is being recorded.
#[derive(Debug, Default)]
pub(crate) struct PartReader {
    list: Box<str>,
    number: u64,
    taken: Vec<RecordedPart>,
    /// The bytes taken.
    bytes: u64,
    /// No more parts of this segment are taken.
    refused: bool,
}

/// What became of reading a part.
#[derive(Debug)]
pub(crate) enum ReadPart {
    /// It is not there as it is listed; the next look tells.
    NotYet,
    /// It cannot be taken.
    Refused,
    Taken(TakenPart),
}

impl PartReader {
    /// Begins with another segment if it is another one, and says which listed parts are to be read.
    pub(crate) fn see<'a>(&mut self, upcoming: Upcoming<'a>) -> &'a [RecordedPart] {
        if (&*self.list, self.number) != (upcoming.list, upcoming.number) {
            let (list, number) = (upcoming.list.into(), upcoming.number);
            *self = Self { list, number, ..Self::default() };
        }
        let same = self.taken.iter().zip(upcoming.parts).take_while(|(a, b)| a == b).count();
        self.taken.truncate(same);
        if self.refused {
            return &[];
        }
        upcoming.parts.get(same..).unwrap_or_default()
    }

    /// Reads a part in `folder`, at most so many bytes of all parts of the segment. `section` is what it needs.
    ///
    /// # Errors
    /// The file cannot be read now.
    pub(crate) fn read(
        &mut self,
        folder: &Path,
        part: &RecordedPart,
        listed: Duration,
        section: Option<Section>,
        limit: u64,
    ) -> io::Result<ReadPart> {
        let duration = part.segment_duration().and_then(SegmentDuration::to_millis_precision);
        let index = u8::try_from(part.index);
        let name = part.file_name().filter(|_| part.unsupported().is_none());
        let (Ok(duration), Ok(index), Some(name)) = (duration, index, name) else {
            return Ok(ReadPart::Refused);
        };
        let path = folder.join(name);
        let left = limit.saturating_sub(self.bytes);
        let bytes = match part.byte_range {
            Some(range) if range.length() > left => return Ok(ReadPart::Refused),
            Some(range) => read_range(&path, range)?,
            None => match read_file(&path, listed, left)? {
                Some(bytes) => bytes,
                None => return Ok(ReadPart::Refused),
            },
        };
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()).map(Bytes::from) else {
            return Ok(ReadPart::NotYet);
        };
        let independent = part.independent;
        Ok(ReadPart::Taken(TakenPart { index, duration, independent, bytes, section }))
    }

    /// The part is on its way.
    pub(crate) fn taken(&mut self, part: &RecordedPart, bytes: &Bytes) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.taken.push(part.clone());
    }

    /// Nothing more of this segment can be taken.
    pub(crate) fn refuse(&mut self) {
        self.refused = true;
    }
}

/// A file of at most `limit` bytes that was whole when the list was written. `None` if it is larger, `Some(None)` if it is
/// not there, or is being written.
#[expect(clippy::option_option, reason = "too large and not there are told apart")]
fn read_file(path: &Path, listed: Duration, limit: u64) -> io::Result<Option<Option<Vec<u8>>>> {
    let state = match state_of(path) {
        Ok(state) => state,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(None)),
        Err(error) => return Err(error),
    };
    if state.size > limit {
        return Ok(None);
    }
    // What is newer than the list that names it is being overwritten by a recorder that was started again.
    if state.modified > listed {
        return Ok(Some(None));
    }
    read_unchanged(path, state).map(Some)
}

/// These bytes of a file, which may grow meanwhile. `None` when it is gone or too short, or shrinks: then it is another one.
fn read_range(path: &Path, range: ByteRange) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let before = file.metadata()?.len();
    let end = range.offset().checked_add(range.length()).filter(|end| *end <= before);
    let (Some(_), Ok(length)) = (end, usize::try_from(range.length())) else { return Ok(None) };
    file.seek(SeekFrom::Start(range.offset()))?;
    let mut bytes = Vec::with_capacity(length);
    file.by_ref().take(range.length()).read_to_end(&mut bytes)?;
    let named = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let grew_only = file.metadata()?.len() >= before && named >= before;
    Ok(Some(bytes).filter(|bytes| bytes.len() == length && grew_only))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use alive_playlist::Recording;
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    const LIMIT: u64 = 1000;

    /// A list with these parts behind a first segment.
    fn list(parts: &[&str]) -> Recording {
        let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=1\n\
            #EXTINF:4,\ns0.ts\n"
            .to_owned();
        for part in parts {
            writeln!(text, "#EXT-X-PART:DURATION=1.0,{part}").unwrap();
        }
        Recording::read(text.as_bytes()).unwrap()
    }

    fn upcoming(recording: &Recording) -> Upcoming<'_> {
        let parts = recording.parts();
        Upcoming { list: "s.m3u8", modified: Duration::MAX, number: 1, parts }
    }

    /// What is read of a list now: the bytes of each new part, and what ended it.
    fn look(reader: &mut PartReader, folder: &TempDir, recording: &Recording) -> Vec<String> {
        let mut read = Vec::new();
        for part in reader.see(upcoming(recording)) {
            let path = folder.path();
            match reader.read(path, part, Duration::MAX, None, LIMIT).unwrap() {
                ReadPart::NotYet => return [read, vec!["not yet".into()]].concat(),
                ReadPart::Refused => {
                    reader.refuse();
                    return [read, vec!["refused".into()]].concat();
                }
                ReadPart::Taken(taken) => {
                    assert_eq!(usize::from(taken.index), part.index);
                    reader.taken(part, &taken.bytes);
                    read.push(String::from_utf8(taken.bytes.to_vec()).unwrap());
                }
            }
        }
        read
    }

    fn write(folder: &TempDir, name: &str, text: &str) {
        fs::write(folder.path().join(name), text).unwrap();
    }

    #[test]
    fn ranges_of_a_growing_file_are_taken_exactly_and_once() {
        let (folder, mut reader) = (TempDir::new().unwrap(), PartReader::default());
        let ranges = [
            r#"URI="s1.ts",BYTERANGE="3@0""#,
            r#"URI="s1.ts",BYTERANGE="2@3""#,
            r#"URI="s1.ts",BYTERANGE="4@5""#,
        ];
        write(&folder, "s1.ts", "abcDE");
        assert_eq!(look(&mut reader, &folder, &list(&ranges[..1])), ["abc"]);
        assert_eq!(look(&mut reader, &folder, &list(&ranges[..2])), ["DE"]);
        // The list is ahead of the file, as on a share.
        write(&folder, "s1.ts", "abcDEfgh");
        assert_eq!(look(&mut reader, &folder, &list(&ranges)), ["not yet"]);
        write(&folder, "s1.ts", "abcDEfghi and the next");
        assert_eq!(look(&mut reader, &folder, &list(&ranges)), ["fghi"]);
        assert_eq!(look(&mut reader, &folder, &list(&ranges)), [""; 0]);
    }

    #[test]
    fn a_part_that_is_listed_anew_is_read_anew_with_those_behind_it() {
        let (folder, mut reader) = (TempDir::new().unwrap(), PartReader::default());
        write(&folder, "s1.ts", "abcdefgh");
        let [a, b, c] =
            ["2@0", "2@2", "2@4"].map(|range| format!(r#"URI="s1.ts",BYTERANGE="{range}""#));
        assert_eq!(look(&mut reader, &folder, &list(&[&a, &b, &c])), ["ab", "cd", "ef"]);
        let other = r#"URI="s1.ts",BYTERANGE="3@2""#;
        assert_eq!(look(&mut reader, &folder, &list(&[&a, other])), ["cde"]);
        let last = r#"URI="s1.ts",BYTERANGE="3@5""#;
        assert_eq!(look(&mut reader, &folder, &list(&[&a, other, last])), ["fgh"]);
    }

    #[test]
    fn files_of_their_own_are_taken_when_they_are_whole() {
        let (folder, mut reader) = (TempDir::new().unwrap(), PartReader::default());
        let recording = list(&[r#"URI="p0.ts""#, r#"URI="p1.ts""#]);
        write(&folder, "p0.ts", "abc");
        assert_eq!(look(&mut reader, &folder, &recording), ["abc", "not yet"]);
        write(&folder, "p1.ts", "");
        assert_eq!(look(&mut reader, &folder, &recording), ["not yet"]);
        write(&folder, "p1.ts", "def");
        assert_eq!(look(&mut reader, &folder, &recording), ["def"]);
        // A file that is newer than the list that names it is of a later run.
        let mut reader = PartReader::default();
        let part = reader.see(upcoming(&recording)).first().unwrap();
        let read = reader.read(folder.path(), part, Duration::ZERO, None, LIMIT).unwrap();
        assert!(matches!(read, ReadPart::NotYet), "{read:?}");
    }

    #[rstest]
    #[case::address(r#"URI="http://x/p.ts""#)]
    #[case::folder(r#"URI="../p.ts""#)]
    #[case::gap(r#"URI="p.ts",GAP=YES"#)]
    #[case::too_large(r#"URI="large.ts""#)]
    #[case::too_large_a_range(r#"URI="large.ts",BYTERANGE="1001@0""#)]
    #[case::endless(r#"URI="large.ts",BYTERANGE="18446744073709551615@0""#)]
    fn behind_a_part_that_cannot_be_taken_none_is(#[case] bad: &str) {
        let (folder, mut reader) = (TempDir::new().unwrap(), PartReader::default());
        write(&folder, "p.ts", "abc");
        write(&folder, "large.ts", &"x".repeat(2000));
        let good = r#"URI="p.ts""#;
        assert_eq!(look(&mut reader, &folder, &list(&[good, bad, good])), ["abc", "refused"]);
        assert_eq!(look(&mut reader, &folder, &list(&[good, bad, good, good])), [""; 0]);
        // The next segment is another matter.
        let recording = list(&[good]);
        let next = Upcoming { number: 2, ..upcoming(&recording) };
        assert_eq!(reader.see(next).len(), 1);
    }

    #[test]
    fn the_parts_of_a_segment_are_no_larger_than_a_segment() {
        let (folder, mut reader) = (TempDir::new().unwrap(), PartReader::default());
        write(&folder, "p.ts", &"x".repeat(400));
        let part = r#"URI="p.ts""#;
        let read = look(&mut reader, &folder, &list(&[part, part, part, part]));
        assert_eq!(read.iter().map(String::len).collect::<Vec<_>>(), [400, 400, 7], "{read:?}");
        assert_eq!(read.last().unwrap(), "refused");
    }

    #[test]
    fn there_are_256_places() {
        let (folder, mut reader) = (TempDir::new().unwrap(), PartReader::default());
        write(&folder, "p.ts", "x");
        let read = look(&mut reader, &folder, &list(&[r#"URI="p.ts""#; 300]));
        assert_eq!((read.len(), read.last().map(String::as_str)), (257, Some("refused")));
    }

    #[test]
    fn a_file_that_shrinks_is_another_one() {
        let folder = TempDir::new().unwrap();
        write(&folder, "s.ts", "abcdef");
        let recording = list(&[r#"URI="s.ts",BYTERANGE="3@3""#]);
        let range = recording.parts()[0].byte_range.unwrap();
        let path = folder.path().join("s.ts");
        assert_eq!(read_range(&path, range).unwrap().as_deref(), Some(&b"def"[..]));
        write(&folder, "s.ts", "abc");
        assert_eq!(read_range(&path, range).unwrap(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(read_range(&path, range).unwrap(), None);
    }
}
