//! Asks nodes over HTTP, one after another until one answers: [`RpcClient`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_core::Excerpt;
use reqwest::{StatusCode, Url, header::CONTENT_TYPE};

use crate::json_text::JsonText;

use super::{config::RpcConfig, error::RpcError};

/// What a node answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: String,
}

impl NodeAnswer {
    /// The body as JSON; `None` where there is no such thing.
    ///
    /// # Errors
    /// The node's refusal, or that it answered something else.
    pub fn found(&self) -> Result<Option<JsonText>, RpcError> {
        match self.status {
            StatusCode::OK => {
                JsonText::of(&self.body).map(Some).map_err(|_| RpcError::Answer("JSON"))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refusal()),
        }
    }

    /// What an answer that is no success says. Only JSON has words of the chain in it; pages come from anywhere.
    pub fn refusal(&self) -> RpcError {
        let words = JsonText::of(&self.body).ok().and_then(|json| {
            let words = json.root().member("error")?.to_text()?;
            Some(words.chars().take(200).collect::<String>())
        });
        match words {
            Some(words) => RpcError::Refused(words.into()),
            None => {
                let start = Excerpt::of(&self.body);
                RpcError::Status { status: self.status, start }
            }
        }
    }
}

/// A client of several nodes of Avalon. Clones share connections and the knowledge which node answered last.
///
/// ```
/// use alive_avalon::rpc::{RpcClient, RpcConfig, RpcError};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = RpcClient::new(RpcConfig::new(["https://avalon.d.tube"])?)?;
/// let account = client.get("/account/dtube", |answer| {
///     answer.found()?.ok_or(RpcError::Answer("an account that exists"))
/// });
/// println!("{}", account.await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RpcClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    max_answer: usize,
    nodes: Vec<Url>,
    /// The node that answered last.
    preferred: AtomicUsize,
}

impl RpcClient {
    /// A client of these nodes.
    ///
    /// # Errors
    /// [`RpcError::Client`] if the HTTP client cannot be made.
    pub fn new(config: RpcConfig) -> Result<Self, RpcError> {
        let http = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(RpcError::Client)?;
        Ok(Self(Arc::new(Inner {
            http,
            max_answer: config.max_answer,
            nodes: config.nodes,
            preferred: AtomicUsize::new(0),
        })))
    }

    /// How many nodes it may ask.
    pub fn node_count(&self) -> usize {
        self.0.nodes.len()
    }

    /// Asks for a path, which is encoded already, and reads the answer with `read`.
    ///
    /// What `read` refuses is a failure of that node, and the next one is asked. So whoever knows what the answer must
    /// look like says it here and not after the call.
    ///
    /// # Errors
    /// [`RpcError`], of the last node that was asked.
    pub async fn get<T>(
        &self,
        path: &str,
        read: impl Fn(&NodeAnswer) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let mut turns = Turns::new(self);
        while let Some(node) = turns.next_node() {
            let answer = self.0.answer(self.0.http.get(join(node, path))).await;
            match answer.and_then(|answer| read(&answer)) {
                Ok(found) => return Ok(turns.done(found)),
                Err(error) => turns.failed(error),
            }
        }
        Err(turns.error)
    }

    /// Sends JSON to a path and gives what the first node answers that has words of its own, and whether another one, asked
    /// before it, may have the request, too.
    ///
    /// # Errors
    /// [`RpcError`], of the last node that was asked: the request may have arrived all the same.
    pub async fn post(&self, path: &str, body: &JsonText) -> Result<(NodeAnswer, bool), RpcError> {
        let mut turns = Turns::new(self);
        while let Some(node) = turns.next_node() {
            let request = self.0.http.post(join(node, path));
            let request = request.header(CONTENT_TYPE, "application/json");
            let answer = self.0.answer(request.body(body.as_str().to_owned())).await;
            // A page comes from whatever stands before the node, or from a node that fails.
            let spoken = answer.and_then(|answer| match answer.refusal() {
                error @ RpcError::Status { .. } if answer.status != StatusCode::OK => Err(error),
                _ => Ok(answer),
            });
            match spoken {
                Ok(answer) => {
                    let elsewhere = turns.step > 1;
                    return Ok(turns.done((answer, elsewhere)));
                }
                Err(error) => turns.failed(error),
            }
        }
        Err(turns.error)
    }
}

/// The nodes in turn, beginning with the one that answered last.
struct Turns<'a> {
    inner: &'a Inner,
    first: usize,
    /// How many were asked.
    step: usize,
    error: RpcError,
}

impl<'a> Turns<'a> {
    fn new(client: &'a RpcClient) -> Self {
        let inner = &*client.0;
        let first = inner.preferred.load(Ordering::Relaxed);
        Self { inner, first, step: 0, error: RpcError::NoNode }
    }

    fn next_node(&mut self) -> Option<&'a Url> {
        let count = self.inner.nodes.len();
        if self.step == count {
            return None;
        }
        let node = self.inner.nodes.get((self.first + self.step) % count);
        self.step += 1;
        node
    }

    fn failed(&mut self, error: RpcError) {
        tracing::debug!(%error, "the next node is asked");
        // What a node said is a better reason than that others were silent.
        if !matches!(self.error, RpcError::Refused(_)) {
            self.error = error;
        }
    }

    fn done<T>(&self, answer: T) -> T {
        let index = (self.first + self.step - 1) % self.inner.nodes.len().max(1);
        self.inner.preferred.store(index, Ordering::Relaxed);
        answer
    }
}

impl Inner {
    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<NodeAnswer, RpcError> {
        let mut response = request.send().await.map_err(transport)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > self.max_answer {
                return Err(RpcError::TooLong { limit: self.max_answer });
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8(body).map_err(|_| RpcError::Answer("text"))?;
        Ok(NodeAnswer { status, body })
    }
}

fn join(node: &Url, path: &str) -> Url {
    let mut url = node.clone();
    let base = node.path().trim_end_matches('/').to_owned();
    url.set_path(&(base + path));
    url
}

/// The address stays out of the text: it may hold a password.
fn transport(error: reqwest::Error) -> RpcError {
    RpcError::Transport(error.without_url())
}
