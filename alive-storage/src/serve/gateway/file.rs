//! A file, whole or in part: [`File`].

use std::ops::Range;

use alive_core::{ContentId, backend::StorageError};
use axum::{
    body::Body,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Asking,
    range::{Asked, asked_range},
};
use crate::{
    cid,
    reader::{ContentReader as _, PIECE},
    serve::{
        http::{has, not_modified, set},
        query::Query,
    },
};

/// What errors call this backend.
const BACKEND: &str = "gateway";
/// Longest name that is repeated to the client, in characters.
const MAX_FILENAME: usize = 255;

/// A file that was asked for.
#[derive(Clone, Debug)]
pub(super) struct File {
    asking: Asking,
    id: ContentId,
}

impl File {
    pub(super) async fn answer(
        asking: Asking,
        method: &Method,
        query: &Query,
        asked: &HeaderMap,
    ) -> Result<Response, StorageError> {
        let id = cid::to_content(&asking.root)
            .map_err(|why| StorageError::Refused { backend: BACKEND, source: why.into() })?;
        let file = Self { asking, id };
        let size = file.asking.content.size(&id).await?;
        let etag = format!("\"{id}\"");
        let mut headers = file.headers(query, &etag);
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
        let body = if method == Method::HEAD { Body::empty() } else { file.body(range).await? };
        Ok((status, headers, body).into_response())
    }

    fn headers(&self, query: &Query, etag: &str) -> HeaderMap {
        let mut headers = self.asking.headers(etag);
        let filename = query.one("filename").filter(|name| name.chars().count() <= MAX_FILENAME);
        // The path names the file when the client does not.
        let named = filename.or_else(|| self.asking.path.rsplit('/').next());
        set(&mut headers, header::CONTENT_TYPE, media_type(named));
        set(&mut headers, header::ACCEPT_RANGES, "bytes");
        let download = query.one("download") == Some("true");
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
                let error = why as &(dyn std::error::Error + 'static);
                tracing::warn!(id = %file.id, error, "content broken off");
                file.asking.gateway.report(&file.id, why);
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
            backend: BACKEND,
            source: source.into(),
        };
        let reads = self.asking.gateway.0.reads.acquire().await;
        let _permit = reads.map_err(|_| unavailable("it is shutting down"))?;
        let piece = self.asking.content.read(&self.id, range.start, len).await?;
        // Fewer bytes than the root promises: the file contradicts itself.
        if piece.len() == len { Ok(piece) } else { Err(unavailable("the file is too short")) }
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

#[cfg(test)]
mod tests {
    use super::*;

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
