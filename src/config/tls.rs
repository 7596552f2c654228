//! Certificates for a login server that ends TLS itself.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Loads a certificate chain and its private key.
///
/// # Errors
/// Which of the two is wrong (`cert_file` or `key_file`), and how.
pub(super) fn load(cert: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, (&'static str, String)> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| ("cert_file", format!("cannot be read: {error}")))?;
    if chain.is_empty() {
        return Err(("cert_file", "has no certificate in it: give a PEM file".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| ("key_file", format!("cannot be read: {error}")))?;
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ("cert_file", error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map(Arc::new)
        .map_err(|error| ("key_file", format!("does not go with the certificate: {error}")))
}
