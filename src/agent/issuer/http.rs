//! How the agent calls a login server: rustls with ring, the system's root certificates, no redirects,
//! bounded answers. A proxy that the environment names is used.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::OnceCell;

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
    /// It was not sent: there is no client for it.
    #[error(transparent)]
    NoClient(#[from] NoClient),
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(in crate::agent) struct Answer {
    pub(in crate::agent) status: u16,
    pub(in crate::agent) date: Option<String>,
    pub(in crate::agent) body: Vec<u8>,
}

/// The way to one login server. The system's root certificates are some hundred files: they are read before the first call, and
/// not before the agent listens.
pub(in crate::agent) struct Way {
    extra_roots: Vec<CertificateDer<'static>>,
    tls: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Way {
    /// Reads the extra root certificates.
    pub(in crate::agent) fn new(ca_file: Option<&Path>) -> Result<Self, NoClient> {
        Ok(Self { extra_roots: extra_roots(ca_file)?, tls: OnceCell::new() })
    }

    /// TLS, also for the link, which is no HTTP call.
    pub(in crate::agent) async fn tls(&self) -> Result<Arc<rustls::ClientConfig>, NoClient> {
        let made = self.tls.get_or_try_init(|| async {
            let roots = self.extra_roots.clone();
            let made = tokio::task::spawn_blocking(|| tls(roots)).await;
            made.map_err(|error| NoClient::Tls(error.to_string()))?.map(Arc::new)
        });
        made.await.cloned()
    }

    /// A client for one errand. It keeps its connections open as long as it lives, and wakes up for that.
    pub(in crate::agent) async fn client(&self) -> Result<reqwest::Client, NoClient> {
        client_over((*self.tls().await?).clone())
    }
}

/// A client as the agent calls its login servers with.
///
/// # Errors
/// [`NoClient`] where the extra root certificates cannot be read, or TLS not be set up.
pub fn client(ca_file: Option<&Path>) -> Result<reqwest::Client, NoClient> {
    client_over(tls(extra_roots(ca_file)?)?)
}

/// TLS as the agent speaks it with its login servers: the system's root certificates, and extra ones.
fn tls(extra_roots: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, NoClient> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra_roots, Arc::clone(&provider))
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
    let builder = builder(tls(extra_roots(ca_file)?)?).no_proxy().resolve(host, address);
    builder.build().map_err(|error| NoClient::Tls(error.to_string()))
}

fn client_over(tls: rustls::ClientConfig) -> Result<reqwest::Client, NoClient> {
    builder(tls).build().map_err(|error| NoClient::Tls(error.to_string()))
}

fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("loopkey-agent/", env!("CARGO_PKG_VERSION")))
}

/// The root certificates in a file that count besides the system's.
///
/// # Errors
/// [`NoClient::CaFile`] where it cannot be read, or holds none, or something else.
pub(crate) fn extra_roots(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, NoClient> {
    let Some(path) = ca_file else { return Ok(Vec::new()) };
    let fault = |reason: String| NoClient::CaFile { path: path.display().to_string(), reason };
    let roots: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?.collect();
    let roots = roots.map_err(|error| fault(error.to_string()))?;
    if roots.is_empty() {
        return Err(fault("there is no certificate in it".to_owned()));
    }
    let mut store = rustls::RootCertStore::empty();
    for root in &roots {
        store.add(root.clone()).map_err(|error| fault(error.to_string()))?;
    }
    Ok(roots)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_extra_roots_is_said_before_a_call() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("roots.pem");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, is_sound) in [("", false), (broken, false), (&*made.cert.pem(), true)] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(Way::new(Some(&file)).is_ok(), is_sound, "{text:?}");
        }
        assert!(Way::new(Some(&folder.path().join("missing.pem"))).is_err());
        assert!(Way::new(None).is_ok());
    }
}
