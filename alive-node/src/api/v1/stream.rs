//! `/v1/streams/{author}/{link}` and what is below: a stream's state, its pushes and its lists.

use std::{collections::BTreeMap, sync::Arc};

use alive_core::{
    GatewayUrl, LiveKey, LiveLayer, Pushed, SegmentDuration, Seq, StreamId, StreamInfo, Timestamp,
    backend::{StoredStream, StreamStore as _},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{attested::Attestation, list::number};
use crate::api::{
    Api, failed, json,
    lists::{self, Path, no_stream, once, refused},
    query::Query,
    streams::{IN_PATH, List},
};
use crate::playlists::Told;

/// Most pushes in one answer.
const PAGE: usize = 1000;
/// A stream.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Stream {
    /// Its full name, `network/author/link`.
    id: String,
    /// The network.
    network: String,
    /// Account of the streamer.
    author: String,
    /// The streamer's name for it.
    link: String,
    /// Whether it has ended.
    ended: bool,
    /// When it was configured first.
    #[schema(format = DateTime)]
    created: String,
    /// When it was configured or ended last.
    #[schema(format = DateTime)]
    last_updated: String,
    /// Time of its first push.
    #[schema(format = DateTime)]
    first_streamed: Option<String>,
    /// Time of its last push.
    #[schema(format = DateTime)]
    last_streamed: Option<String>,
    /// Seconds since the last push.
    age_seconds: Option<u64>,
    /// End of the gap-free run of pushes.
    #[schema(maximum = 17280)]
    finalized: Option<u16>,
    /// Highest number of a push.
    #[schema(maximum = 17280)]
    head: Option<u16>,
    /// Where its content lives, `ipfs` or `skynet`.
    storage: String,
    /// The gateway that the streamer recommends.
    gateway: Option<String>,
    /// Where its segments are before the chain has them, `gundb`.
    live_layer: Option<String>,
    /// The streamer's key there.
    live_key: Option<String>,
    /// Path of its playlist on this node.
    playlist: String,
}

impl Stream {
    pub(in crate::api) fn new(id: &StreamId, info: &StreamInfo, now: Timestamp) -> Self {
        let settings = &info.settings;
        let StreamId { network, account, link } = id;
        let escaped = utf8_percent_encode(account.as_str(), IN_PATH);
        Self {
            id: id.to_string(),
            network: network.to_string(),
            author: account.to_string(),
            link: link.to_string(),
            ended: info.ended,
            created: utc(info.created),
            last_updated: utc(info.last_updated),
            first_streamed: info.first_streamed.map(utc),
            last_streamed: info.last_streamed.map(utc),
            age_seconds: info.last_streamed.map(|last| now.since(last).as_secs()),
            finalized: info.finalized.map(Seq::as_u16),
            head: info.head.map(Seq::as_u16),
            storage: settings.storage.to_string(),
            gateway: settings.gateway.as_ref().map(GatewayUrl::to_string),
            live_layer: settings.live_layer().map(LiveLayer::as_str).map(str::to_owned),
            live_key: settings.live_key.as_ref().map(LiveKey::to_string),
            playlist: format!("/v1/networks/{network}/streams/{escaped}/{link}/playlist.m3u8"),
        }
    }
}

/// A moment as RFC 3339 has it.
fn utc(at: Timestamp) -> String {
    format!("{at}Z")
}

/// A stream and what each chain says of it.
#[derive(Debug, Serialize, ToSchema)]
struct Info {
    #[serde(flatten)]
    stream: Stream,
    /// How many pushes it has on this chain.
    pushes: usize,
    /// The chains that attest it, this one first: those behind it are where the stream and its twin name each other.
    attestations: Vec<Attestation>,
}

/// The state of a stream.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "stream",
    tag = "streams",
    responses((status = 200, description = "The stream", body = Info))
)]
pub(in crate::api) async fn info(State(api): State<Arc<Api>>, path: Path) -> Response {
    api.info(path).await.unwrap_or_else(|answer| answer)
}

/// Some pushes of a stream.
#[derive(Debug, Serialize, ToSchema)]
struct ChunkPage {
    /// Whether the stream has ended.
    ended: bool,
    /// How many pushes it has.
    count: usize,
    /// At most a thousand of them by number, those above a gap included.
    #[schema(max_items = 1000)]
    chunks: Vec<Chunk>,
    /// `from` of the next page; null at the end.
    next: Option<u16>,
}

/// A push.
#[derive(Debug, Serialize, ToSchema)]
struct Chunk {
    /// Its number.
    #[schema(maximum = 17280)]
    seq: u16,
    /// Content id of a chunk, or of a segment where there is a duration.
    content: String,
    /// Length in seconds of a segment, as an exact decimal; null for a chunk.
    #[schema(value_type = Option<String>, example = "10.033")]
    duration: Option<SegmentDuration>,
    /// Whether a discontinuity stands before the segment.
    discontinuity: bool,
    /// Content ids of the renditions by their heights.
    renditions: BTreeMap<String, String>,
    /// Content ids of the initialisation sections by `src` and the heights: fragments of MP4 need them.
    sections: BTreeMap<String, String>,
}

