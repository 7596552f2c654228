//! The command `loopkey` as a service alone, as a person may have it: with a configuration file, an enrolled account with its
//! key, three origins with grants, an audit log, and the port that speaks TLS.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use loopkey::agent::WssFiles;
use loopkey::certs::Certs;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::install::Homes;

use super::super::{Bench, SERVER_CORE, Server};
use super::start::{Startable, free_pair};
use crate::peers::on_core;
use crate::spec::AskIssuer;

pub(super) const NAME: &str = "agent";
/// Names the program; `./bench` builds it.
const PROGRAM: &str = "LOOPKEY_BENCH_DAEMON";

/// An agent that somebody has signed in to.
pub(super) struct Installed {
    pub(super) program: PathBuf,
    pub(super) identity: PathBuf,
    config: PathBuf,
    port: u16,
    secure: u16,
}

impl Installed {
    pub(super) fn prepare(bench: &mut Bench) -> anyhow::Result<Self> {
        let program = std::env::var_os(PROGRAM).map(PathBuf::from);
        let program = program.context("./bench builds it, and says in LOOPKEY_BENCH_DAEMON where it is")?;
        let folder = bench.folder.path().join("desktop");
        std::fs::create_dir_all(&folder)?;
        let (port, secure) = (free_pair()?, free_pair()?);
        let config = folder.join("agent.toml");
        std::fs::write(&config, configuration(&bench.issuing.issuer, port, secure))?;
        let files = WssFiles::of(&folder.join("state"));
        let identity = files.identity();
        let home = folder.join("nobody");
        let homes = Homes { config: home.join(".config"), data: home.join(".local/share"), home };
        Certs { files, homes }.create(SystemClock.timestamp())?;
        let installed = Self { program, identity, config, port, secure };
        let ticket: String = bench.issuer.ask(&AskIssuer::Ticket)?;
        let running = installed.serve()?;
        let control = folder.join("control.sock");
        let issuer = bench.issuing.issuer.as_str();
        installed.say(&["enrol", "--issuer", issuer, "--ticket", &ticket, "--control"], &control)?;
        drop(running);
        Ok(installed)
    }

    /// Runs one of its commands, which takes a path at its end.
    fn say(&self, words: &[&str], path: &Path) -> anyhow::Result<()> {
        let said = Command::new(&self.program).args(words).arg(path).stdin(Stdio::null()).output()?;
        if !said.status.success() {
            bail!("loopkey {} failed: {}", words[0], String::from_utf8_lossy(&said.stderr));
        }
        Ok(())
    }

    /// Runs it on the core of what is measured.
    pub(super) fn serve(&self) -> anyhow::Result<Server> {
        let arguments = ["agent", "--log", "error", "--config"].map(str::to_owned).into_iter();
        let arguments = arguments.chain([self.config.to_string_lossy().into_owned()]).collect();
        let process = on_core(NAME, self.program.clone(), arguments, SERVER_CORE)?;
        Server::of_a_desktop(NAME, process, self.port, self.secure)
    }
}

impl Startable for Installed {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["agent", "--log", "error", "--config"]).arg(&self.config).stderr(Stdio::null());
        command
    }

    fn ports(&self) -> (u16, u16) {
        (self.port, self.secure)
    }
}

fn configuration(issuer: &str, port: u16, secure: u16) -> String {
    let origin = |origin: &str, grants: &str| {
        format!("[[origin]]\norigin = \"{origin}\"\nissuer = \"{issuer}\"\ngrants = [{grants}]\n\n")
    };
    // No desktop's lock is watched: there is none where benchmarks run.
    format!(
        "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\nallow_root = true\n\
         ask = \"client\"\n\n[wss]\nport = {secure}\n\n[[issuer]]\nurl = \"{issuer}\"\n\n{}{}{}",
        origin(issuer, "\"presence\", \"login\""),
        origin("https://one.example.com", "\"presence\", \"login\", \"action:open\""),
        origin("https://two.example.com", "\"presence\""),
    )
}
