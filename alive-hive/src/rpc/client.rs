//! A JSON-RPC client for Hive nodes: [`RpcClient`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_core::Excerpt;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::network::ChainId;

use super::{
    config::RpcConfig,
    node_error::{NodeError, NodeErrorKind, Remedy, start_of},
};

/// Asks Hive nodes, one after another until one answers.
///
/// It begins with the node that answered last. A node that cannot be reached, answers something else than JSON-RPC,
/// is busy or lacks the method makes it ask the next one; any other error is the answer. Clones share what they learn.
///
/// ```
/// use alive_hive::rpc::{RpcClient, RpcConfig};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = RpcClient::new(RpcConfig::new(["https://api.hive.blog"])?)?;
/// let version = client.call("condenser_api.get_version", serde_json::json!([])).await?;
/// println!("{}", version["chain_id"]);
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
    next_id: AtomicU64,
}

impl RpcClient {
    /// A client of these nodes.
    ///
    /// # Errors
    /// [`RpcError::Client`] if the system has no usable TLS set-up.
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
            next_id: AtomicU64::new(1),
        })))
    }

    /// How many nodes it may ask.
    pub(super) fn node_count(&self) -> usize {
        self.0.nodes.len()
    }

    /// Calls a method, such as `block_api.get_block`, and gives its result.
    ///
    /// # Errors
    /// [`RpcError`]: the node's own error, or what went wrong with the last node.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.ask(method, params, |result| {
            serde_json::from_str(result.get()).map_err(|_| RpcError::Answer("JSON within bounds"))
        })
        .await
    }

    /// Calls a method and reads its result with `read`.
    ///
    /// A result that `read` refuses, with [`RpcError::Answer`] say, is a failure of that node like any other: the next
    /// one is asked. So whoever knows what the answer must look like says it here and not after the call.
    ///
    /// ```
    /// use alive_hive::rpc::{RpcClient, RpcError};
    /// # async fn run(client: RpcClient) -> Result<(), RpcError> {
    /// let method = "condenser_api.get_block";
    /// let block = client.ask(method, serde_json::json!([1]), |result| {
    ///     let block: Option<serde_json::Value> =
    ///         serde_json::from_str(result.get()).map_err(|_| RpcError::Answer("a block"))?;
    ///     block.ok_or(RpcError::Answer("a block that exists"))
    /// });
    /// println!("{}", block.await?["timestamp"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RpcError`]: the node's own error, or what went wrong with the last node.
    pub async fn ask<T>(
        &self,
        method: &str,
        params: Value,
        read: impl Fn(&RawValue) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": id });
        let body = body.to_string();
        let count = self.0.nodes.len();
        let first = self.0.preferred.load(Ordering::Relaxed);
        let mut failed = RpcError::NoNode;
        for step in 0..count {
            let index = (first + step) % count;
            let Some(node) = self.0.nodes.get(index) else { continue };
            let answered = self.0.post(node, body.clone()).await;
            let answered = answered.and_then(|answer| read(answer.result(id)?));
            match answered {
                Err(error) if error.is_of_this_node() => {
                    tracing::debug!(%node, method, %error, "the next node is asked");
                    // What a node said is a better reason than that others were silent.
                    let keep =
                        matches!(failed, RpcError::Node(_)) && !matches!(error, RpcError::Node(_));
                    failed = if keep { failed } else { error };
                }
                answered => {
                    self.0.preferred.store(index, Ordering::Relaxed);
                    return answered;
                }
            }
        }
        Err(failed)
    }
}

impl Inner {
    async fn post(&self, node: &Url, body: String) -> Result<Body, RpcError> {
        let request = self.http.post(node.clone()).header("content-type", "application/json");
        let response = request.body(body).send().await.map_err(transport)?;
        let status = response.status();
        let bytes = self.body_of(response).await?;
        Ok(Body { bytes, status })
    }

