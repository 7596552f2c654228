//! What is wrong with an agent, as far as it knows itself; `loopkey doctor` adds what only shows from outside.
//!
//! A finding says what is wrong and what to do. None holds a secret, and nothing that a page sent but its origin.

mod accounts;
mod finding;
mod gate;
mod issuers;
mod link;
mod state;
mod troubles;
mod wss;

use std::sync::Arc;

use futures::future::join_all;

pub use finding::{Examination, Finding, Severity};
pub use issuers::examine_issuers;
pub use state::examine_state;
pub(super) use troubles::{Troubles, origin_of};
pub use wss::examine_wss;

use super::handle::Handle;
use crate::agent::door::certificate::WssFiles;
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;

impl Handle {
    /// Looks for what is wrong: with the settings, at the gate since the start, with the files, and at the login servers,
    /// which are asked anew for it.
    pub async fn doctor(&self) -> Examination {
        let mut examination = Examination { ports: self.settings.ports.clone(), ..Examination::default() };
        examination.add("the settings", self.examine_settings());
        examination.add("connections since the agent was started", gate::findings(&self.core.troubles.lists()));
        let (core, keys, folder) = (Arc::clone(&self.core), Arc::clone(&self.keys), self.settings.state_dir.clone());
        // Reading the whole log is not for the thread that serves pages.
        let files = tokio::task::spawn_blocking(move || {
            let keys = core.hubs.values().flat_map(|hub| state::examine_keys(hub, keys.as_ref())).collect::<Vec<_>>();
            [state::examine_state(&folder), keys].concat()
        });
        examination.add("device keys and the audit log", files.await.unwrap_or_default());
        if self.settings.wss.is_some() {
            let files = WssFiles::of(&self.settings.state_dir);
            examination.add("the certificate of the TLS port", examine_wss(&files, self.core.clock.wall()));
        }
        let mut hubs: Vec<_> = self.core.hubs.values().collect();
        hubs.sort_by_key(|hub| hub.issuer().as_str());
        let looks = hubs
            .iter()
            .map(async |hub| issuers::examine_hub(hub, &self.a_page_of(hub.issuer()), &*self.core.clock).await);
        for (hub, findings) in hubs.iter().zip(join_all(looks).await) {
            examination.add(hub.issuer().to_string(), findings);
            examination.add(hub.issuer().to_string(), state::examine_record(hub));
            examination.add(hub.issuer().to_string(), accounts::examine_accounts(hub, &hubs));
            examination.add(hub.issuer().to_string(), link::examine_link(hub));
            let waiting = hub.pending_sign_outs().len();
            let waits = (waiting > 0).then(|| {
                Finding::warning(
                    "sign_outs_wait",
                    format!("sign-outs wait to be delivered to {} ({waiting}): web sessions live on there", hub.issuer()),
                    "they are delivered as soon as the login server takes them; what keeps it from that stands beside this",
                )
                .with("issuer", hub.issuer().as_str())
                .with("count", waiting)
            });
            examination.add(hub.issuer().to_string(), waits);
        }
        examination
    }

    /// An origin whose pages sign in at this issuer; the issuer's own where none is configured.
    fn a_page_of(&self, issuer: &Issuer) -> Origin {
        let theirs = self.core.origins.values().filter(|settings| settings.issuer == *issuer);
        let first = theirs.map(|settings| &settings.origin).min_by_key(|origin| origin.as_str());
        first.cloned().unwrap_or_else(|| issuer.origin())
    }

    fn examine_settings(&self) -> Vec<Finding> {
        let settings = &self.settings;
        let mut findings = Vec::new();
        if !settings.peer_check {
            findings.push(Finding::warning(
                "peer_check_off",
                "peer_check is off: other users of this computer can reach the agent",
                "remove peer_check = \"off\" from agent.toml, unless nobody else uses this computer",
            ));
        }
        if settings.allow_root && super::service::is_root() {
            findings.push(Finding::note(
                "root",
                "the agent runs as root (allow_root = true)",
                "run it as the person's own user; in a container or a test nothing is to be done",
            ));
        }
        if settings.origins.is_empty() {
            findings.push(Finding::error(
                "no_origins",
                "no page can reach this agent: no origin is configured, or an administrator's policy has taken them all away",
                "add an [[origin]] to agent.toml; `loopkey check-config` says whether it is right",
            ));
        }
        let policy = &settings.policy;
        if policy.only_listed || !policy.origins.is_empty() {
            let words = |origins: Vec<&super::OriginPolicy>| {
                origins.into_iter().map(|policy| policy.origin.to_string()).collect::<Vec<_>>()
            };
            let (blocked, narrowed) = policy.origins.iter().partition(|origin| origin.blocked);
            findings.push(
                Finding::note(
                    "policy",
                    "an administrator's policy decides on this computer which sites may use the agent, and how",
                    "to have it changed, ask whoever administers this computer",
                )
                .with("only_listed", policy.only_listed)
                .with("listed", words(narrowed))
                .with("blocked", words(blocked)),
            );
        }
        findings
    }
}
