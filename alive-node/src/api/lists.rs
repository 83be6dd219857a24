//! Playlists: `/stream/{author}/{link}` and the same with `.m3u8`, which every player takes.
//!
//! | parameter | meaning |
//! |---|---|
//! | `gw` | the gateway that players fetch segments from |
//! | `quality` | the rendition, `src` unless given |
//! | `window` | only the last seconds of the list |
//! | `l1only=1` | without what only the live cache has |
//! | `_HLS_msn`, `_HLS_part` | answer when the list has this segment, or this part of it; see [`ReloadRequest`] |
//! | `_HLS_skip` | leave out what the player has already |
//!
//! What is asked for in two ways is refused, what is not known is ignored. Source: `spec/hls.md`, sections 6 and 7;
//! `spec/indexer.md`, section 5.

use std::sync::Arc;

use alive_core::{GatewayUrl, Network, Quality, StreamId};
use alive_playlist::{Portion, ReloadRequest, Window};
use alive_storage::serve::http::{not_modified, set};
use axum::{
    extract::{RawPathParams, State, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use tokio::time::timeout;

use super::{
    Api, HEALTH,
    encoding::Accepted,
    error, failed, json,
    query::{Param, Query},
    unavailable,
};
use crate::playlists::{ListText, Playlist, PlaylistError, Watched};

pub(super) type Path = Result<RawPathParams, RawPathParamsRejection>;

/// The list of a stream.
pub(super) async fn playlist(
    State(api): State<Arc<Api>>,
    path: Path,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    api.list(path, &Query::parse(uri.query()), &headers).await.unwrap_or_else(|answer| answer)
}

/// What the list of a stream lacks, and why.
pub(super) async fn health(State(api): State<Arc<Api>>, path: Path, uri: Uri) -> Response {
    match api.watched(path, &Query::parse(uri.query()), "").await {
        Ok(watched) => json(StatusCode::OK, &watched.health()),
        Err(answer) => answer,
    }
}

impl Api {
    async fn list(
        &self,
        path: Path,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Response, Response> {
        let asked = Asked::parse(query)?;
        let list = named(self.stream_of(path, ".m3u8"), query)?;
        self.serve(&list, &asked, &Accepted::of(headers)).await
    }

    /// The answer with a list, when it has what is asked for.
    pub(super) async fn serve(
        &self,
        list: &Named,
        asked: &Asked,
        accepted: &Accepted,
    ) -> Result<Response, Response> {
        let Asked { reload, portion, gateway } = asked;
        let watched = self.watch(list).await?.until(reload).await;
        let watched = watched.map_err(|why| answer_to(&why))?;
        let text = watched.text(*portion, gateway.as_ref()).await.map_err(|why| answer_to(&why))?;
        Ok(answer(watched.playlist(), &text, reload.blocks(), accepted))
    }

    /// The list that a path and its query name, or the answer.
    pub(super) async fn watched(
        &self,
        path: Path,
        query: &Query,
        suffix: &str,
    ) -> Result<Watched, Response> {
        self.watch(&named(self.stream_of(path, suffix), query)?).await
    }

    /// The list that was named, or the answer.
    pub(super) async fn watch(
        &self,
        Named { stream, quality, chain_only }: &Named,
    ) -> Result<Watched, Response> {
        match timeout(self.timeout, self.playlists.get(stream, *quality, *chain_only)).await {
            Ok(watched) => watched.map_err(|why| answer_to(&why)),
            Err(_) => Err(unavailable("the node cannot answer in time")),
        }
    }

    /// The stream that a path names. What cannot be read names none.
    pub(super) fn stream_of(&self, path: Path, suffix: &str) -> Option<StreamId> {
        let path = path.ok()?;
        let part = |name| path.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        stream_named(network_of(&path, &self.network)?, part("author")?, part("link")?, suffix)
    }

    /// The stream of the node's own network that is called so.
    pub(super) fn own_stream(&self, author: &str, link: &str, suffix: &str) -> Option<StreamId> {
        stream_named(self.network.clone(), author, link, suffix)
    }

    /// The network that a path names. What cannot be read names none.
    pub(super) fn network_of(&self, path: &Path) -> Option<Network> {
        network_of(path.as_ref().ok()?, &self.network)
    }
}

/// Which list is asked for.
#[derive(Debug)]
pub(super) struct Named {
    stream: StreamId,
    quality: Quality,
    chain_only: bool,
}

/// Why a request names no list.
pub(super) enum Unnamed {
    Quality,
    Refused(Refused),
    Stream,
}

impl From<Refused> for Unnamed {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}

impl From<Unnamed> for Response {
    fn from(why: Unnamed) -> Self {
        match why {
            Unnamed::Quality => no_quality(),
            Unnamed::Refused(why) => why.into(),
            Unnamed::Stream => no_stream(),
        }
    }
}

/// The list of a stream that a query names.
pub(super) fn named(stream: Option<StreamId>, query: &Query) -> Result<Named, Unnamed> {
    let stream = stream.ok_or(Unnamed::Stream)?;
    let quality = match once(query, "quality")? {
        None => Quality::Src,
        Some(name) => name.parse().map_err(|_| Unnamed::Quality)?,
    };
    let chain_only = query.get("l1only") == Param::Once(Some("1"));
    Ok(Named { stream, quality, chain_only })
}

/// What is asked for of a list, and when.
#[derive(Debug)]
pub(super) struct Asked {
    reload: ReloadRequest,
    portion: Portion,
    gateway: Option<GatewayUrl>,
}

impl Asked {
    pub(super) fn parse(query: &Query) -> Result<Self, Refused> {
        let gateway = gateway(query)?;
        let reload =
            ReloadRequest::parse(query.pairs()).map_err(|why| refused(&why.to_string()))?;
        let window = once(query, "window")?.map(str::parse::<Window>).transpose();
        let window = window.map_err(|why| refused(&format!("window: {why}")))?;
        let portion = Portion::default().skip(reload.skip);
        let portion = window.map_or(portion, |window| portion.window(window));
        Ok(Self { reload, portion, gateway })
    }
}

/// The stream that is called so; none is if that cannot be a name.
fn stream_named(network: Network, author: &str, link: &str, suffix: &str) -> Option<StreamId> {
    let account = Some(author).filter(|author| !author.contains('\0'))?;
    let link = link.strip_suffix(suffix).unwrap_or(link);
    Some(StreamId::new(network, account.parse().ok()?, link.parse().ok()?))
}

/// The network that a path names, or else the node's own.
fn network_of(path: &RawPathParams, own: &Network) -> Option<Network> {
    match path.iter().find(|(key, _)| *key == "network") {
        Some((_, name)) => name.parse().ok(),
        None => Some(own.clone()),
    }
}

/// The gateway that a query names. It stands in every line of the list and nowhere else: this node fetches nothing from
/// there.
pub(super) fn gateway(query: &Query) -> Result<Option<GatewayUrl>, Refused> {
    let gateway = match query.get("gw") {
        Param::Absent => return Ok(None),
        Param::Once(Some(gateway)) => gateway.parse::<GatewayUrl>(),
        Param::Once(None) => return Err(refused("gw: not a text")),
        Param::Repeated => return Err(refused("gw: given more than once")),
    };
    gateway.map(Some).map_err(|why| refused(&format!("gw: {why}")))
}

/// A parameter that may be given once. What is no text is empty, which names nothing.
pub(super) fn once<'q>(query: &'q Query, name: &'static str) -> Result<Option<&'q str>, Refused> {
    match query.get(name) {
        Param::Absent => Ok(None),
        Param::Once(value) => Ok(Some(value.unwrap_or_default())),
        Param::Repeated => Err(refused(&format!("{name}: given more than once"))),
    }
}

fn answer(playlist: &Playlist, text: &ListText, blocked: bool, accepted: &Accepted) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    set(&mut headers, HEALTH, &health_line(playlist));
    send(text, &cache_control(playlist, blocked), headers, accepted)
}

/// Sends a list in the form that the client takes, or tells that it has it already.
pub(super) fn send(
    text: &ListText,
    cache_control: &str,
    mut headers: HeaderMap,
    accepted: &Accepted,
) -> Response {
    let gzip = text.gzip.as_ref().filter(|_| accepted.gzip);
    set(&mut headers, header::ETAG, if gzip.is_some() { &text.gzip_etag } else { &text.etag });
    set(&mut headers, header::CACHE_CONTROL, cache_control);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if accepted.has(&text.etag) || accepted.has(&text.gzip_etag) {
        return not_modified(headers);
    }
    let media_type = HeaderValue::from_static("application/vnd.apple.mpegurl");
    headers.insert(header::CONTENT_TYPE, media_type);
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    (StatusCode::OK, headers, gzip.unwrap_or(&text.bytes).clone()).into_response()
}

/// A live list may be shared for a moment; the answer to who waited has an address of its own for each segment; that of
/// an ended stream only changes if something is repaired. Source: `spec/hls.md`, section 6.
fn cache_control(playlist: &Playlist, blocked: bool) -> String {
    const MOMENT_SECONDS: u32 = 1;
    const BLOCKED_TARGETS: u32 = 6;
    const ARCHIVE_SECONDS: u32 = 3600;
    let good = playlist.passed == 0 && playlist.missing == 0 && !playlist.unchecked;
    let seconds = match (playlist.ended, good) {
        (false, _) if blocked => playlist.target_seconds.saturating_mul(BLOCKED_TARGETS),
        (false, _) => MOMENT_SECONDS,
        (true, true) => ARCHIVE_SECONDS,
        (true, false) => playlist.target_seconds,
    };
    format!("public, max-age={seconds}")
}

/// In one line what the list lacks.
fn health_line(playlist: &Playlist) -> String {
    let waiting = playlist.waiting.map(|seq| format!("waiting={seq}"));
    let passed = (playlist.passed > 0).then(|| format!("lacking={}", playlist.passed));
    let missing = (playlist.missing > 0).then(|| format!("missing={}", playlist.missing));
    let gap = playlist.gap.then(|| "gap".to_owned());
    let all: Vec<_> = [waiting, passed, missing, gap].into_iter().flatten().collect();
    if all.is_empty() { "complete".to_owned() } else { all.join(", ") }
}

/// What is said when there is no list.
fn answer_to(why: &PlaylistError) -> Response {
    match why {
        PlaylistError::NoStream(_) => no_stream(),
        PlaylistError::NoQuality(_) => no_quality(),
        PlaylistError::TooFar => refused(&format!("_HLS_msn: {why}")).into(),
        PlaylistError::TimedOut(_) => unavailable("the segment did not come in time"),
        _ => failed(why),
    }
}

/// Why a request has no meaning.
pub(super) struct Refused(String);

impl From<Refused> for Response {
    fn from(Refused(why): Refused) -> Self {
        error(StatusCode::BAD_REQUEST, &why)
    }
}

pub(super) fn refused(why: &str) -> Refused {
    Refused(why.to_owned())
}

pub(super) fn no_stream() -> Response {
    error(StatusCode::NOT_FOUND, "stream not found")
}

fn no_quality() -> Response {
    error(StatusCode::NOT_FOUND, "stream has no such quality")
}
