//! A private nginx: the configuration of a test, in a temporary folder, on a port of its own.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Ends with the test.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts nginx with what `server` makes of the `listen` directive, inside of its `http` block. Requests can be sent at
    /// once: the test's own socket is listening, and nginx inherits it, so that nobody else can have the port either.
    pub(crate) fn start(server: impl FnOnce(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let folder = tempfile::tempdir().expect("a folder");
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|kind| format!("{kind}_temp_path {};\n", folder.path().join(kind).display()));
        // Root's workers would be somebody who may not enter the folder.
        let user = if rustix::process::getuid().is_root() { "user root;\n" } else { "" };
        let configuration = format!(
            "daemon off;\n{user}worker_processes 1;\npid {};\nevents {{}}\nhttp {{\naccess_log off;\n{}{}\n}}\n",
            folder.path().join("pid").display(),
            temporary.concat(),
            server(&format!("listen {address};"))
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("the configuration");
        let log = std::fs::File::create(folder.path().join("error.log")).expect("a log");
        let child = Command::new(program())
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            // How nginx tells its successor of a socket when it is upgraded: here the socket is its standard input.
            .env("NGINX", "0;")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(log)
            .spawn()
            .expect("nginx starts");
        Self { address, child, folder }
    }

    /// What nginx complained about, for a test that fails.
    pub(crate) fn complaints(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Not killed: it ends its worker itself.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let pid = rustix::process::Pid::from_raw(pid).expect("a process has a number");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Debian keeps it where only root's `PATH` leads.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut places = folders.map(|folder| folder.join("nginx"));
    let program = places.find(|place| place.is_file());
    program.expect("nginx is not installed; run: apt-get install nginx-light (macOS: brew install nginx)")
}
