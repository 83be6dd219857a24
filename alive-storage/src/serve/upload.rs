//! Multipart uploads in bounded memory: [`Upload`].
//!
//! The parser is `multer`'s. Left alone it takes in whatever the connection has to give before it looks at it, so a part
//! whose head never ends would fill the memory; [`Metered`] hands it one piece at a time and stops it when too much is
//! taken in without anything coming out.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, HeaderValue, header},
};
use bytes::Bytes;
use futures_util::Stream;
use multer::{Constraints, Field, Multipart, SizeLimit};

/// Most bytes that the parser may hold without giving any out. A part's head has a few hundred.
const MAX_HELD: usize = 128 << 10;
/// How long a client may send nothing.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pieces that the parser gets.
const PIECE: usize = 64 << 10;

/// The parts of an upload, one after the other.
#[derive(Debug)]
pub(super) struct Upload {
    parts: Multipart<'static>,
    held: Arc<AtomicUsize>,
    left: usize,
}

/// One part: its name and then its bytes.
#[derive(Debug)]
pub(super) struct Part {
    field: Field<'static>,
    held: Arc<AtomicUsize>,
}

impl Upload {
    /// Most parts of one upload.
    pub(super) const MAX_PARTS: usize = 10_000;

    /// Reads a body of at most `limit_bytes`.
    pub(super) fn new(
        headers: &HeaderMap,
        body: Body,
        limit_bytes: u64,
    ) -> Result<Self, UploadError> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let boundary = multer::parse_boundary(kind.unwrap_or_default())?;
        let held = Arc::new(AtomicUsize::new(0));
        let metered = Metered {
            body: body.into_data_stream(),
            rest: Bytes::new(),
            held: Arc::clone(&held),
            rested: false,
        };
        let limit = SizeLimit::new().whole_stream(limit_bytes);
        let constraints = Constraints::new().size_limit(limit);
        let parts = Multipart::with_constraints(metered, boundary, constraints);
        Ok(Self { parts, held, left: Self::MAX_PARTS })
    }

    /// The next part, or `None` behind the last one. The one before it must be dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, UploadError> {
        let field = in_time(self.parts.next_field()).await??;
        self.held.store(0, Ordering::Relaxed);
        let Some(field) = field else { return Ok(None) };
        self.left = self.left.checked_sub(1).ok_or(UploadError::TooManyParts)?;
        Ok(Some(Part { field, held: Arc::clone(&self.held) }))
    }
}

impl Part {
    /// The file's name as the client gives it.
    pub(super) fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// The media type, without its parameters.
    pub(super) fn media_type(&self) -> Option<&str> {
        let kind = self.field.content_type()?;
        Some(kind.essence_str())
    }

    /// The next bytes, or `None` behind the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, UploadError> {
        let chunk = in_time(self.field.chunk()).await??;
        self.held.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    /// All bytes, if they are at most `limit`.
    pub(super) async fn whole(mut self, limit: usize) -> Result<Bytes, UploadError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.next().await? {
            if whole.len() + chunk.len() > limit {
                return Err(UploadError::PartTooLarge(limit));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }
}

/// Waits for the client, but not for ever.
async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, UploadError> {
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| UploadError::Stalled)
}

/// A body in small pieces with a rest after each, so that its reader looks at every piece before the next one comes.
struct Metered {
    body: BodyDataStream,
    rest: Bytes,
    /// Bytes given since the reader last gave some on.
    held: Arc<AtomicUsize>,
    rested: bool,
}

