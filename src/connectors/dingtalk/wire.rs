//! Calls in both dialects. A call is data, so that it can be made again with another token.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::brake::Brake;
use super::fault::{self, DingTalkFault};
use super::settings::{Dialect, Hosts};
use crate::clock::Clock;
use crate::connectors::{Answer, Fault, Guarded};
use crate::crypto::Secret;

/// How often a call is made again where DingTalk is busy and did nothing, and how long before the first time.
const REPEATS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// A call, all but its token. It may hold secrets, so it does not show itself.
pub(super) struct Call {
    dialect: Dialect,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Call {
    pub(super) fn get(dialect: Dialect, path: &str) -> Self {
        Self { dialect, method: Method::GET, path: path.to_owned(), query: Vec::new(), body: None }
    }

    pub(super) fn post(dialect: Dialect, path: &str, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(dialect, path) }
    }

    /// A POST without a body.
    pub(super) fn bare_post(dialect: Dialect, path: &str) -> Self {
        Self { method: Method::POST, ..Self::get(dialect, path) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) const fn dialect(&self) -> Dialect {
        self.dialect
    }
}

/// What may be asked of DingTalk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long an answer may take.
    pub(super) patience: Duration,
    /// Calls in twenty seconds. DingTalk bans an address after 10 000, and others may call from it too.
    pub(super) burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { patience: Duration::from_secs(5), burst: 5_000 }
    }
}

/// The way to DingTalk.
#[derive(Debug)]
pub(super) struct Wire {
    http: Guarded,
    hosts: Hosts,
    limits: Limits,
    clock: Arc<dyn Clock>,
    brake: Arc<Brake>,
}

impl Wire {
    pub(super) fn new(http: Guarded, hosts: Hosts, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let brake = Brake::of(&hosts);
        Self { http, hosts, limits, clock, brake }
    }

    pub(super) const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(super) const fn http(&self) -> &Guarded {
        &self.http
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Makes a call; again where DingTalk says that it is busy.
    pub(super) async fn call(&self, call: &Call, token: Option<&Secret<String>>) -> Result<Value, DingTalkFault> {
        for repeat in 0..REPEATS {
            match self.call_once(call, token).await {
                Err(fault) if fault.is_busy => tokio::time::sleep(PAUSE * 2_u32.pow(repeat)).await,
                ended => return ended,
            }
        }
        self.call_once(call, token).await
    }

    async fn call_once(&self, call: &Call, token: Option<&Secret<String>>) -> Result<Value, DingTalkFault> {
        if self.brake.is_banned(self.clock.now()) {
            return Err(DingTalkFault::new(Fault::Busy, "not asked: DingTalk refuses this address for now"));
        }
        if !self.brake.may_ask(self.clock.now(), self.limits.burst) {
            return Err(DingTalkFault::new(Fault::Busy, "not asked: too many calls in twenty seconds"));
        }
        let answered = match call.dialect {
            Dialect::Old => fault::old(&self.send(call, token).await?),
            Dialect::New => fault::new(&self.send(call, token).await?),
        };
        if let Err(DingTalkFault { banned_minutes: Some(minutes), .. }) = &answered {
            let until = self.clock.now() + Duration::from_secs(minutes * 60);
            self.brake.ban(until);
            tracing::warn!(minutes, "DingTalk refuses this computer's address for some minutes: too many calls");
        }
        answered
    }

    fn address(&self, call: &Call, token: Option<&Secret<String>>) -> Secret<String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let (Dialect::Old, Some(token)) = (call.dialect, token) {
            query.append_pair("access_token", token.expose());
        }
        query.extend_pairs(&call.query);
        let host = if call.dialect == Dialect::Old { &self.hosts.oapi } else { &self.hosts.api };
        let query = Secret::new(query.finish());
        let mark = if query.expose().is_empty() { "" } else { "?" };
        Secret::new(format!("{host}{}{mark}{}", call.path, query.expose()))
    }

    async fn send(&self, call: &Call, token: Option<&Secret<String>>) -> Result<Answer, DingTalkFault> {
        let url = self.address(call, token);
        // The address holds secrets: what is wrong with it is not told with it.
        let request = self.http.request(call.method.clone(), url.expose());
        let request =
            request.map_err(|_| DingTalkFault::new(Fault::Misconfigured, "the configured host is not called"));
        let mut request = request?.timeout(self.limits.patience).header("Accept", "application/json");
        if let (Dialect::New, Some(token)) = (call.dialect, token) {
            request = request.header("x-acs-dingtalk-access-token", token.expose());
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        Ok(self.http.send(request).await?)
    }
}

/// A member that has to be there and be text.
pub(super) fn text(value: &Value, member: &str) -> Result<String, DingTalkFault> {
    optional(value, member).ok_or_else(|| DingTalkFault::lacks(member))
}

/// A member that may be missing or empty: DingTalk leaves out what the application may not see.
pub(super) fn optional(value: &Value, member: &str) -> Option<String> {
    value[member].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Seconds, as a number or as text.
pub(super) fn seconds(value: &Value, member: &str) -> Result<Duration, DingTalkFault> {
    number(&value[member]).map(Duration::from_secs).ok_or_else(|| DingTalkFault::lacks(member))
}

/// A number, or a number as text: DingTalk writes both.
pub(super) fn number<N: std::str::FromStr>(value: &Value) -> Option<N> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
