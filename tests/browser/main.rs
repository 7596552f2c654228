//! The demo in real browsers, as a person uses it: two pages, real clicks, the real agent between them.
//!
//! Screenshots of every state go to `target/screenshots/`.

#[path = "../support/mod.rs"]
mod support;

mod account;
mod actions;
mod agent_comes_and_goes;
mod approval;
mod bridge;
mod connectors;
mod consent;
mod delegated;
mod demo_connectors;
mod desk;
mod dingtalk;
mod doctor;
mod engines;
mod examples;
mod fake_agent;
mod framed;
mod hostile_content;
mod hostile_pictures;
mod impostor;
mod layout;
mod main_flow;
#[cfg(target_os = "linux")]
mod managed;
mod node_client;
mod opened;
mod permission;
mod policy;
mod presence;
#[cfg(target_os = "linux")]
mod secure;
mod shared;
mod site;
mod stand;
mod tabs;
mod ticketed_content;
#[cfg(target_os = "linux")]
mod wake;
mod words;
#[cfg(target_os = "linux")]
mod wss;
