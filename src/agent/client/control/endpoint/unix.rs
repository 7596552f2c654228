//! Unix: a socket file of mode 0600 in a folder where nobody else can put another one, and the peer's user is looked at.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::ControlError;

pub(in crate::agent::client::control) type Stream = UnixStream;

/// A bound control socket; its file goes with it.
#[derive(Debug)]
pub(in crate::agent::client::control) struct Endpoint {
    listener: UnixListener,
    path: PathBuf,
}

impl Endpoint {
    pub(in crate::agent::client::control) fn bind(path: &Path) -> Result<Self, ControlError> {
        let fault = |source| ControlError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
            require_safe(folder).map_err(fault)?;
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(ControlError::AnotherAgent(path.to_owned())),
            Err(error) if is_no_socket(path, &error) => return Err(ControlError::NotASocket(path.to_owned())),
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
    pub(in crate::agent::client::control) async fn accept(&self) -> io::Result<Stream> {
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

/// Whether no connection came about because the file is no socket itself: Linux refuses as it does where nobody listens,
/// macOS says so. Such a file is somebody's, also where it links to a socket, and is never removed.
fn is_no_socket(path: &Path, error: &io::Error) -> bool {
    let is_socket = || std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    error.raw_os_error() == Some(rustix::io::Errno::NOTSOCK.raw_os_error())
        || error.kind() == io::ErrorKind::ConnectionRefused && !is_socket()
}

/// Others must not be able to put another socket in this one's place. A sticky folder such as `/tmp` keeps them from it.
fn require_safe(folder: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(folder)?;
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        let cure = format!("{} belongs to user {owner}; configure another `control`", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, cure));
    }
    let mode = metadata.permissions().mode();
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

pub(in crate::agent::client::control) async fn connect(path: &Path) -> Result<Stream, ControlError> {
    UnixStream::connect(path).await.map_err(|source| match source.kind() {
        _ if is_no_socket(path, &source) => ControlError::NotASocket(path.to_owned()),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NoAgent(path.to_owned()),
        _ => ControlError::Io { path: path.to_owned(), source },
    })
}