impl Stream for Metered {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !std::mem::replace(&mut self.rested, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) => self.rest = piece,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let len = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(len);
        self.rested = false;
        if self.held.fetch_add(len, Ordering::Relaxed) + len > MAX_HELD + PIECE {
            return Poll::Ready(Some(Err(io::Error::other("the head of a part does not end"))));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

/// Why an upload was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    /// It is not multipart, is broken off, or passes a limit.
    #[error("upload is not well-formed multipart/form-data: {0}")]
    Malformed(#[from] multer::Error),
    /// A part that must fit into memory does not.
    #[error("a part has more than {0} bytes")]
    PartTooLarge(usize),
    /// The client sent nothing for too long.
    #[error("nothing came for {} s", PATIENCE.as_secs())]
    Stalled,
    /// It has too many parts.
    #[error("more than {max} parts", max = Upload::MAX_PARTS)]
    TooManyParts,
}

/// Reads an upload of the boundary `x` that comes in pieces, up to its end or an error: names and bytes of the parts.
pub(super) async fn read(
    pieces: Vec<Bytes>,
    limit: u64,
) -> Result<Vec<(String, Vec<u8>)>, UploadError> {
    let kind = HeaderValue::from_static("multipart/form-data; boundary=x");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
    let pieces = pieces.into_iter().map(Ok::<_, io::Error>);
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let mut upload = Upload::new(&headers, body, limit)?;
    let mut parts = Vec::new();
    while let Some(mut part) = upload.next().await? {
        let (name, mut bytes) = (part.file_name().unwrap_or_default().to_owned(), Vec::new());
        while let Some(piece) = part.next().await? {
            bytes.extend_from_slice(&piece);
        }
        parts.push((name, bytes));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, bytes) in parts {
            let head = "--x\r\nContent-Disposition: form-data; name=\"file\"";
            body.extend(format!("{head}; filename=\"{name}\"\r\n\r\n").bytes());
            body.extend_from_slice(bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--x--\r\n");
        body
    }

    #[tokio::test]
    async fn parts_come_whole_however_they_are_cut() {
        let large = vec![b'\r'; 700_000];
        let parts: &[(&str, &[u8])] = &[("a.ts", b"--x\r"), ("", b""), ("b", &large)];
        let body = body(parts);
        for cut in [1, 7, 4096, body.len()] {
            // A cut of one byte is tried on the small parts only.
            let body = if cut == 1 { self::body(&parts[..2]) } else { body.clone() };
            let pieces = body.chunks(cut).map(Bytes::copy_from_slice).collect();
            let got = read(pieces, u64::MAX).await.unwrap();
            let want = parts.iter().take(got.len());
            assert!(got.iter().zip(want).all(|((n, b), (name, bytes))| n == name && b == bytes));
            assert_eq!(got.len(), if cut == 1 { 2 } else { 3 });
        }
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_stopped_in_bounded_memory() {
        let mut pieces = vec![Bytes::from_static(b"--x\r\nX: ")];
        pieces.extend(std::iter::repeat_n(Bytes::from(vec![b'a'; 1 << 20]), 64));
        let error = read(pieces, u64::MAX).await.unwrap_err();
        assert!(
            matches!(error, UploadError::Malformed(multer::Error::StreamReadFailed(_))),
            "{error:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_is_given_up() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=x".parse().unwrap());
        let start = body(&[("a", b"begun")]);
        let start = Bytes::copy_from_slice(&start[..start.len() - 8]);
        let pieces = stream::iter([Ok::<_, io::Error>(start)]).chain(stream::pending());
        let mut upload = Upload::new(&headers, Body::from_stream(pieces), u64::MAX).unwrap();
        let part = upload.next().await.unwrap().unwrap();
        assert!(matches!(part.whole(1000).await, Err(UploadError::Stalled)));
    }

    #[tokio::test]
    async fn what_is_broken_off_or_too_large_is_refused() {
        let whole = body(&[("a", &[7; 1000])]);
        for len in 0..whole.len() - 4 {
            let pieces = vec![Bytes::copy_from_slice(&whole[..len])];
            assert!(read(pieces, u64::MAX).await.is_err(), "{len}");
        }
        assert!(read(vec![whole.into()], 999).await.is_err());
        let many: Vec<(&str, &[u8])> = vec![("a", b""); Upload::MAX_PARTS + 1];
        let error = read(vec![body(&many).into()], u64::MAX).await.unwrap_err();
        assert!(matches!(error, UploadError::TooManyParts));
    }
}
