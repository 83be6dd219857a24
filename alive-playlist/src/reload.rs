//! What a player that reloads a list asks of the server: [`ReloadRequest`], and when it is answered.

use alive_core::Excerpt;

use crate::decimal::parse_u64;

/// The delivery directives of a request: `_HLS_msn`, `_HLS_part`, `_HLS_skip`. Source: `spec/hls.md`, section 7.
///
/// ```
/// use alive_playlist::{ListEnd, Readiness, ReloadRequest};
/// let query = [("gw", "https://x"), ("_HLS_msn", "7"), ("_HLS_skip", "YES")];
/// let request = ReloadRequest::parse(query.map(|(name, value)| (name, Some(value))))?;
/// assert!(request.skip && request.blocks());
/// assert_eq!(request.readiness(8, false), Readiness::Ready, "it holds the numbers 0 to 7");
/// assert_eq!(request.readiness(7, false), Readiness::Wait);
/// assert_eq!(request.readiness(5, false), Readiness::TooFar);
///
/// let part = ReloadRequest::parse([("_HLS_msn", Some("7")), ("_HLS_part", Some("2"))])?;
/// let end = |open_parts| ListEnd { next: 7, last_parts: 0, open_parts };
/// assert_eq!(part.readiness(end(2), false), Readiness::Wait);
/// assert_eq!(part.readiness(end(3), false), Readiness::Ready);
/// # Ok::<(), alive_playlist::ReloadError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReloadRequest {
    /// The list is wanted when it holds this segment or a later one: `_HLS_msn`.
    pub msn: Option<u64>,
    /// A part of that segment, from 0: `_HLS_part`.
    pub part: Option<u64>,
    /// Whether segments that the player has may be left out: `_HLS_skip`.
    pub skip: bool,
}

/// How far a list is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListEnd {
    /// The number that its next segment will have, which is the count of segments that it ever had.
    pub next: u64,
    /// How many parts it shows of its last segment.
    pub last_parts: u64,
    /// How many parts it shows of the next one.
    pub open_parts: u64,
}

impl From<u64> for ListEnd {
    /// The end of a list without parts.
    fn from(next: u64) -> Self {
        Self { next, last_parts: 0, open_parts: 0 }
    }
}

/// Whether a list can be given to who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a request is answered, held back or refused")]
pub enum Readiness {
    /// It can.
    Ready,
    /// It is so far behind what is asked for that the player must be mistaken.
    TooFar,
    /// It will be able to.
    Wait,
}

impl ReloadRequest {
    /// How far ahead of the last segment a player may ask. Source: `spec/hls.md`, section 7, `_HLS_msn`.
    pub const MAX_AHEAD: u64 = 2;

    /// Finds the directives among the decoded parameters of a query; `None` is a value that is no text. Parameters and
    /// kinds of skipping that we do not know are left alone, as the protocol wants it.
    ///
    /// # Errors
    /// One is given twice, a number is none, or a part is asked for without a segment.
    pub fn parse<'q>(
        query: impl IntoIterator<Item = (&'q str, Option<&'q str>)>,
    ) -> Result<Self, ReloadError> {
        let (mut msn, mut part, mut skip) = (None, None, None);
        for (name, value) in query {
            let slot = match name {
                Self::MSN => &mut msn,
                Self::PART => &mut part,
                Self::SKIP => &mut skip,
                _ => continue,
            };
            if slot.replace((name, value.unwrap_or("\u{fffd}"))).is_some() {
                return Err(ReloadError::Twice(Excerpt::of(name)));
            }
        }
        let request = Self {
            msn: msn.map(number).transpose()?,
            part: part.map(number).transpose()?,
            skip: skip.is_some_and(|(_, value)| matches!(value, "YES" | "v2")),
        };
        if request.part.is_some() && request.msn.is_none() {
            return Err(ReloadError::PartAlone);
        }
        Ok(request)
    }

    const MSN: &'static str = "_HLS_msn";
    const PART: &'static str = "_HLS_part";
    const SKIP: &'static str = "_HLS_skip";

    /// Whether an answer may have to be held back.
    pub fn blocks(&self) -> bool {
        self.msn.is_some()
    }

    /// Judges a list by how far it is.
    pub fn readiness(&self, end: impl Into<ListEnd>, ended: bool) -> Readiness {
        let ListEnd { next, last_parts, open_parts } = end.into();
        let Some(msn) = self.msn.filter(|_| !ended) else { return Readiness::Ready };
        // The newest is one below `next`, and none in an empty list.
        if msn >= next.saturating_add(Self::MAX_AHEAD) {
            return Readiness::TooFar;
        }
        let is_there = match self.part {
            Some(part) if msn == next => part < open_parts,
            // A part beyond those of a whole segment is the first of the next one, and without parts every part is.
            Some(part) if msn.saturating_add(1) == next => part < last_parts || open_parts > 0,
            None | Some(_) => msn < next,
        };
        if is_there { Readiness::Ready } else { Readiness::Wait }
    }
}

fn number((name, value): (&str, &str)) -> Result<u64, ReloadError> {
    let refused = || ReloadError::Number { name: Excerpt::of(name), value: Excerpt::of(value) };
    parse_u64(value).ok_or_else(refused)
}

