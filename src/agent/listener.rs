//! Where the agent listens: one port, both loopback addresses, nothing else (protocol section 2).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// No candidate port was free on both loopback addresses.
#[derive(Debug, thiserror::Error)]
#[error(
    "none of the ports {ports:?} is free on 127.0.0.1 and [::1] (is another agent or a demo running? stop it, or name other ports): {reason}"
)]
pub struct NoFreePort {
    ports: Vec<u16>,
    reason: io::Error,
}

/// The listening sockets of one port.
#[derive(Debug)]
pub(super) struct LoopbackListener {
    port: u16,
    families: Vec<TcpListener>,
}

impl LoopbackListener {
    /// Takes the first candidate that is free on both families, or on the only one that this system has.
    ///
    /// # Errors
    /// [`NoFreePort`] with what the system said of the last candidate.
    pub(super) fn bind(ports: &[u16]) -> Result<Self, NoFreePort> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no port is configured");
        for &port in ports {
            match bind_both(port) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(NoFreePort { ports: ports.to_vec(), reason: last })
    }

    /// The port that was taken.
    #[must_use]
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// The next connection, on whichever family.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.families.as_slice() {
            [only] => only.accept().await,
            [first, second, ..] => tokio::select! {
                accepted = first.accept() => accepted,
                accepted = second.accept() => accepted,
            },
            [] => std::future::pending().await,
        }
    }
}

/// What the system may hold for a page that does not read: little, so that it finds the newest state when it reads again.
const SEND_BUFFER_LEN: u32 = 16 * 1024;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows this would let others take the port over.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_LEN)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind_both(port: u16) -> io::Result<LoopbackListener> {
    let v4 = bind_one((Ipv4Addr::LOCALHOST, port).into());
    // With port 0 (tests) the second family takes the number that the first was given.
    let port = v4.as_ref().ok().and_then(|v4| v4.local_addr().ok()).map_or(port, |address| address.port());
    let v6 = bind_one((Ipv6Addr::LOCALHOST, port).into());
    let families = match (v4, v6) {
        (Ok(v4), Ok(v6)) => vec![v4, v6],
        (Ok(only), Err(missing)) | (Err(missing), Ok(only)) if is_missing_family(&missing) => vec![only],
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Ok(LoopbackListener { port, families })
}

/// Half a port is an invitation to squat on the other half, so only a family that does not exist may be missing.
fn is_missing_family(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn half_a_port_is_passed_over() {
        let squatter = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.expect("squatter");
        let taken = squatter.local_addr().expect("address").port();
        let listener = LoopbackListener::bind(&[taken, 0]).expect("the second candidate");
        assert_ne!(listener.port(), taken);
        assert_eq!(listener.families.len(), 2);
        assert!(LoopbackListener::bind(&[taken]).is_err());
    }
}
