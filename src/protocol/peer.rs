//! Whose process is at the other end (protocol section 3.1): the rule. Asking the system is the agent's part.

use std::net::SocketAddr;

/// One row of the system's socket table, as the kernel reports the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketRecord {
    /// Whether the connection is established; in every later state the row's user means nothing.
    pub established: bool,
    /// The address of the socket that the row describes: the page's end.
    pub local: SocketAddr,
    /// The address of its peer: the agent's end.
    pub remote: SocketAddr,
    /// Zero once no process holds the socket.
    pub inode: u64,
    /// The user who made the socket.
    pub uid: u32,
    /// The kernel's own name for the socket, never given twice.
    pub cookie: u64,
}

/// Why the peer's user does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StrangePeer {
    /// Not established, or another connection than the one asked for.
    #[error("the system's socket table has no established row for this connection")]
    NoRow,
    /// No process holds the socket any more.
    #[error("no process holds the other end")]
    Orphan,
    /// Another user of this computer.
    #[error("the other end belongs to user {0}")]
    OtherUser(u32),
    /// The socket is not the one that was looked up before.
    #[error("the connection is no longer the one that was admitted")]
    Replaced,
}

/// Proof that the peer is the agent's own user. Only this module makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnUser {
    cookie: Option<u64>,
}

impl OwnUser {
    /// Judges the row that the kernel gave for the connection from `page` to `agent`.
    ///
    /// # Errors
    /// [`StrangePeer`] for the first thing that is not as it must be.
    pub fn judge(
        record: &SocketRecord,
        page: SocketAddr,
        agent: SocketAddr,
        own_uid: u32,
    ) -> Result<Self, StrangePeer> {
        if !record.established || plain(record.local) != plain(page) || plain(record.remote) != plain(agent) {
            return Err(StrangePeer::NoRow);
        }
        if record.inode == 0 {
            return Err(StrangePeer::Orphan);
        }
        if record.uid != own_uid {
            return Err(StrangePeer::OtherUser(record.uid));
        }
        Ok(Self { cookie: Some(record.cookie) })
    }

    /// For `peer_check = "off"`, and for systems that know users by other means than a socket table.
    #[must_use]
    pub const fn taken_on_trust() -> Self {
        Self { cookie: None }
    }

    /// Whether a second look-up found the very same socket: before a token is signed.
    ///
    /// # Errors
    /// [`StrangePeer::Replaced`] where it did not.
    pub fn require_same(self, again: Self) -> Result<(), StrangePeer> {
        if self == again { Ok(()) } else { Err(StrangePeer::Replaced) }
    }
}

/// An IPv4 connection may be reported in IPv6 clothes, and scope ids differ between sources.
fn plain(address: SocketAddr) -> (std::net::IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("address")
    }

    fn row() -> SocketRecord {
        SocketRecord {
            established: true,
            local: address("127.0.0.1:50000"),
            remote: address("127.0.0.1:28970"),
            inode: 7,
            uid: 1000,
            cookie: 99,
        }
    }

    fn judge(record: &SocketRecord) -> Result<OwnUser, StrangePeer> {
        OwnUser::judge(record, address("127.0.0.1:50000"), address("[::ffff:127.0.0.1]:28970"), 1000)
    }

    #[test]
    fn only_an_established_row_of_this_connection_and_user_passes() {
        assert!(judge(&row()).is_ok());
        assert_eq!(judge(&SocketRecord { established: false, ..row() }), Err(StrangePeer::NoRow));
        assert_eq!(judge(&SocketRecord { local: address("127.0.0.1:50001"), ..row() }), Err(StrangePeer::NoRow));
        assert_eq!(judge(&SocketRecord { remote: address("127.0.0.1:28971"), ..row() }), Err(StrangePeer::NoRow));
        assert_eq!(judge(&SocketRecord { inode: 0, uid: 0, ..row() }), Err(StrangePeer::Orphan));
        assert_eq!(judge(&SocketRecord { uid: 0, ..row() }), Err(StrangePeer::OtherUser(0)));
    }

    #[test]
    fn a_reused_four_tuple_is_another_socket() {
        let first = judge(&row()).expect("own");
        let second = judge(&SocketRecord { cookie: 100, ..row() }).expect("own");
        assert_eq!(first.require_same(first), Ok(()));
        assert_eq!(first.require_same(second), Err(StrangePeer::Replaced));
    }
}
