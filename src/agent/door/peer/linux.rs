//! Linux: one exact `NETLINK_SOCK_DIAG` request (man 7 `sock_diag`). It costs two microseconds however many connections
//! there are, needs no privilege, and, unlike the tables under `/proc`, names the socket for good.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use netlink_packet_core::{
    DecodeError, ErrorBuffer, ErrorMessage, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    Parseable as _,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DIAG_BY_FAMILY, TCP_ESTABLISHED};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::{PeerCheck, PeerFault};
use crate::protocol::peer::{OwnUser, SocketRecord, StrangePeer};

/// Room for a request, and more than enough for an answer: one message with one row, whose attributes nobody asked for.
const MESSAGE_MAX_LEN: usize = 512;

/// Asks over one kernel socket, opened when it is first needed and again after a fault.
#[derive(Debug, Default)]
pub(super) struct SockDiag {
    socket: Mutex<Option<Socket>>,
}

impl SockDiag {
    fn record(&self, page: SocketAddr, agent: SocketAddr) -> io::Result<Option<SocketRecord>> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match socket.take() {
            Some(open) => open,
            None => open()?,
        };
        let record = ask(&open, page, agent)?;
        *socket = Some(open);
        Ok(record)
    }
}

impl PeerCheck for SockDiag {
    fn look_up(&self, page: SocketAddr, agent: SocketAddr) -> Result<OwnUser, PeerFault> {
        let record = self.record(page, agent)?;
        let own = rustix::process::getuid().as_raw();
        Ok(OwnUser::judge(&record.ok_or(StrangePeer::NoRow)?, page, agent, own)?)
    }

    fn program(&self, page: SocketAddr, agent: SocketAddr) -> Option<String> {
        let record = self.record(page, agent).ok().flatten()?;
        holder_of(record.inode)
    }
}

/// The file name of the program that holds a socket: of this user's processes, the first that has it among its descriptors.
pub(super) fn holder_of(inode: u64) -> Option<String> {
    let link = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let holds = |process: &std::path::PathBuf| {
        // Other users' descriptors are not shown, and most entries are no processes.
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().filter_map(Result::ok);
        descriptors.map(|fd| std::fs::read_link(fd.path())).any(|target| target.is_ok_and(|t| t.as_os_str() == &*link))
    };
    let process = processes.into_iter().find(holds)?;
    let program = std::fs::read_link(process.join("exe")).ok()?;
    Some(program.file_name()?.to_string_lossy().into_owned())
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// The kernel's row for the socket whose own address is `page`; `None` where it knows of none.
fn ask(socket: &Socket, page: SocketAddr, agent: SocketAddr) -> io::Result<Option<SocketRecord>> {
    let request = InetRequest {
        family: if page.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: page.port(),
            destination_port: agent.port(),
            source_address: page.ip(),
            destination_address: agent.ip(),
            interface_id: 0,
            // "Any": the cookie is what is asked for.
            cookie: [0xff; 8],
        },
    };
    // Without the dump flag the kernel looks up exactly this one.
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut room = [0; MESSAGE_MAX_LEN];
    message.serialize(&mut room);
    socket.send(&room[..message.buffer_len()], 0)?;

    let len = socket.recv(&mut &mut room[..], 0)?;
    read_answer(room.get(..len).unwrap_or(&room))
}

/// What the kernel says of the one socket; `None` where it knows of none.
fn read_answer(bytes: &[u8]) -> io::Result<Option<SocketRecord>> {
    let garbled = |error: DecodeError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let answer = NetlinkBuffer::new_checked(bytes).map_err(garbled)?;
    match answer.message_type() {
        SOCK_DIAG_BY_FAMILY => {
            InetResponseHeader::parse(answer.payload()).map(|row| Some(record(&row))).map_err(garbled)
        }
        NLMSG_ERROR => {
            let payload = answer.payload();
            let error = ErrorBuffer::new_checked(&payload).and_then(|error| ErrorMessage::parse(&error));
            let error = error.map_err(garbled)?.to_io();
            if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel answered something else")),
    }
}

fn record(row: &InetResponseHeader) -> SocketRecord {
    let id = &row.socket_id;
    SocketRecord {
        established: row.state == TCP_ESTABLISHED,
        local: SocketAddr::new(id.source_address, id.source_port),
        remote: SocketAddr::new(id.destination_address, id.destination_port),
        inode: u64::from(row.inode),
        uid: row.uid,
        cookie: u64::from_ne_bytes(id.cookie),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Connects to a fresh listener and returns both ends.
    fn pair(listen: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(listen).expect("listener");
        let page = TcpStream::connect(listener.local_addr().expect("address")).expect("connected");
        (page, listener.accept().expect("accepted").0)
    }

    fn look_up(check: &SockDiag, agent: &TcpStream) -> Result<OwnUser, PeerFault> {
        check.look_up(agent.peer_addr().expect("page"), agent.local_addr().expect("agent"))
    }

    #[test]
    fn both_families_and_the_same_socket_twice() {
        let check = SockDiag::default();
        for listen in ["127.0.0.1:0", "[::1]:0"] {
            let (page, agent) = pair(listen);
            let first = look_up(&check, &agent).expect("own user");
            let again = look_up(&check, &agent).expect("own user");
            assert_eq!(first.require_same(again), Ok(()));
            let program = check.program(agent.peer_addr().expect("page"), agent.local_addr().expect("agent"));
            let own = std::env::current_exe().expect("a program");
            assert_eq!(program.as_deref(), own.file_name().and_then(|name| name.to_str()));
            let (_other_page, other) = pair(listen);
            let other = look_up(&check, &other).expect("own user");
            assert!(first.require_same(other).is_err());
            drop(page);
            assert!(look_up(&check, &agent).is_err(), "a closed socket is nobody's");
            assert_eq!(check.program(agent.peer_addr().expect("page"), agent.local_addr().expect("agent")), None);
        }
    }

    #[test]
    fn whatever_else_the_kernel_says_is_no_row_and_no_panic() {
        let message = |kind: u16, len: u32, payload: &[u8]| {
            [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], payload].concat()
        };
        let fault = |number: i32| [&number.to_ne_bytes()[..], &[0; 16]].concat();
        assert!(matches!(read_answer(&message(NLMSG_ERROR, 36, &fault(-2))), Ok(None)), "there is no such socket");
        for answer in [
            Vec::new(),
            vec![0; 16],
            message(SOCK_DIAG_BY_FAMILY, 16, &[]),
            message(SOCK_DIAG_BY_FAMILY, 16 + 71, &[2; 71]),
            message(SOCK_DIAG_BY_FAMILY, 16 + 72, &[2; 71]),
            message(SOCK_DIAG_BY_FAMILY, 16 + 72, &[0xff; 72]),
            message(SOCK_DIAG_BY_FAMILY, u32::MAX, &[2; 72]),
            message(NLMSG_ERROR, 36, &fault(-1)),
            message(NLMSG_ERROR, 16, &[]),
            message(NLMSG_ERROR, 36, &fault(0)),
            message(3, 16, &[]),
        ] {
            assert!(read_answer(&answer).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn no_connection_is_no_row() {
        let check = SockDiag::default();
        let (_page, agent) = pair("127.0.0.1:0");
        let strange: SocketAddr = "127.0.0.1:1".parse().expect("address");
        let verdict = check.look_up(strange, agent.local_addr().expect("address"));
        assert!(matches!(verdict, Err(PeerFault::Strange(StrangePeer::NoRow))), "{verdict:?}");
        assert!(look_up(&check, &agent).is_ok(), "the kernel socket serves on");
    }
}
