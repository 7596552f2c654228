//! Thousands of pages over one loop.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConnection;

use super::Pages;
use super::page::{Page, Seen};
use super::stream::{close_at_once, server_name};
use crate::machine;
use crate::spec::Exchange;

/// Handshakes under way while many pages are opened.
const AT_ONCE: usize = 64;

struct Socket {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    page: Page,
    /// What could not be written yet.
    unsent: Vec<u8>,
    since: Instant,
}

/// All pages of the driver.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    sockets: Vec<Option<Socket>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

impl Fleet {
    /// Room for so many pages.
    pub(crate) fn new(pages: usize) -> anyhow::Result<Self> {
        // The server, which has the same limit, needs a few more.
        machine::raise_descriptors(pages as u64 + 256)?;
        let events = Events::with_capacity(1024);
        Ok(Self { poll: Poll::new()?, events, sockets: Vec::new(), free: Vec::new(), buffer: vec![0; 64 * 1024] })
    }

    /// Begins one more page.
    pub(crate) fn connect(&mut self, pages: &mut Pages) -> anyhow::Result<usize> {
        let since = machine::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, pages.target.port));
        let mut stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        let tls = match &pages.tls {
            Some(config) => Some(Box::new(ClientConnection::new(Arc::clone(config), server_name())?)),
            None => None,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(None);
            self.sockets.len() - 1
        });
        self.poll.registry().register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)?;
        let page = Page::new(pages.target.exchange, pages.opening()?);
        self.sockets[id] = Some(Socket { stream, tls, page, unsent: pages.upgrade(), since });
        Ok(id)
    }

    /// Opens so many pages, and waits until all of them are.
    pub(crate) fn open(&mut self, pages: &mut Pages, count: usize) -> anyhow::Result<Vec<usize>> {
        // nchan 1.3.6, which Debian has, frees something twice where two upgrades are under way.
        let at_once = if pages.target.exchange == Exchange::UpgradeOnly { 1 } else { AT_ONCE };
        let (mut begun, mut open) = (0, 0);
        let mut ids = Vec::with_capacity(count);
        while open < count {
            while begun < count && begun < open + at_once {
                ids.push(self.connect(pages)?);
                begun += 1;
            }
            self.turn(Some(Duration::from_secs(20)), |_, seen| open += usize::from(seen.ready))
                .with_context(|| format!("{open} of {count} pages are open"))?;
        }
        Ok(ids)
    }

    /// Nanoseconds since the page began.
    pub(crate) fn age(&self, id: usize) -> u64 {
        self.sockets[id].as_ref().map_or(0, |socket| machine::nanos(socket.since.elapsed()))
    }

    /// Ends a page.
    pub(crate) fn close(&mut self, id: usize) {
        if let Some(socket) = self.sockets[id].take() {
            close_at_once(&socket.stream);
            self.free.push(id);
        }
    }

    /// Ends a page as browsers do: some peers do not survive a reset.
    pub(crate) fn leave(&mut self, id: usize) {
        if self.sockets[id].take().is_some() {
            self.free.push(id);
        }
    }

    /// Never reads from this page again, and lets the kernel hold little for it.
    pub(crate) fn forsake(&mut self, id: usize) -> anyhow::Result<()> {
        let socket = self.sockets[id].as_mut().context("an open page")?;
        self.poll.registry().deregister(&mut socket.stream)?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket.stream, 4096)?;
        Ok(())
    }

    /// What has come for a page and was not read, in bytes.
    pub(crate) fn unread(&self, id: usize) -> anyhow::Result<u64> {
        let socket = self.sockets[id].as_ref().context("an open page")?;
        Ok(rustix::io::ioctl_fionread(&socket.stream)?)
    }

    /// Waits for whatever comes next and takes it in. Without a time it waits for ever.
    pub(crate) fn turn(&mut self, patience: Option<Duration>, on: impl FnMut(usize, Seen)) -> anyhow::Result<()> {
        match (self.wait(patience)?, patience) {
            (false, Some(patience)) => bail!("nothing has come for {patience:?}"),
            _ => self.take_in(on),
        }
    }

    /// Waits for whatever comes next, leaves it where it is, and says whether something came.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> anyhow::Result<bool> {
        match self.poll.poll(&mut self.events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(true)
            }
            other => other.map(|()| !self.events.is_empty()).map_err(Into::into),
        }
    }

    /// Takes in what has come.
    pub(crate) fn take_in(&mut self, mut on: impl FnMut(usize, Seen)) -> anyhow::Result<()> {
        for event in &self.events {
            let Token(id) = event.token();
            let Some(Some(socket)) = self.sockets.get_mut(id) else { continue };
            if event.is_writable() && !socket.unsent.is_empty() {
                socket.send()?;
            }
            if event.is_readable() {
                let seen = socket.receive(&mut self.buffer)?;
                on(id, seen);
            }
        }
        Ok(())
    }
}

impl Socket {
    fn receive(&mut self, buffer: &mut [u8]) -> anyhow::Result<Seen> {
        let mut all = Seen::default();
        loop {
            let (read, more) = match &mut self.tls {
                None => match self.stream.read(buffer) {
                    Ok(0) => bail!("the server hung up"),
                    // Less than there was room for: nothing more is there, and the next byte is an event again.
                    Ok(read) => (read, read == buffer.len()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                },
                Some(tls) => match tls.read_tls(&mut self.stream) {
                    Ok(0) => bail!("the server hung up"),
                    Ok(_) => {
                        tls.process_new_packets()?;
                        let mut read = 0;
                        while let Ok(some @ 1..) = tls.reader().read(&mut buffer[read..]) {
                            read += some;
                        }
                        (read, true)
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                },
            };
            let seen = self.page.take(&buffer[..read], &mut self.unsent)?;
            all.ready |= seen.ready;
            all.states += seen.states;
            if seen.states > 0 {
                all.state_len = seen.state_len;
            }
            if !more {
                break;
            }
        }
        if !self.unsent.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
            self.send()?;
        }
        Ok(all)
    }

    fn send(&mut self) -> anyhow::Result<()> {
        match &mut self.tls {
            None => {
                while !self.unsent.is_empty() {
                    match self.stream.write(&self.unsent) {
                        Ok(written) => drop(self.unsent.drain(..written)),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                        // Not connected yet: the next event says when.
                        Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                        Err(error) => return Err(error.into()),
                    }
                }
                // An idle page holds nothing.
                self.unsent = Vec::new();
            }
            Some(tls) => {
                tls.writer().write_all(&std::mem::take(&mut self.unsent))?;
                while tls.wants_write() {
                    match tls.write_tls(&mut self.stream) {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }
}
