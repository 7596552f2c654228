//! Calling the running agent.

use std::fmt::Display;
use std::path::PathBuf;

use serde_json::Value;

use super::{Failure, Global};
use crate::agent::control::{self, ANSWER_TIMEOUT, STATUS_TIMEOUT};
use crate::config;

impl Global {
    /// The control socket that is meant.
    pub(super) fn control_path(&self) -> PathBuf {
        let named = self.control.clone().filter(|path| !path.as_os_str().is_empty());
        named.unwrap_or_else(config::default_control)
    }
}

/// Calls one method of the running agent.
pub(super) async fn call(global: &Global, method: &str, params: &Value) -> Result<Value, Failure> {
    let patience = if method == "status" { STATUS_TIMEOUT } else { ANSWER_TIMEOUT };
    Ok(control::call(&global.control_path(), method, params, patience).await?)
}

/// Writes one line to standard output. Where nobody reads any more (`loopkey log | head`) the program ends, quietly and as
/// well as if it had been read to the end.
pub(super) fn say(line: impl Display) {
    use std::io::Write as _;
    if let Err(error) = writeln!(std::io::stdout(), "{line}") {
        let nobody_reads = error.kind() == std::io::ErrorKind::BrokenPipe;
        if !nobody_reads {
            tracing::error!("cannot write to standard output: {error}");
        }
        std::process::exit(i32::from(!nobody_reads));
    }
}

/// A number of things in words: `1 line`, `2 lines`.
pub(super) fn count(number: impl Display, thing: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {thing}{plural}")
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
        let global = Global { control: Some(path), log: None, log_json: false };
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
