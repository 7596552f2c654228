//! The demo's agent, which can be stopped and started from the client's window.

use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::Places;
use crate::agent::{Agent, AgentSettings, Handle, IssuerSettings, OriginSettings, StartError};
use crate::protocol::grant::{ConsentMode, Grant, OpenProof};
use crate::protocol::issuer::Issuer;

/// A place for one agent.
pub(super) struct AgentSlot {
    settings: AgentSettings,
    running: Option<(Handle, JoinHandle<()>)>,
}

/// Where the demo's agent has its control socket.
pub(super) fn control(places: &Places, folder: &Path) -> PathBuf {
    places.control.clone().unwrap_or_else(|| folder.join("run").join("control.sock"))
}

impl AgentSlot {
    pub(super) fn new(folder: &Path, places: &Places, issuer: &Issuer) -> Self {
        let control = control(places, folder);
        let mut settings = AgentSettings::new(folder.join("agent"), control);
        settings.ports.clone_from(&places.agent);
        settings.development = true;
        settings.allow_root = true;
        if cfg!(not(target_os = "linux")) {
            // The start says so. The checks of other systems were never run, and a demo should start there.
            settings.peer_check = false;
        }
        settings.issuers = vec![IssuerSettings { url: issuer.clone(), ca_file: None }];
        settings.origins = vec![OriginSettings {
            origin: issuer.origin(),
            issuer: issuer.clone(),
            grants: [Grant::Presence, Grant::Login].into_iter().collect(),
            consent: ConsentMode::Prompt,
            proof: OpenProof::Challenge,
        }];
        Self { settings, running: None }
    }

    pub(super) fn control(&self) -> PathBuf {
        self.settings.control.clone()
    }

    pub(super) async fn start(&mut self) -> Result<(), StartError> {
        if self.running.as_ref().is_none_or(|(_, task)| task.is_finished()) {
            let agent = Agent::builder(self.settings.clone()).bind().await?;
            let handle = agent.handle();
            self.running = Some((handle, tokio::spawn(agent.run(std::future::pending()))));
        }
        Ok(())
    }

    pub(super) async fn stop(&mut self) {
        if let Some((handle, task)) = self.running.take() {
            handle.stop();
            let _ = task.await;
        }
    }
}
