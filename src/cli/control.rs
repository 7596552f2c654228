//! Calling the running agent.

use std::path::PathBuf;

use serde_json::Value;

use super::{Failure, Global};
use crate::agent::control;
use crate::config;

impl Global {
    /// The control socket that is meant.
    pub(super) fn control_path(&self) -> PathBuf {
        self.control.clone().unwrap_or_else(config::default_control)
    }
}

/// Calls one method of the running agent.
pub(super) async fn call(global: &Global, method: &str, params: &Value) -> Result<Value, Failure> {
    let (peer, _incoming, driver) = control::connect(&global.control_path()).await?;
    // In a task of its own: an answer that comes together with the end of the connection still counts.
    tokio::spawn(driver);
    peer.call(method, params).await.map_err(Failure::failed)
}

/// Writes one line to standard output.
#[expect(clippy::print_stdout, reason = "this is where the program speaks to the person")]
pub(super) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}
