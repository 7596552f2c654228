//! Whether the login servers can be used: reached, believed, of this time, with a store that answers, and knowing this
//! computer's device key.

use std::sync::Arc;

use super::finding::{Examination, Finding};
use crate::agent::issuer::client::{IssuerClient, IssuerFault, RefusedChallenge};
use crate::agent::issuer::http::CallFailed;
use crate::agent::issuer::hub::Hub;
use crate::agent::settings::AgentSettings;
use crate::clock::Clock;
use crate::protocol::acceptance::IssuerTime;
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;

/// Clocks further apart than this are worth a word, in seconds: certificates and logs are read by this computer's.
const CLOCK_DIFFERENCE_SECONDS: u64 = 120;

/// Looks at the configured login servers where no agent is running.
pub async fn examine_issuers(settings: &AgentSettings, clock: Arc<dyn Clock>) -> Examination {
    let mut examination = Examination::default();
    for issuer in &settings.issuers {
        let findings = match IssuerClient::new(issuer.url.clone(), issuer.ca_file.as_deref(), Arc::clone(&clock)) {
            Ok(client) => examine(&client, &issuer.url, &*clock).await,
            Err(error) => vec![Finding::error(
                "issuer_certificate",
                format!("the agent cannot set out for {}: {error}", issuer.url),
                "correct `ca_file` of this [[issuer]] in agent.toml",
            )],
        };
        examination.add(issuer.url.to_string(), findings);
    }
    examination
}

/// Looks at one login server of a running agent, as its current account and a page of this origin do.
pub(super) async fn examine_hub(hub: &Hub, origin: &Origin, clock: &dyn Clock) -> Vec<Finding> {
    let mut findings = examine(&hub.client, hub.issuer(), clock).await;
    let is_usable = findings.iter().all(|finding| finding.code == "clock");
    if is_usable && let Some(account) = hub.current() {
        match try_out(hub, origin).await {
            Err(Trial::Issuer(IssuerFault::Refused { status: 401, .. })) => findings.push(
                Finding::error(
                    "device_refused",
                    format!(
                        "{} does not accept this computer's device key for {} any more",
                        hub.issuer(),
                        account.name
                    ),
                    "the device was revoked, the account disabled, or older state was restored here: sign in to the \
                     client anew, or enrol anew with `loopkey enrol`",
                )
                .with("issuer", hub.issuer().as_str())
                .with("account", account.subject.as_str())
                .with("device", account.device.as_str()),
            ),
            Err(Trial::Issuer(IssuerFault::Refused { status: 403, .. })) => findings.push(
                Finding::error(
                    "origin_refused",
                    format!("{} takes no calls of pages of {origin}, which this agent lets in for it", hub.issuer()),
                    "add it to `origins` in the server's server.toml, to the letter; a proxy in front passes the header Origin on",
                )
                .with("issuer", hub.issuer().as_str())
                .with("origin", origin.as_str()),
            ),
            // Too many calls of others from this address, or the person was switched meanwhile: nothing is wrong with that.
            Err(Trial::Issuer(IssuerFault::Refused { status: 429, .. }) | Trial::Changed) | Ok(()) => {}
            Err(Trial::Issuer(fault)) => findings.push(of_fault(&fault)),
            Err(Trial::Challenge(fault)) => findings.push(
                Finding::error(
                    "issuer_misbehaved",
                    format!("{} signs challenges that cannot be accepted: {fault}", hub.issuer()),
                    "if several servers answer for it, give all of them the same challenge keys and the same time",
                )
                .with("issuer", hub.issuer().as_str()),
            ),
        }
    }
    findings
}

async fn examine(client: &IssuerClient, issuer: &Issuer, clock: &dyn Clock) -> Vec<Finding> {
    let heard = match client.hear().await {
        Ok(heard) => heard,
        Err(fault) => return vec![of_fault(&fault)],
    };
    let clock = heard.and_then(|heard| of_clock(heard, issuer, clock));
    let store = client.require_ready().await.err().map(|fault| of_fault(&fault));
    clock.into_iter().chain(store).collect()
}

enum Trial {
    Issuer(IssuerFault),
    Challenge(RefusedChallenge),
    Changed,
}

/// Has the issuer recognise the person, as a page would; nothing comes of it.
async fn try_out(hub: &Hub, origin: &Origin) -> Result<(), Trial> {
    let challenge = hub.client.trial_challenge(origin.clone()).await.map_err(Trial::Issuer)?;
    let accepted = hub.client.accept(&challenge.compact, origin).await.map_err(Trial::Challenge)?;
    let proof = hub.sign_proof(&accepted, &hub.published()).map_err(|_| Trial::Changed)?;
    hub.client.show(&challenge, &proof).await.map_err(Trial::Issuer)
}

