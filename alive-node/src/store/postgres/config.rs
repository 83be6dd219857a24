//! Settings of a [`PostgresStore`](super::PostgresStore).

use std::{str::FromStr as _, time::Duration};

use alive_core::Excerpt;
use tokio_postgres::config::SslMode;

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
    pub(super) connection: tokio_postgres::Config,
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

    /// Settings with the database at `connection`: a `postgresql://` address or the `key=value` form of libpq. A host that
    /// begins with `/` is the folder of a Unix socket. Several hosts are tried in their order.
    ///
    /// Connect to the server itself, or through a pooler in session mode: locks and settings belong to a session.
    ///
    /// # Errors
    /// [`PostgresConfigError::Connection`] if the text is not of that form, [`PostgresConfigError::Tls`] if it asks for TLS.
    pub fn new(connection: &str) -> Result<Self, PostgresConfigError> {
        let mut connection = tokio_postgres::Config::from_str(connection)
            .map_err(|error| PostgresConfigError::Connection(why(&error)))?;
        if connection.get_ssl_mode() == SslMode::Require {
            return Err(PostgresConfigError::Tls);
        }
        if connection.get_hosts().is_empty() && connection.get_hostaddrs().is_empty() {
            return Err(PostgresConfigError::Connection("it names no host".into()));
        }
        connection.ssl_mode(SslMode::Disable);
        if connection.get_application_name().is_none() {
            connection.application_name("alive");
        }
        if connection.get_connect_timeout().is_none() {
            connection.connect_timeout(Duration::from_secs(5));
        }
        // A server that vanished without a word is noticed within half a minute.
        connection.keepalives_idle(Duration::from_secs(10));
        connection.keepalives_interval(Duration::from_secs(5));
        connection.keepalives_retries(3);
        Ok(Self {
            connection,
            schema: "alive_index".into(),
            connections: 8,
            statement_timeout: Duration::from_secs(30),
            lease: Duration::from_secs(15),
            takeover_interval: Duration::from_secs(1),
            poll_interval: Duration::from_secs(1),
        })
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
    /// The connection text cannot be used. The text itself is not repeated: it may hold a password.
    #[error("connection to PostgreSQL: {0}")]
    Connection(Box<str>),
    /// A name that cannot stand in SQL as it is.
    #[error(
        "schema {0}: 1 to {max} lower-case letters, digits and underscores, no digit first, not pg_",
        max = PostgresStoreConfig::MAX_SCHEMA
    )]
    Schema(Excerpt),
    /// The connection must be encrypted, which this client cannot do.
    #[error(
        "connection to PostgreSQL: sslmode=require is not supported; use a Unix socket, the same host, or a tunnel"
    )]
    Tls,
}

/// The cause of a connection text's error, which names a key of it and no value.
fn why(error: &tokio_postgres::Error) -> Box<str> {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string).into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("postgresql://alive:secret@127.0.0.1:5433/alive")]
    #[case("postgres://alive@first,second/alive?target_session_attrs=read-write")]
    #[case("postgresql://alive@%2Fvar%2Frun%2Fpostgresql/alive")]
    #[case("host=/var/run/postgresql user=alive dbname=alive sslmode=disable")]
    fn addresses_and_keys_are_taken(#[case] text: &str) {
        assert!(PostgresStoreConfig::new(text).is_ok());
    }

    #[rstest]
    #[case("postgresql://alive@localhost/alive?sslmode=require", PostgresConfigError::Tls)]
    #[case("user=alive dbname=alive", PostgresConfigError::Connection("it names no host".into()))]
    fn what_cannot_work_is_refused_at_once(#[case] text: &str, #[case] want: PostgresConfigError) {
        assert_eq!(PostgresStoreConfig::new(text).unwrap_err(), want);
    }

    #[rstest]
    #[case("host=localhost port=secret")]
    #[case("host=localhost password='secret")]
    #[case("postgresql://alive:secret@localhost:x/alive")]
    #[case("host=localhost secret")]
    fn neither_errors_nor_debug_repeat_a_password(#[case] text: &str) {
        let error = PostgresStoreConfig::new(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
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
