//! Why operations are not on the chain: [`SubmitError`].

use alive_core::backend::BroadcastError;

use super::MAX_CUSTOM_OPS;
use crate::{
    block_id::TransactionId,
    rpc::{BACKEND, client::RpcError, key_check::KeyRefusal, node_error::Remedy},
    validate::Invalid,
};

/// Why operations are not on the chain, as far as is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// No block took any of several transactions in time. None of them ever will be in one.
    #[error("signed {builds} times, the transaction expired each time without a block taking it")]
    Expired {
        /// How often it was signed.
        builds: u32,
        /// What a node said to the last one.
        source: Option<RpcError>,
    },
    /// The operations cannot be put into a transaction.
    #[error("the operations cannot be put into a transaction")]
    Invalid(#[from] Invalid),
    /// The key may not sign for them. Nothing was sent.
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    /// The nodes refuse, or none answers.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// More custom operations of one account than a block takes. Nothing was sent.
    #[error("{found} custom operations of one account, a block takes {MAX_CUSTOM_OPS}")]
    TooManyCustomOps {
        /// How many there are.
        found: u32,
    },
    /// Time is up and it cannot be told whether a block has the transaction or will have it. Submitting the same
    /// operations again goes on with it.
    #[error("whether transaction {transaction_id} is on the chain cannot be told yet")]
    Unsettled {
        /// The transaction.
        transaction_id: TransactionId,
    },
}

impl SubmitError {
    /// Whether submitting the same again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Expired { .. } | Self::Unsettled { .. } => true,
            Self::Invalid(_) | Self::Key(_) | Self::TooManyCustomOps { .. } => false,
            Self::Rpc(error) => {
                let remedy = error.node().map(|error| error.kind().remedy());
                error.is_transient() || remedy == Some(Remedy::Rebuild)
            }
        }
    }

    pub(super) fn into_backend(self) -> BroadcastError {
        let is_transient = self.is_transient();
        let (backend, source) = (BACKEND, Box::new(self));
        if is_transient {
            BroadcastError::Unavailable { backend, source }
        } else {
            BroadcastError::Refused { backend, source }
        }
    }
}
