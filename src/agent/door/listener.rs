//! Where the agent listens: one port, both loopback addresses, nothing else (protocol section 2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// Sockets that a service manager opened are not those of an agent. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BadInherited {
    /// More, fewer, or others than the two loopback addresses on one port.
    #[error(
        "the service manager handed over sockets at {0:?}; it has to be 127.0.0.1 and [::1] on one port, and nothing else: run `loopkey install` again"
    )]
    Addresses(Vec<SocketAddr>),
    /// A port where no page looks.
    #[error(
        "the service manager holds port {port}, which is none of the configured {ports:?}: run `loopkey install` again"
    )]
    Port {
        /// The port of the sockets.
        port: u16,
        /// The candidates.
        ports: Vec<u16>,
    },
    /// It is no listening socket.
    #[error("the service manager handed over a socket that does not listen: run `loopkey install` again")]
    NotListening,
    /// The system said no.
    #[error("a socket that the service manager handed over cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// The listening sockets of one port.
#[derive(Debug)]
pub(in crate::agent) struct LoopbackListener {
    port: u16,
    families: Vec<Family>,
}

/// One of the two loopback addresses, which is the agent's end of every connection to it.
#[derive(Debug)]
pub(in crate::agent) struct Family {
    listener: TcpListener,
    address: SocketAddr,
}

/// A connection, and both its ends.
#[derive(Debug)]
pub(in crate::agent) struct Accepted {
    pub(in crate::agent) stream: TcpStream,
    pub(in crate::agent) page: SocketAddr,
    pub(in crate::agent) agent: SocketAddr,
}

impl Family {
    fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener: TcpListener::from_std(listener)?, address })
    }

    /// The next connection. Safe to drop and call again.
    pub(in crate::agent) async fn accept(&self) -> io::Result<Accepted> {
        let (stream, page) = self.listener.accept().await?;
        // Only Linux has connections inherit it. One that is gone already is its reader's to find.
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        Ok(Accepted { stream, page, agent: self.address })
    }
}

impl LoopbackListener {
    /// Takes the first candidate that is free on both families, or on the only one that this system has.
    ///
    /// # Errors
    /// [`NoFreePort`] with what the system said of the last candidate.
    pub(in crate::agent) fn bind(ports: &[u16]) -> Result<Self, NoFreePort> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no port is configured");
        for &port in ports {
            match bind_both(port) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(NoFreePort { ports: ports.to_vec(), reason: last })
    }

    /// Takes sockets that a service manager opened: exactly the two loopback addresses on one of the candidate ports.
    ///
    /// # Errors
    /// [`BadInherited`].
    pub(in crate::agent) fn inherit(sockets: Vec<std::net::TcpListener>, ports: &[u16]) -> Result<Self, BadInherited> {
        let mut addresses = sockets.iter().map(std::net::TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        addresses.sort_unstable();
        let port = match addresses.as_slice() {
            [v4, v6]
                if v4.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST)
                    && v6.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST)
                    && v4.port() == v6.port() =>
            {
                v4.port()
            }
            _ => return Err(BadInherited::Addresses(addresses)),
        };
        if !ports.contains(&port) {
            return Err(BadInherited::Port { port, ports: ports.to_vec() });
        }
        let families = sockets.into_iter().map(inherit_one).collect::<Result<_, _>>()?;
        Ok(Self { port, families })
    }

    /// The port that was taken.
    #[must_use]
    pub(in crate::agent) const fn port(&self) -> u16 {
        self.port
    }

    /// Its listening sockets.
    pub(in crate::agent) fn families(self) -> impl Iterator<Item = Family> {
        self.families.into_iter()
    }
}

/// What the system may hold for a page that does not read: little, so that it finds the newest state when it reads again.
const SEND_BUFFER_LEN: u32 = 16 * 1024;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

fn bind_one(address: SocketAddr) -> io::Result<Family> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows this would let others take the port over.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_LEN)?;
    // Every message is small and waited for.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    Family::new(socket.listen(BACKLOG)?.into_std()?)
}

fn inherit_one(socket: std::net::TcpListener) -> Result<Family, BadInherited> {
    #[cfg(target_os = "linux")]
    {
        if !rustix::net::sockopt::socket_acceptconn(&socket).map_err(io::Error::from)? {
            return Err(BadInherited::NotListening);
        }
        let len = usize::try_from(SEND_BUFFER_LEN).unwrap_or(usize::MAX);
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, len).map_err(io::Error::from)?;
        rustix::net::sockopt::set_tcp_nodelay(&socket, true).map_err(io::Error::from)?;
    }
    socket.set_nonblocking(true)?;
    Ok(Family::new(socket)?)
}

