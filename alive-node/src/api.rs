//! The node's HTTP face: [`Api`] and its routes.
//!
//! | route | answer |
//! |---|---|
//! | `/`, asked for by a browser | what is on, see [`crate::pages`] |
//! | `/`, `/get_stream_info`, `/get_stream_chunks`, the two below `/rpc/` | as the original server gives them, see [`halive`] |
//! | `/stream/{author}/{link}`, the same with `.m3u8` | the list, see [`lists`] |
//! | `/stream/{author}/{link}/health` | what the list lacks, and why |
//! | `/stream/{author}/{link}/menu.m3u8` | the qualities that are delivered now (feature `stake`) |
//! | `/stream/{author}/{link}/master`, the same with `.m3u8`, `/streaminfo/{author}/{link}` | see [`streams`] |
//! | `/health`, `/ready`, `/metrics` | see [`operations`] |
//! | `/v1/…` | see [`v1`] and [`openapi`] |
//! | `/watch/…`, `/embed/…`, `/assets/…` | pages for people, see [`crate::pages`] |
//! | `/ipfs/{cid}` | content of the embedded store, see [`Gateway`] |
//!
//! Every answer may be read by any web page. Errors are JSON: `{"error":"…"}`, below `/v1/` problem details, see
//! [`problem`].

mod encoding;
mod express;
pub(crate) mod fuzzing;
mod guard;
mod halive;
mod lists;
#[cfg(feature = "stake")]
mod menu;
mod openapi;
mod operations;
mod problem;
mod query;
mod streams;
mod v1;

pub(crate) use encoding::takes_gzip;
pub(crate) use express::Express;
pub(crate) use streams::IN_PATH;

use std::{sync::Arc, time::Duration};

