//! What the agent shows on its TLS port: the certificate that `loopkey certs` made, read anew whenever it was replaced. Sockets
//! that are open meanwhile stay, since nothing but the next handshake looks at it.
//!
//! It is never made here, and no authority's key is ever read: there is none.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{RootCertStore, ServerConfig};

use crate::keyfile::{self, KeyFileError};
use crate::protocol::time::UnixMillis;

/// Fewer days than this, and it is time for a new certificate.
const NEAR_END: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why there is no TLS. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// Nothing was made yet.
    #[error(
        "wss: there is no certificate at {0}: run `loopkey certs create` with this configuration, or remove [wss] from it"
    )]
    Missing(PathBuf),
    /// A file that cannot be read, or that others could read.
    #[error("wss: {0}")]
    File(#[from] KeyFileError),
    /// Something else than `loopkey certs` writes.
    #[error("wss: {path} cannot be used ({reason}): run `loopkey certs renew` with this configuration")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where `loopkey certs` keeps what it makes, in a state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WssFiles(PathBuf);

impl WssFiles {
    /// Those of an agent with this state folder.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self(state_dir.join("wss"))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The authority's certificate, which browsers are told of.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.0.join("authority.pem")
    }

    /// The agent's certificate and its key in one file, so that the two are always replaced together.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity.pem")
    }

    /// How the certificate stands.
    ///
    /// # Errors
    /// [`NoTls`] where there is none that could be used.
    pub fn validity(&self, now: UnixMillis) -> Result<Validity, NoTls> {
        let (leaf, _) = read_identity(&self.identity())?;
        if self.holds(&leaf, now, NEAR_END)? {
            return Ok(Validity::Sound);
        }
        Ok(if self.holds(&leaf, now, Duration::ZERO)? { Validity::NearEnd } else { Validity::Over })
    }

    /// Whether a browser that trusts the authority takes the certificate, after so long.
    fn holds(&self, leaf: &CertificateDer<'_>, now: UnixMillis, later: Duration) -> Result<bool, NoTls> {
        let path = self.authority();
        let unusable = |reason: String| NoTls::Unusable { path: path.clone(), reason };
        let pem = keyfile::read(&path)?;
        let authority = CertificateDer::from_pem_slice(pem.expose()).map_err(|error| unusable(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let verifier = verifier.map_err(|error| unusable(error.to_string()))?;
        let host = ServerName::from(std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST));
        let then = UnixTime::since_unix_epoch(Duration::from_millis(now.0) + later);
        Ok(verifier.verify_server_cert(leaf, &[], &host, &[], then).is_ok())
    }
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Good for a while.
    Sound,
    /// It ends within thirty days.
    NearEnd,
    /// No browser takes it: it has ended, or the authority beside it is not its own.
    Over,
}

/// rustls with ring, passed by hand: nothing of the process is set for others.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read_identity(path: &Path) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), NoTls> {
    let pem = keyfile::read(path).map_err(|error| match error {
        KeyFileError::Io { path, source } if source.kind() == std::io::ErrorKind::NotFound => NoTls::Missing(path),
        error => error.into(),
    })?;
    let unusable = |reason: String| NoTls::Unusable { path: path.to_owned(), reason };
    let leaf = CertificateDer::from_pem_slice(pem.expose());
    let leaf = leaf.map_err(|error| unusable(format!("its certificate: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|error| unusable(format!("its key: {error}")))?;
    Ok((leaf, key))
}

/// TLS 1.2 and 1.3, HTTP/1.1 alone, with resumption: a page that comes back skips most of the handshake.
fn read_config(path: &Path) -> Result<Arc<ServerConfig>, NoTls> {
    let (leaf, key) = read_identity(path)?;
    let unusable = |error: rustls::Error| NoTls::Unusable { path: path.to_owned(), reason: error.to_string() };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![leaf], key))
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A page opens one socket after another, and each brings the next ticket.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// The certificate of a running agent.
#[derive(Debug)]
pub(in crate::agent) struct Certificate {
    path: PathBuf,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// Which version of the file was read last. One that could not be used is not tried again either.
    version: Option<Version>,
    config: Arc<ServerConfig>,
}

/// Tells one version of a file from the next: `loopkey certs` puts a new file in the old one's place.
type Version = (SystemTime, u64, u64);

fn version_of(path: &Path) -> Option<Version> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Some((metadata.modified().ok()?, metadata.len(), number))
}

impl Certificate {
    /// Reads what `loopkey certs` made.
    ///
    /// # Errors
    /// [`NoTls`].
    pub(in crate::agent) fn load(files: &WssFiles, now: UnixMillis) -> Result<Self, NoTls> {
        let path = files.identity();
        let version = version_of(&path);
        let config = read_config(&path)?;
        match files.validity(now)? {
            Validity::Sound => {}
            Validity::NearEnd => tracing::warn!("the wss certificate ends within 30 days: run `loopkey certs renew`"),
            Validity::Over => {
                tracing::error!("no browser takes the wss certificate any more: run `loopkey certs renew`");
            }
        }
        Ok(Self { path, slot: Mutex::new(Slot { version, config }) })
    }

    /// What the next handshake is done with.
    pub(in crate::agent) fn current(&self) -> Arc<ServerConfig> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let version = version_of(&self.path);
        if version != slot.version {
            slot.version = version;
            match read_config(&self.path) {
                Ok(config) => {
                    slot.config = config;
                    tracing::info!("the wss certificate was replaced: the next connections are shown the new one");
                }
                Err(error) => tracing::error!(%error, "going on with the former wss certificate"),
            }
        }
        Arc::clone(&slot.config)
    }
}
