//! Why a playlist is refused: [`ReadError`], its line and its [`Problem`].

use alive_core::Excerpt;

use super::lines::{MAX_LINE_BYTES, MAX_LIST_BYTES};
use crate::model::{KeySetError, MediaPlaylist, MultivariantPlaylist};

/// A list was refused: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ReadError {
    line: usize,
    problem: Problem,
}

impl ReadError {
    pub(super) fn new(line: usize, problem: Problem) -> Self {
        Self { line, problem }
    }

    /// The line, counted from 1. What is missing in the whole list is reported at its last line.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

/// What is wrong with a list. The rules are those of `spec/hls.md`, section 12.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// R12, R11: an attribute list is broken or lacks what it must have.
    #[error("{tag}: {problem}")]
    Attributes {
        /// The tag whose attributes they are.
        tag: &'static str,
        /// What is wrong with them.
        problem: AttributeProblem,
    },
    /// A tag that holds for all parts of a segment stands behind one of them.
    #[error("{0} must stand before the first EXT-X-PART of the segment that it holds for")]
    BehindPart(&'static str),
    /// R2: there is a byte order mark.
    #[error("a byte order mark stands before #EXTM3U; save the list as UTF-8 without one")]
    ByteOrderMark,
    /// R13: the end of a byte range does not fit.
    #[error("the byte range ends beyond 2^64-1")]
    ByteRangeEnd,
    /// R13: a byte range continues nothing.
    #[error(
        "a byte range without offset continues the one directly before, of the same URI; there is \
         none, write length@offset"
    )]
    ByteRangeOffset,
    /// R3: a control character, or a CR inside a line.
    #[error(
        "control character U+{0:04X}; only LF, or CR and LF, may end a line and no other stand in it"
    )]
    Control(u32),
    /// R6: a duration is no decimal number.
    #[error("duration {0} is not digits, or digits, a point and digits, of seconds")]
    Duration(Excerpt),
    /// R6: a duration is over a day.
    #[error("duration {0} is more than 86400 seconds")]
    DurationRange(Excerpt),
    /// R14: the whole list is too long.
    #[error("the list has {0} bytes, at most {MAX_LIST_BYTES} are read")]
    FileSize(usize),
    /// R1: it does not start as a playlist.
    #[error("the first line is {0} and not #EXTM3U: this is no playlist")]
    FirstLine(Excerpt),
    /// R7: a number is no plain digits, or too large.
    #[error("{what} is {text}, and must be plain digits of at most 2^64-1")]
    Integer {
        /// The tag or attribute.
        what: &'static str,
        /// What it says.
        text: Excerpt,
    },
    /// Too many keys in force at once.
    #[error(transparent)]
    Keys(KeySetError),
    /// R8: a tag comes after what it counts.
    #[error("{0} must stand before the first segment and the first discontinuity that it counts")]
    Late(&'static str),
    /// R14: a line is too long.
    #[error("the line has more than {MAX_LINE_BYTES} bytes")]
    LineLength,
    /// A list of renditions was asked for.
    #[error("this is a list of segments, not of renditions")]
    Media,
    /// R10: tags of both kinds.
    #[error(
        "{0} does not belong in a list of this kind: segments and renditions are never in one list"
    )]
    Mixed(Excerpt),
    /// A list of segments was asked for.
    #[error("this is a list of renditions; read one of the lists that it names")]
    Multivariant,
    /// R4: there is no target duration.
    #[error("the list has no EXT-X-TARGETDURATION")]
    NoTargetDuration,
    /// R14: too many parts.
    #[error("more than {max} parts of segments", max = MediaPlaylist::MAX_PARTS)]
    Parts,
    /// A list with parts does not say how long they may be.
    #[error("the list has EXT-X-PART and no EXT-X-PART-INF")]
    PartsWithoutTarget,
    /// R14: too many segments.
    #[error("more than {max} segments", max = MediaPlaylist::MAX_SEGMENTS)]
    Segments,
    /// R7: the last sequence number does not fit.
    #[error("the last segment's sequence number passes 2^64-1")]
    SequenceEnd,
    /// R11: a rendition has no URI line.
    #[error("an EXT-X-STREAM-INF has no URI line behind it")]
    StreamInfWithoutUri,
    /// R9: a tag stands twice.
    #[error("{0} stands in the list a second time")]
    Twice(&'static str),
    /// R5: a URI without the tag that makes it a segment.
    #[error("URI {0} has no EXTINF before it")]
    UriWithoutExtinf(Excerpt),
    /// R5: a URI without the tag that makes it a rendition.
    #[error("URI {0} has no EXT-X-STREAM-INF before it")]
    UriWithoutStreamInf(Excerpt),
    /// R2: it is not UTF-8.
    #[error("the line is not valid UTF-8")]
    Utf8,
    /// Too many renditions.
    #[error("more than {max} renditions", max = MultivariantPlaylist::MAX_VARIANTS)]
    Variants,
}

impl Problem {
    pub(super) fn attribute(tag: &'static str, problem: AttributeProblem) -> Self {
        Self::Attributes { tag, problem }
    }

    pub(super) fn integer(what: &'static str, text: &str) -> Self {
        Self::Integer { what, text: Excerpt::of(text) }
    }

    pub(super) fn mixed(tag: &str) -> Self {
        Self::Mixed(Excerpt::of(tag))
    }
}

/// What is wrong with the attributes of a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeProblem {
    /// A blank outside quotes.
    #[error("a blank stands outside quotes")]
    Blank,
    /// An attribute has no name.
    #[error("an attribute has no name (a comma too many?)")]
    EmptyName,
    /// An attribute has no value.
    #[error("attribute {0} has no value")]
    EmptyValue(Excerpt),
    /// A value is not of the form that this attribute has.
    #[error("{name} is {text}, and must be {form}")]
    Form {
        /// The attribute.
        name: &'static str,
        /// What it says.
        text: Excerpt,
        /// What it should be.
        form: &'static str,
    },
    /// A required attribute is missing.
    #[error("the attribute {0} is missing")]
    Missing(&'static str),
    /// A name has a character that names have not.
    #[error("attribute name {0} is not upper-case letters, digits and dashes")]
    Name(Excerpt),
    /// A quoted value does not end.
    #[error("a quoted value has no closing quote")]
    OpenQuote,
    /// Quotes stand inside or right behind a value.
    #[error("the value of {0} is partly in quotes")]
    StrayQuote(Excerpt),
    /// An attribute stands twice.
    #[error("attribute {0} stands twice")]
    Twice(Excerpt),
}
