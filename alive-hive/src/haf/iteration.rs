//! HAF's loop: [`call`] asks for the next range, [`Range::against`] tells what it is to a caller.

use super::{error::HafError, session::Session};

/// Blocks that HAF handed out, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) last: u32,
}

/// What a range is to a caller that has all blocks up to some number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It has them all: HAF's context is behind.
    Applied,
    /// It has none or some of them, and the next one it needs is among them.
    Next,
    /// There are others that it needs before: the context was moved ahead.
    TooFar,
}

/// Opens a transaction and asks for at most `max` blocks. `None` is no block; the transaction is open all the same.
///
/// The call must be the first statement of its transaction: were anything written before, the procedure would have to
/// commit in the middle of it, which the server refuses.
pub(super) async fn call(
    session: &Session,
    context: &str,
    max: u32,
) -> Result<Option<Range>, HafError> {
    session.run("a transaction was opened", "BEGIN").await?;
    let max = max.clamp(1, i32::MAX.unsigned_abs());
    let sql = format!("CALL hive.app_next_iteration('{context}'::hafd.context_name, NULL, {max})");
    let range = session.value("it was asked for the next blocks", &sql).await?;
    Range::parse(range.as_deref())
}

impl Range {
    /// Reads the composite `(first_block,last_block)`; no value, or one of two nulls, is no range.
    pub(super) fn parse(text: Option<&str>) -> Result<Option<Self>, HafError> {
        let Some(text) = text.filter(|text| *text != "(,)") else { return Ok(None) };
        let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let ends = inner.and_then(|inner| inner.split_once(','));
        let ends = ends.and_then(|(first, last)| Some((number(first)?, number(last)?)));
        match ends {
            Some((first, last)) if 1 <= first && first <= last => Ok(Some(Self { first, last })),
            _ => Err(HafError::Answer("a range of blocks")),
        }
    }

    /// What it is to a caller that has all blocks up to `have`.
    pub(super) fn against(self, have: u32) -> Meaning {
        if self.last <= have {
            Meaning::Applied
        } else if self.first <= have.saturating_add(1) {
            Meaning::Next
        } else {
            Meaning::TooFar
        }
    }
}

/// A block number as the server prints it.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number <= i32::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, None)]
    #[case(Some("(,)"), None)]
    #[case(Some("(1,50)"), Some(Range { first: 1, last: 50 }))]
    #[case(Some("(7,7)"), Some(Range { first: 7, last: 7 }))]
    fn ranges_and_their_absence_are_read(#[case] text: Option<&str>, #[case] want: Option<Range>) {
        assert_eq!(Range::parse(text).unwrap(), want);
    }

    #[rstest]
    #[case("")]
    #[case("(1,)")]
    #[case("(,1)")]
    #[case("(0,1)")]
    #[case("(2,1)")]
    #[case("(-1,1)")]
    #[case("(+1,2)")]
    #[case("(1,2,3)")]
    #[case("(1,2147483648)")]
    #[case("1,2")]
    fn anything_else_is_no_range(#[case] text: &str) {
        assert!(Range::parse(Some(text)).is_err());
    }

    proptest! {
        #[test]
        fn a_range_means_what_counting_its_blocks_says(first in 1_u32..50, len in 0_u32..20, have in 0_u32..80) {
            let range = Range { first, last: first + len };
            let needed: Vec<u32> = (range.first..=range.last).filter(|num| *num > have).collect();
            let want = match needed.first() {
                None => Meaning::Applied,
                Some(num) if *num == have + 1 => Meaning::Next,
                Some(_) => Meaning::TooFar,
            };
            prop_assert_eq!(range.against(have), want);
        }
    }
}