    async fn body_of(&self, mut response: reqwest::Response) -> Result<Vec<u8>, RpcError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > self.max_answer {
                return Err(RpcError::TooLong { limit: self.max_answer });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// What a node answered.
struct Body {
    bytes: Vec<u8>,
    status: StatusCode,
}

impl Body {
    /// Errors come in the body whatever the status says; only what is no JSON-RPC is judged by the status.
    fn result(&self, id: u64) -> Result<&RawValue, RpcError> {
        read_answer(&self.bytes, id).map_err(|error| {
            let is_answer = matches!(error, RpcError::Node(_));
            if is_answer || self.status.is_success() {
                error
            } else {
                RpcError::Status(self.status)
            }
        })
    }
}

/// The members of an answer that count.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
}

/// A member that is there, be it null.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The result or the error of an answer.
pub(super) fn read_answer(body: &[u8], id: u64) -> Result<&RawValue, RpcError> {
    let not_json_rpc = || RpcError::NotJsonRpc(start_of(body));
    // A derived reader takes an array of the members, too.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(not_json_rpc());
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| not_json_rpc())?;
    if let Some(error) = answer.error.filter(|error| error.get() != "null") {
        let error: Value = serde_json::from_str(error.get()).map_err(|_| not_json_rpc())?;
        return Err(RpcError::Node(NodeError::read(&error)));
    }
    if answer.id.and_then(|id| serde_json::from_str(id.get()).ok()) != Some(id) {
        return Err(RpcError::OtherId);
    }
    answer.result.ok_or_else(not_json_rpc)
}

/// The address stays out of the text: it may hold a password.
fn transport(error: reqwest::Error) -> RpcError {
    RpcError::Transport(error.without_url())
}

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The result lacks what the method must give.
    #[error("the result is not what the method gives: {0}")]
    Answer(&'static str),
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    /// There is no node to ask.
    #[error("no node to ask")]
    NoNode,
    /// The node answered with an error.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The body is no JSON-RPC; it starts like this.
    #[error("the answer is no JSON-RPC: {0}")]
    NotJsonRpc(Excerpt),
    /// The node is one of another chain.
    #[error("the node is of chain {found}, not of {expected}")]
    OtherChain {
        /// What the node says.
        found: Excerpt,
        /// What we sign for.
        expected: ChainId,
    },
    /// The answer is one to another request.
    #[error("the answer belongs to another request")]
    OtherId,
    /// The HTTP status is no success, and the body no JSON-RPC.
    #[error("the node answered with HTTP status {0}")]
    Status(StatusCode),
    /// The answer is longer than allowed.
    #[error("the answer has more than {limit} bytes")]
    TooLong {
        /// How many bytes are allowed.
        limit: usize,
    },
    /// No connection, or it broke, or it took too long.
    #[error("the node cannot be reached")]
    Transport(#[source] reqwest::Error),
}

impl RpcError {
    /// The node's own error, if it is one.
    pub fn node(&self) -> Option<&NodeError> {
        match self {
            Self::Node(error) => Some(error),
            _ => None,
        }
    }

    /// Whether trying again may help, later or with another node.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Client(_) | Self::NoNode | Self::OtherChain { .. } => false,
            Self::Node(error) => match error.kind() {
                NodeErrorKind::UnknownMethod => false,
                kind => matches!(kind.remedy(), Remedy::NextNode | Remedy::Wait),
            },
            _ => true,
        }
    }

    /// Whether another node may answer better.
    fn is_of_this_node(&self) -> bool {
        match self {
            Self::Client(_) | Self::NoNode | Self::OtherChain { .. } => false,
            Self::Node(error) => error.kind().remedy() == Remedy::NextNode,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Value, RpcError> {
        let result = read_answer(body.as_bytes(), 7)?;
        Ok(serde_json::from_str(result.get()).unwrap())
    }

    #[test]
    fn results_of_any_kind_are_results() {
        assert_eq!(read(r#"{"jsonrpc":"2.0","result":{},"id":7}"#).unwrap(), json!({}));
        assert_eq!(read(r#"{"jsonrpc":"2.0","result":null,"id":7}"#).unwrap(), json!(null));
    }

    #[test]
    fn an_answer_to_another_request_is_refused() {
        assert!(matches!(read(r#"{"result":{},"id":8}"#), Err(RpcError::OtherId)));
        assert!(matches!(read(r#"{"result":{},"id":"7"}"#), Err(RpcError::OtherId)));
    }

    #[test]
    fn what_is_no_json_rpc_is_said_with_its_start() {
        for body in ["", "<html>busy</html>", "[]", "7", r#"{"id":7}"#] {
            assert!(matches!(read(body), Err(RpcError::NotJsonRpc(_))), "{body}");
        }
    }

    #[test]
    fn an_error_without_id_is_still_the_nodes_error() {
        let error = read(r#"{"jsonrpc":"2.0","error":{"code":-32700},"id":null}"#).unwrap_err();
        assert_eq!(error.node().unwrap().code(), -32700);
        assert!(!error.is_transient());
    }
}
