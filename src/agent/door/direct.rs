//! A connection whose bytes go to the system at once, where it runs on Linux and speaks no TLS, which writes in its own way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(target_os = "linux")]
use rustix::io::Errno;
#[cfg(target_os = "linux")]
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Asks the system for room before it asks the runtime's readiness: the system nearly always has some, and among thousands of
/// sockets their readiness is memory that is far away. Where there is none, one call more than the runtime's own is made.
pub(super) struct Direct(pub(super) TcpStream);

impl AsyncRead for Direct {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Direct {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // A program that embeds the agent may not ignore SIGPIPE.
        #[cfg(target_os = "linux")]
        match send(&self.0, buf, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            // The runtime finds the same, and wakes the task when there is room.
            Err(Errno::AGAIN | Errno::INTR) => {}
            sent => return Poll::Ready(sent.map_err(io::Error::from)),
        }
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    // Else TLS would send each of its records apart.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Direct, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let page = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        (Direct(listener.accept().await.expect("accepted").0), page)
    }

    /// Twice: what the runtime knows of room is out of date from the first time on.
    #[tokio::test]
    async fn what_the_system_has_no_room_for_waits_for_the_page_to_read() {
        let (mut agent, mut page) = pair().await;
        for last in [[8], [9]] {
            let mut written = 0;
            while let Some(more) = agent.write(&[7; 64 * 1024]).now_or_never() {
                written += more.expect("it is open");
            }
            let reading = async {
                let mut read = vec![0; written + 1];
                page.read_exact(&mut read).await.map(|_| read)
            };
            let both = async { tokio::join!(reading, agent.write_all(&last)) };
            let (read, woken) = tokio::time::timeout(std::time::Duration::from_secs(10), both).await.expect("woken");
            woken.expect("written");
            let read = read.expect("all of it");
            assert!(
                read.ends_with(&[7, last[0]]) && read[..written].iter().all(|byte| *byte == 7),
                "in order, nothing lost"
            );
        }
    }

    #[tokio::test]
    async fn whoever_is_gone_is_an_error() {
        let (mut agent, page) = pair().await;
        // Closed with something unread, a connection is reset.
        agent.write_all(b"x").await.expect("it is open");
        page.readable().await.expect("it has come");
        drop(page);
        let gone = async {
            while agent.write_all(b"x").await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("seen");
    }
}
