//! The loopback service that knows who is signed in to the desktop client, to run as a daemon or inside another program.
//!
//! A connection comes in at the `door`, becomes a `page` under the protocol's machine, and is told of every change by the hub of
//! its `issuer`; the `person` is asked. The `client` speaks to the agent over the [`control`] socket, or, where it embeds the
//! agent, through the [`Handle`]. There is no global state: several agents can live in one process.

mod audience;
pub mod audit;
mod client;
mod core;
mod desktop;
mod doctor;
mod door;
mod handle;
mod issuer;
mod page;
mod person;
mod reported;
mod service;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod timers;

pub use client::action::{Action, ActionFault, ActionOwner, Invocation, PublishError, RegisterError};
pub use client::control;
pub use doctor::{Examination, Finding, Severity, examine_issuers, examine_state, examine_wss};
pub use door::certificate::{NoTls, Validity, WssFiles};
pub use door::listener::{BadInherited, NoFreePort};
pub use door::peer::{Listener, PeerCheck, PeerFault, listeners, system as system_peer_check};
pub use handle::{Handle, HandleError};
pub use issuer::client::IssuerFault;
#[cfg(feature = "daemon")]
pub(crate) use issuer::http::extra_roots;
pub use issuer::http::{CallFailed, NoClient, client as http_client};
#[cfg(feature = "cli")]
pub(crate) use issuer::http::{client_here as http_client_here, unreachable};
pub use issuer::hub::HubError;
pub use issuer::keystore::{FileKeyStore, KeyStore, KeyStoreError};
pub use issuer::record::RecordError;
pub use person::approval::{ApprovalAnswer, ApprovalPrompt};
pub use person::ask::Ask;
pub use person::consent::{Answer, Asker, Prompt};
pub use person::open::Browser;
pub use person::policy::{OriginPolicy, Policy};
pub use service::{Agent, Builder, StartError};
pub use settings::{AgentSettings, IssuerSettings, OriginSettings, SettingFault, WssSettings, port_faults};
pub use status::{AccountInfo, ConsentInfo, IssuerStatus, OriginStatus, Status};
