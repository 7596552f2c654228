//! An agent on Node that does the same, as far as a page sees: see `peers/agent.mjs`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::super::{Bench, SERVER_CORE, Server};
use super::agent::Installed;
use super::start::{Startable, free_pair};
use crate::peers::{on_core, put_scripts};

pub(super) const NAME: &str = "Node agent";
/// The device key.
const KEY: &str = "device.pem";

/// Node, and what it is told.
pub(super) struct NodeAgent {
    /// Node's own program.
    pub(super) runtime: PathBuf,
    script: PathBuf,
    told: String,
    port: u16,
    secure: u16,
}

impl NodeAgent {
    pub(super) fn prepare(bench: &Bench, agent: &Installed) -> anyhow::Result<Self> {
        let installed = std::path::absolute(&bench.args.peers_folder)?;
        put_scripts(&installed)?;
        let runtime = PathBuf::from(node(&["-p", "process.execPath"])?);
        let device = bench.folder.path().join(KEY);
        let path = device.to_string_lossy();
        node(&[
            "-e",
            "const made = crypto.generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }); \
             fs.writeFileSync(process.argv[1], made, { mode: 0o600 })",
            path.as_ref(),
        ])?;
        let (port, secure) = (free_pair()?, free_pair()?);
        let told = json!({
            "key": bench.issuing.key, "device": path, "identity": agent.identity, "port": port, "secure": secure,
            "origins": [bench.issuing.issuer, "https://one.example.com", "https://two.example.com"],
        });
        Ok(Self { runtime, script: installed.join("agent.mjs"), told: told.to_string(), port, secure })
    }

    /// Runs it on the core of what is measured.
    pub(super) fn serve(&self) -> anyhow::Result<Server> {
        let arguments = vec![self.script.to_string_lossy().into_owned(), self.told.clone()];
        let process = on_core(NAME, self.runtime.clone(), arguments, SERVER_CORE)?;
        Server::of_a_desktop(NAME, process, self.port, self.secure)
    }
}

impl Startable for NodeAgent {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.runtime);
        command.arg(&self.script).arg(&self.told).stderr(Stdio::null());
        command
    }

    fn ports(&self) -> (u16, u16) {
        (self.port, self.secure)
    }
}

/// What Node says to a line of its own language.
fn node(arguments: &[&str]) -> anyhow::Result<String> {
    let said = Command::new("node").args(arguments).stdin(Stdio::null()).output().context("node is not installed")?;
    if !said.status.success() {
        bail!("node failed: {}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}
