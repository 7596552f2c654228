//! Other people's servers, as their own users run them, on the core where ours run.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::machine;
use crate::process::Process;
use crate::spec::{Exchange, ExecSpec, FloorSpec, Role, Serving, Trigger};

/// The scripts, which run where npm has put what they import.
const SCRIPTS: [(&str, &str); 4] = [
    ("agent.mjs", include_str!("agent.mjs")),
    ("exchange.mjs", include_str!("exchange.mjs")),
    ("node.mjs", include_str!("node.mjs")),
    ("bun.mjs", include_str!("bun.mjs")),
];
/// How long a peer may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    NodeWs,
    Bun,
    Nchan,
    Nats,
    UWebSockets,
}

/// A peer that serves.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) serving: Serving,
    pub(crate) exchange: Exchange,
    pub(crate) path: &'static str,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [Self::NodeWs, Self::Bun, Self::Nchan, Self::Nats, Self::UWebSockets];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NodeWs => "Node ws",
            Self::Bun => "Bun",
            Self::Nchan => "nginx + nchan",
            Self::Nats => "NATS",
            Self::UWebSockets => "uWebSockets",
        }
    }

    /// Starts it on a core, with its files in a folder of its own.
    pub(crate) fn start(
        self,
        installed: &Path,
        folder: &Path,
        floor: &FloorSpec,
        core: usize,
    ) -> anyhow::Result<Started> {
        std::fs::create_dir_all(folder)?;
        match self {
            Self::NodeWs => script("node".into(), "node.mjs", installed, floor, core),
            Self::Bun => script(installed.join("node_modules/.bin/bun"), "bun.mjs", installed, floor, core),
            Self::Nchan => nchan(folder, core),
            Self::Nats => nats(folder, core),
            Self::UWebSockets => uwebsockets(installed, floor, core),
        }
    }
}

/// Whom a run measures, in which versions.
pub(crate) fn versions(installed: &Path) -> Vec<String> {
    let package = std::fs::read(installed.join("node_modules/ws/package.json")).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_slice(&package).unwrap_or_default();
    let bun = installed.join("node_modules/.bin/bun");
    let said = |program: &str, argument: &str| {
        let said = machine::said(program, &[argument]);
        said.lines().next().unwrap_or_default().to_owned()
    };
    let debian = |package: &str| machine::said("dpkg-query", &["-W", "-f", "${Package} ${Version}", package]);
    vec![
        format!("Node {}", said("node", "--version")),
        format!("ws {}", package["version"].as_str().unwrap_or_default()),
        format!("Bun {}", said(&bun.to_string_lossy(), "--version")),
        debian("nginx-light"),
        debian("libnginx-mod-nchan"),
        debian("nats-server"),
        uwebsockets_version(installed),
    ]
}

/// A program on a core.
pub(crate) fn on_core(name: &str, program: PathBuf, arguments: Vec<String>, core: usize) -> anyhow::Result<Process> {
    let role = Role::Exec(ExecSpec { cores: vec![core], program, arguments });
    let mut command = Command::new(std::env::current_exe()?);
    command.args(role.arguments());
    Process::start(name, command)
}

/// Puts the scripts where npm has put what they import.
pub(crate) fn put_scripts(installed: &Path) -> anyhow::Result<()> {
    if !installed.join("node_modules").is_dir() {
        bail!("{} has no node_modules: ./bench --peers puts them there", installed.display());
    }
    for (name, text) in SCRIPTS {
        std::fs::write(installed.join(name), text)?;
    }
    Ok(())
}

fn script(program: PathBuf, file: &str, installed: &Path, floor: &FloorSpec, core: usize) -> anyhow::Result<Started> {
    put_scripts(installed)?;
    let told = json!({ "key": floor.key, "lengths": floor.lengths, "control": floor.control }).to_string();
    let path = installed.join(file).to_string_lossy().into_owned();
    let mut process = on_core(file, program, vec![path, told], core)?;
    let serving = process.hear()?;
    Ok(Started { process, serving, exchange: Exchange::Loopkey, path: "/v1" })
}

