//! What looks at every request on its way in and at every answer on its way out: [`guard`].
//!
//! It is one layer, because each layer of its own costs a request some allocations, which is much beside a list that is
//! ready.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;

use super::{Api, error, problem};
use crate::visitors::{Peer, Source};

/// Longest path and query, in bytes. The longest that means something has about 900.
const MAX_URI: usize = 8192;

/// Refuses what is too long or one too many, gives errors the form of their route, and counts the answer and how long it
/// took to begin.
pub(super) async fn guard(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let asked = Asked::new(&request);
    let response = match api.refusal(request.uri(), || api.source(&request)) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let response = if asked.is_ours { problem::of(response) } else { response };
    asked.count(&api, response.status());
    response
}

/// What is remembered of a request.
struct Asked {
    at: Instant,
    method: Method,
    route: Option<MatchedPath>,
    /// Whether the route is not one of the original.
    is_ours: bool,
}

impl Asked {
    fn new(request: &Request) -> Self {
        Self {
            at: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            is_ours: request.uri().path().starts_with(problem::OURS),
        }
    }

    fn count(&self, api: &Api, status: StatusCode) {
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        api.metrics.answered(route, self.method.as_str(), status.as_u16(), self.at.elapsed());
    }
}

impl Api {
    /// Why a request of a source is not looked at further.
    pub(super) fn refusal(
        &self,
        uri: &Uri,
        source: impl FnOnce() -> Option<Source>,
    ) -> Option<Response> {
        if uri.path().len() + uri.query().map_or(0, str::len) > MAX_URI {
            return Some(error(StatusCode::URI_TOO_LONG, "path and query are too long"));
        }
        // Whether the node is alive may always be asked.
        if matches!(uri.path(), "/health" | "/ready") {
            return None;
        }
        self.visitors.admit(source()?).err().map(|wait| self.too_many(wait))
    }

    pub(super) fn too_many(&self, wait: Duration) -> Response {
        self.metrics.limited();
        let mut response =
            error(StatusCode::TOO_MANY_REQUESTS, "too many requests from this address");
        let seconds = wait.as_secs().saturating_add(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }

    /// Who asks; `None` for the machine itself and for proxies that ask for themselves.
    pub(super) fn source(&self, request: &Request) -> Option<Source> {
        let Peer(peer) = *request.extensions().get::<Peer>()?;
        self.visitors.source(peer, request.headers())
    }
}
