//! Which nodes to ask, and how patiently: [`RpcConfig`].

use std::{fmt, time::Duration};

use alive_core::Excerpt;
use reqwest::Url;

/// Settings of an [`RpcClient`](super::RpcClient).
///
/// ```
/// use alive_hive::rpc::RpcConfig;
/// let config = RpcConfig::new(["https://api.hive.blog", "https://api.deathwing.me"])?;
/// assert!(RpcConfig::new(["ftp://example.org"]).is_err());
/// # Ok::<(), alive_hive::rpc::RpcConfigError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct RpcConfig {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time for one call over all nodes and repetitions.
    pub deadline: Duration,
    /// Longest answer, in bytes. A hundred full blocks fit.
    pub max_answer: usize,
    /// Most requests in one batch; longer ones are split. Public nodes take 50 and more.
    pub max_batch: usize,
    /// Longest time that a failing node is left alone; it begins with [`RpcConfig::pause`].
    pub max_pause: Duration,
    /// Longest pause that a node can ask for with `Retry-After`.
    pub max_retry_after: Duration,
    /// The nodes. Among equally good ones the first is asked.
    pub nodes: Vec<Url>,
    /// How long a node is left alone after its first failure; half to all of it, and twice as long each next time.
    pub pause: Duration,
    /// How often the nodes are gone through before a call fails, at least 1.
    pub rounds: u32,
    /// Longest wait for a whole answer of one node.
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
            deadline: Duration::from_mins(1),
            max_answer: 64 << 20,
            max_batch: 50,
            max_pause: Duration::from_mins(1),
            max_retry_after: Duration::from_mins(1),
            nodes,
            pause: Duration::from_millis(250),
            rounds: 2,
            timeout: Duration::from_secs(20),
        })
    }

    /// Sets the longest time for one call over all nodes and repetitions.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sets the most requests in one batch, at least 1.
    #[must_use]
    pub fn max_batch(self, requests: usize) -> Self {
        Self { max_batch: requests.max(1), ..self }
    }

    /// Sets the longest pause that a node can ask for.
    #[must_use]
    pub fn max_retry_after(self, pause: Duration) -> Self {
        Self { max_retry_after: pause, ..self }
    }

    /// Sets how long a failing node is left alone: after its first failure, and at most.
    #[must_use]
    pub fn pause(self, first: Duration, longest: Duration) -> Self {
        Self { pause: first, max_pause: longest, ..self }
    }

    /// Sets how often the nodes are gone through before a call fails, at least once.
    #[must_use]
    pub fn rounds(self, rounds: u32) -> Self {
        Self { rounds: rounds.max(1), ..self }
    }

    /// Sets the longest wait for a whole answer of one node.
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

/// Shows host and port of the nodes only: paths and users of addresses are often secrets.
impl fmt::Debug for RpcConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<Box<str>> = self.nodes.iter().map(name_of).collect();
        f.debug_struct("RpcConfig")
            .field("nodes", &nodes)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}

/// Host and port of a node.
pub(super) fn name_of(url: &Url) -> Box<str> {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}").into(),
        None => host.into(),
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
