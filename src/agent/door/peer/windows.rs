//! Windows: the process that the system's connection table names for the page's end must run as this user.

use std::net::SocketAddr;

use netstat2::{AddressFamilyFlags, ProtocolFlags, ProtocolSocketInfo, TcpState, iterate_sockets_info};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::{PeerCheck, PeerFault};
use crate::protocol::peer::{OwnUser, SocketRecord, StrangePeer};

/// Asks for the table and for the two processes each time; nothing is remembered.
#[derive(Debug, Default)]
pub(super) struct OwnerProcess;

impl PeerCheck for OwnerProcess {
    fn look_up(&self, page: SocketAddr, agent: SocketAddr) -> Result<OwnUser, PeerFault> {
        let family = if page.is_ipv4() { AddressFamilyFlags::IPV4 } else { AddressFamilyFlags::IPV6 };
        let sockets = iterate_sockets_info(family, ProtocolFlags::TCP).map_err(std::io::Error::other)?;
        let (pid, established) = sockets
            .filter_map(Result::ok)
            .find_map(|socket| {
                let ProtocolSocketInfo::Tcp(tcp) = &socket.protocol_socket_info else { return None };
                let local = SocketAddr::new(tcp.local_addr, tcp.local_port);
                let remote = SocketAddr::new(tcp.remote_addr, tcp.remote_port);
                let pid = *socket.associated_pids.first()?;
                (local == page && remote == agent).then_some((pid, tcp.state == TcpState::Established))
            })
            .ok_or(StrangePeer::NoRow)?;
        let [own, theirs] = [Pid::from_u32(std::process::id()), Pid::from_u32(pid)];
        let mut system = System::new();
        let kind = ProcessRefreshKind::nothing().with_user(UpdateKind::Always);
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own, theirs]), false, kind);
        // A process whose user this one may not ask for is somebody else's.
        let user_of = |pid| system.process(pid).and_then(sysinfo::Process::user_id);
        let same = user_of(own).is_some_and(|own| user_of(theirs) == Some(own));
        let started = system.process(theirs).map_or(0, sysinfo::Process::start_time);
        let record = SocketRecord {
            established,
            local: page,
            remote: agent,
            inode: u64::from(pid),
            uid: u32::from(!same),
            // The table has no name for a socket. A process id is given again, but not with the same start.
            cookie: (u64::from(pid) << 32) ^ started,
        };
        Ok(OwnUser::judge(&record, page, agent, 0)?)
    }
}
