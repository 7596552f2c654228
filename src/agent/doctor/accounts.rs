//! Whether there is anybody whom a page could sign in.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::finding::Finding;
use crate::agent::issuer::hub::Hub;

/// Says where nobody is enrolled, and whether that is because the login server revoked the device. A person need not have
/// an account at every login server: with one elsewhere, and nothing revoked, it is a note.
pub(super) fn examine_accounts(hub: &Hub, all: &[&Arc<Hub>]) -> Option<Finding> {
    if !hub.accounts().is_empty() {
        return None;
    }
    let issuer = hub.issuer();
    let finding = match hub.revoked() {
        Some(at) => {
            let day = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at.0));
            Finding::error(
                "nobody_enrolled",
                format!("{issuer} has revoked this computer's device key ({day}); the account was removed here"),
                "if that was not meant, enrol anew: sign in to the client, or use `loopkey enrol`",
            )
            .with("revoked", at.0)
        }
        None => {
            let what = format!("nobody is enrolled at {issuer}: its pages find nobody to sign in");
            let cure = "sign in to the client that belongs to it, or enrol with `loopkey enrol`";
            if all.iter().any(|other| !other.accounts().is_empty()) {
                Finding::note("nobody_enrolled", what, cure)
            } else {
                Finding::error("nobody_enrolled", what, cure)
            }
        }
    };
    Some(finding.with("issuer", issuer.as_str()))
}
