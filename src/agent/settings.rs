//! What an agent is told: by a configuration file, or in code by the program that embeds it.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::agent::person::ask::Ask;
use crate::agent::person::policy::Policy;
use crate::crypto::Algorithm;
use crate::protocol::grant::{ConsentMode, Grants, OpenProof};
use crate::protocol::issuer::Issuer;
use crate::protocol::limits::{
    DEFAULT_PORTS, DEFAULT_WSS_PORT, MAX_PORTS, PORT_RANGE, PROMPTS_PER_WINDOW, SocketLimits,
};
use crate::protocol::origin::Origin;

/// A login server that the agent works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// Its public base URL.
    pub url: Issuer,
    /// A PEM file with root certificates to trust for it, besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// An origin whose pages may speak to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginSettings {
    /// The origin, as browsers send it.
    pub origin: Origin,
    /// The login server whose challenges count for it.
    pub issuer: Issuer,
    /// What it may ask for.
    pub grants: Grants,
    /// How the person is asked.
    pub consent: ConsentMode,
    /// What its pages must show to open a socket.
    pub proof: OpenProof,
}

/// The port that speaks TLS, with the certificate that `loopkey certs` made in the state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WssSettings {
    /// The port; it is none of the candidates for `ws`.
    pub port: u16,
}

impl Default for WssSettings {
    fn default() -> Self {
        Self { port: DEFAULT_WSS_PORT }
    }
}

/// Everything that an agent is told.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Candidate ports, in order: at most three.
    pub ports: Vec<u16>,
    /// TLS on a port of its own, for browsers that refuse plain sockets; off by default.
    pub wss: Option<WssSettings>,
    /// Where device keys, accounts and consents are kept.
    pub state_dir: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// Allows `http://` origins and issuers on loopback.
    pub development: bool,
    /// Allows running as root: for containers and tests.
    pub allow_root: bool,
    /// Whether only this OS user's browsers pass.
    pub peer_check: bool,
    /// The login servers.
    pub issuers: Vec<IssuerSettings>,
    /// The origins.
    pub origins: Vec<OriginSettings>,
    /// What an administrator allows.
    pub policy: Policy,
    /// Limits on sockets.
    pub limits: SocketLimits,
    /// Prompts for one origin in ten minutes, of logins and of approvals each. The embedding application may raise it; no
    /// configuration file can.
    pub prompts_per_window: usize,
    /// What the person sees in the list of devices.
    pub device_name: String,
    /// The algorithm of new device keys.
    pub algorithm: Algorithm,
    /// Who asks the person for consent.
    pub ask: Ask,
    /// Whether the desktop's lock, idleness and sleep lower the presence while no client is connected (Linux).
    pub desktop_presence: bool,
}

/// An entry that cannot stay as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    /// Which entry, as a path: `origin[1].issuer`.
    pub entry: String,
    /// What is wrong, and the cure.
    pub problem: String,
}

impl std::fmt::Display for SettingFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.entry, self.problem)
    }
}

impl AgentSettings {
    /// Settings with the defaults of the protocol, for the given places.
    #[must_use]
    pub fn new(state_dir: PathBuf, control: PathBuf) -> Self {
        Self {
            ports: DEFAULT_PORTS.to_vec(),
            wss: None,
            state_dir,
            control,
            development: false,
            allow_root: false,
            peer_check: true,
            issuers: Vec::new(),
            origins: Vec::new(),
            policy: Policy::default(),
            limits: SocketLimits::default(),
            prompts_per_window: PROMPTS_PER_WINDOW,
            device_name: device_name(),
            algorithm: Algorithm::default(),
            ask: Ask::default(),
            desktop_presence: false,
        }
    }

