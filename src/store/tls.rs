//! TLS to a shared store: rustls with ring, the system's root certificates and one more where it is configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Why there is no TLS to the store.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// The extra root certificate.
    #[error("shared_store.ca_file: cannot read certificates from {path}: {reason}", path = path.display())]
    CaFile {
        /// The configured file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// rustls could not be set up.
    #[error("cannot set up TLS to the store: {0}")]
    Setup(String),
}

/// How TLS to a store is spoken. The provider is passed by hand: nothing of the process is set for others.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, NoTls> {
    let setup = |error: rustls::Error| NoTls::Setup(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = ca_file.map(read).transpose()?.unwrap_or_default();
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(setup)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, NoTls> {
    let fault = |reason: String| NoTls::CaFile { path: path.to_owned(), reason };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?.collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(fault("there is no certificate in it".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(fault(error.to_string())),
    }
}
