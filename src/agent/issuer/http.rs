//! How the agent calls a login server: rustls with ring, the system's root certificates, no redirects,
//! bounded answers. A proxy that the environment names is used.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// From the connection to the last byte of an answer. Shorter than the time a page has to open its socket.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Longest accepted answer in bytes: metadata, keys, or an enrolled person's picture.
const ANSWER_MAX_LEN: usize = 256 * 1024;

/// Why there is no client for a login server.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// The extra root certificates.
    #[error("cannot read root certificates from {path}: {reason}")]
    CaFile {
        /// The configured file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// rustls or reqwest could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// No answer, or an incomplete one.
    #[error("{0}")]
    Unreachable(String),
    /// Whoever answers has no certificate that counts for the name.
    #[error("its certificate does not count: {0}")]
    Certificate(rustls::CertificateError),
    /// A proxy answers in its place, because it does not reach it: 502, 503 or 504, in words that are not the login server's.
    #[error("a proxy in front of it answers {0}")]
    Gateway(u16),
    /// An answer longer than any honest one.
    #[error("the answer is longer than {ANSWER_MAX_LEN} bytes")]
    TooLong,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(in crate::agent) struct Answer {
    pub(in crate::agent) status: u16,
    pub(in crate::agent) date: Option<String>,
    pub(in crate::agent) body: Vec<u8>,
}

/// A client as the agent calls its login servers with.
///
/// # Errors
/// [`NoClient`] where the extra root certificates cannot be read, or TLS not be set up.
pub fn client(ca_file: Option<&Path>) -> Result<reqwest::Client, NoClient> {
    client_over(tls(ca_file)?)
}

/// TLS as the agent speaks it with its login servers: the system's root certificates, and those in the file.
pub(in crate::agent) fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, NoClient> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(extra_roots(ca_file)?, Arc::clone(&provider))
            .map_err(|error| NoClient::Tls(error.to_string()))?;
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| NoClient::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// As [`client`], for a server on this computer: its name is looked up nowhere, and no proxy is asked.
#[cfg(feature = "cli")]
pub(crate) fn client_here(
    ca_file: Option<&Path>,
    host: &str,
    address: std::net::SocketAddr,
) -> Result<reqwest::Client, NoClient> {
    let builder = builder(tls(ca_file)?).no_proxy().resolve(host, address);
    builder.build().map_err(|error| NoClient::Tls(error.to_string()))
}

/// As [`client`], over TLS that is set up already.
pub(in crate::agent) fn client_over(tls: rustls::ClientConfig) -> Result<reqwest::Client, NoClient> {
    builder(tls).build().map_err(|error| NoClient::Tls(error.to_string()))
}

fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("loopkey-agent/", env!("CARGO_PKG_VERSION")))
}

fn extra_roots(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, NoClient> {
    let Some(path) = ca_file else { return Ok(Vec::new()) };
    let fault = |reason: String| NoClient::CaFile { path: path.display().to_string(), reason };
    let roots: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?.collect();
    match roots {
        Ok(roots) if roots.is_empty() => Err(fault("there is no certificate in it".to_owned())),
        Ok(roots) => Ok(roots),
        Err(error) => Err(fault(error.to_string())),
    }
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// [`CallFailed`] where there is none, or one too long.
pub(in crate::agent) async fn call(request: reqwest::RequestBuilder) -> Result<Answer, CallFailed> {
    let mut response = request.send().await.map_err(|error| unreachable(&error))?;
    let status = response.status().as_u16();
    let date = response.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > ANSWER_MAX_LEN {
            return Err(CallFailed::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, date, body })
}

/// Why a request was not answered. reqwest's own message names the address; the deepest cause says what happened.
pub(crate) fn unreachable(error: &reqwest::Error) -> CallFailed {
    if let Some(error) = bad_certificate(error) {
        return CallFailed::Certificate(error);
    }
    let cause = causes(error).skip(1).last().map(|cause| format!(": {cause}")).unwrap_or_default();
    CallFailed::Unreachable(format!("{error}{cause}"))
}

/// An error and what caused it, the deepest last.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
        // An I/O error leaves out what it holds when it is asked for its source.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        held.map_or_else(|| error.source(), |held| Some(held as &(dyn std::error::Error + 'static)))
    })
}

/// What is wrong with the certificate, where that is why there was no answer.
fn bad_certificate(error: &reqwest::Error) -> Option<rustls::CertificateError> {
    causes(error).find_map(|cause| match cause.downcast_ref() {
        Some(rustls::Error::InvalidCertificate(error)) => Some(error.clone()),
        _ => None,
    })
}
