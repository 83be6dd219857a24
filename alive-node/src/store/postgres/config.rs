//! Settings of a [`PostgresStore`](super::PostgresStore).

use std::time::Duration;

use alive_core::Excerpt;
use alive_postgres::{Server, ServerError};

/// Settings of a [`PostgresStore`](super::PostgresStore).
///
/// ```
/// use alive_node::{PostgresConfigError, PostgresStoreConfig};
/// let config = PostgresStoreConfig::new("postgresql://alive@localhost/alive")?.connections(16);
/// assert_eq!(config.connections, 16);
/// # Ok::<(), PostgresConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresStoreConfig {
    pub(super) server: Server,
    pub(super) schema: Box<str>,
    /// How many connections read beside each other, at least one. One more listens, and one more writes for each network
    /// that this process leads.
    pub connections: usize,
    /// The longest that one statement may take; who waits for a free connection waits no longer either.
    pub statement_timeout: Duration,
    /// How long a leader may be silent before the server ends its session, so that another process leads. It is heard
    /// from three times as often. At least three milliseconds.
    pub lease: Duration,
    /// Time between two attempts of a process that waits to lead.
    pub takeover_interval: Duration,
    /// Time between two looks for news where the server tells of none by itself.
    pub poll_interval: Duration,
}

impl PostgresStoreConfig {
    /// Longest name of a schema, in bytes: what `PostgreSQL` keeps of a name.
    pub const MAX_SCHEMA: usize = 63;

    /// Settings with the database at `connection`, in a form of [`Server::parse`]. Connect to the server itself, or through a
    /// pooler in session mode: locks and settings belong to a session.
    ///
    /// # Errors
    /// [`PostgresConfigError::Server`] if the text is not of that form.
    pub fn new(connection: &str) -> Result<Self, PostgresConfigError> {
        let server = Server::parse(connection)?;
        Ok(Self {
            server,
            schema: "alive_index".into(),
            connections: 8,
            statement_timeout: Duration::from_secs(30),
            lease: Duration::from_secs(15),
            takeover_interval: Duration::from_secs(1),
            poll_interval: Duration::from_secs(1),
        })
    }

    /// Trusts the certificate authorities of this PEM text, besides those of the system, where the connection is encrypted.
    ///
    /// # Errors
    /// [`PostgresConfigError::Server`] if it holds no certificate, or something that is none.
    pub fn trust(self, pem: &[u8]) -> Result<Self, PostgresConfigError> {
        Ok(Self { server: self.server.trust(pem)?, ..self })
    }

    /// Sets the schema that holds the tables, `alive_index` by default. It is made when it is not there, and may be shared
    /// by any number of nodes of one kind; a second index in the same database needs another one.
    ///
    /// # Errors
    /// [`PostgresConfigError::Schema`] unless it is of 1 to 63 lower-case letters, digits and underscores, begins with no
    /// digit and not with `pg_`.
    pub fn schema(self, name: &str) -> Result<Self, PostgresConfigError> {
        let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if first && plain && name.len() <= Self::MAX_SCHEMA && !name.starts_with("pg_") {
            Ok(Self { schema: name.into(), ..self })
        } else {
            Err(PostgresConfigError::Schema(Excerpt::of(name)))
        }
    }

    /// Sets how many connections read beside each other.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// Sets the longest that one statement may take, at least a millisecond.
    #[must_use]
    pub fn statement_timeout(self, timeout: Duration) -> Self {
        Self { statement_timeout: timeout.max(Duration::from_millis(1)), ..self }
    }

    /// Sets how long a leader may be silent.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease: lease.max(Duration::from_millis(3)), ..self }
    }

    /// Sets the time between two attempts to lead, at least a millisecond.
    #[must_use]
    pub fn takeover_interval(self, interval: Duration) -> Self {
        Self { takeover_interval: interval.max(Duration::from_millis(1)), ..self }
    }

    /// Sets the time between two looks for news where the server tells of none, at least a millisecond.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.max(Duration::from_millis(1)), ..self }
    }
}

/// Why there is no [`PostgresStoreConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresConfigError {
    /// A name that cannot stand in SQL as it is.
    #[error(
        "schema {0}: 1 to {max} lower-case letters, digits and underscores, no digit first, not pg_",
        max = PostgresStoreConfig::MAX_SCHEMA
    )]
    Schema(Excerpt),
    /// The connection text or the certificate authorities cannot be used.
    #[error("connection to PostgreSQL")]
    Server(#[from] ServerError),
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_is_no_connection_is_refused_and_no_password_told() {
        let refused = PostgresStoreConfig::new("user=alive dbname=alive password=secret");
        assert!(matches!(refused, Err(PostgresConfigError::Server(_))));
        let config = PostgresStoreConfig::new("postgresql://alive:secret@localhost/alive").unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[rstest]
    #[case("")]
    #[case("Alive")]
    #[case("1alive")]
    #[case("pg_alive")]
    #[case("alive; DROP SCHEMA public")]
    #[case("alive\"")]
    #[case("älive")]
    #[case(&"a".repeat(64))]
    fn names_that_are_more_than_a_name_are_refused(#[case] name: &str) {
        let config = PostgresStoreConfig::new("host=localhost").unwrap();
        assert!(config.clone().schema(name).is_err());
        assert!(config.schema(&"a".repeat(63)).is_ok());
    }
}
