//! `/ipfs/{cid}`: content of the embedded store, as an IPFS gateway gives it.
//!
//! Every byte is checked against the id before it leaves. The first piece is read before the answer begins, so what is
//! damaged there is an error with a status; damage found later breaks the connection off, so that no client takes what
//! came for the whole. The lists that hold a segment that is not here or damaged are told. Source: `spec/storage.md`,
//! section 6.

use std::{ops::Range, sync::Arc};

use alive_core::{ContentId, backend::StorageError};
use axum::{
    body::Body,
    extract::{RawPathParams, State, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Semaphore;

use super::{
    Api, error, has, not_modified,
    query::{Param, Query},
    set, unavailable,
};
use crate::{
    content::{ContentReader as _, PIECE, SharedContentReader},
    explain::Explained,
    presence::Presence,
};

/// The path of the content, as gateways tell it.
pub(super) const IPFS_PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
/// The roots of the path, as gateways tell them.
pub(super) const IPFS_ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");

/// How many pieces are read beside each other; each takes a thread.
const READS: usize = 64;
/// Longest name that is repeated to the client, in characters.
const MAX_FILENAME: usize = 255;

/// The embedded store, if there is one.
#[derive(Debug)]
pub(super) struct Gateway {
    content: Option<SharedContentReader>,
    /// Is told what cannot be served.
    presence: Option<Presence>,
    reads: Arc<Semaphore>,
}

impl Gateway {
    pub(super) fn new(content: Option<SharedContentReader>, presence: Option<Presence>) -> Self {
        Self { content, presence, reads: Arc::new(Semaphore::new(READS)) }
    }
}

/// Serves content, whole or in part.
pub(super) async fn content(
    State(api): State<Arc<Api>>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let text = path.iter().flat_map(RawPathParams::iter).find(|(key, _)| *key == "cid");
    let Some(id) = text.and_then(|(_, text)| content_id(text)) else {
        return error(StatusCode::BAD_REQUEST, "not a CID that this node takes");
    };
    let query = Query::parse(uri.query());
    if wants_blocks(&query, &headers) {
        return error(StatusCode::NOT_ACCEPTABLE, "only whole files are served here");
    }
    let Some(content) = &api.gateway.content else { return absent(&headers) };
    let Gateway { presence, reads, .. } = &api.gateway;
    let (content, presence, reads) = (content.clone(), presence.clone(), Arc::clone(reads));
    let file = File { content, presence: presence.clone(), reads, id };
    match file.answer(&method, &query, &headers).await {
        Ok(response) => response,
        Err(why) => {
            if let Some(presence) = presence {
                presence.report(&id, &why);
            }
            refusal(&why, &headers)
        }
    }
}

/// A file that was asked for.
#[derive(Clone, Debug)]
struct File {
    content: SharedContentReader,
    presence: Option<Presence>,
    reads: Arc<Semaphore>,
    id: ContentId,
}

impl File {
    async fn answer(
        self,
        method: &Method,
        query: &Query,
        asked: &HeaderMap,
    ) -> Result<Response, StorageError> {
        let size = self.content.size(&self.id).await?;
        let etag = format!("\"{}\"", self.id);
        let mut headers = self.headers(query, &etag);
        if has(asked, &etag) {
            return Ok(not_modified(headers));
        }
        let range = match asked_range(asked, &etag, size) {
            Asked::Unsatisfiable => {
                set(&mut headers, header::CONTENT_RANGE, &format!("bytes */{size}"));
                headers.remove(header::CACHE_CONTROL);
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Ok((status, headers, Body::empty()).into_response());
            }
            Asked::Whole => None,
            Asked::Part(range) => Some(range),
        };
        let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        if let Some(Range { start, end }) = &range {
            let value = format!("bytes {start}-{}/{size}", end - 1);
            set(&mut headers, header::CONTENT_RANGE, &value);
        }
        let range = range.unwrap_or(0..size);
        set(&mut headers, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
        // A client that asks for the head wants no disk read.
        let body = if method == Method::HEAD { Body::empty() } else { self.body(range).await? };
        Ok((status, headers, body).into_response())
    }

    fn headers(&self, query: &Query, etag: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let filename = match query.get("filename") {
            Param::Once(Some(name)) if name.chars().count() <= MAX_FILENAME => Some(name),
            _ => None,
        };
        set(&mut headers, header::CONTENT_TYPE, media_type(filename));
        set(&mut headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(&mut headers, header::ETAG, etag);
        set(&mut headers, header::CACHE_CONTROL, "public, max-age=29030400, immutable");
        set(&mut headers, header::ACCEPT_RANGES, "bytes");
        set(&mut headers, IPFS_PATH, &format!("/ipfs/{}", self.id));
        set(&mut headers, IPFS_ROOTS, self.id.as_str());
        let download = query.get("download") == Param::Once(Some("true"));
        if let Some(disposition) = disposition(filename, download) {
            set(&mut headers, header::CONTENT_DISPOSITION, &disposition);
        }
        headers
    }

    /// The bytes of a range, read while they are sent.
    async fn body(self, range: Range<u64>) -> Result<Body, StorageError> {
        let first = self.piece(&range).await?;
        let rest = range.start + first.len() as u64..range.end;
        let rest = stream::try_unfold((self, rest), |(file, rest)| async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let piece = file.piece(&rest).await.inspect_err(|why| {
                tracing::warn!(id = %file.id, error = %Explained(why), "content broken off");
                if let Some(presence) = &file.presence {
                    presence.report(&file.id, why);
                }
            })?;
            let rest = rest.start + piece.len() as u64..rest.end;
            Ok::<_, StorageError>(Some((piece, (file, rest))))
        });
        Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest)))
    }

    /// The bytes from the start of a range to the end of their leaf.
    async fn piece(&self, range: &Range<u64>) -> Result<Bytes, StorageError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let end = range.end.min((range.start / PIECE + 1) * PIECE);
        let len = usize::try_from(end - range.start).unwrap_or(usize::MAX);
        let unavailable = |source: &'static str| StorageError::Unavailable {
            backend: "gateway",
            source: source.into(),
        };
        let _permit = self.reads.acquire().await.map_err(|_| unavailable("it is shutting down"))?;
        let piece = self.content.read(&self.id, range.start, len).await?;
        // Fewer bytes than the root promises: the file contradicts itself.
        if piece.len() == len { Ok(piece) } else { Err(unavailable("the file is too short")) }
    }
}

