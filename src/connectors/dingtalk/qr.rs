//! The older sign-in by QR code for sites of third parties (移动接入应用-登录): an application of its own kind, which learns who
//! somebody is among its developer's applications, and nothing of an organisation. Legacy: DingTalk's documents name it no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use super::browser::code;
use super::fault::DingTalkFault;
use super::settings::{BadSettings, Dialect, Hosts, is_host};
use super::wire::{Call, Limits, Wire, optional, seconds, text};
use crate::clock::Clock;
use crate::connectors::{
    Beginning, Begun, Claim, ConnectFault, Connector, Fetched, Guarded, Identified, Returned, TokenCache,
};
use crate::crypto::{Secret, digests};

/// How the code is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QrExchange {
    /// `getuserinfo_bycode`: one signed call.
    #[default]
    Signed,
    /// By way of a persistent code, which is used at once and not kept.
    Persistent,
}

/// Sign-in by QR code with a site's own application.
#[derive(Debug)]
pub struct QrLogin {
    app_id: String,
    app_secret: Secret<String>,
    exchange: QrExchange,
    wire: Wire,
    token: TokenCache,
}

/// How long a token counts whose answer does not say it.
const TOKEN_LIFE: Duration = Duration::from_secs(7200);

impl QrLogin {
    /// One application.
    ///
    /// # Errors
    /// [`BadSettings`].
    pub fn new(
        (app_id, app_secret): (String, Secret<String>),
        exchange: QrExchange,
        hosts: Hosts,
        http: Guarded,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadSettings> {
        let is_word = |text: &str| (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_word(&app_id) {
            return Err(BadSettings::AppId);
        }
        if !(16..=128).contains(&app_secret.expose().len()) {
            return Err(BadSettings::SiteSecret);
        }
        if ![&hosts.oapi, &hosts.api, &hosts.login].into_iter().all(|host| is_host(host)) {
            return Err(BadSettings::Hosts);
        }
        let token = TokenCache::new(Arc::clone(&clock), Duration::MAX);
        let wire = Wire::new(http, hosts, Limits::default(), clock);
        Ok(Self { app_id, app_secret, exchange, wire, token })
    }

    /// The address that a code is asked for at: `/connect/qrconnect` with DingTalk's own page, `/connect/oauth2/sns_authorize`
    /// where the site shows the frame itself.
    fn authorize(&self, path: &str, beginning: &Beginning<'_>) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("appid", &self.app_id)
            .append_pair("response_type", "code")
            .append_pair("scope", "snsapi_login")
            .append_pair("state", beginning.state)
            .append_pair("redirect_uri", beginning.redirect_uri)
            .finish();
        format!("{}{path}?{query}", self.wire.hosts().oapi)
    }

    async fn signed(&self, code: &Secret<String>) -> Result<Value, DingTalkFault> {
        let timestamp = self.wire.clock().wall().0.to_string();
        let call = Call::post(Dialect::Old, "/sns/getuserinfo_bycode", json!({ "tmp_auth_code": code.expose() }))
            .with("accessKey", &self.app_id)
            .with("signature", sign(self.app_secret.expose(), &timestamp))
            .with("timestamp", timestamp);
        self.wire.call(&call, None).await
    }

    async fn persistent(&self, code: &Secret<String>) -> Result<Value, DingTalkFault> {
        let body = json!({ "tmp_auth_code": code.expose() });
        let kept = self.call(&Call::post(Dialect::Old, "/sns/get_persistent_code", body)).await?;
        let body = json!({ "openid": text(&kept, "openid")?, "persistent_code": text(&kept, "persistent_code")? });
        let token = self.call(&Call::post(Dialect::Old, "/sns/get_sns_token", body)).await?;
        let call = Call::get(Dialect::Old, "/sns/getuserinfo").with("sns_token", text(&token, "sns_token")?);
        self.wire.call(&call, None).await
    }

    async fn call(&self, call: &Call) -> Result<Value, DingTalkFault> {
        let token = self.token().await?;
        match self.wire.call(call, Some(&token)).await {
            Err(fault) if fault.is_about_token => {
                self.token.invalidate(&token);
                self.wire.call(call, Some(&*self.token().await?)).await
            }
            ended => ended,
        }
    }

    async fn token(&self) -> Result<Arc<Secret<String>>, ConnectFault> {
        let fetch = async {
            let call = Call::get(Dialect::Old, "/sns/gettoken")
                .with("appid", &self.app_id)
                .with("appsecret", self.app_secret.expose());
            let answer = self.wire.call(&call, None).await?;
            let life = seconds(&answer, "expires_in").unwrap_or(TOKEN_LIFE);
            Ok(Fetched { value: Secret::new(text(&answer, "access_token")?), life })
        };
        self.token.get(fetch).await
    }
}

/// The signature of `getuserinfo_bycode`: over the time alone. (The rule with the secret in the message is that of robots.)
fn sign(app_secret: &str, timestamp: &str) -> String {
    BASE64_STANDARD.encode(digests::hmac_sha256(app_secret, timestamp))
}

#[async_trait]
impl Connector for QrLogin {
    fn kind(&self) -> &'static str {
        "dingtalk_qr"
    }

    /// No telephone number, nothing of an organisation.
    fn claims(&self) -> &'static [Claim] {
        &[Claim::Name]
    }

    fn frame_origin(&self) -> Option<&str> {
        Some(&self.wire.hosts().login)
    }

    fn describe(&self) -> Value {
        let Hosts { oapi, login, .. } = self.wire.hosts();
        json!({
            "kind": self.kind(), "claims": self.claims(), "app_id": self.app_id, "app_secret": "********",
            "exchange": self.exchange, "hosts": [oapi, login],
        })
    }

    fn front_end(&self) -> Value {
        json!({ "app_id": self.app_id, "frame_origin": self.frame_origin() })
    }

    async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault> {
        let location = if beginning.embedded {
            let goto = self.authorize("/connect/oauth2/sns_authorize", beginning);
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("goto", &goto).finish();
            format!("{}/login/qrcode.htm?{query}", self.wire.hosts().login)
        } else {
            self.authorize("/connect/qrconnect", beginning)
        };
        Ok(Begun { location, kept: BTreeMap::new() })
    }

    async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault> {
        let code = code(returned)?;
        let answer = match self.exchange {
            QrExchange::Signed => self.signed(code).await?,
            QrExchange::Persistent => self.persistent(code).await?,
        };
        let user = &answer["user_info"];
        let id = text(user, "unionid")?;
        let details = optional(user, "openid").map(|openid| ("open_id".to_owned(), openid)).into_iter().collect();
        Ok(Identified {
            // The id counts among one developer's applications, and an instance is one of these.
            tenant: String::new(),
            id,
            name: optional(user, "nick"),
            avatar: None,
            details,
            kept: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e07_the_signature_is_over_the_time_alone() {
        for (timestamp, wire) in [
            ("1546084445901", "HCbG3xNE3vzhO%2Bu7qCUL1jS5hsu2n5r2cFhnTrtyDAE%3D"),
            ("1546084445909", "uFUwugd08UNjjNHuUg0mpzcPg%2Baafy%2FsGcp2vyLQRkI%3D"),
        ] {
            let signature = sign("testappSecret", timestamp);
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("s", &signature).finish();
            assert_eq!(query, format!("s={wire}"));
        }
    }
}
