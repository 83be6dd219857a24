//! Why HAF gave no blocks: [`HafError`].

use std::time::Duration;

use alive_core::backend::{self, SourceError};
use tokio_postgres::error::SqlState;

use super::BACKEND;

/// Why HAF gave no blocks. It is the source of the [`SourceError`] that a [`HafBlockSource`](super::HafBlockSource) gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HafError {
    /// HAF answered something else than its contract says.
    #[error("HAF did not answer {0}")]
    Answer(&'static str),
    /// A block that HAF must have is not there: a pruned HAF has dropped it.
    #[error("HAF has no block {0}, which the index lacks; a pruned HAF keeps no old blocks")]
    BlockGone(u32),
    /// There is no connection to the database.
    #[error("connecting to HAF's database failed")]
    Connect(#[from] alive_postgres::ConnectError),
    /// The context is there, but it gives reversible blocks.
    #[error("context {0} is a forking one; name another, or remove it")]
    ForkingContext(Box<str>),
    /// The context is there, but its views are not in this schema.
    #[error(
        "context {context} is there, but not its views in schema {schema}; name its own schema"
    )]
    ForeignSchema {
        /// The context.
        context: Box<str>,
        /// The schema that was looked in.
        schema: Box<str>,
    },
    /// The database has no HAF in it.
    #[error("this database has no HAF in it: schema hive is missing")]
    NoHaf,
    /// The server did not answer in time.
    #[error("HAF's database gave no answer for {1:?} while {0}")]
    Silent(&'static str, Duration),
    /// A statement failed.
    #[error("HAF's database failed while {0}")]
    Statement(&'static str, #[source] tokio_postgres::Error),
}

impl HafError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Silent(..) => true,
            Self::BlockGone(_)
            | Self::ForeignSchema { .. }
            | Self::ForkingContext(_)
            | Self::NoHaf => false,
            Self::Connect(error) => error.code().is_none_or(may_change),
            Self::Statement(_, error) => error.code().is_none_or(may_change),
        }
    }

    /// Whether a value, not the connection or the statement, is what the server could not deal with.
    pub(super) fn is_data(&self) -> bool {
        matches!(self, Self::Statement(_, error) if error.code().is_some_and(|code| class(code) == "22"))
    }

    /// Whether the connection was lost on the way, so that another one may do.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Statement(_, error) if error.is_closed() || match error.code() {
            Some(code) => matches!(class(code), "08" | "57") && *code != SqlState::QUERY_CANCELED
                || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            // No word from the server: the socket failed.
            None => std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>),
        })
    }

    pub(super) fn into_source_error(self) -> SourceError {
        let is_transient = self.is_transient();
        let (backend, source): (_, backend::Cause) = (BACKEND, Box::new(self));
        if is_transient {
            SourceError::Unavailable { backend, source }
        } else {
            SourceError::Refused { backend, source }
        }
    }
}

/// Whether it is not what the server will say again: no such object, no right, no such user or database.
fn may_change(code: &SqlState) -> bool {
    !matches!(class(code), "0A" | "28" | "2D" | "3D" | "3F" | "42")
}

fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}
