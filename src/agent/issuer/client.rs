//! The agent's side of one login server: its keys, its clock, enrolment and sign-outs (protocol sections 4.1 and 6).

mod link;
mod selftest;

#[cfg(test)]
pub(in crate::agent) use link::socket_config;
pub(in crate::agent) use link::{DialFault, LinkSocket};

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::http::{self, Answer, CallFailed, NoClient, Way};
use crate::clock::Clock;
use crate::crypto::PublicKey;
use crate::protocol::acceptance::{self, AcceptedChallenge, ChallengeFault, Expected, IssuerTime, SeenChallenges};
use crate::protocol::connection::ChallengeRefusal;
use crate::protocol::id::{DeviceId, Epoch, Subject};
use crate::protocol::issuer::{Issuer, LinkUrl};
use crate::protocol::metadata::Metadata;
use crate::protocol::origin::Origin;
use crate::protocol::statement::jwk::JwkSet;
use crate::protocol::time::{Moment, Timestamp};

/// Keys older than this are fetched anew before they are used.
const KEYS_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// An unknown key is looked for at most this often.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(60);
/// The issuer is asked for its time at most this often.
const TIME_INTERVAL: Duration = Duration::from_secs(5);

/// Why the login server could not be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerFault {
    /// The call came to nothing.
    #[error("{issuer} cannot be reached: {source}")]
    Unreachable {
        /// The login server.
        issuer: Issuer,
        /// What happened.
        source: CallFailed,
    },
    /// It answered, but not as a Loopkey login server does.
    #[error("{issuer} does not answer as a Loopkey login server: {reason}")]
    Misbehaved {
        /// The login server.
        issuer: Issuer,
        /// What is wrong with its answer.
        reason: String,
    },
    /// It refused.
    #[error("{issuer} refused ({status}): {}", in_words(code))]
    Refused {
        /// The login server.
        issuer: Issuer,
        /// HTTP status.
        status: u16,
        /// Its error code.
        code: String,
    },
}

/// An error code of the login server as the person at the computer can use it.
fn in_words(code: &str) -> &str {
    match code {
        "invalid_enrolment" => "the ticket is unknown, used, or older than five minutes: get a new one",
        "account_disabled" => "the account is disabled",
        "too_many_requests" => "too many requests come from here: try again in a moment",
        other => other,
    }
}

/// What a login server says when a device key is enrolled (protocol section 6.6).
#[derive(Debug, Clone, Deserialize)]
pub(in crate::agent) struct Enrolled {
    /// Its name for the device key.
    pub device: DeviceId,
    /// Its pairwise name for the account.
    pub subject: Subject,
    /// The person's name.
    pub name: String,
    /// The person's picture.
    #[serde(default)]
    pub avatar: Option<String>,
    /// The lowest epoch that it accepts.
    pub epoch: Epoch,
}

/// One login server, as the agent knows it.
pub(in crate::agent) struct IssuerClient {
    issuer: Issuer,
    way: Way,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// One fetch at a time: whoever comes second finds what the first one brought.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Vec<PublicKey>,
    link: Option<LinkUrl>,
    time: Option<IssuerTime>,
    fetched: Option<Moment>,
    /// When a key that is not published was last looked for, and when the time was last asked.
    looked_for_key: Option<Moment>,
    asked_time: Option<Moment>,
    seen: SeenChallenges,
}

