//! TLS to relays that we dial: [`Tls`].

use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName},
    },
};

use super::dial::UrlError;

/// A connection over TLS.
pub(super) type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// How a host is reached over TLS: whom it must prove to be, and who may vouch for it.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads the system's certificate authorities, beside which `roots` count.
    pub(super) async fn load(roots: Arc<Vec<Vec<u8>>>, host: &str) -> Result<Self, UrlError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| UrlError::Tls(error.to_string()))?;
        // Some hundred small files, or one of 200 KiB.
        let loading = tokio::task::spawn_blocking(move || {
            let provider = Arc::new(aws_lc_rs::default_provider());
            let roots = roots.iter().map(|root| CertificateDer::from(root.clone()));
            let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                // What rustls calls dangerous is to bring a verifier at all; this one leaves nothing out.
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
            Ok::<_, tokio_rustls::rustls::Error>(TlsConnector::from(Arc::new(config)))
        });
        let failed = |error: &dyn std::error::Error| UrlError::Tls(error.to_string());
        // Joining fails only when the runtime ends.
        let loaded = loading.await.map_err(|error| failed(&error))?;
        Ok(Self { connector: loaded.map_err(|error| failed(&error))?, name })
    }

    /// Secures a connection.
    pub(super) async fn connect(&self, stream: TcpStream) -> std::io::Result<TlsStream> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}
