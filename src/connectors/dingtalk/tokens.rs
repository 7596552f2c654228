//! Tokens of the application itself, one for each dialect, since neither is known to work on the other's host.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::fault::DingTalkFault;
use super::settings::{Credentials, Dialect, Settings};
use super::suite::Suite;
use super::wire::{Call, Wire, seconds, text};
use crate::connectors::{ConnectFault, Fault, Fetched, TokenCache};
use crate::crypto::{Secret, digests};

/// Where an application's tokens come from.
#[derive(Debug)]
pub(super) struct Tokens {
    wire: Arc<Wire>,
    app_key: String,
    app_secret: Secret<String>,
    corp_id: String,
    way: Way,
    old: TokenCache,
    new: TokenCache,
}

#[derive(Debug)]
enum Way {
    App,
    AppOfCorp,
    CorpSecret,
    Suite(Arc<Suite>),
}

impl Tokens {
    /// Tokens of an application, or with `suite` of a suite in one organisation.
    pub(super) fn new(wire: Arc<Wire>, settings: &Settings, suite: Option<Arc<Suite>>) -> Option<Self> {
        let way = match (settings.credentials, suite) {
            (Credentials::App, None) => Way::App,
            (Credentials::AppOfCorp, None) => Way::AppOfCorp,
            (Credentials::CorpSecret, None) => Way::CorpSecret,
            (Credentials::Suite, Some(suite)) => Way::Suite(suite),
            _ => return None,
        };
        // The same token renewed is as good as a new one, for as long as DingTalk says.
        let cache = || TokenCache::new(wire.clock(), Duration::MAX);
        let (app_key, app_secret, corp_id) =
            (settings.app_key.clone(), settings.app_secret.clone(), settings.corp_id.clone());
        Some(Self { old: cache(), new: cache(), wire, app_key, app_secret, corp_id, way })
    }

    /// Makes a call with the application's token. A token that DingTalk does not take is thrown away, once.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, DingTalkFault> {
        let token = self.get(call.dialect()).await?;
        match self.wire.call(call, Some(&token)).await {
            Err(fault) if fault.is_about_token => {
                tracing::debug!(code = %fault.code, "a token is not taken any more: another one is fetched");
                self.cache(call.dialect()).invalidate(&token);
                if let Way::Suite(suite) = &self.way {
                    suite.shared.forget(&self.corp_id, call.dialect(), &token).await;
                }
                let token = self.get(call.dialect()).await?;
                self.wire.call(call, Some(&token)).await
            }
            ended => ended,
        }
    }

    pub(super) async fn get(&self, dialect: Dialect) -> Result<Arc<Secret<String>>, ConnectFault> {
        let fetch = async {
            let Way::Suite(suite) = &self.way else { return Ok(self.fetch(dialect).await?) };
            let now = self.wire.clock().wall();
            if let Some(token) = suite.shared.find(&self.corp_id, dialect, now).await {
                return Ok(token);
            }
            let token = self.fetch(dialect).await?;
            suite.shared.keep(&self.corp_id, dialect, &token, now).await;
            Ok(token)
        };
        self.cache(dialect).get(fetch).await
    }

    const fn cache(&self, dialect: Dialect) -> &TokenCache {
        match dialect {
            Dialect::Old => &self.old,
            Dialect::New => &self.new,
        }
    }

    async fn fetch(&self, dialect: Dialect) -> Result<Fetched, DingTalkFault> {
        let secret = self.app_secret.expose();
        let (call, token, life) = match (&self.way, dialect) {
            (Way::App | Way::AppOfCorp, Dialect::Old) => {
                let call = Call::get(Dialect::Old, "/gettoken").with("appkey", &self.app_key).with("appsecret", secret);
                (call, "access_token", "expires_in")
            }
            (Way::CorpSecret, Dialect::Old) => {
                let call =
                    Call::get(Dialect::Old, "/gettoken").with("corpid", &self.corp_id).with("corpsecret", secret);
                (call, "access_token", "expires_in")
            }
            (Way::App, Dialect::New) => {
                let body = json!({ "appKey": self.app_key, "appSecret": secret });
                (Call::post(Dialect::New, "/v1.0/oauth2/accessToken", body), "accessToken", "expireIn")
            }
            (Way::AppOfCorp, Dialect::New) => {
                let body =
                    json!({ "client_id": self.app_key, "client_secret": secret, "grant_type": "client_credentials" });
                let path = format!("/v1.0/oauth2/{}/token", self.corp_id);
                (Call::post(Dialect::New, &path, body), "access_token", "expires_in")
            }
            (Way::CorpSecret, Dialect::New) => {
                return Err(DingTalkFault::new(Fault::Unsupported, "a CorpSecret has no token of the new interface"));
            }
            (Way::Suite(suite), Dialect::New) => {
                let ticket = suite.ticket().await?;
                let body = json!({
                    "suiteKey": self.app_key, "suiteSecret": secret,
                    "authCorpId": self.corp_id, "suiteTicket": ticket.expose(),
                });
                (Call::post(Dialect::New, "/v1.0/oauth2/corpAccessToken", body), "accessToken", "expireIn")
            }
            (Way::Suite(suite), Dialect::Old) => {
                let ticket = suite.ticket().await?;
                let timestamp = self.wire.clock().wall().0.to_string();
                let call = Call::post(Dialect::Old, "/service/get_corp_token", json!({ "auth_corpid": self.corp_id }))
                    .with("accessKey", &self.app_key)
                    .with("signature", sign_for_corp(secret, &timestamp, ticket.expose()))
                    .with("timestamp", timestamp)
                    .with("suiteTicket", ticket.expose());
                (call, "access_token", "expires_in")
            }
        };
        fetched(&self.wire.call(&call, None).await?, token, life)
    }
}

/// A token of an answer, and how long it counts.
pub(super) fn fetched(answer: &Value, token: &str, life: &str) -> Result<Fetched, DingTalkFault> {
    Ok(Fetched { value: Secret::new(text(answer, token)?), life: seconds(answer, life)? })
}

/// The signature of `get_corp_token`: over the time and the suite's ticket.
fn sign_for_corp(suite_secret: &str, timestamp: &str, ticket: &str) -> String {
    BASE64_STANDARD.encode(digests::hmac_sha256(suite_secret, &format!("{timestamp}\n{ticket}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c04_the_signature_for_a_corps_old_token_is_the_vectors() {
        let signature = sign_for_corp("suiteSecret-example", "1527130370219", "TestSuiteTicket");
        assert_eq!(signature, "iT2D2LLlVooZnFM5CMDwvQRScM+XbU2cOcxpIkIE4ng=");
    }
}