/// Nothing that decides here asks this computer's clock, but certificates do.
fn of_clock(heard: IssuerTime, issuer: &Issuer, clock: &dyn Clock) -> Option<Finding> {
    let (theirs, ours) = (heard.at(clock.now()), clock.timestamp());
    let (ahead, behind) = (ours.seconds_since(theirs), theirs.seconds_since(ours));
    let apart = ahead.max(behind);
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    (apart > CLOCK_DIFFERENCE_SECONDS).then(|| {
        Finding::warning(
            "clock",
            format!("this computer's clock is {} {direction} that of {issuer}", in_words(apart)),
            "have both set by a time server (`timedatectl set-ntp true`): signing in does not go by this computer's \
             clock, but certificates do",
        )
        .with("issuer", issuer.as_str())
        .with("seconds", i64::try_from(apart).unwrap_or(i64::MAX) * if ahead > 0 { 1 } else { -1 })
    })
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{} minutes", seconds / 60),
        3600..172_800 => format!("{}.{} hours", seconds / 3600, seconds % 3600 / 360),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn of_fault(fault: &IssuerFault) -> Finding {
    let (issuer, finding) = match fault {
        IssuerFault::Unreachable { issuer, source: CallFailed::Certificate(error) } => (
            issuer,
            Finding::error(
                "issuer_certificate",
                format!("the certificate of {issuer} does not count here: {error}"),
                trust_cure(error),
            ),
        ),
        IssuerFault::Unreachable { issuer, source: CallFailed::NoClient(error) } => (
            issuer,
            Finding::error(
                "issuer_certificate",
                format!("the agent cannot set out for {issuer}: {error}"),
                "install the system's root certificates (the package is called ca-certificates mostly), or name a file of \
                 your own as `ca_file` of this [[issuer]]",
            ),
        ),
        IssuerFault::Unreachable { issuer, source: source @ CallFailed::Gateway(_) } => (
            issuer,
            Finding::error(
                "issuer_unreachable",
                format!("{issuer} cannot be reached: {source}"),
                "the login server behind it does not run, or listens elsewhere than the proxy looks: its operators have to \
                 look at both",
            ),
        ),
        IssuerFault::Unreachable { issuer, source } => (
            issuer,
            Finding::error(
                "issuer_unreachable",
                format!("{issuer} cannot be reached: {source}"),
                "look whether this computer is online and the address in agent.toml is right, and whether a proxy or a \
                 firewall is between; the server's `/healthz` says whether it runs",
            ),
        ),
        IssuerFault::Refused { issuer, status: 503, .. } => (
            issuer,
            Finding::error(
                "issuer_store",
                format!("{issuer} answers, but its store does not (503)"),
                "its operators have to look at the store: the server's log names the fault, `/readyz` says when it is over",
            ),
        ),
        IssuerFault::Refused { issuer, .. } | IssuerFault::Misbehaved { issuer, .. } => (
            issuer,
            Finding::error(
                "issuer_misbehaved",
                fault.to_string(),
                "compare `url` of this [[issuer]] in agent.toml with `issuer` in the server's server.toml: they are the \
                 same to the letter, and a proxy in front passes the whole path on",
            ),
        ),
    };
    finding.with("issuer", issuer.as_str())
}

const fn trust_cure(error: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError as Error;
    match error {
        Error::Expired | Error::ExpiredContext { .. } => {
            "have the server's certificate renewed; if it is good for longer, set this computer's clock"
        }
        Error::NotValidYet | Error::NotValidYetContext { .. } => {
            "set this computer's clock; if it is right, the server's certificate begins later than now"
        }
        Error::NotValidForName | Error::NotValidForNameContext { .. } => {
            "use the name that the certificate is for in agent.toml and server.toml, or have one made for this name"
        }
        _ => {
            "if the certificate is of your own authority, name that one's root certificate as `ca_file` of this [[issuer]] \
             in agent.toml; if not, somebody else answers in the server's place: do not go on"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::protocol::time::{Timestamp, UnixMillis};

    #[test]
    fn clocks_that_differ_are_named_with_the_direction() {
        let clock = ManualClock::at(UnixMillis(1_800_000_000_000));
        let issuer: Issuer = "https://login.example".parse().expect("an issuer");
        let heard = |date| IssuerTime { date: Timestamp(date), heard: clock.now() };
        assert_eq!(of_clock(heard(1_800_000_000 - 120), &issuer, &clock), None);
        let ahead = of_clock(heard(1_800_000_000 - 5400), &issuer, &clock).expect("a finding");
        assert!(ahead.what.contains("1.5 hours ahead of"), "{}", ahead.what);
        let behind = of_clock(heard(1_800_000_000 + 300), &issuer, &clock).expect("a finding");
        assert!(behind.what.contains("5 minutes behind") && behind.details["seconds"] == -300, "{behind:?}");
        let before = heard(1_800_000_000);
        clock.advance(Duration::from_secs(3000));
        assert_eq!(of_clock(before, &issuer, &clock), None, "time has passed on both");
    }
}
