//! The page of what is on: live streams, and those that were created last.

use std::time::Duration;

use alive_core::{
    Timestamp,
    backend::{
        ListedStream, SharedStreamStore, StoreError, StreamMark, StreamOrder, StreamQuery,
        StreamStore as _,
    },
};
use maud::{Markup, html};

use super::{
    address::{self, Site},
    document,
};

/// A stream that has not ended counts as live for so long after its last push: twice the longest time between two pushes
/// of the original's streamer. Source: `spec/indexer.md`, section 8, "batch interval".
const LIVE: Duration = Duration::from_mins(10);
/// How many streams a list shows.
const SHOWN: usize = 50;

/// What is on.
#[derive(Debug)]
pub(super) struct Home {
    live: Vec<ListedStream>,
    newest: Vec<ListedStream>,
    /// Where older ones begin.
    next: Option<StreamMark>,
    /// Whether these are older ones.
    older: bool,
    now: Timestamp,
}

impl Home {
    /// Looks into the store. Behind a place only older ones are shown.
    pub(super) async fn look(
        store: &SharedStreamStore,
        after: Option<StreamMark>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let older = after.is_some();
        let live = if older {
            Vec::new()
        } else {
            let order = StreamOrder::Live { since: live_since(now) };
            store.streams(&StreamQuery::new(order).limit(SHOWN)).await?.streams
        };
        let mut query = StreamQuery::new(StreamOrder::Newest).limit(SHOWN);
        if let Some(after) = after {
            query = query.after(after);
        }
        let page = store.streams(&query).await?;
        Ok(Self { live, newest: page.streams, next: page.next, older, now })
    }

    pub(super) fn page(&self, site: &Site) -> Markup {
        let body = html! {
            (document::header())
            main {
                @if !self.older {
                    h1 { "Live now" }
                    (self.list(&self.live, "Nobody streams at the moment."))
                }
                h2 { @if self.older { "Older streams" } @else { "Recent streams" } }
                (self.list(&self.newest, "There are no streams yet."))
                @if let Some(next) = &self.next {
                    p { a rel="next" href={ "/?after=" (address::part(&next.to_string())) } { "Older streams" } }
                }
            }
        };
        let head = html! {
            meta name="description" content="Live video that nobody can take down.";
            link rel="canonical" href={ (site) "/" };
            meta property="og:site_name" content="Alive";
            meta property="og:type" content="website";
            meta property="og:title" content="Alive";
            meta property="og:url" content={ (site) "/" };
        };
        document::page("Alive", "home", &head, &body)
    }

    fn list(&self, streams: &[ListedStream], none: &str) -> Markup {
        html! {
            @if streams.is_empty() {
                p { (none) }
            } @else {
                ul.streams {
                    @for ListedStream { id, info } in streams {
                        li {
                            a href=(address::page("watch", id)) { (id.account) "/" (id.link) }
                            span.when {
                                (id.network) " · "
                                @if info.ended {
                                    "Recording"
                                } @else if info.last_streamed.is_some_and(|last| last >= live_since(self.now)) {
                                    strong { "Live" }
                                } @else if info.head.is_some() {
                                    "Paused"
                                } @else {
                                    "Not started"
                                }
                                " · since " (when(info.first_streamed.unwrap_or(info.created)))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The oldest last push of a live stream.
fn live_since(now: Timestamp) -> Timestamp {
    let ms = i64::try_from(LIVE.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(now.as_unix_ms().saturating_sub(ms))
}

/// A time, to the minute, as chains tell it.
fn when(at: Timestamp) -> Markup {
    let whole = at.to_string();
    let minute = whole.get(..16).unwrap_or(&whole).replace('T', " ");
    html! { time datetime={ (whole) "Z" } { (minute) " UTC" } }
}
