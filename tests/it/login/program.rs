//! `loopkey serve`, the program itself, as the login server of a test.

#![expect(clippy::print_stderr, reason = "the log of a program that failed")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::http::Call;
use super::{ISSUER, SERVICE_KEY};
use crate::commands::until;
use crate::support::trace;

/// A running login server. Killed with the test.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
    log: Log,
    child: Child,
}

/// Where a program's log goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    /// Where the test can read it.
    File,
    /// With all that is logged, to be searched for secrets; nowhere without a trace.
    Trace,
}

impl Program {
    /// Starts it on a free port, with these lines behind its issuer, address and service key, and waits until it is ready.
    pub(crate) async fn start(lines: &str) -> Self {
        let program = Self::begin(lines, &[]);
        let ready = || async { program.is_ready().await };
        until("a server that is ready", ready).await;
        program
    }

    /// Starts it with files in its folder, and waits for nothing.
    pub(crate) fn begin(lines: &str, files: &[(&str, &str)]) -> Self {
        Self::begin_with(lines, files, Log::File)
    }

    /// Starts it with files in its folder and waits until it is ready. What it logs is searched for secrets.
    pub(crate) async fn start_traced(lines: &str, files: &[(&str, &str)]) -> Self {
        let program = Self::begin_with(lines, files, Log::Trace);
        until("a server that is ready", || async { program.is_ready().await }).await;
        program
    }

    fn begin_with(lines: &str, files: &[(&str, &str)], log: Log) -> Self {
        trace::start();
        trace::note(SERVICE_KEY);
        let folder = tempfile::tempdir().expect("a folder");
        let port = crate::support::places::free_places().site;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("service.key"), SERVICE_KEY).expect("written");
        for (name, content) in files {
            std::fs::write(path(name), content).expect("written");
        }
        std::fs::write(path("server.toml"), Self::toml(address, lines)).expect("written");
        let child = launch(folder.path(), log);
        Self { address, folder, log, child }
    }

    /// Starts it again after it was killed, and waits until it is ready.
    pub(crate) async fn start_again(&mut self) {
        self.child = launch(self.folder.path(), self.log);
        until("a server that is ready", || async { self.is_ready().await }).await;
    }

    /// The memory that it has of its own, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory_kib(&self) -> u64 {
        crate::support::memory::own_kib(self.child.id())
    }

    fn toml(address: SocketAddr, lines: &str) -> String {
        format!("issuer = \"{ISSUER}\"\nlisten = \"{address}\"\nservice_key_file = \"service.key\"\n{lines}\n")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes another configuration and has it read.
    pub(crate) fn reload(&self, lines: &str) {
        std::fs::write(self.path("server.toml"), Self::toml(self.address, lines)).expect("written");
        self.signal("HUP");
    }

    /// Everything that it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).expect("a log")
    }

    pub(crate) async fn is_ready(&self) -> bool {
        tokio::net::TcpStream::connect(self.address).await.is_ok()
            && Call::new("GET", "/readyz").send(self.address).await.status == 200
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Path, log: Log) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopkey"));
    command.args(["serve", "--config", "server.toml"]).current_dir(folder).stdin(Stdio::null());
    match log {
        Log::File => {
            let log = std::fs::File::create(folder.join("log")).expect("a log");
            command.env("LOOPKEY_LOG", "info").stderr(log);
        }
        Log::Trace => drop(trace::of_child(command.env("LOOPKEY_LOG", "off"))),
    }
    command.spawn().expect("the program starts")
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() && self.log == Log::File {
            eprintln!("the log of the login server at {}:\n{}", self.address, self.log());
        }
    }
}
