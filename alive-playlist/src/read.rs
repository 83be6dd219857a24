//! Reading a playlist that somebody else wrote: strict, with the number of the offending line.
//!
//! A recorder's list decides what is published under its owner's name, so a list that could be taken in two ways is
//! refused and not repaired. The rules R1 to R14 are those of `spec/hls.md`, section 12.

mod attributes;
mod error;
mod lines;
mod media;
mod multivariant;

pub use error::{AttributeProblem, Problem, ReadError};
pub use lines::{MAX_LINE_BYTES, MAX_LIST_BYTES};

use self::{lines::Lines, media::MediaReader, multivariant::MultivariantReader};
use crate::{
    decimal::parse_u64,
    model::{MediaPlaylist, MultivariantPlaylist, Playlist},
};

impl<'a> Playlist<'a> {
    /// Reads a list of either kind. The model borrows from `bytes`; no text is copied.
    ///
    /// ```
    /// use alive_playlist::Playlist;
    /// let error = Playlist::read(b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:ten,\na.ts\n").unwrap_err();
    /// assert_eq!(error.line(), 3);
    /// assert!(error.to_string().starts_with("line 3: duration \"ten\""));
    /// ```
    ///
    /// # Errors
    /// The first rule of R1 to R14 that the list breaks, and in which line. Limits are checked before memory is taken.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let text = lines::checked_text(bytes)?;
        let mut lines = Lines::new(text);
        let mut reader = Reader::new(text.len());
        while let Some(line) = lines.next_line()? {
            reader.take_line(line).map_err(|problem| ReadError::new(lines.number(), problem))?;
        }
        reader.finish().map_err(|problem| ReadError::new(lines.number(), problem))
    }
}

impl<'a> MediaPlaylist<'a> {
    /// Reads a list of segments.
    ///
    /// # Errors
    /// As [`Playlist::read`]; and [`Problem::Multivariant`] when it is a list of renditions.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        match Playlist::read(bytes)? {
            Playlist::Media(list) => Ok(list),
            Playlist::Multivariant(_) => Err(ReadError::new(1, Problem::Multivariant)),
        }
    }
}

impl<'a> MultivariantPlaylist<'a> {
    /// Reads a list of renditions.
    ///
    /// # Errors
    /// As [`Playlist::read`]; and [`Problem::Media`] when it is a list of segments.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        match Playlist::read(bytes)? {
            Playlist::Multivariant(list) => Ok(list),
            Playlist::Media(_) => Err(ReadError::new(1, Problem::Media)),
        }
    }
}

/// Which kind the tags so far belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Media,
    Multivariant,
}

/// Takes lines one by one and hands each to the reader of its kind.
struct Reader<'a> {
    kind: Option<Kind>,
    version: Option<u64>,
    independent_segments: bool,
    media: MediaReader<'a>,
    multivariant: MultivariantReader<'a>,
}

impl<'a> Reader<'a> {
    fn new(text_len: usize) -> Self {
        Self {
            kind: None,
            version: None,
            independent_segments: false,
            media: MediaReader::with_room_for(text_len),
            multivariant: MultivariantReader::default(),
        }
    }

    fn take_line(&mut self, line: &'a str) -> Result<(), Problem> {
        if let Some(value) = line.strip_prefix("#EXTINF:") {
            self.expect(Kind::Media, "#EXTINF")?;
            return self.media.take_extinf(value);
        }
        if line.starts_with("#EXT") {
            return self.take_tag(line);
        }
        let is_comment_or_blank = line.starts_with('#') || line.bytes().all(|byte| byte == b' ');
        if is_comment_or_blank { Ok(()) } else { self.take_uri(line) }
    }

    fn take_uri(&mut self, uri: &'a str) -> Result<(), Problem> {
        match self.kind {
            Some(Kind::Multivariant) => self.multivariant.take_uri(uri),
            _ => self.media.take_uri(uri),
        }
    }

    fn take_tag(&mut self, line: &'a str) -> Result<(), Problem> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name {
            "#EXT-X-VERSION" => set_once(&mut self.version, "EXT-X-VERSION", value),
            "#EXT-X-INDEPENDENT-SEGMENTS" => {
                self.independent_segments = true;
                Ok(())
            }
            "#EXT-X-STREAM-INF" => {
                self.expect(Kind::Multivariant, name)?;
                self.multivariant.take_stream_inf(value)
            }
            _ if multivariant::is_tag(name) => self.expect(Kind::Multivariant, name),
            _ if media::is_tag(name) => {
                self.expect(Kind::Media, name)?;
                self.media.take_tag(name, value)
            }
            _ => Ok(()),
        }
    }

    /// R10: all tags that belong to one kind belong to the same kind.
    fn expect(&mut self, kind: Kind, tag: &str) -> Result<(), Problem> {
        match self.kind.replace(kind) {
            Some(before) if before != kind => Err(Problem::mixed(tag)),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Playlist<'a>, Problem> {
        if self.kind == Some(Kind::Multivariant) {
            let variants = self.multivariant.finish()?;
            return Ok(Playlist::Multivariant(MultivariantPlaylist {
                version: self.version,
                independent_segments: self.independent_segments,
                variants,
            }));
        }
        let (mut header, segments, open) = self.media.finish()?;
        header.version = self.version;
        header.independent_segments = self.independent_segments;
        Ok(Playlist::Media(MediaPlaylist::as_read(header, segments, open)))
    }
}

/// R9 and R7: a whole number that a list gives at most once.
fn set_once(slot: &mut Option<u64>, tag: &'static str, value: &str) -> Result<(), Problem> {
    if slot.is_some() {
        return Err(Problem::Twice(tag));
    }
    *slot = Some(integer(tag, value)?);
    Ok(())
}

/// R7: plain digits up to 2^64-1.
fn integer(what: &'static str, text: &str) -> Result<u64, Problem> {
    parse_u64(text).ok_or_else(|| Problem::integer(what, text))
}

#[cfg(test)]
mod tests;
