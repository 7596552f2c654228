//! Calling the running agent.

use std::path::PathBuf;

use serde_json::Value;

use super::{Failure, Global};
use crate::agent::control::{self, ANSWER_TIMEOUT, STATUS_TIMEOUT};
use crate::config;

impl Global {
    /// The control socket that is meant.
    pub(super) fn control_path(&self) -> PathBuf {
        self.control.clone().unwrap_or_else(config::default_control)
    }
}

/// Calls one method of the running agent.
pub(super) async fn call(global: &Global, method: &str, params: &Value) -> Result<Value, Failure> {
    let patience = if method == "status" { STATUS_TIMEOUT } else { ANSWER_TIMEOUT };
    Ok(control::call(&global.control_path(), method, params, patience).await?)
}

/// Writes one line to standard output.
#[expect(clippy::print_stdout, reason = "this is where the program speaks to the person")]
pub(super) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

#[cfg(all(test, unix))]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_never_answers_is_a_failure_with_the_cure() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).expect("a listener");
        let global = Global { control: Some(path), log: "info".into(), log_json: false };
        for (method, seconds) in [("status", 5), ("stop", 30)] {
            let started = tokio::time::Instant::now();
            let failure = call(&global, method, &json!({})).await.expect_err("nobody answers");
            assert_eq!(started.elapsed().as_secs(), seconds, "{method}");
            let failure = format!("{failure:?}");
            assert!(failure.contains("code: 1,") && failure.contains("does not answer"), "{failure}");
            assert!(failure.contains("start it again"), "{failure}");
        }
    }
}
