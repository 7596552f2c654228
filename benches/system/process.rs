//! The processes that the orchestrator starts: spoken to by lines, and ended with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spec::Role;

/// A process that ends when its standard input does, at the latest when this is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// This very program in another role.
    pub(crate) fn of(role: &Role) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(role.arguments());
        let name = match role {
            Role::Issuer(_) => "the login server",
            Role::Serve(_) => "a server",
            Role::Load(_) => "the load driver",
            Role::Exec(_) => "a peer",
        };
        Self::start(name, command)
    }

    /// Another program.
    pub(crate) fn start(name: &str, mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().to_string_lossy()))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self { name: name.to_owned(), child, stdin, stdout })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            let status = self.child.wait()?;
            bail!("{} ended without a word ({status}); what went wrong is above", self.name);
        }
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.name))
    }

    /// Says a line and hears one.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, question: &impl Serialize) -> anyhow::Result<T> {
        let mut line = serde_json::to_string(question)?;
        line.push('\n');
        self.stdin.as_mut().context("a pipe")?.write_all(line.as_bytes())?;
        self.hear()
    }

    /// Waits for its own end.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{} failed ({status}); what went wrong is above", self.name);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Peers do not listen to their standard input, and a server's memory is not worth waiting for.
        let pid = rustix::process::Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Says that this process serves, and whatever else there is to know.
#[expect(clippy::print_stdout, reason = "the orchestrator reads it")]
pub(crate) fn say(what: &impl Serialize) {
    println!("{}", serde_json::to_string(what).expect("plain data"));
}

/// Ends this process when the orchestrator is gone.
pub(crate) fn end_with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}
