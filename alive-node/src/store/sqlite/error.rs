//! What can go wrong with SQLite, and what it means for a caller.

use alive_core::backend::StoreError;
use rusqlite::ErrorCode;

/// What errors of this backend call it.
pub(super) const BACKEND: &str = "SQLite";

/// Why a file cannot be used as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteStoreError {
    /// It is a database of some other program.
    #[error("the database belongs to another program, its application id is {0:#x}")]
    Foreign(i32),
    /// A later version of this program wrote it.
    #[error("schema version {found} is newer than {known}, the newest that this program knows")]
    Newer {
        /// The file's version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// It cannot be opened or changed.
    #[error("the database cannot be opened")]
    Sqlite(#[from] rusqlite::Error),
}

/// Why a piece of work on a connection failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The step is about a block that does not follow.
    Order { got: u64 },
    /// SQLite, or a value that it holds.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqliteFailure,
        };
        let error = match failure {
            Failure::Order { got } => return Self::Order { got },
            Failure::Sqlite(error) => error,
        };
        let what = match &error {
            SqliteFailure(why, _) if is_damage(why.code) => "a page",
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
                "a value"
            }
            _ => return Self::Unavailable { backend: BACKEND, source: error.into() },
        };
        Self::Corrupt { backend: BACKEND, what, source: error.into() }
    }
}

fn is_damage(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
}
