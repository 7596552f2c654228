//! A stream whose first byte was read to know that there is one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream with its first byte put back.
pub(super) struct Begun<S> {
    first: Option<u8>,
    stream: S,
}

impl<S> Begun<S> {
    pub(super) const fn new([first]: [u8; 1], stream: S) -> Self {
        Self { first: Some(first), stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            // What has come with it is read with it; where there is nothing yet, one byte is an answer.
            return match Pin::new(&mut self.stream).poll_read(cx, buf) {
                Poll::Pending => Poll::Ready(Ok(())),
                ready => ready,
            };
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    // Else TLS would send each of its records apart.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn the_first_byte_comes_first_and_once_whether_more_is_there_or_not() {
        let (mut page, agent) = tokio::io::duplex(16);
        let mut begun = Begun::new([1], agent);
        let mut read = [0; 8];
        assert_eq!(begun.read(&mut read[..0]).await.expect("nothing"), 0, "no room, nothing lost");
        assert_eq!((begun.read(&mut read).await.expect("a byte"), read[0]), (1, 1));
        page.write_all(&[2, 3]).await.expect("written");
        assert_eq!(begun.read(&mut read).await.expect("bytes"), 2);
        let (mut page, agent) = tokio::io::duplex(16);
        page.write_all(&[2, 3]).await.expect("written");
        let mut begun = Begun::new([1], agent);
        assert_eq!(begun.read(&mut read).await.expect("bytes"), 3);
        assert_eq!(read[..3], [1, 2, 3]);
    }
}
