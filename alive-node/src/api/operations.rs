//! For those who run the node: `/health`, `/ready`, `/metrics`.

use std::sync::Arc;

use alive_core::backend::{StoreError, StreamStore as _};
use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, failed, json, not_found, unavailable};
use crate::{metrics::Metrics, visitors::Peer};

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
    let is_known = request.extensions().get::<Peer>().is_some();
    if is_known && state.source(&request).is_none() {
        metrics(state).await
    } else {
        not_found().await
    }
}

impl Api {
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