/// The id that a path names, in any text form that IPFS knows.
fn content_id(text: &str) -> Option<ContentId> {
    text.parse().ok().or_else(|| {
        let cid = alive_storage::cid::parse(text).ok()?;
        alive_storage::cid::to_content(&cid).ok()
    })
}

/// Whether the client wants blocks or archives of them instead of the file.
fn wants_blocks(query: &Query, headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    match query.get("format") {
        Param::Absent => accepts.is_some_and(|accept| accept.contains("application/vnd.ipld.")),
        _ => true,
    }
}

/// By the file's extension. Anything else is not to be shown by a browser: it may be a page of anybody's.
fn media_type(filename: Option<&str>) -> &'static str {
    let extension = filename.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    match extension {
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("m4s") => "video/iso.segment",
        Some("mp4") => "video/mp4",
        Some("ts") => "video/mp2t",
        _ => "application/octet-stream",
    }
}

fn disposition(filename: Option<&str>, download: bool) -> Option<String> {
    let kind = if download { "attachment" } else { "inline" };
    match filename {
        Some(name) => {
            let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
            Some(format!("{kind}; filename*=UTF-8''{name}"))
        }
        None => download.then(|| kind.to_owned()),
    }
}

/// What part of the file was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Part(Range<u64>),
    Unsatisfiable,
    Whole,
}

/// Several ranges at once are answered with the whole file, which is allowed; a range that cannot be read is ignored.
/// Source: RFC 9110, section 14.
pub(super) fn asked_range(headers: &HeaderMap, etag: &str, size: u64) -> Asked {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let outdated = headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag);
    let range = text(header::RANGE).filter(|_| !outdated);
    match range.and_then(bounds) {
        None => Asked::Whole,
        Some(Bounds::Last(0)) => Asked::Unsatisfiable,
        Some(Bounds::Last(_) | Bounds::From(..)) if size == 0 => Asked::Unsatisfiable,
        Some(Bounds::Last(count)) => Asked::Part(size.saturating_sub(count)..size),
        Some(Bounds::From(first, _)) if first >= size => Asked::Unsatisfiable,
        Some(Bounds::From(first, last)) => {
            Asked::Part(first..size.min(last.map_or(size, |last| last.saturating_add(1))))
        }
    }
}

