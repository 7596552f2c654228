//! OpenID Connect: the code flow with PKCE and a nonce (OpenID Connect Core 1.0, RFC 7636, RFC 9207), log-out both ways
//! (RP-Initiated Logout 1.0, Back-Channel Logout 1.0), and, where it is wanted, the question whether the person still may, with
//! a refresh token (Core section 12). Works with every provider that publishes its configuration.
//!
//! All that is said of a person is read from a token that the provider signed, for this client, for this one sign-in. It never
//! takes an address from anything but the provider's own published configuration, and never says a code, token or secret.

mod keys;
mod provider;
mod token;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::fault::{ConnectFault, Fault};
use super::{Beginning, Begun, Claim, Connector, Guarded, Identified, LoggedOut, Returned};
use crate::clock::Clock;
use crate::crypto::{self, ForeignAlgorithm, Secret};
use crate::protocol::base64url;
use crate::protocol::time::Timestamp;
use provider::Provider;
use verify::{Expected, Subject};

/// What has to be there again when the browser is back.
const NONCE: &str = "nonce";
const VERIFIER: &str = "verifier";
/// What log-out is better with, as [`Identified::kept`] names it.
pub const ID_TOKEN: &str = "id_token";
/// What [`Connector::refresh`] needs again: the token, and whose it is.
const REFRESH_TOKEN: &str = "refresh_token";
const SUBJECT: &str = "sub";
/// The scope that a refresh token is given for (Core section 11).
const OFFLINE: &str = "offline_access";
/// The provider's own session, as [`Identified::kept`] names it.
pub const PROVIDER_SESSION: &str = "sid";

/// What an instance is configured with.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// The provider, exactly as it names itself: `https://id.example.com/realms/staff`.
    pub issuer: String,
    /// What the provider calls this login server.
    pub client_id: String,
    /// Its secret; a public client has none.
    pub client_secret: Option<Secret<String>>,
    /// What is asked for; `openid` is always among it.
    pub scopes: Vec<String>,
    /// Whether the provider's userinfo is asked too: one more call, for a provider that puts no name into its ID tokens.
    pub userinfo: bool,
    /// How often the provider is asked whether the person still may sign in. Needs a refresh token: the provider has to give
    /// this client one (`offline_access`), and asks the person for consent.
    pub recheck: Option<Duration>,
}

/// One provider.
#[derive(Debug)]
pub struct Oidc {
    settings: OidcSettings,
    provider: Provider,
}

impl Oidc {
    /// An instance. Nothing is asked of the provider before somebody signs in.
    #[must_use]
    pub fn new(settings: OidcSettings, http: Guarded, clock: Arc<dyn Clock>) -> Self {
        let provider = Provider::new(settings.issuer.clone(), http, clock);
        Self { settings, provider }
    }

    /// Reads a token that the provider signed.
    async fn open<T: serde::de::DeserializeOwned>(
        &self,
        token: &str,
        kind: verify::Kind,
    ) -> Result<(T, ForeignAlgorithm), ConnectFault> {
        let presented = verify::Presented::parse(token, kind)?;
        let key = self.provider.key(presented.kid(), presented.algorithm()).await?;
        Ok((presented.open(&key)?, presented.algorithm()))
    }

    fn scopes(&self) -> Vec<&str> {
        let mut scopes: Vec<_> = self.settings.scopes.iter().map(String::as_str).collect();
        if self.settings.recheck.is_some() && !scopes.contains(&OFFLINE) {
            scopes.push(OFFLINE);
        }
        scopes
    }

