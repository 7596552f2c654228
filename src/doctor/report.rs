//! Everything that was found, for people and for support desks.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::agent::{AgentSettings, Examination, Finding, Severity, Status};
use crate::protocol::origin::Origin;

/// The form of the report, which only grows.
const VERSION: u32 = 1;

/// What an agent says of itself.
#[derive(Debug)]
pub(super) struct AgentAnswer {
    pub(super) status: Status,
    pub(super) examination: Examination,
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    version: u32,
    /// This program's version.
    loopkey: &'static str,
    /// The running agent's version; nothing where none answers.
    agent: Option<String>,
    /// The port that it listens on.
    pub(super) port: Option<u16>,
    findings: Vec<Finding>,
    looked_at: Vec<String>,
    /// Whether no agent is running, by its control socket.
    #[serde(skip)]
    pub agent_is_absent: bool,
    /// Whether the configuration that was named is wrong.
    #[serde(skip)]
    pub config_is_wrong: bool,
    /// Whether the running agent speaks TLS.
    #[serde(skip)]
    pub(super) speaks_tls: bool,
    #[serde(skip)]
    told: Option<(Vec<u16>, Vec<Origin>)>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { version: VERSION, loopkey: env!("CARGO_PKG_VERSION"), ..Self::default() }
    }

    pub(super) fn add(&mut self, looked_at: impl Into<String>, findings: impl IntoIterator<Item = Finding>) {
        let mut examination = Examination::default();
        examination.add(looked_at, findings);
        self.take(examination);
    }

    pub(super) fn take(&mut self, examination: Examination) {
        self.looked_at.extend(examination.looked_at);
        self.findings.extend(examination.findings);
        self.findings.sort_by_key(|finding| finding.severity);
    }

    pub(super) fn take_agent(&mut self, answer: AgentAnswer) {
        let AgentAnswer { status, examination } = answer;
        (self.agent, self.port) = (Some(status.agent), Some(status.port));
        self.speaks_tls = status.wss_port.is_some();
        let origins = status.origins.into_iter().map(|status| status.origin).collect();
        self.told = Some((examination.ports.clone(), origins));
        self.take(examination);
    }

    /// The candidate ports: the running agent's, else those that are configured.
    pub(super) fn ports(&self, configured: &[u16]) -> Vec<u16> {
        let told = self.told.as_ref().map(|(ports, _)| ports.clone());
        told.filter(|ports| !ports.is_empty()).unwrap_or_else(|| configured.to_vec())
    }

    pub(super) fn origins(&self, settings: Option<&AgentSettings>) -> Vec<Origin> {
        match (&self.told, settings) {
            (Some((_, origins)), _) => origins.clone(),
            (None, Some(settings)) => settings.origins.iter().map(|settings| settings.origin.clone()).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// How many findings are more than notes.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_wrong()).count()
    }

    /// The report in words: grouped by how much it matters, the cure below each finding.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = String::new();
        let mut groups: BTreeMap<Severity, Vec<&Finding>> = BTreeMap::new();
        for finding in &self.findings {
            groups.entry(finding.severity).or_default().push(finding);
        }
        for (severity, findings) in groups {
            let (title, sign) = match severity {
                Severity::Error => ("Keeps people from signing in", '✗'),
                Severity::Warning => ("Not as it should be", '!'),
                Severity::Note => ("Good to know", '·'),
            };
            text.push_str(&format!("{title}:\n"));
            for finding in findings {
                text.push_str(&format!("  {sign} {} [{}]\n", finding.what, finding.code));
                let faults = finding.details.get("faults").and_then(serde_json::Value::as_array);
                for fault in faults.into_iter().flatten().filter_map(serde_json::Value::as_str) {
                    text.push_str(&format!("      {fault}\n"));
                }
                text.push_str(&format!("    → {}\n", finding.cure));
            }
            text.push('\n');
        }
        let looked_at = self.looked_at.join(", ");
        match self.wrong() {
            0 => text.push_str(&format!("✓ Nothing is wrong. Looked at: {looked_at}.")),
            _ => text.push_str(&format!("Looked at: {looked_at}.")),
        }
        text
    }
}
