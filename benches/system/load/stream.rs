//! TCP with or without TLS, blocking, with the reads counted: for handshakes one after the other.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

/// A client that trusts an authority's file, and nothing else.
pub(crate) fn client(authority: &Path, keeps_sessions: bool) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !keeps_sessions {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// The name that is asked for.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST))
}

/// Closing is a reset: nothing waits in the kernel for a minute after it, where thousands come and go.
pub(crate) fn close_at_once(socket: &impl AsFd) {
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Counts the chunks that came.
pub(crate) struct Counted {
    tcp: TcpStream,
    reads: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tcp.read(buffer)?;
        self.reads += 1;
        Ok(read)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection.
pub(crate) enum Stream {
    Plain(Counted),
    Tls(Box<StreamOwned<ClientConnection, Counted>>),
}

impl Stream {
    pub(crate) fn connect(port: u16, tls: Option<&Arc<ClientConfig>>) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        tcp.set_nodelay(true)?;
        let counted = Counted { tcp, reads: 0 };
        Ok(match tls {
            None => Self::Plain(counted),
            Some(config) => {
                let connection = ClientConnection::new(Arc::clone(config), server_name())?;
                Self::Tls(Box::new(StreamOwned::new(connection, counted)))
            }
        })
    }

    pub(crate) const fn reads(&self) -> u64 {
        match self {
            Self::Plain(counted) => counted.reads,
            Self::Tls(stream) => stream.sock.reads,
        }
    }

    pub(crate) fn is_resumed(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.conn.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    pub(crate) fn close(self) {
        match &self {
            Self::Plain(counted) => close_at_once(&counted.tcp),
            Self::Tls(stream) => close_at_once(&stream.sock.tcp),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(counted) => counted.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(counted) => counted.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
