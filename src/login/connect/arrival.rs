//! Somebody whom a provider has signed in: which account that is, and its session.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{ConfiguredConnector, NewAccounts, provider_session};
use crate::connectors::Identified;
use crate::crypto;
use crate::login::answer::Refusal;
use crate::login::browser;
use crate::login::cookie::Cookie;
use crate::login::settings::Settings;
use crate::login::state::Shared;
use crate::protocol::base64url;
use crate::protocol::id::TokenId;
use crate::protocol::origin::Origin;
use crate::store::{
    Account, AccountId, Details, DisplayName, Identity, LinkRefusal, NewSession, Profile, SessionKey, Vouched, Voucher,
};

/// Where somebody arrives.
pub(super) struct Arrival<'a> {
    pub(super) server: &'a Shared,
    pub(super) settings: &'a Settings,
    pub(super) way: &'a ConfiguredConnector,
    /// Of the page that signs in.
    pub(super) origin: Origin,
    pub(super) headers: &'a HeaderMap,
}

/// Who a provider says it is, as the store knows people.
pub(super) fn identity(way: &ConfiguredConnector, identified: &Identified) -> Result<Identity, Refusal> {
    Identity::new(way.name.clone(), &identified.tenant, &identified.id).map_err(|bad| {
        tracing::warn!(connector = way.name.as_str(), "refused: {bad}");
        Refusal::ProviderMisbehaved
    })
}

/// What is kept beside the link.
pub(super) fn details(identified: &Identified) -> Details {
    let mut details = Details::default();
    for (name, value) in &identified.details {
        details.add(name, value);
    }
    for (name, value) in [("name", &identified.name), ("avatar", &identified.avatar)] {
        details.add(name, value.as_deref().unwrap_or_default());
    }
    details
}

/// The name of the account that is made for somebody: of nobody else, ever, and nobody can be guessed from it.
fn new_account(identity: &Identity) -> AccountId {
    let parts = [identity.tenant(), identity.id()].map(|part| crypto::sha256(&[part.as_bytes()]));
    let digest = crypto::sha256(&[&parts[0], &parts[1]]);
    let name = format!("{}:{}", identity.connector(), base64url::encode(&digest[..16]));
    name.parse().expect("a connector's name and base64url are an account's name")
}

impl Arrival<'_> {
    /// Opens a session, and gives its cookies.
    pub(super) async fn sign_in(&self, identified: &Identified) -> Result<Vec<(HeaderName, HeaderValue)>, Refusal> {
        let Self { server, settings, way, origin, headers } = self;
        let account = self.account(identified).await?;
        let subject = account.subject.as_str();
        let connector = way.name.as_str();
        if account.minimum_uv > way.verifies {
            tracing::warn!(subject, connector, "refused: the account asks for a stronger verification of the person");
            return Err(Refusal::StrongerWayNeeded);
        }
        let vouched = Vouched {
            subject: account.subject.clone(),
            generation: account.generation,
            by: Voucher::Connector(way.name.clone()),
            origin: origin.clone(),
            uv: way.verifies,
            id: TokenId::from_bytes(crypto::random()),
        };
        let (id, cookie) = Cookie::Session.issue();
        let key = SessionKey::of(&id);
        let former = Cookie::Session.read(headers).map(|id| SessionKey::of(&id));
        let session = NewSession::vouched(vouched, key, settings.lifetimes);
        let session = session.replacing(former).in_browser(browser::of(headers));
        server.store.open_session(session).await?.map_err(|withdrawn| {
            tracing::warn!(subject, connector, "refused: {withdrawn}");
            Refusal::AccessRefused
        })?;
        let now = server.clock.timestamp();
        let times = (now, now.plus(settings.lifetimes.absolute.as_secs()));
        provider_session::remember(server, way, identified, (&account.profile.account, key, &id), times).await?;
        tracing::info!(subject, connector, "signed in");
        Ok(vec![(header::SET_COOKIE, Cookie::PreLogin.delete()), (header::SET_COOKIE, cookie)])
    }

    async fn account(&self, identified: &Identified) -> Result<Account, Refusal> {
        let connector = self.way.name.as_str();
        let identity = identity(self.way, identified)?;
        if let Some((account, _)) = self.server.store.identity(&identity).await? {
            if account.disabled {
                tracing::warn!(subject = account.subject.as_str(), connector, "refused: the account is disabled");
                return Err(Refusal::AccessRefused);
            }
            return Ok(account);
        }
        if self.way.accounts == NewAccounts::Linked {
            tracing::info!(connector, "refused: the identity is linked to no account");
            return Err(Refusal::NotLinked);
        }
        let name = identified.name.as_deref().and_then(|name| DisplayName::clean(name).ok());
        let name = name.unwrap_or_else(|| self.way.label.clone());
        let profile = Profile { account: new_account(&identity), name, avatar: None };
        let refused = |refusal: LinkRefusal| {
            tracing::warn!(connector, "refused: {refusal}");
            Refusal::AccessRefused
        };
        match self.server.store.adopt_identity(profile, identity.clone(), details(identified)).await? {
            Err(LinkRefusal::Taken) => self.return_to_own(identity, identified).await?.map_err(refused),
            adopted => adopted.map_err(refused),
        }
    }

    /// The account that was made for this very identity, which its person has unlinked since: its name says whose it is.
    async fn return_to_own(
        &self,
        identity: Identity,
        identified: &Identified,
    ) -> Result<Result<Account, LinkRefusal>, Refusal> {
        let (store, own) = (&self.server.store, new_account(&identity));
        if let Err(refusal) = store.link_identity(&own, identity.clone(), details(identified)).await? {
            return Ok(Err(refusal));
        }
        let found = store.identity(&identity).await?.filter(|(account, _)| account.profile.account == own);
        tracing::info!(
            connector = self.way.name.as_str(),
            "linked an identity again to the account that was made for it"
        );
        Ok(found.map(|(account, _)| account).ok_or(LinkRefusal::Taken))
    }
}
