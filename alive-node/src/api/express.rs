//! Lists past the routes: [`Express`].
//!
//! Nearly all that is asked of a node are lists, and when a segment comes all who wait for it are answered at once. On the
//! way through the router and its layers each of them keeps its whole request and some futures in boxes while it waits,
//! which is most of what an answer costs then. Here only what is asked for is kept, in one future. What guards a route
//! guards these, too: the limits, the counts, the headers for pages of other origins, the answer to a panic.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    http::{HeaderValue, Method, Request, header},
    response::Response,
};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{
    Api,
    encoding::Accepted,
    exposed,
    lists::{Asked, Named, Unnamed, named},
    panicked,
    query::Query,
};
use crate::metrics::RouteCounts;

/// The route of which it is the short way.
pub(super) const ROUTE: &str = "/stream/{author}/{link}";

/// Answers to those who ask for lists. A clone is another handle.
#[derive(Clone, Debug)]
pub(crate) struct Express(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    api: Arc<Api>,
    counts: RouteCounts,
    /// What pages of other origins may read.
    exposed: HeaderValue,
}

impl Express {
    pub(super) fn new(api: &Arc<Api>) -> Self {
        let names: Vec<_> = exposed().iter().map(ToString::to_string).collect();
        let shared = Shared {
            api: Arc::clone(api),
            counts: api.metrics.route(ROUTE),
            // Names of headers can be a header's value.
            exposed: HeaderValue::from_str(&names.join(","))
                .unwrap_or(HeaderValue::from_static("")),
        };
        Self(Arc::new(shared))
    }

    /// Whether a request goes this way. All others, and those whose names are escaped, are for the routes.
    pub(crate) fn takes<B>(request: &Request<B>) -> bool {
        *request.method() == Method::GET && names(request.uri().path()).is_some()
    }

    /// The answer to a request that [goes this way](Self::takes), from the other end of its connection.
    pub(crate) fn answer<B>(
        &self,
        request: Request<B>,
        peer: IpAddr,
    ) -> impl Future<Output = Response> + use<B> {
        let Self(shared) = self.clone();
        async move {
            let begun = Instant::now();
            let answering = AssertUnwindSafe(shared.list(request, peer)).catch_unwind();
            let mut response = answering.await.unwrap_or_else(|_| panicked());
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shared.exposed.clone());
            shared.counts.answered(response.status().as_u16(), begun.elapsed());
            response
        }
    }
}

impl Shared {
    async fn list<B>(&self, request: Request<B>, peer: IpAddr) -> Response {
        let source = || self.api.visitors.source(peer, request.headers());
        if let Some(refusal) = self.api.refusal(request.uri(), source) {
            return refusal;
        }
        let read = self.read(&request);
        drop(request);
        match read {
            Ok((list, asked, accepted)) => {
                self.api.serve(&list, &asked, &accepted).await.unwrap_or_else(|answer| answer)
            }
            Err(why) => why.into(),
        }
    }

    /// All of a request that matters.
    fn read<B>(&self, request: &Request<B>) -> Result<(Named, Asked, Accepted), Unnamed> {
        let uri = request.uri();
        let query = Query::parse(uri.query());
        let asked = Asked::parse(&query)?;
        let stream =
            names(uri.path()).and_then(|(author, link)| self.api.own_stream(author, link, ".m3u8"));
        Ok((named(stream, &query)?, asked, Accepted::of(request.headers())))
    }
}

/// Author and link in the path of a list, if they stand there as they are.
fn names(path: &str) -> Option<(&str, &str)> {
    let (author, link) = path.strip_prefix("/stream/")?.split_once('/')?;
    let is_plain = |name: &str| !name.is_empty() && !name.contains(['%', '/']);
    (is_plain(author) && is_plain(link)).then_some((author, link))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("GET", "/stream/alice/s", true)]
    #[case("GET", "/stream/alice/s.m3u8?_HLS_msn=7", true)]
    #[case("HEAD", "/stream/alice/s", false)]
    #[case("OPTIONS", "/stream/alice/s", false)]
    #[case("POST", "/stream/alice/s", false)]
    #[case("GET", "/stream/%61lice/s", false)]
    #[case("GET", "/stream/alice/s%00", false)]
    #[case("GET", "/stream/alice/s/health", false)]
    #[case("GET", "/stream/alice/", false)]
    #[case("GET", "/stream//s", false)]
    #[case("GET", "/stream/alice", false)]
    #[case("GET", "/streams/alice/s", false)]
    #[case("GET", "/v1/streams/alice/s", false)]
    #[case("GET", "/", false)]
    fn only_what_asks_for_a_list_goes_this_way(
        #[case] method: Method,
        #[case] uri: &str,
        #[case] takes: bool,
    ) {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        assert_eq!(Express::takes(&request), takes, "{uri}");
    }
}
