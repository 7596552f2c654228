//! Whether the certificate of the TLS port can be used, and for how long.

use crate::agent::door::certificate::{NoTls, Validity, WssFiles};
use crate::keyfile::KeyFileError;
use crate::protocol::time::UnixMillis;

use super::finding::Finding;

/// Looks at what `loopkey certs` keeps, where TLS is configured.
#[must_use]
pub fn examine_wss(files: &WssFiles, now: UnixMillis) -> Option<Finding> {
    const RENEW: &str = "run `loopkey certs renew`; open pages stay connected";
    let path = files.identity();
    let finding = match files.validity(now) {
        Ok(Validity::Sound) => return None,
        Ok(Validity::NearEnd) => {
            Finding::warning("wss_ends_soon", "the certificate of the TLS port ends within thirty days", RENEW)
        }
        Ok(Validity::Over) => Finding::warning(
            "wss_ended",
            "the certificate of the TLS port has ended, or is not its authority's: no browser takes it",
            RENEW,
        ),
        Err(NoTls::Missing(_)) => Finding::error(
            "wss_no_certificate",
            "[wss] is configured and there is no certificate, so the agent does not start",
            "run `loopkey certs create`, or remove [wss] from agent.toml",
        ),
        Err(NoTls::File(KeyFileError::TooOpen { path, mode })) => Finding::error(
            "wss_key_open",
            format!(
                "others can read the key of the TLS port, {} (mode {mode:03o}): the agent does not use it",
                path.display()
            ),
            format!(
                "run: chmod 600 {}, and then `loopkey certs renew`: whoever has read it can pass for the agent",
                path.display()
            ),
        ),
        Err(error) => Finding::error("wss_unusable", error.to_string(), RENEW),
    };
    Some(finding.with("path", path.display().to_string()))
}
