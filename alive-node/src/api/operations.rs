//! For those who run the node: `/health`, `/ready`, `/metrics`, and what looks at every request.

use std::sync::Arc;

use alive_core::backend::{StoreError, StreamStore as _};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{Api, error, failed, json, not_found, unavailable};
use crate::{
    metrics::Metrics,
    visitors::{Peer, Source},
};

/// That the node is alive.
#[derive(Debug, Serialize, ToSchema)]
struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the process answers at all. A supervisor restarts it when this does not answer; it looks at nothing else.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "operations",
    responses((status = 200, description = "It does", body = Alive))
)]
pub(super) async fn health() -> Response {
    json(StatusCode::OK, &Alive { status: "ok" })
}

/// Whether the node can serve streams: its store answers, and its own network has been begun. A balancer sends nobody here
/// while it does not.
#[utoipa::path(
    get,
    path = "/ready",
    operation_id = "ready",
    tag = "operations",
    responses((status = 200, description = "It can", body = Alive))
)]
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    match api.store.cursor(&api.network).await {
        Ok(Some(_)) => json(StatusCode::OK, &Alive { status: "ok" }),
        Ok(None) => unavailable("no block of the network is indexed yet"),
        Err(why) => failed(&why),
    }
}

/// What the node counts, in the form of `OpenMetrics`.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    if let Err(why) = api.note_progress().await {
        return failed(&why);
    }
    let headers =
        [(header::CONTENT_TYPE, Metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, api.metrics.text()).into_response()
}

/// The same, for the machine itself and trusted proxies that ask for themselves.
pub(super) async fn local_metrics(state: State<Arc<Api>>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    match peer.and_then(|peer| state.source(peer, request.headers())) {
        None => metrics(state).await,
        Some(_) => not_found().await,
    }
}

/// Refuses a request whose address asks too often. Whether the node is alive may always be asked.
pub(super) async fn limited(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let always = matches!(request.uri().path(), "/health" | "/ready");
    let peer = request.extensions().get::<Peer>().copied().filter(|_| !always);
    let source = peer.and_then(|peer| api.source(peer, request.headers()));
    match source.map(|source| api.visitors.admit(source)) {
        None | Some(Ok(())) => next.run(request).await,
        Some(Err(wait)) => {
            api.metrics.limited();
            let mut response =
                error(StatusCode::TOO_MANY_REQUESTS, "too many requests from this address");
            let seconds = wait.as_secs().saturating_add(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    }
}

/// Counts a request and how long its answer took to begin.
pub(super) async fn counted(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let asked = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    api.metrics.answered(route, method.as_str(), response.status().as_u16(), asked.elapsed());
    response
}

impl Api {
    fn source(&self, Peer(peer): Peer, headers: &HeaderMap) -> Option<Source> {
        self.visitors.source(peer, headers)
    }

    /// Looks how far the node has come.
    async fn note_progress(&self) -> Result<(), StoreError> {
        self.metrics.playlists(self.playlists.count());
        for network in self.store.networks().await? {
            if let Some(cursor) = self.store.cursor(&network).await? {
                self.metrics.indexed(&network, &cursor);
            }
        }
        Ok(())
    }
}
