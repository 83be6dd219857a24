//! What part of a file a client asks for. Source: RFC 9110, section 14.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What part of the file was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Asked {
    Part(Range<u64>),
    Unsatisfiable,
    Whole,
}

/// Several ranges at once are answered with the whole file, which is allowed; a range that cannot be read is ignored.
pub(in crate::serve) fn asked_range(headers: &HeaderMap, etag: &str, size: u64) -> Asked {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let outdated = headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag);
    let range = text(header::RANGE).filter(|_| !outdated);
    match range.and_then(bounds) {
        None => Asked::Whole,
        Some(Bounds::Last(0)) => Asked::Unsatisfiable,
        Some(Bounds::Last(_) | Bounds::From(..)) if size == 0 => Asked::Unsatisfiable,
        Some(Bounds::Last(count)) => Asked::Part(size.saturating_sub(count)..size),
        Some(Bounds::From(first, _)) if first >= size => Asked::Unsatisfiable,
        Some(Bounds::From(first, last)) => {
            Asked::Part(first..size.min(last.map_or(size, |last| last.saturating_add(1))))
        }
    }
}

/// The two ways to say a range.
enum Bounds {
    /// From the first byte to the last one, or to the end.
    From(u64, Option<u64>),
    /// The last so many bytes.
    Last(u64),
}

/// Reads a single range. (The crate `http-range-header` calls a suffix that is longer than the file unsatisfiable and
/// gives an empty file a first byte; both are against the standard.)
fn bounds(range: &str) -> Option<Bounds> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", last) => Some(Bounds::Last(number(last)?)),
        (first, "") => Some(Bounds::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Bounds::From(first, Some(last)))
        }
    }
}

/// Digits only; what is too large for any file is as good as the largest number.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::serve::http::set;

    #[rstest]
    #[case("bytes=0-0", Asked::Part(0..1))]
    #[case("bytes=2-", Asked::Part(2..10))]
    #[case("bytes=-3", Asked::Part(7..10))]
    #[case("bytes=-30", Asked::Part(0..10))]
    #[case("bytes=5-99", Asked::Part(5..10))]
    #[case("bytes=10-", Asked::Unsatisfiable)]
    #[case("bytes=-0", Asked::Unsatisfiable)]
    #[case("bytes=5-4", Asked::Whole)]
    #[case("bytes=0-1,4-5", Asked::Whole)]
    #[case("bytes=", Asked::Whole)]
    #[case("bytes=a-b", Asked::Whole)]
    #[case("pages=1-2", Asked::Whole)]
    #[case("bytes=0-99999999999999999999999", Asked::Part(0..10))]
    #[case("bytes=99999999999999999999999-", Asked::Unsatisfiable)]
    #[case("Bytes=1-1", Asked::Part(1..2))]
    #[case("bytes=+1-2", Asked::Whole)]
    fn ranges_are_read_as_the_standard_says(#[case] range: &str, #[case] want: Asked) {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::RANGE, range);
        assert_eq!(asked_range(&headers, "\"x\"", 10), want);
        set(&mut headers, header::IF_RANGE, "\"x\"");
        assert_eq!(asked_range(&headers, "\"x\"", 10), want);
        set(&mut headers, header::IF_RANGE, "\"y\"");
        assert_eq!(asked_range(&headers, "\"x\"", 10), Asked::Whole);
    }

    #[test]
    fn an_empty_file_has_no_part() {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::RANGE, "bytes=0-");
        assert_eq!(asked_range(&headers, "", 0), Asked::Unsatisfiable);
    }
}
