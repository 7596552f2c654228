//! Trying out whether a login server would do its part, for `loopkey doctor`. Nothing is changed there: a challenge is
//! fetched as a page does it, and the presence proof that answers it is shown to nobody else.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{IssuerClient, IssuerFault, http};
use crate::crypto::{self, Secret};
use crate::protocol::acceptance::IssuerTime;
use crate::protocol::base64url;
use crate::protocol::origin::Origin;

/// The cookie that ties a challenge to a browser (protocol section 6).
const PRE_LOGIN_COOKIE: &str = "__Host-loopkey_pre";

/// A challenge for a page of an origin, and the cookie that it is tied to.
pub(in crate::agent) struct TrialChallenge {
    pub(in crate::agent) compact: String,
    origin: Origin,
    cookie: Secret<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    challenge: &'a str,
    proof: &'a str,
}

impl IssuerClient {
    /// Asks the issuer anew and returns its time as just heard.
    pub(in crate::agent) async fn hear(&self) -> Result<Option<IssuerTime>, IssuerFault> {
        self.fetch().await?;
        Ok(self.lock().time)
    }

    /// Asks whether its store answers. Only a plain no is one: a proxy may keep `/readyz` to itself.
    pub(in crate::agent) async fn require_ready(&self) -> Result<(), IssuerFault> {
        let answer = http::call(self.http().await?.get(self.issuer.endpoint("/readyz"))).await;
        let answer = answer.map_err(|source| self.unreachable(source))?;
        if answer.status == 503 { Err(self.refused(&answer)) } else { Ok(()) }
    }

    /// Fetches a challenge as a page of this origin does. The cookie is chosen here: the login server remembers none.
    pub(in crate::agent) async fn trial_challenge(&self, origin: Origin) -> Result<TrialChallenge, IssuerFault> {
        #[derive(Deserialize)]
        struct Issued {
            challenge: String,
        }
        let secret = Secret::new(crypto::random::<32>());
        let cookie = Secret::new(format!("{PRE_LOGIN_COOKIE}={}", base64url::encode(secret.expose())));
        let answer = self.post_as_page(&origin, "/v1/challenge", &json!({}), &cookie).await?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        let issued: Issued = serde_json::from_slice(&answer.body)
            .map_err(|_| self.misbehaved("its answer for a challenge".to_owned()))?;
        Ok(TrialChallenge { compact: issued.challenge, origin, cookie })
    }

    /// Shows the issuer the presence proof that answers a challenge.
    pub(in crate::agent) async fn show(&self, challenge: &TrialChallenge, proof: &str) -> Result<(), IssuerFault> {
        let shown = Shown { challenge: &challenge.compact, proof };
        let answer = self.post_as_page(&challenge.origin, "/v1/presence", &shown, &challenge.cookie).await?;
        if answer.status == 200 { Ok(()) } else { Err(self.refused(&answer)) }
    }

    async fn post_as_page(
        &self,
        origin: &Origin,
        path: &str,
        body: &(impl Serialize + Sync),
        cookie: &Secret<String>,
    ) -> Result<http::Answer, IssuerFault> {
        let mut value = reqwest::header::HeaderValue::try_from(cookie.expose()).expect("base64url is a header");
        value.set_sensitive(true);
        let request = self.http().await?.post(self.issuer.endpoint(path)).json(body);
        let request = request.header("Origin", origin.as_str()).header("Cookie", value);
        http::call(request).await.map_err(|source| self.unreachable(source))
    }
}
