//! `/v1/streams`: streams by the page.

use std::{sync::Arc, time::Duration};

use alive_core::{
    AccountName, Network,
    backend::{StreamMark, StreamOrder, StreamQuery, StreamStore as _},
};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::stream::Stream;
use crate::api::{
    Api, failed, json,
    lists::{Refused, once, refused},
    query::Query,
};

/// A stream that has not ended counts as live for so long after its last push: twice the longest time between two pushes
/// of the original's streamer. Source: `spec/indexer.md`, section 8, "batch interval".
const LIVE: Duration = Duration::from_mins(10);

/// Some streams of many.
#[derive(Debug, Serialize, ToSchema)]
struct Page {
    /// They, in their order.
    #[schema(max_items = 100)]
    streams: Vec<Stream>,
    /// `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// Streams of all networks or of one: those of an author, of authors by the beginning of their names, those that are live,
/// or all. The newest come first, of live ones those with the latest push; authors come by name.
#[utoipa::path(
    get,
    path = "/v1/streams",
    operation_id = "streams",
    tag = "streams",
    params(
        ("network" = Option<String>, Query, description = "Only those of this network"),
        ("author" = Option<String>, Query, description = "Only those of this account"),
        ("author_prefix" = Option<String>, Query, description = "Only those of accounts whose names begin so"),
        ("live" = Option<bool>, Query, description = "Only those that have not ended and had a push in the last ten minutes"),
        ("limit" = Option<u32>, Query, description = "How many", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "A page of streams", body = Page))
)]
pub(in crate::api) async fn streams(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    let query = match api.stream_query(&Query::parse(uri.query())) {
        Ok(query) => query,
        Err(why) => return why.into(),
    };
    match api.store.streams(&query).await {
        Ok(page) => {
            let now = api.clock.now();
            let streams =
                page.streams.iter().map(|listed| Stream::new(&listed.id, &listed.info, now));
            let next = page.next.map(|mark| BASE64URL_NOPAD.encode(mark.to_string().as_bytes()));
            json(StatusCode::OK, &Page { streams: streams.collect(), next })
        }
        Err(why) => failed(&why),
    }
}

impl Api {
    fn stream_query(&self, asked: &Query) -> Result<StreamQuery, Refused> {
        let author = parsed::<AccountName>(asked, "author")?;
        let prefix = once(asked, "author_prefix")?;
        let live = flag(asked, "live")?;
        let order = match (author, prefix, live) {
            (None, None, false) => StreamOrder::Newest,
            (Some(author), None, false) => StreamOrder::Author(author),
            (None, Some(prefix), false) => StreamOrder::AuthorPrefix(prefix.into()),
            (None, None, true) => {
                let now = self.clock.now().as_unix_ms();
                let long = i64::try_from(LIVE.as_millis()).unwrap_or(i64::MAX);
                StreamOrder::Live { since: alive_core::Timestamp::from_unix_ms(now - long) }
            }
            _ => return Err(refused("author, author_prefix and live: only one of them")),
        };
        let mut query = StreamQuery::new(order);
        if let Some(network) = parsed::<Network>(asked, "network")? {
            query = query.network(network);
        }
        if let Some(limit) = once(asked, "limit")? {
            let limit = number(limit).filter(|limit| (1..=StreamQuery::MAX_LIMIT).contains(limit));
            let limit = limit.ok_or_else(|| {
                refused(&format!("limit: not a number from 1 to {}", StreamQuery::MAX_LIMIT))
            })?;
            query = query.limit(limit);
        }
        if let Some(cursor) = once(asked, "cursor")? {
            let mark = mark(cursor).ok_or_else(|| refused("cursor: not the `next` of a page"))?;
            query = query.after(mark);
        }
        Ok(query)
    }
}

/// A number of plain digits.
pub(in crate::api) fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn mark(cursor: &str) -> Option<StreamMark> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    std::str::from_utf8(&bytes).ok()?.parse().ok()
}

fn parsed<T>(query: &Query, name: &'static str) -> Result<Option<T>, Refused>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let value = once(query, name)?.map(str::parse).transpose();
    value.map_err(|why| refused(&format!("{name}: {why}")))
}

fn flag(query: &Query, name: &'static str) -> Result<bool, Refused> {
    match once(query, name)? {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(refused(&format!("{name}: neither true nor false"))),
    }
}
