//! The demo's agent, which can be stopped and started from the client's window.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Places;
use crate::agent::{Agent, AgentSettings, Browser, Handle, IssuerSettings, OriginSettings, StartError};
use crate::protocol::grant::{ConsentMode, Grant, OpenProof};
use crate::protocol::issuer::Issuer;

/// Who plays with the demo signs in again and again, and is asked each time.
const PROMPTS_PER_WINDOW: usize = 30;

/// A place for one agent.
pub(super) struct AgentSlot {
    settings: AgentSettings,
    browser: Option<Arc<dyn Browser>>,
    running: Option<(Handle, JoinHandle<()>)>,
}

/// Where the demo's agent has its control socket.
pub(super) fn control(places: &Places, folder: &Path) -> PathBuf {
    places.control.clone().unwrap_or_else(|| folder.join("run").join("control.sock"))
}

impl AgentSlot {
    pub(super) fn new(folder: &Path, places: &Places, issuer: &Issuer, browser: Option<Arc<dyn Browser>>) -> Self {
        let control = control(places, folder);
        let mut settings = AgentSettings::new(folder.join("agent"), control);
        settings.ports.clone_from(&places.agent);
        settings.development = true;
        settings.allow_root = true;
        settings.prompts_per_window = PROMPTS_PER_WINDOW;
        if cfg!(not(target_os = "linux")) {
            // The start says so. The checks of other systems were never run, and a demo should start there.
            settings.peer_check = false;
        }
        settings.issuers = vec![IssuerSettings { url: issuer.clone(), ca_file: None }];
        let grants = [Grant::Presence, Grant::Login, Grant::Action("open".into()), Grant::Action("player".into())];
        settings.origins = vec![OriginSettings {
            origin: issuer.origin(),
            issuer: issuer.clone(),
            grants: grants.into_iter().collect(),
            consent: ConsentMode::Prompt,
            proof: OpenProof::Challenge,
        }];
        Self { settings, browser, running: None }
    }

    pub(super) fn control(&self) -> PathBuf {
        self.settings.control.clone()
    }

    pub(super) async fn start(&mut self) -> Result<(), StartError> {
        if self.running.as_ref().is_none_or(|(_, task)| task.is_finished()) {
            let builder = Agent::builder(self.settings.clone());
            let agent = match &self.browser {
                Some(browser) => builder.browser(Arc::clone(browser)).bind().await?,
                None => builder.bind().await?,
            };
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
