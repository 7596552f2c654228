//! How a push is started: as each server's own users start one.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;

use anyhow::Context as _;

use crate::spec::{Target, Trigger};

enum Line {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection over which pushes are asked for.
pub(crate) struct Publisher {
    line: Line,
    trigger: Trigger,
    text: String,
    number: u64,
}

/// A state as the agent says it, of this length: what peers push.
fn text_of(len: usize) -> String {
    let short = r#"{"type":"state","seq":1,"state":{"presence":"signed_in","since":1800000000000,"epoch":1}}"#;
    format!("{short:<len$}")
}

fn presence_set(id: u64, presence: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"presence.set","params":{{"presence":"{presence}"}}}}"#) + "\n"
}

impl Publisher {
    pub(crate) fn connect(target: &Target) -> anyhow::Result<Self> {
        let trigger = target.trigger.clone().context("a way to push")?;
        let tcp = |port: u16| {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            anyhow::Ok(Line::Tcp(stream))
        };
        let mut line = match &trigger {
            Trigger::Control(path) => Line::Unix(UnixStream::connect(path)?),
            Trigger::Post { port, .. } | Trigger::Nats { port, .. } => tcp(*port)?,
        };
        if let (Trigger::Nats { .. }, Line::Tcp(stream)) = (&trigger, &mut line) {
            stream.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")?;
        }
        if let Line::Unix(stream) = &mut line {
            // Wherever the last run has left it: the first push is a change.
            stream.write_all(presence_set(0, "signed_in").as_bytes())?;
            anyhow::ensure!(stream.read(&mut [0; 4096])? > 0, "the server hung up");
        }
        match &line {
            Line::Unix(stream) => stream.set_nonblocking(true)?,
            Line::Tcp(stream) => stream.set_nonblocking(true)?,
        }
        Ok(Self { line, trigger, text: text_of(target.lengths.state), number: 0 })
    }

    /// Starts a push.
    pub(crate) fn push(&mut self) -> anyhow::Result<()> {
        self.number += 1;
        let bytes = match &self.trigger {
            Trigger::Control(_) => presence_set(self.number, if self.number % 2 == 1 { "away" } else { "signed_in" }),
            Trigger::Post { port, path } => format!(
                "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}",
                self.text.len(),
                self.text
            ),
            Trigger::Nats { subject, .. } => format!("PUB {subject} {}\r\n{}\r\n", self.text.len(), self.text),
        };
        match &mut self.line {
            Line::Unix(stream) => stream.write_all(bytes.as_bytes())?,
            Line::Tcp(stream) => stream.write_all(bytes.as_bytes())?,
        }
        Ok(())
    }

    /// Reads and forgets what was answered.
    pub(crate) fn drain(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let read = match &mut self.line {
                Line::Unix(stream) => stream.read(&mut buffer),
                Line::Tcp(stream) => stream.read(&mut buffer),
            };
            match read {
                Ok(0) => anyhow::bail!("the server closed the connection that pushes are asked for on"),
                Ok(read) if buffer[..read].windows(8).any(|window| window == b"\"error\":") => {
                    anyhow::bail!("a push was refused: {}", String::from_utf8_lossy(&buffer[..read]));
                }
                // NATS asks whether the publisher is there.
                Ok(read) if buffer[..read].starts_with(b"PING") => {
                    if let Line::Tcp(stream) = &mut self.line {
                        stream.write_all(b"PONG\r\n")?;
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