use alive_core::{
    Network,
    backend::{SharedAccountKeys, SharedStreamStore},
};
use alive_storage::{SharedContentReader, serve::Gateway};
use axum::{
    Router,
    extract::{MatchedPath, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use problem::Reason;
use serde::Serialize;
use tokio::sync::broadcast;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{Any, CorsLayer},
    timeout::TimeoutLayer,
};

use v1::attested::Attested;

use crate::{
    accounts::Accounts, clock::Clock, config::ServerLimits, event::NodeEvent, explain::Explained,
    measure::Measures, metrics::Metrics, pages::Pages, playlists::Playlists, visitors::Visitors,
};

/// How long a browser need not ask again whether it may read an answer.
const PREFLIGHT: Duration = Duration::from_hours(24);
/// Where a list says what it lacks.
pub(crate) const HEALTH: HeaderName = HeaderName::from_static("x-alive-health");

/// What the routes need.
#[derive(Debug)]
pub(crate) struct Api {
    network: Network,
    store: SharedStreamStore,
    accounts: Accounts,
    clock: Clock,
    playlists: Playlists,
    measures: Measures,
    attested: Attested,
    events: broadcast::Sender<NodeEvent>,
    gateway: Gateway,
    pages: Option<Pages>,
    metrics: Metrics,
    visitors: Arc<Visitors>,
    #[cfg(feature = "stake")]
    renditions: Option<crate::renditions::RenditionDesk>,
    #[cfg(feature = "chat")]
    chat: Option<(crate::chat::ChatRooms, crate::chat::Senders)>,
    /// How long an answer may take to begin, where the answer itself does not wait for something.
    timeout: Duration,
}

impl Api {
    /// Speaks for one network.
    pub(crate) fn new(
        network: Network,
        store: SharedStreamStore,
        accounts: Option<SharedAccountKeys>,
        playlists: Playlists,
        content: Option<SharedContentReader>,
        events: broadcast::Sender<NodeEvent>,
    ) -> Self {
        Self {
            clock: Clock::start(),
            measures: Measures::new(content.clone()),
            attested: Attested::new(store.clone()),
            events,
            accounts: Accounts::new(network.clone(), store.clone(), accounts),
            network,
            store,
            gateway: match playlists.presence() {
                None => Gateway::new(content),
                Some(presence) => {
                    Gateway::new(content).reporting(move |id, why| presence.report(id, why))
                }
            },
            playlists,
            pages: None,
            metrics: Metrics::new(),
            visitors: Arc::new(Visitors::new(&ServerLimits::default())),
            #[cfg(feature = "stake")]
            renditions: None,
            #[cfg(feature = "chat")]
            chat: None,
            timeout: Duration::MAX,
        }
    }

    /// With pages for people.
    pub(crate) fn pages(self, pages: Pages) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// With renditions of other accounts.
    #[cfg(feature = "stake")]
    pub(crate) fn desk(self, renditions: Option<crate::renditions::RenditionDesk>) -> Self {
        Self { renditions, ..self }
    }

    /// With chats.
    #[cfg(feature = "chat")]
    pub(crate) fn rooms(self, chat: Option<crate::chat::ChatRooms>) -> Self {
        let chat = chat.map(|rooms| {
            let senders = rooms.senders();
            (rooms, senders)
        });
        Self { chat, ..self }
    }

    /// With counts and visitors that the server knows, too.
    pub(crate) fn counted(self, metrics: Metrics, visitors: Arc<Visitors>) -> Self {
        Self { metrics, visitors, ..self }
    }

    /// The way of most requests, all routes, and those of a second address for the metrics alone.
    pub(crate) fn routers(self, timeout: Duration) -> (Express, Router, Router) {
        let api = Arc::new(Self { timeout, ..self });
        let metrics = Router::new()
            .route("/metrics", get(operations::metrics))
            .fallback(not_found)
            .with_state(Arc::clone(&api));
        (Express::new(&api), Self::all(&api, timeout), metrics)
    }

    /// All routes and what guards them. `timeout` bounds the time to the beginning of an answer, but where a client asked
    /// to wait for something.
    #[cfg(feature = "testing")]
    pub(crate) fn router(self, timeout: Duration) -> Router {
        self.routers(timeout).1
    }

    fn all(api: &Arc<Self>, timeout: Duration) -> Router {
        let content = api.gateway.clone().router();
        let own = openapi::routes();
        let pages = api.pages.clone().map_or_else(Router::new, Pages::router);
        let waiting = Router::new().route(express::ROUTE, get(lists::playlist));
        let router = Router::new();
        #[cfg(feature = "stake")]
        let router = router.route("/stream/{author}/{link}/menu.m3u8", get(menu::menu));
        router
            .route("/", get(root))
            .route("/get_stream_info", get(halive::stream_info))
            .route("/get_stream_chunks", get(halive::stream_chunks))
            .route("/rpc/get_stream_info", get(halive::stream_info))
            .route("/rpc/get_stream_chunks", get(halive::rpc_stream_chunks))
            .route("/stream/{author}/{link}/health", get(lists::health))
            .route("/stream/{author}/{link}/master", get(streams::master))
            .route("/stream/{author}/{link}/master.m3u8", get(streams::master))
            .route("/streaminfo/{author}/{link}", get(streams::info))
            .merge(own.plain)
            .merge(content)
            .merge(pages)
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
            .merge(waiting)
            .merge(own.waiting)
            .fallback(not_found)
            .method_not_allowed_fallback(not_allowed)
            .route("/metrics", get(operations::local_metrics))
            .with_state(Arc::clone(api))
            // Together: each call of its own would put every route into a further box.
            .layer((
                cors(),
                middleware::from_fn_with_state(Arc::clone(api), guard::guard),
                CatchPanicLayer::custom(|_| panicked()),
            ))
    }
}

/// What is on, for browsers; for all others how far the index has come, as the original tells it.
async fn root(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Response {
    let pages = api.pages.as_ref().filter(|pages| pages.asked_for(&headers));
    let mut response = match pages {
        Some(pages) => pages.home(uri.query(), &headers).await,
        None => halive::root(State(Arc::clone(&api))).await,
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The headers of answers that pages of other origins may read, besides those that they always may.
fn exposed() -> Vec<HeaderName> {
    let own = [
        header::ACCEPT_RANGES,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::ETAG,
        HEALTH,
    ];
    own.into_iter().chain(Gateway::EXPOSED).collect()
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        // What is posted counts by its signature, whatever page it comes from.
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([
            header::RANGE,
            header::IF_NONE_MATCH,
            header::CACHE_CONTROL,
            header::CONTENT_TYPE,
        ])
        .expose_headers(exposed())
        .max_age(PREFLIGHT)
        // Nothing depends on the origin, so caches need not keep an answer for each. Source: `spec/livepeer.md`, 5.2.
        .vary::<[HeaderName; 0]>([])
}

/// What is answered when it is our own fault.
fn panicked() -> Response {
    tracing::error!(monotonic_counter.request_panics = 1_u64, "a request panicked");
    error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}

async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "not found")
}

async fn not_allowed(route: Option<MatchedPath>) -> Response {
    let (text, methods) = match route.as_ref().map(MatchedPath::as_str) {
        #[cfg(feature = "chat")]
        Some(route) if route.ends_with("/chat") => {
            ("only GET, HEAD and POST are allowed", "GET, HEAD, POST")
        }
        #[cfg(feature = "chat")]
        Some(route) if route.ends_with("/chat/requests") => ("only POST is allowed", "POST"),
        _ => ("only GET and HEAD are allowed", "GET, HEAD"),
    };
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, text);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

/// An answer in JSON that must be asked for anew each time.
fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(value) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (status, headers, body).into_response()
}

/// `{"error":"…"}`.
fn error(status: StatusCode, text: &str) -> Response {
    #[derive(Serialize)]
    struct Error<'t> {
        error: &'t str,
    }
    let mut response = json(status, &Error { error: text });
    response.extensions_mut().insert(Reason(text.to_owned()));
    response
}

/// Something failed that is not the client's fault.
fn failed(why: &dyn std::error::Error) -> Response {
    tracing::warn!(
        error = %Explained(why), monotonic_counter.requests_failed = 1_u64, "request failed"
    );
    unavailable("the node cannot answer now")
}

/// Something that this node needs cannot be had; the same request may succeed later.
fn unavailable(text: &str) -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}
