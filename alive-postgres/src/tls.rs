//! Who may vouch for a server.

use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio::task::spawn_blocking;
use tokio_rustls::rustls::{
    ClientConfig, Error, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
};

/// The system's certificate authorities and these.
pub(crate) async fn checking(
    roots: Arc<Vec<CertificateDer<'static>>>,
) -> Result<Arc<ClientConfig>, Error> {
    // Some hundred small files, or one of 200 KiB.
    let loading = spawn_blocking(move || {
        let provider = provider();
        let verifier =
            Verifier::new_with_extra_roots(roots.iter().cloned(), Arc::clone(&provider))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            // What rustls calls dangerous is to bring a verifier at all; this one leaves nothing out.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::new(config))
    });
    // Joining fails only when the runtime ends.
    loading.await.map_err(|error| Error::General(error.to_string()))?
}

/// For a connection that is not encrypted: nobody would be trusted.
pub(crate) fn unused() -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
