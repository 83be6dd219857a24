//! A client of the routes, without sockets: [`Client`].

use std::sync::Arc;

use alive_db::{
    database::Database,
    memory::MemoryDatabase,
    rest::{Peer, RestApi, RestConfig, TokenIssuer},
};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Extension, Router, body::Body};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";

#[derive(Clone, Debug)]
pub(crate) struct Client<D = MemoryDatabase> {
    pub(crate) api: RestApi<D>,
    pub(crate) database: Arc<D>,
    peer: Peer,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// Status and body at once.
    pub(crate) fn is(&self, status: u16, body: Value) {
        assert_eq!((self.status.as_u16(), self.json()), (status, body));
    }

    pub(crate) fn error(&self, status: u16, text: &str) {
        self.is(status, serde_json::json!({ "error": text }));
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(RestConfig::default().burst(1000), None)
    }

    pub(crate) fn with(config: RestConfig, tokens: Option<TokenIssuer>) -> Self {
        Self::over(Arc::new(MemoryDatabase::default()), config, tokens)
    }
}

impl<D: Database> Client<D> {
    pub(crate) fn over(database: Arc<D>, config: RestConfig, tokens: Option<TokenIssuer>) -> Self {
        let shared = Arc::clone(&database);
        let api = match tokens {
            None => RestApi::new(shared, config),
            Some(tokens) => RestApi::with_tokens(shared, config, tokens),
        };
        Self { api, database, peer: Peer::Tcp(([127, 0, 0, 1], 1).into()) }
    }

    /// The same from another address.
    pub(crate) fn from(&self, address: [u8; 4]) -> Self {
        let (api, database) = (self.api.clone(), Arc::clone(&self.database));
        Self { api, database, peer: Peer::Tcp((address, 1).into()) }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Got {
        let router: Router = self.api.router().layer(Extension(self.peer));
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Got { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Got {
        self.post_with(path, "application/json", &[], body.to_string()).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        kind: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Got {
        let mut request = Request::post(path).header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Makes a user and gives his public key.
    pub(crate) async fn user(&self, id: &str) -> String {
        let got =
            self.post("/createUser", serde_json::json!({ "id": id, "key": "password1" })).await;
        assert_eq!(got.status, 200, "{got:?}");
        got.json()["pub"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn push_body() -> Value {
    serde_json::json!({
        "network": "hive", "streamer": "alice", "link": "s-1",
        "stream": { "src": CID, "len": 10.5, "720": CID },
    })
}

pub(crate) fn stream_path(public: &str) -> String {
    format!("/getStream?pub={public}&network=hive&streamer=alice&link=s-1")
}
