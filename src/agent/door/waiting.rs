//! The connections that wait at one listening socket.
//!
//! A system that is asked to accept makes a socket first, and then looks whether there is a connection for it: that there is
//! none costs as much as that there is one. Where somebody was just there, Linux is asked by another call first.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Waiting;
#[cfg(target_os = "linux")]
pub(super) use linux::Waiting;

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::{SocketFlags, acceptfrom_with};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::{SocketAddr, TcpStream, io};

    /// Takes connections off a listening socket.
    #[derive(Debug)]
    pub(in super::super) struct Waiting {
        listener: AsyncFd<std::net::TcpListener>,
        /// Whether somebody was accepted since nobody was there: that the socket is ready may be old news then.
        may_be_none: AtomicBool,
    }

    impl Waiting {
        /// Of a socket that listens and does not block.
        #[expect(
            deprecated,
            reason = "what takes its place is unsafe, for types that may close their descriptor; this one is the standard library's"
        )]
        pub(in super::super) fn at(listener: std::net::TcpListener) -> io::Result<Self> {
            let listener = AsyncFd::with_interest(listener, Interest::READABLE)?;
            Ok(Self { listener, may_be_none: AtomicBool::new(false) })
        }

        /// The next connection, and the address of its other end. Safe to drop and call again.
        pub(in super::super) async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let next = self.listener.async_io(Interest::READABLE, |listener| {
                if self.may_be_none.load(Ordering::Relaxed) && !is_anybody_at(listener)? {
                    // From here on readiness is news again.
                    self.may_be_none.store(false, Ordering::Relaxed);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let accepted = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
                self.may_be_none.store(true, Ordering::Relaxed);
                Ok(accepted)
            });
            let (stream, page) = next.await?;
            let page = page.and_then(|address| address.try_into().ok());
            Ok((TcpStream::from_std(stream.into())?, page.ok_or(io::ErrorKind::InvalidData)?))
        }
    }

    fn is_anybody_at(listener: &std::net::TcpListener) -> io::Result<bool> {
        let mut asked = [PollFd::new(listener, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(rustix::io::retry_on_intr(|| poll(&mut asked, Some(&now)))? > 0)
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{SocketAddr, TcpStream, io};

    /// Takes connections off a listening socket.
    #[derive(Debug)]
    pub(in super::super) struct Waiting(tokio::net::TcpListener);

    impl Waiting {
        /// Of a socket that listens and does not block.
        pub(in super::super) fn at(listener: std::net::TcpListener) -> io::Result<Self> {
            tokio::net::TcpListener::from_std(listener).map(Self)
        }

        /// The next connection, and the address of its other end. Safe to drop and call again.
        pub(in super::super) async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let (stream, page) = self.0.accept().await?;
            // Only Linux has them inherit it. One that is gone already is its reader's to find.
            let _ = stream.set_nodelay(true);
            Ok((stream, page))
        }
    }
}
