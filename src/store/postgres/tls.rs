//! TLS to the server: rustls with ring, the platform's root certificates and the configured ones.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresError;

/// What verifies the server's certificate and its name, as `sslmode=verify-full` demands.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, PostgresError> {
    let refused = |error: rustls::Error| PostgresError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = ca_file.map(read).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(refused)?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, PostgresError> {
    let fault = |reason: String| PostgresError::CaFile { path: path.to_owned(), reason };
    let roots = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match roots {
        Ok(roots) if roots.is_empty() => Err(fault("there is no certificate in it".to_owned())),
        Ok(roots) => Ok(roots),
        Err(error) => Err(fault(error.to_string())),
    }
}
