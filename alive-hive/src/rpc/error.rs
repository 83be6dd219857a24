//! Why a call gave no result: [`RpcError`].

use std::{sync::Arc, time::Duration};

use alive_core::Excerpt;
use reqwest::StatusCode;

use crate::network::{ChainId, KeyPrefix};

use super::node_error::{NodeError, NodeErrorKind, Remedy};

/// Why a call gave no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The result lacks what the method must give.
    #[error("the result is not what the method gives: {0}")]
    Answer(&'static str),
    /// The answer to a batch is none.
    #[error("the answer to a batch of {requests} is not usable: {reason}")]
    Batch {
        /// How many requests the batch had.
        requests: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] Arc<reqwest::Error>),
    /// Every node asked to be left alone for longer than the call may take.
    #[error("every node asks for a pause, the shortest of {} s", .pause.as_secs())]
    Held {
        /// How long it is until the first node may be asked.
        pause: Duration,
    },
    /// There is no node to ask.
    #[error("no node to ask")]
    NoNode,
    /// The node answered with an error.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The body is no JSON-RPC; it starts like this.
    #[error("the answer is no JSON-RPC: {0}")]
    NotJsonRpc(Excerpt),
    /// The node is one of another chain. It is not used.
    #[error("node {node} is of chain {found}, not of {expected}")]
    OtherChain {
        /// Host and port of the node.
        node: Box<str>,
        /// What the node says.
        found: Excerpt,
        /// What we sign for.
        expected: ChainId,
    },
    /// The answer is one to another request.
    #[error("the answer belongs to another request")]
    OtherId,
    /// The node's chain writes its keys in another way than ours. It is not used.
    #[error("node {node} writes keys with {found}, not with {expected}")]
    OtherPrefix {
        /// Host and port of the node.
        node: Box<str>,
        /// What the node says.
        found: Excerpt,
        /// What we write.
        expected: KeyPrefix,
    },
    /// The HTTP status is no success, and the body no answer that counts.
    #[error("the node answered with HTTP status {0}")]
    Status(StatusCode),
    /// There was no whole answer in time.
    #[error("the node gave no whole answer within {} ms", .after.as_millis())]
    Timeout {
        /// How long it was waited for.
        after: Duration,
    },
    /// The answer is longer than allowed.
    #[error("the answer has more than {limit} bytes")]
    TooLong {
        /// How many bytes are allowed.
        limit: usize,
    },
    /// No connection, or it broke, or it took too long.
    #[error("the node cannot be reached")]
    Transport(#[source] Arc<reqwest::Error>),
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
            Self::Client(_) | Self::NoNode | Self::OtherChain { .. } | Self::OtherPrefix { .. } => {
                false
            }
            Self::Node(error) => error.kind().is_transient(),
            _ => true,
        }
    }

    /// Whether the node is one of another chain.
    pub(super) fn is_of_other_chain(&self) -> bool {
        matches!(self, Self::OtherChain { .. } | Self::OtherPrefix { .. })
    }

    /// Whether another node may answer better.
    pub(super) fn is_of_this_node(&self) -> bool {
        match self {
            Self::Client(_) | Self::NoNode => false,
            Self::Node(error) => error.kind().remedy() == Remedy::NextNode,
            _ => true,
        }
    }

    /// Whether the node is to blame so that it is better left alone for a while. One that lacks a method is as good as
    /// ever for others.
    pub(super) fn is_failure_of_node(&self) -> bool {
        self.is_of_this_node()
            && !self.is_of_other_chain()
            && self.node().is_none_or(|error| error.kind() != NodeErrorKind::UnknownMethod)
    }

    /// Which of two errors to tell of: one that may pass before one that will not, and what a node said before that
    /// another was silent.
    pub(super) fn or_better(self, other: Self) -> Self {
        if other.weight() >= self.weight() { other } else { self }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::NoNode => 0,
            Self::OtherChain { .. } | Self::OtherPrefix { .. } => 2,
            Self::Node(error) if error.kind() == NodeErrorKind::UnknownMethod => 1,
            Self::Node(_) => 4,
            _ => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(code: i64) -> RpcError {
        NodeError::read(&json!({ "code": code })).into()
    }

    #[test]
    fn what_may_pass_is_told_before_what_will_not_and_words_before_silence() {
        let silent = || RpcError::Timeout { after: Duration::ZERO };
        let (unknown, busy) = (|| node(-32_601), || node(-32_603));
        assert!(unknown().or_better(silent()).is_transient());
        assert!(silent().or_better(unknown()).is_transient());
        assert!(silent().or_better(busy()).node().is_some());
        assert!(busy().or_better(silent()).node().is_some());
        assert!(!RpcError::NoNode.or_better(unknown()).is_transient());
    }

    #[test]
    fn a_missing_method_is_no_fault_of_the_node_but_another_may_have_it() {
        assert!(node(-32_601).is_of_this_node());
        assert!(!node(-32_601).is_failure_of_node());
        assert!(node(-32_603).is_failure_of_node());
        assert!(!node(-32_003).is_of_this_node());
    }
}
