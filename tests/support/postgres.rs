//! A PostgreSQL server of the tests' own: in a folder of its own, on a free port, gone with the test process however that
//! ends. Used by the tests of the store and by those of the whole login server.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

/// How long a server may take to start or stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server for as long as its standard input is open.
const WHILE_WATCHED: &str = r#""$@" </dev/null & server=$!; cat; kill -QUIT $server; wait $server"#;
/// Takes a folder away when its standard input closes and the server in it is gone.
const THEN_TIDY: &str =
    r#"cat; n=0; while [ -e "$1/data/postmaster.pid" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; rm -rf "$1""#;

/// A server and its folder.
pub(crate) struct Server {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Mutex<Option<(Child, ChildStdin)>>,
    _tidy: (Child, Option<ChildStdin>),
}

impl Server {
    /// A new one, with settings beside the defaults.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let server = Self::new();
        let data = server.data();
        let mut initdb = server.as_owner("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"]);
        run(initdb.arg(&data));
        server.boot(settings);
        server
    }

    /// A standby of another server, which must let it in.
    pub(crate) fn standby_of(primary: &Self, name: &str) -> Self {
        let server = Self::new();
        let from = format!("host=127.0.0.1 port={} user=postgres application_name={name}", primary.port);
        let mut copy = server.as_owner("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", &from, "--pgdata"]);
        run(copy.arg(server.data()));
        server.boot(&[]);
        server
    }

    /// An empty folder that is the server's, and goes with this process.
    fn new() -> Self {
        let bin = bin();
        // Short: a socket's path has a hundred bytes at most.
        let folder = tempfile::Builder::new().prefix("loopkey-pg-").tempdir().expect("a folder").keep();
        if is_root() {
            run(Command::new("chown").arg(owner()).arg(&folder));
        }
        let mut tidy = watched(THEN_TIDY).arg(&folder).spawn().expect("sh");
        let watch = tidy.stdin.take();
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        Self { bin, folder, port, running: Mutex::new(None), _tidy: (tidy, watch) }
    }

    /// Starts it, or starts it again; returns when it takes connections.
    pub(crate) fn boot(&self, settings: &[(&str, &str)]) {
        let mut server = watched(WHILE_WATCHED);
        server.args(self.as_owner_words("postgres"));
        server.arg("-D").arg(self.data()).args(["-h", "127.0.0.1", "-k"]).arg(&self.folder);
        server.args(["-p", &self.port.to_string(), "-c", "logging_collector=off", "-c", "log_destination=stderr"]);
        for (setting, value) in settings {
            server.args(["-c", &format!("{setting}={value}")]);
        }
        let mut server = server.stderr(Stdio::piped()).spawn().expect("sh");
        let (watch, log) = (server.stdin.take().expect("piped"), server.stderr.take().expect("piped"));
        let (lines, told) = mpsc::channel();
        // Reads on as long as the server writes: a full pipe would hold it up.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let mut said = String::new();
        loop {
            match told.recv_timeout(PATIENCE) {
                Ok(line) if line.contains("ready to accept") => break,
                Ok(line) => said = format!("{said}\n{line}"),
                Err(error) => panic!("the PostgreSQL server did not start ({error}):{said}"),
            }
        }
        *self.running.lock().expect("not poisoned") = Some((server, watch));
    }

    /// Ends it at once, as a crash does. What it had acknowledged is on the disk.
    pub(crate) fn crash(&self) {
        let (mut server, watch) = self.running.lock().expect("not poisoned").take().expect("running");
        drop(watch);
        server.wait().expect("its end");
    }

    /// Kills it with a signal that it cannot hear: nothing is said to anybody.
    pub(crate) fn kill(&self) {
        let pids = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("it runs");
        run(Command::new("kill").args(["-KILL", pids.lines().next().expect("its own")]));
        self.crash();
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        run(self.as_owner("pg_ctl").args(["promote", "-w", "-D"]).arg(self.data()));
    }

    /// Replaces a file of the server's folder; only the server can read it.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, content).expect("written");
        if is_root() {
            run(Command::new("chown").arg(owner()).arg(&path));
        }
        run(Command::new("chmod").arg("600").arg(&path));
    }

    /// Answers to a statement, a line a row, the columns between bars.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-p",
            &self.port.to_string(),
            "-h",
        ]);
        run(psql.arg(&self.folder).args(["-d", database, "-c", statements])).trim_end().to_owned()
    }

    /// A database that nobody else uses.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::SeqCst));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// The address of a database, as `server.toml` has it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of PostgreSQL's own programs, as the server's user.
    pub(crate) fn as_owner(&self, program: &str) -> Command {
        let words = self.as_owner_words(program);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir("/");
        command
    }

    /// PostgreSQL does not run as root.
    fn as_owner_words(&self, program: &str) -> Vec<String> {
        let program = self.bin.join(program).display().to_string();
        if !is_root() {
            return vec![program];
        }
        ["setpriv", "--reuid", owner(), "--regid", owner_group(), "--clear-groups", "--"]
            .into_iter()
            .map(str::to_owned)
            .chain([program])
            .collect()
    }
}

/// The one server that the tests of a binary share.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[("max_connections", "400")]))
}

/// A script that lives as long as its standard input, also where all of the tests' process group is interrupted.
fn watched(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).stdin(Stdio::piped()).stdout(Stdio::null()).current_dir("/").process_group(0);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whom the server runs as where the tests run as root.
fn owner() -> &'static str {
    static OWNER: OnceLock<&str> = OnceLock::new();
    OWNER.get_or_init(|| {
        let known = Command::new("id").arg("postgres").output().is_ok_and(|output| output.status.success());
        if known { "postgres" } else { "nobody" }
    })
}

fn owner_group() -> &'static str {
    static GROUP: OnceLock<String> = OnceLock::new();
    GROUP.get_or_init(|| run(Command::new("id").args(["-g", owner()])).trim().to_owned())
}

/// Where the server's programs are: the newest of Debian's or Homebrew's versions, or else in the path.
fn bin() -> PathBuf {
    let whole =
        |bin: &PathBuf| ["initdb", "postgres", "psql", "pg_basebackup"].iter().all(|name| bin.join(name).is_file());
    let versions = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|versions| versions.filter_map(Result::ok).map(|version| version.path().join("bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions
        .filter(&whole)
        // Version 9 is before 15.
        .max_by_key(|bin| (bin.as_os_str().len(), bin.clone()))
        .or_else(|| std::env::split_paths(&path).chain(["/usr/local/bin".into()]).find(whole))
        .expect("PostgreSQL is needed: apt-get install postgresql, or brew install postgresql@17")
}
