//! What can go wrong with PostgreSQL, and what it means for a caller.

use std::{fmt, time::Duration};

use alive_core::{
    Network,
    backend::{Cause, StoreError},
};
use tokio_postgres::error::SqlState;

use crate::explain::Explained;

/// What errors of this backend call it.
pub(super) const BACKEND: &str = "PostgreSQL";

/// Why a database cannot be used as a store. It is the source of the [`StoreError::Unavailable`] that a
/// [`PostgresStore`](super::PostgresStore) gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresStoreError {
    /// Every connection was in use for too long.
    #[error("no connection to PostgreSQL was free within {0:?}; allow more, or find what is slow")]
    Busy(Duration),
    /// There is no connection to the server.
    #[error("connecting to PostgreSQL failed")]
    Connect(#[from] alive_postgres::ConnectError),
    /// Connecting failed a moment ago, and it is not time yet for another attempt.
    #[error("PostgreSQL could not be reached a moment ago, the next attempt is in {0:?}")]
    Down(Duration),
    /// The schema has tables of some other program.
    #[error("schema {0} belongs to another program; name another")]
    Foreign(Box<str>),
    /// A later version of this program wrote the schema.
    #[error("schema version {found} is newer than {known}, the newest that this program knows")]
    Newer {
        /// The schema's version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// Another process indexes this network.
    #[error("another process leads the indexing of {0}")]
    NotLeader(Network),
    /// The server did not answer in time.
    #[error("PostgreSQL gave no answer for {0:?}")]
    Silent(Duration),
    /// A statement failed.
    #[error("a statement of PostgreSQL failed")]
    Statement(#[source] tokio_postgres::Error),
}

/// Why a piece of work on a session failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The step is about a block that does not follow.
    Order { got: u64 },
    /// The database.
    Store(PostgresStoreError),
    /// A value that it holds cannot be read.
    Unreadable { what: &'static str, source: Cause },
}

impl Failure {
    /// Whether the connection was lost on the way, so that another one may do.
    pub(super) fn is_lost(&self) -> bool {
        let Self::Store(PostgresStoreError::Statement(error)) = self else { return false };
        if error.is_closed() {
            return true;
        }
        match error.code() {
            // The server ends the connection, or a migration has changed what a statement was prepared for.
            Some(code) => {
                matches!(class(code), "08" | "57") && *code != SqlState::QUERY_CANCELED
                    || *code == SqlState::FEATURE_NOT_SUPPORTED
            }
            // No word from the server: the socket failed.
            None => std::error::Error::source(error)
                .is_some_and(<dyn std::error::Error>::is::<std::io::Error>),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order { got } => write!(f, "block {got} does not follow the last one"),
            Self::Store(error) => Explained(error).fmt(f),
            Self::Unreadable { what, source } => write!(f, "{what} cannot be read: {source}"),
        }
    }
}

impl From<PostgresStoreError> for Failure {
    fn from(error: PostgresStoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Order { got } => Self::Order { got },
            Failure::Store(PostgresStoreError::Statement(error))
                if error.code().is_some_and(is_damage) =>
            {
                Self::Corrupt { backend: BACKEND, what: "a page", source: error.into() }
            }
            Failure::Store(error) => Self::Unavailable { backend: BACKEND, source: error.into() },
            Failure::Unreadable { what, source } => {
                Self::Corrupt { backend: BACKEND, what, source }
            }
        }
    }
}

fn is_damage(code: &SqlState) -> bool {
    matches!(*code, SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED)
}

fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}
