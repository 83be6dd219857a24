//! Settings of a [`HafBlockSource`](super::HafBlockSource).

use std::time::Duration;

use alive_core::{DEFAULT_CUSTOM_JSON_ID, Excerpt};
use alive_postgres::{Server, ServerError};

/// Settings of a [`HafBlockSource`](super::HafBlockSource).
///
/// ```
/// use alive_hive::haf::{HafBlockSourceConfig, HafConfigError};
/// let config = HafBlockSourceConfig::new("postgresql://alive@localhost/haf_block_log")?
///     .context("alive_indexer")?
///     .from_block(90_000_000)
///     .overlay(true);
/// assert_eq!(config.batch, 1000);
/// # Ok::<(), HafConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HafBlockSourceConfig {
    pub(super) server: Server,
    pub(super) context: Box<str>,
    pub(super) schema: Box<str>,
    /// The id of the custom operations to read.
    pub custom_json_id: Box<str>,
    /// The first block of interest, from 1. A new context is moved there at once.
    pub from_block: u32,
    /// Most blocks of one range, 1 to 100,000: what HAF's massive stage is created with and each call asks for.
    pub batch: u32,
    /// Blocks behind the chain's estimated head from which HAF's massive stage applies, at least 1.
    pub massive_distance: u32,
    /// Payload bytes after which a range is cut at the end of a block, so that its memory stays bounded.
    pub range_bytes: usize,
    /// Whether reversible blocks follow the irreversible ones, up to HAF's head.
    pub overlay: bool,
    /// Time between two looks for a new block.
    pub poll_interval: Duration,
    /// The longest that one statement may take.
    pub statement_timeout: Duration,
    /// The longest that a range may stay open while the caller applies it; then the server ends the connection, and the
    /// range is handed out again.
    pub apply_timeout: Duration,
}

impl HafBlockSourceConfig {
    /// Longest name of a context or schema, in bytes: HAF makes names of tables from it, which `PostgreSQL` cuts at 63.
    pub const MAX_NAME: usize = 32;
    /// Most blocks of one range.
    pub const MAX_BATCH: u32 = 100_000;

    /// Settings with HAF's database at `connection`, in a form of [`Server::parse`]. Connect to the server itself, or through
    /// a pooler in session mode: settings and transactions belong to a session.
    ///
    /// # Errors
    /// [`HafConfigError::Server`] if the text is not of that form.
    pub fn new(connection: &str) -> Result<Self, HafConfigError> {
        let server = Server::parse(connection)?;
        Ok(Self {
            server,
            context: "alive".into(),
            schema: "alive".into(),
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.into(),
            from_block: 1,
            batch: 1000,
            massive_distance: 100,
            range_bytes: 64 << 20,
            overlay: false,
            poll_interval: Duration::from_millis(750),
            statement_timeout: Duration::from_mins(2),
            apply_timeout: Duration::from_mins(5),
        })
    }

    /// Trusts the certificate authorities of this PEM text, besides those of the system, where the connection is encrypted.
    ///
    /// # Errors
    /// [`HafConfigError::Server`] if it holds no certificate, or something that is none.
    pub fn trust(self, pem: &[u8]) -> Result<Self, HafConfigError> {
        Ok(Self { server: self.server.trust(pem)?, ..self })
    }

    /// Sets the name of the context, `alive` by default. It is created when it is not there.
    ///
    /// # Errors
    /// [`HafConfigError::Name`] unless it is of 1 to 32 lower-case letters, digits and underscores and begins with no
    /// digit. Source: `spec/indexer.md`, section 7; lower case is our own limit.
    pub fn context(self, name: &str) -> Result<Self, HafConfigError> {
        Ok(Self { context: checked("context", name)?, ..self })
    }

    /// Sets the schema of the context's views, `alive` by default. It is created when it is not there.
    ///
    /// # Errors
    /// [`HafConfigError::Name`] as for [`context`](Self::context), since HAF writes the name unquoted.
    pub fn schema(self, name: &str) -> Result<Self, HafConfigError> {
        Ok(Self { schema: checked("schema", name)?, ..self })
    }

    /// Sets the id of the custom operations.
    #[must_use]
    pub fn custom_json_id(self, id: impl Into<Box<str>>) -> Self {
        Self { custom_json_id: id.into(), ..self }
    }

    /// Sets the first block of interest.
    #[must_use]
    pub fn from_block(self, number: u32) -> Self {
        Self { from_block: number.max(1), ..self }
    }

    /// Sets the most blocks of one range.
    #[must_use]
    pub fn batch(self, blocks: u32) -> Self {
        Self { batch: blocks.clamp(1, Self::MAX_BATCH), ..self }
    }

    /// Sets the distance from the head from which HAF's massive stage applies, for a context that is created.
    #[must_use]
    pub fn massive_distance(self, blocks: u32) -> Self {
        Self { massive_distance: blocks.clamp(1, i32::MAX.unsigned_abs()), ..self }
    }

    /// Sets after how many bytes of payload a range is cut.
    #[must_use]
    pub fn range_bytes(self, limit_bytes: usize) -> Self {
        Self { range_bytes: limit_bytes, ..self }
    }

    /// Sets whether reversible blocks are given, too.
    #[must_use]
    pub fn overlay(self, overlay: bool) -> Self {
        Self { overlay, ..self }
    }

    /// Sets the time between two looks for a new block.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.max(Duration::from_millis(1)), ..self }
    }

    /// Sets the longest that one statement may take, at least a millisecond.
    #[must_use]
    pub fn statement_timeout(self, timeout: Duration) -> Self {
        Self { statement_timeout: timeout.max(Duration::from_millis(1)), ..self }
    }

    /// Sets the longest that a range may stay open, at least a millisecond.
    #[must_use]
    pub fn apply_timeout(self, timeout: Duration) -> Self {
        Self { apply_timeout: timeout.max(Duration::from_millis(1)), ..self }
    }
}

/// Why there is no [`HafBlockSourceConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HafConfigError {
    /// A name that HAF or this crate does not take.
    #[error(
        "{what} {name}: 1 to {max} lower-case letters, digits and underscores, no digit first",
        max = HafBlockSourceConfig::MAX_NAME
    )]
    Name {
        /// Of what.
        what: &'static str,
        /// The name.
        name: Excerpt,
    },
    /// The connection text or the certificate authorities cannot be used.
    #[error("connection to HAF")]
    Server(#[from] ServerError),
}

/// A name that can stand in SQL as it is.
fn checked(what: &'static str, name: &str) -> Result<Box<str>, HafConfigError> {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let fits = name.len() <= HafBlockSourceConfig::MAX_NAME;
    let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if first && fits && plain {
        Ok(name.into())
    } else {
        Err(HafConfigError::Name { what, name: Excerpt::of(name) })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_is_no_connection_is_refused_and_no_password_told() {
        let refused = HafBlockSourceConfig::new("user=alive dbname=haf password=secret");
        assert!(matches!(refused, Err(HafConfigError::Server(_))));
        let config = HafBlockSourceConfig::new("postgresql://alive:secret@localhost/haf").unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[rstest]
    #[case("")]
    #[case("Alive")]
    #[case("1alive")]
    #[case("alive; DROP SCHEMA hive")]
    #[case("alive'")]
    #[case("a123456789012345678901234567890123")]
    #[case("älive")]
    fn names_that_are_more_than_a_name_are_refused(#[case] name: &str) {
        let config = HafBlockSourceConfig::new("host=localhost").unwrap();
        assert!(config.clone().context(name).is_err());
        assert!(config.schema(name).is_err());
    }
}
