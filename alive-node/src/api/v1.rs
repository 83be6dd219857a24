//! Our own routes: what happens on the node, and streams segment by segment.
//!
//! | route | answer |
//! |---|---|
//! | `/v1/events` | server-sent events: `stream`, `end`, `undo`, `missed` |
//! | `/v1/streams/{author}/{link}/events` | server-sent events: `list` for each change of the list, the last one with `"ended":true` |
//! | `/v1/streams/{author}/{link}/segments?from=N` | at most [`PAGE`] segments of the list from a number on |

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use alive_core::{ContentId, SegmentDuration, Seq};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt as _, future, stream};
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Api, error, json,
    lists::Path,
    query::{Param, Query},
};
use crate::{
    event::NodeEvent,
    playlists::{Playlist, Watched},
};

/// Most segments in one answer.
const PAGE: usize = 1000;
/// How often something is sent when nothing happens, so that nothing between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// What happens on the node.
pub(super) async fn events(State(api): State<Arc<Api>>) -> Response {
    let events = stream::unfold(api.events.subscribe(), |mut events| async move {
        next_event(&mut events).await.map(|event| (event, events))
    });
    api.send_events(Box::pin(events))
}

/// What happens to the list of a stream.
pub(super) async fn list_events(State(api): State<Arc<Api>>, path: Path, uri: Uri) -> Response {
    let watched = match api.watched(path, &Query::parse(uri.query()), "").await {
        Ok(watched) => watched,
        Err(answer) => return answer,
    };
    // The list as it is comes first, so that nothing is missed.
    let first = stream::once(future::ready(list_event(watched.playlist())));
    let changes = Some(watched.changes()).filter(|_| !watched.playlist().ended);
    let later = stream::unfold(changes, |changes| async move {
        let mut changes = changes?;
        let playlist = changes.next().await?;
        Some((list_event(&playlist), Some(changes).filter(|_| !playlist.ended)))
    });
    api.send_events(Box::pin(first.chain(later)))
}

/// A part of a list's segments.
pub(super) async fn segments(State(api): State<Arc<Api>>, path: Path, uri: Uri) -> Response {
    let query = Query::parse(uri.query());
    let from = match query.get("from") {
        Param::Absent => Some(0),
        Param::Once(Some(text)) => text.parse().ok().filter(|_| !text.starts_with('+')),
        Param::Once(None) | Param::Repeated => None,
    };
    let Some(from) = from else {
        return error(StatusCode::BAD_REQUEST, "from: not a number of plain digits");
    };
    match api.watched(path, &query, "").await {
        Ok(watched) => json(StatusCode::OK, &Page::new(&watched, from)),
        Err(answer) => answer,
    }
}

impl Api {
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
#[derive(Serialize)]
struct Page {
    ended: bool,
    /// How many the list has.
    count: usize,
    segments: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    number: usize,
    content: ContentId,
    duration: SegmentDuration,
    discontinuity: bool,
    gap: bool,
}

impl Page {
    fn new(list: &Watched, from: usize) -> Self {
        let playlist = list.playlist();
        let segments = list.segments(from, PAGE).into_iter().zip(from..);
        let row = |(segment, number): (alive_core::Segment, usize)| Row {
            number,
            content: segment.content,
            duration: segment.duration,
            discontinuity: segment.flags.discontinuity(),
            gap: segment.flags.gap(),
        };
        Self {
            ended: playlist.ended,
            count: playlist.segments,
            segments: segments.map(row).collect(),
        }
    }
}
