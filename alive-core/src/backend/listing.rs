//! Streams by the page: [`StreamQuery`], [`StreamPage`] and the place where a page ends, [`StreamMark`].
//!
//! A page begins behind the last stream of the one before, which the mark names by its values and not by its number, so
//! that nothing is shown twice or passed over when streams are created between two pages.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::{
    account::{AccountName, Network},
    stream::StreamInfo,
    stream_id::StreamId,
    text::Excerpt,
    time::Timestamp,
};

/// Which streams, in which order. Names of authors order by their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store must handle every case")]
pub enum StreamOrder {
    /// Those of one author, the one created last first.
    Author(AccountName),
    /// Those of authors whose names begin so, by author and then network; of each author the one created last first.
    AuthorPrefix(Box<str>),
    /// Those that have not ended and had a push at this time or later, the one with the last push first.
    Live {
        /// The time.
        since: Timestamp,
    },
    /// All, the one created last first.
    Newest,
}

impl StreamOrder {
    /// The first text behind all that begin with `prefix`, in the order of bytes; `None` when there is none.
    ///
    /// ```
    /// use alive_core::backend::StreamOrder;
    /// assert_eq!(StreamOrder::prefix_end("ali").as_deref(), Some("alj"));
    /// assert_eq!(StreamOrder::prefix_end("a\u{10ffff}").as_deref(), Some("b"));
    /// assert_eq!(StreamOrder::prefix_end(""), None);
    /// ```
    pub fn prefix_end(prefix: &str) -> Option<String> {
        let mut end = prefix.to_owned();
        while let Some(last) = end.pop() {
            // Letters order as their bytes do; a range of letters steps over the codes that are none.
            if let Some(next) = (last..=char::MAX).nth(1) {
                end.push(next);
                return Some(end);
            }
        }
        None
    }
}

/// A question for streams, a page at a time.
///
/// ```
/// use alive_core::{Network, backend::{StreamOrder, StreamQuery}};
/// let query = StreamQuery::new(StreamOrder::Newest).network(Network::hive()).limit(1_000_000);
/// assert_eq!(query.limit, StreamQuery::MAX_LIMIT);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamQuery {
    /// Which, and in which order.
    pub order: StreamOrder,
    /// Only those of this network; of all when absent.
    pub network: Option<Network>,
    /// Only those behind this place.
    pub after: Option<StreamMark>,
    /// How many at most, from 1 to [`MAX_LIMIT`](Self::MAX_LIMIT).
    pub limit: usize,
}

impl StreamQuery {
    /// Most streams of a page: 64 KiB of JSON.
    pub const MAX_LIMIT: usize = 100;

    /// The first page over all networks, as long as can be.
    pub fn new(order: StreamOrder) -> Self {
        Self { order, network: None, after: None, limit: Self::MAX_LIMIT }
    }

    /// Asks for one network only.
    #[must_use]
    pub fn network(self, network: Network) -> Self {
        Self { network: Some(network), ..self }
    }

    /// Asks for what is behind a place.
    #[must_use]
    pub fn after(self, after: StreamMark) -> Self {
        Self { after: Some(after), ..self }
    }

    /// Asks for no more than this many, one at least.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: limit.clamp(1, Self::MAX_LIMIT), ..self }
    }

    /// Whether the answer holds this stream, on this page or one behind it.
    pub fn admits(&self, stream: &ListedStream) -> bool {
        let ListedStream { id, info } = stream;
        let wanted = match &self.order {
            StreamOrder::Author(author) => id.account == *author,
            StreamOrder::AuthorPrefix(prefix) => id.account.as_str().starts_with(&**prefix),
            StreamOrder::Live { since } => {
                !info.ended && info.last_streamed.is_some_and(|last| last >= *since)
            }
            StreamOrder::Newest => true,
        };
        let behind = |after| self.compare(after, &self.mark(stream)) == Ordering::Less;
        wanted
            && self.network.as_ref().is_none_or(|network| *network == id.network)
            && self.after.as_ref().is_none_or(behind)
    }

    /// The order of two places.
    pub fn compare(&self, left: &StreamMark, right: &StreamMark) -> Ordering {
        let age = (right.at, right.id).cmp(&(left.at, left.id));
        let network = left.network.cmp(&right.network);
        match &self.order {
            StreamOrder::AuthorPrefix(_) => {
                left.account.cmp(&right.account).then(network).then(age)
            }
            _ => age.then(network),
        }
    }

    /// The place of a stream.
    pub fn mark(&self, ListedStream { id, info }: &ListedStream) -> StreamMark {
        let at = match &self.order {
            StreamOrder::Live { .. } => info.last_streamed.unwrap_or(info.created),
            _ => info.created,
        };
        StreamMark { at, id: info.id, network: id.network.clone(), account: id.account.clone() }
    }

    /// The page of the first of these streams, all of which it [`admits`](Self::admits). A store finds one more than the
    /// [`limit`](Self::limit) of each network and hands in all of them.
    pub fn page(&self, streams: Vec<ListedStream>) -> StreamPage {
        let mut marked: Vec<_> = streams.into_iter().map(|s| (self.mark(&s), s)).collect();
        marked.sort_by(|(left, _), (right, _)| self.compare(left, right));
        let more = marked.len() > self.limit;
        marked.truncate(self.limit);
        let next = marked.last().filter(|_| more).map(|(mark, _)| mark.clone());
        StreamPage { streams: marked.into_iter().map(|(_, stream)| stream).collect(), next }
    }
}

