//! What the 2021 servers answered beside the list: `/streaminfo/{author}/{link}`, `/stream/{author}/{link}/master`.
//!
//! The list of renditions is measured where the node has the content, see [`Measures`](crate::measure::Measures), and says
//! nothing that is not valid, as the original did. Source: `spec/indexer.md`, section 5, "2021 routes"; `spec/hls.md`,
//! section 8.

use std::sync::Arc;

use alive_core::{GatewayUrl, Quality, StreamId, Timestamp};
use alive_playlist::{Uri, multivariant};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri as RequestUri},
    response::{IntoResponse as _, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{
    Api,
    encoding::Accepted,
    json,
    lists::{Path, Refused, gateway, send},
    query::{Param, Query},
};
use crate::playlists::{ListText, Watched};

/// What stands in a path as it is.
pub(crate) const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The renditions of a stream.
pub(super) async fn master(
    State(api): State<Arc<Api>>,
    path: Path,
    uri: RequestUri,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(uri.query());
    let from = List::Sibling;
    api.renditions(path, &query, &headers, from).await.unwrap_or_else(|answer| answer)
}

/// Where the list of a stream is, seen from the list of its renditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// `playlist.m3u8` beside it.
    Beside,
    /// `/stream/{author}/{link}.m3u8`, seen from `/stream/{author}/{link}/master`.
    Sibling,
}

/// The state of a stream in the shape of 2021; without one, nothing.
pub(super) async fn info(State(api): State<Arc<Api>>, path: Path, uri: RequestUri) -> Response {
    match api.watched(path, &Query::parse(uri.query()), "").await {
        Ok(watched) => json(StatusCode::OK, &Info::new(&watched)),
        Err(answer) if answer.status() == StatusCode::NOT_FOUND => {
            StatusCode::NOT_FOUND.into_response()
        }
        Err(answer) => answer,
    }
}

/// How the lists of renditions are named.
#[derive(Debug)]
pub(super) struct Links {
    gateway: Option<GatewayUrl>,
    chain_only: bool,
    place: List,
}

impl Links {
    /// As a query asks for them.
    pub(super) fn parse(query: &Query, place: List) -> Result<Self, Refused> {
        let gateway = gateway(query)?;
        let chain_only = query.get("l1only") == Param::Once(Some("1"));
        Ok(Self { gateway, chain_only, place })
    }

    /// The list of a rendition.
    fn to(&self, id: &StreamId, quality: Quality) -> String {
        let StreamId { account, link, .. } = id;
        let mut uri = match self.place {
            List::Beside => format!("playlist.m3u8?quality={quality}"),
            List::Sibling => {
                let name = |text| utf8_percent_encode(text, IN_PATH);
                let (account, link) = (name(account.as_str()), name(link.as_str()));
                format!("../../{account}/{link}.m3u8?quality={quality}")
            }
        };
        if let Some(gateway) = &self.gateway {
            uri.push_str("&gw=");
            uri.extend(utf8_percent_encode(gateway.as_str(), NON_ALPHANUMERIC));
        }
        if self.chain_only {
            uri.push_str("&l1only=1");
        }
        uri
    }
}

impl Api {
    /// What the streamer makes.
    pub(super) async fn renditions(
        &self,
        path: Path,
        query: &Query,
        headers: &HeaderMap,
        place: List,
    ) -> Result<Response, Response> {
        let links = Links::parse(query, place)?;
        let src = self.watched(path, &Query::parse(None), "").await?;
        let own = src.renditions().into_iter().map(|quality| (quality, src.stream().clone()));
        let list = self.described(&src, own, &links).await;
        // Renditions may appear, and are measured better later.
        let seconds = (src.playlist().target_seconds / 2).max(1);
        let cache = format!("public, max-age={seconds}");
        Ok(send(&list, &cache, HeaderMap::new(), &Accepted::of(headers)))
    }

    /// The list of a stream's source and of these renditions, in their order, as their segments are.
    pub(super) async fn described(
        &self,
        src: &Watched,
        renditions: impl IntoIterator<Item = (Quality, StreamId)>,
        links: &Links,
    ) -> ListText {
        let mut measured =
            vec![(Quality::Src, src.stream().clone(), self.measures.measure(src).await)];
        for (quality, stream) in renditions {
            // A rendition that was undone meanwhile is left out.
            if let Ok(list) = self.playlists.get(&stream, quality, links.chain_only).await {
                measured.push((quality, stream, self.measures.measure(&list).await));
            }
        }
        let list = multivariant(measured.iter().filter_map(|(quality, stream, meter)| {
            Some((*quality, Uri::new(links.to(stream, *quality)).ok()?, meter))
        }));
        ListText::new(list.to_bytes())
    }
}

/// A stream in the shape of 2021. Times are milliseconds since 1970, lengths seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    #[serde(rename = "_id")]
    id: String,
    author: String,
    link: String,
    #[serde(rename = "pub")]
    live_key: Option<String>,
    created_ts: i64,
    last_ts: i64,
    ended: bool,
    len: f64,
    segment_count: usize,
    chunk_count: usize,
}

impl Info {
    fn new(list: &Watched) -> Self {
        let StreamId { account, link, .. } = list.stream();
        let facts = list.facts();
        let millis = |at: Timestamp| at.as_unix_ms();
        let info = &facts.info;
        let last = info.last_streamed.map_or(info.last_updated, |at| at.max(info.last_updated));
        Self {
            id: format!("{account}/{link}"),
            author: account.to_string(),
            link: link.to_string(),
            live_key: info.settings.live_key.as_ref().map(ToString::to_string),
            created_ts: millis(info.created),
            last_ts: millis(last),
            ended: info.ended,
            len: facts.length.as_secs_f64(),
            segment_count: facts.segments,
            chunk_count: facts.chunks,
        }
    }
}