impl std::fmt::Debug for IssuerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerClient").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl IssuerClient {
    pub(in crate::agent) fn new(
        issuer: Issuer,
        ca_file: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NoClient> {
        let way = Way::new(ca_file)?;
        Ok(Self { issuer, way, clock, known: Mutex::default(), fetching: tokio::sync::Mutex::default() })
    }

    /// Accepts a challenge for a page of `origin`, asking the issuer anew where its keys or its time may be out of date.
    pub(in crate::agent) async fn accept(
        &self,
        compact: &str,
        origin: &Origin,
    ) -> Result<AcceptedChallenge, RefusedChallenge> {
        // What seldom happens is boxed: its room would be taken for every challenge.
        if self.is_old() {
            Box::pin(self.refresh()).await?;
        }
        let fault = match self.try_accept(compact, origin) {
            Err(fault @ (ChallengeFault::UnknownKey(_) | ChallengeFault::Time)) => fault,
            other => return Ok(other?),
        };
        if !self.may_ask_again(fault) {
            return Err(fault.into());
        }
        tracing::debug!(issuer = %self.issuer, %fault, "asking the issuer once more");
        Box::pin(self.fetch()).await?;
        Ok(self.try_accept(compact, origin)?)
    }

    /// Notes that the issuer is asked for this reason; false where that was done a short while ago. What was fetched for
    /// other reasons does not count: a key that was published since must not stay unknown for that.
    fn may_ask_again(&self, fault: ChallengeFault) -> bool {
        let now = self.clock.now();
        let mut known = self.lock();
        let (last, interval) = match fault {
            ChallengeFault::UnknownKey(_) => (&mut known.looked_for_key, UNKNOWN_KEY_INTERVAL),
            _ => (&mut known.asked_time, TIME_INTERVAL),
        };
        if last.is_some_and(|at| now.since(at) < interval) {
            return false;
        }
        *last = Some(now);
        true
    }

    fn try_accept(&self, compact: &str, origin: &Origin) -> Result<AcceptedChallenge, ChallengeFault> {
        let now = self.clock.now();
        let mut known = self.lock();
        let Known { keys, time, seen, .. } = &mut *known;
        let Some(time) = *time else { return Err(ChallengeFault::Time) };
        acceptance::accept(compact, keys, Expected { issuer: &self.issuer, origin, time }, seen, now)
    }

    /// Fetches what was never fetched, or a day ago.
    pub(in crate::agent) async fn refresh(&self) -> Result<(), IssuerFault> {
        if !self.is_old() {
            return Ok(());
        }
        let _one = self.fetching.lock().await;
        if self.is_old() { self.fetch_now().await } else { Ok(()) }
    }

    fn is_old(&self) -> bool {
        self.lock().fetched.is_none_or(|at| self.clock.now().since(at) > KEYS_MAX_AGE)
    }

    /// Fetches metadata and keys, and with them the issuer's time.
    pub(in crate::agent) async fn fetch(&self) -> Result<(), IssuerFault> {
        let asked = self.clock.now();
        let _one = self.fetching.lock().await;
        if self.lock().fetched.is_some_and(|at| at > asked) { Ok(()) } else { self.fetch_now().await }
    }

    async fn fetch_now(&self) -> Result<(), IssuerFault> {
        let http = self.http().await?;
        let (_, metadata): (_, Metadata) = self.get(&http, &self.issuer.endpoint("/.well-known/loopkey.json")).await?;
        if metadata.issuer != self.issuer {
            return Err(self.misbehaved(format!("its metadata names another issuer: {}", metadata.issuer)));
        }
        let same_origin = metadata.jwks_uri.strip_prefix(self.issuer.origin().as_str());
        if !same_origin.is_some_and(|path| path.starts_with('/')) {
            return Err(self.misbehaved(format!("its jwks_uri has another origin: {}", metadata.jwks_uri)));
        }
        let (date, set): (_, JwkSet) = self.get(&http, &metadata.jwks_uri).await?;
        let keys: Vec<_> = set.0.iter().filter_map(|jwk| PublicKey::from_jwk(jwk).ok()).collect();
        if keys.is_empty() {
            return Err(self.misbehaved("it publishes no usable key".to_owned()));
        }
        let now = self.clock.now();
        let mut known = self.lock();
        known.keys = keys;
        known.link = metadata.link_endpoint;
        known.time = Some(IssuerTime { date, heard: now });
        known.fetched = Some(now);
        tracing::debug!(issuer = %self.issuer, keys = known.keys.len(), "fetched the issuer's keys");
        Ok(())
    }

    /// Knows the issuer's keys and time without asking.
    #[cfg(test)]
    pub(in crate::agent) fn learn(&self, keys: Vec<PublicKey>, date: Timestamp) {
        let now = self.clock.now();
        let mut known = self.lock();
        known.keys = keys;
        known.time = Some(IssuerTime { date, heard: now });
        known.fetched = Some(now);
    }

    /// Enrols a device key.
    pub(in crate::agent) async fn enrol(&self, enrolment: &str) -> Result<Enrolled, IssuerFault> {
        #[derive(Serialize)]
        struct Request<'a> {
            enrolment: &'a str,
        }
        let answer = self.post("/v1/devices", &Request { enrolment }).await?;
        if answer.status != 201 {
            return Err(self.refused(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|_| self.misbehaved("its answer to the enrolment".to_owned()))
    }

    /// Delivers a sign-out. Any other answer than 204 means: later again.
    pub(in crate::agent) async fn sign_out(&self, statement: &str) -> Result<(), IssuerFault> {
        #[derive(Serialize)]
        struct Request<'a> {
            statement: &'a str,
        }
        let answer = self.post("/v1/sign-outs", &Request { statement }).await?;
        if answer.status == 204 { Ok(()) } else { Err(self.refused(&answer)) }
    }

    /// Delivers an approval that the link could not.
    pub(in crate::agent) async fn approve(&self, statement: &str) -> Result<(), IssuerFault> {
        let answer = self.post("/v1/approvals", &serde_json::json!({ "statement": statement })).await?;
        if answer.status == 204 { Ok(()) } else { Err(self.refused(&answer)) }
    }

    async fn http(&self) -> Result<reqwest::Client, IssuerFault> {
        self.way.client().await.map_err(|fault| self.unreachable(fault.into()))
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        http: &reqwest::Client,
        url: &str,
    ) -> Result<(Timestamp, T), IssuerFault> {
        let answer = http::call(http.get(url)).await.map_err(|source| self.unreachable(source))?;
        if matches!(answer.status, 502..=504) {
            return Err(self.refused(&answer));
        }
        if answer.status != 200 {
            return Err(self.misbehaved(format!("{url} answers {}", answer.status)));
        }
        let date = answer.date.as_deref().and_then(parse_http_date);
        let date = date.ok_or_else(|| self.misbehaved(format!("{url} sends no Date header")))?;
        let body = serde_json::from_slice(&answer.body).map_err(|error| self.misbehaved(format!("{url}: {error}")))?;
        Ok((date, body))
    }

    async fn post<T: Serialize + Sync>(&self, path: &str, body: &T) -> Result<Answer, IssuerFault> {
        let request = self.http().await?.post(self.issuer.endpoint(path)).json(body);
        http::call(request).await.map_err(|source| self.unreachable(source))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreachable(&self, source: CallFailed) -> IssuerFault {
        IssuerFault::Unreachable { issuer: self.issuer.clone(), source }
    }

    fn misbehaved(&self, reason: String) -> IssuerFault {
        IssuerFault::Misbehaved { issuer: self.issuer.clone(), reason }
    }

    fn refused(&self, answer: &Answer) -> IssuerFault {
        #[derive(Deserialize)]
        struct Body {
            error: String,
        }
        let code = serde_json::from_slice::<Body>(&answer.body).ok().map(|body| body.error);
        if code.is_none() && matches!(answer.status, 502..=504) {
            return self.unreachable(CallFailed::Gateway(answer.status));
        }
        let code = code.unwrap_or_else(|| "no reason given".to_owned());
        IssuerFault::Refused {
            issuer: self.issuer.clone(),
            status: answer.status,
            code: code.chars().take(64).collect(),
        }
    }
}

/// Why a challenge was refused, for the log.
#[derive(Debug, thiserror::Error)]
pub(in crate::agent) enum RefusedChallenge {
    #[error(transparent)]
    Fault(#[from] ChallengeFault),
    #[error(transparent)]
    Issuer(#[from] IssuerFault),
}

impl RefusedChallenge {
    /// What the page learns of it.
    pub(in crate::agent) const fn verdict(&self) -> ChallengeRefusal {
        match self {
            Self::Fault(_) => ChallengeRefusal::NotAccepted,
            Self::Issuer(_) => ChallengeRefusal::IssuerAway,
        }
    }
}

/// The `Date` of an answer (RFC 9110 section 5.6.7).
fn parse_http_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok().map(|since| Timestamp(since.as_secs()))
}
