//! Our own routes, described at `/v1/openapi.json`: what happens on the node, and streams, of any network. See
//! [`openapi`](super::openapi) for their places.

pub(super) mod attested;
#[cfg(feature = "chat")]
pub(super) mod chat;
pub(super) mod list;
pub(super) mod networks;
pub(super) mod stream;

use std::{collections::BTreeMap, convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use alive_core::{ContentId, SegmentDuration, Seq};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{
    Stream, StreamExt as _,
    future::ready,
    stream::{once, unfold},
};
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use utoipa::ToSchema;

use attested::SegmentAttestation;

use super::{
    Api, error, failed, json,
    lists::Path,
    query::{Param, Query},
};
use crate::{
    event::NodeEvent,
    playlists::{Playlist, Watched},
};

/// No list has more segments.
const MAX_FROM: usize = 262_144;
/// Most segments in one answer.
const PAGE: usize = 1000;
/// How often something is sent when nothing happens, so that nothing between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// What happens on the node: `stream` and `end` name a stream that changed or ended, `undo` a block that a fork took back,
/// `missed` how many events a client has lost that reads too slowly.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "events",
    tag = "events",
    responses((status = 200, description = "Events without end", body = String, content_type = "text/event-stream"))
)]
pub(super) async fn events(State(api): State<Arc<Api>>) -> Response {
    let events = unfold(api.events.subscribe(), |mut events| async move {
        next_event(&mut events).await.map(|event| (event, events))
    });
    api.send_events(Box::pin(events))
}

/// What happens to the list of a stream: `list` at the beginning and for each change, until the end.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "stream_events",
    tag = "events",
    params(
        ("quality" = Option<String>, Query, description = "The rendition, `src` unless given"),
        ("l1only" = Option<String>, Query, description = "`1`: without what only the live cache has"),
    ),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"))
)]
pub(super) async fn list_events(State(api): State<Arc<Api>>, path: Path, uri: Uri) -> Response {
    let watched = match api.watched(path, &Query::parse(uri.query()), "").await {
        Ok(watched) => watched,
        Err(answer) => return answer,
    };
    // The list as it is comes first, so that nothing is missed.
    let first = once(ready(list_event(watched.playlist())));
    let ended = watched.playlist().ended;
    let changes = Some(watched.changes()).filter(|_| !ended);
    let later = unfold(changes, |changes| async move {
        let mut changes = changes?;
        let playlist = changes.next().await?;
        Some((list_event(&playlist), Some(changes).filter(|_| !playlist.ended)))
    });
    api.send_events(Box::pin(first.chain(later)))
}

/// A part of a list's segments.
#[utoipa::path(
    get,
    path = "/segments",
    operation_id = "stream_segments",
    tag = "streams",
    params(
        ("from" = Option<u64>, Query, description = "The first number", minimum = 0, maximum = 262_144),
        ("quality" = Option<String>, Query, description = "The rendition, `src` unless given"),
        ("l1only" = Option<String>, Query, description = "`1`: without what only the live cache has"),
    ),
    responses((status = 200, description = "Segments as they are listed", body = Page))
)]
pub(super) async fn segments(State(api): State<Arc<Api>>, path: Path, uri: Uri) -> Response {
    let query = Query::parse(uri.query());
    let from = match query.get("from") {
        Param::Absent => Some(0),
        Param::Once(Some(text)) => list::number(text).filter(|from| *from <= MAX_FROM),
        Param::Once(None) | Param::Repeated => None,
    };
    let Some(from) = from else {
        return error(StatusCode::BAD_REQUEST, &format!("from: not a number from 0 to {MAX_FROM}"));
    };
    match api.watched(path, &query, "").await {
        Ok(watched) => api.page(&watched, from).await,
        Err(answer) => answer,
    }
}

impl Api {
    async fn page(&self, watched: &Watched, from: usize) -> Response {
        let attested = watched.attested(from, PAGE);
        match self.attested.segments(&watched.names(), attested).await {
            Ok(attested) => json(StatusCode::OK, &Page::new(watched, from, attested)),
            Err(why) => failed(&why),
        }
    }

    /// Sends events until the client goes, there are no more, or the node stops.
    fn send_events(&self, events: Events) -> Response {
        let events = events.map(Ok::<_, Infallible>).take_until(self.playlists.stopped());
        let mut response =
            Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The next event that somebody outside can make use of.
async fn next_event(events: &mut Receiver<NodeEvent>) -> Option<Event> {
    loop {
        let (name, data) = match events.recv().await {
            Ok(NodeEvent::StreamChanged(id)) => ("stream", json!({ "stream": id })),
            Ok(NodeEvent::StreamEnded(id)) => ("end", json!({ "stream": id })),
            Ok(NodeEvent::BlockUndone { network, block }) => {
                ("undo", json!({ "network": network.to_string(), "block": block.num }))
            }
            Ok(NodeEvent::Missed(network)) => ("missed", json!({ "network": network.to_string() })),
            Ok(_) => continue,
            // Who reads too slowly is told to look at everything again.
            Err(RecvError::Lagged(count)) => ("missed", json!({ "count": count })),
            Err(RecvError::Closed) => return None,
        };
        return Some(Event::default().event(name).data(data.to_string()));
    }
}

fn list_event(playlist: &Playlist) -> Event {
    let data = json!({
        "segments": playlist.segments,
        "ended": playlist.ended,
        "target_seconds": playlist.target_seconds,
        "waiting": playlist.waiting.map(Seq::as_u16),
        "missing": playlist.missing,
    });
    Event::default().event("list").id(playlist.segments.to_string()).data(data.to_string())
}

/// Some segments of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SegmentPage)]
struct Page {
    /// Whether the stream has ended.
    ended: bool,
    /// How many the list has.
    count: usize,
    /// At most a thousand of them.
    #[schema(max_items = 1000)]
    segments: Vec<Row>,
}

/// A segment of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SegmentRow)]
struct Row {
    /// Its number, from 0.
    number: usize,
    /// Its content id.
    #[schema(value_type = String)]
    content: ContentId,
    /// Its length in seconds, as an exact decimal.
    #[schema(value_type = String, example = "10.033")]
    duration: SegmentDuration,
    /// Whether a discontinuity stands before it.
    discontinuity: bool,
    /// Whether it is lost.
    gap: bool,
    /// The push on each chain that attests it; none while only the live cache has it.
    #[schema(value_type = BTreeMap<String, u64>)]
    attested: BTreeMap<String, Seq>,
    /// The same with how far each of those pushes stands, one for each chain.
    attestations: Vec<SegmentAttestation>,
    /// Content id of the initialisation section that it needs, as fragments of MP4 do.
    #[schema(value_type = Option<String>)]
    section: Option<ContentId>,
}

impl Page {
    fn new(list: &Watched, from: usize, attested: Vec<Vec<SegmentAttestation>>) -> Self {
        let playlist = list.playlist();
        let sections = list.sections(from, PAGE);
        let listed = list.segments(from, PAGE).into_iter().zip(sections);
        let segments = listed.zip(attested).zip(from..);
        let rows = segments.map(|(((segment, section), attestations), number)| Row {
            number,
            attested: attestations.iter().map(SegmentAttestation::push).collect(),
            attestations,
            section,
            content: segment.content,
            duration: segment.duration,
            discontinuity: segment.flags.discontinuity(),
            gap: segment.flags.gap(),
        });
        Self { ended: playlist.ended, count: playlist.segments, segments: rows.collect() }
    }
}
