//! The loopback service that knows who is signed in to the desktop client, to run as a daemon or inside another program.
//!
//! A connection is received at the `doorman`, driven by the `driver` under the protocol's machine, and told of every
//! change by its issuer's `hub`. The client speaks to the agent over the [`control`] socket, or, where it embeds the
//! agent, through the [`Handle`]. There is no global state: several agents can live in one process.

mod action;
mod ask;
pub mod audit;
mod census;
mod consent;
pub mod control;
mod core;
mod desktop;
mod doctor;
mod doorman;
mod driver;
mod errands;
mod handle;
mod http;
mod hub;
mod issuer;
mod keystore;
mod link;
mod listener;
mod open;
mod pass;
mod peer;
mod policy;
mod profile;
mod record;
mod service;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod ticket;
mod wire;

pub use action::{Action, ActionFault, ActionOwner, Invocation, PublishError, RegisterError};
pub use ask::Ask;
pub use consent::{Answer, Asker, Prompt};
pub use doctor::{Examination, Finding, Severity, examine_issuers, examine_state};
pub use handle::{Handle, HandleError};
pub use http::{NoClient, client as http_client};
pub use hub::HubError;
pub use issuer::IssuerFault;
pub use keystore::{FileKeyStore, KeyStore, KeyStoreError};
pub use listener::{BadInherited, NoFreePort};
pub use open::Browser;
pub use peer::{Listener, PeerCheck, PeerFault, listeners, system as system_peer_check};
pub use policy::{OriginPolicy, Policy};
pub use record::RecordError;
pub use service::{Agent, Builder, StartError};
pub use settings::{AgentSettings, IssuerSettings, OriginSettings, SettingFault, port_faults};
pub use status::{AccountInfo, ConsentInfo, IssuerStatus, OriginStatus, Status};