/// The two ways to say a range.
enum Bounds {
    /// From the first byte to the last one, or to the end.
    From(u64, Option<u64>),
    /// The last so many bytes.
    Last(u64),
}

/// Reads a single range. (The crate `http-range-header` calls a suffix that is longer than the file unsatisfiable and
/// gives an empty file a first byte; both are against the standard.)
fn bounds(range: &str) -> Option<Bounds> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", last) => Some(Bounds::Last(number(last)?)),
        (first, "") => Some(Bounds::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Bounds::From(first, Some(last)))
        }
    }
}

/// Digits only; what is too large for any file is as good as the largest number.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn absent(asked: &HeaderMap) -> Response {
    let only = asked.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    if only.is_some_and(|only| only.contains("only-if-cached")) {
        return error(StatusCode::PRECONDITION_FAILED, "content is not here");
    }
    error(StatusCode::NOT_FOUND, "content is not here")
}

fn refusal(why: &StorageError, asked: &HeaderMap) -> Response {
    match why {
        StorageError::NotFound(_) => absent(asked),
        StorageError::Corrupt { .. } => {
            tracing::error!(
                error = %Explained(why), monotonic_counter.corrupt_content = 1_u64,
                "stored content is corrupt"
            );
            error(StatusCode::INTERNAL_SERVER_ERROR, "stored content is corrupt")
        }
        StorageError::Refused { .. } => {
            error(StatusCode::NOT_ACCEPTABLE, "content is not a file that this node can serve")
        }
        _ => {
            tracing::warn!(error = %Explained(why), "content cannot be read");
            unavailable("content cannot be read now")
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("bytes=0-0", Asked::Part(0..1))]
    #[case("bytes=2-", Asked::Part(2..10))]
    #[case("bytes=-3", Asked::Part(7..10))]
    #[case("bytes=-30", Asked::Part(0..10))]
    #[case("bytes=5-99", Asked::Part(5..10))]
    #[case("bytes=10-", Asked::Unsatisfiable)]
    #[case("bytes=-0", Asked::Unsatisfiable)]
    #[case("bytes=5-4", Asked::Whole)]
    #[case("bytes=0-1,4-5", Asked::Whole)]
    #[case("bytes=", Asked::Whole)]
    #[case("bytes=a-b", Asked::Whole)]
    #[case("pages=1-2", Asked::Whole)]
    #[case("bytes=0-99999999999999999999999", Asked::Part(0..10))]
    #[case("bytes=99999999999999999999999-", Asked::Unsatisfiable)]
    #[case("Bytes=1-1", Asked::Part(1..2))]
    #[case("bytes=+1-2", Asked::Whole)]
    fn ranges_are_read_as_the_standard_says(#[case] range: &str, #[case] want: Asked) {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::RANGE, range);
        assert_eq!(asked_range(&headers, "\"x\"", 10), want);
        set(&mut headers, header::IF_RANGE, "\"x\"");
        assert_eq!(asked_range(&headers, "\"x\"", 10), want);
        set(&mut headers, header::IF_RANGE, "\"y\"");
        assert_eq!(asked_range(&headers, "\"x\"", 10), Asked::Whole);
    }

    #[test]
    fn an_empty_file_has_no_part() {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::RANGE, "bytes=0-");
        assert_eq!(asked_range(&headers, "", 0), Asked::Unsatisfiable);
    }

    #[test]
    fn a_name_from_outside_stays_within_its_header() {
        let hostile = "a\"; x=\r\nSet-Cookie: b.ts";
        let line = disposition(Some(hostile), true).unwrap();
        assert!(line.starts_with("attachment; filename*=UTF-8''a%22"), "{line}");
        assert!(!line.contains(['\r', '\n', '"']));
        assert_eq!(media_type(Some("page.html")), "application/octet-stream");
        assert_eq!(media_type(Some("7.ts")), "video/mp2t");
        assert_eq!(media_type(Some("ts")), "application/octet-stream");
    }
}
