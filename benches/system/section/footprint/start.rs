//! From the start of a program to its listening on every port, and to its first answer.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::super::{DRIVER_CORE, SERVER_CORE};
use crate::machine;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds of one start.
pub(super) struct Started {
    pub(super) listening: f64,
    pub(super) answering: f64,
}

/// A program that can be started again and again.
pub(super) trait Startable {
    fn command(&self) -> Command;

    /// The port for `ws`, and that for `wss`.
    fn ports(&self) -> (u16, u16);

    /// Starts it on its core, looks from another one, and ends it.
    fn start(&self) -> anyhow::Result<Started> {
        let (mut command, ports) = (self.command(), self.ports());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        on_core(DRIVER_CORE, move || look(&mut command, ports))?
    }
}

/// Does something in a thread that stays on a core: this process itself is not to be kept on it.
fn on_core<T: Send>(core: usize, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    let pinned = || machine::pin(&[core]).map(|()| work());
    std::thread::scope(|scope| scope.spawn(pinned).join().expect("the thread's panic is this one's"))
}

fn look(command: &mut Command, (port, secure): (u16, u16)) -> anyhow::Result<Started> {
    // What is started is where whoever starts it is.
    let (since, child) = on_core(SERVER_CORE, || (machine::now(), command.spawn()))?;
    let child = Ended(child.with_context(|| format!("cannot start {command:?}"))?);
    for address in loopback() {
        for port in [port, secure] {
            while TcpStream::connect((*address, port)).is_err() {
                if since.elapsed() > PATIENCE {
                    bail!("{command:?} does not listen on {address}, port {port}");
                }
            }
        }
    }
    let listening = since.elapsed();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    // Whatever it says.
    let _ = stream.read(&mut [0; 1])?;
    let answering = since.elapsed();
    drop(child);
    Ok(Started { listening: millis(listening), answering: millis(answering) })
}

/// A program that is ended, and waited for.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The loopback addresses that this system has: without IPv6 an agent listens on the other one alone.
fn loopback() -> &'static [IpAddr] {
    const BOTH: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    static HAS_V6: LazyLock<bool> = LazyLock::new(|| TcpListener::bind((BOTH[1], 0)).is_ok());
    if *HAS_V6 { &BOTH } else { &BOTH[..1] }
}

/// A port that was free on every address a moment ago, of those that an agent may have.
pub(super) fn free_pair() -> anyhow::Result<u16> {
    let random: [u8; 2] = loopkey::crypto::random();
    let first = 12_000 + u16::from_be_bytes(random) % 8_000;
    let is_free = |port: &u16| loopback().iter().all(|address| TcpListener::bind((*address, *port)).is_ok());
    (first..first + 1_000).find(is_free).context("no port is free on every loopback address")
}