/// Why delivery directives are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A number is not plain digits, or over 2^64-1.
    #[error("{name}: {value} is not a number of plain digits")]
    Number {
        /// The directive.
        name: Excerpt,
        /// What was given.
        value: Excerpt,
    },
    /// A part of no segment is asked for.
    #[error("_HLS_part needs _HLS_msn")]
    PartAlone,
    /// The directive is there twice.
    #[error("{0} is given more than once")]
    Twice(Excerpt),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn parse(query: &str) -> Result<ReloadRequest, ReloadError> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        ReloadRequest::parse(pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name, Some(value))
        }))
    }

    #[rstest]
    #[case("_HLS_msn=-1")]
    #[case("_HLS_msn=")]
    #[case("_HLS_msn=1.0")]
    #[case("_HLS_msn=+1")]
    #[case("_HLS_msn=18446744073709551616")]
    #[case("_HLS_msn=1&_HLS_part=x")]
    #[case("_HLS_part=0")]
    #[case("_HLS_msn=1&_HLS_msn=1")]
    #[case("_HLS_skip=YES&_HLS_skip=YES")]
    #[case("_HLS_msn=1&_HLS_part=0&_HLS_part=0")]
    fn directives_that_could_be_taken_in_two_ways_are_refused(#[case] query: &str) {
        assert!(parse(query).is_err(), "{query}");
    }

    #[test]
    fn what_is_not_text_is_no_number() {
        assert!(ReloadRequest::parse([("_HLS_msn", None)]).is_err());
        assert_eq!(ReloadRequest::parse([("_HLS_skip", None)]), Ok(ReloadRequest::default()));
    }

    #[rstest]
    #[case("", ReloadRequest::default())]
    #[case("_HLS_push=1&_HLS_report=x&_HLS_report=y&a=b", ReloadRequest::default())]
    #[case("_HLS_skip=NO", ReloadRequest::default())]
    #[case("_HLS_skip=v2", ReloadRequest { skip: true, ..ReloadRequest::default() })]
    #[case("_HLS_msn=007", ReloadRequest { msn: Some(7), ..ReloadRequest::default() })]
    #[case("_hls_msn=7", ReloadRequest::default())]
    fn what_is_not_known_is_left_alone(#[case] query: &str, #[case] want: ReloadRequest) {
        assert_eq!(parse(query), Ok(want));
    }

    #[rstest]
    // An empty list: number 1 is two behind the segment before the first.
    #[case("_HLS_msn=0", 0, Readiness::Wait)]
    #[case("_HLS_msn=1", 0, Readiness::Wait)]
    #[case("_HLS_msn=2", 0, Readiness::TooFar)]
    // The newest is 9.
    #[case("_HLS_msn=0", 10, Readiness::Ready)]
    #[case("_HLS_msn=9", 10, Readiness::Ready)]
    #[case("_HLS_msn=10", 10, Readiness::Wait)]
    #[case("_HLS_msn=11", 10, Readiness::Wait)]
    #[case("_HLS_msn=12", 10, Readiness::TooFar)]
    #[case("_HLS_msn=18446744073709551615", 10, Readiness::TooFar)]
    #[case("_HLS_msn=9&_HLS_part=0", 10, Readiness::Wait)]
    #[case("_HLS_msn=8&_HLS_part=99", 10, Readiness::Ready)]
    #[case("_HLS_skip=YES", 0, Readiness::Ready)]
    fn a_list_is_given_when_it_holds_what_is_asked_for(
        #[case] query: &str,
        #[case] next: u64,
        #[case] want: Readiness,
    ) {
        let request = parse(query).unwrap();
        assert_eq!(request.readiness(next, false), want);
        assert_eq!(request.readiness(next, true), Readiness::Ready, "an archive waits for nothing");
    }

    proptest! {
        #[test]
        fn who_may_wait_is_answered_in_the_end(msn: u64, part: Option<u64>, next: u64) {
            let request = ReloadRequest { msn: Some(msn), part, skip: false };
            if request.readiness(next, false) == Readiness::Wait {
                let after = next.saturating_add(ReloadRequest::MAX_AHEAD + 1);
                prop_assert_eq!(request.readiness(after, false), Readiness::Ready);
            }
        }
    }

    /// Every place that a player can ask for, in order, of a list of whole segments with so many parts each and an open
    /// one; `None` is a whole segment.
    fn shown(whole: &[u64], open: u64) -> Vec<(u64, Option<u64>)> {
        let mut shown = Vec::new();
        for (number, parts) in (0..).zip(whole.iter().chain([&open])) {
            shown.extend((0..*parts).map(|part| (number, Some(part))));
            shown.extend(Some((number, None)).filter(|_| number < whole.len() as u64));
        }
        shown
    }

    proptest! {
        /// A part is there when it is shown, or when the list is behind it: the first part of the next segment or that
        /// segment itself is shown.
        #[test]
        fn a_part_is_waited_for_until_it_or_what_follows_is_there(
            whole in prop::collection::vec(0..4_u64, 0..4),
            open in 0..4_u64,
            msn in 0..6_u64,
            part in 0..6_u64,
        ) {
            let next = whole.len() as u64;
            let end = ListEnd {
                next,
                last_parts: whole.last().copied().unwrap_or(0),
                open_parts: open,
            };
            let request = ReloadRequest { msn: Some(msn), part: Some(part), skip: false };
            let shown = shown(&whole, open);
            // Parts of segments before the last are always there or beyond the end: the next segment is whole.
            let there = msn + 1 < next
                || shown.contains(&(msn, Some(part)))
                || msn < next && shown.iter().any(|&(number, _)| number > msn);
            let want = if msn >= next + 2 {
                Readiness::TooFar
            } else if there {
                Readiness::Ready
            } else {
                Readiness::Wait
            };
            prop_assert_eq!(request.readiness(end, false), want);
            prop_assert_eq!(request.readiness(end, true), Readiness::Ready);
        }
    }
}
