//! What is wrong, seen from outside the agent: whether one runs, who has its ports, and what keeps browsers from it. With
//! what the agent says of itself this makes the report of `loopkey doctor`.
//!
//! It looks and changes nothing.

mod browsers;
mod control;
mod ports;
mod report;
mod user;
mod wss;

use std::path::PathBuf;
use std::sync::Arc;

pub use browsers::Places;
pub use report::Report;

use crate::agent::control::ControlError;
use crate::agent::{AgentSettings, Finding, examine_issuers, examine_state};
use crate::clock::SystemClock;
use crate::config::{self, ConfigError};
use crate::protocol::limits::DEFAULT_PORTS;

/// What to look at.
#[derive(Debug, Default)]
pub struct Examiner {
    /// `agent.toml`, where it is known.
    pub config: Option<PathBuf>,
    /// The control socket, where it is another than the configured or the default one.
    pub control: Option<PathBuf>,
    /// Where browsers keep what their people decided.
    pub places: Places,
}

impl Examiner {
    /// Looks at everything.
    pub async fn examine(self) -> Report {
        let mut report = Report::new();
        let settings = self.config.as_ref().and_then(|path| configured(path, &mut report));
        let path = self
            .control
            .or_else(|| settings.as_ref().map(|settings| settings.control.clone()))
            .unwrap_or_else(config::default_control);
        match control::ask(&path).await {
            Ok(answer) => {
                report.add("the control socket", []);
                report.take_agent(answer);
            }
            Err(error) => {
                report.agent_is_absent = matches!(error, ControlError::NoAgent(_));
                report.add("the control socket", control::findings(&path, &error));
                if let Some(settings) = &settings {
                    absent(settings, &mut report).await;
                }
            }
        }
        // Of a running agent's folder only a configuration tells, where it is not the default one.
        let state_dir = settings.as_ref().map_or_else(config::default_state_dir, |settings| settings.state_dir.clone());
        if report.speaks_tls || settings.as_ref().is_some_and(|settings| settings.wss.is_some()) {
            report.add("who knows the agent's certificate", wss::known(&state_dir));
        }
        let candidates = report.ports(settings.as_ref().map_or(&DEFAULT_PORTS[..], |settings| &settings.ports));
        let findings = ports::examine(&candidates, report.port).await;
        let list: Vec<_> = candidates.iter().map(ToString::to_string).collect();
        report.add(format!("ports {}", list.join(", ")), findings);
        let origins = report.origins(settings.as_ref());
        if !origins.is_empty() {
            let (looked_at, findings) = self.places.examine(&origins);
            for browser in looked_at {
                report.add(browser, []);
            }
            report.add("browsers' policies", findings);
        }
        report
    }
}

/// Reads the configuration, and says what is wrong with it.
fn configured(path: &std::path::Path, report: &mut Report) -> Option<AgentSettings> {
    let policy = config::system_policy().map_err(|error| {
        Finding::error(
            "policy_wrong",
            "the administrator's policy cannot be used, so no agent starts",
            "whoever administers this computer has to mend it: `loopkey check-config FILE` says how",
        )
        .with("faults", lines(&error))
    });
    let loaded = config::load(path, config::Kind::Agent, config::agent).map_err(|error| {
        report.config_is_wrong = true;
        Finding::error(
            "config_wrong",
            format!("{} cannot stay as it is, so no agent starts with it", path.display()),
            "mend each entry as the details say; `loopkey check-config FILE` looks again",
        )
        .with("faults", lines(&error))
    });
    report.add(path.display().to_string(), loaded.as_ref().err().cloned());
    report.add(config::policy_path().display().to_string(), policy.as_ref().err().cloned());
    loaded.ok()
}

/// The lines of an error that lists several things, without the one that only says so.
fn lines(error: &ConfigError) -> Vec<String> {
    let text = match error {
        ConfigError::InFile(_, error) => error.to_string(),
        other => other.to_string(),
    };
    text.lines().map(str::to_owned).collect()
}

/// What the agent would look at itself, if it ran.
async fn absent(settings: &AgentSettings, report: &mut Report) {
    report.add("device keys and the audit log", examine_state(&settings.state_dir));
    if settings.wss.is_some() {
        report.add("the certificate of the TLS port", wss::certificate(&settings.state_dir));
    }
    report.take(examine_issuers(settings, Arc::new(SystemClock)).await);
}
