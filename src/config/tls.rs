//! Certificates for a login server that ends TLS itself.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// TLS with a certificate that can be replaced while connections are open.
#[derive(Debug, Clone)]
pub struct Tls {
    /// What connections are accepted with.
    pub config: Arc<rustls::ServerConfig>,
    certificate: Arc<Certificate>,
}

impl Tls {
    /// Shows another's certificate to whoever connects from now on.
    pub fn take_over(&self, other: &Self) {
        let newer = other.certificate.get();
        *self.certificate.0.write().unwrap_or_else(PoisonError::into_inner) = newer;
    }
}

#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    fn get(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

/// Loads a certificate chain and its private key.
///
/// # Errors
/// Which of the two is wrong (`cert_file` or `key_file`), and how.
pub(super) fn load(cert: &Path, key: &Path) -> Result<Tls, (&'static str, String)> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = Arc::new(Certificate(RwLock::new(Arc::new(read(cert, key, &provider)?))));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ("cert_file", error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificate) as _);
    Ok(Tls { config: Arc::new(config), certificate })
}

fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, (&'static str, String)> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| ("cert_file", format!("cannot be read: {error}")))?;
    if chain.is_empty() {
        return Err(("cert_file", "has no certificate in it: give a PEM file".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| ("key_file", format!("cannot be read: {error}")))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| ("key_file", format!("does not go with the certificate: {error}")))
}
