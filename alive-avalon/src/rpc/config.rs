//! Which nodes to ask, and how patiently: [`RpcConfig`].

use std::time::Duration;

use alive_core::Excerpt;
use reqwest::Url;

/// Settings of an [`RpcClient`](super::RpcClient).
///
/// ```
/// use alive_avalon::rpc::RpcConfig;
/// let config = RpcConfig::new(["https://avalon.d.tube", "https://node.example"])?;
/// assert!(RpcConfig::new(["ftp://example.org"]).is_err());
/// # Ok::<(), alive_avalon::rpc::RpcConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RpcConfig {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest answer, in bytes. A full block fits ten times over.
    pub max_answer: usize,
    /// The nodes, tried in this order.
    pub nodes: Vec<Url>,
    /// Longest wait for a whole answer.
    pub timeout: Duration,
}

impl RpcConfig {
    /// The usual settings for these nodes: addresses of the schemes `http` and `https`.
    ///
    /// # Errors
    /// There is no node, or one is no such address.
    pub fn new<S: AsRef<str>>(nodes: impl IntoIterator<Item = S>) -> Result<Self, RpcConfigError> {
        let nodes = nodes.into_iter().map(|node| {
            let text = node.as_ref();
            let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            url.ok_or_else(|| RpcConfigError::Node(Excerpt::of(text)))
        });
        let nodes: Vec<Url> = nodes.collect::<Result<_, _>>()?;
        if nodes.is_empty() {
            return Err(RpcConfigError::NoNode);
        }
        Ok(Self {
            connect_timeout: Duration::from_secs(5),
            max_answer: 128 << 20,
            nodes,
            timeout: Duration::from_secs(20),
        })
    }

    /// Sets the longest wait for a whole answer.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets the longest answer, in bytes.
    #[must_use]
    pub fn max_answer(self, max_answer: usize) -> Self {
        Self { max_answer, ..self }
    }
}

/// Why there is no such [`RpcConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcConfigError {
    /// No node is given.
    #[error("no node is given")]
    NoNode,
    /// This is no address of a node.
    #[error("{0} is no http or https address of a node")]
    Node(Excerpt),
}
