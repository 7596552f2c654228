//! Windows: a named pipe that only this user can write to, as the pipe's default rights have it, and no other computer reaches.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};
use tokio::sync::Mutex;

use super::ControlError;

/// `ERROR_PIPE_BUSY`: every instance of the pipe is taken for the moment.
const PIPE_BUSY: i32 = 231;

/// One end of the pipe.
#[derive(Debug)]
pub(in crate::agent::client::control) enum Stream {
    Agent(NamedPipeServer),
    Client(NamedPipeClient),
}

/// The agent's end, with one instance always waiting.
#[derive(Debug)]
pub(in crate::agent::client::control) struct Endpoint {
    waiting: Mutex<NamedPipeServer>,
    path: PathBuf,
}

impl Endpoint {
    pub(in crate::agent::client::control) fn bind(path: &Path) -> Result<Self, ControlError> {
        let first = ServerOptions::new().first_pipe_instance(true).reject_remote_clients(true).create(path);
        let first = first.map_err(|source| match source.kind() {
            // The name is taken: by another agent, or by somebody who waits for this one's clients.
            io::ErrorKind::PermissionDenied => ControlError::AnotherAgent(path.to_owned()),
            _ => ControlError::Io { path: path.to_owned(), source },
        })?;
        Ok(Self { waiting: Mutex::new(first), path: path.to_owned() })
    }

    /// The next connection of one of this user's own programs.
    pub(in crate::agent::client::control) async fn accept(&self) -> io::Result<Stream> {
        let mut waiting = self.waiting.lock().await;
        waiting.connect().await?;
        let next = ServerOptions::new().reject_remote_clients(true).create(&self.path)?;
        Ok(Stream::Agent(std::mem::replace(&mut waiting, next)))
    }
}

pub(in crate::agent::client::control) async fn connect(path: &Path) -> Result<Stream, ControlError> {
    ClientOptions::new().open(path).map(Stream::Client).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ControlError::NoAgent(path.to_owned()),
        _ if source.raw_os_error() == Some(PIPE_BUSY) => {
            let source = io::Error::new(io::ErrorKind::WouldBlock, "the agent is busy; try again");
            ControlError::Io { path: path.to_owned(), source }
        }
        _ => ControlError::Io { path: path.to_owned(), source },
    })
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Agent(pipe) => Pin::new(pipe).poll_read(cx, buf),
            Self::Client(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Agent(pipe) => Pin::new(pipe).poll_write(cx, bytes),
            Self::Client(pipe) => Pin::new(pipe).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Agent(pipe) => Pin::new(pipe).poll_flush(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Agent(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}
