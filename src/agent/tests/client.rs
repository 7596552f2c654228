//! A client at the control socket that never ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::agent::client::control;

/// Says the same line over and over, so many times, and takes every answer.
struct Endless {
    line: &'static str,
    left: usize,
}

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.left > 0 && buf.remaining() >= self.line.len() {
            buf.put_slice(self.line.as_bytes());
            self.left -= 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn whoever_talks_without_end_keeps_neither_others_from_their_turn_nor_the_agent_from_stopping() {
    const LINES: usize = 100_000;
    for line in [
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"presence.set\"}\n",
        "{\"result\":1}\n",
        "\n",
    ] {
        let house = house();
        let attended = tokio::spawn(control::attend(Endless { line, left: LINES }, house.handle()));
        for turn in 0..10 {
            tokio::task::yield_now().await;
            assert!(!attended.is_finished(), "{line}: it was heard to the end in {turn} turns");
        }
        house.handle().stop();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert!(attended.is_finished(), "{line}: the agent stops");
    }
}
