//! What a peer has done, for a monitor: [`metrics`].

use std::fmt::Write as _;

use axum::{
    Extension, Router,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::{
    Peer,
    routes::{forbidden, is_own},
};
use crate::gun;

/// `GET /metrics`: the counts and the holdings of a peer as Prometheus reads them, for programs of this machine only.
///
/// The original has no such route, so it is no part of [`RestApi`](super::RestApi)'s; merge it into those.
pub fn metrics(peer: gun::Peer) -> Router {
    let answer = async move |from: Option<Extension<Peer>>, headers: HeaderMap| -> Response {
        if !is_own(from, &headers) {
            return forbidden().into_response();
        }
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        (kind, print(&peer)).into_response()
    };
    Router::new().route("/metrics", get(answer))
}

fn print(peer: &gun::Peer) -> String {
    let mut text = String::new();
    for (name, count) in peer.counts().iter() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# TYPE alivedb_{name}_total counter\nalivedb_{name}_total {count}");
    }
    let held = peer.holdings();
    for (name, value) in [("links", held.links), ("nodes", held.nodes), ("bytes", held.bytes)] {
        let _ = writeln!(text, "# TYPE alivedb_{name} gauge\nalivedb_{name} {value}");
    }
    text
}