/// What was pushed to the chain.
#[utoipa::path(
    get,
    path = "/chunks",
    operation_id = "stream_chunks",
    tag = "streams",
    params(("from" = Option<u64>, Query, description = "The first number", minimum = 0, maximum = 17280)),
    responses((status = 200, description = "Pushes by number", body = ChunkPage))
)]
pub(in crate::api) async fn chunks(State(api): State<Arc<Api>>, path: Path, uri: Uri) -> Response {
    api.chunks(path, &Query::parse(uri.query())).await.unwrap_or_else(|answer| answer)
}

/// What the list of a stream lacks, and why.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "stream_health",
    tag = "streams",
    params(
        ("quality" = Option<String>, Query, description = "The rendition, `src` unless given"),
        ("l1only" = Option<String>, Query, description = "`1`: without what only the live cache has"),
    ),
    responses((status = 200, description = "The state of the list", body = Object))
)]
pub(in crate::api) async fn health(state: State<Arc<Api>>, path: Path, uri: Uri) -> Response {
    lists::health(state, path, uri).await
}

/// The renditions of a stream as a multivariant playlist.
#[utoipa::path(
    get,
    path = "/master.m3u8",
    operation_id = "stream_master",
    tag = "streams",
    params(
        ("gw" = Option<String>, Query, description = "The gateway that players fetch segments from"),
        ("l1only" = Option<String>, Query, description = "`1`: without what only the live cache has"),
    ),
    responses((
        status = 200, description = "The renditions", body = String, content_type = "application/vnd.apple.mpegurl"
    ))
)]
pub(in crate::api) async fn master(
    State(api): State<Arc<Api>>,
    path: Path,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(uri.query());
    api.renditions(path, &query, &headers, List::Beside).await.unwrap_or_else(|answer| answer)
}

/// The playlist of a stream.
#[utoipa::path(
    get,
    path = "/playlist.m3u8",
    operation_id = "stream_playlist",
    tag = "streams",
    params(
        ("gw" = Option<String>, Query, description = "The gateway that players fetch segments from"),
        ("quality" = Option<String>, Query, description = "The rendition, `src` unless given"),
        (
            "window" = Option<u64>, Query, description = "Only so many seconds of the list's end",
            minimum = 1
        ),
        ("l1only" = Option<String>, Query, description = "`1`: without what only the live cache has"),
        ("_HLS_msn" = Option<String>, Query, description = "Number of a segment: answer when the list has it"),
        ("_HLS_part" = Option<String>, Query, description = "Number of a part of that segment: answer when the list has it"),
        ("_HLS_skip" = Option<String>, Query, description = "`YES`: leave out what the player has already"),
    ),
    responses((
        status = 200, description = "The list", body = String, content_type = "application/vnd.apple.mpegurl"
    ))
)]
pub(in crate::api) async fn playlist(
    state: State<Arc<Api>>,
    path: Path,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    lists::playlist(state, path, uri, headers).await
}

impl Api {
    async fn info(&self, path: Path) -> Result<Response, Response> {
        let id = self.stream_of(path, "").ok_or_else(no_stream)?;
        let told = Told::read(&self.store, &id, |_| {}).await.map_err(|why| failed(&why))?;
        let Told { stream, twins } = told.ok_or_else(no_stream)?;
        let mut attestations = Vec::new();
        for (name, told) in [(&id, &stream)].into_iter().chain(twins.iter().map(|(n, t)| (n, t))) {
            let attestation = self.attested.stream(name, told).await;
            attestations.extend(attestation.map_err(|why| failed(&why))?);
        }
        let pushes = stream.pushes().count();
        let stream = Stream::new(&id, stream.info(), self.clock.now());
        Ok(json(StatusCode::OK, &Info { stream, pushes, attestations }))
    }

    async fn chunks(&self, path: Path, query: &Query) -> Result<Response, Response> {
        let from = match once(query, "from")? {
            None => 0,
            Some(text) => {
                let from = number(text).filter(|from| *from <= Seq::MAX.as_index());
                from.ok_or_else(|| refused(&format!("from: not a number from 0 to {}", Seq::MAX)))?
            }
        };
        let (_, StoredStream { info, pushes }) = self.stored(path).await?;
        let mut rest = pushes.iter().skip_while(|(seq, _)| seq.as_index() < from);
        let chunks = rest.by_ref().take(PAGE).map(|(seq, pushed)| Chunk::new(*seq, pushed));
        let chunks = chunks.collect();
        let next = rest.next().map(|(seq, _)| seq.as_u16());
        let page = ChunkPage { ended: info.ended, count: pushes.len(), chunks, next };
        Ok(json(StatusCode::OK, &page))
    }

    async fn stored(&self, path: Path) -> Result<(StreamId, StoredStream), Response> {
        let id = self.stream_of(path, "").ok_or_else(no_stream)?;
        match self.store.stream(&id).await {
            Ok(Some(stored)) => Ok((id, stored)),
            Ok(None) => Err(no_stream()),
            Err(why) => Err(failed(&why)),
        }
    }
}

impl Chunk {
    fn new(seq: Seq, pushed: &Pushed) -> Self {
        let (renditions, sections) = (pushed.renditions.iter(), pushed.renditions.sections());
        Self {
            seq: seq.as_u16(),
            content: pushed.src.to_string(),
            duration: pushed.len,
            discontinuity: pushed.discontinuity,
            renditions: renditions
                .map(|(quality, id)| (quality.to_string(), id.to_string()))
                .collect(),
            sections: sections.map(|(quality, id)| (quality.to_string(), id.to_string())).collect(),
        }
    }
}
