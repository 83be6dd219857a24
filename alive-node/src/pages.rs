//! Pages for people: [`Pages`] and their routes.
//!
//! | route | page |
//! |---|---|
//! | `/`, asked for by a browser | what is on |
//! | `/watch/{network}/{author}/{link}` | a stream in a player that checks every byte before it is played |
//! | `/embed/{network}/{author}/{link}` | the player alone, for frames of other pages |
//! | `/assets/{version}/{name}` | what the pages are made of; the version names the content, so it never changes |
//!
//! Whatever a stream or its account is called, nothing of it is taken for markup: [`maud`] escapes all text, and the
//! policy of every page lets scripts come from this server alone and never from the page itself. The pages load nothing
//! from other servers but segments, from the gateways that the operator names. Source: `spec/livepeer.md`, section 5.3.

mod address;
mod assets;
#[cfg(feature = "chat")]
mod chat;
mod config;
mod document;
mod home;
mod policy;
mod watch;

use std::sync::Arc;

use alive_core::{
    GatewayUrl, StreamId, StreamInfo,
    backend::{SharedStreamStore, StreamStore as _},
};
use axum::{
    Router,
    extract::{RawPathParams, State, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use maud::Markup;
use percent_encoding::percent_decode_str;

pub use self::config::PagesConfig;
use self::{address::Site, home::Home, policy::Framing};
use crate::{clock::Clock, explain::Explained};

/// The pages of a node. A clone gives the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Pages(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: SharedStreamStore,
    clock: Clock,
    config: PagesConfig,
    /// Where viewers fetch segments, best first; an empty one is this node.
    gateways: Vec<String>,
    /// The policies of the watch page and of the embedded player.
    policies: [HeaderValue; 2],
    #[cfg(feature = "chat")]
    chat: Option<crate::chat::ChatRooms>,
    /// APIs that visitors of a chat may believe about keys.
    #[cfg(feature = "chat")]
    keys_from: Vec<String>,
}

type Path = Result<RawPathParams, RawPathParamsRejection>;

impl Pages {
    /// Pages for the streams of a store. `listed` is the gateway that the node's lists name.
    pub(crate) fn new(
        store: SharedStreamStore,
        listed: Option<&GatewayUrl>,
        config: PagesConfig,
    ) -> Self {
        let others = listed.into_iter().chain(&config.gateways);
        // A gateway that no policy can name could not be reached from the pages.
        let others: Vec<_> = others.filter_map(policy::Source::of).collect();
        let apis: Vec<_> = config.chat_keys_from.iter().filter_map(policy::Source::of).collect();
        // Players in other pages have no chat.
        let policies = [(Framing::Nowhere, &apis[..]), (Framing::Anywhere, &[])]
            .map(|(framing, apis)| policy::content_security_policy(&others, apis, framing));
        #[cfg(feature = "chat")]
        let keys_from = apis.iter().map(|source| source.base().to_owned()).collect();
        let named = others.iter().map(|source| source.base().to_owned());
        let gateways = if listed.is_some() {
            // The operator wants segments to come from there; this node is asked when nobody else is left.
            named.chain([String::new()]).collect()
        } else {
            [String::new()].into_iter().chain(named).collect()
        };
        let clock = Clock::start();
        Self(Arc::new(Shared {
            store,
            clock,
            config,
            gateways,
            policies,
            #[cfg(feature = "chat")]
            chat: None,
            #[cfg(feature = "chat")]
            keys_from,
        }))
    }

    /// With chats beside the player.
    #[cfg(feature = "chat")]
    pub(crate) fn chat(self, chat: Option<crate::chat::ChatRooms>) -> Self {
        let Shared { store, clock, config, gateways, policies, keys_from, .. } = &*self.0;
        Self(Arc::new(Shared {
            store: store.clone(),
            clock: *clock,
            config: config.clone(),
            gateways: gateways.clone(),
            policies: policies.clone(),
            chat,
            keys_from: keys_from.clone(),
        }))
    }

    /// Their routes but `/`; none when the configuration wants none.
    pub(crate) fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        if !self.0.config.enabled {
            return Router::new();
        }
        Router::new()
            .route("/watch/{network}/{author}/{link}", get(watch))
            .route("/embed/{network}/{author}/{link}", get(embed))
            .route("/assets/{version}/{name}", get(assets::asset))
            .with_state(self)
    }

    /// Whether a request for `/` wants a page: browsers name the type, programs do not.
    pub(crate) fn asked_for(&self, headers: &HeaderMap) -> bool {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|list| list.to_str().ok());
        let mut types = accepted.flat_map(|list| list.split([',', ';'])).map(str::trim);
        self.0.config.enabled && types.any(|media_type| media_type == "text/html")
    }

    /// What is on. `after` of the query is where older streams begin; what is none is the beginning.
    pub(crate) async fn home(&self, query: Option<&str>, headers: &HeaderMap) -> Response {
        let after = query.and_then(|query| query.strip_prefix("after="));
        let after = after.and_then(|mark| percent_decode_str(mark).decode_utf8().ok());
        let after = after.and_then(|mark| mark.parse().ok());
        match Home::look(&self.0.store, after, self.0.clock.now()).await {
            Ok(home) => {
                let site = Site::of(self.0.config.public_url.as_ref(), headers);
                self.answer(StatusCode::OK, home.page(&site), Framing::Nowhere, headers)
            }
            Err(why) => self.failed(headers, &why),
        }
    }

    async fn stream_page(&self, path: Path, headers: &HeaderMap, framing: Framing) -> Response {
        let Some(id) = stream_of(path) else { return self.no_stream(headers) };
        let stored = match self.0.store.stream(&id).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return self.no_stream(headers),
            Err(why) => return self.failed(headers, &why),
        };
        let site = Site::of(self.0.config.public_url.as_ref(), headers);
        let page = watch::Page {
            id: &id,
            info: &stored.info,
            site,
            gateways: &self.0.gateways,
            chat: self.chat_beside(&id, &stored.info),
        };
        let page = match framing {
            Framing::Anywhere => page.embedded(),
            Framing::Nowhere => page.whole(),
        };
        self.answer(StatusCode::OK, page, framing, headers)
    }

    /// The chat of a stream, if it has one here.
    #[cfg(feature = "chat")]
    fn chat_beside(&self, id: &StreamId, info: &StreamInfo) -> Option<Markup> {
        let rooms = self.0.chat.as_ref()?;
        rooms.key_of(id, info).map(|_| chat::beside(id, rooms, &self.0.keys_from))
    }

    #[cfg(not(feature = "chat"))]
    #[expect(clippy::unused_self, reason = "with the feature chat it is used")]
    fn chat_beside(&self, _: &StreamId, _: &StreamInfo) -> Option<Markup> {
        None
    }

    fn no_stream(&self, headers: &HeaderMap) -> Response {
        let page = document::notice("No such stream", "This node does not know the stream.");
        self.answer(StatusCode::NOT_FOUND, page, Framing::Anywhere, headers)
    }

    fn failed(&self, headers: &HeaderMap, why: &dyn std::error::Error) -> Response {
        tracing::warn!(
            error = %Explained(why), monotonic_counter.requests_failed = 1_u64, "request failed"
        );
        let page =
            document::notice("Not now", "This node cannot answer now. Try again in a moment.");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let mut response = self.answer(status, page, Framing::Anywhere, headers);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        response
    }

    /// A page with the headers that all have. Errors are kept for a moment only.
    fn answer(
        &self,
        status: StatusCode,
        page: Markup,
        framing: Framing,
        asked: &HeaderMap,
    ) -> Response {
        let [nowhere, anywhere] = &self.0.policies;
        let policy = match framing {
            Framing::Anywhere => anywhere,
            Framing::Nowhere => nowhere,
        };
        let cache = match status {
            StatusCode::OK => "public, max-age=60",
            StatusCode::NOT_FOUND => "public, max-age=1",
            _ => "no-store",
        };
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        let text = assets::Text::new(page.into_string().into_bytes());
        let media_type = HeaderValue::from_static("text/html; charset=utf-8");
        let mut response = text.answer(media_type, headers, asked);
        if status != StatusCode::OK {
            *response.status_mut() = status;
        }
        response
    }
}

/// A stream in the player, with everything around it.
async fn watch(State(pages): State<Pages>, path: Path, headers: HeaderMap) -> Response {
    pages.stream_page(path, &headers, Framing::Nowhere).await
}

/// The player alone.
async fn embed(State(pages): State<Pages>, path: Path, headers: HeaderMap) -> Response {
    pages.stream_page(path, &headers, Framing::Anywhere).await
}

/// The stream that a path names. What cannot be read names none.
fn stream_of(path: Path) -> Option<StreamId> {
    let path = path.ok()?;
    let part = |name| path.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
    let account = part("author").filter(|author| !author.contains('\0'))?;
    Some(StreamId::new(
        part("network")?.parse().ok()?,
        account.parse().ok()?,
        part("link")?.parse().ok()?,
    ))
}
