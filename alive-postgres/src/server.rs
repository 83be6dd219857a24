//! Where a database is and how it is reached: [`Server`].

use std::{str::FromStr as _, sync::Arc, time::Duration};

use tokio::sync::OnceCell;
use tokio_postgres::{Client, Socket, config::SslMode, error::SqlState, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{
    self, ClientConfig,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::tls;

/// The half of a connection that moves its bytes; it must be polled for the [`Client`] to get answers.
pub type Link =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// A database, and how it is reached.
#[derive(Clone, Debug)]
pub struct Server {
    connection: tokio_postgres::Config,
    roots: Arc<Vec<CertificateDer<'static>>>,
    /// Made once: it reads the system's authorities.
    tls: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl Server {
    /// Reads a connection text: a `postgresql://` address or the `key=value` form of libpq. A host that begins with `/` is
    /// the folder of a Unix socket. Several hosts are tried in their order.
    ///
    /// The connection is encrypted if the text says `sslmode=require`. The server must then prove to be the host that the
    /// text names, as with libpq's `verify-full`, to the system's certificate authorities or to those of
    /// [`trust`](Self::trust).
    ///
    /// # Errors
    /// [`ServerError::Text`] if it is not of that form or names no host.
    pub fn parse(text: &str) -> Result<Self, ServerError> {
        let mut connection = tokio_postgres::Config::from_str(text)
            .map_err(|error| ServerError::Text(why(&error)))?;
        if connection.get_hosts().is_empty() && connection.get_hostaddrs().is_empty() {
            return Err(ServerError::Text("it names no host".into()));
        }
        if connection.get_ssl_mode() != SslMode::Require {
            // To try and go on without would tell a listener nothing less.
            connection.ssl_mode(SslMode::Disable);
        }
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
        Ok(Self { connection, roots: Arc::default(), tls: Arc::default() })
    }

    /// Trusts the certificate authorities of this PEM text, besides those of the system.
    ///
    /// # Errors
    /// [`ServerError::Authorities`] if it holds no certificate, or something that is none.
    pub fn trust(self, pem: &[u8]) -> Result<Self, ServerError> {
        let added = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let added = added.map_err(|error| ServerError::Authorities(error.to_string().into()))?;
        if added.is_empty() {
            return Err(ServerError::Authorities("it has no certificate".into()));
        }
        let roots = self.roots.iter().cloned().chain(added).collect();
        Ok(Self { roots: Arc::new(roots), tls: Arc::default(), ..self })
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.connection.get_ssl_mode() == SslMode::Require
    }

    /// Connects. The time for it is bounded for each host's socket only.
    ///
    /// # Errors
    /// [`ConnectError`]: trying again may help.
    pub async fn connect(&self) -> Result<(Client, Link), ConnectError> {
        let config = if self.is_encrypted() {
            let load = || tls::checking(Arc::clone(&self.roots));
            Arc::clone(self.tls.get_or_try_init(load).await?)
        } else {
            Arc::new(tls::unused()?)
        };
        let tls = MakeRustlsConnect::new(ClientConfig::clone(&config));
        Ok(self.connection.connect(tls).await?)
    }
}

/// Why there is no [`Server`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The certificate authorities cannot be read.
    #[error("certificate authorities: {0}")]
    Authorities(Box<str>),
    /// The text cannot be used. It is not repeated: it may hold a password.
    #[error("connection text: {0}")]
    Text(Box<str>),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server cannot be reached, does not prove who it is, or turns us away.
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    /// The system's certificate authorities cannot be used.
    #[error("TLS for PostgreSQL cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl ConnectError {
    /// What the server itself says, if it was reached.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => error.code(),
            Self::Tls(_) => None,
        }
    }
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
    #[case("postgresql://alive:secret@127.0.0.1:5433/alive", false)]
    #[case("postgres://alive@first,second/alive?target_session_attrs=read-write", false)]
    #[case("postgresql://alive@%2Fvar%2Frun%2Fpostgresql/alive", false)]
    #[case("host=/var/run/postgresql user=alive dbname=alive sslmode=disable", false)]
    #[case("postgres://alive@localhost/haf?sslmode=prefer", false)]
    #[case("postgres://alive@db.example/haf?sslmode=require", true)]
    fn addresses_and_keys_are_taken(#[case] text: &str, #[case] encrypted: bool) {
        assert_eq!(Server::parse(text).unwrap().is_encrypted(), encrypted);
    }

    #[test]
    fn a_text_without_a_host_is_refused() {
        let refused = Server::parse("user=alive dbname=alive").unwrap_err();
        assert_eq!(refused, ServerError::Text("it names no host".into()));
    }

    #[rstest]
    #[case("host=localhost port=secret")]
    #[case("host=localhost password='secret")]
    #[case("postgresql://alive:secret@localhost:x/alive")]
    #[case("host=localhost secret")]
    fn neither_errors_nor_debug_repeat_a_password(#[case] text: &str) {
        let error = Server::parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        let server = Server::parse("postgresql://alive:secret@localhost/alive").unwrap();
        assert!(!format!("{server:?}").contains("secret"));
    }

    #[rstest]
    #[case("")]
    #[case("no certificate")]
    #[case("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")]
    #[case("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
    fn what_is_no_authority_is_refused(#[case] pem: &str) {
        let server = Server::parse("host=localhost sslmode=require").unwrap();
        assert!(matches!(server.trust(pem.as_bytes()), Err(ServerError::Authorities(_))));
    }
}
