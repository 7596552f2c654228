//! `agent.toml`.

use std::path::{Path, PathBuf};

use super::reader::Section;
use super::{ConfigError, check};
use crate::agent::{AgentSettings, Ask, IssuerSettings, OriginSettings, WssSettings, extra_roots};
use crate::protocol::grant::{ConsentMode, Grant, OpenProof};
use crate::protocol::limits::SocketLimits;

const KEYS: [&str; 13] = [
    "ports",
    "wss",
    "state_dir",
    "control",
    "development",
    "allow_root",
    "peer_check",
    "limits",
    "device_name",
    "ask",
    "desktop",
    "issuer",
    "origin",
];

const ASK: [(&str, Ask); 4] =
    [("auto", Ask::Auto), ("client", Ask::Client), ("dialog", Ask::Dialog), ("terminal", Ask::Terminal)];

/// Reads an `agent.toml` of a folder, in which its paths begin.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub fn agent(text: &str, folder: &Path) -> Result<AgentSettings, ConfigError> {
    check(text, folder, |notes, root| {
        let settings = read(root)?;
        for (at, issuer) in settings.issuers.iter().enumerate() {
            if let Err(fault) = extra_roots(issuer.ca_file.as_deref()) {
                notes.fault_of(&format!("issuer[{at}].ca_file"), fault);
            }
        }
        for fault in settings.faults() {
            notes.fault_of(&fault.entry, fault.problem);
        }
        Some(settings)
    })
}

fn read(mut root: Section<'_>) -> Option<AgentSettings> {
    let state_dir = root.path("state_dir").unwrap_or_else(default_state_dir);
    let control = root.path("control").unwrap_or_else(|| default_control_in(&state_dir));
    let mut settings = AgentSettings::new(state_dir, control);
    if let Some(ports) = root.ports("ports") {
        settings.ports = ports;
    }
    if let Some(section) = root.section("wss") {
        settings.wss = Some(wss(section));
    }
    settings.development = root.boolean("development").unwrap_or(false);
    settings.allow_root = root.boolean("allow_root").unwrap_or(false);
    settings.peer_check = root.one_of("peer_check", &[("on", true), ("off", false)]).unwrap_or(true);
    if let Some(section) = root.section("limits") {
        settings.limits = limits(section);
    }
    if let Some(name) = root.parsed("device_name") {
        settings.device_name = name;
    }
    settings.ask = root.one_of("ask", &ASK).unwrap_or(Ask::Auto);
    if let Some(mut section) = root.section("desktop") {
        settings.desktop_presence = section.boolean("presence").unwrap_or(false);
        section.end(&["presence"]);
    }
    settings.issuers = root.sections("issuer", issuer);
    settings.origins = root.sections("origin", origin);
    root.end(&KEYS);
    Some(settings)
}

fn wss(mut section: Section<'_>) -> WssSettings {
    let port = section.number("port", 1, usize::from(u16::MAX)).and_then(|port| u16::try_from(port).ok());
    section.end(&["port"]);
    port.map_or_else(WssSettings::default, |port| WssSettings { port })
}

/// Limits can be lowered here; an embedding program may raise them in code.
fn limits(mut section: Section<'_>) -> SocketLimits {
    let most = SocketLimits::default();
    let limits = SocketLimits {
        per_origin: section.at_most("per_origin", most.per_origin),
        total: section.at_most("total", most.total),
        not_yet_open: section.at_most("not_yet_open", most.not_yet_open),
    };
    section.end(&["per_origin", "total", "not_yet_open"]);
    limits
}

fn issuer(mut section: Section<'_>) -> Option<IssuerSettings> {
    let url = section.required("url", "\"https://app.example.com/loopkey\"");
    let ca_file = section.path("ca_file");
    section.end(&["url", "ca_file"]);
    Some(IssuerSettings { url: url?, ca_file })
}

fn origin(mut section: Section<'_>) -> Option<OriginSettings> {
    let origin = section.required("origin", "\"https://app.example.com\"");
    let issuer = section.required("issuer", "\"https://app.example.com/loopkey\"");
    let grants = section.list_of::<Grant>("grants");
    let consent = section.one_of(
        "consent",
        &[("prompt", ConsentMode::Prompt), ("always", ConsentMode::Always), ("page", ConsentMode::Page)],
    );
    let proof = section.one_of("proof", &[("challenge", OpenProof::Challenge), ("origin", OpenProof::Origin)]);
    section.end(&["origin", "issuer", "grants", "consent", "proof"]);
    let grants = grants.unwrap_or_else(|| vec![Grant::Presence, Grant::Login]);
    Some(OriginSettings {
        origin: origin?,
        issuer: issuer?,
        grants: grants.into_iter().collect(),
        consent: consent.unwrap_or_default(),
        proof: proof.unwrap_or_default(),
    })
}

/// Where the agent keeps its state unless it is told otherwise: the platform's data directory.
#[must_use]
pub fn default_state_dir() -> PathBuf {
    directories::ProjectDirs::from("", "", "loopkey")
        .map_or_else(|| PathBuf::from("loopkey-state"), |dirs| dirs.data_local_dir().to_owned())
}

/// Where the control socket is unless it is said otherwise (protocol section 9).
#[must_use]
pub fn default_control() -> PathBuf {
    default_control_in(&default_state_dir())
}

fn default_control_in(state_dir: &Path) -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        Some(runtime) => PathBuf::from(runtime).join("loopkey").join("control.sock"),
        None => state_dir.join("control.sock"),
    }
}