/// nginx with one worker, which is as many as there are cores for it.
fn nchan(folder: &Path, core: usize) -> anyhow::Result<Started> {
    let module = ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so"];
    let module = module.into_iter().find(|path| Path::new(path).exists());
    let module = module.context("its module is not installed (apt-get install libnginx-mod-nchan)")?;
    let port = free_port()?;
    let folder = folder.display();
    let config = format!(
        "load_module {module};\ndaemon off;\nmaster_process off;\nworker_processes 1;\n\
         pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{ worker_connections 12000; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  \
         fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  \
         keepalive_requests 1000000;\n  server {{\n    listen 127.0.0.1:{port} backlog=1024;\n    \
         location = /sub {{ nchan_subscriber websocket; nchan_channel_id s; nchan_subscriber_first_message newest; }}\n    \
         location = /pub {{ nchan_publisher http; nchan_channel_id s; nchan_store_messages off; }}\n  }}\n}}\n"
    );
    let path = format!("{folder}/nginx.conf");
    std::fs::write(&path, config)?;
    let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
    let arguments = ["-c", &path, "-e", &format!("{folder}/error.log")].map(str::to_owned).to_vec();
    let process = on_core("nginx", program.into(), arguments, core)?;
    until_it_listens(port)?;
    let trigger = Some(Trigger::Post { port, path: "/pub".to_owned() });
    let serving = Serving { port, wss_port: None, trigger };
    Ok(Started { process, serving, exchange: Exchange::UpgradeOnly, path: "/sub" })
}

fn nats(folder: &Path, core: usize) -> anyhow::Result<Started> {
    let (port, websocket) = (free_port()?, free_port()?);
    let config = format!(
        "listen: \"127.0.0.1:{port}\"\nmax_connections: 20000\nwebsocket {{ listen: \"127.0.0.1:{websocket}\", no_tls: true }}\n"
    );
    let path = folder.join("nats.conf");
    std::fs::write(&path, config)?;
    let arguments = vec![
        "-c".to_owned(),
        path.to_string_lossy().into_owned(),
        "-l".to_owned(),
        folder.join("log").to_string_lossy().into_owned(),
    ];
    let program = ["/usr/sbin/nats-server", "/usr/bin/nats-server"].into_iter().find(|path| Path::new(path).exists());
    let program = program.context("it is not installed (apt-get install nats-server)")?;
    let process = on_core("nats-server", program.into(), arguments, core)?;
    until_it_listens(port)?;
    until_it_listens(websocket)?;
    let trigger = Some(Trigger::Nats { port, subject: "s".to_owned() });
    let serving = Serving { port: websocket, wss_port: None, trigger };
    Ok(Started { process, serving, exchange: Exchange::Nats, path: "/" })
}

/// Of the package that its sources come with, there being no other.
fn uwebsockets_version(installed: &Path) -> String {
    let package = installed.join("uwebsockets/vendor/libuwebsockets-sys/Cargo.toml");
    let package = std::fs::read_to_string(package).unwrap_or_default();
    let version = package.lines().find_map(|line| line.strip_prefix("version = "));
    format!("uWebSockets of libuwebsockets-sys {}", version.unwrap_or_default().trim_matches('"'))
}

fn uwebsockets(installed: &Path, floor: &FloorSpec, core: usize) -> anyhow::Result<Started> {
    let program = installed.join("uwebsockets/server");
    if !program.exists() {
        bail!("it is not built: ./bench --peers does that, with g++ (apt-get install g++)");
    }
    let control = floor.control.to_string_lossy().into_owned();
    let arguments = vec![control, floor.lengths.ready.to_string(), floor.lengths.state.to_string()];
    let mut process = on_core("uWebSockets", program, arguments, core)?;
    let serving = process.hear()?;
    Ok(Started { process, serving, exchange: Exchange::Loopkey, path: "/v1" })
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

pub(crate) fn until_it_listens(port: u16) -> anyhow::Result<()> {
    let since = machine::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if since.elapsed() > PATIENCE {
            bail!("it does not listen on port {port}");
        }
        machine::rest(Duration::from_millis(10));
    }
    Ok(())
}
