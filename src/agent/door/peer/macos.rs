//! macOS: the page's end must be held by one of this user's own processes, as `libproc` tells of them without privilege.
//!
//! The kernel names no user for a socket here, but it shows a process's descriptors only to that process's own user (and
//! to root, as which the agent refuses to run). So whatever is found is this user's.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use libproc::bsd_info::BSDInfo;
use libproc::file_info::{ListFDs, PIDFDInfo, PIDFDInfoFlavor, ProcFDType, pidfdinfo};
use libproc::net_info::{
    InSockInfo, ProcFileInfo, SockBufInfo, SocketFDInfo, SocketInfo, SocketInfoKind, TcpSIState, TcpSockInfo, VInfoStat,
};
use libproc::proc_pid::{listpidinfo, pidinfo};
use libproc::processes::{ProcFilter, pids_by_type};

use super::{PeerCheck, PeerFault};
use crate::protocol::peer::{OwnUser, SocketRecord, StrangePeer};

/// Set in `vflag` where a socket speaks IPv4.
const SPEAKS_IPV4: u8 = 1;

/// Looks through the processes of this user, the one that held the last connection first: a browser holds all of its
/// sockets in one process.
#[derive(Debug, Default)]
pub(super) struct OwnProcesses {
    last_holder: Mutex<Option<u32>>,
}

impl PeerCheck for OwnProcesses {
    fn look_up(&self, page: SocketAddr, agent: SocketAddr) -> Result<OwnUser, PeerFault> {
        let own = rustix::process::getuid().as_raw();
        let mut last_holder = self.last_holder.lock().unwrap_or_else(PoisonError::into_inner);
        let processes = pids_by_type(ProcFilter::ByUID { uid: own })?;
        let likely = last_holder.filter(|pid| processes.contains(pid));
        let found = likely.into_iter().chain(processes).find_map(|pid| Some((pid, row(pid, page, agent, own)?)));
        *last_holder = found.map(|(pid, _)| pid);
        let (_, record) = found.ok_or(StrangePeer::NoRow)?;
        Ok(OwnUser::judge(&record, page, agent, own)?)
    }
}

/// The row of this connection among the descriptors of a process, where it holds it.
fn row(pid: u32, page: SocketAddr, agent: SocketAddr, uid: u32) -> Option<SocketRecord> {
    let id = i32::try_from(pid).ok()?;
    let count = pidinfo::<BSDInfo>(id, 0).ok()?.pbi_nfiles;
    let descriptors = listpidinfo::<ListFDs>(id, usize::try_from(count).ok()?).ok()?;
    let sockets = descriptors.into_iter().filter(|fd| matches!(fd.proc_fdtype.into(), ProcFDType::Socket));
    let rows = sockets.filter_map(|fd| pidfdinfo::<TcpDescriptor>(id, fd.proc_fd).ok()?.record(pid, uid));
    rows.into_iter().find(|row| row.local == page && row.remote == agent)
}

/// `struct socket_fdinfo` of `sys/proc_info.h`, with the TCP arm of its union laid open.
#[repr(C)]
#[derive(Default)]
struct TcpDescriptor {
    file: ProcFileInfo,
    stat: VInfoStat,
    socket: u64,
    pcb: u64,
    kind_of_socket: [i32; 3],
    counters: [i16; 8],
    out_of_band: u32,
    buffers: [SockBufInfo; 2],
    kind: i32,
    reserved: u32,
    ports: [i32; 2],
    generation: u64,
    flags: [u32; 2],
    vflag: u8,
    time_to_live: u8,
    reserved_too: u32,
    foreign: [u8; 16],
    local: [u8; 16],
    tail: [u8; 16],
    state: i32,
    /// Room for the union's longest arm.
    rest: [[u64; 32]; 3],
}

// The layout is the library's own, field by field: where it moves, this does not compile.
const _: () = {
    let arm = offset_of!(SocketFDInfo, psi) + offset_of!(SocketInfo, soi_proto);
    assert!(offset_of!(TcpDescriptor, kind) == offset_of!(SocketFDInfo, psi) + offset_of!(SocketInfo, soi_kind));
    assert!(offset_of!(TcpDescriptor, ports) == arm);
    assert!(offset_of!(TcpDescriptor, generation) == arm + offset_of!(InSockInfo, insi_gencnt));
    assert!(offset_of!(TcpDescriptor, vflag) == arm + offset_of!(InSockInfo, insi_vflag));
    assert!(offset_of!(TcpDescriptor, foreign) == arm + offset_of!(InSockInfo, insi_faddr));
    assert!(offset_of!(TcpDescriptor, local) == arm + offset_of!(InSockInfo, insi_laddr));
    assert!(offset_of!(TcpDescriptor, state) == arm + offset_of!(TcpSockInfo, tcpsi_state));
    assert!(size_of::<TcpDescriptor>() >= size_of::<SocketFDInfo>());
};

impl PIDFDInfo for TcpDescriptor {
    fn flavor() -> PIDFDInfoFlavor {
        PIDFDInfoFlavor::SocketInfo
    }
}

impl TcpDescriptor {
    fn record(&self, pid: u32, uid: u32) -> Option<SocketRecord> {
        if !matches!(self.kind.into(), SocketInfoKind::Tcp) {
            return None;
        }
        let [foreign_port, local_port] = self.ports;
        Some(SocketRecord {
            established: matches!(self.state.into(), TcpSIState::Established),
            local: SocketAddr::new(self.address(self.local), port(local_port)?),
            remote: SocketAddr::new(self.address(self.foreign), port(foreign_port)?),
            // There is no inode; that a process holds the socket is what was looked for.
            inode: u64::from(pid),
            uid,
            cookie: self.generation,
        })
    }

    /// An IPv4 address stands in the last four bytes.
    fn address(&self, bytes: [u8; 16]) -> IpAddr {
        let [.., a, b, c, d] = bytes;
        if self.vflag & SPEAKS_IPV4 == 0 { Ipv6Addr::from(bytes).into() } else { Ipv4Addr::new(a, b, c, d).into() }
    }
}

/// Ports stand in network order in the low half of an `int`.
fn port(field: i32) -> Option<u16> {
    u16::try_from(field).ok().map(u16::from_be)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_families_and_the_same_socket_twice() {
        let check = OwnProcesses::default();
        for listen in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(listen).expect("listener");
            let agent = listener.local_addr().expect("address");
            let page = TcpStream::connect(agent).expect("connected");
            let _accepted = listener.accept().expect("accepted");
            let page = page.local_addr().map(|address| (page, address)).expect("address");
            let first = check.look_up(page.1, agent).expect("own user");
            let again = check.look_up(page.1, agent).expect("own user");
            assert_eq!(first.require_same(again), Ok(()));
            drop(page);
        }
    }
}
