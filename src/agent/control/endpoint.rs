//! Where the control socket is, and that only this user's programs reach it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the control socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another agent answers there.
    #[error(
        "another agent is running already (its control socket is {0}); stop it first, or configure another `control`"
    )]
    AnotherAgent(PathBuf),
    /// No agent answers.
    #[error(
        "no agent is running (nobody answers at {0}); start one with `loopkey agent`, or name its socket with --control or LOOPKEY_CONTROL"
    )]
    NoAgent(PathBuf),
    /// The system said no.
    #[error("the control socket {path} cannot be used: {source}")]
    Io {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(unix)]
pub(super) use unix::{Endpoint, Stream, connect};

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

    use tokio::net::{UnixListener, UnixStream};

    use super::{ControlError, Path, PathBuf, io};

    pub(in super::super) type Stream = UnixStream;

    /// A bound control socket; its file goes with it.
    #[derive(Debug)]
    pub(in super::super) struct Endpoint {
        listener: UnixListener,
        path: PathBuf,
    }

    impl Endpoint {
        pub(in super::super) fn bind(path: &Path) -> Result<Self, ControlError> {
            let fault = |source| ControlError::Io { path: path.to_owned(), source };
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
                require_safe(folder).map_err(fault)?;
            }
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return Err(ControlError::AnotherAgent(path.to_owned())),
                // A socket file that nobody listens on is left over from an agent that was killed.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).map_err(fault)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(fault(error)),
            }
            let listener = UnixListener::bind(path).map_err(fault)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
            Ok(Self { listener, path: path.to_owned() })
        }

        /// The next connection of one of this user's own programs.
        pub(in super::super) async fn accept(&self) -> io::Result<Stream> {
            loop {
                let (stream, _) = self.listener.accept().await?;
                let own = rustix::process::geteuid().as_raw();
                match stream.peer_cred() {
                    Ok(peer) if peer.uid() == own => return Ok(stream),
                    Ok(peer) => tracing::warn!(uid = peer.uid(), "refused another user at the control socket"),
                    Err(error) => tracing::warn!(%error, "refused a nameless peer at the control socket"),
                }
            }
        }
    }

    /// Others must not be able to put another socket in this one's place. A sticky folder such as `/tmp` keeps them from it.
    fn require_safe(folder: &Path) -> io::Result<()> {
        let mode = std::fs::metadata(folder)?.permissions().mode();
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            let cure = format!("others can write in {0}; run: chmod 700 {0}", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, cure));
        }
        Ok(())
    }

    impl Drop for Endpoint {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    pub(in super::super) async fn connect(path: &Path) -> Result<Stream, ControlError> {
        UnixStream::connect(path).await.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NoAgent(path.to_owned()),
            _ => ControlError::Io { path: path.to_owned(), source },
        })
    }
}