    /// Everything that is wrong, so that a person can mend it in one go. Empty where the agent can start.
    #[must_use]
    pub fn faults(&self) -> Vec<SettingFault> {
        let mut faults = port_faults(&self.ports);
        let mut fault = |entry: String, problem: String| faults.push(SettingFault { entry, problem });
        if self.desktop_presence && !cfg!(all(target_os = "linux", feature = "logind")) {
            let why = if cfg!(target_os = "linux") {
                "this program was built without watching the desktop (the feature `logind` of loopkey)"
            } else {
                "the desktop is watched on Linux only so far"
            };
            fault("desktop.presence".to_owned(), format!("{why}: leave it out, and let the client say it"));
        }
        if let Some(WssSettings { port }) = self.wss {
            if !PORT_RANGE.contains(&port) {
                fault("wss.port".to_owned(), out_of_range(port));
            }
            if self.ports.contains(&port) {
                fault(
                    "wss.port".to_owned(),
                    format!("{port} is one of `ports`, where no TLS is spoken: choose another"),
                );
            }
        }
        let mut issuers = HashSet::new();
        for (at, issuer) in self.issuers.iter().enumerate() {
            if issuer.url.origin().is_insecure() && !self.development {
                fault(format!("issuer[{at}].url"), NEEDS_DEVELOPMENT.to_owned());
            }
            if !issuers.insert(&issuer.url) {
                fault(format!("issuer[{at}].url"), "this issuer is listed twice: remove one".to_owned());
            }
        }
        let mut origins = HashSet::new();
        for (at, origin) in self.origins.iter().enumerate() {
            if origin.origin.is_insecure() && !self.development {
                fault(format!("origin[{at}].origin"), NEEDS_DEVELOPMENT.to_owned());
            }
            if !origins.insert(&origin.origin) {
                fault(format!("origin[{at}].origin"), "this origin is listed twice: remove one".to_owned());
            }
            if !issuers.contains(&origin.issuer) {
                let problem =
                    format!("no [[issuer]] has the url {:?}: add it, or correct this one", origin.issuer.as_str());
                fault(format!("origin[{at}].issuer"), problem);
            }
        }
        faults
    }
}

const NEEDS_DEVELOPMENT: &str = "http:// is for development: use https://, or set development = true";

/// What is wrong with a list of candidate ports.
#[must_use]
pub fn port_faults(ports: &[u16]) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    let mut fault = |entry: String, problem: String| faults.push(SettingFault { entry, problem });
    if ports.is_empty() || ports.len() > MAX_PORTS {
        fault("ports".to_owned(), format!("give one to {MAX_PORTS} ports: browsers punish longer lists"));
    }
    for (at, port) in ports.iter().enumerate() {
        if !PORT_RANGE.contains(port) {
            fault(format!("ports[{at}]"), out_of_range(*port));
        }
        if ports[..at].contains(port) {
            fault(format!("ports[{at}]"), format!("{port} is listed twice: remove one"));
        }
    }
    faults
}

fn out_of_range(port: u16) -> String {
    format!("{port} is out of range: choose one from {} to {}", PORT_RANGE.start(), PORT_RANGE.end())
}

/// The computer's name, as far as it tells.
fn device_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    if name.is_empty() { "this computer".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(all(target_os = "linux", feature = "logind")))]
    #[test]
    fn without_a_way_to_watch_the_desktop_presence_from_it_is_refused() {
        let mut settings = AgentSettings::new("state".into(), "control".into());
        settings.desktop_presence = true;
        let faults = settings.faults();
        assert!(matches!(&faults[..], [SettingFault { entry, .. }] if entry == "desktop.presence"), "{faults:?}");
    }

    #[test]
    fn every_fault_is_named() {
        let mut settings = AgentSettings::new("state".into(), "control".into());
        assert_eq!(settings.faults(), []);
        settings.ports = vec![80, 28970, 28970, 40000];
        settings.wss = Some(WssSettings { port: 40000 });
        let issuer: Issuer = "http://localhost:28980".parse().expect("issuer");
        settings.issuers = vec![IssuerSettings { url: issuer, ca_file: None }; 2];
        let origin = OriginSettings {
            origin: "http://localhost:28980".parse().expect("origin"),
            issuer: "https://elsewhere.example".parse().expect("issuer"),
            grants: Grants::default(),
            consent: ConsentMode::Prompt,
            proof: OpenProof::Challenge,
        };
        settings.origins = vec![origin.clone(), origin];
        let entries: Vec<_> = settings.faults().into_iter().map(|fault| fault.entry).collect();
        for entry in [
            "ports",
            "ports[0]",
            "ports[2]",
            "ports[3]",
            "wss.port",
            "issuer[0].url",
            "issuer[1].url",
            "origin[0].origin",
            "origin[0].issuer",
            "origin[1].origin",
        ] {
            assert!(entries.iter().any(|e| e == entry), "{entry} is not among {entries:?}");
        }
    }
}
