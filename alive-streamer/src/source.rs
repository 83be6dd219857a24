//! How a journal names the file of a segment: [`Source`].

use std::{fmt, str::FromStr, time::Duration};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::folder::FileState;

/// The file of a segment, its place in the recorder's list, and a digest of its bytes, so that what is stored under a
/// number is what was recorded under it.
///
/// Its text is `number size seconds.nanoseconds digest list/name`, where the last two may hold spaces, and behind a further
/// slash the digest and the name of its initialisation section, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its number in the recorder's list.
    pub(crate) number: u64,
    /// The file as it was read.
    pub(crate) state: FileState,
    /// SHA-256 of its bytes.
    pub(crate) digest: [u8; 32],
    /// The recorder's list.
    pub(crate) list: Box<str>,
    /// The file's name.
    pub(crate) name: Box<str>,
    /// The initialisation section that it needs.
    pub(crate) section: Option<SectionSource>,
}

/// The file of an initialisation section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SectionSource {
    /// SHA-256 of its bytes.
    pub(crate) digest: [u8; 32],
    /// The file's name.
    pub(crate) name: Box<str>,
}

/// SHA-256 of a segment, or of an initialisation section.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, state: FileState { size, modified }, digest, list, name, section } =
            self;
        let (seconds, nanos) = (modified.as_secs(), modified.subsec_nanos());
        let digest = HEXLOWER.encode(digest);
        write!(f, "{number} {size} {seconds}.{nanos:09} {digest} {list}/{name}")?;
        match section {
            Some(SectionSource { digest, name }) => {
                write!(f, "/{} {name}", HEXLOWER.encode(digest))
            }
            None => Ok(()),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let mut parts = text.splitn(5, ' ');
        let mut part = |what| parts.next().ok_or(SourceError(what));
        let number = parse(part("number")?, "number")?;
        let size = parse(part("size")?, "size")?;
        let modified = parse_time(part("time")?).ok_or(SourceError("time"))?;
        let digest = parse_digest(part("digest")?).ok_or(SourceError("digest"))?;
        let (list, name) = part("file")?.split_once('/').ok_or(SourceError("file"))?;
        let (name, section) = match name.split_once('/') {
            Some((name, section)) => (name, Some(section)),
            None => (name, None),
        };
        let plain =
            |name: &str| !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "..";
        if !plain(list) || !plain(name) {
            return Err(SourceError("file"));
        }
        let section = section.map(|text| {
            let (digest, name) = text.split_once(' ')?;
            let digest = parse_digest(digest)?;
            plain(name).then(|| SectionSource { digest, name: name.into() })
        });
        let section = match section {
            Some(None) => return Err(SourceError("section")),
            section => section.flatten(),
        };
        let state = FileState { size, modified };
        Ok(Self { number, state, digest, list: list.into(), name: name.into(), section })
    }
}

fn parse_digest(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn parse(text: &str, what: &'static str) -> Result<u64, SourceError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(SourceError(what))
}

fn parse_time(text: &str) -> Option<Duration> {
    let (seconds, nanos) = text.split_once('.')?;
    let nanos_fit = nanos.len() == 9 && nanos.bytes().all(|b| b.is_ascii_digit());
    let seconds = parse(seconds, "").ok()?;
    nanos_fit.then(|| Some(Duration::new(seconds, nanos.parse().ok()?))).flatten()
}

/// The text names no file of a segment: this part of it is missing or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a recorded file without a valid {0}")]
pub struct SourceError(&'static str);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_text_is_for_people_too() {
        let source = Source {
            number: 12,
            state: FileState { size: 0, modified: Duration::new(1_763_683_415, 5_000_000) },
            digest: digest(b""),
            list: "a b.m3u8".into(),
            name: "a b12.ts".into(),
            section: None,
        };
        let text = format!("12 0 1763683415.005000000 {DIGEST} a b.m3u8/a b12.ts");
        assert_eq!(source.to_string(), text);
        assert_eq!(text.parse().as_ref(), Ok(&source));
        let section = SectionSource { digest: digest(b""), name: "an init.mp4".into() };
        let source = Source { section: Some(section), ..source };
        let text = format!("{text}/{DIGEST} an init.mp4");
        assert_eq!(source.to_string(), text);
        assert_eq!(text.parse(), Ok(source));
    }

    #[rstest]
    #[case("", "number")]
    #[case("+1 2 3.000000000 D a/b", "number")]
    #[case("1 -2 3.000000000 D a/b", "size")]
    #[case("1 2 3.0 D a/b", "time")]
    #[case("1 2 3.000000000 d a/b", "digest")]
    #[case("1 2 3.000000000 D", "file")]
    #[case("1 2 3.000000000 D a", "file")]
    #[case("1 2 3.000000000 D a/..", "file")]
    #[case("1 2 3.000000000 D a/b/c", "section")]
    #[case("1 2 3.000000000 D a/b/D ..", "section")]
    #[case("1 2 3.000000000 D a/b/d c", "section")]
    #[case("1 2 3.000000000 D a/b/D c/d", "section")]
    fn other_texts_are_refused(#[case] text: &str, #[case] part: &'static str) {
        assert_eq!(text.replace('D', DIGEST).parse::<Source>(), Err(SourceError(part)));
    }

    proptest! {
        #[test]
        fn sources_come_back(
            number: u64,
            size: u64,
            seconds: u64,
            nanos in 0..1_000_000_000_u32,
            digest: [u8; 32],
            list in "[^/\\\\\0]{3,9}",
            name in "[^/\\\\\0]{3,9}",
            section in prop::option::of((any::<[u8; 32]>(), "[^/\\\\\0]{3,9}")),
        ) {
            let section = section.map(|(digest, name)| SectionSource { digest, name: name.into() });
            let state = FileState { size, modified: Duration::new(seconds, nanos) };
            let (list, name) = (list.into(), name.into());
            let source = Source { number, state, digest, list, name, section };
            prop_assert_eq!(source.to_string().parse(), Ok(source));
        }

        #[test]
        fn any_text_is_read_or_refused(
            numbers in "[0-9 .+-]{0,20}",
            data in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            crate::fuzzing::source(&data);
            crate::fuzzing::source(format!("{numbers} {DIGEST} {}", String::from_utf8_lossy(&data)).as_bytes());
        }
    }
}