    fn expected<'a>(&'a self, nonce: Option<&'a str>, access_token: Option<&'a str>, now: Timestamp) -> Expected<'a> {
        Expected { issuer: &self.settings.issuer, client_id: &self.settings.client_id, nonce, access_token, now }
    }

    /// Whoever answers says who it is, where the provider announced so (RFC 9207): an answer of another one that was mixed in
    /// is refused before anything in it is believed, an error too.
    fn require_issuer(&self, returned: &Returned<'_>, announced: bool) -> Result<(), ConnectFault> {
        match returned.parameters.get("iss") {
            Some(issuer) if *issuer.expose() == self.settings.issuer => Ok(()),
            Some(_) => Err(ConnectFault::new(Fault::Misbehaved, "the answer is of another issuer (iss)")),
            None if announced => Err(ConnectFault::new(Fault::Misbehaved, "the answer does not name its issuer (iss)")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Connector for Oidc {
    fn kind(&self) -> &'static str {
        "oidc"
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.settings.issuer)
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Name, Claim::Avatar, Claim::Email]
    }

    async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault> {
        let found = self.provider.configuration().await?;
        let nonce = base64url::encode(crypto::random::<32>());
        let verifier = base64url::encode(crypto::random::<32>());
        let challenge = base64url::encode(crypto::sha256(&[verifier.as_bytes()]));
        let mut location = provider::url(&found.authorization_endpoint)?;
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", beginning.redirect_uri)
            .append_pair("scope", &self.scopes().join(" "))
            .append_pair("state", beginning.state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if self.settings.recheck.is_some() {
            // Without consent there is no refresh token (Core section 11).
            location.query_pairs_mut().append_pair("prompt", "consent");
        }
        let kept = BTreeMap::from([(NONCE.to_owned(), nonce), (VERIFIER.to_owned(), verifier)]);
        Ok(Begun { location: location.into(), kept })
    }

    async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault> {
        let found = self.provider.configuration().await?;
        self.require_issuer(returned, found.names_itself)?;
        if let Some(error) = returned.parameter("error") {
            return Err(token::refused(error.expose()));
        }
        let lost = |what: &str| ConnectFault::new(Fault::Misbehaved, format_args!("there is no {what}"));
        let code = returned.parameter("code").ok_or_else(|| lost("code in the answer"))?;
        let kept = |name: &str| returned.kept.get(name).map(String::as_str).ok_or_else(|| lost(name));
        let (nonce, verifier) = (kept(NONCE)?, kept(VERIFIER)?);
        let exchange = token::Exchange { code, verifier, redirect_uri: returned.redirect_uri };
        let tokens = token::exchange(self.provider.http(), &found, &self.settings, &exchange).await?;
        let id_token = tokens.id_token.clone().ok_or_else(|| lost("ID token"))?;
        let (said, algorithm): (Subject, _) = self.open(&id_token, verify::Kind::IdToken).await?;
        said.require(&self.expected(Some(nonce), Some(&tokens.access_token), returned.now), algorithm)?;
        let mut profile = said.profile;
        if self.settings.userinfo {
            profile = token::userinfo(self.provider.http(), &found, &tokens, &said.sub).await?.or(profile);
        }
        let mut kept = BTreeMap::from([(ID_TOKEN.to_owned(), id_token)]);
        kept.extend(said.sid.map(|sid| (PROVIDER_SESSION.to_owned(), sid)));
        if self.settings.recheck.is_some() {
            let missing = "the provider gives no refresh token: let this client have offline_access, or take recheck_minutes away";
            let token = tokens.refresh_token.ok_or_else(|| ConnectFault::new(Fault::Misconfigured, missing))?;
            kept.extend([(REFRESH_TOKEN.to_owned(), token), (SUBJECT.to_owned(), said.sub.clone())]);
        }
        let (details, name, avatar) = (profile.details(), profile.shown_name(), profile.picture);
        Ok(Identified { tenant: self.settings.issuer.clone(), id: said.sub, name, avatar, details, kept })
    }

    fn rechecks_every(&self) -> Option<Duration> {
        self.settings.recheck
    }

    async fn refresh(
        &self,
        kept: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<BTreeMap<String, String>, ConnectFault> {
        let (Some(token), Some(subject)) = (kept.get(REFRESH_TOKEN), kept.get(SUBJECT)) else {
            return Err(ConnectFault::new(Fault::Refused, "there is no refresh token to ask with"));
        };
        let found = self.provider.configuration().await?;
        let tokens = token::refresh(self.provider.http(), &found, &self.settings, token).await?;
        let mut kept = kept.clone();
        // Some providers say nothing but that it counts; whoever they name must be the same (Core section 12.2).
        if let Some(id_token) = tokens.id_token {
            let (said, algorithm): (Subject, _) = self.open(&id_token, verify::Kind::IdToken).await?;
            said.require_refreshed(&self.expected(None, Some(&tokens.access_token), now), algorithm)?;
            if said.sub != *subject {
                return Err(ConnectFault::new(Fault::Misbehaved, "the refreshed ID token is of another person"));
            }
            kept.insert(ID_TOKEN.to_owned(), id_token);
        }
        kept.extend(tokens.refresh_token.map(|token| (REFRESH_TOKEN.to_owned(), token)));
        Ok(kept)
    }

    async fn end_session(&self, kept: &BTreeMap<String, String>, back: &str) -> Result<Option<String>, ConnectFault> {
        let found = self.provider.configuration().await?;
        let Some(endpoint) = &found.end_session_endpoint else { return Ok(None) };
        let mut location = provider::url(endpoint)?;
        let mut query = location.query_pairs_mut();
        if let Some(hint) = kept.get(ID_TOKEN) {
            query.append_pair("id_token_hint", hint);
        }
        query.append_pair("client_id", &self.settings.client_id).append_pair("post_logout_redirect_uri", back);
        drop(query);
        Ok(Some(location.into()))
    }

    async fn logged_out(&self, posted: &Secret<String>, now: Timestamp) -> Result<LoggedOut, ConnectFault> {
        let (notice, _): (verify::Notice, _) = self.open(posted.expose(), verify::Kind::LogoutToken).await?;
        notice.require(&self.expected(None, None, now))
    }
}
