//! Why a node gave no answer: [`RpcError`].

use alive_core::Excerpt;
use reqwest::StatusCode;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The answer lacks what it must have.
    #[error("the answer is not what it must be: {0}")]
    Answer(&'static str),
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    /// There is no node to ask.
    #[error("no node to ask")]
    NoNode,
    /// The node refused, in these words.
    #[error("the node refused: {0}")]
    Refused(Box<str>),
    /// The HTTP status is no success, and the body does not say why.
    #[error("the node answered with HTTP status {status}: {start}")]
    Status {
        /// The status.
        status: StatusCode,
        /// Start of the body.
        start: Excerpt,
    },
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
    /// Whether trying again may help, later or with another node.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Client(_) | Self::NoNode | Self::Refused(_))
    }
}
