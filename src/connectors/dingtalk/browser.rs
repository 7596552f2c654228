//! Signing in with a browser: DingTalk's page, as a whole or in a frame, and the code that comes back from it. DingTalk has
//! neither PKCE nor a nonce: `state`, bound to the browser, is all that keeps somebody else's code out.

use serde_json::{Value, json};

use super::DingTalk;
use super::fault::DingTalkFault;
use super::people::CODE_MAX_LEN;
use super::settings::{Credentials, Dialect};
use super::wire::{Call, optional, text};
use crate::connectors::{Beginning, Fault, Returned};
use crate::crypto::Secret;

impl DingTalk {
    /// DingTalk's page.
    pub(super) fn authorize(&self, beginning: &Beginning<'_>) -> Result<String, DingTalkFault> {
        if self.settings.credentials == Credentials::CorpSecret {
            return Err(DingTalkFault::new(Fault::Unsupported, "a CorpSecret has no sign-in in the browser"));
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("redirect_uri", beginning.redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.app_key)
            .append_pair("scope", "openid corpid")
            .append_pair("prompt", "consent")
            .append_pair("state", beginning.state);
        if beginning.embedded {
            query.append_pair("iframe", "true");
        }
        // As DingTalk's documents write a space.
        let query = query.finish().replace('+', "%20");
        Ok(format!("{}/oauth2/auth?{query}", self.settings.hosts.login))
    }

    /// Who has the code that came back: a member of the organisation, or nobody.
    pub(super) async fn member_with(&self, code: &Secret<String>) -> Result<String, DingTalkFault> {
        let body = json!({
            "clientId": self.settings.app_key,
            "clientSecret": self.settings.app_secret.expose(),
            "code": code.expose(),
            "grantType": "authorization_code",
        });
        let answer = self.wire.call(&Call::post(Dialect::New, "/v1.0/oauth2/userAccessToken", body), None).await?;
        // Which organisation the person chose. A missing one is seen below: they have to be a member.
        if optional(&answer, "corpId").is_some_and(|corp| corp != self.settings.corp_id) {
            return Err(DingTalkFault::new(Fault::Tenant, "the person signed in for another organisation"));
        }
        let token = Secret::new(text(&answer, "accessToken")?);
        let me: Value = self.wire.call(&Call::get(Dialect::New, "/v1.0/contact/users/me"), Some(&token)).await?;
        self.userid_of(&text(&me, "unionId")?).await
    }
}

/// The code among what came back. DingTalk writes it twice; where the two differ, one is somebody else's.
pub(super) fn code<'a>(returned: &'a Returned<'_>) -> Result<&'a Secret<String>, DingTalkFault> {
    if returned.parameter("error").is_some() {
        return Err(DingTalkFault::new(Fault::Refused, "the person or DingTalk said no"));
    }
    let code = match (returned.parameter("authCode"), returned.parameter("code")) {
        (Some(one), Some(other)) if one.expose() != other.expose() => {
            return Err(DingTalkFault::new(Fault::Misbehaved, "two codes that differ"));
        }
        (Some(code), _) | (None, Some(code)) => code,
        (None, None) => return Err(DingTalkFault::new(Fault::Code, "no code came back")),
    };
    if code.expose().len() > CODE_MAX_LEN {
        return Err(DingTalkFault::new(Fault::Code, "not of a code's length"));
    }
    Ok(code)
}
