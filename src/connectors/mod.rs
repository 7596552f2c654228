//! Signing in without the agent: identity providers behind one small trait.
//!
//! A [`Connector`] sends a browser to a provider, takes what comes back, and says who it was: an [`Identified`], which is no
//! account yet. Which account that is, whether it may sign in, and the session itself are the login server's to decide. What
//! differs between providers is data where it can be, and one file each where it cannot.
//!
//! A connector never sees a cookie, never opens a session, and keeps nothing between two calls but caches of tokens that are its
//! own application's. Anybody can write one outside this crate and hand it to [`crate::login`], as
//! `examples/connector.rs` does.

mod background;
mod cache;
pub mod dingtalk;
mod fault;
mod flight;
mod guard;
pub mod oidc;
mod socket;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::crypto::Secret;
use crate::protocol::time::Timestamp;

pub use background::{Background, Shelf};
pub use cache::{Fetched, TokenCache};
pub use fault::{ConnectFault, Fault};
pub use guard::{Answer, Guarded, NoGuard, http};
pub use reqwest::Method;
pub use socket::Socket;

/// A provider that people can sign in with. One configured instance each.
#[async_trait]
pub trait Connector: Send + Sync + std::fmt::Debug {
    /// The kind of provider, as configuration files name it: `oidc`, `dingtalk`.
    fn kind(&self) -> &'static str;

    /// The external organisation that the instance stands for, where it stands for one: `getAuthByCorpId` finds it by this.
    fn tenant(&self) -> Option<&str> {
        None
    }

    /// What it can tell of a person; the rest nobody should expect.
    fn claims(&self) -> &'static [Claim];

    /// Whether a page inside the provider's own application can sign in with a code from there ([`Connector::exchange`]).
    fn is_in_app(&self) -> bool {
        false
    }

    /// Whether a browser can be sent to a page of the provider ([`Connector::begin`]): a card offers it then.
    fn has_page(&self) -> bool {
        true
    }

    /// The instance, for administrators: how it is configured, without its secrets.
    fn describe(&self) -> serde_json::Value {
        serde_json::json!({ "kind": self.kind(), "tenant": self.tenant(), "claims": self.claims() })
    }

    /// What a page needs to show the way: anybody can read it, so no secret is ever in it.
    fn front_end(&self) -> serde_json::Value {
        serde_json::Value::Object(serde_json::Map::new())
    }

    /// The origin of the provider's page, where it may be shown in a frame of the site's own ([`Beginning::embedded`]).
    fn frame_origin(&self) -> Option<&str> {
        None
    }

    /// A login server takes the connector on: called when it starts, and again at each reload that brings the connector. What
    /// it keeps goes on `shelf`; what it does beside its calls is returned.
    fn attend(&self, _shelf: &Arc<dyn Shelf>) -> Option<Arc<dyn Background>> {
        None
    }

    /// Where the browser is sent, and what has to be there again when it comes back.
    ///
    /// # Errors
    /// [`ConnectFault`], for the log; the browser hears its class alone.
    async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault>;

    /// Takes what the browser brought back and says who it was. `state` was found sound already, and used up.
    ///
    /// # Errors
    /// [`ConnectFault`].
    async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault>;

    /// Exchanges a code that a page got inside the provider's own application (免登), where there is such a thing.
    ///
    /// # Errors
    /// [`ConnectFault`]; [`Fault::Unsupported`] where there is none.
    async fn exchange(&self, _code: &Secret<String>) -> Result<Identified, ConnectFault> {
        Err(Fault::Unsupported.into())
    }

    /// What the provider's script needs on a page (`dd.config`), signed for that page's address.
    ///
    /// # Errors
    /// [`ConnectFault`]; [`Fault::Unsupported`] where there is no such thing.
    async fn page_configuration(&self, _page: &str) -> Result<serde_json::Value, ConnectFault> {
        Err(Fault::Unsupported.into())
    }

    /// How often a session that this connector opened asks the provider whether the person still may sign in
    /// ([`Connector::refresh`]), while it is used. Never, unless it says so.
    fn rechecks_every(&self) -> Option<Duration> {
        None
    }

    /// Asks the provider whether whoever signed in still may; `kept` is what is kept of that ([`Identified::kept`]). What is
    /// kept from now on.
    ///
    /// # Errors
    /// [`ConnectFault`]; [`Fault::Code`], [`Fault::Refused`] or [`Fault::Tenant`] where they may not any more, which ends the
    /// session.
    async fn refresh(
        &self,
        _kept: &BTreeMap<String, String>,
        _now: Timestamp,
    ) -> Result<BTreeMap<String, String>, ConnectFault> {
        Err(Fault::Unsupported.into())
    }

    /// Where a browser is sent so that it is logged out at the provider too (RP-initiated log-out).
    ///
    /// # Errors
    /// [`ConnectFault`].
    async fn end_session(&self, _kept: &BTreeMap<String, String>, _back: &str) -> Result<Option<String>, ConnectFault> {
        Ok(None)
    }

    /// Takes an event that the provider posted to this connector's address, and says what it is answered. Nothing but what is
    /// in it proves that it is the provider's.
    ///
    /// # Errors
    /// [`ConnectFault`]; [`Fault::Unsupported`] where the provider does not post. Whatever else is wrong with it, whoever
    /// posted it hears one and the same refusal, unless the fault passes ([`Fault::is_passing`]).
    async fn event(&self, _posted: &Posted<'_>) -> Result<serde_json::Value, ConnectFault> {
        Err(Fault::Unsupported.into())
    }

