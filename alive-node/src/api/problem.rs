//! Errors of our own routes: problem details, `application/problem+json`. Source: RFC 9457.
//!
//! The routes of the original say `{"error":"…"}`; what an answer says is kept beside it, see [`Reason`], and put into the
//! form of the route that was asked.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Where our own routes begin.
pub(super) const OURS: &str = "/v1/";

/// What an error says, beside its answer.
#[derive(Clone, Debug)]
pub(super) struct Reason(pub(super) String);

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem<'t> {
    /// Always `about:blank`: the status says which kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'t str,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong with this request.
    detail: &'t str,
}

/// Gives an answer of our own routes its form, if it is an error.
pub(super) fn of(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let title = status.canonical_reason().unwrap_or("Error");
    let reason = parts.extensions.remove::<Reason>();
    let problem = Problem {
        kind: "about:blank",
        title,
        status: status.as_u16(),
        detail: reason.as_ref().map_or(title, |Reason(text)| text),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    let values =
        [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
    for (name, value) in values {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    Response::from_parts(parts, Body::from(body))
}
