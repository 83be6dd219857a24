//! For those who run the node: `/health`, `/ready`, `/metrics`.

use std::sync::Arc;

use alive_core::backend::StreamStore as _;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, failed, json, unavailable};

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