    /// Verifies what a provider posts when somebody logged out there (back-channel log-out): whose sessions are over.
    ///
    /// # Errors
    /// [`ConnectFault`]; [`Fault::Unsupported`] where the provider does not post.
    async fn logged_out(&self, _posted: &Secret<String>, _now: Timestamp) -> Result<LoggedOut, ConnectFault> {
        Err(Fault::Unsupported.into())
    }
}

/// The instance of an external organisation, among several. Nothing where no instance, or more than one, stands for it.
pub fn of_tenant<'a, N>(
    instances: impl IntoIterator<Item = (N, &'a dyn Connector)>,
    tenant: &str,
) -> Option<(N, &'a dyn Connector)> {
    let mut found = instances.into_iter().filter(|(_, connector)| connector.tenant() == Some(tenant));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// What a connector can tell of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// A name to show.
    Name,
    /// A picture.
    Avatar,
    /// An address that the provider vouches for.
    Email,
    /// A telephone number.
    Phone,
    /// The external organisation.
    Tenant,
    /// Departments in it.
    Departments,
}

/// The beginning of a sign-in at a provider.
pub struct Beginning<'a> {
    /// Random, bound to the browser, good once. It comes back with the answer.
    pub state: &'a str,
    /// Where the provider sends the browser back to, exactly.
    pub redirect_uri: &'a str,
    /// Whether the provider's page is shown inside the site's own (an embedded frame).
    pub embedded: bool,
}

/// Where to send a browser.
#[derive(Clone)]
pub struct Begun {
    /// The provider's address.
    pub location: String,
    /// Kept by the login server until the browser is back, and given to [`Connector::finish`]: a nonce, a PKCE verifier. Never shown.
    pub kept: BTreeMap<String, String>,
}

/// What a browser brought back.
pub struct Returned<'a> {
    /// The parameters of the address, each at most once; `state` is not among them.
    pub parameters: &'a BTreeMap<String, Secret<String>>,
    /// What [`Connector::begin`] wanted kept.
    pub kept: &'a BTreeMap<String, String>,
    /// The address that the provider was told.
    pub redirect_uri: &'a str,
    /// The login server's time.
    pub now: Timestamp,
}

impl Returned<'_> {
    /// A parameter that is not empty.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Secret<String>> {
        self.parameters.get(name).filter(|value| !value.expose().is_empty())
    }
}

/// What a provider posted.
pub struct Posted<'a> {
    /// The parameters of the address, each at most once.
    pub parameters: &'a BTreeMap<String, Secret<String>>,
    /// A JSON body, of 64 KiB at most.
    pub body: &'a Secret<Vec<u8>>,
    /// The login server's time.
    pub now: Timestamp,
}

/// Who somebody is at a provider. Within one connector, tenant and id together name one person for good.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// The external organisation (`corpId`, an issuer's tenant); empty where the provider has none.
    pub tenant: String,
    /// The person there.
    pub id: String,
    /// A name to show.
    pub name: Option<String>,
    /// The address of a picture.
    pub avatar: Option<String>,
    /// Whatever else is worth keeping beside the link: `email`, `phone`, `union_id`, `job_number`, `departments`.
    pub details: BTreeMap<String, String>,
    /// What [`Connector::end_session`], [`Connector::refresh`] and back-channel log-out need again: an ID token, a refresh
    /// token, the provider's session id. It is kept sealed, with a key that the browser alone holds.
    pub kept: BTreeMap<String, String>,
}

impl std::fmt::Debug for Identified {
    /// Who it was is nobody's business in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identified").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Whose sessions a provider says are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// The provider's id of this notice: it counts once.
    pub notice: String,
    /// The external organisation.
    pub tenant: String,
    /// The person, where the notice names one.
    pub id: Option<String>,
    /// The provider's session, where the notice names one.
    pub session: Option<String>,
}

/// State, nonce and verifier are secrets while a sign-in is under way, and so is what comes back.
macro_rules! shows_its_name_alone {
    ($($type:ty),+) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($type).trim_end_matches("<'_>"))
            }
        }
    )+};
}
shows_its_name_alone!(Beginning<'_>, Begun, Returned<'_>, Posted<'_>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sign_in_carries_shows_nowhere() {
        let kept = BTreeMap::from([("nonce".to_owned(), "planted".to_owned())]);
        let parameters = BTreeMap::from([("code".to_owned(), Secret::new("planted".to_owned()))]);
        let beginning = Beginning { state: "planted", redirect_uri: "https://app.example.com/", embedded: false };
        let begun = Begun { location: "https://id.example.com/?state=planted".to_owned(), kept: kept.clone() };
        let now = Timestamp(0);
        let returned = Returned { parameters: &parameters, kept: &kept, redirect_uri: "https://app.example.com/", now };
        let body = Secret::new(b"planted".to_vec());
        let posted = Posted { parameters: &parameters, body: &body, now };
        let shown = format!("{beginning:?} {begun:?} {returned:?} {posted:?}");
        assert_eq!(shown, "Beginning Begun Returned Posted");
        let answer = Answer { status: 200, content_type: None, max_age: None, body: b"planted".to_vec() };
        assert_eq!(format!("{answer:?}"), "Answer { status: 200, .. }");
        let data = serde_json::json!({ "SuiteTicket": "planted" });
        let event = dingtalk::Event { id: "1".into(), kind: "suite_ticket".into(), corp_id: None, data };
        assert!(!format!("{event:?}").contains("planted"), "{event:?}");
    }
}
