//! Why a source has no blocks: [`FollowError`].

use alive_core::backend::{self, SourceError};

use crate::{block_id::BlockId, rpc::BACKEND};

use super::super::error::RpcError;

/// Why a [`HiveBlockSource`](super::HiveBlockSource) has no blocks: the cause of its
/// [`SourceError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// No node has a block in its chain that is irreversible. All that answered were passed over for it.
    #[error(
        "no node has block {} in its chain, which is irreversible as {block}: look which of them is wrong",
        block.block_num()
    )]
    BelowIrreversible {
        /// The block that cannot be replaced.
        block: BlockId,
    },
    /// A node's blocks are not what their headers say, or not those asked for. No other node gave better ones.
    #[error("no node gave blocks that are right: {0}")]
    Blocks(String),
    /// Two nodes gave old blocks that do not fit together. One of them is wrong; asking again may find out which.
    #[error("nodes contradict each other about blocks that are long irreversible")]
    Contradiction,
    /// No node answered.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl FollowError {
    /// Whether asking for fewer blocks may help.
    pub(super) fn is_too_much(&self) -> bool {
        matches!(
            self,
            Self::Rpc(RpcError::Timeout { .. } | RpcError::TooLong { .. } | RpcError::Transport(_))
        )
    }

    pub(super) fn into_source_error(self) -> SourceError {
        let is_refused = match &self {
            Self::BelowIrreversible { .. } | Self::Blocks(_) => true,
            Self::Contradiction => false,
            Self::Rpc(error) => !error.is_transient(),
        };
        let (backend, source): (_, backend::Cause) = (BACKEND, Box::new(self));
        if is_refused {
            SourceError::Refused { backend, source }
        } else {
            SourceError::Unavailable { backend, source }
        }
    }
}
