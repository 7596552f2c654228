//! What a provider publishes of itself: its configuration (OpenID Connect Discovery 1.0, RFC 8414) and its keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, Url};
use serde::Deserialize;

use super::keys::Keys;
use crate::clock::Clock;
use crate::connectors::Guarded;
use crate::connectors::fault::{ConnectFault, Fault};
use crate::connectors::flight::Flight;
use crate::crypto::{ForeignAlgorithm, ForeignKey};
use crate::protocol::time::Moment;

/// How long a configuration is believed.
const LIFE: Duration = Duration::from_secs(3600);
/// One that is too old goes on for so long where the provider does not answer: addresses change once in years.
const GRACE: Duration = Duration::from_secs(60);

/// As much of the configuration as is used.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Configuration {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    jwks_uri: String,
    pub(super) userinfo_endpoint: Option<String>,
    pub(super) end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether its answers name it (RFC 9207).
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(super) names_itself: bool,
}

impl Configuration {
    /// Whether the client's secret is posted: only where the provider takes it in no other way.
    pub(super) fn posts_secret(&self) -> bool {
        let takes = |method: &str| self.token_endpoint_auth_methods_supported.iter().any(|known| known == method);
        takes("client_secret_post") && !takes("client_secret_basic")
    }
}

#[derive(Debug)]
pub(super) struct Provider {
    issuer: String,
    http: Guarded,
    clock: Arc<dyn Clock>,
    configuration: Mutex<Option<(Arc<Configuration>, Moment)>>,
    keys: Mutex<Option<Keys>>,
    asking: Asking,
}

/// Who is asking the provider at present.
#[derive(Debug, Default)]
struct Asking {
    configuration: Flight,
    keys: Flight,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provider {
    pub(super) fn new(issuer: String, http: Guarded, clock: Arc<dyn Clock>) -> Self {
        let (configuration, keys, asking) = (Mutex::default(), Mutex::default(), Asking::default());
        Self { issuer, http, clock, configuration, keys, asking }
    }

    pub(super) const fn http(&self) -> &Guarded {
        &self.http
    }

    /// The configuration. Whoever asks while it is fetched waits for that one answer, and shares its failure; nothing is kept of
    /// one.
    pub(super) async fn configuration(&self) -> Result<Arc<Configuration>, ConnectFault> {
        let fresh = || {
            let kept = lock(&self.configuration);
            kept.as_ref().filter(|(_, until)| self.clock.now() < *until).map(|(found, _)| Arc::clone(found))
        };
        if let Some(found) = fresh() {
            return Ok(found);
        }
        let fetched = self.asking.configuration.join(fresh, self.fetch_configuration()).await;
        let Err(fault) = fetched else { return fetched };
        let mut kept = lock(&self.configuration);
        match kept.as_mut().filter(|_| fault.fault.is_passing()) {
            None => Err(fault),
            Some((found, until)) => {
                tracing::warn!(%fault, "the provider's configuration of before goes on");
                *until = self.clock.now() + GRACE;
                Ok(Arc::clone(found))
            }
        }
    }

    async fn fetch_configuration(&self) -> Result<Arc<Configuration>, ConnectFault> {
        let at = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let found: Configuration = self.fetch(&at).await?;
        // Another one's configuration would have this provider's codes sent to it.
        if found.issuer != self.issuer {
            let reason = format_args!("{at} is the configuration of another issuer, {}", found.issuer);
            return Err(ConnectFault::new(Fault::Misconfigured, reason));
        }
        // A browser is sent there: not to an address of another kind.
        drop(self.http.request(Method::GET, &found.authorization_endpoint)?);
        if let Some(endpoint) = &found.end_session_endpoint {
            drop(self.http.request(Method::GET, endpoint)?);
        }
        let found = Arc::new(found);
        *lock(&self.configuration) = Some((Arc::clone(&found), self.clock.now() + LIFE));
        Ok(found)
    }

    /// The key that a token names.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: ForeignAlgorithm) -> Result<ForeignKey, ConnectFault> {
        let found = self.configuration().await?;
        let known = || {
            let kept = lock(&self.keys);
            kept.as_ref().filter(|keys| keys.are_fresh(self.clock.now()))?.find(kid, algorithm).cloned()
        };
        if let Some(key) = known() {
            return Ok(key);
        }
        let fetch = async {
            let now = self.clock.now();
            let named_at = {
                let mut kept = lock(&self.keys);
                if let Some(keys) = kept.as_mut().filter(|keys| keys.are_fresh(now))
                    && !keys.may_be_asked_again(now)
                {
                    return Err(unknown());
                }
                kept.as_ref().and_then(Keys::named_at)
            };
            let keys = Keys::parse(self.fetch(&found.jwks_uri).await?, now, named_at)?;
            let key = keys.find(kid, algorithm).cloned();
            *lock(&self.keys) = Some(keys);
            key.ok_or_else(unknown)
        };
        self.asking.keys.join(known, fetch).await
    }

    async fn fetch<T: serde::de::DeserializeOwned>(&self, at: &str) -> Result<T, ConnectFault> {
        let request = self.http.request(Method::GET, at)?.header("accept", "application/json");
        let answer = self.http.send(request).await?;
        match answer.status {
            200 => answer.json(),
            429 => Err(ConnectFault::new(Fault::Busy, format_args!("{at} answers 429"))),
            status @ 500.. => Err(ConnectFault::new(Fault::Unavailable, format_args!("{at} answers {status}"))),
            status => Err(ConnectFault::new(Fault::Misconfigured, format_args!("{at} answers {status}"))),
        }
    }
}

fn unknown() -> ConnectFault {
    ConnectFault::new(Fault::Misbehaved, "the token is signed with no key of the provider")
}

/// An address of the provider's configuration.
pub(super) fn url(text: &str) -> Result<Url, ConnectFault> {
    Url::parse(text).map_err(|error| ConnectFault::new(Fault::Misconfigured, format_args!("{text}: {error}")))
}
