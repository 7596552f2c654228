//! The demo in real browsers, as a person uses it: two pages, real clicks, the real agent between them.
//!
//! Screenshots of every state go to `target/screenshots/`.

#[path = "../support/mod.rs"]
mod support;

mod agent_comes_and_goes;
mod consent;
mod desk;
mod main_flow;
mod permission;
mod presence;
mod tabs;
mod words;
