//! Whose process is at the other end of a loopback connection: asking the system (protocol section 3.1).
//!
//! Loopback belongs to every user of the computer. The rule is [`crate::protocol::peer`]'s; here is only the question.

mod browser;
#[cfg(target_os = "linux")]
mod linux;
mod listening;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

use std::net::SocketAddr;
use std::sync::Arc;

pub use listening::{Listener, listeners};

use crate::protocol::peer::{OwnUser, StrangePeer};

/// Why the peer's user is not known to be the agent's own.
#[derive(Debug, thiserror::Error)]
pub enum PeerFault {
    /// It is known to be another, or nobody.
    #[error(transparent)]
    Strange(#[from] StrangePeer),
    /// The system could not be asked. Nobody passes then.
    #[error("the system cannot be asked who is connected: {0}")]
    Unknowable(#[from] std::io::Error),
}

/// Looks up who owns the page's end of a connection.
pub trait PeerCheck: Send + Sync + std::fmt::Debug {
    /// Proof that the connection from `page` to `agent` is the agent's own user's.
    ///
    /// # Errors
    /// [`PeerFault`] where it is not, or cannot be told.
    fn look_up(&self, page: SocketAddr, agent: SocketAddr) -> Result<OwnUser, PeerFault>;

    /// The file name of the program that holds the page's end, where the system tells. Asked before a prompt, for the person
    /// to read; nothing is decided by it.
    fn program(&self, page: SocketAddr, agent: SocketAddr) -> Option<String> {
        let _ = (page, agent);
        None
    }
}

/// One connection, and how to ask the system about its other end.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Line {
    pub(in crate::agent) peers: Arc<dyn PeerCheck>,
    pub(in crate::agent) page: SocketAddr,
    pub(in crate::agent) agent: SocketAddr,
}

impl Line {
    /// Proof that the other end is the agent's own user's.
    pub(in crate::agent) fn look_up(&self) -> Result<OwnUser, PeerFault> {
        self.peers.look_up(self.page, self.agent)
    }

    /// What a person calls the browser at the other end. Going through the processes is not for the thread that serves pages.
    pub(in crate::agent) async fn browser(self) -> Option<String> {
        let program = tokio::task::spawn_blocking(move || self.peers.program(self.page, self.agent)).await;
        program.ok().flatten().as_deref().map(browser::name_of)
    }
}

/// The check of this system, or `None` where there is none yet. The agent uses it by itself; a program that embeds the agent
/// and wants to know more of its peers wraps it.
#[must_use]
pub fn system() -> Option<Arc<dyn PeerCheck>> {
    #[cfg(target_os = "linux")]
    return Some(Arc::new(linux::SockDiag::default()));
    #[cfg(target_os = "macos")]
    return Some(Arc::new(macos::OwnProcesses::default()));
    #[cfg(windows)]
    return Some(Arc::new(windows::OwnerProcess));
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    None
}

/// `peer_check = "off"`: everybody on this computer passes.
#[derive(Debug, Clone, Copy)]
pub(in crate::agent) struct Off;

impl PeerCheck for Off {
    fn look_up(&self, _: SocketAddr, _: SocketAddr) -> Result<OwnUser, PeerFault> {
        Ok(OwnUser::taken_on_trust())
    }
}
