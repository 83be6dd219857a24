//! `/ipfs/{cid}`: content of the embedded store, as an IPFS gateway gives it.
//!
//! Every byte is checked against the id before it leaves. The first piece is read before the answer begins, so what is
//! damaged there is an error with a status; damage found later breaks the connection off, so that no client takes what
//! came for the whole. Source: `spec/storage.md`, section 6.

mod archive;
mod file;
mod path;
mod range;

use std::{fmt, sync::Arc};

use alive_core::{ContentId, backend::StorageError};
use axum::{
    Router,
    extract::{RawPathParams, State, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::sync::Semaphore;

pub(super) use self::range::{Asked, asked_range};
use self::{archive::Format, file::File, path::Resolved};
use super::query::Query;
use crate::{
    cid::{self, Cid},
    reader::SharedContentReader,
};

/// The path of the content, as gateways tell it.
const IPFS_PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
/// The roots of the path, as gateways tell them.
const IPFS_ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");

/// How many pieces are read beside each other; each takes a thread.
const READS: usize = 64;

/// Is told of content that cannot be served, and why.
type Report = Arc<dyn Fn(&ContentId, &StorageError) + Send + Sync>;

/// Serves content over HTTP: `GET` and `HEAD` of `/ipfs/{cid}` and paths below it, whole, in part, as a block
/// (`format=raw`) or as an archive of blocks (`format=car`). A clone serves the same content.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

struct Shared {
    content: Option<SharedContentReader>,
    report: Option<Report>,
    reads: Arc<Semaphore>,
}

impl Gateway {
    /// Headers of its answers that web pages may want to read.
    pub const EXPOSED: [HeaderName; 2] = [IPFS_PATH, IPFS_ROOTS];

    /// Serves what `content` has; without it every answer is that the content is not here.
    pub fn new(content: Option<SharedContentReader>) -> Self {
        Self(Arc::new(Shared { content, report: None, reads: Arc::new(Semaphore::new(READS)) }))
    }

    /// Tells `report` of content that cannot be served.
    #[must_use]
    pub fn reporting(
        self,
        report: impl Fn(&ContentId, &StorageError) + Send + Sync + 'static,
    ) -> Self {
        let content = self.0.content.clone();
        let reads = Arc::clone(&self.0.reads);
        Self(Arc::new(Shared { content, report: Some(Arc::new(report)), reads }))
    }

    /// Its routes, for a server that bounds connections, heads and times.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new()
            .route("/ipfs/{cid}", get(content))
            .route("/ipfs/{cid}/{*path}", get(content))
            .with_state(self)
    }

    fn report(&self, id: &ContentId, why: &StorageError) {
        if let Some(report) = &self.0.report {
            report(id, why);
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("content", &self.0.content).finish_non_exhaustive()
    }
}

/// A request for content, and who answers it.
#[derive(Clone, Debug)]
struct Asking {
    gateway: Gateway,
    content: SharedContentReader,
    root: Cid,
    /// Path and roots as they are told.
    path: String,
    roots: String,
}

async fn content(
    State(gateway): State<Gateway>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let param = |name| {
        let pair = params.iter().flat_map(RawPathParams::iter).find(|(key, _)| *key == name);
        pair.map(|(_, value)| value)
    };
    let text = param("cid").unwrap_or_default();
    let Ok(root) = cid::parse(text) else {
        return match text.parse::<ContentId>() {
            Ok(_) => refused(StatusCode::NOT_ACCEPTABLE, "content of Skynet is not kept here"),
            Err(_) => refused(StatusCode::BAD_REQUEST, "not a CID that is served here"),
        };
    };
    let Some(content) = gateway.0.content.clone() else { return absent(&headers) };
    let query = Query::parse(uri.query());
    let resolved = path::resolve(&content, root, param("path").unwrap_or_default()).await;
    let Resolved { cid, roots } = match resolved {
        Ok(resolved) => resolved,
        Err(why) => return why.into_response(&headers),
    };
    let path = uri.path().to_owned();
    let asking = Asking { gateway, content, root: cid, path, roots };
    let answer = match Format::asked(&query, &headers) {
        Err(unknown) => return refused(StatusCode::NOT_ACCEPTABLE, &unknown.to_string()),
        Ok(Format::Car(what)) => asking.clone().archive(what, &method, &headers).await,
        Ok(Format::Plain) if cid.hash().code() == cid::IDENTITY => {
            asking.block(&method, &headers).await
        }
        Ok(Format::Plain) => File::answer(asking.clone(), &method, &query, &headers).await,
        Ok(Format::Raw) => asking.block(&method, &headers).await,
    };
    answer.unwrap_or_else(|why| asking.failure(&why, &headers))
}

impl Asking {
    /// What is told about every answer.
    fn headers(&self, etag: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        super::http::set(&mut headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        super::http::set(&mut headers, header::ETAG, etag);
        let immutable = "public, max-age=29030400, immutable";
        super::http::set(&mut headers, header::CACHE_CONTROL, immutable);
        super::http::set(&mut headers, IPFS_PATH, &self.path);
        super::http::set(&mut headers, IPFS_ROOTS, &self.roots);
        headers
    }

    fn failure(&self, why: &StorageError, asked: &HeaderMap) -> Response {
        if let Ok(id) = cid::to_content(&self.root) {
            self.gateway.report(&id, why);
        }
        failure(why, asked)
    }
}

fn failure(why: &StorageError, asked: &HeaderMap) -> Response {
    let error = why as &(dyn std::error::Error + 'static);
    match why {
        StorageError::NotFound(_) => absent(asked),
        StorageError::Corrupt { .. } => {
            tracing::error!(
                error,
                monotonic_counter.corrupt_content = 1_u64,
                "stored content is corrupt"
            );
            refused(StatusCode::INTERNAL_SERVER_ERROR, "stored content is corrupt")
        }
        StorageError::Refused { .. } => {
            refused(StatusCode::NOT_ACCEPTABLE, "content is not a file that can be served here")
        }
        _ => {
            tracing::warn!(error, "content cannot be read");
            let mut response =
                refused(StatusCode::SERVICE_UNAVAILABLE, "content cannot be read now");
            super::http::set(response.headers_mut(), header::RETRY_AFTER, "2");
            response
        }
    }
}

fn absent(asked: &HeaderMap) -> Response {
    let only = asked.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    if only.is_some_and(|only| only.contains("only-if-cached")) {
        return refused(StatusCode::PRECONDITION_FAILED, "content is not here");
    }
    refused(StatusCode::NOT_FOUND, "content is not here")
}

/// `{"error":"…"}`, not to be kept.
fn refused(status: StatusCode, text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let body = serde_json::json!({ "error": text }).to_string();
    (status, headers, body).into_response()
}
