//! A Redis or Valkey server of the tests' own: a free port of this computer, a temporary folder, gone with the process that
//! started it, however that ends.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Far longer than anything takes.
const SOON: Duration = Duration::from_secs(30);
/// Logical databases of a server: each test that shares one has its own.
const DATABASES: u32 = 512;

/// Starts the server and kills it as soon as its own input ends, which it does when the process that holds it is gone.
const KEEPER: &str = r#""$@" & server=$!; echo "pid $server"; read -r _; kill -9 "$server"; wait"#;

/// A running server.
pub(crate) struct RedisServer {
    keeper: Child,
    pid: u32,
    port: u16,
    settings: Vec<String>,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// Starts a server with settings as on its command line. Without any it keeps nothing on disk.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut said = Vec::new();
        // Somebody else may take the port meanwhile.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
            match launch(folder.path(), port, &settings) {
                Ok((keeper, pid)) => return Self { keeper, pid, port, settings, folder },
                Err(output) => said = output,
            }
        }
        panic!("no server starts with {settings:?}: {said:#?}");
    }

    /// The address of an empty database of the server that all tests of this process share.
    pub(crate) fn database() -> String {
        static SHARED: LazyLock<RedisServer> = LazyLock::new(|| RedisServer::start(&[]));
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(next < DATABASES, "more tests than databases");
        format!("{}/{next}", SHARED.url())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a replica of this server and waits until it is one.
    pub(crate) fn replica(&self) -> Self {
        let replica =
            Self::start(&["--replicaof", &format!("127.0.0.1 {}", self.port), "--repl-diskless-sync-delay", "0"]);
        assert_eq!(self.say("WAIT 1 30000"), "1", "the replica is connected");
        replica
    }

    /// Says a command, in one line as people type it, and returns the answer: one text or number.
    pub(crate) fn say(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        stream.set_read_timeout(Some(SOON + SOON)).expect("a socket");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("written");
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line).expect("an answer");
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "+" | ":" => rest.to_owned(),
            "$" => {
                let mut text = vec![0; rest.parse().expect("a length")];
                answer.read_exact(&mut text).expect("the whole answer");
                String::from_utf8(text).expect("text")
            }
            _ => panic!("{command}: {line}"),
        }
    }

    /// Sends a signal, as `kill` names it.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.pid.to_string()]).status();
        assert!(sent.expect("kill starts").success(), "kill -{signal}");
    }

    /// Kills the server; what it keeps on disk stays.
    pub(crate) fn kill(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().expect("ended");
    }

    /// Starts the server again after [`RedisServer::kill`], with the same port and folder.
    pub(crate) fn start_again(&mut self) {
        let started = launch(self.folder.path(), self.port, &self.settings);
        (self.keeper, self.pid) = started.expect("the server starts again on its port");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The server that is installed.
fn program() -> &'static str {
    static PROGRAM: LazyLock<&str> = LazyLock::new(|| {
        let there = |name: &&str| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
        ["valkey-server", "redis-server"].into_iter().find(there).unwrap_or_else(|| {
            panic!("a Redis server is needed: apt-get install redis-server (or valkey-server), or brew install valkey")
        })
    });
    &PROGRAM
}

/// Starts a server; what it said where it ends before it takes connections.
fn launch(folder: &Path, port: u16, settings: &[String]) -> Result<(Child, u32), Vec<String>> {
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "sh", program()]);
    // Without TLS the port is this one; with it a setting says so.
    if !settings.iter().any(|setting| setting == "--tls-port") {
        command.arg("--port").arg(port.to_string());
    }
    command.args(["--bind", "127.0.0.1", "--databases", &DATABASES.to_string(), "--save", ""]).arg("--dir").arg(folder);
    command.args(settings.iter().map(|setting| setting.replace("{port}", &port.to_string())));
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh starts");
    let mut lines = BufReader::new(keeper.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    let pid = first.strip_prefix("pid ").expect("the process id").parse().expect("a number");
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let line = line.expect("text");
        if line.contains("Ready to accept connections") {
            // It goes on talking, and must not wait for somebody to listen.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((keeper, pid));
        }
        said.push(line);
        if said.last().is_some_and(|line| line.contains("Failed listening") || line.contains("FATAL")) {
            break;
        }
    }
    drop(keeper.stdin.take());
    keeper.wait().expect("ended");
    Err(said)
}