fn bind_both(port: u16) -> io::Result<LoopbackListener> {
    let v4 = bind_one((Ipv4Addr::LOCALHOST, port).into());
    // With port 0 (tests) the second family takes the number that the first was given.
    let port = v4.as_ref().map_or(port, |v4| v4.address.port());
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

    impl LoopbackListener {
        /// The next connection, on whichever family.
        async fn accept(&self) -> io::Result<Accepted> {
            futures::future::select_all(self.families.iter().map(|family| Box::pin(family.accept()))).await.0
        }
    }

    /// A listening socket at an address; port 0 is any.
    fn at(address: impl std::net::ToSocketAddrs) -> std::net::TcpListener {
        std::net::TcpListener::bind(address).expect("a socket")
    }

    fn pair() -> (std::net::TcpListener, std::net::TcpListener, u16) {
        loop {
            let v4 = at((Ipv4Addr::LOCALHOST, 0));
            let port = v4.local_addr().expect("an address").port();
            // Somebody else may have the other half.
            if let Ok(v6) = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
                return (v4, v6, port);
            }
        }
    }

    #[tokio::test]
    async fn inherited_sockets_are_both_loopback_addresses_on_a_candidate_port() {
        let (v4, v6, port) = pair();
        let listener = LoopbackListener::inherit(vec![v6, v4], &[1, port]).expect("the two of one port");
        assert_eq!((listener.port(), listener.families.len()), (port, 2));
        let page = tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.expect("a connection");
        let accepted = listener.accept().await.expect("accepted");
        assert_eq!(page.local_addr().expect("an address"), accepted.page);
        assert_eq!(accepted.stream.local_addr().expect("an address"), accepted.agent);
        assert!(accepted.stream.nodelay().expect("an option"));
    }

    #[tokio::test]
    async fn other_inherited_sockets_are_refused() {
        let addresses = |sockets: Vec<std::net::TcpListener>, ports: &[u16]| {
            matches!(LoopbackListener::inherit(sockets, ports), Err(BadInherited::Addresses(_)))
        };
        let any = at((Ipv4Addr::UNSPECIFIED, 0));
        let port = any.local_addr().expect("an address").port();
        assert!(addresses(vec![any], &[port]), "reachable from elsewhere");
        let (v4, v6, port) = pair();
        let everywhere = at((Ipv6Addr::UNSPECIFIED, 0));
        assert!(addresses(vec![v4, everywhere], &[port]));
        assert!(addresses(vec![v6], &[port]), "half a port");
        assert!(addresses(Vec::new(), &[port]));
        let (v4, _v6, port) = pair();
        let (other_v4, other_v6, other) = pair();
        assert!(addresses(vec![v4, other_v6], &[port, other]), "two ports");
        assert!(addresses(vec![other_v4, at((Ipv4Addr::new(127, 0, 0, 2), 0))], &[port, other]));
        let (v4, v6, port) = pair();
        assert!(addresses(vec![v4, v6, at((Ipv4Addr::LOCALHOST, 0))], &[port]), "one too many");
        let (v4, v6, port) = pair();
        let error = LoopbackListener::inherit(vec![v4, v6], &[28970]).expect_err("a port where no page looks");
        assert!(error.to_string().contains(&format!("port {port}, which is none")), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_inherited_socket_that_does_not_listen_is_refused() {
        let (v4, v6, port) = pair();
        drop(v6);
        let socket = TcpSocket::new_v6().expect("a socket");
        socket.bind((Ipv6Addr::LOCALHOST, port).into()).expect("bound");
        let silent = std::os::fd::AsFd::as_fd(&socket).try_clone_to_owned().expect("a copy");
        let refused = LoopbackListener::inherit(vec![v4, silent.into()], &[port]);
        assert!(matches!(refused, Err(BadInherited::NotListening)), "{refused:?}");
    }

    #[tokio::test]
    async fn a_connection_is_at_once_and_comes_with_both_its_ends() {
        let listener = LoopbackListener::bind(&[0]).expect("a port");
        for loopback in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let page = TcpStream::connect((loopback, listener.port())).await.expect("a connection");
            let Accepted { stream, page: theirs, agent } = listener.accept().await.expect("accepted");
            assert_eq!(
                (theirs, agent),
                (page.local_addr().expect("an address"), page.peer_addr().expect("an address"))
            );
            assert!(stream.nodelay().expect("an option"));
        }
    }

    /// However many come at once, whether one is taken off before the next comes or not, and after a while of none.
    #[tokio::test]
    async fn no_connection_is_left_waiting() {
        let listener = LoopbackListener::bind(&[0]).expect("a port");
        for at_once in [1, 1, 5, 1, 0, 3] {
            let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port()));
            let pages: Vec<_> = futures::future::join_all((0..at_once).map(|_| connect())).await;
            let mut expected: Vec<_> = pages
                .iter()
                .map(|page| page.as_ref().expect("a connection").local_addr().expect("an address"))
                .collect();
            for _ in 0..at_once {
                let page = listener.accept().await.expect("accepted").page;
                expected.retain(|other| *other != page);
            }
            assert_eq!(expected, []);
            assert!(futures::FutureExt::now_or_never(listener.accept()).is_none(), "there is none");
            // It comes while somebody waits for it.
            let (accepted, page) = tokio::join!(listener.accept(), connect());
            assert_eq!(accepted.expect("accepted").page, page.expect("a connection").local_addr().expect("an address"));
        }
    }

    #[tokio::test]
    async fn half_a_port_is_passed_over() {
        let squatter = tokio::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.expect("squatter");
        let taken = squatter.local_addr().expect("address").port();
        let listener = LoopbackListener::bind(&[taken, 0]).expect("the second candidate");
        assert_ne!(listener.port(), taken);
        assert_eq!(listener.families.len(), 2);
        assert!(LoopbackListener::bind(&[taken]).is_err());
    }
}