/// A stream without its pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedStream {
    /// Its name.
    pub id: StreamId,
    /// Its state.
    pub info: StreamInfo,
}

/// Some streams of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPage {
    /// They, in their order.
    pub streams: Vec<ListedStream>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<StreamMark>,
}

/// Where a page ends: behind a stream with these values, which need not exist (any more).
///
/// It has a text, `{milliseconds}/{id}/{network}/{account}`, of at most 331 bytes.
///
/// ```
/// use alive_core::backend::StreamMark;
/// let mark: StreamMark = "1700000000000/7/hive/alice".parse()?;
/// assert_eq!((mark.id, mark.account.as_str()), (7, "alice"));
/// assert_eq!(mark.to_string(), "1700000000000/7/hive/alice");
/// # Ok::<(), alive_core::backend::StreamMarkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamMark {
    /// The time that the streams are ordered by.
    pub at: Timestamp,
    /// Its place among all streams of its network.
    pub id: u64,
    /// Its network.
    pub network: Network,
    /// Its author.
    pub account: AccountName,
}

impl fmt::Display for StreamMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, id, network, account } = self;
        write!(f, "{}/{id}/{network}/{account}", at.as_unix_ms())
    }
}

impl FromStr for StreamMark {
    type Err = StreamMarkError;

    fn from_str(s: &str) -> Result<Self, StreamMarkError> {
        let refuse = || StreamMarkError(Excerpt::of(s));
        let mut parts = s.splitn(4, '/');
        let mut part = || parts.next().ok_or_else(refuse);
        let (at, id, network, account) = (part()?, part()?, part()?, part()?);
        let mark = Self {
            at: Timestamp::from_unix_ms(at.parse().map_err(|_| refuse())?),
            id: id.parse().map_err(|_| refuse())?,
            network: network.parse().map_err(|_| refuse())?,
            account: account.parse().map_err(|_| refuse())?,
        };
        // One text for each place.
        if mark.to_string() == s { Ok(mark) } else { Err(refuse()) }
    }
}

/// The text is no [`StreamMark`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no place in a list of streams")]
pub struct StreamMarkError(Excerpt);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_begins_with_a_prefix_is_between_it_and_its_end(prefix in ".{0,4}", name in ".{0,6}") {
            let end = StreamOrder::prefix_end(&prefix);
            let between = |name: &str| {
                *name >= *prefix && end.as_deref().is_none_or(|end| name < end)
            };
            prop_assert_eq!(between(&name), name.starts_with(&prefix));
            let longer = format!("{prefix}{name}");
            prop_assert!(between(&longer));
        }

        #[test]
        fn a_mark_is_its_text(ms in 0..253_402_300_799_999_i64, id: u64, account in ".{1,60}") {
            let mark = StreamMark {
                at: Timestamp::from_unix_ms(ms),
                id,
                network: Network::avalon(),
                account: account.parse().unwrap(),
            };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
        }

        #[test]
        fn any_text_is_a_mark_or_not(text in "[0-9+-]{0,21}(/.{0,9}){0,4}") {
            if let Ok(mark) = text.parse::<StreamMark>() {
                prop_assert_eq!(mark.to_string(), text);
            }
        }
    }

    #[test]
    fn letters_beside_the_codes_that_are_none_have_ends_too() {
        assert_eq!(StreamOrder::prefix_end("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(StreamOrder::prefix_end("\u{10ffff}\u{10ffff}"), None);
    }

    #[test]
    fn texts_that_are_no_marks_are_refused() {
        for text in
            ["", "1/2/hive", "1/2/Hive/a", "x/2/hive/a", "1/-2/hive/a", "01/2/hive/a", "1/2/hive/"]
        {
            assert_eq!(text.parse::<StreamMark>(), Err(StreamMarkError(Excerpt::of(text))));
        }
    }
}
